//! What people halt stands still and loses nothing, and goes on at once when they let it; so also
//! after a restart, and for whoever takes over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ledger_core::account::{AccountAnswer, AccountEvent, CommandKind};
use ledger_core::engine::{CommandContext, RowResult};
use ledger_core::ids::EntryId;
use ledger_core::log::StoredEvent;
use ledger_core::steps::parked::ParkedItems;
use ledger_core::system::{ParkedAction, Switch, SystemAnswer, SystemCommandKind};
use serde_json::json;
use stores::steps::StepTables;
use support::{Fault, SimulatedLog};

use crate::check::{account_events, sound, wins};
use crate::epochs::run_resume;
use crate::rail::{Mood, Rail};
use crate::steps::{Steps, books_equal};
use crate::world::{Node, World, at, duplicate_of, eventually, row, rows, terms, with};

async fn set(node: &Node, what: Switch, halted: bool) -> SystemAnswer {
    let kind = SystemCommandKind::SetSwitch { what, halted, reason: "odd".into() };
    let (answer, _) =
        node.ledger.system(kind, CommandContext::new("operator:olga", "", "")).await.unwrap().unwrap();
    assert_eq!(node.ledger.system_state().borrow().is_halted(what), halted, "said once it is durable");
    answer
}

fn count(events: &[StoredEvent], name: &str) -> usize {
    events.iter().filter(|event| event.event_type == name).count()
}

/// So much that every step has looked more than once, and every pause of a step is over.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(30)).await;
}

#[tokio::test(start_paused = true)]
async fn while_draws_are_halted_what_is_booked_waits_and_everything_else_goes_on() {
    let world = World::seeded(7);
    let (node, log) = world.with(terms(|_| {})).await;
    let known = node.one(&row("before", "anna")).await.unwrap();
    assert_eq!(set(&node, Switch::Draws, true).await, SystemAnswer::Done);
    assert_eq!(set(&node, Switch::Draws, true).await, SystemAnswer::Unchanged);
    let decided = count(&log.events(), "TransactionEvaluated");
    // Also what no campaign would admit, and for who comes now.
    for line in [row("t1", "anna"), with(&row("t2", "anna"), "merchant", json!(null)), row("t3", "berta")] {
        let waits = node.one(&line).await.unwrap();
        assert_eq!((waits.result, waits.won), (RowResult::Deferred, None));
        assert_eq!(node.one(&line).await, duplicate_of(&waits));
    }
    assert_eq!(node.one(&row("before", "anna")).await, duplicate_of(&known));
    let back = node.one(&with(&row("before", "anna"), "status", "removed")).await.unwrap();
    assert_eq!(back.result, RowResult::Accepted);
    let pending = node.one(&with(&row("p1", "anna"), "status", "pending")).await.unwrap();
    assert_eq!(pending.result, RowResult::Deferred);
    // Whoever takes over keeps it.
    node.stop().await;
    let node = world.start(Arc::new(log.reopen())).await;
    assert!(node.ledger.system_state().borrow().is_halted(Switch::Draws));
    assert_eq!(node.one(&row("t4", "anna")).await.unwrap().result, RowResult::Deferred);
    assert_eq!(count(&log.events(), "TransactionEvaluated"), decided);
    assert_eq!(count(&log.events(), "TransactionDeferred"), 4);
    // Taken back while it waits, it is over.
    node.one(&with(&row("t4", "anna"), "status", "removed")).await.unwrap();

    let halted = async {
        a_while().await;
        assert_eq!(count(&log.events(), "TransactionEvaluated"), decided);
        set(&node, Switch::Draws, false).await;
    };
    let resumed =
        run_resume(&world, &node, &log, |events| count(events, "TransactionEvaluated") == decided + 3);
    tokio::join!(halted, resumed);
    assert_eq!(node.one(&row("t5", "anna")).await.unwrap().result, RowResult::Accepted);
    sound(&log.events(), &*world.seeds);
}

