//! One purchase that the bank books under two names: one draw, one prize, taken back by either,
//! whatever memory has lost.

use std::sync::Arc;

use ledger_core::account::event::Verdict;
use ledger_core::account::{AccountEvent, Rejection};
use ledger_core::engine::{EngineSettings, Receipt, RowResult};
use ledger_core::log::StoredEvent;
use ledger_core::transaction::RowCode;
use serde_json::{Value, json};
use support::SimulatedLog;

use crate::check::{account_events, agrees, decided_under_one_name, draws, replay, sound, wins};
use crate::tampering::{first, rehash};
use crate::world::{Node, World, code, duplicate_of, row, terms, with};

/// Every line wins.
async fn world() -> (World, Node, SimulatedLog) {
    let world = World::new();
    let log = SimulatedLog::new();
    let node = world.start_with(Arc::new(log.reopen()), tiny()).await;
    node.run(terms(|terms| terms["prize_table"]["tiers"][0]["odds_ppb"] = json!(400_000_000))).await;
    (world, node, log)
}

fn tiny() -> EngineSettings {
    EngineSettings { keys_max: 1, accounts_max: 1, snapshot_every: 2, ..EngineSettings::default() }
}

async fn restart(world: &World, node: Node, log: &SimulatedLog) -> Node {
    node.stop().await;
    world.start_with(Arc::new(log.reopen()), tiny()).await
}

fn lp() -> Value {
    row("lp", "anna")
}

/// The same purchase, which the bank says was pending as `lp`.
fn lx() -> Value {
    with(&row("lx", "anna"), "pending_transaction_id", "lp")
}

fn removed(row: &Value) -> Value {
    with(row, "status", "removed")
}

fn key(row: &Value) -> ledger_core::ids::TransactionKey {
    let id = |field: &str| row[field].as_str().unwrap().to_owned();
    ledger_core::ids::TransactionKey::of(
        &id("source").parse().unwrap(),
        &id("transaction_id").parse().unwrap(),
    )
}

/// The answer, and that it is what the log has.
async fn one(node: &Node, log: &SimulatedLog, row: &Value) -> Receipt {
    let receipt = node.one(row).await.unwrap();
    agrees(&log.events(), key(row), &receipt);
    receipt
}

/// Rewards that stand.
fn standing(events: &[StoredEvent]) -> usize {
    let reversed = account_events(events);
    let reversed = reversed.iter().filter(|e| matches!(e, AccountEvent::RewardReversed { .. }));
    wins(events).len() - reversed.count()
}

fn holds(world: &World, log: &SimulatedLog) {
    sound(&log.events(), &*world.seeds);
    decided_under_one_name(&log.events());
}

#[tokio::test(start_paused = true)]
async fn a_purchase_booked_under_two_names_is_drawn_once_whatever_is_forgotten() {
    for hides in [false, true] {
        let (world, mut node, log) = world().await;
        let original = one(&node, &log, &lp()).await;
        let linked = one(&node, &log, &lx()).await;
        assert_eq!((linked.result, linked.won), (RowResult::Linked, None));
        assert!(linked.position > original.position);
        for round in 0..3 {
            for pending_id in [json!(null), json!("lp"), json!("never-seen")] {
                let again = with(&lx(), "pending_transaction_id", pending_id);
                assert_eq!(node.one(&again).await, duplicate_of(&linked), "round {round}");
                node.one(&row(&format!("other-{round}"), "ben")).await.unwrap();
            }
            assert_eq!(node.one(&with(&lx(), "account_id", "carla")).await, duplicate_of(&linked), "joint");
            let dearer = with(&lx(), "amount", json!({ "minor": "1251", "currency": "GBP" }));
            assert_eq!(code(&node.one(&dearer).await), Some(RowCode::Conflict));
            assert_eq!(node.one(&lp()).await, duplicate_of(&original));
            if hides {
                log.faults().hide_keys();
            }
            node = restart(&world, node, &log).await;
        }
        assert_eq!(wins(&log.events()).len(), draws(&log.events()).count(), "every line wins");
        assert_eq!(draws(&log.events()).count(), 4, "lp, and three others");
        holds(&world, &log);
    }
}

