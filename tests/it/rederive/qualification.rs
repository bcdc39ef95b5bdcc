//! Whether lines were decided as the rules say: what only the second implementation checks, and the
//! long run of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use audit::bundle::{EventLine, FORMAT, Lines, Manifest};
use ledger_core::log::chain::event_hash;
use ledger_core::log::{EventLog as _, Position, StoredEvent};
use rewardhub_tests::{Home, text};
use serde_json::{Value, json};
use stores::sqlite::log::SqliteLog;

use super::histories::two_campaigns;
use super::tampered::{edit, is_named, payload};
use super::{audit, export, last, rederive};

/// Every check of ours that the history meets, and every rule of both campaigns.
const CODES: [&str; 34] = [
    "before_campaign",
    "after_campaign",
    "campaign_paused",
    "before_enrolment",
    "account_excluded",
    "credit_transaction",
    "refund",
    "currency_mismatch",
    "no_merchant",
    "no_betting",
    "not_there",
    "too_small",
    "too_large",
    "not_our_canteen",
    "one_a_day",
    "enough_today",
    "too_fast",
    "too_much",
    "dear_news",
    "waking_hours",
    "not_on_sunday",
    "new_here",
    "partners",
    "shops",
    "in_europe",
    "known",
    "two_a_week",
    "two_a_month",
    "enough_this_week",
    "enough_this_month",
    "too_late",
    "no_epoch",
    "after_last_epoch",
    "epoch_halted",
];

pub(crate) async fn events_of(home: &Home) -> Vec<StoredEvent> {
    let log = SqliteLog::open_read_only(&home.data().join("log.db")).unwrap();
    log.read_after(Position(0), usize::MAX >> 1).await.unwrap()
}

/// Every decided line: where in the log, and what was decided.
type Decisions = Vec<(usize, Value)>;

fn decisions(events: &[StoredEvent]) -> Decisions {
    let decided = events.iter().enumerate().filter(|(_, event)| event.event_type == "TransactionEvaluated");
    decided.map(|(at, event)| (at, payload(event)["TransactionEvaluated"].take())).collect()
}

fn draws(decisions: &Decisions) -> impl Iterator<Item = &Value> {
    decisions.iter().flat_map(|(_, decided)| decided["draws"].as_array().into_iter().flatten())
}

fn considered(decided: &Value) -> &Vec<Value> {
    decided["considered"].as_array().unwrap()
}

/// The history, audited by both; the second implementation's report.
async fn audited(home: &Home, lines_a_day: usize, third: bool) -> (Vec<StoredEvent>, Decisions, Value) {
    two_campaigns(home, lines_a_day, third).await;
    let events = events_of(home).await;
    // Side by side: they read the same log and know nothing of each other.
    let (theirs, ours, decisions) = std::thread::scope(|both| {
        let theirs = both.spawn(|| {
            let bundle = export(home, "bundle", &["--disclose"]);
            last(&rederive(&["check", &bundle]).expect_code(0))
        });
        let ours = audit(home, &["draws", "--disclose"]).expect_code(0).json();
        let decisions = decisions(&events);
        (theirs.join().unwrap(), ours, decisions)
    });
    for count in ["events", "draws", "rederived", "waiting_for_reveal", "shares_checked", "shares_bounded"] {
        assert_eq!(ours[count], theirs[count], "{count}");
    }
    assert_eq!((&theirs["waiting_for_reveal"], &theirs["shares_bounded"]), (&json!(0), &json!(0)));
    assert_eq!(theirs["lines"], theirs["lines_with_details"]);
    assert_eq!((&theirs["rules_unknown"], &theirs["waiting"]), (&json!(0), &json!(0)));

    // Each entry once, counted without either of them.
    let entries: Vec<&str> = draws(&decisions).map(|draw| draw["entry_id"].as_str().unwrap()).collect();
    assert_eq!(entries.iter().collect::<BTreeSet<_>>().len(), entries.len());
    assert_eq!(theirs["rederived"], entries.len());

    // The expression is what cannot be verified, and is counted.
    let alone = |decided: &Value| considered(decided).iter().any(|one| one["failed"] == json!(["dear_news"]));
    let alone = decisions.iter().filter(|(_, decided)| alone(decided)).count();
    assert_eq!(theirs["cel_rules"]["everyday.dear_news"]["declined_alone"], alone);
    assert!(alone > 0 && theirs["unverifiable"].as_u64().unwrap() >= alone as u64, "{theirs:#}");
    (events, decisions, theirs)
}

