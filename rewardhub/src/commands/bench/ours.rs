//! The ledger under load: a sandbox bank's rows, parsed, sealed, drawn and durable.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::sandbox::bank::{Customer, Mix};
use adapters::sandbox::{Generator, GeneratorConfig};
use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use ledger_core::account::CommandKind;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::engine::{Context, Ledger, Settings, SubmitError};
use ledger_core::ids::AccountId;
use ledger_core::log::Position;
use ledger_core::steps::intake::Sources;
use tempfile::TempDir;

use crate::commands::campaign::{command, parse_terms};
use crate::folder::Folder;
use crate::node::Engine;
use crate::stores::Stores;

/// Requests that are under way at once.
pub(super) const IN_FLIGHT: usize = 8;
/// Accounts opened at once.
const OPENINGS: usize = 4_096;
const CAMPAIGN: &str = include_str!("../../../../campaign.example.yaml");

/// A ledger with a running campaign and open accounts, and the bank that feeds it.
pub(super) struct Ours {
    temporary: TempDir,
    pub(super) engine: Engine,
    bank: Generator,
}

/// How long some rows took.
pub(super) struct Taken {
    pub(super) elapsed: Duration,
    /// From handing a request in to its last receipt, each.
    pub(super) chunks: Vec<Duration>,
}

impl Ours {
    pub(super) async fn open(accounts: u32) -> anyhow::Result<Ours> {
        let temporary = tempfile::tempdir()?;
        let engine = start(temporary.path()).await?;
        let terms = terms()?;
        let id = terms.campaign_id.clone();
        for kind in [
            CampaignCommandKind::Draft(Box::new(terms)),
            CampaignCommandKind::Approve,
            CampaignCommandKind::Start,
        ] {
            command(&engine.ledger, &id, kind, "bench").await?;
        }
        let bank = Generator::new(GeneratorConfig {
            seed: 1,
            customers: accounts,
            source: "bench_bank".into(),
            run: "bench".into(),
            mix: Mix::plain(),
        })?;
        let ids: Vec<&AccountId> = bank.customers().iter().map(Customer::account_id).collect();
        for some in ids.chunks(10_000) {
            engine.keyring.ensure(some, engine.clock.now())?;
        }
        open_accounts(&engine.ledger, ids.iter().copied().cloned()).await?;
        Ok(Ours { temporary, engine, bank })
    }

    /// The bank's next lines.
    pub(super) fn rows(&mut self, count: usize) -> Vec<Vec<u8>> {
        let now = self.engine.clock.now();
        (0..count).map(|_| self.bank.next(now).json.into_bytes()).collect()
    }

    /// Takes all rows in, `chunk` in a request.
    pub(super) async fn take(&self, rows: &[Vec<u8>], chunk: usize) -> anyhow::Result<Taken> {
        let began = Instant::now();
        let requests = rows.chunks(chunk).map(|rows| async move {
            let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            let began = Instant::now();
            let answers =
                self.engine.intake.take(&rows, &Sources::All, Context::new("bench", "bench", "")).await?;
            let elapsed = began.elapsed();
            let refused = answers.into_iter().find_map(|answer| answer.outcome.err());
            ensure!(refused.is_none(), "a row was refused: {refused:?}");
            Ok(elapsed)
        });
        let chunks = futures::stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect().await?;
        Ok(Taken { elapsed: began.elapsed(), chunks })
    }

    /// Stops and starts on the same folder: no account is in memory.
    pub(super) async fn reopen(&mut self) -> anyhow::Result<()> {
        let spare = tempfile::tempdir()?;
        let idle = start(spare.path()).await?;
        std::mem::replace(&mut self.engine, idle).stop().await?;
        let idle = std::mem::replace(&mut self.engine, start(self.temporary.path()).await?);
        idle.stop().await
    }

    /// The last durable position.
    pub(super) fn position(&self) -> Position {
        *self.engine.ledger.head().borrow()
    }

    /// The size of the log once all of it is in one file.
    pub(super) fn log_bytes(&self) -> anyhow::Result<u64> {
        let log = Folder::existing(self.temporary.path())?.log();
        let connection = rusqlite::Connection::open(&log)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
        Ok(std::fs::metadata(log)?.len())
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.engine.stop().await
    }
}

/// The example campaign.
pub(super) fn terms() -> anyhow::Result<Terms> {
    parse_terms(CAMPAIGN).context("campaign.example.yaml")
}

pub(super) async fn open_accounts(
    ledger: &Ledger,
    accounts: impl Iterator<Item = AccountId>,
) -> anyhow::Result<()> {
    let opening = accounts.map(|account| async {
        ledger.account(account, CommandKind::Open, Context::new("bench", "bench", "")).await
    });
    let mut opened = futures::stream::iter(opening).buffer_unordered(OPENINGS);
    while let Some(answer) = opened.next().await {
        answer.map_err(|e: SubmitError| e)?.context("an account was not opened")?;
    }
    Ok(())
}

async fn start(path: &Path) -> anyhow::Result<Engine> {
    let folder = Folder::create(path)?;
    let lock = folder.lock("bench")?;
    let stores = Arc::new(Stores::embedded(&folder, lock)?);
    Engine::start(&stores, &Settings { open_enrolment: true, ..Settings::default() }).await
}
