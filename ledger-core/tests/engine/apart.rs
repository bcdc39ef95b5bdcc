//! One account that cannot be read, sealed for or decided takes no neighbour along, and comes back
//! once it is repaired.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ledger_core::account::{CommandKind, Rejection};
use ledger_core::draw::Seed;
use ledger_core::engine::{EngineSettings, RowResult, SeedVault, SubmitError};
use ledger_core::ids::{AccountId, CampaignId, TransactionKey};
use ledger_core::keys::{SealError, Sealed};
use ledger_core::log::{StoredEvent, StreamId};
use ledger_core::time::Epoch;
use ledger_core::transaction::RowCode;
use serde_json::Value;
use support::SimulatedLog;

use crate::check::sound;
use crate::tap::TapLog;
use crate::world::{Node, World, at, context, row, terms, with};

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

/// Anna and ben have a line each, and the process has forgotten both.
async fn known(world: &World) -> SimulatedLog {
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&[row("a-1", "anna"), row("b-1", "ben")]).await;
    node.stop().await;
    log
}

/// Anna's rows are refused by their own code, whoever they come with; all others are decided, again
/// and again.
async fn only_anna_is_refused(node: &Node) {
    for n in 2..6 {
        let rows = [
            row(&format!("b-{n}"), "ben"),
            row(&format!("a-{n}"), "anna"),
            row(&format!("c-{n}"), "chris"),
            row("b-1", "ben"),
            row("a-1", "anna"),
        ];
        let answers = node.take(&rows).await;
        let results: Vec<Result<RowResult, RowCode>> = answers
            .iter()
            .map(|answer| answer.as_ref().map(|receipt| receipt.result).map_err(|error| error.code))
            .collect();
        let refused = Err(RowCode::AccountUnavailable);
        let accepted = Ok(RowResult::Accepted);
        assert_eq!(results, [accepted, refused, accepted, Ok(RowResult::Duplicate), refused], "round {n}");
        let error = answers[1].as_ref().unwrap_err();
        assert!(error.field == "account_id" && error.message.contains("ours to repair"), "{error}");
    }
    // Commands of steps and of people: hers by themselves, others' as ever.
    let command = async |account: &str| node.ledger.account(id(account), CommandKind::Open, context()).await;
    assert!(matches!(command("anna").await, Err(SubmitError::AccountUnavailable)));
    assert!(!matches!(command("ben").await, Err(SubmitError::AccountUnavailable)));
    assert!(*node.ledger.health().borrow());
}

