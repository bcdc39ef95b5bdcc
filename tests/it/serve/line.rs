//! A line to the database that hangs: nothing is refused or closed, nothing comes back.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rewardhub_tests::eventually;
use rewardhub_tests::rows::{ndjson, purchase};

use super::world::{SOON, TTL, World, all_known_once};

/// A proxy that can stop to pass anything on.
struct Line {
    port: u16,
    hangs: Arc<AtomicBool>,
}

impl Line {
    fn to(address: String) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, hangs) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let hanging = Arc::clone(&hangs);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(&address).unwrap());
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let hangs = Arc::clone(&hanging);
                    std::thread::spawn(move || pass_on(from, to, &hangs));
                }
            }
        });
        Line { port, hangs }
    }

    fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, hangs: &AtomicBool) {
    let mut some = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut some) {
        while hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if read == 0 || to.write_all(&some[..read]).is_err() {
            break;
        }
    }
    // The other direction may have ended already.
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn requests_under_way_hear_that_there_is_no_answer_once_the_lease_is_over() {
    let (world, home) = World::empty().with_campaign();
    let (start, database) = world.url.rsplit_once('/').unwrap();
    let (user, address) = start.rsplit_once('@').unwrap();
    let line = Line::to(address.to_owned());
    let url = format!("{user}@127.0.0.1:{}/{database}", line.port);
    let service = home.listen(&[("REWARDHUB_LOG", &url)]);
    service.ready(SOON);
    let feed = service.feed();
    // A customer that is known, so that only the append needs the line.
    let first = purchase("t1", "cus_1");
    assert_eq!(service.send(&feed, std::slice::from_ref(&first))[0]["result"], "accepted");
    line.hang(true);
    let rows = [purchase("t2", "cus_1")];
    let began = Instant::now();
    let answer = service.post(&feed, "application/x-ndjson", ndjson(&rows));
    let waited = began.elapsed();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.retry_after.is_some(), "{answer:?}");
    assert!(waited < TTL + Duration::from_secs(5), "{waited:?}");
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/readyz").status, 503);
    line.hang(false);
    eventually("it to write again", SOON, || {
        let answer = service.post(&feed, "application/x-ndjson", ndjson(&rows));
        (answer.status == 200).then_some(())
    });
    service.ready(SOON);
    all_known_once(&service, &feed, &[first, rows[0].clone()], &home);
}
