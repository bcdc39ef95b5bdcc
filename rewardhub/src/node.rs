//! One running ledger on its stores: log, keys, engine, steps, projections, wired together.

use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use api::allowance::{self, Allowances};
use ledger_core::engine::{
    EngineSettings, KNOWN_KEY_BYTES, KeyringSeeds, Ledger, LedgerParts, QUEUED_BYTES, SeedVault, Stopped,
};
use ledger_core::ids::{Source, TransactionId};
use ledger_core::keys::Keyring;
use ledger_core::log::{EventLog, Position};
use ledger_core::steps::beacon::Beacon;
use ledger_core::steps::confirm::Confirm;
use ledger_core::steps::credit::Credit;
use ledger_core::steps::intake::Intake;
use ledger_core::steps::issue::Issue;
use ledger_core::steps::notify::Notify;
use ledger_core::steps::parked::ParkedItems;
use ledger_core::steps::ports::PayoutRail;
use ledger_core::steps::resume::Resume;
use ledger_core::steps::reveal::Reveal;
use ledger_core::steps::runner::StepError;
use ledger_core::steps::store::StepStore;
use ledger_core::steps::{self};
use ledger_core::time::{Clock, SystemClock};
use projections::{Progress, ReadStore, Runner};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::Config;
use crate::opened::{Stores, held_by};
use crate::outside::Outside;

/// The writer and its intake; enough for `ingest` and `campaign`.
pub struct Engine {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The keys of personal details.
    pub keyring: Arc<Keyring>,
    /// The ledger.
    pub ledger: Ledger,
    /// The way in.
    pub intake: Intake,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    seeds: Arc<dyn SeedVault>,
    /// `None` once it has been heard.
    stopped: Option<oneshot::Receiver<Stopped>>,
    noting: AbortOnDrop,
    /// Kept until the writer has stopped.
    stores: Arc<Stores>,
}

/// How often somebody who waits for the lease asks for it.
pub const ASK_AGAIN: Duration = Duration::from_millis(250);

impl Engine {
    /// Takes the lease and starts the writer.
    pub async fn start(stores: &Arc<Stores>, settings: &EngineSettings) -> anyhow::Result<Engine> {
        stores.check().await?;
        let (log, keyring) = (Arc::clone(&stores.log.events), Arc::clone(&stores.keyring));
        let seeds: Arc<dyn SeedVault> = Arc::new(KeyringSeeds::new(Arc::clone(&keyring)));
        let parts =
            LedgerParts { log: stores.log.clone(), clock: Arc::new(SystemClock), seeds: Arc::clone(&seeds) };
        let (ledger, stopped) = Ledger::start(parts, settings.clone()).await?;
        // Nobody goes by a clock that has leapt.
        let clock: Arc<dyn Clock> = Arc::clone(ledger.clock()) as _;
        let open = settings.open_enrolment;
        let intake = Intake::new(ledger.clone(), Arc::clone(&keyring), Arc::clone(&clock), open);
        let (stopped, stores) = (Some(stopped), Arc::clone(stores));
        let noting = AbortOnDrop(tokio::spawn(keep_noting(Arc::downgrade(&stores), ledger.head())));
        Ok(Engine { log, keyring, ledger, intake, clock, seeds, stopped, noting, stores })
    }

    /// For a command that writes and ends: opens what the configuration names and becomes its
    /// writer. A lease that a killed process left behind is waited for.
    pub async fn open(config: &Config, command: &str) -> anyhow::Result<Engine> {
        let stores = Arc::new(Stores::open(config, command).await?);
        let settings = settings(config, &stores);
        let patience = stores.log.lease.ttl().unwrap_or_default() + ASK_AGAIN;
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            match Engine::start(&stores, &settings).await {
                Err(error) if held_by(&error).is_some() && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                Err(error) if held_by(&error).is_some() => {
                    return Err(error.context("while a service runs, go through it with --url and a token"));
                }
                started => return started,
            }
        }
    }

    /// What the steps have given up.
    pub fn parked(&self) -> anyhow::Result<ParkedItems> {
        Ok(ParkedItems::new(Arc::new(self.stores.step_store()?), Arc::clone(&self.log)))
    }

    /// Makes the file of the rail's books; see [`Stores::make_rail`].
    pub(crate) fn make_rail(&self) -> anyhow::Result<std::path::PathBuf> {
        self.stores.make_rail()
    }

    /// Lets the writer finish what it was given, and gives the lease back.
    pub async fn stop(self) -> anyhow::Result<()> {
        // The stores last: a data folder's lock is held until then.
        let Engine { ledger, intake, stopped, stores, noting, .. } = self;
        let head = ledger.head();
        drop((ledger, intake, noting));
        let ended = match stopped {
            Some(stopped) => stopped.await.map(drop).context("the writer's thread died"),
            None => Ok(()),
        };
        let head = *head.borrow();
        if let Err(error) = stores.note(head).await {
            tracing::warn!(reason = format!("{error:#}"), "how far the log has come could not be noted");
        }
        // It waits for whoever reads the files.
        ended.and(tokio::task::spawn_blocking(move || stores.close()).await?)
    }
}

