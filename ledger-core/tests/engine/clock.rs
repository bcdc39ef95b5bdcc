//! A clock that leaps: nothing is recorded by it, and no draw is lost.

use std::sync::Arc;
use std::time::Duration;

use ledger_core::engine::{ClockAhead, EngineSettings, RowResult, SubmitError};
use ledger_core::log::{StreamType, WriterLease as _};
use ledger_core::steps::reveal::{Reveal, RevealError};
use ledger_core::time::{Clock as _, DAY_MICROS, SECOND_MICROS, SystemClock};
use stores::postgres::log::{PostgresLog, PostgresOptions};
use stores::postgres::{Database, DatabaseOptions};
use stores::steps::StepTables;
use stores::testing::Cluster;
use support::{Fault, ManualClock, SimulatedLog};

use crate::check::{draws, sound};
use crate::tap::TapLog;
use crate::world::{HOUR_MICROS, Node, World, at, context, eventually, rows, terms};

/// Lets the writer tick, as it does whatever anybody asks of it.
async fn some_seconds(world: &World) {
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.clock.advance(10 * SECOND_MICROS);
}

async fn is_held(node: &Node) -> bool {
    matches!(node.ledger.tick().await, Err(SubmitError::Clock(_)))
}

/// A second of the server's time passes; the two clocks are compared meanwhile.
async fn until_compared(node: &Node, held: bool) {
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if is_held(node).await == held {
            return;
        }
    }
    panic!("the clocks are compared in vain");
}

