//! Two processes on one database: one serves, the other takes over, and nothing is decided twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rewardhub_tests::rows::{ndjson, purchase};
use rewardhub_tests::{Sandbox, eventually};
use serde_json::{Value, json};

use super::world::{SOON, Storm, TTL, World, all_known_once};

fn stands_by(service: &Sandbox) {
    eventually("the second to stand by", SOON, || {
        let ready = service.get("/readyz");
        assert_eq!(ready.status, 503, "{ready:?}");
        (ready.body == json!({ "ready": false, "state": "standby" })).then_some(())
    });
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/metrics").status, 200);
    for path in ["/graphql", "/v1/transactions"] {
        let answer = service.get(path);
        assert_eq!((answer.status, answer.content_type.as_str()), (503, "application/problem+json"));
        assert!(answer.retry_after.is_some());
    }
}

#[test]
fn a_standby_takes_over_at_once_when_the_first_is_told_to_stop() {
    let (world, home) = World::empty().with_campaign();
    // Far longer than the test may take: the lease is given back, it does not run out.
    let long = [("REWARDHUB_LEASE_TTL", "10m")];
    let first = home.listen(&long);
    first.ready(SOON);
    let second_home = world.second_place(&home);
    let second = Arc::new(second_home.listen(&long));
    stands_by(&second);
    let (feed, rows) = (first.feed(), [purchase("t1", "cus_1"), purchase("t2", "cus_2")]);
    assert_eq!(first.send(&feed, &rows)[1]["result"], "accepted");
    first.stop_by("TERM").expect_code(0);
    second.ready(SOON);
    all_known_once(&second, &feed, &rows, &second_home);
    assert_eq!(second.send(&feed, &[purchase("t3", "cus_1")])[0]["result"], "accepted");
    second.trial_balance();
}

#[test]
fn a_standby_takes_over_from_one_that_was_killed_under_load() {
    let (world, home) = World::empty().with_campaign();
    let first = Arc::new(home.listen(&[]));
    first.ready(SOON);
    let second_home = world.second_place(&home);
    let second = Arc::new(second_home.listen(&[]));
    stands_by(&second);
    let feed = first.feed();
    let rows: Vec<Value> = (0..200).map(|n| purchase(&format!("t{n}"), &format!("cus_{}", n % 9))).collect();
    first.send(&feed, &rows[..150]);
    // The answer to the rest, if there is one, is lost with the process.
    let (client, token, rest) = (Arc::clone(&first), feed.clone(), ndjson(&rows[150..]));
    let lost = std::thread::spawn(move || {
        client.try_post(&token, "application/x-ndjson", rest.into_bytes()).is_ok()
    });
    let began = Instant::now();
    first.kill();
    lost.join().unwrap();
    second.ready(SOON);
    assert!(began.elapsed() >= TTL / 2, "a lease that has not run out is respected: {:?}", began.elapsed());
    let again = second.send(&feed, &rows[150..]);
    assert!(again.iter().all(|a| a["result"] == "accepted" || a["result"] == "duplicate"), "{again:?}");
    all_known_once(&second, &feed, &rows, &second_home);
}

#[test]
fn one_that_was_asleep_while_another_took_over_ends_by_itself_and_decides_nothing() {
    let (world, home) = World::empty().with_campaign();
    let mut first = home.listen(&[]);
    first.ready(SOON);
    let second_home = world.second_place(&home);
    let second = Arc::new(second_home.listen(&[]));
    stands_by(&second);
    let feed = first.feed();
    let rows: Vec<Value> = (0..100).map(|n| purchase(&format!("t{n}"), &format!("cus_{}", n % 9))).collect();
    first.send(&feed, &rows[..50]);
    first.signal("STOP");
    // What reaches the sleeper is answered when it wakes up: with a refusal.
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(2 * SOON).build().unwrap();
    let (url, token, body) = (first.url().to_owned(), feed.clone(), ndjson(&rows[50..]));
    let asked = std::thread::spawn(move || {
        let request = client.post(format!("{url}/v1/transactions")).bearer_auth(token);
        request.header("content-type", "application/x-ndjson").body(body).send().map(|a| a.status().as_u16())
    });
    second.ready(SOON);
    let accepted = second.send(&feed, &rows[50..75]);
    assert!(accepted.iter().all(|answer| answer["result"] == "accepted"), "{accepted:?}");
    first.signal("CONT");
    let ended = first.end().expect_code(3);
    assert!(ended.stderr.contains("another process has taken the log over"), "{}", ended.stderr);
    let answered = asked.join().unwrap();
    assert!(answered.as_ref().map_or(true, |status| *status == 503), "{answered:?}");
    let accepted = second.send(&feed, &rows[75..]);
    assert!(accepted.iter().all(|answer| answer["result"] == "accepted"), "{accepted:?}");
    all_known_once(&second, &feed, &rows, &second_home);
    // Started again it stands by.
    let third = home.listen(&[]);
    stands_by(&third);
}

#[test]
fn one_that_falls_asleep_in_the_midst_of_load_acknowledges_nothing_that_is_not_in_the_log() {
    let (world, home) = World::empty().with_campaign();
    let first = Arc::new(home.listen(&[]));
    first.ready(SOON);
    let second_home = world.second_place(&home);
    let second = second_home.listen(&[]);
    stands_by(&second);
    let feed = first.feed();
    let storm = Storm::start(&first, &feed, "s");
    storm.await_acknowledged(20);
    first.signal("STOP");
    second.ready(SOON);
    let meanwhile = [purchase("m1", "cus_1"), purchase("m2", "cus_2")];
    assert_eq!(second.send(&feed, &meanwhile)[1]["result"], "accepted");
    // It wakes up with appends in flight, answers to give and more to decide.
    first.signal("CONT");
    let sent = storm.finish();
    let mut first = Arc::into_inner(first).unwrap();
    first.end().expect_code(3);
    let (known, lost): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(_, acknowledged)| *acknowledged);
    assert!(!lost.is_empty(), "something was under way");
    let rows = |sent: Vec<(Value, bool)>| sent.into_iter().map(|(row, _)| row).collect::<Vec<_>>();
    let (mut known, lost) = (rows(known), rows(lost));
    for some in known.chunks(500) {
        assert!(second.send(&feed, some).iter().all(|answer| answer["result"] == "duplicate"));
    }
    second.send(&feed, &lost);
    known.extend(lost);
    known.extend(meanwhile);
    all_known_once(&second, &feed, &known, &second_home);
    second.trial_balance();
}

#[test]
fn requests_under_way_are_answered_before_it_stops() {
    let (_world, home) = World::empty().with_campaign();
    let service = Arc::new(home.listen(&[]));
    service.ready(SOON);
    let feed = service.feed();
    let rows: Vec<Value> =
        (0..3_000).map(|n| purchase(&format!("t{n}"), &format!("cus_{}", n % 900))).collect();
    let (client, body) = (Arc::clone(&service), ndjson(&rows).into_bytes());
    let asked = std::thread::spawn(move || client.try_post(&feed, "application/x-ndjson", body));
    std::thread::sleep(Duration::from_millis(150));
    service.signal("TERM");
    let answer = asked.join().unwrap().unwrap();
    assert_eq!(answer.rows().len(), rows.len());
    let mut service = Arc::into_inner(service).unwrap();
    service.end().expect_code(0);
    assert_eq!(home.replayed()["transactions"], rows.len());
}
