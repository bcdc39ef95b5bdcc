//! The JSON of every event, as history keeps it for ever: a change here must stay readable by what
//! is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{Considered, DeferReason, Exclusion, Line, Outcome, Verdict};
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::{RuleCode, Terms};
use ledger_core::draw::{Algorithm, Draw};
use ledger_core::ids::{BeaconSignature, Digest, EntryId, Fingerprint};
use ledger_core::keys::{AmountKey, Sealed, open_part};
use ledger_core::money::{Currency, Money};
use ledger_core::posting::Posting;
use ledger_core::system::{ParkedAction, Switch, SystemEvent};
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::zone::Transitions;
use serde_json::Value;

/// What is sealed in the events below.
const SEALED: [&str; 3] = ["c2VhbGVk", "yZdHiSKWcoeaTOHosmjtAQwWkv2yZIgYi9HK", "c2VlZA"];

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros((1_795_000_000 + second) * 1_000_000)
}

fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap()
}

fn day() -> Epoch {
    Epoch::of(at(0))
}

fn line() -> Line {
    Line {
        source: "acme-bank".parse().unwrap(),
        transaction_id: "tx-1".parse().unwrap(),
        booked_at: at(0),
        time_known: true,
        fingerprint: Fingerprint([7; 16]),
        fingerprint_version: 2,
        details: Some(Sealed::from_text("c2VhbGVk")),
        pending_transaction_id: Some("pending-1".parse().unwrap()),
        merchant: None,
        spent: Some(AmountKey::new(&[1; 32]).seal(gbp(1_250))),
    }
}

fn draw() -> Draw {
    Draw {
        entry_id: EntryId([1; 32]),
        campaign_id: "autumn-1".parse().unwrap(),
        campaign_version: 1,
        epoch: day(),
        day: day().date(),
        table_hash: Digest([2; 32]),
        tier_mask: 1,
        budget_left_minor: 99_500,
        r: 119_961_865,
        rejections: 0,
        tier: Some(2),
        amount: Some(gbp(62)),
        algorithm: Algorithm::Draw1,
    }
}

fn terms() -> Terms {
    serde_json::from_value(serde_json::json!({
        "campaign_id": "autumn-1", "name": "Autumn", "time_zone": "Europe/London", "starts_at": "2026-11-01T00:00:00Z",
        "rules": { "mcc_denied": ["7995", "6010-6012"], "amount_min_minor": 100, "wins_per_day": 3 },
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "fiver", "odds_ppb": 5_000_000, "prize": { "fixed": 500 } },
            { "name": "cashback", "odds_ppb": 50_000_000, "prize": { "share_bps": 500, "max": 1000 } } ] },
        "budget": { "minor": 100_000, "currency": "GBP" }
    }))
    .unwrap()
}

fn linked(id: &str, fingerprint: Option<Fingerprint>) -> AccountEvent {
    AccountEvent::TransactionLinked {
        source: "acme-bank".parse().unwrap(),
        transaction_id: id.parse().unwrap(),
        linked_to: "tx-1".parse().unwrap(),
        fingerprint,
        fingerprint_version: if fingerprint.is_some() { 2 } else { 1 },
    }
}

fn removed(id: &str, undecided: bool, named: Option<&str>) -> AccountEvent {
    AccountEvent::TransactionRemoved {
        source: "acme-bank".parse().unwrap(),
        transaction_id: id.parse().unwrap(),
        removed_at: at(3),
        undecided,
        named: named.map(|id| id.parse().unwrap()),
    }
}

