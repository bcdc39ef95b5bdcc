//! The ledger under load: a sandbox bank's rows, parsed, sealed, drawn and durable.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use ledger_core::account::CommandKind;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::engine::{CommandContext, EngineSettings, Ledger, SubmitError};
use ledger_core::ids::AccountId;
use ledger_core::keys::Keyring;
use ledger_core::log::Position;
use ledger_core::steps::intake::{Intake, Sources};
use ledger_core::time::Timestamp;
use tempfile::TempDir;

use crate::bank::Bank;
use crate::bare_ledger::BareLedger;
use crate::log_location::{Bytes, LogLocation, Place};
use rewardhub::campaign_file::parse_terms;
use rewardhub::folder::Folder;

/// Requests that are under way at once.
pub(crate) const IN_FLIGHT: usize = 8;
/// Lines in memory at once while histories are made.
const HISTORY_BLOCK: usize = 50_000;
/// Accounts opened at once.
const OPENINGS: usize = 4_096;
const CAMPAIGN: &str = include_str!("../../campaign.example.yaml");

/// A ledger with a running campaign and open accounts, and the bank that feeds it.
pub(crate) struct LedgerLoad {
    pub(crate) engine: BareLedger,
    bank: Bank,
    place: Place,
    folder: Folder,
    /// Where the folder is; gone with us.
    temporary: TempDir,
}

/// How long some rows took.
pub(crate) struct Taken {
    pub(crate) elapsed: Duration,
    /// From handing a request in to its last receipt, each.
    pub(crate) chunks: Vec<Duration>,
}

impl LedgerLoad {
    pub(crate) async fn open(location: &LogLocation, accounts: u32) -> anyhow::Result<LedgerLoad> {
        let temporary = tempfile::tempdir()?;
        let folder = Folder::create(temporary.path())?;
        let place = location.place().await?;
        let engine = BareLedger::start(place.log(&folder).await?, &folder, settings()).await?;
        start_campaign(&engine.ledger).await?;
        let bank = Bank::open("cus", accounts)?;
        let load = LedgerLoad { engine, bank, place, folder, temporary };
        load.enrol(&load.bank).await?;
        Ok(load)
    }

    /// Opens the accounts of all its customers.
    pub(crate) async fn enrol(&self, bank: &Bank) -> anyhow::Result<()> {
        enrol(&self.engine.ledger, &self.engine.keyring, bank, self.engine.clock.now()).await
    }

    /// Opens the accounts of all its customers and gives each about so many events: lines go to
    /// customers by chance.
    pub(crate) async fn enrol_with_history(&self, bank: &mut Bank, events: usize) -> anyhow::Result<()> {
        self.enrol(bank).await?;
        let mut missing = bank.accounts()?.len() * events;
        while missing > 0 {
            let rows = bank.rows(missing.min(HISTORY_BLOCK), self.engine.clock.now())?;
            self.take(&rows, 5_000).await?;
            missing -= rows.len();
        }
        Ok(())
    }

    /// The bank's next lines.
    pub(crate) fn rows(&mut self, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        self.bank.rows(count, self.engine.clock.now())
    }

    /// The same, half of them of one customer.
    pub(crate) fn rows_half_hot(&mut self, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        self.bank.rows_half_hot(count, self.engine.clock.now())
    }

    /// Takes all rows in, `chunk` in a request.
    pub(crate) async fn take(&self, rows: &[Vec<u8>], chunk: usize) -> anyhow::Result<Taken> {
        take(&self.engine.intake, rows, chunk).await
    }

    /// Stops and starts on the same log: no account is in memory.
    pub(crate) async fn reopen(self) -> anyhow::Result<LedgerLoad> {
        let LedgerLoad { engine, bank, place, folder, temporary } = self;
        engine.stop().await?;
        let engine = BareLedger::start(place.log(&folder).await?, &folder, settings()).await?;
        Ok(LedgerLoad { engine, bank, place, folder, temporary })
    }

    /// The last durable position.
    pub(crate) fn position(&self) -> Position {
        *self.engine.ledger.head().borrow()
    }

    /// What the log takes on the disk.
    pub(crate) async fn log_bytes(&self) -> anyhow::Result<Bytes> {
        self.place.bytes(&self.folder).await
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.engine.stop().await
    }
}

/// Takes all rows in, `chunk` in a request.
pub(crate) async fn take(intake: &Intake, rows: &[Vec<u8>], chunk: usize) -> anyhow::Result<Taken> {
    let began = Instant::now();
    let requests = rows.chunks(chunk).map(|rows| async move {
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        let began = Instant::now();
        let answers = intake.take(&rows, &Sources::All, CommandContext::new("bench", "bench", "")).await?;
        let elapsed = began.elapsed();
        let refused = answers.into_iter().find_map(|answer| answer.outcome.err());
        ensure!(refused.is_none(), "a row was refused: {refused:?}");
        Ok(elapsed)
    });
    let chunks = futures::stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect().await?;
    Ok(Taken { elapsed: began.elapsed(), chunks })
}

/// The example campaign, running.
pub(crate) async fn start_campaign(ledger: &Ledger) -> anyhow::Result<()> {
    let terms = terms()?;
    let id = terms.campaign_id.clone();
    for (by, kind) in [
        ("bench", CampaignCommandKind::Draft(Box::new(terms))),
        ("bench-approver", CampaignCommandKind::Approve { version: None }),
        ("bench", CampaignCommandKind::Start),
    ] {
        ledger.campaign(id.clone(), kind, CommandContext::new(by, "", "")).await??;
    }
    Ok(())
}

/// Opens the accounts of all customers of a bank.
pub(crate) async fn enrol(
    ledger: &Ledger,
    keyring: &Keyring,
    bank: &Bank,
    now: Timestamp,
) -> anyhow::Result<()> {
    let accounts = bank.accounts()?;
    for some in accounts.chunks(10_000) {
        keyring.ensure(some.iter().cloned().collect(), ledger.log(), now).await?;
    }
    open_accounts(ledger, accounts.into_iter()).await
}

/// The same holder each time, so that a new start need not wait for the lease of the last one.
fn settings() -> EngineSettings {
    EngineSettings { holder: "bench".into(), open_enrolment: true, ..EngineSettings::default() }
}

/// The example campaign.
pub(crate) fn terms() -> anyhow::Result<Terms> {
    parse_terms("campaign.example.yaml", CAMPAIGN)
}

pub(crate) async fn open_accounts(
    ledger: &Ledger,
    accounts: impl Iterator<Item = AccountId>,
) -> anyhow::Result<()> {
    let opening = accounts.map(|account| async {
        ledger.account(account, CommandKind::Open, CommandContext::new("bench", "bench", "")).await
    });
    let mut opened = futures::stream::iter(opening).buffer_unordered(OPENINGS);
    while let Some(answer) = opened.next().await {
        answer.map_err(|e: SubmitError| e)?.context("an account was not opened")?;
    }
    Ok(())
}
