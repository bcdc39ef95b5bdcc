//! Held lines: released by two people and decided whatever falls down in between, or dismissed for
//! good.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use ledger_core::account::event::{Line, Verdict};
use ledger_core::account::{AccountAnswer, AccountEvent, Rejection};
use ledger_core::engine::RowResult;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::TransactionId;
use ledger_core::log::StoredEvent;
use serde_json::Value;
use support::SimulatedLog;

use crate::check::{decided_under_one_name, replay, sound};
use crate::epochs::run_resume;
use crate::tampering::{first, rehash};
use crate::world::{Dice, Node, World, at, duplicate_of, row, rows, terms, with};

/// Taken back before it was ever booked, and then booked.
async fn hold(node: &Node, line: &Value) {
    node.one(&with(line, "status", "removed")).await.unwrap();
    assert_eq!(node.one(line).await.unwrap().result, RowResult::Held);
}

fn count(events: &[StoredEvent], event_type: &str) -> usize {
    events.iter().filter(|event| &*event.event_type == event_type).count()
}

#[tokio::test(start_paused = true)]
async fn a_released_line_is_decided_whatever_falls_down_between_its_review_and_its_decision() {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    // More of the account than the step reads at a time.
    let others: Vec<Value> = (0..1_100).map(|n| row(&format!("other-{n}"), "anna")).collect();
    node.take(&others).await;
    hold(&node, &line).await;
    some_time(&world, &node, &log).await;
    assert_eq!(node.review(&line, Verdict::Released).await, Ok(AccountAnswer::Done));
    assert_eq!(count(&log.events(), "TransactionEvaluated"), 1_100, "nobody reads reviews just now");
    node.stop().await;
    node = world.start(Arc::new(log.reopen())).await;
    run_resume(&world, &node, &log, |events| count(events, "TransactionEvaluated") == 1_101).await;
    let events = log.events();
    let decided = events.iter().rfind(|event| &*event.event_type == "TransactionEvaluated").unwrap();
    let LedgerEvent::Account(AccountEvent::TransactionEvaluated { line: decided, .. }) =
        decode(decided).unwrap()
    else {
        panic!()
    };
    assert_eq!(decided.transaction_id.as_str(), "tx-1");
    // With its cursor lost the step sees the review again.
    std::fs::remove_file(world.folder.path().join("steps.db")).unwrap();
    some_time(&world, &node, &log).await;
    assert_eq!(node.one(&line).await.unwrap().result, RowResult::Duplicate);
    assert_eq!(log.events(), events);
    sound(&events, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_line_released_after_its_days_grace_is_too_late() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    hold(&node, &line).await;
    world.clock.set(at("2026-11-26T12:00:00Z"));
    node.review(&line, Verdict::Released).await.unwrap();
    run_resume(&world, &node, &log, |events| count(events, "TransactionEvaluated") == 1).await;
    let events = log.events();
    assert!(
        String::from_utf8_lossy(&events[first(&events, "TransactionEvaluated")].payload).contains("too_late")
    );
    sound(&events, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_drawn_line_is_only_dismissed_and_that_is_remembered_across_restarts() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    let original = node.one(&line).await.unwrap();
    hold(&node, &line).await;
    let decided = Rejection::DecidedBefore("tx-1".parse().unwrap());
    assert_eq!(node.review(&line, Verdict::Released).await, Err(decided));
    assert_eq!(node.review(&line, Verdict::Dismissed).await, Ok(AccountAnswer::Done));
    node.stop().await;
    let node = world.start(Arc::new(log.reopen())).await;
    let before = log.events();
    for again in [line.clone(), with(&line, "status", "removed"), line.clone()] {
        assert_eq!(node.one(&again).await, duplicate_of(&original));
    }
    some_time(&world, &node, &log).await;
    assert_eq!(log.events(), before);
    sound(&before, &*world.seeds);
}

/// Lines released and neither decided nor taken back since.
fn waiting(events: &[StoredEvent]) -> BTreeSet<TransactionId> {
    let mut waiting = BTreeSet::new();
    for stored in events {
        match decode(stored).unwrap() {
            LedgerEvent::Account(AccountEvent::TransactionReviewed {
                transaction_id,
                verdict: Verdict::Released,
                ..
            }) => drop(waiting.insert(transaction_id)),
            LedgerEvent::Account(
                AccountEvent::TransactionEvaluated { line: Line { transaction_id, .. }, .. }
                | AccountEvent::TransactionRemoved { transaction_id, .. },
            ) => drop(waiting.remove(&transaction_id)),
            _ => {}
        }
    }
    waiting
}

/// Lets the step read what there is, again and again.
async fn some_time(world: &World, node: &Node, log: &SimulatedLog) {
    let looks = Cell::new(0);
    run_resume(world, node, log, |_| looks.replace(looks.get() + 1) > 2).await;
}

/// Lines taken back, booked again and reviewed at random, in processes that come and go.
#[tokio::test(start_paused = true)]
async fn whatever_banks_and_people_do_nothing_is_decided_twice_and_what_is_released_is_decided() {
    let world = World::new();
    let (mut released, mut dismissed, mut linked) = (0, 0, 0);
    for seed in 0..40 {
        let dice = &mut Dice(seed);
        let log = SimulatedLog::new();
        let mut node = world.start(Arc::new(log.reopen())).await;
        node.run(terms(|_| {})).await;
        for _ in 0..100 {
            let line = &rows(0..5)[dice.below(5)];
            // One purchase in three comes under its neighbour's name.
            let other =
                with(&rows(5..10)[dice.below(5)], "pending_transaction_id", line["transaction_id"].clone());
            let line =
                if dice.one_in(3) { &with(&other, "account_id", line["account_id"].clone()) } else { line };
            match dice.below(8) {
                0..=2 => drop(node.one(&with(line, "status", "removed")).await.unwrap()),
                3 | 4 => drop(node.one(line).await.unwrap()),
                5 => drop(node.review(line, Verdict::Released).await),
                6 if dice.one_in(4) => drop(node.review(line, Verdict::Dismissed).await),
                6 => some_time(&world, &node, &log).await,
                _ => {
                    node.stop().await;
                    node = world.start(Arc::new(log.reopen())).await;
                }
            }
        }
        let _ = std::fs::remove_file(world.folder.path().join("steps.db"));
        run_resume(&world, &node, &log, |events| waiting(events).is_empty()).await;
        let events = log.events();
        sound(&events, &*world.seeds);
        decided_under_one_name(&events);
        linked += count(&events, "TransactionLinked");
        let said = |verdict: &str| {
            events
                .iter()
                .filter(|e| {
                    &*e.event_type == "TransactionReviewed"
                        && String::from_utf8_lossy(&e.payload).contains(verdict)
                })
                .count()
        };
        (released, dismissed) = (released + said("released"), dismissed + said("dismissed"));
        let _ = std::fs::remove_file(world.folder.path().join("steps.db"));
    }
    assert!(
        released > 20 && dismissed > 10 && linked > 20,
        "{released} released, {dismissed} dismissed, {linked} linked"
    );
}

/// A log with one line released and drawn.
async fn honest() -> Vec<StoredEvent> {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    hold(&node, &line).await;
    node.review(&line, Verdict::Released).await.unwrap();
    run_resume(&world, &node, &log, |events| count(events, "TransactionEvaluated") == 1).await;
    log.events()
}

fn found(mut events: Vec<StoredEvent>, words: &str) {
    rehash(&mut events);
    let findings = replay(&events).findings;
    assert!(findings.iter().any(|finding| finding.contains(words)), "{words:?} is not in {findings:?}");
}

fn changed(events: &[StoredEvent], event_type: &str, from: &str, to: &str) -> Vec<StoredEvent> {
    let mut events = events.to_vec();
    let n = first(&events, event_type);
    let text = String::from_utf8(events[n].payload.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    events[n].payload = text.replace(from, to).into_bytes();
    events
}

fn without(events: &[StoredEvent], event_type: &str) -> Vec<StoredEvent> {
    let mut events = events.to_vec();
    events.remove(first(&events, event_type));
    events
}

#[tokio::test(start_paused = true)]
async fn replay_names_a_release_that_two_people_did_not_agree_on_under_a_chain_made_to_fit() {
    let events = honest().await;
    assert!(replay(&events).findings.is_empty());
    found(
        without(&events, "TransactionReviewed"),
        "a held transaction is decided that two people have not released",
    );
    found(without(&events, "ReviewProposed"), "a review agrees to what nobody has proposed");
    let alone = changed(&events, "TransactionReviewed", "alice", "bob");
    found(alone, "a transaction is reviewed by one person alone");
    let in_capitals = changed(&events, "TransactionReviewed", r#""by":"bob""#, r#""by":"ALICE""#);
    found(in_capitals, "a transaction is reviewed by one person alone");
    let another = "a review names somebody else than who did it";
    found(changed(&events, "TransactionReviewed", r#""by":"bob""#, r#""by":"carol""#), another);
    found(changed(&events, "ReviewProposed", r#""by":"alice""#, r#""by":"carol""#), another);
    let other = changed(&events, "ReviewProposed", "released", "dismissed");
    found(other, "a review agrees to what nobody has proposed");
    let dismissed = changed(&events, "TransactionReviewed", "released", "dismissed");
    found(dismissed, "something becomes of a transaction that two people have dismissed");
    found(
        changed(&events, "TransactionRemoved", r#","undecided":true"#, ""),
        "a transaction is released that was decided",
    );
    let held = changed(&events, "TransactionDeferred", "held", "epoch_not_open");
    found(held, "a transaction is reviewed that is not held");
}

#[tokio::test(start_paused = true)]
async fn replay_names_a_decided_line_that_was_made_to_look_undecided() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    node.one(&line).await.unwrap();
    hold(&node, &line).await;
    node.review(&line, Verdict::Dismissed).await.unwrap();
    let events = changed(&log.events(), "TransactionRemoved", r#"Z"}"#, r#"Z","undecided":true}"#);
    found(events.clone(), "said to be undecided that was decided");
    // And released and drawn again.
    let events = changed(&events, "ReviewProposed", "dismissed", "released");
    let mut events = changed(&events, "TransactionReviewed", "dismissed", "released");
    let mut again = events[first(&events, "TransactionEvaluated")].clone();
    again.transaction_key = None;
    events.push(again);
    found(events.clone(), "a transaction is released that was decided before");
    found(events, "a transaction is decided that did not wait");
}