#[tokio::test(start_paused = true)]
async fn a_purchase_taken_back_by_either_name_loses_its_prize_once_and_is_held_under_both() {
    for (by, other) in [(lx(), lp()), (lp(), lx())] {
        for restarts in [false, true] {
            let (world, mut node, log) = world().await;
            one(&node, &log, &lp()).await;
            one(&node, &log, &lx()).await;
            if restarts {
                log.faults().hide_keys();
                node = restart(&world, node, &log).await;
            }
            assert_eq!(standing(&log.events()), 1);
            assert_eq!(one(&node, &log, &removed(&by)).await.result, RowResult::Accepted);
            assert_eq!(standing(&log.events()), 0);
            if restarts {
                node = restart(&world, node, &log).await;
            }
            for row in [&by, &other] {
                assert_eq!(one(&node, &log, &removed(row)).await.result, RowResult::Duplicate);
            }
            assert_eq!(one(&node, &log, &lx()).await.result, RowResult::Held);
            assert_eq!(one(&node, &log, &lp()).await.result, RowResult::Held);
            for row in [&by, &other] {
                assert_eq!(one(&node, &log, row).await.result, RowResult::Duplicate);
            }
            let refused = node.review(&lx(), Verdict::Released).await;
            assert_eq!(refused, Err(Rejection::KnownOtherwise("lx".parse().unwrap())));
            let refused = node.review(&lp(), Verdict::Released).await;
            assert_eq!(refused, Err(Rejection::DecidedBefore("lp".parse().unwrap())));
            assert_eq!((draws(&log.events()).count(), standing(&log.events())), (1, 0));
            holds(&world, &log);
        }
    }
}

