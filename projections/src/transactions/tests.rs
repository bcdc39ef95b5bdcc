//! What becomes of a line, in sentences.

mod held;

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::Line;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::fold::THIS;
use super::*;
use crate::connection::Value;
use crate::error::Contradiction;
use crate::fixtures::*;

fn find(store: &TestStore, id: &str) -> Option<TransactionRow> {
    store.query(|conn| transaction(conn, &source(), &tx(id), None))
}

fn listed(store: &TestStore) -> Vec<String> {
    let page = store.query(|conn| transactions(conn, &account_id("a"), None, 100));
    page.rows.iter().map(|row| row.transaction_id.to_string()).collect()
}

fn noted(id: &str) -> AccountEvent {
    AccountEvent::TransactionNoted { line: line(id) }
}

fn removed(id: &str) -> AccountEvent {
    AccountEvent::TransactionRemoved {
        source: source(),
        transaction_id: tx(id),
        removed_at: at(50),
        undecided: false,
        named: None,
    }
}

fn booked_from(pending: &str, id: &str) -> AccountEvent {
    let pending_transaction_id = Some(tx(pending));
    evaluated(Line { pending_transaction_id, ..line(id) }, None)
}

#[test]
fn a_decision_is_kept_with_its_draws_and_sealed_details() {
    on_both(|place| {
        let store = place.after([opened(), won("t1", 100)]);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Booked, Some(Outcome::Won)));
        assert_eq!(row.draws, [draw("t1", Some((1, 100)))]);
        assert_eq!(row.considered.as_ref().unwrap().len(), 1);
        assert_eq!((row.position, row.recorded_at, row.booked_at), (Position(8), at(8), at(0)));
        assert_eq!(row.details, Some(Sealed::from_text("sealed t1")));
        assert!(!format!("{row:?}").contains("sealed t1"));
    });
}

#[test]
fn a_deferred_line_is_decided_in_its_place() {
    on_both(|place| {
        let waits = deferred("t1", DeferReason::EpochNotOpen);
        let store = place.after([waits.clone(), lost("t2")]);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Deferred, None));
        assert_eq!(row.defer_reason, Some(DeferReason::EpochNotOpen));
        let store = place.after([waits, lost("t2"), lost("t1")]);
        let row = find(&store, "t1").unwrap();
        assert_eq!((row.status, row.outcome), (TransactionStatus::Booked, Some(Outcome::Lost)));
        assert_eq!((row.defer_reason, row.position, row.recorded_at), (None, Position(7), at(9)));
        assert_eq!(listed(&store), ["t2", "t1"]);
    });
}

#[test]
fn a_pending_line_booked_under_another_id_is_one_line_found_by_both() {
    on_both(|place| {
        let store = place.after([noted("p1"), booked_from("p1", "t1"), noted("p1")]);
        assert_eq!(listed(&store), ["t1"]);
        assert_eq!(find(&store, "p1").unwrap(), find(&store, "t1").unwrap());
    });
}

#[test]
fn a_pending_line_may_change_and_vanish_until_it_is_booked() {
    on_both(|place| {
        let later = AccountEvent::TransactionNoted { line: Line { booked_at: at(7), ..line("p1") } };
        let store = place.after([noted("p1"), later]);
        let row = find(&store, "p1").unwrap();
        assert_eq!(
            (row.booked_at, row.status, row.position),
            (at(7), TransactionStatus::Pending, Position(7))
        );
        let store = place.after([noted("p1"), removed("p1")]);
        assert_eq!(find(&store, "p1").unwrap().status, TransactionStatus::Removed);
        assert!(listed(&store).is_empty());
        let store = place.after([lost("t1"), noted("t1")]);
        assert_eq!(find(&store, "t1").unwrap().status, TransactionStatus::Booked);
    });
}

#[test]
fn a_line_removed_before_we_saw_it_is_nothing_to_show() {
    on_both(|place| {
        assert_eq!(find(&place.after([removed("t1")]), "t1"), None);
    });
}

