//! Read models that are behind: readers wait, bounded, and `/readyz` turns red.

use std::time::{Duration, Instant};

use rewardhub_tests::rows::purchase;
use rewardhub_tests::{Home, eventually};
use serde_json::json;

use super::world::{SOON, World};

const ACCOUNT: &str = "query($min: String) { rewardAccount(minPosition: $min) { accountId } }";

/// Whoever holds the write lock of the read models holds them up.
#[test]
fn a_reader_waits_for_a_position_and_readiness_has_a_bound() {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_ENROLMENT", "open")]);
    lags(&home, || {
        let blocker = rusqlite::Connection::open(home.data().join("read.db")).unwrap();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        blocker
    });
}

#[test]
fn the_same_on_postgres() {
    let (world, home) = World::empty().with_campaign();
    lags(&home, || world.lock("SELECT pg_advisory_xact_lock(1381454413)"));
}

fn lags<B>(home: &Home, block: impl FnOnce() -> B) {
    let service = home.listen(&[("REWARDHUB_READY_LAG_MAX", "1s")]);
    service.ready(SOON);
    let (feed, customer) = (service.feed(), service.customer("cus_1"));
    let blocker = block();
    let position = service.send(&feed, &[purchase("t1", "cus_1")])[0]["position"].clone();
    let behind = eventually("/readyz to be red", SOON, || {
        let ready = service.get("/readyz");
        (ready.status == 503).then_some(ready.body["checks"].clone())
    });
    assert_eq!(behind["projections"], "behind for too long", "{behind}");
    assert_eq!((&behind["writer"], &behind["log"]), (&json!("ok"), &json!("ok")), "{behind}");
    // Beyond a second, told in whole milliseconds.
    assert!(behind["lag_events"].as_u64() > Some(0) && behind["lag_ms"].as_u64() >= Some(1_000), "{behind}");

    eventually("the gauges to say so", SOON, || {
        let metrics = service.get("/metrics").body;
        let gauge = "rewardhub_projection_lag_events{projection=\"account\"} ";
        let (_, lag) = metrics.as_str()?.split_once(gauge)?;
        (!lag.starts_with("0\n")).then_some(())
    });

    let asked = Instant::now();
    let answer = service.ask(&customer, ACCOUNT, json!({ "min": position }));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "POSITION_NOT_REACHED", "{answer}");
    assert!(asked.elapsed() > Duration::from_secs(4) && asked.elapsed() < Duration::from_secs(15));

    std::thread::scope(|scope| {
        let service = &service;
        let asked = scope.spawn(|| service.graphql(&customer, ACCOUNT, json!({ "min": position })));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished(), "it waits");
        drop(blocker);
        // The runner may be in a pause between two tries.
        let answer = asked.join().unwrap();
        assert_eq!(answer["rewardAccount"]["accountId"], "cus_1");
    });
    service.ready(SOON);
    service.stop_by("TERM").expect_code(0);
}
