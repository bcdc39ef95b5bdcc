//! The fairness report claims what was derived and no more, of the campaigns it is about, and lists
//! what people did.

use audit::draws::{DrawAudit, Seeds};
use audit::fairness::page::page;
use audit::fairness::{Fairness, Incident, Report};
use ledger_core::account::CommandKind;
use ledger_core::account::event::{Exclusion, Verdict};
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::engine::SeedVault;
use ledger_core::log::StoredEvent;
use serde_json::json;

use crate::draws::history;
use crate::world::{World, campaign_id, context, epoch, gbp, row, rows, terms, with};

fn report(events: &[StoredEvent], open: Option<&dyn SeedVault>, only: Option<&str>) -> Report {
    let mut seeds = Seeds::default();
    for stored in events {
        seeds.take(stored);
    }
    if let Some(vault) = open {
        seeds.open(vault).unwrap();
    }
    let mut fairness = Fairness::of(only.map(|id| id.parse().unwrap()));
    let mut audit = DrawAudit::new(seeds);
    for stored in events {
        let event = audit.take(stored);
        fairness.take(stored, event.as_ref());
    }
    fairness.finish(audit.finish())
}

#[tokio::test(start_paused = true)]
async fn all_draws_are_claimed_only_when_all_were_derived() {
    let history = history().await;
    let some = report(&history.events, None, None);
    assert_eq!((some.holds, some.complete, some.reveal_overdue), (true, false, 0));
    assert_eq!((some.draws, some.rederived, some.waiting_for_reveal), (180, 120, 60));
    let text = page(&some, some.recorded_until);
    for words in [
        "so far: ",
        "120 of the 180 draws",
        "120 of 180 draws were derived again",
        "other 60 draws",
        "as far as the seeds are public",
    ] {
        assert!(text.contains(words), "{words} is not on the page");
    }
    assert!(!text.contains("all 180 draws"));

    let all = report(&history.events, Some(&*history.world.seeds), None);
    assert_eq!((all.holds, all.complete, all.rederived), (true, true, 180));
    let text = page(&all, all.recorded_until);
    assert!(text.contains("all 180 draws") && !text.contains("so far") && !text.contains("as far as"));

    // Its seed is kept back though the grace of the first day is over.
    let closed = history.events.iter().position(|event| event.event_type == "EpochClosed").unwrap();
    let kept_back = report(&history.events[..closed], None, None);
    assert_eq!((kept_back.rederived, kept_back.reveal_overdue), (0, 120));
    assert!(page(&kept_back, kept_back.recorded_until).contains("120 of them overdue: their grace is over"));
}

fn of<'r>(report: &'r Report, event: &str) -> Vec<&'r Incident> {
    report.incidents.iter().filter(|incident| incident.event == event).collect()
}