/// The history has what it is for: every rule declines and lets pass, tiers sold out, masked by the
/// budget and open, two draws of one line.
fn assert_has_everything(decisions: &Decisions) {
    let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
    let all = decisions.iter().flat_map(|(_, decided)| considered(decided));
    for code in all.filter_map(|one| one["failed"].as_array()).flatten() {
        *failures.entry(code.as_str().unwrap()).or_default() += 1;
    }
    let lines = decisions.len() as u64;
    for code in CODES {
        assert!(failures.get(code).is_some_and(|times| (1..lines).contains(times)), "{code}: {failures:#?}");
    }
    let mut masks: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    for draw in draws(decisions) {
        let mask = (draw["campaign_id"].as_str().unwrap(), draw["tier_mask"].as_u64().unwrap());
        *masks.entry(mask).or_default() += 1;
    }
    for mask in [("everyday", 0), ("everyday", 1), ("everyday", 7), ("everyday", 3), ("bonus", 1)] {
        assert!(masks.contains_key(&mask), "{mask:?}: {masks:?}");
    }
    assert!(
        decisions.iter().any(|(_, decided)| decided["draws"].as_array().is_some_and(|all| all.len() == 2))
    );
}

/// 100,000 decided lines.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_transactions_are_derived_again() {
    let home = Home::new();
    let (_, decisions, _) = audited(&home, 25_200, false).await;
    assert!(decisions.len() >= 100_000, "{}", decisions.len());
    assert_has_everything(&decisions);
}

/// One bundle with a change at many places, its chain made to fit; each is named at its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_against_the_rules_is_named() {
    let home = Home::new();
    let (mut events, decisions, _) = audited(&home, 1_500, true).await;
    assert_has_everything(&decisions);
    let mut named = wrong_decisions(&mut events, &decisions);
    named.extend(wrong_campaigns(&mut events));
    let bundle = home.file("wrong");
    write_bundle(&bundle, &home.file("bundle"), events);
    let theirs = rederive(&["check", text(&bundle)]).expect_code(1);
    for (check, position) in named {
        assert!(is_named(&theirs.stdout, check, &position), "{check} at {position}: {}", theirs.stdout);
    }
}

type Named = Vec<(&'static str, String)>;

fn wrong_decisions(events: &mut [StoredEvent], all: &Decisions) -> Named {
    let mut named: Named = Vec::new();
    let mut touched = BTreeSet::new();
    let mut change = |check: &'static str, like: &dyn Fn(&Value) -> bool, change: &dyn Fn(&mut Value)| {
        let (at, _) = all.iter().find(|(at, decided)| like(decided) && !touched.contains(at)).unwrap();
        touched.insert(*at);
        named.push((check, events[*at].position.to_string()));
        edit(&mut events[*at], change);
        // A decision put in the place of a deferral has another name.
        if payload(&events[*at]).get("TransactionDeferred").is_some() {
            events[*at].event_type = "TransactionDeferred".into();
        }
    };
    let failed = |decided: &Value, code: &str| {
        let fails = |one: &Value| one["failed"].as_array().is_some_and(|all| all.contains(&json!(code)));
        decided["draws"].is_null() && considered(decided).iter().any(fails)
    };
    // Every rule that declines a line, left out of what is recorded. Of an expression nobody here
    // can tell.
    for code in CODES.into_iter().filter(|code| !["dear_news", "epoch_halted"].contains(code)) {
        change("failed rules", &|decided| failed(decided, code), &|event| {
            for considered in event["TransactionEvaluated"]["considered"].as_array_mut().unwrap() {
                let Some(all) = considered.get_mut("failed").and_then(Value::as_array_mut) else { continue };
                all.retain(|one| one != code);
                if all.is_empty() {
                    all.push(json!("dear_news"));
                }
            }
        });
    }
    let lost = |decided: &Value| decided["outcome"] == "lost";
    let declined = |decided: &Value| decided["outcome"] == "declined";
    change("failed rules", &lost, &|event| {
        let decided = event["TransactionEvaluated"].as_object_mut().unwrap();
        decided.remove("draws");
        decided["outcome"] = json!("declined");
        for considered in decided["considered"].as_array_mut().unwrap() {
            considered["failed"] = json!(["too_small"]);
        }
    });
    change("campaigns considered", &declined, &|event| {
        event["TransactionEvaluated"]["considered"].as_array_mut().unwrap().pop();
    });
    change("campaigns considered", &declined, &|event| {
        event["TransactionEvaluated"]["considered"].as_array_mut().unwrap().reverse();
    });
    change(
        "campaign_version",
        &|decided| lost(decided) && decided["draws"][0]["campaign_version"] == 2,
        &|event| {
            event["TransactionEvaluated"]["draws"][0]["campaign_version"] = json!(1);
        },
    );
    let on_friday =
        |decided: &Value| decided["line"]["booked_at"].as_str().unwrap().starts_with("2026-11-20");
    change("waiting", &|decided| declined(decided) && on_friday(decided), &|event| {
        let line = event["TransactionEvaluated"]["line"].take();
        *event = json!({ "TransactionDeferred": { "line": line, "reason": "draws_halted" } });
    });
    let first = all.iter().find(|(_, decided)| declined(decided)).unwrap().1.clone();
    change("decided_once", &|decided| declined(decided) && *decided != first, &|event| {
        event["TransactionEvaluated"]["line"] = first["line"].clone();
    });
    named
}

