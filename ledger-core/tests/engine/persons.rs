//! Under a chain made to fit: an event names who did it, the second person agrees with the first,
//! and the books get what the event says.

use audit::draws::Report;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::log::StoredEvent;
use serde_json::{Value, json};

use crate::check::{audited, sound};
use crate::draws::{checks, edit};
use crate::tampering::{first, rehash};
use crate::world::{World, campaign_id, epoch, gbp, row, terms};

/// Terms and their revision, a funding and a halted day, each by two people.
async fn by_two_people() -> Vec<StoredEvent> {
    let world = World::seeded(5);
    let (node, log) = world.with(terms(|terms| terms["funding_limit_minor"] = json!(100))).await;
    let say = async |by: &str, kind: CampaignCommandKind| {
        node.campaign_by(by, &campaign_id(), kind).await.unwrap();
    };
    node.one(&row("t1", "anna")).await.unwrap();
    let reference = || "po-1".to_owned();
    say("carol", CampaignCommandKind::Fund { amount: gbp(500), reference: reference() }).await;
    say("dave", CampaignCommandKind::ApproveFunding { reference: reference() }).await;
    let day = epoch("2026-11-22");
    say("carol", CampaignCommandKind::HaltEpoch { epoch: day, reason: "odd".into() }).await;
    for by in ["carol", "dave"] {
        say(by, CampaignCommandKind::ResumeEpoch { epoch: day, reason: "by chance".into() }).await;
    }
    let revised = terms(|terms| {
        terms["funding_limit_minor"] = json!(100);
        terms["name"] = json!("Other");
    });
    say("alice", CampaignCommandKind::Revise(Box::new(revised))).await;
    sound(&log.events(), &*world.seeds);
    log.events()
}

fn audit(mut events: Vec<StoredEvent>) -> Report {
    rehash(&mut events);
    audited(&events, None)
}

/// What the audit finds with the first event of a kind changed.
fn changed(events: &[StoredEvent], kind: &str, change: impl FnOnce(&mut Value)) -> Report {
    let mut events = events.to_vec();
    let n = first(&events, kind);
    edit(&mut events[n], |event| change(&mut event[kind]));
    audit(events)
}

/// That this check failed at event `n`: what was expected, and found.
fn named(report: &Report, n: usize, check: &str) -> (String, String) {
    let place = format!("0:{}", n + 1);
    let found = report.findings.iter().find(|f| f.check == check && f.position == place);
    let found = found.unwrap_or_else(|| panic!("{check} at {place} is not in {:#?}", report.findings));
    (found.expected.clone(), found.found.clone())
}

#[tokio::test(start_paused = true)]
async fn an_event_that_names_another_than_who_did_it_is_found() {
    let events = by_two_people().await;
    for (kind, who) in [
        ("CampaignDrafted", "alice"),
        ("CampaignRevised", "alice"),
        ("CampaignApproved", "bob"),
        ("FundingProposed", "carol"),
        ("EpochResumptionProposed", "carol"),
        ("EpochResumed", "dave"),
    ] {
        let report = changed(&events, kind, |event| event["by"] = json!("mallory"));
        let (expected, found) = named(&report, first(&events, kind), "by");
        assert_eq!((expected.as_str(), found.as_str()), (who, "mallory"), "{kind}");
    }
    // Nobody is not a second person. Only terms of earlier releases have no author.
    for kind in ["FundingProposed", "EpochResumptionProposed", "EpochResumed"] {
        let report = changed(&events, kind, |event| event["by"] = json!(""));
        assert_eq!(named(&report, first(&events, kind), "by").1, "", "{kind}");
    }
    let mut old = events[..first(&events, "FundingProposed")].to_vec();
    for stored in old.iter_mut().filter(|stored| stored.stream.id == "everyday") {
        let kind = stored.event_type.to_string();
        edit_if_any(stored, |event| {
            let fields = event[&kind].as_object_mut().unwrap();
            fields.remove("by");
            let is_of_terms = ["CampaignDrafted", "CampaignApproved"].contains(&&*kind);
            if !is_of_terms {
                fields.remove("version");
            }
        });
    }
    assert_eq!(checks(&audit(old)), [""; 0]);
}

/// As [`edit`], of an event that may have nothing to change.
fn edit_if_any(stored: &mut StoredEvent, change: impl FnOnce(&mut Value)) {
    let mut payload: Value = serde_json::from_slice(&stored.payload).unwrap();
    change(&mut payload);
    stored.payload = serde_json::to_vec(&payload).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resumption_that_nobody_has_proposed_since_the_halt_is_found() {
    let events = by_two_people().await;
    let (halted, proposed, resumed) = (
        first(&events, "EpochHalted"),
        first(&events, "EpochResumptionProposed"),
        first(&events, "EpochResumed"),
    );
    let report = changed(&events, "EpochResumed", |event| event["proposed_by"] = json!("mallory"));
    assert_eq!(named(&report, resumed, "proposed_by"), ("carol".into(), "mallory".into()));
    for same in ["carol", "CAROL"] {
        let report = changed(&events, "EpochResumed", |event| event["by"] = json!(same));
        assert_eq!(named(&report, resumed, "resumed"), ("two people".into(), same.into()));
    }
    let mut unproposed = events.clone();
    unproposed.remove(proposed);
    let nobody = ("a proposal since the halt".to_owned(), "carol".to_owned());
    assert_eq!(named(&audit(unproposed), resumed - 1, "proposed_by"), nobody);
    // Halted again after it was proposed.
    let mut again = events.clone();
    again.insert(resumed, events[halted].clone());
    assert_eq!(named(&audit(again), resumed + 1, "proposed_by"), nobody);
    // And resumed a second time with the same words.
    let mut twice = events.clone();
    twice.insert(resumed + 1, events[halted].clone());
    twice.insert(resumed + 2, events[resumed].clone());
    assert_eq!(named(&audit(twice), resumed + 2, "proposed_by"), nobody);
}

#[tokio::test(start_paused = true)]
async fn a_funding_that_the_books_do_not_get_is_found() {
    let events = by_two_people().await;
    let expected = "debit sponsor GBP 100000000, credit budget:everyday GBP 100000000";
    let start = first(&events, "BudgetFunded");
    let minor = changed(&events, "BudgetFunded", |event| {
        for side in [0, 1] {
            event["posting"][side]["amount"]["minor"] = json!(1);
        }
    });
    let found = "debit sponsor GBP 1, credit budget:everyday GBP 1";
    assert_eq!(named(&minor, start, "posting"), (expected.into(), found.into()));
    for (side, account) in [(0, "rewards-payable"), (1, "budget:another")] {
        let report =
            changed(&events, "BudgetFunded", |event| event["posting"][side]["account"] = json!(account));
        named(&report, start, "posting");
    }
    let turned = changed(&events, "BudgetFunded", |event| {
        event["posting"][0]["side"] = json!("credit");
        event["posting"][1]["side"] = json!("debit");
    });
    named(&turned, start, "posting");
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_of_another_time_than_its_event_is_found() {
    let events = by_two_people().await;
    let opened = first(&events, "AccountOpened");
    for time in ["2026-11-01T00:00:00Z", "2026-11-22T12:00:01Z"] {
        let report = changed(&events, "AccountOpened", |event| event["enrolled_at"] = json!(time));
        assert_eq!(named(&report, opened, "enrolled_at").1, time);
    }
}
