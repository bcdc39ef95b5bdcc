//! What a person decides about a payment that was given up: asked about, failed or dropped, by two
//! people where it costs money, and never paid twice, whatever is said again, killed or lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger_core::account::{AccountEvent, CommandKind};
use ledger_core::engine::CommandContext;
use ledger_core::log::StoredEvent;
use ledger_core::steps::items::{ItemRow, ItemState};
use ledger_core::steps::parked::{ParkedError, ParkedItems};
use ledger_core::system::{ParkedAction, SystemAnswer};
use stores::steps::StepTables;
use support::SimulatedLog;

use crate::check::{account_events, sound};
use crate::rail::{Mood, Rail};
use crate::steps::{Steps, books_equal, winners};
use crate::world::{HOUR_MICROS, Node, World, context, eventually, row, terms};

/// One reward, and a rail in this mood.
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
            terms["prize_table"]["tiers"] = serde_json::json!([
                { "name": "sure", "odds_ppb": 1_000_000_000, "prize": { "fixed": 700 } },
            ]);
        });
        let (node, log) = world.with(sure).await;
        node.one(&row("tx-1", "anna")).await.unwrap();
        let file = world.folder.path().join("steps.db");
        House { world, node, log, rail, file }
    }

    fn steps(&self) -> Steps {
        Steps::start(&self.node, &self.rail, &self.file)
    }

    fn items(&self) -> ParkedItems {
        items(&self.file, &self.node)
    }

    async fn parked(&self) -> Vec<ItemRow> {
        self.items().list("", 100).await.unwrap().0
    }

    /// Runs the steps until the reward is parked for this reason.
    async fn until_parked(&self, reason: &str) -> ItemRow {
        let steps = self.steps();
        let found = |rows: &[ItemRow]| rows.iter().any(|row| row.reason.contains(reason));
        for _ in 0..10_000 {
            if found(&self.parked().await) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        steps.finish().await;
        let mut rows = self.parked().await;
        assert!(found(&rows), "{rows:?}");
        rows.remove(0)
    }

    async fn say(&self, by: &str, id: &str, action: ParkedAction) -> Result<SystemAnswer, ParkedError> {
        let context = CommandContext::new(&format!("operator:{by}"), "", "");
        self.items().resolve(&self.node.ledger, id, action, "because".into(), context).await
    }

    /// The same ten times at once.
    async fn say_at_once(&self, by: &str, id: &str, action: ParkedAction) -> Vec<SystemAnswer> {
        let (items, actor) = (self.items(), format!("operator:{by}"));
        let one = |_| {
            let context = CommandContext::new(&actor, "", "");
            items.resolve(&self.node.ledger, id, action, "because".into(), context)
        };
        let said = futures::future::try_join_all((0..10).map(one)).await;
        said.unwrap().into_iter().filter(|answer| *answer != SystemAnswer::Unchanged).collect()
    }

    fn names(&self) -> Vec<&'static str> {
        account_events(&self.log.events()).iter().map(AccountEvent::name).collect()
    }

    fn count(&self, name: &str) -> usize {
        self.names().iter().filter(|n| **n == name).count()
    }
}

fn items(file: &Path, node: &Node) -> ParkedItems {
    ParkedItems::new(Arc::new(StepTables::open(file).unwrap()), Arc::clone(&node.log))
}