/// A day opens while draws are halted: its lines are woken, and wait on.
#[tokio::test(start_paused = true)]
async fn what_waits_for_its_day_and_for_a_person_is_decided_once_both_have_come() {
    let world = World::seeded(7);
    let (node, log) = world.with(terms(|_| {})).await;
    let ahead = with(&row("ahead", "anna"), "booked_at", "2026-11-23T09:00:00Z");
    assert_eq!(node.one(&ahead).await.unwrap().result, RowResult::Deferred);
    let story = async {
        a_while().await;
        set(&node, Switch::Draws, true).await;
        world.clock.set(at("2026-11-23T10:00:00Z"));
        node.ledger.tick().await.unwrap();
        a_while().await;
        assert_eq!(count(&log.events(), "TransactionEvaluated"), 0);
        set(&node, Switch::Draws, false).await;
        let began = tokio::time::Instant::now();
        while count(&log.events(), "TransactionEvaluated") == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(began.elapsed() < Duration::from_secs(3), "it is decided at once");
        }
    };
    let resumed = run_resume(&world, &node, &log, |events| count(events, "TransactionEvaluated") == 1);
    tokio::join!(story, resumed);
    sound(&log.events(), &*world.seeds);
}

/// An append that fails takes its switch along; one whose answer is lost does not.
#[tokio::test(start_paused = true)]
async fn what_is_set_is_what_the_log_says_whatever_becomes_of_the_append() {
    for fault in [Fault::FailBeforeCommit, Fault::FailAfterCommit, Fault::LandLate] {
        let world = World::seeded(7);
        let (node, log) = world.with(terms(|_| {})).await;
        log.faults().after(0, fault);
        let kind = SystemCommandKind::SetSwitch { what: Switch::Draws, halted: true, reason: "odd".into() };
        let asked = node.ledger.system(kind, CommandContext::new("operator:olga", "", "")).await;
        let said = count(&log.events(), "SwitchSet");
        assert!(said <= 1 && (asked.is_err() || said == 1), "{fault:?}");
        let result = node.one(&row("t1", "anna")).await.unwrap().result;
        let halted = count(&log.events(), "SwitchSet") == 1;
        assert_eq!(result == RowResult::Deferred, halted, "{fault:?}");
        assert_eq!(node.ledger.system_state().borrow().is_halted(Switch::Draws), halted, "{fault:?}");
    }
}

/// Rewards that are won for sure, and a rail.
struct House {
    world: World,
    node: Node,
    log: SimulatedLog,
    rail: Arc<Rail>,
    file: PathBuf,
}

impl House {
    async fn with(mood: Mood) -> House {
        let world = World::seeded(1);
        let rail = Arc::new(Rail::new(mood, 1));
        let sure = terms(|terms| {
            terms["prize_table"]["tiers"] =
                json!([{ "name": "sure", "odds_ppb": 1_000_000_000, "prize": { "fixed": 700 } }]);
        });
        let (node, log) = world.with(sure).await;
        let file = world.folder.path().join("steps.db");
        House { world, node, log, rail, file }
    }

    fn steps(&self) -> Steps {
        Steps::start(&self.node, &self.rail, &self.file)
    }

    fn count(&self, name: &str) -> usize {
        count(&self.log.events(), name)
    }

    fn sound(&self) {
        books_equal(&self.log.events(), &self.rail);
        sound(&self.log.events(), &*self.world.seeds);
    }
}

#[tokio::test(start_paused = true)]
async fn while_payouts_are_halted_nothing_is_sent_and_then_all_of_it_once() {
    let house = House::with(Mood::Good).await;
    set(&house.node, Switch::Payouts, true).await;
    let steps = house.steps();
    house.node.take(&rows(0..150)).await;
    // The rest goes on.
    eventually(|| (house.count("RewardIssued"), house.count("CustomerNotified")) == (150, 150)).await;
    a_while().await;
    assert_eq!((house.rail.paid().len(), house.count("CreditRequested")), (0, 0));
    // Killed and started again, it is as halted.
    steps.kill().await;
    let steps = house.steps();
    a_while().await;
    assert_eq!(house.rail.paid().len(), 0);
    set(&house.node, Switch::Payouts, false).await;
    eventually(|| house.count("RewardCredited") == 150).await;
    steps.finish().await;
    house.sound();
}

