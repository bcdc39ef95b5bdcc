//! `rewardhub sandbox`: everything on one machine with nothing to install.

mod demo_day;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use adapters::sandbox::bank::Mix;
use adapters::sandbox::{Generator, GeneratorConfig, Misbehaviour};
use anyhow::Context as _;
use api::allowance;
use api::auth::{AUDIENCE, SandboxIssuer, TokenRequest, Verifier};
use api::cors::Origins;
use api::explorer::{MakeTokens, PageToken, PageTokens};
use api::health::Bounds;
use api::server::{Limits, Server};
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::engine::{CommandContext, EngineSettings, RowResult, SubmitError};
use ledger_core::log::StreamType;
use ledger_core::steps::intake::{Intake, RowAnswer, Sources};
use ledger_core::time::{Clock, SystemClock};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backup::write;
use crate::campaign_file::parse_terms;
use crate::commands::operate::command_campaign;
use crate::commands::support::{Data, Ended, Usage, interrupted, say};
use crate::config::Memory;
use crate::descriptors;
use crate::folder::Folder;
use crate::node::{ApiSettings, Engine, Failure, Node};
use crate::opened::Stores;
use crate::outside::Outside;
use crate::telemetry;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    data: Data,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "REWARDHUB_LISTEN")]
    listen: SocketAddr,
    /// Simulated transactions per second; 0 generates none.
    #[arg(long, value_name = "N/s", default_value = "20/s", value_parser = parse_rate)]
    rate: u32,
    /// How many simulated customers.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    customers: u32,
    /// Fixes customers and purchases, never draw seeds.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Web apps that may read answers in a browser, such as <http://localhost:5173>; commas between
    /// them.
    #[arg(long, value_name = "ORIGINS", default_value = "", hide_default_value = true, value_parser = Origins::parse, env = "REWARDHUB_CORS_ORIGINS")]
    cors_origins: Origins,
    /// First live through a whole day, yesterday, with its draws and the reveal of its seed, so
    /// that a finished proof can be looked at at once. In a new folder.
    #[arg(long)]
    demo_day: bool,
    /// Stop after this time.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
}

/// The campaign of a new sandbox.
const CAMPAIGN: &str = include_str!("../../../campaign.example.yaml");
/// Simulated lines are taken in this often.
const BEAT: Duration = Duration::from_millis(50);
/// How long requests under way may go on at the end.
const GRACE: Duration = Duration::from_secs(5);
/// For the tokens on pages.
const TOKEN_TTL: Duration = Duration::from_hours(1);

