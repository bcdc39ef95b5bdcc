//! What a rebuild finds, heals and refuses.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::fixtures::*;

fn history() -> Arc<TestLog> {
    let log = TestLog::with_campaign();
    log.account("a", [opened(), lost("t1"), won("t2", 100), issued("t2", 100), won("t3", 5_000)]);
    Arc::new(log)
}

fn changed(reports: &[RebuildReport]) -> Vec<(&'static str, u64)> {
    reports.iter().map(|r| (r.projection.as_str(), r.rows_changed)).collect()
}

#[test]
fn a_rebuild_finds_and_heals_rows_that_were_tampered_with() {
    on_both(|place| {
        let (log, store) = (history(), place.store());
        store.follow(&log, 3).unwrap();
        let tamper = "UPDATE balances SET won_minor = 1; DELETE FROM rewards WHERE transaction_id = 't3';
         INSERT INTO entries VALUES (99, 0, 'thief', 'GBP', 1, 0);";
        store.tamper(tamper);
        let expected =
            [("account", 1), ("rewards", 1), ("transactions", 0), ("campaigns", 0), ("trial_balance", 1)];
        let compared = store.compare(&log);
        assert_eq!(changed(&compared), expected);
        let one = block_on(rebuild(&*log, &store.store, "rewards".parse().unwrap(), |_, _| {})).unwrap();
        assert_eq!(
            one,
            [RebuildReport { projection: Projection::Rewards, events: 11, rows: 2, rows_changed: 1 }]
        );
        let all = block_on(rebuild(&*log, &store.store, Selection::All, |_, _| {})).unwrap();
        assert_eq!(all.iter().map(|r| r.rows_changed).sum::<u64>(), 2, "the rewards are healed already");
        let healed = store.compare(&log);
        assert!(healed.iter().all(|r| r.rows_changed == 0 && r.rows > 0), "{healed:?}");
    });
}

#[test]
fn comparing_changes_nothing_and_leaves_no_file_behind() {
    on_both(|place| {
        let (log, store) = (history(), place.store());
        store.follow(&log, 3).unwrap();
        store.tamper("DELETE FROM rewards");
        for _ in 0..2 {
            let reports =
                block_on(compare(&*log, &store.store, Selection::One(Projection::Rewards), |_, _| {}));
            assert_eq!(changed(&reports.unwrap()), [("rewards", 2)]);
        }
        // On PostgreSQL the side file lies among those of other programs.
        let names = std::fs::read_dir(store.folder.path()).unwrap().map(|f| f.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("rebuild")));
    });
}

#[test]
fn a_rebuild_stops_at_the_running_cursor() {
    on_both(|place| {
        let (log, store) = (history(), place.store());
        store.follow(&log, 3).unwrap();
        log.account("a", [won("later", 100)]);
        let mut seen = vec![];
        let reports = block_on(rebuild(&*log, &store.store, Selection::All, |at, end| {
            seen.push((at, end));
        }))
        .unwrap();
        assert!(reports.iter().all(|r| r.rows_changed == 0 && r.events == 11), "{reports:?}");
        assert_eq!(seen, [(Position(11), Position(11))]);
        store.follow(&log, 3).unwrap();
        let reports = store.compare(&log);
        assert!(reports.iter().all(|r| r.rows_changed == 0 && r.events == 12), "{reports:?}");
    });
}

#[test]
fn a_log_shorter_than_the_tables_is_refused() {
    on_both(|place| {
        let (log, store) = (history(), place.store());
        store.follow(&log, 3).unwrap();
        log.edit(|events| events.truncate(4));
        let refused = block_on(rebuild(&*log, &store.store, Selection::All, |_, _| {}));
        assert!(matches!(refused, Err(ProjectionError::Ahead { head: Position(4), .. })), "{refused:?}");
    });
}

#[test]
fn an_unknown_name_is_told_the_known_ones() {
    let error = "balances".parse::<Selection>().unwrap_err().to_string();
    assert!(Projection::ALL.iter().all(|p| error.contains(p.as_str())), "{error}");
}

#[test]
fn tables_rebuilt_from_a_random_history_equal_the_running_ones() {
    let histories = (1_usize..9, prop::collection::vec((0_u8..3, 0_u8..13, 1_i64..5_000), 0..40));
    on_both(|place| {
        let mut cases = TestRunner::new(ProptestConfig::with_cases(24));
        let equal = |(batch, lines): (usize, Vec<(u8, u8, i64)>)| {
            let log = TestLog::with_campaign();
            for (n, (account, fate, minor)) in lines.into_iter().enumerate() {
                let account = format!("a{account}");
                log.account(&account, story(&format!("t{n}"), &format!("p{n}"), fate, minor));
            }
            let (log, store) = (Arc::new(log), place.store());
            store.follow(&log, batch).unwrap();
            let reports = store.compare(&log);
            prop_assert!(reports.iter().all(|r| r.rows_changed == 0), "{:?}", reports);
            Ok(())
        };
        cases.run(&histories, equal).unwrap();
    });
}

/// What may become of a line, up to a step that `fate` chooses.
fn story(id: &str, pending: &str, fate: u8, minor: i64) -> Vec<ledger_core::account::AccountEvent> {
    use ledger_core::account::AccountEvent;
    use ledger_core::account::event::{DeferReason, Verdict};
    let mut booked = line(id);
    booked.pending_transaction_id = Some(tx(pending));
    let note = AccountEvent::TransactionNoted { line: line(pending) };
    let removed = AccountEvent::TransactionRemoved {
        source: source(),
        transaction_id: tx(id),
        removed_at: at(9),
        undecided: false,
        named: None,
    };
    let held = deferred(id, DeferReason::Held);
    let rewarded = [
        note.clone(),
        evaluated(booked, Some((1, minor))),
        issued(id, minor),
        requested(id, 1, minor),
        failed(id, 1),
        requested(id, 2, minor),
        credited(id, 2, minor, false),
        removed.clone(),
        reversed(id, minor, true),
    ];
    match fate {
        0 => vec![note, lost(id)],
        1 => vec![opened(), lost(id), AccountEvent::PersonalDataErased { erased_at: at(9) }],
        9 => vec![lost(id), removed, held, reviewed(id, Verdict::Dismissed)],
        10 => vec![removed, held, reviewed(id, Verdict::Dismissed)],
        11 => vec![removed, held, reviewed(id, Verdict::Released)],
        12 => vec![removed, held, reviewed(id, Verdict::Released), won(id, minor)],
        steps => rewarded.into_iter().take(usize::from(steps) + 1).collect(),
    }
}
