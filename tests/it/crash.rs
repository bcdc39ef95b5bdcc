//! Killed at any moment, over and over, the ledger loses nothing it acknowledged, decides nothing
//! twice and pays nothing twice.
//!
//! Several connections send one file, again and again from its start, while the process is killed
//! by SIGKILL at random moments, during start-up too. The client remembers each answer it got.
//! `KILLS`, `TRANSACTIONS` and `SEED` set the size and the moments; `scripts/crash` runs the long
//! form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rewardhub_tests::rows::{self, CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, Sandbox, sandbox};
use rusqlite::Connection;
use serde_json::Value;

const CONNECTIONS: usize = 4;
const CHUNK: usize = 100;
const CUSTOMERS: usize = 500;
const PRIZE_MINOR: i64 = 500;

#[test]
fn a_few_kills_lose_nothing_and_pay_nothing_twice() {
    crash(setting("KILLS", 6), setting("TRANSACTIONS", 20_000));
}

#[test]
#[ignore = "takes minutes: run by scripts/crash"]
fn many_kills_lose_nothing_and_pay_nothing_twice() {
    crash(setting("KILLS", 50), setting("TRANSACTIONS", 200_000));
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

fn crash(kills: usize, transactions: usize) {
    let began = Instant::now();
    let seed = setting("SEED", rows::now().micros().unsigned_abs());
    println!("{transactions} transactions, {kills} kills, SEED={seed}");
    let mut dice = Dice(seed | 1);
    let home = Home::new();
    // A tenth would win, but the budget ends after a quarter of them, with a rest that pays no
    // prize.
    let budget_minor = i64::try_from(transactions).unwrap() / 40 * PRIZE_MINOR + 3;
    home.start_campaign("small", &campaign("small", CERTAIN / 10, PRIZE_MINOR, budget_minor));
    let feed = Feed::new(transactions);
    let token = {
        let sandbox = home.serve();
        let arguments = ["--scope", "transactions:write", "--source", "*", "--sub", "feed", "--ttl", "24h"];
        let token = sandbox.token(&arguments);
        sandbox.stop();
        token
    };

    for kill in 1..=kills {
        let running = sandbox::spawn(&home.data(), &["--rate", "0"], &[]);
        if dice.below(5) == 0 {
            let millis = dice.below(400);
            std::thread::sleep(Duration::from_millis(millis));
            drop(running);
            println!("kill {kill}: {millis} ms into its start");
            continue;
        }
        let sandbox = Sandbox::serving(running, &home.data());
        let millis = 50 + dice.below(2_950);
        let before = feed.answers.load(Ordering::Relaxed);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                let (sandbox, token, feed) = (&sandbox, &token, &feed);
                let next = &next;
                scope.spawn(move || while feed.send_chunk(sandbox, token, next).is_ok() {});
            }
            std::thread::sleep(Duration::from_millis(millis));
            sandbox.kill();
        });
        let answers = feed.answers.load(Ordering::Relaxed) - before;
        println!(
            "kill {kill}: after {millis} ms of traffic, {answers} answers, {} acknowledged",
            feed.acknowledged()
        );
    }

    let sandbox = home.serve();
    // The whole file, twice: what was never acknowledged is now, and all of it is known ever after.
    for pass in ["the rest", "all again"] {
        let next = AtomicUsize::new(0);
        let chunks = transactions.div_ceil(CHUNK);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    while next.load(Ordering::Relaxed) < chunks {
                        feed.send_chunk(&sandbox, &token, &next).unwrap();
                    }
                });
            }
        });
        println!("{pass}: {} acknowledged after {:.1?}", feed.acknowledged(), began.elapsed());
        assert_eq!(feed.acknowledged(), transactions);
    }
    sandbox.settle(Duration::from_mins(2) + Duration::from_millis(transactions as u64));
    sandbox.trial_balance();
    sandbox.stop();

    let credited = check_log(&home, &feed, transactions);
    check_budget(&home, budget_minor, credited);
    home.replayed();
    home.assert_read_models_hold();
    println!("{credited} credits, all of them paid once; all holds after {:.1?}", began.elapsed());
}

/// The file and what its sender was told.
struct Feed {
    rows: Vec<String>,
    /// The position that was acknowledged; 0 for none yet.
    positions: Vec<AtomicU64>,
    /// Whether `accepted` was ever the answer.
    accepted: Vec<AtomicBool>,
    answers: AtomicU64,
}

impl Feed {
    fn new(transactions: usize) -> Feed {
        let row = |n: usize| purchase(&format!("t{n}"), &format!("cus_{}", n % CUSTOMERS)).to_string();
        Feed {
            rows: (0..transactions).map(row).collect(),
            positions: (0..transactions).map(|_| AtomicU64::new(0)).collect(),
            accepted: (0..transactions).map(|_| AtomicBool::new(false)).collect(),
            answers: AtomicU64::new(0),
        }
    }

    fn acknowledged(&self) -> usize {
        self.positions.iter().filter(|position| position.load(Ordering::Relaxed) > 0).count()
    }

