//! Issue, notify, credit: whatever the rail does and whenever the process dies, a reward is paid at
//! most once, and the books say the same as the rail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audit::replay::{Decoded, Replay};
use ledger_core::account::{AccountEvent, CommandKind, RewardAccount};
use ledger_core::ids::{AccountId, EntryId};
use ledger_core::log::{Position, StoredEvent};
use ledger_core::stated::Stated as _;
use ledger_core::steps::credit::Credit;
use ledger_core::steps::issue::Issue;
use ledger_core::steps::notify::Notify;
use ledger_core::steps::runner::StepError;
use ledger_core::steps::store::StepStore;
use stores::steps::StepTables;
use support::Fault;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::check::{account_events, sound, wins};
use crate::rail::{Mood, Rail};
use crate::world::{Dice, HOUR_MICROS, Node, World, context, eventually, rows, terms};

/// The three steps of one process.
pub(crate) struct Steps {
    tasks: Vec<JoinHandle<Result<(), StepError>>>,
    stop: watch::Sender<bool>,
}

impl Steps {
    pub(crate) fn start(node: &Node, rail: &Arc<Rail>, step_store: &Path) -> Steps {
        let step_store: Arc<dyn StepStore> = Arc::new(StepTables::open(step_store).unwrap());
        let (stop, stopped) = watch::channel(false);
        let (ledger, log, head) = (&node.ledger, &node.log, || node.ledger.head());
        let issue = Arc::new(Issue::new(ledger.clone()));
        let notify = Arc::new(Notify::new(ledger.clone(), Arc::clone(rail) as _));
        let credit = Credit::new(ledger.clone(), Arc::clone(rail) as _);
        let credit = Arc::new(credit);
        let tasks = vec![
            tokio::spawn(ledger_core::steps::run(
                issue,
                Arc::clone(log),
                Arc::clone(&step_store),
                head(),
                stopped.clone(),
            )),
            tokio::spawn(ledger_core::steps::run(
                notify,
                Arc::clone(log),
                Arc::clone(&step_store),
                head(),
                stopped.clone(),
            )),
            tokio::spawn(ledger_core::steps::run(credit, Arc::clone(log), step_store, head(), stopped)),
        ];
        Steps { tasks, stop }
    }

    pub(crate) async fn kill(self) {
        for task in self.tasks {
            task.abort();
            // Cancelled, or ended before: both are fine.
            task.await.ok();
        }
    }

