//! The draw audit knows which terms were in force and which campaigns a line had to be asked of:
//! what follows others is found under a chain made to fit.

use std::sync::Arc;

use audit::draws::Report;
use ledger_core::account::CommandKind;
use ledger_core::account::event::Exclusion;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::PrizeTable;
use ledger_core::draw::beacon::{BeaconSpec, QUICKNET};
use ledger_core::log::StoredEvent;
use ledger_core::time::SECOND_MICROS;
use serde_json::{Value, json};
use support::SimulatedLog;

use crate::check::{audited, sound};
use crate::draws::{checks, edit};
use crate::tampering::{first, rehash};
use crate::world::{World, at, campaign_id, context, epoch, gbp, row, rows, terms, with};

/// What the audit finds of these events with one of them changed, under a chain made to fit.
fn changed(events: &[StoredEvent], n: usize, change: impl FnOnce(&mut Value)) -> Report {
    let mut events = events.to_vec();
    edit(&mut events[n], change);
    rehash(&mut events);
    audited(&events, None)
}

/// That this check failed at event `n`; gives what was expected.
fn named(report: &Report, n: usize, check: &str) -> String {
    let place = format!("0:{}", n + 1);
    let found = report.findings.iter().find(|f| f.check == check && f.position == place);
    found.unwrap_or_else(|| panic!("{check} at {place} is not in {:#?}", report.findings)).expected.clone()
}

fn other(id: &str, change: impl FnOnce(&mut Value)) -> Terms {
    terms(|terms| {
        terms["campaign_id"] = json!(id);
        change(terms);
    })
}

async fn one_campaign() -> Vec<StoredEvent> {
    let world = World::seeded(5);
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..5)).await;
    let revised = terms(|terms| {
        terms["rules"] = json!({ "amount_min_minor": 100 });
        terms["prize_table"]["tiers"][0]["odds_ppb"] = json!(1);
    });
    node.campaign_by("alice", &campaign_id(), CampaignCommandKind::Revise(Box::new(revised))).await.unwrap();
    node.take(&rows(5..10)).await;
    node.campaign_by("bob", &campaign_id(), CampaignCommandKind::Approve { version: None }).await.unwrap();
    world.clock.set(at("2026-11-23T12:00:00Z"));
    node.take(&rows(10..15)).await;
    sound(&log.events(), &*world.seeds);
    log.events()
}

#[tokio::test(start_paused = true)]
async fn an_epoch_follows_the_terms_in_force() {
    let events = one_campaign().await;
    let n = first(&events, "EpochScheduled");
    let scheduled = |field: &'static str, value: Value| {
        changed(&events, n, |event| event["EpochScheduled"][field] = value)
    };
    assert_eq!(named(&scheduled("grace_days", json!(3)), n, "grace_days"), "2");
    assert_eq!(named(&scheduled("inventory", json!({ "big": 5 })), n, "inventory"), "{}");
    assert_eq!(named(&scheduled("version", json!(2)), n, "version"), "1");
    named(&scheduled("version", json!(0)), n, "names");
    let round = BeaconSpec::Quicknet { round: 50_000_000 }.to_string();
    assert_eq!(named(&scheduled("beacon_spec", json!(round)), n, "beacon_spec"), "none");
    // Dearer odds, hashed as they should be.
    let report = changed(&events, n, |event| {
        let event = &mut event["EpochScheduled"];
        event["prize_table"]["tiers"][0]["odds_ppb"] = json!(1);
        let table: PrizeTable = serde_json::from_value(event["prize_table"].clone()).unwrap();
        event["table_hash"] = json!(table.hash());
    });
    named(&report, n, "prize_table");
    // The last one is of the revised terms, and the old table would be one of some version.
    let last = events.iter().rposition(|event| event.event_type == "EpochScheduled").unwrap();
    let honest: Value = serde_json::from_slice(&events[n].payload).unwrap();
    let report = changed(&events, last, |event| {
        for field in ["prize_table", "table_hash"] {
            event["EpochScheduled"][field] = honest["EpochScheduled"][field].clone();
        }
    });
    named(&report, last, "prize_table");
}

