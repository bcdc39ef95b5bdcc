//! The database goes away and comes back; the service stays and loses nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rewardhub_tests::eventually;
use rewardhub_tests::rows::purchase;
use serde_json::Value;

use super::world::{Load, SOON, World, all_known_once};

#[test]
fn it_survives_a_crash_of_the_database_under_load() {
    let (world, home) = World::alone().with_campaign();
    let service = Arc::new(home.listen(&[]));
    service.ready(SOON);
    let feed = service.feed();
    let load = Load::start(Arc::clone(&service), feed.clone(), "a");
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(800));
        world.cluster.stop("immediate").unwrap();
        eventually("/readyz to be red", SOON, || {
            let ready = service.get("/readyz");
            (ready.status == 503 && ready.body["checks"]["log"] != "ok").then_some(())
        });
        assert_eq!(service.get("/healthz").status, 200);
        let refused = service.post(&feed, "application/json", purchase("x", "cus_new").to_string());
        assert_eq!((refused.status, refused.retry_after.is_some()), (503, true), "{refused:?}");
        world.runtime.block_on(world.cluster.start_again()).unwrap();
        service.ready(SOON);
    }
    let mut sent = load.finish();
    // Refused while the database was away, and taken now: once.
    let row = purchase("x", "cus_new");
    assert_eq!(service.send(&feed, std::slice::from_ref(&row))[0]["result"], "accepted");
    sent.push(row);
    all_known_once(&service, &feed, &sent, &home);
    service.trial_balance();
    let service = Arc::into_inner(service).unwrap();
    service.stop_by("TERM").expect_code(0);
    home.replayed();
}

#[test]
fn it_survives_storms_of_terminated_connections() {
    let (world, home) = World::empty().with_campaign();
    let service = Arc::new(home.listen(&[]));
    service.ready(SOON);
    let feed = service.feed();
    let load = Load::start(Arc::clone(&service), feed.clone(), "b");
    let storm = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{}' AND pid <> pg_backend_pid() AND application_name = 'rewardhub'",
        world.database()
    );
    for _ in 0..25 {
        world.execute(&storm);
        std::thread::sleep(Duration::from_millis(120));
    }
    service.ready(SOON);
    let sent = load.finish();
    assert!(sent.len() > 20, "{} rows", sent.len());
    all_known_once(&service, &feed, &sent, &home);
    let service = Arc::into_inner(service).unwrap();
    service.stop_by("TERM").expect_code(0);
}

#[test]
fn it_waits_for_a_database_that_is_not_there_yet_and_says_so_once() {
    let (world, home) = World::alone().with_campaign();
    world.cluster.stop("fast").unwrap();
    let service = home.listen(&[]);
    eventually("/readyz to say what is missing", SOON, || {
        let ready = service.get("/readyz");
        assert_eq!(ready.status, 503);
        (ready.body["state"] == "the database cannot be reached").then_some(())
    });
    assert_eq!(service.get("/healthz").status, 200);
    std::thread::sleep(Duration::from_secs(3));
    let said = service.said();
    assert_eq!(said.matches("the database cannot be reached").count(), 1, "{said}");
    world.runtime.block_on(world.cluster.start_again()).unwrap();
    service.ready(SOON);
    let sent = service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    service.stop_by("TERM").expect_code(0);
}

/// Of each kind one line when it goes, at most one a minute while it is away, and one when it is
/// back, which says how long that took.
#[test]
fn a_database_that_is_away_fills_no_log() {
    let (world, home) = World::alone().with_campaign();
    let service = Arc::new(home.listen(&[("REWARDHUB_LOG_FORMAT", "json")]));
    service.ready(SOON);
    let load = Load::start(Arc::clone(&service), service.feed(), "f");
    let began = Instant::now();
    std::thread::sleep(Duration::from_millis(800));
    world.cluster.stop("immediate").unwrap();
    std::thread::sleep(Duration::from_secs(8));
    world.runtime.block_on(world.cluster.start_again()).unwrap();
    service.ready(SOON);
    load.finish();
    let told = || -> Vec<Value> {
        let lines = service.said();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect()
    };
    let is_over = |message: &str| message.starts_with("over: ") || message.starts_with("not met again");
    let over = eventually("what was away to be told to be back", SOON * 3, || {
        // Lines of what goes on say how often it has occurred.
        let faults = told().into_iter().filter(|line| line["times"].is_u64());
        let (over, away): (Vec<_>, Vec<_>) =
            faults.partition(|line| is_over(line["message"].as_str().unwrap()));
        let is_back = |line: &Value| {
            over.iter().any(|o| o["message"].as_str().unwrap().ends_with(line["message"].as_str().unwrap()))
        };
        (!away.is_empty() && away.iter().all(is_back)).then_some(over)
    });
    for kind in ["steps cannot read the log just now", "the read models cannot be updated just now"] {
        let back = over.iter().find(|line| line["message"] == format!("over: {kind}"));
        let seconds = back.and_then(|line| line["seconds"].as_u64());
        assert!(seconds.is_some_and(|seconds| seconds >= 5), "{kind}: {over:#?}");
    }
    let most = 1 + began.elapsed().as_secs() / 60;
    let mut kinds = std::collections::BTreeMap::<String, u64>::new();
    for line in told() {
        *kinds.entry(line["message"].to_string()).or_default() += 1;
    }
    assert!(kinds.values().all(|lines| *lines <= most) && kinds.len() <= 24, "{kinds:#?}");
    Arc::into_inner(service).unwrap().stop_by("TERM").expect_code(0);
}

#[test]
fn it_can_be_stopped_while_the_database_is_away() {
    let (world, home) = World::alone().with_campaign();
    let service = home.listen(&[("REWARDHUB_SHUTDOWN_GRACE", "10s")]);
    service.ready(SOON);
    assert_eq!(service.send(&service.feed(), &[purchase("t1", "cus_1")])[0]["result"], "accepted");
    service.settled(SOON);
    world.cluster.stop("immediate").unwrap();
    eventually("/readyz to be red", SOON, || (service.get("/readyz").status == 503).then_some(()));
    // Every reader of the log has met the outage by now.
    std::thread::sleep(Duration::from_secs(2));
    let began = std::time::Instant::now();
    service.stop_by("TERM").expect_code(0);
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let waiting = home.listen(&[]);
    eventually("/readyz to answer", SOON, || (waiting.get("/readyz").status == 503).then_some(()));
    waiting.stop_by("TERM").expect_code(0);
}
