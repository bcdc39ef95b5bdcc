//! `rewardhub serve`: the service. It listens at once, stands by while another process is the
//! writer, and serves when it has the lease. It ends when it is told to, or when another process
//! has taken over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::auth::{SandboxIssuer, Verifier};
use api::front::{Front, Waiting};
use api::server::Server;
use tokio::time::Instant;

use crate::commands::support::{At, Ended, interrupted, say};
use crate::config::{Config, ConfigError, LogPlace, Tokens};
use crate::descriptors;
use crate::folder::Folder;
use crate::node::{self, ASK_AGAIN, ApiSettings, Engine, Failure, Node, Readers};
use crate::opened::{Stores, held_by, out_of_reach};
use crate::outside::Outside;
use crate::telemetry::{self, RenderMetrics};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
}

/// How often a database that is out of reach is tried at the start.
const TRY_AGAIN: Duration = Duration::from_millis(500);

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let mut config = arguments.at.config()?;
    config.check_profile()?;
    // Unlike for the commands that write a folder of one's own.
    config.open_enrolment.get_or_insert(false);
    let verifier = verifier(&config)?;
    let render_metrics = telemetry::metrics()?;
    let front = Front::new(Arc::clone(&render_metrics), config.origins.clone());
    let server = listen(&config, &front, &render_metrics).await?;
    // Before anybody can know that we are here.
    let mut stop = std::pin::pin!(interrupted());
    print_where(&config, server.address());
    let node = tokio::select! {
        () = &mut stop => None,
        led = lead(&config, &front, verifier) => Some(led?),
    };
    let Some((mut node, verifier)) = node else {
        server.stop(Instant::now() + config.shutdown_grace).await;
        return Ok(Ended::Fine);
    };
    front.serve(routes(&node, &config, verifier, render_metrics));
    tracing::info!("serving");
    let failure = tokio::select! {
        () = &mut stop => None,
        failure = node.failed() => Some(failure),
    };
    let deadline = Instant::now() + config.shutdown_grace;
    match failure {
        None => {
            tracing::info!("stopping");
            // Requests under way keep their routes, which hold the ledger: the writer ends with its
            // last holder.
            front.wait(Waiting::Stopping);
            server.stop(deadline).await;
            let stopped =
                tokio::time::timeout_at(deadline.max(Instant::now() + TRY_AGAIN), node.stop()).await;
            stopped.context("the writer did not finish within shutdown_grace")??;
            tracing::info!("stopped");
            Ok(Ended::Fine)
        }
        Some(Failure::Fenced) => {
            front.wait(Waiting::Fenced);
            bail!("another process has taken the log over; this one ends, to be started again as a standby")
        }
        Some(Failure::Fault(error)) => Err(error),
    }
}

/// Opens the stores and becomes the writer, however long that takes. An issuer of tokens that the
/// folder lacks is made only then: who is refused leaves nothing behind.
async fn lead(
    config: &Config,
    front: &Front,
    verifier: Option<Verifier>,
) -> anyhow::Result<(Node, Arc<Verifier>)> {
    let mut state = State { front, now: Waiting::Starting };
    let stores = loop {
        match Stores::open(config, "serve").await {
            Ok(stores) => break Arc::new(stores),
            Err(error) if out_of_reach(&error) => state.becomes(Waiting::Database, &error),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    };
    let settings = node::settings(config, &stores);
    let engine = loop {
        match Engine::start(&stores, &settings).await {
            Ok(engine) => break engine,
            Err(error) if held_by(&error).is_some() => state.becomes(Waiting::Standby, &error),
            Err(error) if out_of_reach(&error) => state.becomes(Waiting::Database, &error),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    };
    let verifier = Arc::new(match verifier {
        Some(verifier) => verifier,
        None => sandbox_verifier(config)?,
    });
    let outside = Outside::open(&engine, config)?;
    let readers = loop {
        match Readers::open(&engine).await {
            Ok(readers) => break readers,
            Err(error) if out_of_reach(&error) => state.becomes(Waiting::Database, &error),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    };
    Ok((Node::start_with(engine, readers, outside)?, verifier))
}

/// What we wait for, logged when it changes.
struct State<'a> {
    front: &'a Front,
    now: Waiting,
}

impl State<'_> {
    fn becomes(&mut self, why: Waiting, error: &anyhow::Error) {
        if self.now != why {
            self.now = why;
            self.front.wait(why);
            tracing::info!(state = why.as_str(), reason = format!("{error:#}"), "waiting");
        }
    }
}

fn routes(
    node: &Node,
    config: &Config,
    verifier: Arc<Verifier>,
    render_metrics: RenderMetrics,
) -> axum::Router {
    let settings = ApiSettings {
        verifier,
        per_token: config.per_token,
        ready: config.ready,
        bodies: config.memory.bodies,
        render_metrics,
        production: config.production.is_some(),
        page_tokens: None,
        demo: vec![],
        origins: config.origins.clone(),
    };
    api::router(node.api_state(settings))
}

/// `None`: by the folder's own issuer, which has yet to be made.
fn verifier(config: &Config) -> anyhow::Result<Option<Verifier>> {
    match &config.tokens {
        None => {
            let why = "name the file of the keys that tokens are signed with, or `sandbox`".into();
            Err(ConfigError::Missing { setting: "tokens.jwks", why }.into())
        }
        Some(Tokens::Sandbox) if SandboxIssuer::is_in(&config.data) => sandbox_verifier(config).map(Some),
        Some(Tokens::Sandbox) => {
            if matches!(config.log, LogPlace::Postgres(_)) {
                tracing::warn!(
                    folder = %config.data.display(),
                    "there is no sandbox-issuer.p8 here and one is made: tokens of another process's issuer will be refused; copy its file"
                );
            }
            Ok(None)
        }
        Some(Tokens::Issuer { issuer, audience, jwks }) => {
            let keys = std::fs::read_to_string(jwks)
                .with_context(|| format!("cannot read the key set {}", jwks.display()))?;
            let verifier = Verifier::from_json(&keys, issuer, audience)
                .with_context(|| format!("the key set {}", jwks.display()))?;
            Ok(Some(verifier.with_claims(config.claims.clone())))
        }
    }
}

/// By the folder's own issuer.
fn sandbox_verifier(config: &Config) -> anyhow::Result<Verifier> {
    let issuer = SandboxIssuer::open_or_create(&Folder::create(&config.data)?.issuer())?;
    Ok(Verifier::new(&issuer.jwks(), issuer.issuer(), api::auth::AUDIENCE)?)
}

/// The HTTP server from the first moment to the last.
async fn listen(config: &Config, front: &Front, render_metrics: &RenderMetrics) -> anyhow::Result<Server> {
    let limits = descriptors::make_room(config.connections, config.database.connections_max)?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    Ok(Server::start(listener, front.router(), Arc::clone(render_metrics), limits)?)
}

fn print_where(config: &Config, address: SocketAddr) {
    let data = config.data.display();
    say(&format!("RewardHub on http://{address}, data in {data}"));
    match &config.log {
        LogPlace::Embedded => say("  log           in the data folder"),
        LogPlace::Postgres(place) => say(&format!("  log           {place} on PostgreSQL")),
    }
    say("  payouts       the sandbox rail: nobody is paid");
    if config.tokens == Some(Tokens::Sandbox) {
        say(&format!("  tokens        rewardhub token --data {data} --scope …"));
    }
}