#[tokio::test(start_paused = true)]
async fn money_that_nobody_else_agreed_to_is_found() {
    let world = World::seeded(5);
    let (node, log) = world.with(terms(|terms| terms["funding_limit_minor"] = json!(100))).await;
    let fund = async |by: &str, reference: &str, minor| {
        let kind = CampaignCommandKind::Fund { amount: gbp(minor), reference: reference.into() };
        node.campaign_by(by, &campaign_id(), kind).await.unwrap();
    };
    fund("carol", "po-1", 60).await;
    fund("carol", "po-2", 500).await;
    let approve = CampaignCommandKind::ApproveFunding { reference: "po-2".into() };
    node.campaign_by("dave", &campaign_id(), approve).await.unwrap();
    let events = log.events();
    assert_eq!(checks(&audited(&events, None)), [""; 0]);
    let at = |reference: &str| {
        let named = |event: &Value| event["BudgetFunded"]["reference"].as_str() == Some(reference);
        events.iter().position(|e| named(&serde_json::from_slice(&e.payload).unwrap())).unwrap()
    };
    let (alone, agreed) = (at("po-1"), at("po-2"));
    // The second person is the first one's other name in the metadata.
    let mut by_one = events.clone();
    let metadata = std::str::from_utf8(&events[alone].metadata).unwrap();
    for same in ["carol", "Carol"] {
        by_one[agreed].metadata = metadata.replace("carol", same).into_bytes().into();
        rehash(&mut by_one);
        assert_eq!(named(&audited(&by_one, None), agreed, "funded_by"), "somebody else than carol");
    }
    // Nobody proposed it; then 60 and 500 are one person's.
    let mut unproposed = events.clone();
    let proposal = first(&events, "FundingProposed");
    unproposed.remove(proposal);
    rehash(&mut unproposed);
    assert_eq!(named(&audited(&unproposed, None), agreed - 1, "funded_by"), "two people above 100");
    // Another sum than the one that was proposed, than the one of the terms, and the same twice.
    let minor =
        |n, minor: i64| changed(&events, n, |event| event["BudgetFunded"]["amount"]["minor"] = json!(minor));
    named(&minor(agreed, 501), agreed, "funded");
    let start = first(&events, "BudgetFunded");
    named(&minor(start, 7), start, "funded");
    let twice = changed(&events, agreed, |event| event["BudgetFunded"]["reference"] = json!("po-1"));
    named(&twice, agreed, "funded_once");
}

#[tokio::test(start_paused = true)]
async fn a_beacon_round_that_was_public_when_the_seed_was_made_is_found() {
    let world = World::new();
    let (_node, log) = world.with(terms(|t| t["beacon"] = QUICKNET.into())).await;
    let events = log.events();
    assert_eq!(checks(&audited(&events, Some(&*world.seeds))), Vec::<&str>::new());
    let n = first(&events, "EpochScheduled");
    let now = events[n].recorded_at;
    for (spec, public) in
        [(now.plus_micros(-60 * SECOND_MICROS), true), (now.plus_micros(6 * SECOND_MICROS), false)]
    {
        // The first round from then on, as if it had been committed to half a minute before.
        let spec = BeaconSpec::of(QUICKNET, spec, spec.plus_micros(-30 * SECOND_MICROS)).unwrap();
        let report =
            changed(&events, n, |event| event["EpochScheduled"]["beacon_spec"] = json!(spec.to_string()));
        named(&report, n, "beacon_spec");
        assert_eq!(checks(&report).contains(&"beacon_round"), public, "{:#?}", report.findings);
    }
}

#[tokio::test(start_paused = true)]
async fn terms_are_in_force_once_somebody_else_has_approved_them() {
    let events = one_campaign().await;
    let n = first(&events, "CampaignApproved");
    let approved = |field: &'static str, value: Value| {
        changed(&events, n, |event| event["CampaignApproved"][field] = value)
    };
    for same in ["alice", "Alice", "ＡLICE"] {
        assert_eq!(named(&approved("by", json!(same)), n, "approved_by"), "somebody else than alice");
    }
    named(&approved("by", json!("")), n, "names");
    named(&approved("version", json!(2)), n, "version");
    let mut without = events.clone();
    without.remove(n);
    rehash(&mut without);
    let started = first(&without, "CampaignStarted");
    named(&audited(&without, None), started, "approved");

    // The revision counts from its approval: not before, and from then on.
    let lines = (0..events.len()).filter(|n| events[*n].event_type == "TransactionEvaluated");
    let revised = events.iter().rposition(|event| event.event_type == "CampaignApproved").unwrap();
    for n in lines {
        let (in_force, other) = if n < revised { ("1", 2) } else { ("2", 1) };
        let report = changed(&events, n, |event| {
            event["TransactionEvaluated"]["considered"][0]["campaign_version"] = json!(other);
        });
        assert_eq!(named(&report, n, "considered_version"), in_force);
        let report = changed(&events, n, |event| {
            event["TransactionEvaluated"]["draws"][0]["campaign_version"] = json!(other);
        });
        assert_eq!(named(&report, n, "campaign_version"), in_force);
    }
}

