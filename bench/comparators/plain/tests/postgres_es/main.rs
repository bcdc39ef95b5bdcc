//! Beside the plain crates: postgres-es reads the history that the built program wrote, and goes on
//! from there by the same commands to the same events.
#![allow(clippy::unwrap_used, reason = "tests")]

mod program;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cqrs_es::persist::{PersistedEventRepository as _, PersistedEventStore, SerializedEvent};
use cqrs_es::{AggregateContext as _, AggregateError, CqrsFramework, EventStore as _};
use ledger_core::account::command::{
    EpochOffer, EvaluateTransaction, Facts, Offer, PreparedTransaction, Standing,
};
use ledger_core::account::event::{Exclusion, Line};
use ledger_core::account::{AccountCommand, CommandKind, RewardAccount};
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{self, Seed};
use ledger_core::engine::{CommandContext, EngineSettings, Ledger, LedgerParts, SeedVault};
use ledger_core::ids::{AccountId, CampaignId, Digest, EntryId, Fingerprint, MerchantTag, TransactionKey};
use ledger_core::keys::{AmountKey, SealError, Sealed};
use ledger_core::log::{Batch, EventLog as _, Position, StoredEvent, StreamId, StreamType, WriterLease as _};
use ledger_core::money::{Currency, Money};
use ledger_core::time::{Clock as _, Epoch, SystemClock, Timestamp};
use ledger_core::transaction::{Direction, Mcc, Personal, Status};
use postgres_es::PostgresEventRepository;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use sqlx::{PgPool, Row as _};
use support::{ManualClock, SimulatedLog};

use program::{Postgres, Rewardhub};

/// Our history once more, for postgres-es to go on from.
const COPY: &str = "CREATE SCHEMA plain; CREATE TABLE plain.events AS
    SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata FROM ledger.events;
    ALTER TABLE plain.events ADD PRIMARY KEY (aggregate_type, aggregate_id, sequence)";
const METADATA: [(&str, &str); 3] = [("actor", "test"), ("correlation_id", "c"), ("causation_id", "f")];

fn terms() -> serde_json::Value {
    json!({
        "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London",
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "fixed", "odds_ppb": 400_000_000, "prize": { "fixed": 700 } },
            { "name": "share", "odds_ppb": 300_000_000, "prize": { "share_bps": 500, "max": 50 } },
        ] },
        "rules": { "mcc_denied": ["7995"] },
        "budget": { "minor": 100_000_000, "currency": "GBP" }, "grace_days": 2,
    })
}

/// What happens to one of a few accounts.
#[derive(Clone, Debug)]
enum Step {
    Line { id: u8, status: Status, mcc: &'static str, minor: i64 },
    OfReward { of: u8, what: u8 },
    OfAccount { what: u8 },
}

fn step() -> impl Strategy<Value = (u8, Step)> {
    let status =
        prop_oneof![6 => Just(Status::Booked), 2 => Just(Status::Pending), 1 => Just(Status::Removed)];
    let mcc = prop_oneof![5 => Just("5814"), 1 => Just("7995")];
    let line = (0..25_u8, status, mcc, 1..10_000_i64).prop_map(|(id, status, mcc, minor)| Step::Line {
        id,
        status,
        mcc,
        minor,
    });
    let step = prop_oneof![
        6 => line,
        8 => (0..25_u8, 0..8_u8).prop_map(|(of, what)| Step::OfReward { of, what }),
        1 => (0..20_u8).prop_map(|what| Step::OfAccount { what }),
    ];
    (0..4_u8, step)
}

fn command(now: Timestamp, account: &AccountId, step: &Step, offer: &Offer) -> CommandKind {
    let source = || "bank".parse().unwrap();
    let id = |n: u8| format!("tx-{n}").parse().unwrap();
    let reason = || "because".to_owned();
    match step {
        Step::Line { id: n, status, mcc, minor } => {
            let amounts = AmountKey::new(&[7; 32]);
            let amount = Money::new(*minor, Currency::from_code("GBP").unwrap()).unwrap();
            let line = Line {
                source: source(),
                transaction_id: id(*n),
                booked_at: now,
                time_known: true,
                fingerprint: Fingerprint([*n; 16]),
                fingerprint_version: 2,
                details: Some(Sealed::from_text("c2VhbGVk")),
                pending_transaction_id: (*n % 7 == 0).then(|| id(n + 1)),
                merchant: Some(MerchantTag([*n % 3; 8])),
                spent: Some(amounts.seal(amount)),
            };
            let facts = Facts {
                amount: Personal::new(amount),
                direction: Direction::Debit,
                has_merchant: true,
                merchant_id: Some(Personal::new("m_42".into())),
                mcc: Some(Personal::new(Mcc::parse(mcc).unwrap())),
                country: None,
                refund: false,
            };
            let key = TransactionKey::of(&line.source, &line.transaction_id);
            let (account_id, status) = (account.clone(), *status);
            CommandKind::EvaluateTransaction(EvaluateTransaction {
                transaction: Arc::new(PreparedTransaction {
                    account_id,
                    key,
                    status,
                    line,
                    facts,
                    amounts,
                    terms: None,
                }),
                known: None,
                pending_known: None,
                open_unknown: true,
                offers: vec![offer.clone()],
                halted: false,
                resume: false,
            })
        }
        Step::OfReward { of, what } => {
            let entry_id: EntryId = draw::entry_id(&offer.terms.campaign_id, &source(), &id(*of));
            let payout_reference = || format!("pay-{of}-{what}").parse().unwrap();
            match what {
                0 | 1 => CommandKind::IssueReward { entry_id },
                2 => CommandKind::RecordNotification { entry_id },
                3 | 4 => CommandKind::RequestCredit { entry_id },
                5 => {
                    CommandKind::ConfirmCredit { entry_id, attempt: 1, payout_reference: payout_reference() }
                }
                6 => CommandKind::FailCredit { entry_id, attempt: 1, reason: reason() },
                _ => CommandKind::ReverseReward { entry_id, reason: reason() },
            }
        }
        Step::OfAccount { what } => match what {
            0..4 => CommandKind::Open,
            4..10 => CommandKind::Exclude { kind: Exclusion::Other, reason: reason() },
            10..19 => CommandKind::Reinstate { reason: reason() },
            _ => CommandKind::Close { reason: reason() },
        },
    }
}

/// What every store has of one event.
type Event = (usize, String, String, serde_json::Value, serde_json::Value);

fn theirs(event: SerializedEvent) -> Event {
    (event.sequence, event.event_type, event.event_version, event.payload, event.metadata)
}

fn ours(event: &StoredEvent) -> Event {
    let json = |text| serde_json::from_slice(text).unwrap();
    let sequence = usize::try_from(event.sequence).unwrap();
    let (kind, version) = (event.event_type.to_string(), event.event_version.to_string());
    (sequence, kind, version, json(&event.payload), json(&event.metadata))
}

/// Of a history that goes on elsewhere: none of its seeds is needed.
struct NoSeeds;

impl SeedVault for NoSeeds {
    fn create(&self, _: &CampaignId, _: Epoch) -> Result<(Seed, Sealed), SealError> {
        Ok((Seed::new([7; 32]), Sealed::from_text("c2VhbGVk")))
    }

