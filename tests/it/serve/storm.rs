//! Far more requests and waiting lines at once than there are threads and connections: all get an
//! answer, health is told meanwhile, and the service ends when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rewardhub_tests::rows::{now, purchase};
use rewardhub_tests::{Sandbox, eventually};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use super::world::{SOON, everywhere};

const POSTS: usize = 2_000;
const LINES: usize = 5_000;
/// Until everybody has been served, on a slow machine that does other things besides.
const PATIENCE: Duration = Duration::from_mins(3);

/// One line for each of many customers.
fn lines(name: &str) -> Vec<Value> {
    (0..POSTS).map(|n| purchase(&format!("{name}-{n}"), &format!("cus_{n}"))).collect()
}

/// Posts each row by itself, all at once, and those again that are told to come back; answers what
/// was said.
fn all_at_once(service: &Sandbox, token: &str, rows: Vec<Value>) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build();
    let (client, url) = (client.unwrap(), format!("{}/v1/transactions", service.url()));
    let go = Arc::new(Barrier::new(rows.len()));
    let posts = rows.into_iter().zip(0_u64..).map(|(row, n)| {
        let (client, url, token, go) = (client.clone(), url.clone(), token.to_owned(), Arc::clone(&go));
        async move {
            go.wait().await;
            let (deadline, mut refused) = (Instant::now() + PATIENCE, 0_u32);
            while Instant::now() < deadline {
                // Connections are bounded too: whoever gets none comes again, ever later and not
                // with all the others.
                let pause = match client.post(&url).bearer_auth(&token).json(&row).send().await {
                    Err(_) => {
                        refused += 1;
                        Duration::from_millis((100 << refused.min(6)) + n % 500)
                    }
                    Ok(answer) if answer.status() == 200 => {
                        let answer: Value = answer.json().await.unwrap();
                        return answer["results"][0]["result"].as_str().unwrap().to_owned();
                    }
                    Ok(answer) => {
                        assert!([429, 503].contains(&answer.status().as_u16()), "{answer:?}");
                        let after = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                        Duration::from_secs(after)
                    }
                };
                tokio::time::sleep(pause).await;
            }
            "never taken".to_owned()
        }
    });
    let posts: Vec<_> = posts.collect();
    Runtime::new().unwrap().block_on(async {
        let posts = posts.into_iter().map(tokio::spawn);
        futures::future::join_all(posts).await.into_iter().map(Result::unwrap).collect()
    })
}

/// Far more than the second that a release build on a machine of its own must do, and far less than
/// what happened when threads ran out: then no answer ever came.
const HEALTHY: Duration = Duration::from_secs(10);

/// Asks for health all the time until it is asked itself.
struct Health(Arc<AtomicBool>, Option<std::thread::JoinHandle<Duration>>);

impl Health {
    fn watch(service: &Sandbox) -> Health {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), format!("{}/healthz", service.url()));
        let stopped = Arc::clone(&stop);
        let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let ask = move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::SeqCst) {
                let asked = Instant::now();
                assert_eq!(client.get(&url).send().unwrap().status(), 200);
                longest = longest.max(asked.elapsed());
                std::thread::sleep(Duration::from_millis(50));
            }
            longest
        };
        Health(stop, Some(std::thread::spawn(ask)))
    }

    fn was_told(mut self) {
        self.0.store(true, Ordering::SeqCst);
        let longest = self.1.take().unwrap().join().unwrap();
        eprintln!("health: {longest:?} at most");
        assert!(longest < HEALTHY, "{longest:?}");
    }
}

#[test]
fn two_thousand_posts_at_once_are_answered_from_new_accounts_and_from_known_ones_after_a_kill() {
    for ledger in everywhere() {
        let home = &ledger.home;
        let mut service = home.listen(&[]);
        service.ready(SOON);
        let feed = service.feed();
        for (name, enrolment) in [("new", "open"), ("again", "open"), ("listed", "listed")] {
            if name != "new" {
                service.kill();
                service.end();
                service = home.listen(&[("REWARDHUB_ENROLMENT", enrolment)]);
                service.ready(SOON);
            }
            let health = Health::watch(&service);
            let answers = all_at_once(&service, &feed, lines(name));
            health.was_told();
            // A request whose answer was lost with its connection was taken all the same.
            let wrong: Vec<_> =
                answers.iter().filter(|said| !["accepted", "duplicate"].contains(&said.as_str())).collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
        }
        assert_eq!(ledger.count("AccountOpened"), POSTS);
        assert_eq!(ledger.count("TransactionEvaluated"), 3 * POSTS);
        // In the middle of one more it is told to end.
        let (client, asked) = (Arc::new(service), lines("end"));
        let storm = std::thread::spawn({
            let (client, feed) = (Arc::clone(&client), feed.clone());
            move || {
                let rows = asked.into_iter().take(500).collect::<Vec<_>>();
                for row in rows {
                    if client.try_post(&feed, "application/json", row.to_string().into_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        client.signal("TERM");
        storm.join().unwrap();
        Arc::into_inner(client).unwrap().end().expect_code(0);
        home.replayed();
    }
}

#[test]
fn five_thousand_lines_released_at_once_are_decided_also_across_a_kill() {
    for ledger in everywhere() {
        let home = &ledger.home;
        let mut service = home.listen(&[]);
        service.ready(SOON);
        let (feed, today) = (service.feed(), now().to_string()[..10].to_owned());
        let say = |service: &Sandbox, who: &str, word: &str| {
            let person = service.person(who, "campaigns:write");
            let words = ["campaign", word, "sure", &today, "--reason", "checks", "--url", service.url()];
            home.run_as(&person, &words).expect_code(0);
        };
        say(&service, "alice", "halt-epoch");
        let lines: Vec<Value> =
            (0..LINES).map(|n| purchase(&format!("l-{n}"), &format!("cus_{}", n % 1_500))).collect();
        for some in lines.chunks(1_000) {
            assert!(service.send(&feed, some).iter().all(|answer| answer["result"] == "deferred"));
        }
        let health = Health::watch(&service);
        say(&service, "alice", "resume-epoch");
        say(&service, "bob", "resume-epoch");
        eventually("some lines to be decided", PATIENCE, || {
            (ledger.count("TransactionEvaluated") > 0).then_some(())
        });
        health.was_told();
        service.kill();
        service.end();
        let service = home.listen(&[]);
        service.ready(SOON);
        let health = Health::watch(&service);
        eventually("all lines to be decided", PATIENCE, || {
            (ledger.count("TransactionEvaluated") == LINES).then_some(())
        });
        health.was_told();
        service.stop_by("TERM").expect_code(0);
        home.replayed();
    }
}