/// The fields of these events that auditors do not see: sealed, each of them, and nothing else.
fn left_out(whole: &Value, open: &Value) -> Vec<String> {
    fn compare(whole: &Value, open: &Value, out: &mut BTreeSet<String>) {
        match (whole, open) {
            (Value::Object(whole), Value::Object(open)) => {
                assert!(open.keys().all(|key| whole.contains_key(key)));
                for (key, value) in whole {
                    if let Some(open) = open.get(key) {
                        compare(value, open, out);
                    } else {
                        assert!(SEALED.contains(&value.as_str().unwrap()), "{key}: {value}");
                        out.insert(key.clone());
                    }
                }
            }
            (Value::Array(whole), Value::Array(open)) => {
                assert_eq!(whole.len(), open.len());
                whole.iter().zip(open).for_each(|(whole, open)| compare(whole, open, out));
            }
            _ => assert!(whole == open && !whole.as_str().is_some_and(|text| SEALED.contains(&text))),
        }
    }
    let mut out = BTreeSet::new();
    compare(whole, open, &mut out);
    out.into_iter().collect()
}

/// Whether there is an example of each event that the type knows: what is no event is refused with
/// a list of those there are.
fn assert_complete(examples: &Value, refused: &serde_json::Error) {
    let refused = refused.to_string();
    let known: BTreeSet<&str> = refused.split('`').skip(3).step_by(2).collect();
    let events = examples.as_array().unwrap().iter().map(|event| event.as_object().unwrap());
    let named: BTreeSet<&str> = events.flat_map(|event| event.keys().map(String::as_str)).collect();
    assert_eq!(named, known);
}

#[test]
fn account_events_keep_their_json() {
    let (entry_id, amount) = (EntryId([1; 32]), gbp(62));
    let campaign_id = || "autumn-1".parse().unwrap();
    let declined =
        Considered { campaign_id: campaign_id(), campaign_version: 1, failed: vec![RuleCode::MccDenied] };
    let drawn = Considered { campaign_id: campaign_id(), campaign_version: 1, failed: vec![] };
    let reason = || "staff".to_owned();
    let events = vec![
        AccountEvent::AccountOpened { enrolled_at: at(0) },
        AccountEvent::AccountClosed { closed_at: at(1), reason: reason() },
        AccountEvent::AccountExcluded { excluded_at: at(1), kind: Exclusion::Other, reason: reason() },
        AccountEvent::AccountReinstated { reinstated_at: at(2), reason: reason() },
        AccountEvent::TransactionNoted { line: line() },
        AccountEvent::TransactionDeferred { line: line(), reason: DeferReason::EpochNotOpen },
        AccountEvent::TransactionEvaluated {
            line: line(),
            outcome: Outcome::Won,
            considered: vec![drawn],
            draws: vec![draw()],
        },
        AccountEvent::TransactionEvaluated {
            line: Line { details: None, pending_transaction_id: None, spent: None, ..line() },
            outcome: Outcome::Declined,
            considered: vec![declined],
            draws: vec![],
        },
        linked("tx-2", None),
        removed("tx-1", false, None),
        removed("tx-3", true, None),
        AccountEvent::ReviewProposed {
            source: "acme-bank".parse().unwrap(),
            transaction_id: "tx-3".parse().unwrap(),
            verdict: Verdict::Released,
            reason: "the bank's mistake".into(),
            by: "operator:anna".into(),
            proposed_at: at(4),
        },
        AccountEvent::TransactionReviewed {
            source: "acme-bank".parse().unwrap(),
            transaction_id: "tx-3".parse().unwrap(),
            verdict: Verdict::Dismissed,
            reason: "an old statement".into(),
            proposed_by: "operator:anna".into(),
            by: "operator:ben".into(),
            reviewed_at: at(5),
        },
        linked("tx-4", Some(line().fingerprint)),
        removed("tx-1", false, Some("tx-4")),
        AccountEvent::RewardIssued {
            entry_id,
            campaign_id: campaign_id(),
            amount,
            issued_at: at(4),
            posting: Posting::issue(&campaign_id(), amount),
        },
        AccountEvent::CustomerNotified { entry_id, notified_at: at(5) },
        AccountEvent::CreditRequested { entry_id, attempt: 1, amount, requested_at: at(6) },
        AccountEvent::RewardCredited {
            entry_id,
            attempt: 1,
            amount,
            payout_reference: "pay_1".parse().unwrap(),
            credited_at: at(7),
            posting: Posting::credit(amount),
        },
        AccountEvent::CreditFailed {
            entry_id,
            attempt: 1,
            reason: "account_closed".into(),
            failed_at: at(7),
        },
        AccountEvent::RewardReversed {
            entry_id,
            campaign_id: campaign_id(),
            amount,
            reason: "transaction_removed".into(),
            reversed_at: at(8),
            budget_returned: true,
            posting: Posting::reversal(&campaign_id(), amount),
        },
        AccountEvent::PersonalDataErased { erased_at: at(9) },
    ];
    assert_eq!(
        left_out(&serde_json::to_value(&events).unwrap(), &open_part(&events).unwrap()),
        ["details", "spent"],
        "what auditors do not see"
    );
    assert_complete(
        &serde_json::to_value(&events).unwrap(),
        &serde_json::from_str::<AccountEvent>("\"no event\"").unwrap_err(),
    );
    insta::assert_json_snapshot!(events);
}

