//! A ledger to test with: its clock, keys, seeds and log, and rows to give it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use ledger_core::account::event::Verdict;
use ledger_core::account::{AccountAnswer, CommandKind, Rejection};
use ledger_core::campaign::terms::Terms;
use ledger_core::campaign::{CampaignAnswer, CampaignCommandKind, CampaignRejection};
use ledger_core::draw::Seed;
use ledger_core::engine::{
    CommandContext, EngineSettings, KeyringSeeds, Ledger, LedgerParts, Receipt, RowResult, SeedVault,
    Stopped, SubmitError,
};
use ledger_core::ids::{CampaignId, push_lp};
use ledger_core::keys::{FileKeyProvider, Keyring, SealError, Sealed};
use ledger_core::log::{EventLog, Log, Position};
use ledger_core::money::{Currency, Money};
use ledger_core::steps::intake::{Intake, RowAnswer, Sources};
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::transaction::{RowCode, RowError};
use serde_json::{Value, json};
use support::{ManualClock, SimulatedLog};
use tokio::sync::oneshot;

pub(crate) const NOON: &str = "2026-11-22T12:00:00Z";
/// So few that new lines are now and then taken for known.
const FILTER_BITS: usize = 1 << 9;
pub(crate) const HOUR_MICROS: i64 = 3_600_000_000;

pub(crate) fn at(text: &str) -> Timestamp {
    serde_json::from_value(json!(text)).unwrap()
}

pub(crate) fn epoch(text: &str) -> Epoch {
    text.parse().unwrap()
}

pub(crate) fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap()
}

pub(crate) fn context() -> CommandContext {
    CommandContext::new("test", "c", "f")
}

/// What outlives a process: keys and the world's clock. The log is given to each node.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) seeds: Arc<dyn SeedVault>,
}

/// Seeds that are the same in every run with the same number.
pub(crate) struct FixedSeeds {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) number: u64,
}

impl SeedVault for FixedSeeds {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        let mut message = self.number.to_be_bytes().to_vec();
        push_lp(&mut message, campaign.as_str().as_bytes());
        push_lp(&mut message, epoch.to_string().as_bytes());
        let bytes = digest::digest(&digest::SHA256, &message);
        let seed = Seed::new(bytes.as_ref().try_into().unwrap());
        let sealed = self.keyring.seal_seed(campaign, epoch, &seed)?;
        Ok((seed, sealed))
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        self.keyring.open_seed(campaign, epoch, sealed)
    }
}