/// How often it is noted how far the log has come.
const NOTE_EVERY: Duration = Duration::from_secs(15);

async fn keep_noting(stores: Weak<Stores>, mut head: watch::Receiver<Position>) {
    while head.changed().await.is_ok() {
        let head = *head.borrow_and_update();
        let Some(stores) = stores.upgrade() else { return };
        // The next time will do.
        if let Err(error) = stores.note(head).await {
            tracing::debug!(reason = format!("{error:#}"), "how far the log has come could not be noted");
        }
        drop(stores);
        tokio::time::sleep(NOTE_EVERY).await;
    }
}

/// A task that ends with its handle.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The engine's settings for these stores.
pub fn settings(config: &Config, stores: &Stores) -> EngineSettings {
    let open_enrolment = config.open_enrolment.unwrap_or_else(|| stores.enrolment_is_open());
    let memory = config.memory;
    EngineSettings {
        open_enrolment,
        clock_ahead_max: config.clock_ahead_max,
        accounts_bytes: memory.accounts,
        keys_max: memory.transaction_keys / KNOWN_KEY_BYTES,
        filter_bits: memory.filter * 8,
        queue_transactions: memory.queue / QUEUED_BYTES,
        ..EngineSettings::default()
    }
}

/// An engine with everything that reads its log.
pub struct Node {
    /// The writer and the way in.
    pub engine: Engine,
    /// The read models.
    pub read: ReadStore,
    /// How far the read models have come.
    pub progress: Progress,
    /// What its steps have given up.
    pub parked: ParkedItems,
    rail: Arc<dyn PayoutRail>,
    stop: watch::Sender<bool>,
    readers: JoinSet<anyhow::Result<()>>,
}

/// What reads an engine's log, opened and not running yet.
pub struct Readers {
    step_store: Arc<dyn StepStore>,
    read: ReadStore,
    runner: Runner,
    progress: Progress,
}

impl Readers {
    /// Opens them on the engine's stores. What fails for the moment can be tried again: the engine
    /// goes on.
    pub async fn open(engine: &Engine) -> anyhow::Result<Readers> {
        let stores = &engine.stores;
        let head = *engine.ledger.head().borrow();
        stores.note(head).await?;
        let step_store = Arc::new(stores.step_store()?);
        let read = stores.read_models().await?;
        let (runner, progress) = Runner::new(Arc::clone(&engine.log), read.clone())?;
        Ok(Readers { step_store, read, runner, progress })
    }
}

/// Why a node cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// Another process is the writer now.
    Fenced,
    /// A reader of the log stopped by itself, or the writer died.
    Fault(anyhow::Error),
}

impl Node {
    /// Starts steps and projections around an engine.
    pub async fn start(engine: Engine, outside: Outside) -> anyhow::Result<Node> {
        let opened = Readers::open(&engine).await?;
        Node::start_with(engine, opened, outside)
    }

    /// The same with readers that are open already.
    pub fn start_with(engine: Engine, opened: Readers, outside: Outside) -> anyhow::Result<Node> {
        let Readers { step_store, read, runner, progress } = opened;
        let Outside { rail, confirmations, notifier, beacons } = outside;
        let parked = ParkedItems::new(Arc::clone(&step_store), Arc::clone(&engine.log));
        let (stop, stopping) = watch::channel(false);
        let mut readers = JoinSet::new();
        let ledger = || engine.ledger.clone();
        macro_rules! step {
            ($step:expr) => {
                let (log, step_store) = (Arc::clone(&engine.log), Arc::clone(&step_store));
                let run =
                    steps::run(Arc::new($step), log, step_store, engine.ledger.head(), stopping.clone());
                readers.spawn(async { run.await.context("a step stopped") });
            };
        }
        step!(Issue::new(ledger()));
        step!(Notify::new(ledger(), notifier));
        step!(Credit::new(ledger(), Arc::clone(&rail)));
        step!(Resume::new(ledger(), Arc::clone(&engine.log), Arc::clone(&engine.keyring)));
        let (log, seeds) = (Arc::clone(&engine.log), Arc::clone(&engine.seeds));
        let reveal = Reveal::new(ledger(), log, seeds, Arc::clone(&step_store)).run(stopping.clone());
        readers.spawn(async {
            reveal.await;
            Ok(())
        });
        let beacon = Beacon::new(ledger(), beacons).run(stopping.clone());
        readers.spawn(async {
            beacon.await;
            Ok(())
        });
        let confirm = Confirm::new(ledger(), confirmations).run(stopping.clone());
        readers.spawn(async {
            confirm.await;
            Ok(())
        });
        let runtime = tokio::runtime::Handle::current();
        let projections = runner.spawn(runtime, engine.ledger.head(), stopping.clone())?;
        readers.spawn(follow(projections, stopping));
        Ok(Node { engine, read, progress, parked, rail, stop, readers })
    }

