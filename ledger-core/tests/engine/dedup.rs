//! One line, one decision: repeats, conflicts, joint accounts, restarts, caches that forget.

use std::sync::Arc;

use ledger_core::engine::{EngineSettings, RowResult};
use ledger_core::log::EventLog;
use ledger_core::transaction::RowCode;
use serde_json::{Value, json};
use stores::sqlite::log::{SqliteLog, SqliteOptions};
use support::SimulatedLog;

use crate::check::{sound, wins, won};
use crate::tap::TapLog;
use crate::world::{Dice, World, code, duplicate_of, place, row, rows, terms, with};

fn tiny() -> EngineSettings {
    EngineSettings { keys_max: 1, accounts_max: 1, snapshot_every: 2, ..EngineSettings::default() }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_originals_position_whatever_has_been_forgotten() {
    let world = World::new();
    let log = SimulatedLog::new();
    let mut node = world.start_with(Arc::new(log.reopen()), tiny()).await;
    node.run(terms(|_| {})).await;
    let (first, other) = (row("tx-1", "anna"), row("tx-2", "ben"));
    let original = node.one(&first).await.unwrap();
    assert_eq!(original.result, RowResult::Accepted);
    assert!(original.position.unwrap() <= log.head().await.unwrap().position, "durable when answered");
    assert_eq!(node.one(&first).await, duplicate_of(&original), "from memory");
    let second = node.one(&other).await.unwrap();
    assert_eq!(node.one(&first).await, duplicate_of(&original), "pushed out of memory by another");
    let joint = with(&first, "account_id", "carla");
    assert_eq!(node.one(&joint).await, duplicate_of(&original), "brought by another customer");
    let dearer = with(&first, "amount", json!({ "minor": "1251", "currency": "GBP" }));
    assert_eq!(code(&node.one(&dearer).await), Some(RowCode::Conflict));
    assert_eq!(code(&node.one(&with(&dearer, "account_id", "carla")).await), Some(RowCode::Conflict));
    node.stop().await;
    node = world.start_with(Arc::new(log.reopen()), tiny()).await;
    assert_eq!(node.one(&joint).await, duplicate_of(&original), "after a restart");
    assert_eq!(node.one(&other).await, duplicate_of(&second));
    assert_eq!(code(&node.one(&dearer).await), Some(RowCode::Conflict));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_joint_line_in_one_request_belongs_to_whoever_stands_first() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    let answers = node.take(&[line.clone(), with(&line, "account_id", "ben"), line.clone()]).await;
    let original = answers[0].clone().unwrap();
    assert_eq!(answers[1..], [duplicate_of(&original), duplicate_of(&original)]);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_pending_line_is_linked_when_it_was_booked_and_its_repeat_has_the_same_place() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let pending = with(&row("p-1", "anna"), "status", "pending");
    let noted = node.one(&pending).await.unwrap();
    assert_eq!(noted.result, RowResult::Deferred);
    assert_eq!(node.one(&pending).await, duplicate_of(&noted));
    let dearer = with(&pending, "amount", json!({ "minor": "1300", "currency": "GBP" }));
    let again = node.one(&dearer).await.unwrap();
    assert!(again.result == RowResult::Deferred && again.position > noted.position, "its amount may change");
    let booked = with(&row("b-1", "anna"), "pending_transaction_id", "p-1");
    let accepted = node.one(&booked).await.unwrap();
    assert_eq!(accepted.result, RowResult::Accepted);
    assert_eq!(node.one(&pending).await.unwrap().result, RowResult::Linked);
    let direct = with(&row("p-2", "anna"), "status", "pending");
    node.one(&direct).await.unwrap();
    let booked = node.one(&row("p-2", "anna")).await.unwrap();
    assert_eq!(booked.result, RowResult::Accepted);
    assert_eq!(node.one(&direct).await, duplicate_of(&booked), "pending after it was booked");
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_line_removed_and_booked_again_is_held_once() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let booked = row("tx-1", "anna");
    let removed = with(&booked, "status", "removed");
    let original = node.one(&booked).await.unwrap();
    let taken_back = node.one(&removed).await.unwrap();
    assert!(taken_back.result == RowResult::Accepted && taken_back.position > original.position);
    assert_eq!(node.one(&removed).await, duplicate_of(&original));
    assert_eq!(node.one(&booked).await.unwrap().result, RowResult::Held);
    assert_eq!(node.one(&booked).await, duplicate_of(&original));
    let unseen = with(&row("tx-2", "anna"), "status", "removed");
    let mark = node.one(&unseen).await.unwrap();
    assert_eq!(node.one(&with(&unseen, "status", "booked")).await.unwrap().result, RowResult::Held);
    let again = node.one(&unseen).await.unwrap();
    assert!(again.result == RowResult::Accepted && again.position > mark.position, "ends the hold");
    assert_eq!(node.one(&unseen).await, duplicate_of(&mark));
    sound(&log.events(), &*world.seeds);
}

/// Booked, pending and declined lines of five customers.
fn statement() -> Vec<Value> {
    let mut rows = rows(0..60);
    rows.extend((60..70).map(|n| with(&row(&format!("tx-{n}"), "cus-1"), "status", "pending")));
    rows.extend((70..75).map(|n| {
        let row = with(&row(&format!("tx-{n}"), "cus-2"), "direction", "credit");
        with(&row, "to_account", "GB94BARC10201530093459")
    }));
    rows.extend(
        (75..80).map(|n| with(&row(&format!("tx-{n}"), "cus-3"), "booked_at", "2026-11-23T09:00:00Z")),
    );
    rows
}

#[tokio::test(start_paused = true)]
async fn a_statement_sent_again_changes_nothing() {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    let mut rows = statement();
    let originals = node.take(&rows).await;
    let before = log.events();
    assert!(won(&before).minor() > 0, "a test without wins proves little");
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for round in 0..4 {
        if round % 2 == 1 {
            node.stop().await;
            node = world.start_with(Arc::new(log.reopen()), tiny()).await;
        }
        if round == 2 {
            Dice(7).shuffle(&mut order);
            rows = order.iter().map(|&n| statement()[n].clone()).collect();
        }
        let (one, two) = rows.split_at(rows.len() / 2);
        let mut answers = node.take(one).await;
        if round == 3 {
            node.stop().await;
            node = world.start(Arc::new(log.reopen())).await;
        }
        answers.extend(node.take(two).await);
        for (&n, answer) in order.iter().zip(&answers) {
            assert_eq!(*answer, duplicate_of(originals[n].as_ref().unwrap()), "row {n} in round {round}");
        }
    }
    assert_eq!(log.events(), before);
    sound(&before, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn the_order_of_lines_does_not_decide_who_wins() {
    let mut results = Vec::new();
    for order in 0..3 {
        let world = World::seeded(5);
        let (node, log) = world.with(terms(|_| {})).await;
        let mut rows = rows(0..120);
        if order > 0 {
            Dice(order).shuffle(&mut rows);
        }
        for part in rows.chunks(1 + usize::try_from(order).unwrap() * 17) {
            node.take(part).await;
        }
        sound(&log.events(), &*world.seeds);
        results.push(wins(&log.events()));
    }
    assert!(results[0].len() > 20);
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_memory_did_not_know_makes_a_duplicate_and_spares_its_neighbours() {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    let first = node.one(&row("tx-1", "anna")).await.unwrap();
    node.stop().await;
    let tap = TapLog::new(Arc::new(log.reopen()));
    node = world.start(tap.log()).await;
    log.faults().forget_keys(1);
    let answers = node.take(&[row("tx-0", "ben"), row("tx-1", "anna"), row("tx-2", "anna")]).await;
    assert_eq!(
        tap.calls(),
        [1, 2, 0],
        "the lease of the start, the append that was refused, the one that landed"
    );
    assert_eq!(answers[1], duplicate_of(&first));
    assert_eq!(answers[0].as_ref().unwrap().result, RowResult::Accepted);
    assert_eq!(answers[2].as_ref().unwrap().result, RowResult::Accepted);
    assert!(place(&answers[0]) < place(&answers[2]));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn new_lines_are_not_looked_up_once_the_known_keys_have_been_read() {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    let mut originals = node.take(&rows(0..20)).await;
    node.stop().await;
    let tap = TapLog::new(Arc::new(log.reopen()));
    node = world.start_with(tap.log(), tiny()).await;
    tap.keys_read().await;
    let pending = with(&row("p-1", "anna"), "status", "pending");
    node.take(&[pending, with(&row("b-1", "anna"), "pending_transaction_id", "p-1")]).await;
    assert!(tap.looked_up() >= 2, "what the append would not find out is always looked up");
    let before = tap.looked_up();
    originals.extend(node.take(&rows(20..40)).await);
    let new = tap.looked_up() - before;
    assert!(new < 20, "{new} of 20 new lines were looked up");
    for (row, original) in rows(0..40).iter().zip(&originals) {
        assert_eq!(node.one(row).await, duplicate_of(original.as_ref().unwrap()));
    }
    assert_eq!(tap.calls()[1], 2, "no repeat had to be found out by an append");
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_taken_for_new_makes_a_duplicate() {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    let first = node.one(&row("tx-1", "anna")).await.unwrap();
    node.one(&row("p-1", "anna")).await.unwrap();
    node.stop().await;
    log.faults().hide_keys();
    let tap = TapLog::new(Arc::new(log.reopen()));
    node = world.start(tap.log()).await;
    tap.keys_read().await;
    let answers = node.take(&[row("tx-0", "ben"), row("tx-1", "anna")]).await;
    assert_eq!(tap.calls()[1], 2, "the append that was refused, the one that landed");
    assert_eq!(answers[1], duplicate_of(&first));
    assert_eq!(answers[0].as_ref().unwrap().result, RowResult::Accepted);
    // No append would find this out.
    let renamed = with(&row("b-1", "anna"), "pending_transaction_id", "p-1");
    assert_eq!(node.one(&renamed).await.unwrap().result, RowResult::Linked);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn many_callers_at_once_get_their_own_answers_in_order() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let known = node.take(&rows(0..20)).await;
    let node = Arc::new(node);
    let callers = (0..16).map(|caller: usize| {
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            let mut batch = vec![json!({ "transaction_id": "tx-bad", "source": "bank" })];
            batch.push(row(&format!("tx-{}", caller % 20), &format!("cus-{}", caller % 5)));
            batch.extend((0..10).map(|n| row(&format!("own-{caller}-{n}"), &format!("cus-{}", n % 5))));
            batch.push(row("tx-shared", &format!("cus-{}", caller % 5)));
            node.take(&batch).await
        })
    });
    let mut shared = Vec::new();
    for (caller, answers) in futures::future::join_all(callers).await.into_iter().enumerate() {
        let answers = answers.unwrap();
        assert!(answers[0].is_err(), "the bad row alone is refused");
        assert_eq!(answers[1], duplicate_of(known[caller].as_ref().unwrap()));
        let own: Vec<_> = answers[2..12].iter().map(place).collect();
        assert!(
            own.is_sorted()
                && answers[2..12].iter().all(|a| a.as_ref().unwrap().result == RowResult::Accepted)
        );
        shared.push(answers[12].clone().unwrap());
    }
    assert_eq!(shared.iter().filter(|r| r.result == RowResult::Accepted).count(), 1);
    assert!(shared.iter().all(|r| r.position == shared[0].position));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_log_keeps_what_was_acknowledged() {
    let world = World::new();
    let path = world.folder.path().join("log.db");
    let open = || Arc::new(SqliteLog::open(&path, &SqliteOptions::default()).unwrap());
    let node = world.start(open()).await;
    node.run(terms(|_| {})).await;
    let originals = node.take(&rows(0..40)).await;
    node.stop().await;
    let node = world.start_with(open(), tiny()).await;
    for (original, answer) in originals.iter().zip(node.take(&rows(0..40)).await) {
        assert_eq!(answer, duplicate_of(original.as_ref().unwrap()));
    }
    let events = node.log.read_after(ledger_core::log::Position(0), usize::MAX).await.unwrap();
    sound(&events, &*world.seeds);
}