/// Attack F7: 40 days ahead for ten seconds cost the draws of the nine days after.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_forty_days_ahead_for_ten_seconds_costs_no_draw() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..5)).await;
    let before = log.events().len();

    world.clock.leap(40 * DAY_MICROS);
    let refused = node.try_take(&rows(5..10)).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Clock(ClockAhead { seconds: 3_456_000 })), "{refused}");
    some_seconds(&world).await;
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    let settled = reveal.settle().await;
    assert!(matches!(settled, Err(RevealError::Ledger(SubmitError::Clock(_)))), "{settled:?}");
    assert_eq!(log.events().len(), before, "no day opened, closed, ended: nothing was recorded");
    assert!(*node.ledger.health().borrow(), "the writer itself can write");

    world.clock.leap(-40 * DAY_MICROS);
    for answer in node.take(&rows(5..10)).await {
        assert_eq!(answer.unwrap().result, RowResult::Accepted);
    }
    assert_eq!(draws(&log.events()).count(), 10, "each line has its draw");
    world.clock.set(at("2026-11-23T00:00:01Z"));
    node.ledger.tick().await.unwrap();
    let last = log.events().last().unwrap().recorded_at;
    assert!(last <= world.clock.now(), "{last} was never shown by a clock that was right");
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_leap_up_to_the_bound_is_recorded_and_one_beyond_is_not() {
    let max = 5 * 60 * SECOND_MICROS;
    for (leap, held) in [(max - 1, false), (max, false), (max + 1, true)] {
        let (world, log) = (World::new(), SimulatedLog::new());
        let settings =
            EngineSettings { clock_ahead_max: Duration::from_mins(5), ..EngineSettings::default() };
        let node = world.start_with(Arc::new(log.reopen()), settings).await;
        world.clock.leap(leap);
        assert_eq!(is_held(&node).await, held, "{leap}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_is_gone_by_and_recorded_time_waits_for_it() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let last = log.events().last().unwrap().recorded_at;
    world.clock.leap(-HOUR_MICROS);
    node.take(&rows(0..5)).await;
    assert_eq!(log.events().last().unwrap().recorded_at, last);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_clock_is_recorded_by_name_and_gone_by() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    assert!(!node.ledger.accept_clock("nothing is wrong".into(), context()).await.unwrap());
    world.clock.leap(DAY_MICROS);
    assert!(is_held(&node).await);
    assert!(node.ledger.accept_clock("the machine slept".into(), context()).await.unwrap());
    assert!(!is_held(&node).await);
    let events = log.events();
    let accepted = events.iter().find(|e| e.event_type == "ClockAccepted").unwrap();
    assert_eq!(accepted.stream.stream_type, StreamType::System);
    assert_eq!(accepted.recorded_at, world.clock.now());
    let payload: serde_json::Value = serde_json::from_slice(&accepted.payload).unwrap();
    assert_eq!(payload["ClockAccepted"]["reason"], "the machine slept");
    node.take(&rows(0..5)).await;
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_not_accepted() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    world.clock.leap(DAY_MICROS);
    assert!(is_held(&node).await);
    for _ in 0..20 {
        log.faults().push(Fault::FailBeforeCommit);
    }
    node.ledger.accept_clock("the machine slept".into(), context()).await.unwrap_err();
    assert!(is_held(&node).await);
}

#[tokio::test(start_paused = true)]
async fn a_start_long_after_the_last_event_waits_for_nobody() {
    let (world, log) = (World::new(), SimulatedLog::new());
    let node = world.start(Arc::new(log.reopen())).await;
    node.take(&rows(0..5)).await;
    node.stop().await;
    world.clock.leap(40 * DAY_MICROS);
    let node = world.start(Arc::new(log.reopen())).await;
    assert!(!is_held(&node).await, "it may have rested");
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_kept_while_the_clock_is_ahead() {
    let world = World::new();
    let disk = SimulatedLog::new();
    let tap = TapLog::with_lease(Arc::new(disk.reopen()), Some(Duration::from_millis(30)));
    let node = world.start(tap.log()).await;
    world.clock.leap(DAY_MICROS);
    assert!(is_held(&node).await);
    let [_, _, renewed] = tap.calls();
    // The lease is counted by real time.
    eventually(|| {
        std::thread::sleep(Duration::from_millis(5));
        tap.calls()[2] > renewed + 1
    })
    .await;
    assert!(is_held(&node).await);
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_clock_ahead_of_the_servers_records_nothing() {
    let (world, log) = (World::new(), SimulatedLog::new());
    log.on_server_with(Arc::new(ManualClock::at(world.clock.now())));
    world.clock.leap(40 * DAY_MICROS);
    let node = world.start(Arc::new(log.reopen())).await;
    assert!(is_held(&node).await);
    assert!(log.events().is_empty());
    world.clock.leap(-40 * DAY_MICROS);
    until_compared(&node, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_goes_on_by_itself_once_the_servers_clock_agrees() {
    let (world, log) = (World::new(), SimulatedLog::new());
    let server = Arc::new(ManualClock::at(world.clock.now()));
    log.on_server_with(Arc::clone(&server));
    let node = world.start(Arc::new(log.reopen())).await;
    world.clock.leap(3 * HOUR_MICROS);
    assert!(is_held(&node).await);
    server.advance(3 * HOUR_MICROS);
    until_compared(&node, false).await;
    // The two drift apart, though neither leaps.
    server.leap(-HOUR_MICROS);
    until_compared(&node, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresqls_clock_holds_a_start_ahead_of_it_and_not_one_in_time_or_behind() {
    let cluster = Cluster::shared().await;
    for (ahead, held) in [(-DAY_MICROS, false), (0, false), (DAY_MICROS, true)] {
        let address = cluster.database().await.unwrap();
        let database = Database::new(address.parse().unwrap(), &DatabaseOptions::default());
        let log = PostgresLog::open(database, PostgresOptions::default()).await.unwrap();
        let before = SystemClock.now();
        let server = log.server_time().await.unwrap().unwrap();
        assert!((server.micros() - before.micros()).abs() < 60 * SECOND_MICROS, "{server} is not {before}");
        let world = World::at(server.plus_micros(ahead));
        let node = world.start(Arc::new(log)).await;
        assert_eq!(is_held(&node).await, held, "{ahead}");
    }
}
