//! What a runner does with a log that grows, fails, or is somebody else's.

use std::sync::atomic::Ordering;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::Line;
use stores::postgres::{self, Database};
use stores::testing::Cluster;

use super::*;
use crate::error::Contradiction;
use crate::fixtures::*;
use crate::projection::Projection;
use crate::rebuild::{Selection, rebuild};
use crate::trial_balance::trial_balance;

const SOON: Duration = Duration::from_secs(20);

fn history() -> TestLog {
    let log = TestLog::with_campaign();
    log.account("a", [opened(), lost("t1"), won("t2", 100), issued("t2", 100)]);
    log.account("a", [requested("t2", 1, 100), credited("t2", 1, 100, false), won("t3", 5_000)]);
    log
}

#[test]
fn a_runner_killed_between_batches_goes_on_where_it_was() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        loop {
            // A new runner for every batch: all that it knows is in the file.
            let (runner, _) = Runner::new(Arc::clone(&log) as _, store.store.clone()).unwrap();
            if block_on(runner.with_batch(2).step()).unwrap() == 0 {
                break;
            }
        }
        assert_eq!(store.query(cursor::position), log.head_position());
        let reports = store.compare(&log);
        assert!(reports.iter().all(|r| r.rows > 0 && r.rows_changed == 0), "{reports:?}");
    });
}

#[test]
fn a_batch_that_fails_leaves_neither_rows_nor_a_cursor() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        log.account("a", [issued("nobody", 1)]);
        let failed = store.follow(&log, 1_000);
        assert!(matches!(
            failed,
            Err(ProjectionError::Contradiction(Contradiction { projection: Projection::Rewards, .. }))
        ));
        assert_eq!(store.query(cursor::position), Position(0));
        assert!(store.query(|conn| crate::account::account(conn, &account_id("a"))).is_none());
    });
}

#[test]
fn a_hole_in_the_log_is_refused() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        log.edit(|events| drop(events.remove(7)));
        let refused = store.follow(&log, 3);
        assert!(
            matches!(refused, Err(ProjectionError::Hole { after: Position(7), found: Position(9) })),
            "{refused:?}"
        );
        assert_eq!(store.query(cursor::position), Position(6));
    });
}

#[test]
fn tables_that_are_ahead_of_the_log_are_refused() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        store.follow(&log, 100).unwrap();
        log.edit(|events| events.truncate(4));
        let (runner, _) = Runner::new(log, store.store.clone()).unwrap();
        let (_head, head) = watch::channel(Position(0));
        let (_stop, stop) = watch::channel(false);
        let refused = block_on(runner.run(head, stop));
        assert!(matches!(refused, Err(ProjectionError::Ahead { head: Position(4), .. })), "{refused:?}");
    });
}

#[test]
fn a_projection_that_is_new_catches_up_without_the_others_seeing_events_twice() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        store.follow(&log, 3).unwrap();
        let forget = "DELETE FROM checkpoints WHERE projection = 'rewards'; DELETE FROM rewards;";
        store.tamper(forget);
        store.follow(&log, 3).unwrap();
        let reports = store.compare(&log);
        assert!(reports.iter().all(|r| r.rows_changed == 0), "{reports:?}");
    });
}

#[test]
fn a_running_runner_follows_the_log_past_transient_faults_until_it_is_stopped() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        log.reads_to_fail.store(2, Ordering::SeqCst);
        let (runner, progress) = Runner::new(Arc::clone(&log) as _, store.store.clone()).unwrap();
        let (hint, head) = watch::channel(Position(0));
        let (stop, stopped) = watch::channel(false);
        block_on(async {
            let thread = runner.spawn(Handle::current(), head, stopped).unwrap();
            let first = log.head_position();
            assert_eq!(progress.wait_for(first, SOON).await, Ok(first));
            log.account("a", [lost("t9")]);
            hint.send_replace(log.head_position());
            progress.wait_for(first.next(), SOON).await.unwrap();
            // Without hints the log is polled.
            drop(hint);
            log.account("a", [lost("t10")]);
            progress.wait_for(log.head_position(), SOON).await.unwrap();
            let behind = progress.wait_for(Position(1_000), Duration::from_millis(1)).await;
            assert_eq!(behind, Err(WaitError::Behind(log.head_position())));
            assert!(progress.is_running());
            stop.send_replace(true);
            thread.join().unwrap().unwrap();
            assert!(!progress.is_running());
            assert_eq!(progress.wait_for(Position(1_000), SOON).await, Err(WaitError::Stopped));
        });
    });
}

#[test]
fn an_answer_is_of_one_position() {
    on_both(|place| {
        let (log, store) = (Arc::new(history()), place.store());
        store.follow(&log, 2).unwrap();
        let (at, books) = store.query(|conn| Ok((cursor::position(conn)?, trial_balance(conn, None)?)));
        assert_eq!(at, books.position);
    });
}

/// A log that a few accounts wrote in turn.
fn long_history(lines: usize) -> TestLog {
    let log = TestLog::with_campaign();
    for n in 0..lines {
        let id = format!("t{n}");
        log.account(&format!("a{}", n % 3), [won(&id, 1), issued(&id, 1)]);
    }
    log
}

