//! Beside the plain crates: postgres-es reads our history, and the same commands through it give the same events.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::persist::{PersistedEventRepository as _, PersistedEventStore, SerializedEvent};
use cqrs_es::{AggregateContext as _, AggregateError, EventStore as _};
use ledger_core::account::command::{
    EpochOffer, EvaluateTransaction, Facts, Offer, PreparedTransaction, Standing,
};
use ledger_core::account::event::{Exclusion, Line};
use ledger_core::account::{AccountCommand, CommandKind, RewardAccount};
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{self, Seed};
use ledger_core::engine::{Context, KeyringSeeds, Ledger, Parts, Settings};
use ledger_core::ids::{AccountId, Digest, EntryId, Fingerprint, MerchantTag, TransactionKey};
use ledger_core::log::{EventLog, Position, StreamId};
use ledger_core::money::{Currency, Money};
use ledger_core::seal::{AmountKey, FileKeyProvider, Sealed};
use ledger_core::time::{Clock as _, Epoch, Timestamp};
use ledger_core::transaction::{Direction, Mcc, Personal, Status};
use postgres_es::{PostgresEventRepository, postgres_cqrs};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use stores::postgres::log::{PostgresLog, PostgresOptions};
use stores::postgres::{Database, Options};
use stores::testing::Cluster;
use support::ManualClock;

/// The event table of postgres-es's own documentation.
const PLAIN: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, event_version text NOT NULL,
    payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";
const METADATA: [(&str, &str); 3] = [("actor", "test"), ("correlation_id", "c"), ("causation_id", "f")];

fn terms() -> Terms {
    let terms = json!({
        "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London",
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "fixed", "odds_ppb": 400_000_000, "prize": { "fixed": 700 } },
            { "name": "share", "odds_ppb": 300_000_000, "prize": { "share_bps": 500, "max": 50 } },
        ] },
        "rules": { "mcc_denied": ["7995"] },
        "budget": { "minor": 100_000_000, "currency": "GBP" }, "grace_days": 2,
    });
    serde_json::from_value(terms).unwrap()
}

fn at(text: &str) -> Timestamp {
    serde_json::from_value(json!(text)).unwrap()
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

fn command(account: &AccountId, step: &Step, offer: &Offer) -> CommandKind {
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
                booked_at: at("2026-11-22T10:15:00Z"),
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

/// What both stores have of one event.
fn event(event: SerializedEvent) -> (usize, String, String, serde_json::Value, serde_json::Value) {
    (event.sequence, event.event_type, event.event_version, event.payload, event.metadata)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commands_give_the_same_events_and_postgres_es_reads_ours() {
    let cluster = Cluster::shared().await;
    let (ours_url, plain_url) = (cluster.database().await.unwrap(), cluster.empty_database().await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let provider = FileKeyProvider::open_or_create(&folder.path().join("root.key")).unwrap();
    let keyring =
        Arc::new(stores::keys::open(&folder.path().join("keys.db"), Arc::new(provider)).await.unwrap());
    let clock = Arc::new(ManualClock::at(at("2026-11-22T12:00:00Z")));
    let database = Database::new(ours_url.parse().unwrap(), &Options::default());
    let log = Arc::new(PostgresLog::open(database, PostgresOptions::default()).await.unwrap());
    let parts = Parts {
        log: Arc::clone(&log).into(),
        clock: Arc::clone(&clock) as _,
        seeds: Arc::new(KeyringSeeds::new(keyring)),
    };
    let settings = Settings { open_enrolment: true, ..Settings::default() };
    let (ledger, _stopped) = Ledger::start(parts, settings).await.unwrap();
    let campaign = terms().campaign_id;
    let context = Context::new("test", "c", "f");
    for (by, kind) in [
        ("alice", CampaignCommandKind::Draft(Box::new(terms()))),
        ("bob", CampaignCommandKind::Approve { version: None }),
        ("alice", CampaignCommandKind::Start),
    ] {
        ledger.campaign(campaign.clone(), kind, Context::new(by, "", "")).await.unwrap().unwrap();
    }
    let plain = sqlx::PgPool::connect(&plain_url).await.unwrap();
    sqlx::query(PLAIN).execute(&plain).await.unwrap();
    let cqrs = postgres_cqrs::<RewardAccount>(plain.clone(), vec![], ());
    let metadata: HashMap<String, String> =
        METADATA.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();

    let table = Arc::new(terms().prize_table);
    let epoch = Epoch::of(clock.now());
    let offer = Offer {
        version: 1,
        standing: Standing::Active,
        epoch: EpochOffer::Open {
            key: draw::epoch_key(&Seed::new([7; 32]), &Digest([0; 32]), &campaign, epoch),
            table_hash: table.hash(),
            table,
            budget_left_minor: 100_000_000,
            sold_out: 0,
        },
        terms: Arc::new(terms()),
    };
    let accounts: Vec<AccountId> = (0..4).map(|n| format!("cus-{n}").parse().unwrap()).collect();
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 600).new_tree(&mut runner).unwrap().current();
    let (mut accepted, mut rejected) = (0, 0);
    for (who, step) in &steps {
        let account = &accounts[usize::from(*who)];
        let kind = command(account, step, &offer);
        // The engine's time is the clock's: nothing moves it here.
        let there = AccountCommand::new(clock.now(), context.actor(), kind.clone());
        let theirs = cqrs.execute_with_metadata(account.as_str(), there, metadata.clone()).await;
        let ours = ledger.account(account.clone(), kind, context.clone()).await.unwrap();
        match (&ours, &theirs) {
            (Ok(_), Ok(())) => accepted += 1,
            (Err(ours), Err(AggregateError::UserError(theirs))) if ours == theirs => rejected += 1,
            other => panic!("{step:?}: {other:?}"),
        }
    }
    assert!(accepted > 200 && rejected > 20, "{accepted} accepted, {rejected} rejected");

    let reads_ours = sqlx::PgPool::connect(&ours_url).await.unwrap();
    let repository =
        || PostgresEventRepository::new(reads_ours.clone()).with_tables("ledger.events", "ledger.none");
    let store = PersistedEventStore::<_, RewardAccount>::new_event_store(repository());
    let mut types = std::collections::BTreeSet::new();
    for account in &accounts {
        let read = async |repository: PostgresEventRepository| {
            let events = repository.get_events::<RewardAccount>(account.as_str()).await.unwrap();
            events.into_iter().map(event).collect::<Vec<_>>()
        };
        let (ours, theirs) =
            (read(repository()).await, read(PostgresEventRepository::new(plain.clone())).await);
        assert_eq!(ours, theirs, "{account}");
        types.extend(ours.into_iter().map(|event| event.1));

        let stream = StreamId::account(account);
        let log = log.read_stream_after(&stream, Position(0), usize::MAX).await.unwrap();
        let events = store.load_events(account.as_str()).await.unwrap();
        assert_eq!(events.len(), log.len(), "each of our events is one to cqrs-es");
        let mut replayed = RewardAccount::default();
        for envelope in events {
            cqrs_es::Aggregate::apply(&mut replayed, envelope.payload);
        }
        let mut loaded = store.load_aggregate(account.as_str()).await.unwrap();
        assert_eq!(*loaded.aggregate(), replayed);
    }
    assert!(types.len() >= 11, "too few kinds of events to mean much: {types:?}");
}