/// The event of a name does not say when it was booked, so nobody may know it until a restart.
#[tokio::test(start_paused = true)]
async fn a_held_name_of_a_purchase_says_as_much_before_a_restart_as_after() {
    for restarts in [false, true] {
        let (world, mut node, log) = world().await;
        let old = |row: &Value| with(row, "booked_at", "2026-10-01T10:15:00Z");
        one(&node, &log, &old(&lp())).await;
        one(&node, &log, &removed(&old(&lp()))).await;
        assert_eq!(one(&node, &log, &old(&lx())).await.result, RowResult::Held);
        if restarts {
            node = restart(&world, node, &log).await;
        }
        let later = with(&row("ly", "anna"), "pending_transaction_id", "lx");
        assert_eq!(one(&node, &log, &later).await.result, RowResult::Held, "restarts: {restarts}");
        holds(&world, &log);
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_pending_name_of_a_booked_purchase_is_its_name_too() {
    let (world, mut node, log) = world().await;
    let booked = with(&row("t1", "anna"), "pending_transaction_id", "p1");
    one(&node, &log, &with(&row("p1", "anna"), "status", "pending")).await;
    one(&node, &log, &booked).await;
    let linked = one(&node, &log, &row("p1", "anna")).await;
    assert_eq!(linked.result, RowResult::Linked);
    node = restart(&world, node, &log).await;
    assert_eq!(node.one(&row("p1", "anna")).await, duplicate_of(&linked));
    one(&node, &log, &removed(&row("p1", "anna"))).await;
    assert_eq!((draws(&log.events()).count(), standing(&log.events())), (1, 0));
    assert_eq!(one(&node, &log, &booked).await.result, RowResult::Held);
    holds(&world, &log);
}

/// The link stands in the stream of whoever's purchase it is, which is also where it is taken back.
#[tokio::test(start_paused = true)]
async fn another_holder_of_a_joint_account_brings_the_other_name() {
    for released in [false, true] {
        let (world, mut node, log) = world().await;
        if released {
            // The log's key of what is released is that of its removal, which has no terms.
            one(&node, &log, &removed(&lp())).await;
            assert_eq!(one(&node, &log, &lp()).await.result, RowResult::Held);
            node.review(&lp(), Verdict::Released).await.unwrap();
            crate::epochs::run_resume(&world, &node, &log, |events| draws(events).count() == 1).await;
            node = restart(&world, node, &log).await;
        } else {
            one(&node, &log, &lp()).await;
        }
        let joint = with(&lx(), "account_id", "ben");
        let linked = one(&node, &log, &joint).await;
        assert_eq!(linked.result, RowResult::Linked, "{released}");
        let stream = &log.events()[usize::try_from(linked.position.unwrap().0).unwrap() - 1].stream;
        assert_eq!(&*stream.id, "anna");
        node = restart(&world, node, &log).await;
        let alone = with(&joint, "pending_transaction_id", json!(null));
        assert_eq!(node.one(&alone).await, duplicate_of(&linked));
        assert_eq!(standing(&log.events()), 1);
        one(&node, &log, &removed(&alone)).await;
        assert_eq!(standing(&log.events()), 0);
        assert_eq!(one(&node, &log, &alone).await.result, RowResult::Held);
        assert_eq!(draws(&log.events()).count(), 1);
        holds(&world, &log);
    }
}

#[tokio::test(start_paused = true)]
async fn both_names_in_one_request_are_one_purchase() {
    let (world, node, log) = world().await;
    let answers = node.take(&[lp(), with(&lx(), "account_id", "ben"), lx(), removed(&lx())]).await;
    let results: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().result).collect();
    assert_eq!(results, [RowResult::Accepted, RowResult::Linked, RowResult::Duplicate, RowResult::Accepted]);
    assert_eq!((draws(&log.events()).count(), standing(&log.events())), (1, 0));
    holds(&world, &log);
}

#[tokio::test(start_paused = true)]
async fn replay_names_links_that_do_not_fit() {
    let (_, node, log) = world().await;
    for line in [lp(), lx(), removed(&lx()), row("other", "anna")] {
        node.one(&line).await.unwrap();
    }
    let honest = log.events();
    assert!(replay(&honest).findings.is_empty());
    let found = |mut events: Vec<StoredEvent>, words: &str| {
        rehash(&mut events);
        let findings = replay(&events).findings;
        assert!(findings.iter().any(|finding| finding.contains(words)), "{words:?} is not in {findings:?}");
    };
    let changed = |event_type: &str, from: &str, to: &str| {
        let mut events = honest.clone();
        let n = first(&events, event_type);
        let text = String::from_utf8(events[n].payload.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        events[n].payload = text.replace(from, to).into_bytes();
        events
    };
    found(
        changed("TransactionLinked", r#""linked_to":"lp""#, r#""linked_to":"lq""#),
        "that is not in the log",
    );
    found(changed("TransactionLinked", r#""linked_to":"lp""#, r#""linked_to":"lx""#), "linked to itself");
    found(
        changed("TransactionRemoved", r#""named":"lx""#, r#""named":"ly""#),
        "by a name that is not its own",
    );
    // A decided line cannot be made another's name, and a name not decided.
    let mut events = honest.clone();
    let mut link = events[first(&events, "TransactionLinked")].clone();
    link.transaction_key = None;
    link.payload = String::from_utf8(link.payload).unwrap().replace("lx", "other").into_bytes();
    events.push(link);
    found(events, "a transaction is linked that is decided");
    let mut events = honest.clone();
    let mut decided = events[first(&events, "TransactionEvaluated")].clone();
    decided.transaction_key = None;
    decided.payload =
        String::from_utf8(decided.payload).unwrap().replace(r#":"lp""#, r#":"lx""#).into_bytes();
    events.push(decided);
    found(events, "a transaction is decided that did not wait");
}
