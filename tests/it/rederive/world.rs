//! A ledger in this process, under a set clock and with fixed seeds, on the data folder that the
//! real binary audits.

use std::sync::Arc;

use adapters::sandbox::bank::Mix;
use adapters::sandbox::{Generator, GeneratorConfig};
use ledger_core::account::CommandKind;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::draw::Seed;
use ledger_core::engine::{
    CommandContext, EngineSettings, Ledger, LedgerParts, SeedVault, Stopped, SubmitError,
};
use ledger_core::event::decode;
use ledger_core::ids::CampaignId;
use ledger_core::keys::{FileKeyProvider, Keyring, SealError, Sealed};
use ledger_core::log::{EventLog, Position};
use ledger_core::steps::Step as _;
use ledger_core::steps::intake::{Intake, RowAnswer, Sources};
use ledger_core::steps::resume::Resume;
use ledger_core::steps::reveal::Reveal;
use ledger_core::steps::step::{Ended, Try};
use ledger_core::time::{DAY_MICROS, Epoch, SECOND_MICROS, Timestamp};
use rewardhub_tests::Home;
use serde_json::Value;
use stores::sqlite::log::{SqliteLog, SqliteOptions};
use stores::steps::StepTables;
use support::ManualClock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Midnight UTC of 2026-11-20, a Friday.
pub(crate) const FIRST_DAY: Timestamp = Timestamp::from_micros(1_795_132_800 * SECOND_MICROS);
pub(crate) const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
const REQUEST_ROWS: usize = 5_000;

/// The same draws in every run, sealed as the real ones are.
struct FixedSeeds(Arc<Keyring>);

impl SeedVault for FixedSeeds {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        let byte = u8::try_from(epoch.opens_at().micros() / DAY_MICROS % 251).unwrap();
        let seed = Seed::new([byte; 32]);
        let sealed = self.0.seal_seed(campaign, epoch, &seed)?;
        Ok((seed, sealed))
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        self.0.open_seed(campaign, epoch, sealed)
    }
}

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<ManualClock>,
    stopped: oneshot::Receiver<Stopped>,
    log: Arc<dyn EventLog>,
    keyring: Arc<Keyring>,
    seeds: Arc<FixedSeeds>,
    intake: Intake,
    bank: Generator,
}

impl World {
    pub(crate) async fn open(home: &Home, now: Timestamp, customers: u32, mix: Mix) -> World {
        std::fs::create_dir_all(home.data()).unwrap();
        let provider = FileKeyProvider::open_or_create(&home.data().join("root.key")).unwrap();
        let keyring =
            Arc::new(stores::keys::open(&home.data().join("keys.db"), Arc::new(provider)).await.unwrap());
        let log = Arc::new(SqliteLog::open(&home.data().join("log.db"), &SqliteOptions::default()).unwrap());
        let clock = Arc::new(ManualClock::at(now));
        let seeds = Arc::new(FixedSeeds(Arc::clone(&keyring)));
        let parts = LedgerParts {
            log: Arc::clone(&log).into(),
            clock: Arc::clone(&clock) as _,
            seeds: Arc::clone(&seeds) as _,
        };
        let settings = EngineSettings { open_enrolment: true, ..EngineSettings::default() };
        let (ledger, stopped) = Ledger::start(parts, settings).await.unwrap();
        let intake = Intake::new(ledger.clone(), Arc::clone(&keyring), Arc::clone(&clock) as _, true);
        let config =
            GeneratorConfig { seed: 7, customers, source: "acme-bank".into(), run: "one".into(), mix };
        let bank = Generator::new(config).unwrap();
        World { ledger, clock, stopped, log, keyring, seeds, intake, bank }
    }

    /// What somebody asks of a campaign; it must be agreed to.
    pub(crate) async fn ask(&self, by: &str, campaign: &str, kind: CampaignCommandKind) {
        let context = CommandContext::new(by, "", "");
        self.ledger.campaign(campaign.parse().unwrap(), kind, context).await.unwrap().unwrap();
    }

    /// Written by alice, approved by bob, started.
    pub(crate) async fn start(&self, terms: Value) {
        let id = terms["campaign_id"].as_str().unwrap().to_owned();
        let terms = Box::new(serde_json::from_value(terms).unwrap());
        self.ask("alice", &id, CampaignCommandKind::Draft(terms)).await;
        self.ask("bob", &id, CampaignCommandKind::Approve { version: None }).await;
        self.ask("alice", &id, CampaignCommandKind::Start).await;
    }