fn details(incident: &Incident) -> Vec<(&str, &str)> {
    incident.details.iter().map(|(name, said)| (*name, said.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_report_on_one_campaign_counts_that_one_and_lists_what_concerns_it() {
    let world = World::seeded(5);
    let (node, log) = world.with(terms(|terms| terms["stackable"] = json!(true))).await;
    node.run(terms(|terms| terms["campaign_id"] = json!("autumn"))).await;
    node.take(&rows(0..10)).await;
    node.campaign(&"autumn".parse().unwrap(), CampaignCommandKind::Pause { reason: "a storm".into() }).await;
    node.take(&rows(10..14)).await;
    let exclude = CommandKind::Exclude { kind: Exclusion::Staff, reason: "works here".into() };
    node.ledger.account("cus-1".parse().unwrap(), exclude, context()).await.unwrap().unwrap();
    let events = log.events();
    for (only, draws, pauses) in [(None, 24, 1), (Some("autumn"), 10, 1), (Some("everyday"), 14, 0)] {
        let report = report(&events, Some(&*world.seeds), only);
        assert_eq!((report.draws, report.rederived, report.complete), (draws, draws, true), "{only:?}");
        assert_eq!(of(&report, "CampaignPaused").len(), pauses, "{only:?}");
        assert_eq!(report.incident_counts.get("CampaignPaused"), (pauses > 0).then_some(&1));
        assert_eq!(of(&report, "AccountExcluded").len(), 1, "a customer is everybody's");
        assert!(report.campaigns.keys().all(|id| only.is_none_or(|only| id.as_str() == only)));
        assert!(
            page(&report, report.recorded_until).contains(&format!("all {draws} draws of the campaigns"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn money_seeds_customers_and_held_lines_are_listed_with_who_and_why() {
    let world = World::seeded(5);
    let (node, log) = world
        .with(terms(|terms| {
            terms["budget"]["minor"] = json!(2_000);
            terms["funding_limit_minor"] = json!(100);
        }))
        .await;
    node.take(&rows(0..20)).await;
    let id = campaign_id();
    let fund = CampaignCommandKind::Fund { amount: gbp(500), reference: "po-1".into() };
    node.campaign_by("carol", &id, fund).await.unwrap();
    node.campaign_by("dave", &id, CampaignCommandKind::ApproveFunding { reference: "po-1".into() })
        .await
        .unwrap();
    let opened =
        CampaignCommandKind::RecordSeedOpening { epoch: epoch("2026-11-22"), purpose: "a complaint".into() };
    node.campaign_by("erin", &id, opened).await.unwrap();
    let account = "cus-1".parse::<ledger_core::ids::AccountId>().unwrap();
    for kind in [
        CommandKind::Exclude { kind: Exclusion::SelfExcluded, reason: "asked".into() },
        CommandKind::Reinstate { reason: "asked again".into() },
        CommandKind::Exclude { kind: Exclusion::Other, reason: "asked".into() },
    ] {
        node.ledger.account(account.clone(), kind, context()).await.unwrap().unwrap();
    }
    node.one(&with(&row("tx-3", "cus-3"), "status", "removed")).await.unwrap();
    node.one(&row("tx-3", "cus-3")).await.unwrap();
    node.review(&row("tx-3", "cus-3"), Verdict::Dismissed).await.unwrap();

    let report = report(&log.events(), None, None);
    let [proposed] = of(&report, "FundingProposed")[..] else { panic!() };
    assert_eq!((proposed.actor.as_str(), proposed.details["amount"].as_str()), ("carol", "GBP 5.00"));
    let [started, funded] = of(&report, "BudgetFunded")[..] else { panic!() };
    assert_eq!((started.actor.as_str(), started.details["amount"].as_str()), ("alice", "GBP 20.00"));
    assert_eq!((funded.actor.as_str(), funded.details["proposed_by"].as_str()), ("dave", "carol"));
    assert_eq!((&*funded.details["reference"], &*funded.details["funded"]), ("po-1", "GBP 25.00"));
    let alerted = of(&report, "BudgetAlerted");
    assert!(!alerted.is_empty() && alerted[0].details.contains_key("percent"), "{alerted:?}");
    let [drawn, looked] = of(&report, "SeedOpened")[..] else { panic!() };
    assert_eq!(drawn.details["purpose"], "draw");
    assert_eq!((looked.actor.as_str(), looked.details["purpose"].as_str()), ("erin", "a complaint"));
    assert_eq!(looked.epoch.as_deref(), Some("2026-11-22"));
    let [excluded, again] = of(&report, "AccountExcluded")[..] else { panic!() };
    assert_eq!((excluded.stream.as_str(), excluded.actor.as_str()), ("account:cus-1", "test"));
    assert_eq!(details(excluded), [("kind", "self_excluded")]);
    assert_eq!(details(again), [("kind", "other")]);
    assert_eq!(of(&report, "AccountReinstated")[0].reason.as_deref(), Some("asked again"));
    let [held] = of(&report, "TransactionDeferred")[..] else { panic!() };
    assert_eq!(held.reason.as_deref(), Some("held"));
    assert_eq!(details(held), [("source", "bank"), ("transaction_id", "tx-3")]);
    let line = [("source", "bank"), ("transaction_id", "tx-3"), ("verdict", "dismissed")];
    let [proposed] = of(&report, "ReviewProposed")[..] else { panic!() };
    assert_eq!((proposed.actor.as_str(), &details(proposed)[..]), ("alice", &line[..]));
    let [reviewed] = of(&report, "TransactionReviewed")[..] else { panic!() };
    assert_eq!((reviewed.actor.as_str(), reviewed.stream.as_str()), ("bob", "account:cus-3"));
    assert_eq!(reviewed.reason.as_deref(), Some("the bank's mistake"));
    assert_eq!(details(reviewed), [&[("proposed_by", "alice")], &line[..]].concat());
    assert_eq!(
        (report.incident_counts["AccountExcluded"], report.incident_counts["AccountReinstated"]),
        (2, 1)
    );

    let text = page(&report, report.recorded_until);
    for words in
        ["2 AccountExcluded", "proposed by carol", "purpose a complaint", "account:cus-1", "percent "]
    {
        assert!(text.contains(words), "{words} is not on the page");
    }
}