/// `20`, `20/s`.
fn parse_rate(text: &str) -> Result<u32, String> {
    let digits = text.strip_suffix("/s").unwrap_or(text);
    let rate: u32 = digits.parse().map_err(|_| "expected a number per second such as 20/s".to_string())?;
    if rate > 100_000 { Err("at most 100000/s".into()) } else { Ok(rate) }
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    for variable in ["REWARDHUB_LOG", "REWARDHUB_CONFIG"] {
        if std::env::var_os(variable).is_some_and(|value| !value.is_empty()) {
            let why = "the sandbox keeps its ledger in the folder of --data and has no other settings: unset it, or `serve`";
            return Err(Usage(format!("{variable}: {why}")).into());
        }
    }
    let folder = Folder::create(&arguments.data.path)?;
    let lock = folder.lock("sandbox")?;
    let render_metrics = telemetry::metrics()?;
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;
    let stores = Arc::new(Stores::embedded(&folder, lock).await?);
    let settings = EngineSettings { open_enrolment: true, ..EngineSettings::default() };
    let campaigns = stores.log.events.stream_ids(StreamType::Campaign).await?;
    let is_new = campaigns.is_empty();
    let mut has_demo = campaigns.iter().any(|stream| stream.id == demo_day::CAMPAIGN);
    if arguments.demo_day && !has_demo {
        if !is_new {
            return Err(
                Usage("--demo-day: this ledger has begun; name a new folder with --data".into()).into()
            );
        }
        demo_day::live(&stores, &settings).await?;
        has_demo = true;
    }
    let engine = Engine::start(&stores, &settings).await?;
    let beacons = adapters::drand::PUBLIC.map(str::to_owned);
    let misbehaviour = Misbehaviour::usual().with_seed(arguments.seed);
    let outside = Outside::sandbox(&engine, misbehaviour, &beacons)?;
    let mut node = Node::start(engine, outside).await?;
    if is_new {
        start_campaign(&node.engine).await?;
    }
    let issuer = Arc::new(SandboxIssuer::open_or_create(&folder.issuer())?);
    let router = api::router(node.api_state(ApiSettings {
        verifier: Arc::new(Verifier::new(&issuer.jwks(), issuer.issuer(), AUDIENCE)?),
        per_token: allowance::Limits::default(),
        ready: Bounds::default(),
        bodies: Memory::default().bodies,
        render_metrics: Arc::clone(&render_metrics),
        production: false,
        page_tokens: Some(page_tokens(Arc::clone(&issuer))),
        demo: if has_demo { demo_day::purchases()? } else { vec![] },
        origins: arguments.cors_origins.clone(),
    }));
    let (stop, stopping) = watch::channel(false);
    let limits = descriptors::make_room(Limits::default(), 0)?;
    let server = Server::start(listener, router, render_metrics, limits)?;
    let counts = Arc::new(Counts::default());
    let mut feed = tokio::spawn(feed(
        node.engine.intake.clone(),
        generator(&folder, &arguments)?,
        arguments.rate,
        Arc::clone(&counts),
        stopping.clone(),
    ));
    // Before anybody can know that we are here.
    let interrupted = interrupted();
    print_where_to_look(&folder, address, has_demo);
    let line = tokio::spawn(live_line(
        Arc::clone(&counts),
        node.progress.clone(),
        node.engine.ledger.head(),
        stopping,
    ));
    let fault = tokio::select! {
        () = interrupted => None,
        () = sleep(arguments.duration) => None,
        ended = &mut feed => ended.map_err(Into::into).and_then(|r| r).err(),
        failure = node.failed() => Some(match failure {
            Failure::Fenced => anyhow::anyhow!("another process has taken the log over"),
            Failure::Fault(error) => error,
        }),
    };
    stop.send_replace(true);
    line.await?;
    say("stopping");
    if !feed.is_finished() {
        feed.await??;
    }
    server.stop(Instant::now() + GRACE).await;
    // The routes hold the ledger, and the writer ends with its last holder.
    drop(server);
    node.stop().await?;
    say("stopped");
    fault.map_or(Ok(Ended::Fine), Err)
}

/// A new folder gets the example campaign; one that has campaigns keeps them.
async fn start_campaign(engine: &Engine) -> anyhow::Result<()> {
    let terms = parse_terms("campaign.example.yaml", CAMPAIGN)?;
    let id = terms.campaign_id.clone();
    for (by, kind) in [
        ("sandbox", CampaignCommandKind::Draft(Box::new(terms))),
        ("sandbox-approver", CampaignCommandKind::Approve { version: None }),
        ("sandbox", CampaignCommandKind::Start),
    ] {
        command_campaign(&engine.ledger, &id, kind, by).await?;
    }
    Ok(())
}

/// Tokens for the pages, renewed with every load.
fn page_tokens(issuer: Arc<SandboxIssuer>) -> MakeTokens {
    let token = move |sub, scope, sources: &[String]| {
        let request = TokenRequest { sub: Some(sub), sources, scope, ttl: TOKEN_TTL };
        let token = issuer.issue(&request, SystemClock.now()).unwrap_or_default();
        PageToken { sub, scope, ttl: "an hour", token }
    };
    Arc::new(move || PageTokens {
        customer: token("cus_0001", "rewards:read", &[]),
        staff: token("first-feed", "transactions:write audit:read", &["*".into()]),
        explorer: token("cus_0001", "rewards:read audit:read", &[]),
    })
}