/// Changes to the last event of a kind, so that nothing follows from them.
fn wrong_campaigns(events: &mut [StoredEvent]) -> Named {
    let mut named: Named = Vec::new();
    let mut change = |check: &'static str, kind: &str, nth: usize, change: &dyn Fn(&mut Value)| {
        let of_kind = events.iter_mut().rev().filter(|event| event.event_type == kind);
        let event = of_kind.filter(|event| event.stream.id == "everyday").nth(nth).unwrap();
        named.push((check, event.position.to_string()));
        edit(event, |event| change(&mut event[kind]));
    };
    change("approved", "CampaignApproved", 0, &|approved| approved["by"] = json!("alice"));
    change("version", "CampaignPaused", 0, &|paused| paused["version"] = json!(1));
    change("grace_days", "EpochScheduled", 0, &|scheduled| scheduled["grace_days"] = json!(0));
    change("inventory", "EpochScheduled", 0, &|scheduled| scheduled["inventory"]["big"] = json!(1_000_000));
    let round = format!("drand:quicknet:{}:1000", ledger_core::draw::beacon::QUICKNET_CHAIN);
    change("beacon_spec", "EpochScheduled", 0, &|scheduled| scheduled["beacon_spec"] = json!(round));
    change("prize_table", "EpochScheduled", 1, &|scheduled| {
        scheduled["prize_table"]["tiers"][0]["odds_ppb"] = json!(10_000_000);
    });
    change("tier_wins", "BudgetSpent", 0, &|spent| {
        spent["tier_wins"]["big"] = json!(1);
    });
    change("resumed", "EpochResumed", 0, &|resumed| resumed["by"] = resumed["proposed_by"].clone());
    // Each event names who did it, and the second person agrees to what the first has proposed.
    for kind in ["CampaignApproved", "EpochResumed", "FundingProposed"] {
        change("by", kind, 0, &|_| {});
    }
    for kind in ["CampaignDrafted", "EpochResumptionProposed"] {
        change("by", kind, 0, &|event| event["by"] = json!("mallory"));
    }
    change("proposed_by", "EpochResumed", 0, &|_| {});
    // Agreed to by whoever proposed it, and another sum.
    change("funded", "BudgetFunded", 0, &|_| {});
    change("funded_by", "BudgetFunded", 0, &|_| {});
    let proposed = events.iter_mut().find(|event| event.event_type == "FundingProposed").unwrap();
    edit(proposed, |event| {
        event["FundingProposed"]["by"] = json!("dave");
        event["FundingProposed"]["amount"]["minor"] = json!(1);
    });
    let opened = events.iter_mut().rev().find(|event| event.event_type == "AccountOpened").unwrap();
    named.push(("enrolled_at", opened.position.to_string()));
    edit(opened, |event| event["AccountOpened"]["enrolled_at"] = json!("2026-11-01T00:00:00Z"));
    named
}

/// A bundle of these events, with every hash made to fit, and another's details.
pub(crate) fn write_bundle(out: &Path, details_of: &Path, mut events: Vec<StoredEvent>) {
    let mut tips = BTreeMap::new();
    for event in &mut events {
        event.hash = event_hash(event, tips.get(&event.stream.to_string()));
        tips.insert(event.stream.to_string(), event.hash);
    }
    std::fs::create_dir(out).unwrap();
    let mut lines = Lines::new(BufWriter::new(File::create(out.join("events.ndjson")).unwrap()));
    for event in &events {
        lines.add(&EventLine::of(event).unwrap()).unwrap();
    }
    let (file, sum) = lines.finish();
    drop(file);
    std::fs::copy(details_of.join("details.ndjson"), out.join("details.ndjson")).unwrap();
    let mut manifest = Manifest { format: FORMAT, first_position: 1, ..Manifest::default() };
    let last = events.last().unwrap();
    (manifest.last_position, manifest.head_hash) = (last.position.0, Some(last.hash));
    manifest.events = events.len() as u64;
    manifest.files.insert("events.ndjson", sum);
    std::fs::write(out.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
}
