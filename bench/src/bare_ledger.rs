//! A ledger that runs without steps and projections: log, keys, writer, intake.

use std::sync::Arc;

use anyhow::Context as _;
use ledger_core::engine::{EngineSettings, KeyringSeeds, Ledger, LedgerParts, Stopped};
use ledger_core::keys::{FileKeyProvider, Keyring};
use ledger_core::log::{EventLog, Log};
use ledger_core::steps::intake::Intake;
use ledger_core::time::{Clock, SystemClock};
use tokio::sync::oneshot;

use rewardhub::folder::Folder;

pub(crate) struct BareLedger {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) ledger: Ledger,
    pub(crate) intake: Intake,
    pub(crate) clock: Arc<dyn Clock>,
    stopped: oneshot::Receiver<Stopped>,
}

impl BareLedger {
    /// Starts on this log, with its keys in the folder.
    pub(crate) async fn start(
        log: Log,
        folder: &Folder,
        settings: EngineSettings,
    ) -> anyhow::Result<BareLedger> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let provider = FileKeyProvider::open_or_create(&folder.root_key())?;
        let keyring = Arc::new(stores::keys::open(&folder.keys(), Arc::new(provider)).await?);
        let seeds = Arc::new(KeyringSeeds::new(Arc::clone(&keyring)));
        let parts = LedgerParts { log: log.clone(), clock: Arc::clone(&clock), seeds };
        let (ledger, stopped) = Ledger::start(parts, settings).await?;
        let intake = Intake::new(ledger.clone(), Arc::clone(&keyring), Arc::clone(&clock), true);
        Ok(BareLedger { log: log.events, keyring, ledger, intake, clock, stopped })
    }

    /// Lets the writer finish what it was given.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let BareLedger { ledger, intake, stopped, .. } = self;
        drop((ledger, intake));
        stopped.await.context("the writer's thread died")?;
        Ok(())
    }
}
