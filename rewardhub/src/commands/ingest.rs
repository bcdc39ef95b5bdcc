//! `rewardhub ingest`: transactions from NDJSON, into a ledger that no one else writes or over
//! HTTP. Safe to repeat: what is known is answered `duplicate`.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use ledger_core::log::StreamType;
use ledger_core::transaction::{RowCode, RowError};
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::commands::support::{Ended, Progress, Target, Usage, interrupted};
use crate::node::Engine;

pub(super) mod lines;
mod road;

use lines::{Chunk, Lines};
use road::{Road, RowOutcome};

#[derive(clap::Args)]
pub struct Arguments {
    /// One transaction per line; `-` for standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Take transactions into a ledger that has no campaign yet, where each is declined for good.
    /// Lays the ledger out where there is none.
    #[arg(long, conflicts_with = "url")]
    without_campaign: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    /// Write rejected rows here as NDJSON instead of to stderr.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// What came of a file.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    read: u64,
    accepted: u64,
    duplicate: u64,
    deferred: u64,
    linked: u64,
    held: u64,
    rejected: u64,
    /// `null` over HTTP, where a feed is not told who won.
    won: Option<u64>,
    won_minor: Option<std::collections::BTreeMap<&'static str, i64>>,
    seconds: f64,
    /// Of those rejected.
    #[serde(skip)]
    unknown_accounts: u64,
}

/// Nothing is taken: what is declined now can win nothing later.
const NO_CAMPAIGN: &str = "this ledger has no campaign: every transaction would be declined for good, as `no_campaign`; \
     nothing was taken; --without-campaign takes them all the same";

/// Chunks prepared ahead while one is being decided: enough that parsing never waits for the disk.
/// They are decided in the order of the file, since a bank's later lines speak of earlier ones.
const AHEAD: usize = 4;

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let at = &arguments.target.at;
    let (road, engine) = if let Some(url) = &arguments.target.url {
        (Road::http(url)?, None)
    } else {
        let config = if arguments.without_campaign { at.config()? } else { at.of_existing()? };
        let engine = Engine::open(&config, "ingest").await?;
        if !arguments.without_campaign && engine.log.stream_ids(StreamType::Campaign).await?.is_empty() {
            engine.stop().await?;
            return Err(Usage(NO_CAMPAIGN.into()).into());
        }
        (Road::Ledger(engine.intake.clone()), Some(engine))
    };
    let result = ingest(&arguments, &road).await;
    drop(road);
    if let Some(engine) = engine {
        engine.stop().await?;
    }
    let summary = result?;
    if summary.unknown_accounts > 0 {
        eprintln!("unknown accounts are rejected here: see `rewardhub account open`, or `enrolment: open`");
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        let Summary { read, accepted, duplicate, deferred, linked, held, rejected, won, seconds, .. } =
            &summary;
        let won = won.map_or(String::new(), |won| format!(" ({won} won)"));
        println!(
            "{read} read: {accepted} accepted{won}, {duplicate} duplicate, {deferred} deferred, {linked} linked, \
             {held} held, {rejected} rejected in {seconds:.1} s"
        );
    }
    Ok(if summary.rejected == 0 { Ended::Fine } else { Ended::Failed })
}

/// The same road for a file of the bench: how many were accepted.
pub async fn into_ledger(
    file: &std::path::Path,
    intake: ledger_core::steps::intake::Intake,
) -> anyhow::Result<u64> {
    let (file, target, rejects) = (file.to_owned(), Target::default(), None);
    let arguments = Arguments { file, target, without_campaign: true, json: false, rejects };
    Ok(ingest(&arguments, &Road::Ledger(intake)).await?.accepted)
}

