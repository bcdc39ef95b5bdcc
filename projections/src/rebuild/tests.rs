//! What a rebuild finds, heals and refuses.

use std::sync::Arc;

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