#[tokio::test(start_paused = true)]
async fn an_account_with_a_damaged_event_is_refused_alone() {
    type Damage = fn(&mut StoredEvent);
    let damages: [(&str, Damage); 4] = [
        ("no JSON", |event| event.payload = b"{\"AccountOpened".to_vec()),
        ("an unknown event", |event| event.payload = b"{\"AccountBlessed\":{}}".to_vec()),
        ("a hole in the stream", |event| event.sequence += 1),
        ("a campaign's event", |event| event.payload = b"{\"CampaignApproved\":{\"by\":\"x\"}}".to_vec()),
    ];
    for (what, damage) in damages {
        let world = World::new();
        let log = known(&world).await;
        let anna = StreamId::account(&id("anna"));
        let event = log.events().into_iter().find(|event| event.stream == anna).unwrap();
        log.damage(event.position, damage);
        let node = world.start(Arc::new(log.reopen())).await;
        only_anna_is_refused(&node).await;
        // Repaired, and with a process that has not met it.
        log.damage(event.position, |damaged| *damaged = event.clone());
        node.stop().await;
        let node = world.start(Arc::new(log.reopen())).await;
        assert_eq!(node.one(&row("a-2", "anna")).await.unwrap().result, RowResult::Accepted, "{what}");
        sound(&log.events(), &*world.seeds);
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_of_which_one_page_cannot_be_read_is_refused_alone() {
    let world = World::new();
    let log = known(&world).await;
    let tap = TapLog::new(Arc::new(log.reopen()));
    let node = world.start(tap.log()).await;
    let key = TransactionKey::of(&"bank".parse().unwrap(), &"a-1".parse().unwrap());
    tap.make_unreadable(Some((StreamId::account(&id("anna")), Some(key))));
    // Among hundreds that are read with it.
    let many: Vec<Value> = (0..300).map(|n| row(&format!("m-{n}"), &format!("cus-{n}"))).collect();
    let with_anna: Vec<Value> = many.iter().cloned().chain([row("a-0", "anna")]).collect();
    let answers = node.take(&with_anna).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    only_anna_is_refused(&node).await;
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_at_all_is_nobody_s_own_fault() {
    let world = World::new();
    let log = known(&world).await;
    let process = Arc::new(log.reopen());
    let node = world.start(Arc::clone(&process)).await;
    node.one(&row("c-1", "chris")).await.unwrap();
    process.crash();
    let answer = node.try_take(&[row("b-2", "ben"), row("c-2", "chris")]).await;
    assert!(matches!(answer, Err(SubmitError::Unavailable)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_key_is_damaged_or_lost_is_refused_alone_and_gets_no_new_one() {
    for damage in ["UPDATE account_keys SET wrapped = x'00' WHERE account_id = 'anna'", LOSE] {
        let world = World::new();
        let log = known(&world).await;
        let keys = rusqlite::Connection::open(world.folder.path().join("keys.db")).unwrap();
        keys.execute_batch(damage).unwrap();
        drop(keys);
        // Another process: this one has the key in memory.
        let world = world.restarted();
        let node = world.start(Arc::new(log.reopen())).await;
        for n in 2..4 {
            let answers = node.take(&[row(&format!("b-{n}"), "ben"), row(&format!("a-{n}"), "anna")]).await;
            assert_eq!(answers[0].as_ref().unwrap().result, RowResult::Accepted);
            assert_eq!(answers[1].as_ref().unwrap_err().code, RowCode::AccountUnavailable, "{damage}");
        }
        let open = node.intake.account(id("anna"), CommandKind::Open, context()).await.unwrap();
        assert_eq!(open, Err(Rejection::AccountUnavailable));
        sound(&log.events(), &*world.seeds);
    }
}

const LOSE: &str = "DROP TRIGGER account_keys_keep_rows; DELETE FROM account_keys WHERE account_id = 'anna'";

/// Panics at the seed of one day, for as long as it is told to.
struct Poisoned {
    inner: Arc<dyn SeedVault>,
    day: Epoch,
    on: AtomicBool,
    times: AtomicUsize,
}

impl SeedVault for Poisoned {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        self.inner.create(campaign, epoch)
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        if epoch == self.day && self.on.load(Ordering::SeqCst) {
            self.times.fetch_add(1, Ordering::SeqCst);
            panic!("a panic that was asked for");
        }
        self.inner.open(campaign, epoch, sealed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_decision_refuses_no_neighbour_and_is_not_tried_each_time() {
    let mut world = World::new();
    let poisoned = Arc::new(Poisoned {
        inner: Arc::clone(&world.seeds),
        day: "2026-11-22".parse().unwrap(),
        on: AtomicBool::new(true),
        times: AtomicUsize::new(0),
    });
    world.seeds = Arc::clone(&poisoned) as _;
    let (node, log) = world.with(terms(|_| {})).await;
    world.clock.set(at("2026-11-23T12:00:00Z"));
    node.ledger.tick().await.unwrap();
    let today = |name: &str, who: &str| with(&row(name, who), "booked_at", "2026-11-23T09:00:00Z");
    for n in 0..5 {
        // The same request again: his neighbours in it are duplicates then.
        let rows = [today("b-0", "ben"), row("poison", "anna"), today(&format!("c-{n}"), "chris")];
        let answers = node.take(&rows).await;
        let expected = if n == 0 { RowResult::Accepted } else { RowResult::Duplicate };
        assert_eq!(answers[0].as_ref().unwrap().result, expected);
        assert_eq!(answers[1].as_ref().unwrap_err().code, RowCode::AccountUnavailable);
        assert_eq!(answers[2].as_ref().unwrap().result, RowResult::Accepted);
    }
    assert_eq!(poisoned.times.load(Ordering::SeqCst), 1, "she is set apart for a while");
    assert!(*node.ledger.health().borrow());
    // Many at once: some are found in each round, the others are told to come back as a whole.
    let many: Vec<Value> = (0..12).map(|n| row(&format!("p-{n}"), &format!("cus-{n}"))).collect();
    let mut left = 0;
    for _ in 0..4 {
        match node.try_take(&many).await {
            Ok(answers) => {
                left = answers.iter().filter(|answer| answer.outcome.is_err()).count();
                break;
            }
            Err(error) => assert!(matches!(error, SubmitError::Unavailable)),
        }
    }
    assert_eq!(left, 12);
    node.stop().await;
    poisoned.on.store(false, Ordering::SeqCst);
    let node = world.start_with(Arc::new(log.reopen()), EngineSettings::default()).await;
    assert_eq!(node.one(&row("poison", "anna")).await.unwrap().result, RowResult::Accepted);
    sound(&log.events(), &*world.seeds);
}