/// The keys of this folder. On a thread of its own, so that a test need not wait to have a world.
pub(crate) fn keyring(folder: &Path) -> Keyring {
    let provider = FileKeyProvider::open_or_create(&folder.join("root.key")).unwrap();
    let keys = folder.join("keys.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let open = move || runtime.block_on(stores::keys::open(&keys, Arc::new(provider))).unwrap();
    std::thread::spawn(open).join().unwrap()
}

impl World {
    /// Seeds from the operating system, as in production.
    pub(crate) fn new() -> World {
        World::at(at(NOON))
    }

    /// The same at another time.
    pub(crate) fn at(now: Timestamp) -> World {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(keyring(folder.path()));
        let clock = Arc::new(ManualClock::at(now));
        let seeds = Arc::new(KeyringSeeds::new(Arc::clone(&keyring)));
        World { folder, clock, keyring, seeds }
    }

    /// The same folder and clock, in a process that has nothing in memory.
    pub(crate) fn restarted(self) -> World {
        let keyring = Arc::new(keyring(self.folder.path()));
        let seeds = Arc::new(KeyringSeeds::new(Arc::clone(&keyring)));
        World { keyring, seeds, ..self }
    }

    /// The same draws in every world of the same number.
    pub(crate) fn seeded(number: u64) -> World {
        let world = World::new();
        let seeds = Arc::new(FixedSeeds { keyring: Arc::clone(&world.keyring), number });
        World { seeds, ..world }
    }

    pub(crate) async fn start(&self, log: impl Into<Log>) -> Node {
        self.start_with(log, EngineSettings::default()).await
    }

    pub(crate) async fn start_with(&self, log: impl Into<Log>, settings: EngineSettings) -> Node {
        let log = log.into();
        let parts = LedgerParts {
            log: log.clone(),
            clock: Arc::clone(&self.clock) as _,
            seeds: Arc::clone(&self.seeds),
        };
        let settings = EngineSettings { open_enrolment: true, filter_bits: FILTER_BITS, ..settings };
        let (ledger, stopped) = Ledger::start(parts, settings).await.unwrap();
        let intake =
            Intake::new(ledger.clone(), Arc::clone(&self.keyring), Arc::clone(&self.clock) as _, true);
        Node { ledger, intake, stopped, log: log.events }
    }

    /// A node on a simulated log of its own with one campaign that runs.
    pub(crate) async fn with(&self, terms: Terms) -> (Node, SimulatedLog) {
        let log = SimulatedLog::new();
        let node = self.start(Arc::new(log.reopen())).await;
        node.run(terms).await;
        (node, log)
    }
}

/// One process.
pub(crate) struct Node {
    pub(crate) ledger: Ledger,
    pub(crate) intake: Intake,
    pub(crate) stopped: oneshot::Receiver<Stopped>,
    pub(crate) log: Arc<dyn EventLog>,
}

impl Node {
    /// Drafts, approves and starts a campaign.
    pub(crate) async fn run(&self, terms: Terms) {
        let id = terms.campaign_id.clone();
        for (by, kind) in [
            ("alice", CampaignCommandKind::Draft(Box::new(terms))),
            ("bob", CampaignCommandKind::Approve { version: None }),
            ("alice", CampaignCommandKind::Start),
        ] {
            assert_eq!(self.campaign_by(by, &id, kind).await, Ok(CampaignAnswer::Done));
        }
    }

    pub(crate) async fn campaign_by(
        &self,
        by: &str,
        id: &CampaignId,
        kind: CampaignCommandKind,
    ) -> Result<CampaignAnswer, CampaignRejection> {
        self.ledger.campaign(id.clone(), kind, CommandContext::new(by, "", "")).await.unwrap()
    }

    pub(crate) async fn campaign(&self, id: &CampaignId, kind: CampaignCommandKind) -> CampaignAnswer {
        self.ledger.campaign(id.clone(), kind, context()).await.unwrap().unwrap()
    }

    /// Two people say the same of a held line.
    pub(crate) async fn review(&self, line: &Value, verdict: Verdict) -> Result<AccountAnswer, Rejection> {
        let word = |field: &str| line[field].as_str().unwrap();
        let kind = CommandKind::Review {
            source: word("source").parse().unwrap(),
            transaction_id: word("transaction_id").parse().unwrap(),
            verdict,
            reason: "the bank's mistake".into(),
        };
        let by = |who| {
            self.ledger.account(
                word("account_id").parse().unwrap(),
                kind.clone(),
                CommandContext::new(who, "", ""),
            )
        };
        by("alice").await.unwrap()?;
        by("bob").await.unwrap()
    }

    pub(crate) async fn try_take(&self, rows: &[Value]) -> Result<Vec<RowAnswer>, SubmitError> {
        let rows: Vec<Vec<u8>> = rows.iter().map(|row| row.to_string().into_bytes()).collect();
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        self.intake.take(&rows, &Sources::All, context()).await
    }

    pub(crate) async fn take(&self, rows: &[Value]) -> Vec<Result<Receipt, RowError>> {
        let answers = self.try_take(rows).await.unwrap();
        for (row, answer) in rows.iter().zip(&answers) {
            assert_eq!(
                row["transaction_id"].as_str(),
                answer.transaction_id.as_deref(),
                "answers are in order"
            );
        }
        answers.into_iter().map(|answer| answer.outcome).collect()
    }

    pub(crate) async fn one(&self, row: &Value) -> Result<Receipt, RowError> {
        self.take(std::slice::from_ref(row)).await.remove(0)
    }

    /// Lets the writer finish what it was given and end.
    pub(crate) async fn stop(self) -> Stopped {
        let Node { ledger, intake, stopped, .. } = self;
        drop((ledger, intake));
        stopped.await.unwrap()
    }
}

/// A campaign that everybody may enter: `change` edits its terms.
pub(crate) fn terms(change: impl FnOnce(&mut Value)) -> Terms {
    let mut terms = json!({
        "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London",
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "big", "odds_ppb": 100_000_000, "prize": { "fixed": 700 } },
            { "name": "small", "odds_ppb": 300_000_000, "prize": { "fixed": 90 } },
            { "name": "share", "odds_ppb": 300_000_000, "prize": { "share_bps": 500, "max": 50 } },
        ] },
        "budget": { "minor": 100_000_000, "currency": "GBP" }, "grace_days": 2,
    });
    change(&mut terms);
    serde_json::from_value(terms).unwrap()
}

pub(crate) fn campaign_id() -> CampaignId {
    "everyday".parse().unwrap()
}

/// A booked purchase of GBP 12.50, this morning.
pub(crate) fn row(id: &str, account: &str) -> Value {
    json!({
        "source": "bank", "transaction_id": id, "account_id": account, "status": "booked",
        "booked_at": "2026-11-22T10:15:00Z", "amount": { "minor": "1250", "currency": "GBP" },
        "direction": "debit", "from_account": "GB29NWBK60161331926819", "description": "COFFEE",
        "merchant": { "id": "m_42", "mcc": "5814" },
    })
}

/// The row with one field changed.
pub(crate) fn with(row: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut row = row.clone();
    row[field] = value.into();
    row
}

/// Purchases `from..to`, spread over five customers.
pub(crate) fn rows(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| row(&format!("tx-{n}"), &format!("cus-{}", n % 5))).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "to be compared with an answer")]
pub(crate) fn duplicate_of(original: &Receipt) -> Result<Receipt, RowError> {
    Ok(Receipt { result: RowResult::Duplicate, position: original.position, won: None })
}

pub(crate) fn code(outcome: &Result<Receipt, RowError>) -> Option<RowCode> {
    outcome.as_ref().err().map(|error| error.code)
}

pub(crate) fn place(outcome: &Result<Receipt, RowError>) -> Position {
    outcome.as_ref().unwrap().position.unwrap()
}

/// Random numbers that are the same in every run (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(n).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Lets time pass until `done`. A minute of real time is only for a test that would never end.
pub(crate) async fn eventually(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_mins(1), "this does not come to an end");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