#[test]
fn a_line_decided_twice_is_a_fault_that_names_the_second_time() {
    on_both(|place| {
        let log = TestLog::with_campaign();
        log.account("a", [lost("t1"), lost("t2")]);
        log.account("b", [lost("t3"), lost("t1"), lost("t4")]);
        let what = "a transaction is decided twice";
        let second = Contradiction { projection: THIS, position: Position(10), what };
        // Beside others that are written together, and alone.
        let log = Arc::new(log);
        for batch in [100, 1] {
            let failed = place.store().follow(&log, batch);
            assert!(matches!(failed, Err(ProjectionError::Contradiction(c)) if c == second), "{failed:?}");
        }
    });
}

/// Every page size: all in one page, each event in its own, and some of both.
const PAGES: [usize; 3] = [100, 1, 2];

#[test]
fn a_line_taken_back_is_removed_under_both_names_and_its_pending_name_alone_takes_nothing_back() {
    on_both(|place| {
        let log = TestLog::with_campaign();
        // Kinds take turns, and so do lines.
        for n in 0..3 {
            let (pending, id) = (format!("p{n}"), format!("t{n}"));
            // What Plaid sends for every settlement, and then the purchase itself is taken back.
            log.account("a", [noted(&pending), booked_from(&pending, &id), removed(&pending), removed(&id)]);
        }
        log.account("a", [noted("p1"), noted("p3"), lost("t4"), removed("p3"), noted("p3")]);
        log.account("a", [noted("p5"), booked_from("p5", "t5"), removed("p5")]);
        let log = Arc::new(log);
        for page in PAGES {
            let store = place.store();
            store.follow(&log, page).unwrap();
            for n in 0..3 {
                let row = find(&store, &format!("p{n}")).unwrap();
                assert_eq!(row, find(&store, &format!("t{n}")).unwrap());
                assert_eq!((row.status, row.outcome), (TransactionStatus::Removed, Some(Outcome::Lost)));
                assert_eq!(row.position, Position(8 + 4 * n));
            }
            let again = find(&store, "p3").unwrap();
            assert_eq!((again.status, again.removed_at), (TransactionStatus::Pending, None));
            let settled = find(&store, "p5").unwrap();
            assert_eq!(settled, find(&store, "t5").unwrap());
            assert_eq!((settled.status, settled.removed_at), (TransactionStatus::Booked, None));
            assert_eq!(listed(&store), ["t5", "t4", "p3", "t2", "t1", "t0"]);
        }
    });
}

#[test]
fn a_removal_by_the_old_name_is_not_overtaken_by_the_decision_after_it() {
    on_both(|place| {
        let waits = Line { pending_transaction_id: Some(tx("p1")), ..line("t1") };
        let waits = AccountEvent::TransactionDeferred { line: waits, reason: DeferReason::EpochNotOpen };
        let log = TestLog::with_campaign();
        log.account("a", [noted("p1"), waits, removed("p1"), lost("t1")]);
        let log = Arc::new(log);
        for page in PAGES {
            let store = place.store();
            store.follow(&log, page).unwrap();
            let row = find(&store, "p1").unwrap();
            assert_eq!((row.status, row.removed_at), (TransactionStatus::Booked, None));
        }
    });
}

#[test]
fn an_erasure_keeps_its_place_among_writes_that_are_put_off() {
    on_both(|place| {
        let erased = AccountEvent::PersonalDataErased { erased_at: at(1) };
        let store = place.after([noted("t1"), lost("t2"), erased, lost("t3"), lost("t1")]);
        let details = |id| find(&store, id).unwrap().details.is_some();
        assert_eq!(["t1", "t2", "t3"].map(details), [true, false, true]);
    });
}