    fn open(&self, _: &CampaignId, _: Epoch, _: &Sealed) -> Result<Seed, SealError> {
        Ok(Seed::new([7; 32]))
    }
}

/// What the program wrote while it took in purchases, issued, told and paid.
async fn history(postgres: &Postgres, accounts: &[AccountId]) -> Vec<StoredEvent> {
    let folder = tempfile::tempdir().unwrap();
    let rewardhub = Rewardhub { folder: folder.path(), log: postgres.url() };
    rewardhub.run(&["migrate"]);
    let campaign = rewardhub.write("campaign.json", &terms().to_string());
    rewardhub.run(&["campaign", "create", &campaign, "--by", "alice"]);
    rewardhub.run(&["campaign", "approve", "everyday", "--version", "1", "--by", "bob"]);
    rewardhub.run(&["campaign", "start", "everyday", "--by", "alice"]);
    let now = SystemClock.now();
    let row = |n: usize| {
        let row = json!({
            "source": "bank", "transaction_id": format!("first-{n}"), "account_id": accounts[n % accounts.len()],
            "status": "booked", "booked_at": now, "amount": { "minor": "1250", "currency": "GBP" },
            "direction": "debit", "from_account": "GB29NWBK60161331926819", "description": "COFFEE HOUSE LONDON",
            "merchant": { "id": "m_42", "name": "Coffee House", "mcc": "5814", "country": "GB" },
        });
        format!("{row}\n")
    };
    rewardhub.run(&["ingest", &rewardhub.write("rows.ndjson", &(0..80).map(row).collect::<String>())]);
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let credited = "SELECT count(*) FROM ledger.events WHERE event_type = 'RewardCredited'";
    rewardhub.serve_until_still(async || sqlx::query_scalar(credited).fetch_one(&pool).await.unwrap()).await;

    let rows =
        sqlx::query("SELECT *, payload::text AS p, metadata::text AS m FROM ledger.events ORDER BY position");
    let bytes = |bytes: Vec<u8>| bytes.try_into().unwrap();
    let event = |row: &sqlx::postgres::PgRow| StoredEvent {
        position: Position(u64::try_from(row.get::<i64, _>("position")).unwrap()),
        stream: StreamId {
            stream_type: StreamType::parse(row.get("aggregate_type")).unwrap(),
            id: row.get::<&str, _>("aggregate_id").into(),
        },
        sequence: u64::try_from(row.get::<i64, _>("sequence")).unwrap(),
        event_type: row.get::<&str, _>("event_type").into(),
        event_version: row.get::<&str, _>("event_version").into(),
        payload: row.get::<&str, _>("p").into(),
        metadata: row.get::<&str, _>("m").as_bytes().into(),
        recorded_at: Timestamp::from_micros(row.get("recorded_at")),
        transaction_key: row
            .get::<Option<Vec<u8>>, _>("transaction_key")
            .map(|key| TransactionKey(key.try_into().unwrap())),
        hash: Digest(bytes(row.get("hash"))),
    };
    rows.fetch_all(&pool).await.unwrap().iter().map(event).collect()
}

async fn of_account(repository: &PostgresEventRepository, account: &AccountId) -> Vec<Event> {
    let events = repository.get_events::<RewardAccount>(account.as_str()).await.unwrap();
    events.into_iter().map(theirs).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_es_reads_what_the_program_wrote_and_goes_on_by_the_same_commands_to_the_same_events() {
    let postgres = Postgres::start().await;
    let accounts: Vec<AccountId> = (0..4).map(|n| format!("cus-{n}").parse().unwrap()).collect();
    let history = history(&postgres, &accounts).await;
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let repository = |events| PostgresEventRepository::new(pool.clone()).with_tables(events, "ledger.none");
    let mut types = BTreeSet::new();
    for account in &accounts {
        let stream = StreamId::account(account);
        let written: Vec<Event> = history.iter().filter(|e| e.stream == stream).map(ours).collect();
        assert_eq!(of_account(&repository("ledger.events"), account).await, written, "{account}");
        types.extend(written.into_iter().map(|event| event.1));
    }
    assert!(types.contains("RewardCredited") && types.len() >= 5, "too little was written: {types:?}");

    let now = history.last().unwrap().recorded_at;
    let log = Arc::new(SimulatedLog::new());
    let expected = log.lease("program", None).await.unwrap();
    log.append(&Batch { expected, events: history }).await.unwrap();
    let parts = LedgerParts {
        log: Arc::clone(&log).into(),
        clock: Arc::new(ManualClock::at(now)),
        seeds: Arc::new(NoSeeds),
    };
    let (ledger, _stopped) = Ledger::start(parts, EngineSettings::default()).await.unwrap();
    sqlx::raw_sql(COPY).execute(&pool).await.unwrap();
    let store = || PersistedEventStore::<_, RewardAccount>::new_event_store(repository("plain.events"));
    let cqrs = CqrsFramework::new(store(), vec![], ());
    let context = CommandContext::new("test", "c", "f");
    let metadata: HashMap<String, String> =
        METADATA.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();

    let terms: Terms = serde_json::from_value(terms()).unwrap();
    let table = Arc::new(terms.prize_table.clone());
    let offer = Offer {
        version: 1,
        clocks: ledger_core::zone::ZoneTable::new().clocks_to_be(&terms.time_zone),
        standing: Standing::Active,
        epoch: EpochOffer::Open {
            key: draw::epoch_key(&Seed::new([7; 32]), &Digest([0; 32]), &terms.campaign_id, Epoch::of(now)),
            table_hash: table.hash(),
            table,
            budget_left_minor: 100_000_000,
            sold_out: 0,
        },
        terms: Arc::new(terms),
    };
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 600).new_tree(&mut runner).unwrap().current();
    let (mut accepted, mut rejected) = (0, 0);
    for (who, step) in &steps {
        let account = &accounts[usize::from(*who)];
        let kind = command(now, account, step, &offer);
        // The engine's time is the clock's: nothing moves it here.
        let there = AccountCommand::new(now, context.actor(), kind.clone());
        let theirs = cqrs.execute_with_metadata(account.as_str(), there, metadata.clone()).await;
        let ours = ledger.account(account.clone(), kind, context.clone()).await.unwrap();
        match (&ours, &theirs) {
            (Ok(_), Ok(())) => accepted += 1,
            (Err(ours), Err(AggregateError::UserError(theirs))) if ours == theirs => rejected += 1,
            other => panic!("{step:?}: {other:?}"),
        }
    }
    assert!(accepted > 200 && rejected > 20, "{accepted} accepted, {rejected} rejected");

    for account in &accounts {
        let stream = StreamId::account(account);
        let there = of_account(&repository("plain.events"), account).await;
        let here: Vec<Event> = log.events().iter().filter(|e| e.stream == stream).map(ours).collect();
        assert_eq!(here, there, "{account}");
        types.extend(here.into_iter().map(|event| event.1));

        let events = store().load_events(account.as_str()).await.unwrap();
        assert_eq!(events.len(), there.len(), "each of our events is one to cqrs-es");
        let mut replayed = RewardAccount::default();
        for envelope in events {
            cqrs_es::Aggregate::apply(&mut replayed, envelope.payload);
        }
        let mut loaded = store().load_aggregate(account.as_str()).await.unwrap();
        assert_eq!(*loaded.aggregate(), replayed);
    }
    assert!(types.len() >= 11, "too few kinds of events to mean much: {types:?}");
}