fn decided(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().map(|e| &*e.event_type).filter(|name| name.starts_with("ParkedItem")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reward_refused_as_often_as_may_be_waits_for_a_person_and_one_more_attempt_pays_it() {
    let house = House::with(Mood::Refusing).await;
    let row = house.until_parked("refused 3 times").await;
    assert_eq!((row.step.as_str(), row.about, row.state), ("credit", Some(3), ItemState::Parked));
    house.rail.set(Mood::Good);
    assert_eq!(house.say("alice", &row.id, ParkedAction::Retry).await.unwrap(), SystemAnswer::Done);
    // Before its step has followed, what was decided is seen; said again, it is so already.
    assert_eq!(house.parked().await, []);
    assert_eq!(house.say("bob", &row.id, ParkedAction::Retry).await.unwrap(), SystemAnswer::Unchanged);
    let steps = house.steps();
    eventually(|| house.rail.paid().len() == 1).await;
    eventually(|| house.count("RewardCredited") == 1).await;
    steps.finish().await;
    assert!(matches!(house.items().show(&row.id).await, Err(ParkedError::Unknown)), "it is done");
    assert_eq!(house.count("CreditRequested"), 4);
    books_equal(&house.log.events(), &house.rail);
    sound(&house.log.events(), &*house.world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_payment_unknown_beyond_the_window_is_parked_and_a_retry_only_asks() {
    let house = House::with(Mood::Holding).await;
    let steps = house.steps();
    eventually(|| house.rail.on_the_way() > 0).await;
    steps.kill().await;
    house.world.clock.advance(25 * HOUR_MICROS);
    let row = house.until_parked("beyond").await;
    // Asked about, it is as unknown as before: nothing is sent.
    let sent = house.rail.on_the_way();
    assert_eq!(house.say("alice", &row.id, ParkedAction::Retry).await.unwrap(), SystemAnswer::Done);
    let again = house.until_parked("unknown").await;
    assert_eq!(again.id, row.id, "the same item");
    assert_eq!((house.rail.on_the_way(), house.count("CreditRequested")), (sent, 1));
    // It did arrive: asked once more, that is recorded.
    house.rail.arrive();
    assert_eq!(house.say("alice", &row.id, ParkedAction::Retry).await.unwrap(), SystemAnswer::Done);
    let steps = house.steps();
    eventually(|| house.count("RewardCredited") == 1).await;
    steps.finish().await;
    assert_eq!(house.rail.paid().len(), 1);
    books_equal(&house.log.events(), &house.rail);
}

#[tokio::test(start_paused = true)]
async fn what_costs_money_takes_two_people_and_is_done_once() {
    let house = House::with(Mood::Good).await;
    // Requested by a process that dies before it sends.
    for (account, entry_id) in winners(&house.log.events()) {
        for kind in [CommandKind::IssueReward { entry_id }, CommandKind::RequestCredit { entry_id }] {
            house.node.ledger.account(account.clone(), kind, context()).await.unwrap().unwrap();
        }
    }
    house.world.clock.advance(25 * HOUR_MICROS);
    let row = house.until_parked("beyond").await;
    assert_eq!(house.say_at_once("alice", &row.id, ParkedAction::Fail).await, [SystemAnswer::Proposed]);
    assert_eq!(house.say("alice", &row.id, ParkedAction::Fail).await.unwrap(), SystemAnswer::Unchanged);
    let proposed = house.parked().await.remove(0).proposed.unwrap();
    assert_eq!((proposed.by.as_str(), proposed.action), ("operator:alice", ParkedAction::Fail));
    assert_eq!(house.say_at_once("bob", &row.id, ParkedAction::Fail).await, [SystemAnswer::Done]);
    // Killed at any moment while it follows, and the last time with all rows and cursors lost.
    for kill in 0..8_u64 {
        let steps = house.steps();
        tokio::time::sleep(std::time::Duration::from_millis(kill * 9)).await;
        steps.kill().await;
    }
    let steps = house.steps();
    eventually(|| house.count("RewardCredited") == 1).await;
    steps.finish().await;
    std::fs::remove_file(&house.file).unwrap();
    let before = house.log.events();
    let steps = house.steps();
    tokio::time::sleep(std::time::Duration::from_mins(10)).await;
    steps.finish().await;
    assert_eq!(house.log.events(), before, "what was decided of the first attempt is not done to the second");
    assert_eq!((house.count("CreditRequested"), house.count("CreditFailed")), (2, 1));
    assert_eq!(house.rail.paid().into_keys().map(|key| key.attempt).collect::<Vec<_>>(), [2]);
    assert_eq!(decided(&before), ["ParkedItemProposed", "ParkedItemResolved"]);
}

#[tokio::test(start_paused = true)]
async fn what_two_people_decided_of_the_first_attempt_is_not_done_to_the_second_when_all_rows_are_lost() {
    let house = House::with(Mood::Holding).await;
    let steps = house.steps();
    eventually(|| house.rail.on_the_way() > 0).await;
    steps.kill().await;
    house.world.clock.advance(25 * HOUR_MICROS);
    let row = house.until_parked("beyond").await;
    house.say("alice", &row.id, ParkedAction::Fail).await.unwrap();
    house.say("bob", &row.id, ParkedAction::Fail).await.unwrap();
    // The second attempt is unknown too.
    let (steps, sent) = (house.steps(), house.rail.on_the_way());
    eventually(|| house.rail.on_the_way() > sent).await;
    steps.kill().await;
    let sent = house.rail.on_the_way();
    house.world.clock.advance(25 * HOUR_MICROS);
    std::fs::remove_file(&house.file).unwrap();
    let again = house.until_parked("beyond").await;
    assert_eq!((again.id, again.about), (row.id, Some(2)));
    assert_eq!((house.count("CreditRequested"), house.count("CreditFailed")), (2, 1));
    assert_eq!(house.rail.on_the_way(), sent, "nothing is sent beyond the window");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_payment_is_a_reversed_reward() {
    let house = House::with(Mood::Refusing).await;
    let row = house.until_parked("refused 3 times").await;
    assert_eq!(house.say("alice", &row.id, ParkedAction::Drop).await.unwrap(), SystemAnswer::Proposed);
    assert_eq!(house.say("bob", &row.id, ParkedAction::Drop).await.unwrap(), SystemAnswer::Done);
    let steps = house.steps();
    eventually(|| house.count("RewardReversed") == 1).await;
    steps.finish().await;
    assert_eq!(house.parked().await, []);
    assert_eq!(house.rail.paid().len(), 0);
    books_equal(&house.log.events(), &house.rail);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_parked_cannot_be_decided() {
    let house = House::with(Mood::Good).await;
    let none = house.say("alice", "credit:0:1:ab", ParkedAction::Retry).await;
    assert!(matches!(none, Err(ParkedError::Unknown)));
    assert_eq!(house.parked().await, []);
}