/// Campaigns with precedence, a stackable one, and all that can happen to them and to customers.
async fn many_campaigns() -> (World, Vec<StoredEvent>) {
    let world = World::seeded(6);
    let (node, log) = world
        .with(other("b-poor", |terms| terms["prize_table"]["tiers"][0]["prize"]["fixed"] = json!(7)))
        .await;
    node.run(other("c-rich", |terms| terms["precedence"] = json!(-1))).await;
    node.run(other("a-large", |terms| {
        terms["precedence"] = json!(-2);
        terms["rules"] = json!({ "amount_min_minor": 100_000 });
    }))
    .await;
    node.run(other("d-besides", |terms| {
        terms["stackable"] = json!(true);
        terms["precedence"] = json!(5);
        terms["eligible_from"] = json!("enrolment");
    }))
    .await;
    node.take(&rows(0..8)).await;
    let exclude = CommandKind::Exclude { kind: Exclusion::Staff, reason: "works here".into() };
    node.ledger.account("cus-1".parse().unwrap(), exclude, context()).await.unwrap().unwrap();
    node.take(&rows(8..16)).await;
    let reinstate = CommandKind::Reinstate { reason: "left".into() };
    node.ledger.account("cus-1".parse().unwrap(), reinstate, context()).await.unwrap().unwrap();
    let rich = "c-rich".parse().unwrap();
    node.campaign(&rich, CampaignCommandKind::Pause { reason: "a storm".into() }).await;
    node.take(&rows(16..24)).await;
    node.campaign(&rich, CampaignCommandKind::Resume).await;
    node.take(&rows(24..28)).await;
    node.campaign(&rich, CampaignCommandKind::End).await;
    node.take(&rows(28..32)).await;
    node.one(&with(&row("early", "cus-1"), "booked_at", "2025-12-01T10:00:00Z")).await.unwrap();
    world.clock.set(at("2026-11-26T12:00:00Z"));
    node.take(&rows(32..36)).await;
    sound(&log.events(), &*world.seeds);
    (world, log.events())
}