#[test]
fn campaign_events_keep_their_json() {
    let epoch = day();
    let terms = terms();
    let events = vec![
        CampaignEvent::CampaignDrafted { version: 1, terms: terms.clone(), by: by() },
        CampaignEvent::CampaignApproved { version: 1, by: by() },
        CampaignEvent::CampaignScheduled { version: 1, start_at: at(0) },
        CampaignEvent::CampaignStarted { started_at: at(0), version: 1 },
        CampaignEvent::CampaignPaused { paused_at: at(1), reason: "storm".into(), version: 1 },
        CampaignEvent::CampaignResumed { resumed_at: at(2), version: 1 },
        CampaignEvent::CampaignRevised { version: 2, terms: terms.clone(), by: by() },
        CampaignEvent::CampaignEnded { ended_at: at(3), version: 2 },
        CampaignEvent::FundingProposed {
            amount: gbp(50_000),
            reference: "po-1".into(),
            by: by(),
            version: 1,
        },
        CampaignEvent::BudgetFunded {
            amount: gbp(100_000),
            funded_minor: 100_000,
            reference: "po-1".into(),
            posting: Posting::funding(&terms.campaign_id, gbp(100_000)),
            version: 1,
        },
        CampaignEvent::BudgetSpent {
            spent_minor: 62,
            reversed_minor: 0,
            tier_wins: [("jackpot".to_owned(), 1)].into(),
            version: 1,
        },
        CampaignEvent::BudgetAlerted { percent: 50, spent_minor: 50_000, funded_minor: 100_000, version: 1 },
        CampaignEvent::EpochScheduled {
            epoch,
            opens_at: epoch.opens_at(),
            closes_at: epoch.closes_at(),
            grace_days: 31,
            commitment: Digest([3; 32]),
            sealed_seed: Sealed::from_text("c2VlZA"),
            table_hash: terms.prize_table.hash(),
            prize_table: terms.prize_table,
            beacon_spec: "none".into(),
            at_once: true,
            version: 1,
            inventory: [("jackpot".to_owned(), 3)].into(),
        },
        CampaignEvent::EpochOpened {
            epoch,
            opened_at: at(0),
            beacon: Digest([0; 32]),
            budget_cap_minor: 100_000,
            beacon_signature: None,
            version: 1,
        },
        CampaignEvent::EpochOpened {
            epoch: epoch.next(),
            opened_at: at(0),
            beacon: Digest([6; 32]),
            budget_cap_minor: 100_000,
            beacon_signature: Some(BeaconSignature([7; 48])),
            version: 1,
        },
        CampaignEvent::SeedOpened { epoch, purpose: "draw".into(), version: 1 },
        CampaignEvent::EpochHalted { epoch, reason: "suspicion".into(), version: 1 },
        CampaignEvent::EpochResumptionProposed {
            epoch,
            reason: "a false alarm".into(),
            by: by(),
            version: 1,
        },
        CampaignEvent::EpochResumed {
            epoch,
            reason: "checked".into(),
            proposed_by: by(),
            by: "operator:bob".into(),
            version: 1,
        },
        CampaignEvent::EpochClosed {
            epoch,
            draws: 2,
            wins: vec![0, 1],
            paid_minor: 62,
            root: Digest([4; 32]),
            version: 1,
        },
        CampaignEvent::EpochRevealed { epoch, seed: Digest([5; 32]), version: 1 },
    ];
    assert_eq!(
        left_out(&serde_json::to_value(&events).unwrap(), &open_part(&events).unwrap()),
        ["sealed_seed"],
        "what auditors do not see"
    );
    assert_complete(
        &serde_json::to_value(&events).unwrap(),
        &serde_json::from_str::<CampaignEvent>("\"no event\"").unwrap_err(),
    );
    insta::assert_json_snapshot!(events);
}