    pub(crate) async fn revise(&self, terms: Value) {
        let id = terms["campaign_id"].as_str().unwrap().to_owned();
        let terms = Box::new(serde_json::from_value(terms).unwrap());
        self.ask("alice", &id, CampaignCommandKind::Revise(terms)).await;
        self.ask("bob", &id, CampaignCommandKind::Approve { version: Some(2) }).await;
    }

    pub(crate) async fn account(&self, number: usize, kind: CommandKind) {
        let account = self.bank.customers()[number].account_id().clone();
        self.ledger
            .account(account, kind, CommandContext::new("operator:anna", "", ""))
            .await
            .unwrap()
            .unwrap();
    }

    /// These lines.
    pub(crate) async fn send(&self, rows: &[Value]) {
        let rows: Vec<Vec<u8>> = rows.iter().map(|row| row.to_string().into_bytes()).collect();
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        let answers =
            self.intake.take(&rows, &Sources::All, CommandContext::new("feed", "", "")).await.unwrap();
        assert!(answers.iter().all(|answer| answer.outcome.is_ok()), "{answers:?}");
    }

    /// So many lines, booked one after another from `first` until `last`.
    pub(crate) async fn lines(&mut self, count: usize, first: Timestamp, last: Timestamp) {
        let apart = (last.micros() - first.micros()) / i64::try_from(count).unwrap().max(1);
        let rows = |n: usize| {
            let json = self.bank.next(first.plus_micros(apart * i64::try_from(n).unwrap())).json;
            if n % 40 < 4 { lacking(&json, n % 40) } else { json }
        };
        let rows: Vec<String> = (0..count).map(rows).collect();
        // As requests come: the next one is parsed and sealed while the ledger decides this one.
        let mut deciding = None;
        for rows in rows.chunks(REQUEST_ROWS) {
            let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
            let prepared = self.intake.prepare(&rows, &Sources::All).await.unwrap();
            if let Some(deciding) = deciding.take() {
                finished(deciding).await;
            }
            let intake = self.intake.clone();
            let submit = async move { intake.submit(prepared, CommandContext::new("feed", "", "")).await };
            deciding = Some(tokio::spawn(submit));
        }
        if let Some(deciding) = deciding {
            finished(deciding).await;
        }
    }

    /// Decides what waits and can be decided.
    pub(crate) async fn resume(&self) {
        let step = Resume::new(self.ledger.clone(), Arc::clone(&self.log), Arc::clone(&self.keyring));
        let events = self.log.read_after(Position(0), usize::MAX >> 1).await.unwrap();
        let waiting = events
            .iter()
            .filter(|event| matches!(&*event.event_type, "TransactionDeferred" | "TransactionReviewed"));
        let waiting = waiting.flat_map(|stored| step.items(stored, decode(stored).unwrap()));
        let tries: Vec<_> = waiting.map(|item| Try { item, act: None }).collect();
        for ended in step.attempt(tries).await.unwrap() {
            assert_eq!(ended, Ended::Done);
        }
    }

    /// Closes and reveals every day that is over; tells how many there were.
    pub(crate) async fn settle(&self) -> usize {
        let reveal = Reveal::new(
            self.ledger.clone(),
            Arc::clone(&self.log),
            Arc::clone(&self.seeds) as _,
            Arc::new(StepTables::in_memory().unwrap()),
        );
        reveal.settle().await.unwrap()
    }

    pub(crate) async fn close(self) {
        let World { stopped, ledger, intake, .. } = self;
        drop((ledger, intake));
        stopped.await.unwrap();
    }
}

async fn finished(deciding: JoinHandle<Result<Vec<RowAnswer>, SubmitError>>) {
    deciding.await.unwrap().unwrap();
}

/// The line without something that rules look at.
fn lacking(json: &str, what: usize) -> String {
    let Ok(mut row) = serde_json::from_str::<Value>(json) else { return json.into() };
    let field = ["id", "mcc", "country"].get(what);
    match (field, row["merchant"].as_object_mut()) {
        (Some(field), Some(merchant)) => drop(merchant.remove(*field)),
        (None, Some(_)) => row["merchant"] = Value::Null,
        (_, None) => {}
    }
    row.to_string()
}
