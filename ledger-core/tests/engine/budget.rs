//! A budget is a floor that nothing falls through.

use std::sync::Arc;

use ledger_core::account::CommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::campaign::{CampaignAnswer, CampaignCommandKind, CampaignEvent};
use ledger_core::engine::RowResult;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::CampaignId;
use ledger_core::log::{Batch, EventLog, StoredEvent, WriterLease as _};
use serde_json::json;
use support::SimulatedLog;

use crate::check::{campaign_events, draws, sound, wins, won};
use crate::draws::edit;
use crate::tampering::rehash;
use crate::tap::TapLog;
use crate::world::{World, at, campaign_id, context, gbp, row, rows, terms, with};

/// Every other line wins 100 of 1,050, until nothing is left that covers it.
fn winners() -> Terms {
    terms(|terms| {
        terms["prize_table"]["tiers"] = json!([
            { "name": "large", "odds_ppb": 100_000_000, "prize": { "fixed": 300 } },
            { "name": "usual", "odds_ppb": 400_000_000, "prize": { "fixed": 100 } },
        ]);
        terms["budget"]["minor"] = json!(1_050);
    })
}

/// In each append the wins of its draws are what its `BudgetSpent` adds.
fn spent_with_the_wins(appends: &[Vec<StoredEvent>]) {
    let mut spent = 0;
    for append in appends {
        let wins = won(append).minor();
        let recorded = campaign_events(append).into_iter().filter_map(|event| match event {
            CampaignEvent::BudgetSpent { spent_minor, .. } => Some(spent_minor),
            _ => None,
        });
        let recorded: Vec<i64> = recorded.collect();
        spent += wins;
        assert!(spent <= 1_050, "paid more than was funded");
        assert_eq!(recorded, if wins == 0 { vec![] } else { vec![spent] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_of_winners_stops_at_the_budget_also_across_a_restart() {
    let world = World::seeded(3);
    let disk = SimulatedLog::new();
    let mut appends = Vec::new();
    for process in 0..3 {
        let tap = TapLog::new(Arc::new(disk.reopen()));
        let node = world.start(tap.log()).await;
        if process == 0 {
            node.run(winners()).await;
        }
        let from = process * 100;
        for rows in rows(from..from + 8).chunks(3) {
            node.take(rows).await;
        }
        if process == 2 {
            node.take(&rows(from + 8..from + 100)).await;
        }
        node.stop().await;
        appends.extend(tap.appends());
    }
    spent_with_the_wins(&appends);
    let events = disk.events();
    assert_eq!(appends.concat(), events);
    sound(&events, &*world.seeds);
    let masks: std::collections::BTreeSet<u32> = draws(&events).map(|d| d.tier_mask).collect();
    assert_eq!(masks, [0, 1, 3].into(), "first the large prize goes, then both");
    assert!((951..=1_050).contains(&won(&events).minor()));
}

#[tokio::test(start_paused = true)]
async fn funding_counts_from_the_next_epoch() {
    let world = World::new();
    let (node, log) = world.with(winners()).await;
    node.take(&rows(0..100)).await;
    let first = won(&log.events()).minor();
    node.campaign(&campaign_id(), CampaignCommandKind::Fund { amount: gbp(1_000), reference: "more".into() })
        .await;
    node.take(&rows(100..200)).await;
    assert_eq!(won(&log.events()).minor(), first, "the day had its budget when it opened");
    world.clock.set(at("2026-11-23T08:00:00Z"));
    node.take(&rows(200..250)).await;
    assert_eq!(won(&log.events()).minor(), first, "late lines of the first day are drawn under its budget");
    let today: Vec<_> =
        rows(300..400).iter().map(|row| with(row, "booked_at", "2026-11-23T07:00:00Z")).collect();
    node.take(&today).await;
    let total = won(&log.events()).minor();
    assert!((1_951..=2_050).contains(&total), "{total}");
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_reversal_gives_back_from_the_next_epoch_in_the_same_append() {
    let world = World::new();
    let disk = SimulatedLog::new();
    let tap = TapLog::new(Arc::new(disk.reopen()));
    let node = world.start(tap.log()).await;
    node.run(winners()).await;
    node.take(&rows(0..100)).await;
    let first = won(&disk.events()).minor();
    for stored in disk.events() {
        if let LedgerEvent::Account(event) = decode(&stored).unwrap() {
            for (entry_id, _) in wins(std::slice::from_ref(&stored)) {
                assert_eq!(event.name(), "TransactionEvaluated");
                let kind = CommandKind::ReverseReward { entry_id, reason: "test".into() };
                let account = stored.stream.id.parse().unwrap();
                node.ledger.account(account, kind, context()).await.unwrap().unwrap();
            }
        }
    }
    let reversed =
        tap.appends().into_iter().flat_map(|a| campaign_events(&a)).filter_map(|event| match event {
            CampaignEvent::BudgetSpent { reversed_minor, .. } => Some(reversed_minor),
            _ => None,
        });
    assert_eq!(reversed.last(), Some(first));
    node.take(&rows(100..150)).await;
    assert_eq!(won(&disk.events()).minor(), first);
    world.clock.set(at("2026-11-23T08:00:00Z"));
    let today: Vec<_> = (0..100)
        .map(|n| with(&row(&format!("day-{n}"), "anna"), "booked_at", "2026-11-23T07:00:00Z"))
        .collect();
    node.take(&today).await;
    let total = won(&disk.events()).minor();
    assert!(total > first && total <= first + 1_050, "{total}");
    sound(&disk.events(), &*world.seeds);
}

/// Terms that an earlier release took: their budget cannot be funded any more, so the campaign
/// cannot start.
#[tokio::test(start_paused = true)]
async fn a_campaign_that_refuses_what_is_due_stops_alone() {
    let world = World::new();
    let (mut node, log) = world.with(winners()).await;
    let id = "rich".parse::<CampaignId>().unwrap();
    let rich = terms(|terms| terms["campaign_id"] = json!("rich"));
    let start_at = at("2026-11-22T13:00:00Z");
    for (by, kind) in [
        ("alice", CampaignCommandKind::Draft(Box::new(rich))),
        ("bob", CampaignCommandKind::Approve { version: None }),
        ("alice", CampaignCommandKind::Schedule { start_at }),
    ] {
        node.campaign_by(by, &id, kind).await.unwrap();
    }
    node.stop().await;
    let mut events = log.events();
    let drafted = |event: &StoredEvent| event.stream.id == "rich" && event.event_type == "CampaignDrafted";
    let n = events.iter().position(drafted).unwrap();
    edit(&mut events[n], |event| {
        event["CampaignDrafted"]["terms"]["budget"]["minor"] = json!(1_000_000_000_000_001_i64);
    });
    rehash(&mut events);
    let old = SimulatedLog::new();
    let expected = old.lease("earlier release", None).await.unwrap();
    old.append(&Batch { expected, events }).await.unwrap();

    node = world.start(Arc::new(old.reopen())).await;
    world.clock.set(start_at);
    for answer in node.take(&rows(0..20)).await {
        assert_eq!(answer.unwrap().result, RowResult::Accepted);
    }
    assert!(won(&old.events()).minor() > 0, "the other one draws");
    world.clock.set(at("2026-11-23T00:00:00Z"));
    node.ledger.tick().await.unwrap();
    assert_eq!(node.campaign_by("carol", &id, CampaignCommandKind::End).await, Ok(CampaignAnswer::Done));
    sound(&old.events(), &*world.seeds);
}