    pub(crate) async fn finish(self) {
        self.stop.send(true).unwrap();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

fn accounts(events: &[StoredEvent]) -> Replay {
    let mut replay = Replay::default();
    for stored in events {
        replay.take(Decoded::of(stored.clone()));
    }
    replay
}

fn rewards(replay: &Replay) -> impl Iterator<Item = (&EntryId, &ledger_core::account::state::Reward)> {
    replay.accounts().values().flat_map(RewardAccount::rewards)
}

/// Every reward is paid, given up after three refusals, or taken back; and the customer was told.
fn settled(events: &[StoredEvent]) -> bool {
    let replay = accounts(events);
    rewards(&replay).all(|(_, r)| {
        let given_up = r.refused && (r.attempts == 3 || r.reversed);
        let never_sent = r.reversed && r.attempts == 0;
        let paid = r.credited.is_some() || given_up || never_sent;
        r.issued && paid && (r.notified || r.reversed)
    })
}

/// The rail's books are ours.
pub(crate) fn books_equal(events: &[StoredEvent], rail: &Rail) {
    let paid = rail.paid();
    let mut entries = BTreeSet::new();
    for key in paid.keys() {
        assert!(entries.insert(key.entry_id), "{} was paid twice", key.entry_id);
    }
    let replay = accounts(events);
    let balance = |name: &str| replay.balances().get(&(name.into(), "GBP")).copied().unwrap_or(0);
    let by_rail: i128 = paid.values().map(|m| i128::from(m.minor())).sum();
    assert_eq!(-balance("payout-rail"), by_rail);
    let credited: BTreeMap<_, _> = rewards(&replay)
        .filter_map(|(entry, r)| Some(((*entry, r.credited.as_ref()?.attempt), r.amount)))
        .collect();
    let paid: BTreeMap<_, _> = paid.into_iter().map(|(k, m)| ((k.entry_id, k.attempt), m)).collect();
    assert_eq!(credited, paid);
    let owed: i128 = rewards(&replay)
        .filter(|(_, r)| r.issued && r.credited.is_none() && !r.reversed)
        .map(|(_, r)| i128::from(r.amount.minor()))
        .sum();
    assert_eq!(-balance("rewards-payable"), owed);
}

/// One history of kills.
async fn history(world: &World, seed: u64) {
    let dice = &mut Dice(seed);
    let rail = Arc::new(Rail::new(Mood::Random, seed));
    let (mut node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..40)).await;
    let file = |n: u64| world.folder.path().join(format!("steps-{seed}-{n}.db"));
    let mut at = 0;
    for kill in 0..6 {
        let steps = Steps::start(&node, &rail, &file(at));
        if dice.one_in(2) {
            log.faults().after(dice.below(4), [Fault::FailAfterCommit, Fault::LandLate][dice.below(2)]);
        }
        let from = 100 * (1 + kill);
        node.take(&rows(from..from + 5)).await;
        tokio::time::sleep(Duration::from_millis(dice.below(400) as u64)).await;
        steps.kill().await;
        if dice.one_in(2) {
            // A new process takes over while the old one still has commands in its queue.
            let next = world.start(Arc::new(log.reopen())).await;
            node = next;
        } else {
            node.stop().await;
            node = world.start(Arc::new(log.reopen())).await;
        }
        match dice.below(3) {
            0 => at += 1,
            1 => {
                let step_store = StepTables::open(&file(at)).unwrap();
                for step in ["issue", "notify", "credit"] {
                    let reached = usize::try_from(step_store.get(step).await.unwrap().0).unwrap();
                    step_store.set(step, Position(dice.below(reached + 1) as u64)).await.unwrap();
                }
            }
            _ => {}
        }
    }
    let steps = Steps::start(&node, &rail, &file(at));
    eventually(|| settled(&log.events())).await;
    steps.finish().await;
    let events = log.events();
    sound(&events, &*world.seeds);
    books_equal(&events, &rail);
    let told: BTreeSet<_> = rail.notified().into_iter().collect();
    assert_eq!(told, wins(&events).into_keys().collect());
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_moment_nothing_is_paid_twice_and_everything_ends() {
    let world = World::new();
    for seed in 0..16 {
        history(&world, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reward_refused_three_times_is_given_up_and_stays_owed() {
    let world = World::seeded(1);
    let rail = Arc::new(Rail::new(Mood::Refusing, 1));
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..20)).await;
    let steps = Steps::start(&node, &rail, &world.folder.path().join("steps.db"));
    eventually(|| settled(&log.events())).await;
    steps.finish().await;
    let events = log.events();
    let won = wins(&events).len();
    assert!(won > 0);
    assert_eq!(rail.refused(), 3 * won);
    let failed = account_events(&events).iter().filter(|e| e.name() == "CreditFailed").count();
    assert_eq!(failed, 3 * won);
    books_equal(&events, &rail);
    // The rail's better mood changes nothing: a person decides.
    rail.set(Mood::Good);
    let steps = Steps::start(&node, &rail, &world.folder.path().join("lost.db"));
    tokio::time::sleep(Duration::from_mins(10)).await;
    steps.finish().await;
    assert_eq!(log.events(), events);
}

/// The account of each win.
pub(crate) fn winners(events: &[StoredEvent]) -> Vec<(AccountId, EntryId)> {
    let winners = events.iter().flat_map(|stored| {
        let account: Option<AccountId> = stored.stream.id.parse().ok();
        wins(std::slice::from_ref(stored)).into_keys().map(move |entry| (account.clone().unwrap(), entry))
    });
    winners.collect()
}

async fn reverse(node: &Node, account: AccountId, entry_id: EntryId) {
    let kind = CommandKind::ReverseReward { entry_id, reason: "test".into() };
    node.ledger.account(account, kind, context()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_arrives_after_the_reversal_is_found_out_and_becomes_a_receivable() {
    let world = World::seeded(1);
    let rail = Arc::new(Rail::new(Mood::Holding, 1));
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..20)).await;
    let steps = Steps::start(&node, &rail, &world.folder.path().join("steps.db"));
    let winners = winners(&log.events());
    eventually(|| rail.on_the_way() >= winners.len()).await;
    for (account, entry) in winners.clone() {
        reverse(&node, account, entry).await;
    }
    // Asked for hours, the rail knows nothing yet: a request may take its time.
    world.clock.advance(2 * HOUR_MICROS);
    tokio::time::sleep(Duration::from_mins(10)).await;
    rail.arrive();
    eventually(|| settled(&log.events())).await;
    steps.finish().await;
    let events = log.events();
    assert_eq!(rail.paid().len(), winners.len());
    books_equal(&events, &rail);
    let receivable = accounts(&events).balances()[&("customer-receivable".to_owned(), "GBP")];
    assert_eq!(receivable, rail.paid().values().map(|m| i128::from(m.minor())).sum::<i128>());
    sound(&events, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_reversed_payment_that_never_reached_the_rail_is_not_sent_again() {
    let world = World::seeded(1);
    let rail = Arc::new(Rail::new(Mood::Good, 1));
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..20)).await;
    // Requested by a process that dies before it sends.
    for (account, entry_id) in winners(&log.events()) {
        for kind in [CommandKind::IssueReward { entry_id }, CommandKind::RequestCredit { entry_id }] {
            node.ledger.account(account.clone(), kind, context()).await.unwrap().unwrap();
        }
        reverse(&node, account, entry_id).await;
    }
    world.clock.advance(13 * HOUR_MICROS);
    let steps = Steps::start(&node, &rail, &world.folder.path().join("steps.db"));
    eventually(|| settled(&log.events())).await;
    steps.finish().await;
    assert!(rail.paid().is_empty());
    books_equal(&log.events(), &rail);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_rails_window_a_payment_is_asked_about_and_not_sent_again() {
    let world = World::seeded(1);
    let rail = Arc::new(Rail::new(Mood::Good, 1));
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..20)).await;
    for (account, entry_id) in winners(&log.events()) {
        for kind in [CommandKind::IssueReward { entry_id }, CommandKind::RequestCredit { entry_id }] {
            node.ledger.account(account.clone(), kind, context()).await.unwrap().unwrap();
        }
    }
    world.clock.advance(24 * HOUR_MICROS);
    let before = log.events();
    let steps = Steps::start(&node, &rail, &world.folder.path().join("steps.db"));
    tokio::time::sleep(Duration::from_hours(1)).await;
    steps.kill().await;
    assert!(rail.paid().is_empty());
    let news: Vec<_> = account_events(&log.events()[before.len()..]).iter().map(AccountEvent::name).collect();
    assert!(news.iter().all(|name| *name == "CustomerNotified"), "{news:?}");
}

#[tokio::test(start_paused = true)]
async fn steps_end_when_nobody_can_stop_them_any_more_or_another_process_writes() {
    let world = World::new();
    let rail = Arc::new(Rail::new(Mood::Good, 1));
    let (node, log) = world.with(terms(|_| {})).await;
    let steps = Steps::start(&node, &rail, &world.folder.path().join("steps.db"));
    drop(steps.stop);
    for task in steps.tasks {
        task.await.unwrap().unwrap();
    }
    let steps = Steps::start(&node, &rail, &world.folder.path().join("steps.db"));
    let _next = world.start(Arc::new(log.reopen())).await;
    assert!(node.try_take(&rows(0..1)).await.is_err());
    for task in steps.tasks {
        assert!(matches!(task.await.unwrap(), Err(StepError::NotWriter { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_has_seen_more_than_the_log_has_stops_with_an_error() {
    let world = World::seeded(1);
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..5)).await;
    let file = world.folder.path().join("steps.db");
    let rail = Arc::new(Rail::new(Mood::Good, 1));
    let head = log.events().len() as u64;
    for (cursor, goes_on) in [(head, true), (head + 100, false)] {
        let step_store = StepTables::open(&file).unwrap();
        for step in ["issue", "notify", "credit"] {
            step_store.set(step, Position(cursor)).await.unwrap();
        }
        drop(step_store);
        let steps = Steps::start(&node, &rail, &file);
        if goes_on {
            steps.finish().await;
        } else {
            for task in steps.tasks {
                let ended = task.await.unwrap();
                assert!(matches!(ended, Err(StepError::Ahead { .. })), "{ended:?}");
            }
        }
    }
}