/// An event about one of four ids in one of two accounts' streams.
fn about_a_line() -> impl Strategy<Value = (&'static str, AccountEvent)> {
    let id = || prop::sample::select(vec!["w", "x", "y", "z"]);
    let event = prop_oneof![
        4 => id().prop_map(noted),
        2 => id().prop_map(|id| deferred(id, DeferReason::EpochNotOpen)),
        2 => id().prop_map(|id| deferred(id, DeferReason::Held)),
        2 => id().prop_map(|id| proposed(id, Verdict::Released)),
        2 => id().prop_map(|id| proposed(id, Verdict::Dismissed)),
        2 => id().prop_map(|id| reviewed(id, Verdict::Released)),
        1 => id().prop_map(|id| reviewed(id, Verdict::Dismissed)),
        3 => id().prop_map(lost),
        3 => (id(), id()).prop_map(|(pending, id)| booked_from(pending, id)),
        2 => (id(), id()).prop_map(|(id, linked_to)| AccountEvent::TransactionLinked {
            source: source(),
            transaction_id: tx(id),
            linked_to: tx(linked_to),
            fingerprint: None,
            fingerprint_version: 1,
        }),
        4 => id().prop_map(removed),
        1 => Just(AccountEvent::PersonalDataErased { erased_at: at(1) }),
    ];
    (prop::sample::select(vec!["a", "a", "b"]), event)
}

/// What no ledger writes is left out: a decided line is not decided again or deferred, one that is
/// not held is not reviewed.
fn consistent(history: Vec<(&'static str, AccountEvent)>) -> Arc<TestLog> {
    let log = TestLog::with_campaign();
    let (mut decided, mut held) = (BTreeSet::new(), BTreeSet::new());
    for (account, event) in history {
        let fits = match &event {
            AccountEvent::TransactionEvaluated { line, .. } => decided.insert(line.transaction_id.clone()),
            AccountEvent::TransactionDeferred { line, reason } => {
                if *reason == DeferReason::Held {
                    held.insert(line.transaction_id.clone());
                }
                !decided.contains(&line.transaction_id)
            }
            AccountEvent::ReviewProposed { transaction_id, .. } => held.contains(transaction_id),
            AccountEvent::TransactionReviewed { transaction_id, verdict, .. } => {
                let was_held = held.remove(transaction_id) && !decided.contains(transaction_id);
                if was_held && *verdict == Verdict::Dismissed {
                    decided.insert(transaction_id.clone());
                }
                was_held
            }
            _ => true,
        };
        if fits {
            log.account(account, [event]);
        }
    }
    Arc::new(log)
}

fn all_rows(store: &TestStore) -> Vec<Vec<Value<'static>>> {
    store.query(|conn| {
        let mut rows = conn.rows("SELECT * FROM transactions ORDER BY position", &[])?;
        rows.extend(conn.rows("SELECT * FROM transaction_aliases ORDER BY source, transaction_id", &[])?);
        Ok(rows)
    })
}

#[test]
fn the_pages_of_a_history_do_not_show_in_its_lines() {
    on_both(|place| {
        let histories = (2_usize..60, prop::collection::vec(about_a_line(), 20..60));
        let mut runner =
            TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
        let same = runner.run(&histories, |(page, history)| {
            let log = consistent(history);
            let lines = |page| {
                let store = place.store();
                store.follow(&log, page).unwrap();
                all_rows(&store)
            };
            prop_assert!(lines(page) == lines(1));
            Ok(())
        });
        same.unwrap();
    });
}

#[test]
fn an_erasure_takes_the_details_of_one_account() {
    on_both(|place| {
        let log = TestLog::with_campaign();
        log.account("a", [won("t1", 100), AccountEvent::PersonalDataErased { erased_at: at(1) }]);
        log.account("b", [lost("t2")]);
        let store = place.store();
        store.follow(&Arc::new(log), 100).unwrap();
        let erased = find(&store, "t1").unwrap();
        assert_eq!((erased.details, erased.draws.len()), (None, 1));
        assert!(find(&store, "t2").unwrap().details.is_some());
    });
}

#[test]
fn pages_go_from_new_to_old() {
    on_both(|place| {
        let store = place.after((0..5).map(|n| lost(&format!("t{n}"))));
        let page = |after| store.query(|conn| transactions(conn, &account_id("a"), after, 3));
        let first = page(None);
        assert!(first.has_more);
        let second = page(first.rows.last().map(|row| row.position));
        let ids: Vec<_> =
            first.rows.iter().chain(&second.rows).map(|row| row.transaction_id.as_str()).collect();
        assert_eq!((ids, second.has_more), (vec!["t4", "t3", "t2", "t1", "t0"], false));
    });
}