/// Every start is a run of its own, so that a restart brings new lines instead of old ids with new
/// content.
fn generator(folder: &Folder, arguments: &Arguments) -> anyhow::Result<Generator> {
    let path = folder.runs();
    let runs = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().unwrap_or_else(|_| {
            tracing::warn!(path = %path.display(), "it holds no number of runs: they are counted on from the time");
            u64::try_from(SystemClock.now().micros() / 1_000_000).unwrap_or(0)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let next = path.with_extension("new");
    write(&next, format!("{}\n", runs + 1).as_bytes())?;
    std::fs::rename(&next, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Generator::new(GeneratorConfig {
        seed: arguments.seed,
        customers: arguments.customers,
        source: "sandbox-bank".into(),
        run: format!("run{}", runs + 1),
        mix: Mix::default(),
    })?)
}

/// What the live line shows.
#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    won: AtomicU64,
    duplicate: AtomicU64,
    deferred: AtomicU64,
    held: AtomicU64,
    rejected: AtomicU64,
}

impl Counts {
    fn count(&self, answers: &[RowAnswer]) {
        for answer in answers {
            let counter = match &answer.outcome {
                Ok(receipt) => {
                    if receipt.won.is_some() {
                        self.won.fetch_add(1, Ordering::Relaxed);
                    }
                    match receipt.result {
                        RowResult::Accepted => &self.accepted,
                        RowResult::Duplicate | RowResult::Linked => &self.duplicate,
                        RowResult::Deferred => &self.deferred,
                        RowResult::Held => &self.held,
                    }
                }
                Err(_) => &self.rejected,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The simulated bank pushes its lines, each beat as many as are due.
async fn feed(
    intake: Intake,
    mut generator: Generator,
    rate: u32,
    counts: Arc<Counts>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    if rate == 0 {
        let _ = stop.wait_for(|stop| *stop).await;
        return Ok(());
    }
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let began = tokio::time::Instant::now();
    let mut made = 0_u64;
    while !*stop.borrow() {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stop.changed() => return Ok(()),
        }
        let due =
            u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_mul(u64::from(rate))
                / 1_000;
        // After a pause (a suspended machine) it does not make up for all of it at once.
        let rows: Vec<String> =
            (made..due.min(made + 2_000)).map(|_| generator.next(SystemClock.now()).json).collect();
        made = due;
        let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
        let context = CommandContext::new("feed:sandbox-bank", "", "simulated");
        // A bank sends again what was not taken.
        while !*stop.borrow() {
            match intake.take(&rows, &Sources::All, context.clone()).await {
                Ok(answers) => {
                    counts.count(&answers);
                    break;
                }
                Err(
                    SubmitError::Full
                    | SubmitError::Unavailable
                    | SubmitError::AccountUnavailable
                    | SubmitError::Clock(_),
                ) => tokio::time::sleep(BEAT).await,
                Err(error @ SubmitError::NotWriter) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn print_where_to_look(folder: &Folder, address: SocketAddr, has_demo: bool) {
    let data = folder.path().display();
    say(&format!("RewardHub sandbox on http://{address}, data in {data}"));
    say(&format!("  start here    http://{address}/ with tokens to try"));
    if has_demo {
        say(&format!(
            "  a proof       http://{address}/proof/demo finished: yesterday lived through by a set clock"
        ));
    }
    say(&format!("  GraphiQL      http://{address}/graphql"));
    say(&format!("  send          POST http://{address}/v1/transactions"));
    say(&format!("  metrics       http://{address}/metrics"));
    say(&format!("  an app token  rewardhub token --data {data} --sub cus_0001"));
    say(&format!("  a feed token  rewardhub token --data {data} --scope transactions:write --source '*'"));
    say("  stop          Ctrl-C; the same --data goes on where it was");
}

async fn live_line(
    counts: Arc<Counts>,
    progress: projections::Progress,
    head: watch::Receiver<ledger_core::log::Position>,
    mut stop: watch::Receiver<bool>,
) {
    let terminal = std::io::stdout().is_terminal();
    let mut interval =
        tokio::time::interval(if terminal { Duration::from_secs(1) } else { Duration::from_secs(10) });
    interval.tick().await;
    loop {
        let stopping = tokio::select! {
            _ = interval.tick() => false,
            _ = stop.changed() => true,
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { accepted, won, duplicate, deferred, held, rejected } = &*counts;
        let (head, read) = (head.borrow().0, progress.position().0);
        let line = format!(
            "accepted {} (won {}), duplicate {}, deferred {}, held {}, rejected {}; log at {head}, read models {} behind",
            count(accepted),
            count(won),
            count(duplicate),
            count(deferred),
            count(held),
            count(rejected),
            head.saturating_sub(read),
        );
        let mut out = std::io::stdout().lock();
        let end = if terminal && !stopping { "" } else { "\n" };
        let start = if terminal { "\r\x1b[2K" } else { "" };
        // Nobody reading is no reason to stop.
        let _ = write!(out, "{start}{line}{end}").and_then(|()| out.flush());
        if stopping {
            return;
        }
    }
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
