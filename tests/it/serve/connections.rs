//! More connections than the system has descriptors for, in a process of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, Sandbox, eventually};

use super::world::SOON;

fn home() -> Home {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_ENROLMENT", "open")]);
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    home
}

fn connect(service: &Sandbox) -> Option<TcpStream> {
    let address = service.url().strip_prefix("http://").unwrap().parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()
}

/// `/healthz`, `/readyz` and `/metrics` on connections of their own, each in less than a second.
fn assert_answers_about_health(service: &Sandbox) {
    for path in ["/healthz", "/readyz", "/metrics"] {
        let began = Instant::now();
        let mut stream = connect(service).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(began.elapsed() < Duration::from_secs(1), "{path} took {:?}", began.elapsed());
    }
}

#[test]
fn more_idle_connections_than_descriptors_end_nothing_and_health_is_answered() {
    let home = home();
    let mut service = home.listen_within(256);
    service.ready(SOON);
    let feed = service.feed();
    // Some say nothing, some half of something. Who tests may have few descriptors as well.
    let mut idle: Vec<TcpStream> = (0..1_100).map_while(|_| connect(&service)).collect();
    assert!(idle.len() > 600, "{}", idle.len());
    for stream in idle.iter_mut().skip(1).step_by(2) {
        // It may have been closed by now.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: ");
    }
    for n in 0..8 {
        assert_answers_about_health(&service);
        let sent = service.send(&feed, &[purchase(&format!("t{n}"), "cus_1")]);
        assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
        std::thread::sleep(Duration::from_secs(1));
        // More of them than those that were let go.
        idle.extend((0..100).filter_map(|_| connect(&service)));
        idle.drain(..100);
        assert!(service.ended().is_none(), "{}", service.said());
    }
    drop(idle);
    service.settle(SOON);
    service.stop_by("TERM").expect_code(0);
    assert_eq!(home.replayed()["transactions"], 8);
}

#[test]
fn with_hardly_any_descriptors_requests_fail_and_later_ones_do_not() {
    let home = home();
    let service = home.listen_within(96);
    service.ready(SOON);
    let feed = service.feed();
    std::thread::scope(|scope| {
        for n in 0..100 {
            let (service, feed) = (&service, &feed);
            scope.spawn(move || {
                let row = serde_json::to_vec(&purchase(&format!("t{n}"), "cus_1")).unwrap();
                match service.try_post(feed, "application/json", row) {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => assert!(answer.status == 503 && answer.retry_after.is_some(), "{answer:?}"),
                    // Not let in.
                    Err(_) => {}
                }
            });
        }
    });
    eventually("it to take transactions again", SOON, || {
        let row = serde_json::to_vec(&purchase("later", "cus_1")).unwrap();
        let answer = service.try_post(&feed, "application/json", row);
        answer.is_ok_and(|answer| answer.status == 200).then_some(())
    });
    assert_answers_about_health(&service);
    service.settle(SOON);
    service.stop_by("TERM").expect_code(0);
    home.replayed();
}

#[test]
fn too_few_descriptors_are_refused_by_name() {
    let home = home();
    let mut refused = home.spawn_serve_within(95);
    assert_eq!(refused.wait(), 3);
    refused.finish();
    let said = refused.stderr.text();
    assert!(said.contains("open 95 files") && said.contains("needs 96"), "{said}");
}

#[test]
fn it_stops_in_time_whatever_clients_hold_open() {
    let home = home();
    let service = home.listen(&[("REWARDHUB_SHUTDOWN_GRACE", "2s")]);
    service.ready(SOON);
    let feed = service.feed();
    let mut held: Vec<TcpStream> = (0..50).filter_map(|_| connect(&service)).collect();
    let body = format!(
        "POST /v1/transactions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {feed}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n["
    );
    let openings = ["", "GET / HT", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", &body];
    for (stream, opening) in held.iter_mut().zip(openings.iter().cycle()) {
        stream.write_all(opening.as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    service.stop_by("TERM").expect_code(0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn nobody_waits_for_a_log_that_nobody_reads() {
    let home = home();
    let mut service = home.listen_unheard();
    service.ready(SOON);
    let began = Instant::now();
    let feed = service.feed();
    // Far more lines than a pipe takes.
    for n in 0..400 {
        let sent = service.send(&feed, &[purchase(&format!("t{n}"), "cus_1")]);
        assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    }
    assert_answers_about_health(&service);
    assert!(began.elapsed() < SOON);
    assert!(service.ended().is_none());
    service.stop_by("TERM").expect_code(0);
}

#[test]
fn who_asks_for_too_much_waits_and_nobody_else_does() {
    let home = home();
    let bounds = [("REWARDHUB_PER_TOKEN_COST_BURST", "50"), ("REWARDHUB_PER_TOKEN_COST_PER_SECOND", "1")];
    let service = home.listen(&bounds);
    service.ready(SOON);
    let (one, feed) = (service.customer("cus_1"), service.feed());
    let ask = || service.get_as(&one, "/v1/held");
    let refused = (0..60).map(|_| ask()).find(|answer| answer.status != 403).unwrap();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.retry_after.is_some_and(|after| after.parse::<u32>().unwrap() >= 1));
    // Another token of the same bearer is no way around it; another bearer is another matter.
    let again = service.customer("cus_1");
    assert!((0..10).any(|_| service.get_as(&again, "/v1/held").status == 429));
    assert_eq!(service.get_as(&service.customer("cus_2"), "/v1/held").status, 403);
    // Transactions have a bound of their own.
    for n in 0..60 {
        let sent = service.send(&feed, &[purchase(&format!("t{n}"), "cus_1")]);
        assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    }
    service.stop();
}
