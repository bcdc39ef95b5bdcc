//! One running ledger on a data folder: log, keys, engine, steps, projections, wired together.

use std::sync::Arc;

use adapters::sandbox::rail::Payment;
use adapters::sandbox::{Misbehaviour, RecordingNotifier, SandboxRail};
use anyhow::Context as _;
use ledger_core::account::CommandKind;
use ledger_core::engine::{Context, KeyringSeeds, Ledger, Parts, SeedVault, Settings, Stopped, SubmitError};
use ledger_core::log::EventLog;
use ledger_core::log::sqlite::{SqliteLog, SqliteOptions};
use ledger_core::seal::{FileKeyProvider, Keyring};
use ledger_core::steps::checkpoints::Checkpoints;
use ledger_core::steps::credit::Credit;
use ledger_core::steps::intake::Intake;
use ledger_core::steps::issue::Issue;
use ledger_core::steps::notify::Notify;
use ledger_core::steps::ports::{PayoutKey, PayoutStatus};
use ledger_core::steps::resume::Resume;
use ledger_core::steps::reveal::Reveal;
use ledger_core::steps::{self};
use ledger_core::time::{Clock, SystemClock};
use projections::{Progress, ReadStore, Runner};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::folder::{Folder, Lock};

/// The writer and its intake on a locked folder; enough for `ingest` and `campaign`.
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
    stopped: oneshot::Receiver<Stopped>,
    _lock: Lock,
}

impl Engine {
    /// Opens the folder's log and keys and starts the writer. The embedded ledger opens accounts by their first
    /// transaction.
    pub async fn start(folder: &Folder, lock: Lock) -> anyhow::Result<Engine> {
        folder.check_complete()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // Keys first: a log never has an event whose key is not there.
        let provider = FileKeyProvider::open_or_create(&folder.root_key())?;
        let keyring = Arc::new(Keyring::open(&folder.keys(), Arc::new(provider))?);
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(&folder.log(), &SqliteOptions::default())?);
        let seeds: Arc<dyn SeedVault> = Arc::new(KeyringSeeds::new(Arc::clone(&keyring)));
        let settings = Settings { open_enrolment: true, ..Settings::default() };
        let parts = Parts { log: Arc::clone(&log), clock: Arc::clone(&clock), seeds: Arc::clone(&seeds) };
        let (ledger, stopped) = Ledger::start(parts, settings).await?;
        let intake = Intake::new(ledger.clone(), Arc::clone(&keyring), Arc::clone(&clock), true);
        Ok(Engine { log, keyring, ledger, intake, clock, seeds, stopped, _lock: lock })
    }

    /// Lets the writer finish what it was given.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Engine { ledger, intake, stopped, .. } = self;
        drop((ledger, intake));
        stopped.await.context("the writer's thread died")?;
        Ok(())
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
    /// The sandbox's payout rail.
    pub rail: Arc<SandboxRail>,
    /// Whom the sandbox told.
    pub notifier: Arc<RecordingNotifier>,
    stop: watch::Sender<bool>,
    readers: JoinSet<anyhow::Result<()>>,
    projections: std::thread::JoinHandle<Result<(), projections::ProjectionError>>,
}

/// Notifications the sandbox remembers.
const NOTIFICATIONS: usize = 10_000;
/// Late confirmations that may wait.
const CONFIRMATIONS: usize = 1_024;

impl Node {
    /// Starts steps and projections on an engine.
    pub async fn start(folder: &Folder, lock: Lock, misbehaviour: Misbehaviour) -> anyhow::Result<Node> {
        let engine = Engine::start(folder, lock).await?;
        let rail = Arc::new(SandboxRail::open(&folder.rail(), misbehaviour, Arc::clone(&engine.clock))?);
        let notifier = Arc::new(RecordingNotifier::new(NOTIFICATIONS));
        let checkpoints = Arc::new(Checkpoints::open(&folder.steps())?);
        let (stop, stopping) = watch::channel(false);
        let mut readers = JoinSet::new();
        let ledger = || engine.ledger.clone();
        let clock = || Arc::clone(&engine.clock);
        macro_rules! step {
            ($step:expr) => {
                let (log, checkpoints) = (Arc::clone(&engine.log), Arc::clone(&checkpoints));
                let run =
                    steps::run(Arc::new($step), log, checkpoints, engine.ledger.head(), stopping.clone());
                readers.spawn(async { run.await.context("a step stopped") });
            };
        }
        step!(Issue::new(ledger()));
        step!(Notify::new(ledger(), Arc::clone(&notifier) as _));
        step!(Credit::new(ledger(), Arc::clone(&rail) as _, clock()));
        step!(Resume::new(ledger(), Arc::clone(&engine.keyring), clock()));
        let reveal =
            Reveal::new(ledger(), Arc::clone(&engine.log), Arc::clone(&engine.seeds)).run(stopping.clone());
        readers.spawn(async {
            reveal.await;
            Ok(())
        });
        readers.spawn(confirmations(Arc::clone(&rail), ledger(), stopping.clone()));
        let read = ReadStore::open(&folder.read())?;
        let (runner, progress) = Runner::new(Arc::clone(&engine.log), read.clone())?;
        let projections = runner.spawn(tokio::runtime::Handle::current(), engine.ledger.head(), stopping)?;
        Ok(Node { engine, read, progress, rail, notifier, stop, readers, projections })
    }

    /// Ends once a reader of the log has stopped by itself, with its reason.
    pub async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.readers.join_next().await {
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return error.into(),
                Some(Ok(Ok(()))) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// Stops readers, then the writer. What was acknowledged is durable; what was under way goes on next time.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.readers.join_all().await.into_iter().collect::<anyhow::Result<()>>()?;
        let projections = self.projections;
        tokio::task::spawn_blocking(move || projections.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the projections died"))??;
        self.engine.stop().await
    }
}

/// Rails confirm late, and twice: each confirmation is a fact for the ledger, never refused.
async fn confirmations(
    rail: Arc<SandboxRail>,
    ledger: Ledger,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut received = rail.confirmations(CONFIRMATIONS);
    loop {
        let confirmation = tokio::select! {
            confirmation = received.recv() => confirmation,
            _ = stop.changed() => return Ok(()),
        };
        let Some(confirmation) = confirmation else { return Ok(()) };
        let Payment { key, account_id, status, .. } = confirmation.payment;
        let PayoutStatus::Paid(payout_reference) = status else { continue };
        let PayoutKey { entry_id, attempt } = key;
        let kind = CommandKind::ConfirmCredit { entry_id, attempt, payout_reference };
        match ledger.account(account_id, kind, Context::new("rail:sandbox", "", "")).await {
            Ok(Ok(_)) | Err(SubmitError::Full | SubmitError::Unavailable) => {}
            Ok(Err(rejection)) => {
                tracing::error!(reward.id = %entry_id, %rejection, "a confirmation contradicts the ledger")
            }
            Err(SubmitError::NotWriter) => return Ok(()),
        }
    }
}