    /// Sends the next chunk, from the start again after the last; errs once the process is gone.
    fn send_chunk(&self, sandbox: &Sandbox, token: &str, next: &AtomicUsize) -> Result<(), String> {
        let start = next.fetch_add(1, Ordering::Relaxed) * CHUNK % self.rows.len().next_multiple_of(CHUNK);
        let rows = &self.rows[start..self.rows.len().min(start + CHUNK)];
        loop {
            let body = rows.join("\n").into_bytes();
            let answer = sandbox.try_post(token, "application/x-ndjson", body).map_err(|e| e.to_string())?;
            match answer.status {
                200 => {
                    assert_eq!(answer.rows().len(), rows.len());
                    for (place, answer) in answer.rows().iter().enumerate() {
                        self.remember(start + place, answer);
                    }
                    return Ok(());
                }
                429 | 503 => std::thread::sleep(Duration::from_millis(50)),
                _ => panic!("{answer:?}"),
            }
        }
    }

    /// An answer holds for ever: one position, and accepted once at most.
    fn remember(&self, row: usize, answer: &Value) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        assert_eq!(answer["transaction_id"], format!("t{row}"));
        match answer["result"].as_str() {
            Some("accepted") => {
                let before = self.accepted[row].swap(true, Ordering::Relaxed);
                assert!(!before, "t{row} was decided a second time: {answer}");
            }
            Some("duplicate") => {}
            _ => panic!("t{row}: {answer}"),
        }
        let position =
            answer["position"].as_str().and_then(|text| text.strip_prefix("0:")?.parse().ok()).unwrap();
        let known = self.positions[row].compare_exchange(0, position, Ordering::Relaxed, Ordering::Relaxed);
        if let Err(known) = known {
            assert_eq!(known, position, "t{row} was acknowledged at another position before");
        }
    }
}

/// The log against what the sender was told, and against the rail's own books. Tells how many were
/// credited.
fn check_log(home: &Home, feed: &Feed, transactions: usize) -> i64 {
    let log = Connection::open(home.data().join("log.db")).unwrap();
    let mut decided = BTreeMap::new();
    let mut credits = BTreeMap::new();
    let mut won = BTreeSet::new();
    let mut statement = log
        .prepare("SELECT position, event_type, payload FROM events WHERE aggregate_type = 'account'")
        .unwrap();
    let mut events = statement.query([]).unwrap();
    while let Some(event) = events.next().unwrap() {
        let (position, kind): (u64, String) = (event.get(0).unwrap(), event.get(1).unwrap());
        let payload: Value = serde_json::from_str(&event.get::<_, String>(2).unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let payload = &payload[&kind];
        match kind.as_str() {
            "TransactionEvaluated" => {
                let id = text(&payload["line"]["transaction_id"]);
                assert_eq!(decided.insert(id.clone(), position), None, "{id} is decided twice");
                for draw in
                    payload["draws"].as_array().into_iter().flatten().filter(|d| !d["amount"].is_null())
                {
                    assert!(won.insert(text(&draw["entry_id"])), "{draw} is won twice");
                }
            }
            "RewardCredited" => {
                let (entry, amount) = (text(&payload["entry_id"]), payload["amount"]["minor"].clone());
                let paid = (
                    payload["attempt"].as_u64().unwrap(),
                    text(&payload["payout_reference"]),
                    amount.as_i64().unwrap(),
                );
                assert_eq!(credits.insert(entry.clone(), paid), None, "{entry} is credited twice");
            }
            _ => {}
        }
    }
    assert_eq!(decided.len(), transactions);
    for (row, position) in feed.positions.iter().enumerate() {
        assert_eq!(decided.get(&format!("t{row}")), Some(&position.load(Ordering::Relaxed)), "t{row}");
    }

    let rail = Connection::open(home.data().join("rail.db")).unwrap();
    let mut statement =
        rail.prepare("SELECT key, reference, amount_minor FROM payments WHERE status = 'paid'").unwrap();
    let mut payments = statement.query([]).unwrap();
    let mut paid = BTreeMap::new();
    while let Some(payment) = payments.next().unwrap() {
        let key: String = payment.get(0).unwrap();
        let (entry, attempt) = key.split_once(':').unwrap();
        let payment = (attempt.parse().unwrap(), payment.get(1).unwrap(), payment.get(2).unwrap());
        assert_eq!(paid.insert(entry.to_owned(), payment), None, "{entry} is paid twice");
    }
    assert_eq!(paid, credits, "the rail's books and ours");
    assert_eq!(won, credits.keys().cloned().collect(), "what was won is what was credited");
    i64::try_from(credits.len()).unwrap()
}

/// Spent to the last prize, and not a penny more.
fn check_budget(home: &Home, budget_minor: i64, credited: i64) {
    let shown = home.run(&["campaign", "show", "small"]).expect_code(0).json();
    let spent = shown["spent_minor"].as_i64().unwrap();
    assert_eq!(shown["funded_minor"], budget_minor);
    assert_eq!(spent, credited * PRIZE_MINOR);
    assert!(spent <= budget_minor, "{spent} of {budget_minor}");
    assert!(budget_minor - spent < PRIZE_MINOR, "{spent} of {budget_minor}: the budget was to be exhausted");
}

/// xorshift64*: kill moments only, so that a SEED repeats them.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end
    }
}
