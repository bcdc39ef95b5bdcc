//! What a step cannot end at once keeps nothing else back, is never forgotten, and never tried more
//! often than it must.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ledger_core::engine::SubmitError;
use ledger_core::event::LedgerEvent;
use ledger_core::log::{EventLog, Position, StoredEvent, WriterLease as _};
use ledger_core::steps::Step;
use ledger_core::steps::backoff::Backoff;
use ledger_core::steps::items::{ItemCounts, ItemState};
use ledger_core::steps::runner::StepError;
use ledger_core::steps::step::{Ended, Limits, Try};
use ledger_core::steps::store::StepStore;
use parking_lot::Mutex;
use stores::steps::StepTables;
use support::{History, SimulatedLog, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Does with each item what a plan says, and remembers what it was asked.
struct Planned {
    plan: Box<dyn Fn(u64, u32) -> Plan + Send + Sync>,
    tries: Mutex<BTreeMap<u64, u32>>,
    done: AtomicUsize,
    running: AtomicUsize,
    running_max: AtomicUsize,
}

enum Plan {
    Done,
    Again,
    Park,
    Never,
    Panic,
    Wait,
}

impl Planned {
    fn new(plan: impl Fn(u64, u32) -> Plan + Send + Sync + 'static) -> Arc<Planned> {
        Arc::new(Planned {
            plan: Box::new(plan),
            tries: Mutex::default(),
            done: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            running_max: AtomicUsize::new(0),
        })
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    fn tries(&self, item: u64) -> u32 {
        self.tries.lock().get(&item).copied().unwrap_or(0)
    }
}

impl Step for Planned {
    type Item = u64;

    fn name(&self) -> &'static str {
        "planned"
    }

    fn reads(&self, _: &str) -> bool {
        true
    }

    fn items(&self, stored: &StoredEvent, _: LedgerEvent) -> Vec<u64> {
        vec![stored.position.0]
    }

    fn key(&self, item: &u64) -> String {
        item.to_string()
    }

    fn waits_for(&self, item: &u64) -> Option<String> {
        matches!((self.plan)(*item, 0), Plan::Wait).then(|| "a day".into())
    }

    fn limits(&self) -> Limits {
        let backoff = Backoff { first: Duration::from_millis(20), longest: Duration::from_mins(1) };
        Limits { backoff, ..Limits::default() }
    }

    async fn attempt(&self, tries: Vec<Try<u64>>) -> Result<Vec<Ended>, SubmitError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_max.fetch_max(running, Ordering::SeqCst);
        // Also counts down when it is cut off.
        let _running = Running(&self.running);
        let item = tries[0].item;
        let tried = {
            let mut tries = self.tries.lock();
            let tried = tries.entry(item).or_default();
            *tried += 1;
            *tried
        };
        tokio::task::yield_now().await;
        Ok(vec![match (self.plan)(item, tried) {
            Plan::Done => {
                self.done.fetch_add(1, Ordering::SeqCst);
                Ended::Done
            }
            Plan::Again => Ended::again("not yet"),
            Plan::Park => Ended::parked("it is of no use"),
            Plan::Panic => panic!("a defect, on purpose"),
            Plan::Never | Plan::Wait => std::future::pending().await,
        }])
    }
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A log of so many events that mean nothing.
async fn log_of(events: usize) -> Arc<SimulatedLog> {
    let log = Arc::new(SimulatedLog::new());
    let head = log.lease("test", None).await.unwrap();
    let payload = br#"{"AccountOpened":{"enrolled_at":"2026-11-22T12:00:00Z"}}"#.to_vec();
    let mut history = History { payload, ..History::default() };
    let streams: Vec<_> = (0..50).map(|n| stream(&format!("cus-{n}"))).collect();
    let events: Vec<StoredEvent> = (0..events).map(|n| history.event(&streams[n % streams.len()])).collect();
    log.append(&history.batch(head.term, events)).await.unwrap();
    log
}

struct Runs {
    task: JoinHandle<Result<(), StepError>>,
    stop: watch::Sender<bool>,
    // Nobody tells the step that the log grows: it does not.
    _head: watch::Sender<Position>,
}

fn run(step: &Arc<Planned>, log: &Arc<SimulatedLog>, file: &Path) -> Runs {
    let step_store: Arc<dyn StepStore> = Arc::new(StepTables::open(file).unwrap());
    let (head, moved) = watch::channel(Position(0));
    let (stop, stopped) = watch::channel(false);
    let log = Arc::clone(log) as Arc<dyn EventLog>;
    let task = tokio::spawn(ledger_core::steps::run(Arc::clone(step), log, step_store, moved, stopped));
    Runs { task, stop, _head: head }
}

impl Runs {
    async fn finish(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }

    async fn kill(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

/// In real time.
async fn soon(what: &str, done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < Duration::from_mins(2), "{what} does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_items_that_never_end_keep_six_hundred_others_no_longer_than_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let log = log_of(1_200).await;
    let step = Planned::new(|item, _| if item % 2 == 0 { Plan::Never } else { Plan::Done });
    let runs = run(&step, &log, &file);
    soon("the end of those that end", async || step.done() == 600).await;
    let step_store = StepTables::open(&file).unwrap();
    soon("the cursor at the end of the log", async || {
        step_store.get("planned").await.unwrap() == Position(1_200)
    })
    .await;
    let counts = step_store.count_items("planned").await.unwrap();
    assert_eq!(counts, ItemCounts { waiting: 600, parked: 0 });
    assert!(step.running_max.load(Ordering::SeqCst) <= 128, "few are under way");
    runs.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_that_wait_for_a_day_neither_keep_a_later_one_nor_take_a_task_each() {
    const WAITING: u64 = 100_100;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let log = log_of(usize::try_from(WAITING).unwrap() + 1).await;
    let step = Planned::new(|item, _| if item <= WAITING { Plan::Wait } else { Plan::Done });
    let runs = run(&step, &log, &file);
    soon("the later one", async || step.done() == 1).await;
    let step_store = StepTables::open(&file).unwrap();
    soon("all rows", async || step_store.get("planned").await.unwrap() == Position(WAITING + 1)).await;
    assert_eq!(step_store.count_items("planned").await.unwrap().waiting, WAITING);
    assert!(step.running_max.load(Ordering::SeqCst) <= 128);
    runs.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_at_any_moment_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let log = log_of(400).await;
    // Each is done at the fourth try, whichever process that is in.
    let step = Planned::new(|_, tried| if tried < 4 { Plan::Again } else { Plan::Done });
    for pause in 0..12 {
        let runs = run(&step, &log, &file);
        tokio::time::sleep(Duration::from_millis(pause * 23)).await;
        runs.kill().await;
    }
    let runs = run(&step, &log, &file);
    let step_store = StepTables::open(&file).unwrap();
    soon("the end of all", async || {
        step_store.get("planned").await.unwrap() == Position(400)
            && step_store.count_items("planned").await.unwrap() == ItemCounts::default()
    })
    .await;
    runs.finish().await;
    assert!((1..=400).all(|item| step.tries(item) >= 4), "every one was tried until it was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_item_and_one_that_panics_stay_for_a_person_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let log = log_of(4).await;
    let plan = |item, _| match item {
        1 => Plan::Park,
        2 => Plan::Panic,
        _ => Plan::Done,
    };
    let step = Planned::new(plan);
    let step_store = StepTables::open(&file).unwrap();
    for _ in 0..3 {
        let runs = run(&step, &log, &file);
        soon("both", async || step_store.count_items("planned").await.unwrap().parked == 2).await;
        soon("the cursor", async || step_store.get("planned").await.unwrap() == Position(4)).await;
        runs.finish().await;
    }
    assert_eq!((step.tries(1), step.tries(2)), (1, 1), "nobody tries by himself");
    let parked = step_store.parked("", 10).await.unwrap();
    assert_eq!(
        parked.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(),
        ["planned:0:1:1", "planned:0:2:2"]
    );
    assert!(parked.iter().all(|row| row.state == ItemState::Parked));
    assert_eq!(parked[0].reason, "it is of no use");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_parked_items_than_may_be_under_way_keep_nobody_else_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let log = log_of(600).await;
    let step = Planned::new(|item, _| if item % 2 == 0 { Plan::Park } else { Plan::Done });
    let runs = run(&step, &log, &file);
    soon("the end of those that end", async || step.done() == 300).await;
    let step_store = StepTables::open(&file).unwrap();
    soon("the cursor at the end of the log", async || {
        step_store.get("planned").await.unwrap() == Position(600)
    })
    .await;
    let counts = step_store.count_items("planned").await.unwrap();
    assert_eq!(counts, ItemCounts { waiting: 0, parked: 300 });
    runs.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_event_is_parked_and_the_next_ones_are_worked_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.db");
    let log = Arc::new(SimulatedLog::new());
    let head = log.lease("test", None).await.unwrap();
    let mut history = History::default();
    // No event of this ledger, then one.
    let damaged = history.event(&stream("anna"));
    history.payload = br#"{"AccountOpened":{"enrolled_at":"2026-11-22T12:00:00Z"}}"#.to_vec();
    let whole = history.event(&stream("bob"));
    log.append(&history.batch(head.term, vec![damaged, whole])).await.unwrap();
    let step = Planned::new(|_, _| Plan::Done);
    let runs = run(&step, &log, &file);
    soon("the whole one", async || step.done() == 1).await;
    let step_store = StepTables::open(&file).unwrap();
    soon("the row", async || step_store.count_items("planned").await.unwrap().parked == 1).await;
    runs.finish().await;
    let parked = step_store.parked("", 10).await.unwrap();
    assert_eq!((parked[0].id.as_str(), parked[0].account.as_str()), ("planned:0:1:event", "anna"));
}