async fn ingest(arguments: &Arguments, road: &Road) -> anyhow::Result<Summary> {
    let began = Instant::now();
    let mut lines = Lines::transactions(&arguments.file)?;
    let mut rejects = Rejects::open(arguments)?;
    let progress = Progress::new("MiB");
    let mut summary = Summary::default();
    if matches!(road, Road::Ledger(_)) {
        summary.won = Some(0);
        summary.won_minor = Some(std::collections::BTreeMap::new());
    }
    let mut ahead: VecDeque<(Chunk, JoinHandle<_>)> = VecDeque::new();
    let mut interrupted = std::pin::pin!(interrupted());
    let mut stopping = false;
    loop {
        while !stopping && ahead.len() < AHEAD {
            let Some(chunk) = lines.next_chunk()? else {
                stopping = true;
                break;
            };
            progress.show(lines.bytes_read() >> 20, lines.bytes_total().map(|bytes| bytes >> 20));
            let preparing = tokio::spawn(road.prepare(chunk.rows.clone()));
            ahead.push_back((chunk, preparing));
        }
        let Some((chunk, preparing)) = ahead.pop_front() else { break };
        let mut sending = std::pin::pin!(async { road.send(preparing.await??).await });
        let outcomes = loop {
            tokio::select! {
                outcomes = &mut sending => break outcomes,
                () = &mut interrupted, if !stopping => {
                    eprintln!("stopping after what is under way; run it again to go on");
                    stopping = true;
                }
            }
        };
        let outcomes = outcomes.with_context(|| {
            format!(
                "stopped at line {}; what came before it is taken, all of it may be sent again",
                chunk.first_line()
            )
        })?;
        summary.count(&chunk, &outcomes, &mut rejects)?;
    }
    drop(progress);
    rejects.finish()?;
    summary.seconds = Duration::from_millis(u64::try_from(began.elapsed().as_millis())?).as_secs_f64();
    Ok(summary)
}

impl Summary {
    fn count(&mut self, chunk: &Chunk, outcomes: &[RowOutcome], rejects: &mut Rejects) -> anyhow::Result<()> {
        if outcomes.len() != chunk.rows.len() {
            bail!("{} answers to {} rows", outcomes.len(), chunk.rows.len());
        }
        for (line, outcome) in chunk.lines.iter().zip(outcomes) {
            self.read += 1;
            match outcome {
                RowOutcome::Accepted(won) => {
                    self.accepted += 1;
                    if let (Some(money), Some(count), Some(sums)) = (won, &mut self.won, &mut self.won_minor)
                    {
                        *count += 1;
                        *sums.entry(money.currency().code()).or_insert(0) += money.minor();
                    }
                }
                RowOutcome::Duplicate => self.duplicate += 1,
                RowOutcome::Deferred => self.deferred += 1,
                RowOutcome::Linked => self.linked += 1,
                RowOutcome::Held => self.held += 1,
                RowOutcome::Rejected { transaction_id, error } => {
                    self.rejected += 1;
                    self.unknown_accounts += u64::from(error.code == RowCode::AccountUnknown);
                    rejects.write(*line, transaction_id.as_deref(), error)?;
                }
            }
        }
        Ok(())
    }
}

/// Where rejected rows are named.
enum Rejects {
    Stderr,
    File(std::io::BufWriter<std::fs::File>),
}

impl Rejects {
    fn open(arguments: &Arguments) -> anyhow::Result<Rejects> {
        let Some(path) = &arguments.rejects else { return Ok(Rejects::Stderr) };
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Rejects::File(std::io::BufWriter::new(file)))
    }

    fn write(&mut self, line: u64, transaction_id: Option<&str>, error: &RowError) -> anyhow::Result<()> {
        match self {
            Rejects::Stderr => {
                let place = if error.field.is_empty() { String::new() } else { format!("{}: ", error.field) };
                eprintln!("line {line}: {place}{} ({})", error.message, error.code.as_str());
            }
            Rejects::File(file) => {
                let row =
                    serde_json::json!({ "line": line, "transaction_id": transaction_id, "error": error });
                writeln!(file, "{row}").context("cannot write the rejected rows")?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Rejects::Stderr => Ok(()),
            Rejects::File(mut file) => file.flush().context("cannot write the rejected rows"),
        }
    }
}

/// How long to wait before trying the same chunk again.
const RETRY: Duration = Duration::from_secs(1);
/// How often.
const RETRIES: u32 = 120;