    /// What people decide about items that steps have given up.
    fn parked(&self) -> api::parked::Parked {
        api::parked::Parked { items: self.parked.clone(), ledger: self.engine.ledger.clone() }
    }

    /// What the API needs of it.
    pub fn api_state(&self, around: ApiSettings) -> api::ApiState {
        let ApiSettings {
            verifier,
            per_token,
            ready,
            bodies,
            render_metrics,
            production,
            page_tokens,
            demo,
            origins,
        } = around;
        let health = self.engine.ledger.health();
        api::ApiState {
            verifier,
            allowances: Arc::new(Allowances::new(per_token)),
            clock: Arc::clone(&self.engine.clock),
            intake: Arc::new(self.engine.intake.clone()),
            bodies: api::bodies::Bodies::new(bodies),
            campaigns: Arc::new(self.engine.ledger.clone()),
            accounts: Arc::new(self.engine.intake.clone()),
            parked: Arc::new(self.parked()),
            switches: Arc::new(self.engine.ledger.clone()),
            writer_healthy: Arc::new(move || *health.borrow()),
            time: Arc::new(self.engine.ledger.clone()),
            log: Arc::clone(&self.engine.log),
            read: self.read.clone(),
            progress: self.progress.clone(),
            ready,
            keyring: Arc::clone(&self.engine.keyring),
            render_metrics,
            production,
            page_tokens,
            demo: demo.into(),
            origins,
        }
    }

    /// Ends once the writer or a reader of the log has stopped by itself, with the reason.
    pub async fn failed(&mut self) -> Failure {
        loop {
            let Engine { stopped, .. } = &mut self.engine;
            tokio::select! {
                ended = async { stopped.as_mut().expect("asked for").await }, if stopped.is_some() => {
                    self.engine.stopped = None;
                    return match ended {
                        Ok(Stopped::Fenced) => Failure::Fenced,
                        Ok(Stopped::Drained) | Err(_) => Failure::Fault(anyhow::anyhow!("the writer died")),
                    };
                }
                Some(ended) = self.readers.join_next() => match ended {
                    Ok(Ok(())) => {}
                    // The writer itself will say why.
                    Ok(Err(error)) if is_not_writer(&error) => {}
                    Ok(Err(error)) => return Failure::Fault(error),
                    Err(error) => return Failure::Fault(error.into()),
                },
                else => return std::future::pending().await,
            }
        }
    }

    /// Stops readers, then the writer. What was acknowledged is durable; what was under way goes on
    /// next time.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let Node { engine, rail, readers, parked, .. } = self;
        let ended = readers.join_all().await.into_iter().collect::<anyhow::Result<()>>();
        let head = *engine.ledger.head().borrow();
        let noted = engine.stores.note_beside(head).await;
        // The rail's thread writes until nobody holds it any more; the items hold the log.
        drop((rail, parked));
        let stopped = engine.stop().await;
        ended.and(noted).and(stopped)
    }
}

/// Ends with the projections. Where the read models are wrong for good, transactions are still
/// taken, and `/readyz` says that the read models stopped. A passing fault that stopped them ends
/// the node: the next start may go well.
async fn follow(
    projections: std::thread::JoinHandle<Result<(), projections::ProjectionError>>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let ended = tokio::task::spawn_blocking(move || projections.join()).await?;
    let ended = ended.map_err(|_| anyhow::anyhow!("the projections died"))?;
    if let Err(error) = &ended
        && !error.transient()
    {
        tracing::error!(error = error as &dyn std::error::Error, "the read models are not updated any more");
        let _ = stop.wait_for(|stop| *stop).await;
    }
    ended.context("the projections stopped")
}

/// What the API is told by whoever serves it.
pub struct ApiSettings {
    /// Checks tokens.
    pub verifier: Arc<api::auth::Verifier>,
    /// What each token's bearer may cost.
    pub per_token: allowance::Limits,
    /// When it is ready.
    pub ready: api::health::Bounds,
    /// Bytes of bodies that may be held at once.
    pub bodies: usize,
    /// Renders the metrics.
    pub render_metrics: crate::telemetry::RenderMetrics,
    /// See [`api::ApiState::production`].
    pub production: bool,
    /// See [`api::ApiState::page_tokens`].
    pub page_tokens: Option<api::explorer::MakeTokens>,
    /// See [`api::ApiState::demo`].
    pub demo: Vec<(Source, TransactionId)>,
    /// Web apps that may read answers.
    pub origins: api::cors::Origins,
}

fn is_not_writer(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StepError::NotWriter { .. })))
}