#[tokio::test(start_paused = true)]
async fn a_line_moved_to_a_poorer_campaign_is_found_and_named() {
    let (_world, events) = many_campaigns().await;
    let n = first(&events, "TransactionEvaluated");
    let payload: Value = serde_json::from_slice(&events[n].payload).unwrap();
    let asked: Vec<_> = payload["TransactionEvaluated"]["considered"].as_array().unwrap().clone();
    let ids = |asked: &[Value]| asked.iter().map(|c| c["campaign_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&asked), ["a-large", "c-rich", "d-besides"]);

    let to_poor = |event: &mut Value| {
        event["considered"][1]["campaign_id"] = json!("b-poor");
        event["draws"][0]["campaign_id"] = json!("b-poor");
    };
    let report = changed(&events, n, |event| to_poor(&mut event["TransactionEvaluated"]));
    assert_eq!(named(&report, n, "considered"), "a-large, c-rich, b-poor, d-besides");
    // In another order, and with one left out that it had to be asked of.
    let report = changed(&events, n, |event| {
        event["TransactionEvaluated"]["considered"].as_array_mut().unwrap().swap(0, 1);
    });
    assert_eq!(named(&report, n, "considered"), "a-large, c-rich, d-besides");
    for left_out in [0, 2] {
        let report = changed(&events, n, |event| {
            event["TransactionEvaluated"]["considered"].as_array_mut().unwrap().remove(left_out);
        });
        assert_eq!(named(&report, n, "considered"), "a-large, c-rich, d-besides");
    }
    // Asked of one more, beside the one that took it.
    let report = changed(&events, n, |event| {
        let considered = event["TransactionEvaluated"]["considered"].as_array_mut().unwrap();
        considered.insert(2, json!({ "campaign_id": "b-poor", "campaign_version": 1, "failed": ["mine"] }));
    });
    assert_eq!(named(&report, n, "considered"), "a-large, c-rich, d-besides");
}

#[tokio::test(start_paused = true)]
async fn a_reason_that_anyone_can_derive_must_hold() {
    let (_world, events) = many_campaigns().await;
    let evaluated = |has: &str| {
        let decided = |event: &StoredEvent| {
            event.event_type == "TransactionEvaluated"
                && String::from_utf8(event.payload.clone()).unwrap().contains(has)
        };
        events.iter().position(decided).unwrap_or_else(|| panic!("{has}"))
    };
    let n = first(&events, "TransactionEvaluated");
    let codes = [
        "before_campaign",
        "after_campaign",
        "campaign_paused",
        "before_enrolment",
        "account_excluded",
        "no_epoch",
        "after_last_epoch",
        "epoch_halted",
        "too_late",
    ];
    for code in codes {
        let report = changed(&events, n, |event| {
            event["TransactionEvaluated"]["considered"][1]["failed"] = json!([code]);
        });
        named(&report, n, "reason");
    }
    // And one that holds is given.
    for code in codes.into_iter().filter(|code| !["epoch_halted", "after_last_epoch"].contains(code)) {
        let n = evaluated(&format!("\"{code}\""));
        let report = changed(&events, n, |event| {
            for considered in event["TransactionEvaluated"]["considered"].as_array_mut().unwrap() {
                if let Some(failed) = considered.get_mut("failed") {
                    failed.as_array_mut().unwrap().retain(|failed| failed != code);
                }
            }
        });
        named(&report, n, "reason");
    }
}

#[tokio::test(start_paused = true)]
async fn lines_of_a_halted_day_wait_or_were_declined_at_once() {
    let world = World::seeded(5);
    let (node, log) = world.with(terms(|_| {})).await;
    let day = epoch("2026-11-22");
    let halt = CampaignCommandKind::HaltEpoch { epoch: day, reason: "odd".into() };
    node.campaign(&campaign_id(), halt).await;
    node.one(&row("t1", "anna")).await.unwrap();
    sound(&log.events(), &*world.seeds);
    let mut events = log.events();
    // As earlier releases did.
    let n = first(&events, "TransactionDeferred");
    edit(&mut events[n], |event| {
        let considered =
            json!([{ "campaign_id": "everyday", "campaign_version": 1, "failed": ["epoch_halted"] }]);
        let line = event["TransactionDeferred"]["line"].clone();
        *event = json!({ "TransactionEvaluated": { "line": line, "outcome": "declined", "considered": considered } });
    });
    events[n].event_type = "TransactionEvaluated".into();
    rehash(&mut events);
    assert_eq!(checks(&audited(&events, None)), Vec::<&str>::new());
    // Of a day that was not halted it is made up.
    events.remove(first(&events, "EpochHalted"));
    rehash(&mut events);
    assert_eq!(checks(&audited(&events, None)), ["reason"]);
}

#[tokio::test(start_paused = true)]
async fn an_inventory_that_a_revision_adds_counts_all_wins_before_it() {
    let world = World::seeded(5);
    let log = SimulatedLog::new();
    let node = world.start(Arc::new(log.reopen())).await;
    node.run(terms(|_| {})).await;
    for chunk in rows(0..40).chunks(8) {
        node.take(chunk).await;
    }
    let limited = terms(|terms| terms["inventory"] = json!({ "small": 20 }));
    node.campaign_by("alice", &campaign_id(), CampaignCommandKind::Revise(Box::new(limited))).await.unwrap();
    node.campaign_by("bob", &campaign_id(), CampaignCommandKind::Approve { version: None }).await.unwrap();
    for day in 23..=25 {
        world.clock.set(at(&format!("2026-11-{day}T12:00:00Z")));
        let today =
            |n| with(&row(&format!("d{day}-{n}"), "anna"), "booked_at", format!("2026-11-{day}T07:00:00Z"));
        node.take(&(0..30).map(today).collect::<Vec<_>>()).await;
    }
    let events = log.events();
    sound(&events, &*world.seeds);
    let sold_out = crate::check::draws(&events).filter(|draw| draw.tier_mask & 0b10 != 0).count();
    assert!(sold_out > 0, "the number was reached");

    // Logs of earlier releases did not count wins of a tier without a limit; one that begins to
    // misses those before.
    let spends = || (0..events.len()).filter(|n| events[*n].event_type == "BudgetSpent");
    let big = |stored: &StoredEvent| {
        let payload: Value = serde_json::from_slice(&stored.payload).unwrap();
        payload["BudgetSpent"]["tier_wins"]["big"].as_u64()
    };
    let counted: Vec<usize> = spends().filter(|n| big(&events[*n]).is_some()).collect();
    let (old, new) = counted.split_at(counted.len() / 2);
    let before = old.last().map(|n| big(&events[*n]).unwrap()).unwrap();
    let upgraded = |less: u64| {
        let mut events = events.clone();
        for n in old {
            edit(&mut events[*n], |event| {
                event["BudgetSpent"]["tier_wins"].as_object_mut().unwrap().remove("big");
            });
        }
        for n in new {
            let wins = big(&events[*n]).unwrap() - less;
            edit(&mut events[*n], |event| event["BudgetSpent"]["tier_wins"]["big"] = json!(wins));
        }
        rehash(&mut events);
        audited(&events, None)
    };
    assert_eq!(checks(&upgraded(before)), Vec::<&str>::new());
    assert!(checks(&upgraded(1)).contains(&"tier_wins"), "a win that is missing from the total");
    let n = *counted.last().unwrap();
    let report = changed(&events, n, |event| event["BudgetSpent"]["tier_wins"]["big"] = json!(0));
    named(&report, n, "tier_wins");
}