#[test]
fn two_runners_at_once_apply_nothing_twice() {
    on_both(|place| {
        let (log, store) = (Arc::new(long_history(60)), place.store());
        // As two processes would: each with connections of its own.
        let other = match &store.database {
            None => ReadStore::open(&store.folder.path().join("read.db")).unwrap(),
            Some((url, _)) => open_postgres(url),
        };
        let (_hint, head) = watch::channel(Position(0));
        let (stop, stopped) = watch::channel(false);
        let start = |store: &ReadStore, batch| {
            let (runner, progress) = Runner::new(Arc::clone(&log) as _, store.clone()).unwrap();
            let runner = runner.with_batch(batch);
            block_on(async { (runner.spawn(Handle::current(), head.clone(), stopped.clone()), progress) })
        };
        let runners = [start(&store.store, 3), start(&other, 5)];
        for (_, progress) in &runners {
            block_on(progress.wait_for(log.head_position(), SOON)).unwrap();
        }
        stop.send_replace(true);
        for (thread, _) in runners {
            thread.unwrap().join().unwrap().unwrap();
        }
        let reports = store.compare(&log);
        assert!(reports.iter().all(|r| r.rows > 0 && r.rows_changed == 0), "{reports:?}");
    });
}

#[test]
fn a_connection_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    let cluster = block_on(Cluster::shared());
    let place = Place::Postgres { cluster: Arc::clone(&cluster), used: Arc::default() };
    let (log, store) = (Arc::new(long_history(300)), place.store());
    let url = store.database.as_ref().unwrap().0.clone();
    let database = url.rsplit('/').next().unwrap();
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'
             AND pid <> pg_backend_pid()"
    );
    let (runner, progress) = Runner::new(Arc::clone(&log) as _, store.store.clone()).unwrap();
    let (_hint, head) = watch::channel(Position(0));
    let (stop, stopped) = watch::channel(false);
    block_on(async {
        let thread = runner.with_batch(2).spawn(Handle::current(), head, stopped).unwrap();
        let mut kills = 0;
        while progress.position() < log.head_position() {
            cluster.execute(database, &kill).await.unwrap();
            kills += 1;
            tokio::time::sleep(Duration::from_millis(40 * kills)).await;
            assert!(progress.is_running() && kills < 50, "killed {kills} times");
        }
        assert!(kills > 2, "it was over too soon");
        stop.send_replace(true);
        thread.join().unwrap().unwrap();
    });
    let reports = store.compare(&log);
    assert!(reports.iter().all(|r| r.rows > 0 && r.rows_changed == 0), "{reports:?}");
}

#[test]
fn the_runtime_role_may_do_all_that_a_runner_and_a_rebuild_do() {
    let cluster = block_on(Cluster::shared());
    let place = Place::Postgres { cluster: Arc::clone(&cluster), used: Arc::default() };
    let (log, owner) = (Arc::new(history()), place.store());
    let url = owner.database.as_ref().unwrap().0.clone();
    let role = "CREATE ROLE reader_writer LOGIN PASSWORD 'test'";
    block_on(cluster.execute(url.rsplit('/').next().unwrap(), role)).unwrap();
    let database = Database::new(url.parse().unwrap(), &postgres::DatabaseOptions::default());
    block_on(async {
        let mut client = database.connect().await.unwrap();
        postgres::migrate(&mut client, Some("reader_writer")).await.unwrap();
    });
    let (_, place_of_it) = url.split_once('@').unwrap();
    let store = open_postgres(&format!("postgres://reader_writer:test@{place_of_it}"));
    let (runner, _) = Runner::new(Arc::clone(&log) as _, store.clone()).unwrap();
    assert!(block_on(runner.step()).unwrap() > 0);
    let reports = block_on(rebuild(&*log, &store, Selection::All, |_, _| {})).unwrap();
    assert!(reports.iter().all(|r| r.rows > 0 && r.rows_changed == 0), "{reports:?}");
}

/// `cargo test --release -p projections -- --ignored --nocapture per_second`
#[test]
#[ignore = "a measurement, not a test"]
fn transactions_projected_per_second() {
    type Story<'a> = &'a dyn Fn(usize, &str) -> Vec<AccountEvent>;
    const LINES: usize = 100_000;
    let booked = |n: usize, id: &str| match n % 50 {
        0 => vec![won(id, 1), issued(id, 1), requested(id, 1, 1), credited(id, 1, 1, false)],
        _ => vec![lost(id)],
    };
    let pending_first = |n: usize, id: &str| {
        let pending = format!("p{n}");
        let line = Line { pending_transaction_id: Some(tx(&pending)), ..line(id) };
        vec![AccountEvent::TransactionNoted { line: crate::fixtures::line(&pending) }, evaluated(line, None)]
    };
    let stories: [(&str, Story<'_>); 2] = [("booked", &booked), ("pending, then booked", &pending_first)];
    on_both(|place| {
        for (name, story) in stories {
            let log = TestLog::with_campaign();
            for n in 0..LINES {
                log.account(&format!("a{}", n % 5_000), story(n, &format!("t{n}")));
            }
            let (log, store) = (Arc::new(log), place.store());
            let began = std::time::Instant::now();
            store.follow(&log, BATCH_EVENTS).unwrap();
            let caught_up = began.elapsed();
            let began = std::time::Instant::now();
            block_on(rebuild(&*log, &store.store, Selection::All, |_, _| {})).unwrap();
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            let rate = |took: Duration| log.head_position().0 as f64 / took.as_secs_f64();
            println!(
                "{name}: caught up {:.0} events/s, rebuilt {:.0} events/s",
                rate(caught_up),
                rate(began.elapsed())
            );
        }
    });
}