#[test]
fn system_events_keep_their_json() {
    let (item, step) = ("credit:0:7:ab".to_owned(), "credit".to_owned());
    let events = vec![
        SystemEvent::ParkedItemProposed {
            item: item.clone(),
            step: step.clone(),
            action: ParkedAction::Drop,
            attempt: Some(1),
            reason: "the customer has left".into(),
            by: by(),
        },
        SystemEvent::ParkedItemResolved {
            item: item.clone(),
            step: step.clone(),
            action: ParkedAction::Drop,
            attempt: Some(1),
            reason: "so he has".into(),
            by: "operator:bob".into(),
            proposed_by: Some(by()),
        },
        SystemEvent::ParkedItemResolved {
            item,
            step,
            action: ParkedAction::Retry,
            attempt: None,
            reason: "the rail is well again".into(),
            by: by(),
            proposed_by: None,
        },
        SystemEvent::LogRestored {
            reason: "disk lost".into(),
            by: by(),
            from_position: Some(9),
            head: Some(Digest([8; 32])),
        },
        SystemEvent::ClockAccepted { reason: "daylight".into(), by: by(), clock_at: Some(at(0)) },
        SystemEvent::ZoneTableChanged {
            version: "2026f".into(),
            zones: BTreeMap::from([(
                "America/Vancouver".into(),
                Arc::new(Transitions {
                    offset: -28_800,
                    transitions: vec![(954_669_600, -25_200), (972_810_000, -28_800)],
                }),
            )]),
        },
        SystemEvent::SwitchSet {
            what: Switch::Payouts,
            halted: true,
            reason: "the rail is odd".into(),
            by: by(),
        },
    ];
    assert_eq!(left_out(&serde_json::to_value(&events).unwrap(), &open_part(&events).unwrap()), [""; 0]);
    assert_complete(
        &serde_json::to_value(&events).unwrap(),
        &serde_json::from_str::<SystemEvent>("\"no event\"").unwrap_err(),
    );
    insta::assert_json_snapshot!(events);
    let json = r#"[{"LogRestored":{"reason":"r","by":"p"}},{"ClockAccepted":{"reason":"r","by":"p"}}]"#;
    assert_eq!(serde_json::from_str::<Vec<SystemEvent>>(json).unwrap().len(), 2);
}

fn by() -> String {
    "operator:alice".into()
}

/// What the first version wrote. Never edit these files: no log can be.
#[test]
fn events_of_older_versions_are_still_read() {
    let account = include_str!("../data/events/account.1.json");
    let campaign = include_str!("../data/events/campaign.1.json");
    assert_eq!(serde_json::from_str::<Vec<AccountEvent>>(account).unwrap().len(), 17);
    assert_eq!(serde_json::from_str::<Vec<CampaignEvent>>(campaign).unwrap().len(), 14);
}