#[tokio::test(start_paused = true)]
async fn a_payment_under_way_when_payouts_are_halted_is_asked_about_and_not_sent_again() {
    for arrives in [true, false] {
        let house = House::with(Mood::Holding).await;
        let steps = house.steps();
        house.node.one(&row("t1", "anna")).await.unwrap();
        eventually(|| house.rail.on_the_way() > 0).await;
        set(&house.node, Switch::Payouts, true).await;
        // A try that had begun ends.
        a_while().await;
        let sent = house.rail.on_the_way();
        a_while().await;
        assert_eq!(house.rail.on_the_way(), sent, "it is only asked about");
        if arrives {
            house.rail.arrive();
            eventually(|| house.count("RewardCredited") == 1).await;
            assert!(house.node.ledger.system_state().borrow().is_halted(Switch::Payouts));
        } else {
            house.rail.set(Mood::Good);
            a_while().await;
        }
        set(&house.node, Switch::Payouts, false).await;
        eventually(|| house.count("RewardCredited") == 1).await;
        assert_eq!(house.count("CreditRequested"), 1);
        steps.finish().await;
        house.sound();
    }
}

/// Refused while halted is recorded, and no new attempt is made; what a person wants is done after.
#[tokio::test(start_paused = true)]
async fn one_attempt_more_of_a_person_waits_until_payouts_go_on() {
    let house = House::with(Mood::Refusing).await;
    let steps = house.steps();
    house.node.one(&row("t1", "anna")).await.unwrap();
    let items =
        ParkedItems::new(Arc::new(StepTables::open(&house.file).unwrap()), Arc::clone(&house.node.log));
    let mut parked = vec![];
    while parked.is_empty() {
        a_while().await;
        parked = items.list("", 10).await.unwrap().0;
    }
    house.rail.set(Mood::Good);
    set(&house.node, Switch::Payouts, true).await;
    let context = CommandContext::new("operator:olga", "", "");
    let ledger = &house.node.ledger;
    items.resolve(ledger, &parked[0].id, ParkedAction::Retry, "well again".into(), context).await.unwrap();
    a_while().await;
    assert_eq!((house.rail.paid().len(), house.count("CreditRequested")), (0, 3));
    assert!(items.list("", 10).await.unwrap().0.is_empty(), "it waits, and is not parked again");
    set(&house.node, Switch::Payouts, false).await;
    eventually(|| house.count("RewardCredited") == 1).await;
    assert_eq!(house.count("CreditRequested"), 4);
    steps.finish().await;
    house.sound();
}

#[tokio::test(start_paused = true)]
async fn while_notifications_are_halted_nobody_is_told_and_then_everybody_once() {
    let house = House::with(Mood::Good).await;
    set(&house.node, Switch::Notifications, true).await;
    let steps = house.steps();
    // More than the step holds in hand.
    house.node.take(&rows(0..300)).await;
    // The rest goes on.
    eventually(|| house.count("RewardCredited") == 300).await;
    assert_eq!(house.rail.notified().len(), 0);
    set(&house.node, Switch::Notifications, false).await;
    eventually(|| house.count("CustomerNotified") == 300).await;
    steps.finish().await;
    assert_eq!(house.rail.notified().len(), 300);
    house.sound();
}

#[tokio::test(start_paused = true)]
async fn asking_what_is_under_way_begins_nothing() {
    let house = House::with(Mood::Good).await;
    house.node.one(&row("t1", "anna")).await.unwrap();
    let entry_id: EntryId = wins(&house.log.events()).into_keys().next().unwrap();
    let give = async |kind| {
        let context = CommandContext::new("test", "", "");
        house.node.ledger.account("anna".parse().unwrap(), kind, context).await.unwrap().unwrap()
    };
    give(CommandKind::IssueReward { entry_id }).await;
    let before = account_events(&house.log.events());
    assert_eq!(give(CommandKind::AskCredit { entry_id }).await, AccountAnswer::Unchanged);
    assert_eq!(account_events(&house.log.events()), before);
    give(CommandKind::RequestCredit { entry_id }).await;
    assert!(
        matches!(give(CommandKind::AskCredit { entry_id }).await, AccountAnswer::Outstanding(o) if !o.fresh)
    );
    give(CommandKind::FailCredit { entry_id, attempt: 1, reason: "closed".into() }).await;
    assert_eq!(give(CommandKind::AskCredit { entry_id }).await, AccountAnswer::Unchanged);
    give(CommandKind::ReverseReward { entry_id, reason: "an error".into() }).await;
    assert_eq!(give(CommandKind::AskCredit { entry_id }).await, AccountAnswer::Settled);
    let events = account_events(&house.log.events());
    assert!(matches!(events.last(), Some(AccountEvent::RewardReversed { .. })));
}
