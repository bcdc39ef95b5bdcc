use serde_json::json;

use super::page::page;
use super::*;
use crate::draws::{DrawAudit, Seeds};
use ledger_core::draw::{Algorithm, Draw, PrizeTable};
use ledger_core::ids::{Digest, EntryId};
use ledger_core::log::{Position, StreamId};
use ledger_core::money::Money;
use ledger_core::time::{DAY_MICROS, Epoch, Timestamp};

const NOON: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);

fn table() -> PrizeTable {
    serde_json::from_value(json!({ "currency": "GBP", "tiers": [
        { "name": "<b>big</b>", "odds_ppb": 55_000_000, "prize": { "fixed": 500 } },
    ] }))
    .unwrap()
}

fn stored(recorded_at: Timestamp, event_type: &str, payload: &serde_json::Value) -> StoredEvent {
    StoredEvent {
        position: Position(1),
        stream: StreamId::campaign(&"autumn".parse().unwrap()),
        sequence: 1,
        event_type: event_type.into(),
        event_version: "1".into(),
        payload: payload.to_string().into_bytes(),
        metadata: br#"{"actor":"operator:<i>anna</i>"}"#.as_slice().into(),
        recorded_at,
        transaction_key: None,
        hash: Digest([0; 32]),
    }
}

/// Days of 2,000 draws of which so many win, the others' numbers spread evenly.
fn report(days: u32, wins_a_day: u32) -> Report {
    let mut sheet = Sheet::default();
    let table = table();
    sheet.table(table.hash(), &table);
    for day in 0..days {
        let recorded_at = NOON.plus_micros(i64::from(day) * DAY_MICROS);
        let event = stored(recorded_at, "TransactionEvaluated", &json!({}));
        for n in 0..2_000_u32 {
            let won = n < wins_a_day;
            let draw = Draw {
                entry_id: EntryId([0; 32]),
                campaign_id: "autumn".parse().unwrap(),
                campaign_version: 1,
                epoch: Epoch::of(recorded_at),
                day: recorded_at.date(),
                table_hash: table.hash(),
                tier_mask: 0,
                budget_left_minor: 1_000_000,
                r: if won { n } else { 55_000_000 + n * 472_499 },
                rejections: 0,
                tier: won.then_some(0),
                amount: won.then(|| Money::new(500, table.currency).unwrap()),
                algorithm: Algorithm::Draw1,
            };
            sheet.draw(&event, recorded_at, &draw);
        }
    }
    let mut fairness = Fairness::default();
    fairness.sheets.insert("autumn".parse().unwrap(), sheet);
    let halted = json!({ "EpochHalted": { "epoch": "2026-11-20", "reason": "<u>odd</u>" } });
    fairness.take(&stored(NOON, "EpochHalted", &halted), None);
    fairness.take(&stored(NOON, "BudgetSpent", &json!({})), None);
    fairness.finish(DrawAudit::new(Seeds::default()).finish())
}

#[test]
fn odds_that_are_kept_raise_no_alarm_and_others_do() {
    let fair = report(30, 110);
    let campaign = fair.campaigns.values().next().unwrap();
    assert!(fair.holds && campaign.alarm_on.is_none());
    assert_eq!((campaign.draws, campaign.days.len(), campaign.winners.len()), (60_000, 30, 3_300));
    let tier = &campaign.tables.values().next().unwrap().tiers[0];
    assert!(tier.within == Some(true) && tier.by_number == 3_300 && tier.won == 3_300, "{tier:?}");
    for wins_a_day in [88, 135] {
        let loaded = report(30, wins_a_day);
        let campaign = loaded.campaigns.values().next().unwrap();
        assert!(!loaded.holds && campaign.alarm_on.is_some(), "{wins_a_day} wins a day instead of 110");
        assert_eq!(campaign.tables.values().next().unwrap().tiers[0].within, Some(false));
    }
}

#[test]
fn where_there_are_no_draws_nothing_is_plotted_and_nothing_is_to_be_signed() {
    let mut fairness = Fairness::default();
    let mut sheet = Sheet::default();
    sheet.table(table().hash(), &table());
    fairness.sheets.insert("autumn".parse().unwrap(), sheet);
    let report = fairness.finish(DrawAudit::new(Seeds::default()).finish());
    let tier = &report.campaigns.values().next().unwrap().tables.values().next().unwrap().tiers[0];
    assert_eq!(tier.within, None);
    let page = page(&report, NOON);
    assert!(page.contains("No draws yet."), "{page}");
    for word in ["<svg", "Chi-square", "Signature", "nothing contradicts"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}

#[test]
fn what_does_not_hold_or_was_not_derived_is_nothing_to_sign() {
    let derived = || {
        let mut report = report(2, 110);
        (report.holds, report.draws, report.rederived) = (true, 4_000, 4_000);
        report
    };
    let signed = |report: &Report| {
        let page = page(report, NOON);
        let (signed, refused) = (page.contains("Signature"), page.contains("Nothing to sign"));
        assert_ne!(signed, refused, "{page}");
        signed
    };
    assert!(signed(&derived()));
    assert!(signed(&Report { rederived: 1, ..derived() }));
    assert!(!signed(&Report { rederived: 0, ..derived() }));
    assert!(!signed(&Report { holds: false, findings_total: 6, ..derived() }));
    assert!(!signed(&Report { holds: false, ..derived() }), "an alarm");
    assert!(!page(&derived(), NOON).contains("took a share"));
    let mut shares = derived();
    let table = shares.campaigns.values_mut().next().unwrap().tables.values_mut().next().unwrap();
    table.tiers[0].prize = serde_json::from_value(json!({ "share_bps": 500, "max": 50 })).unwrap();
    assert!(page(&shares, NOON).contains("220 wins took a share of the purchase"));
}

#[test]
fn money_is_written_as_people_write_it_and_winners_are_counted_by_day_and_prize() {
    let report = report(2, 110);
    let page = page(&report, NOON);
    for words in ["GBP 1,100.00", "GBP 550.00", "GBP 5.00", "5.5 %", "4,000 draws", "220 won"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for word in ["ppb", "minor", "e0", "anywhere"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.len() < 40_000, "{}", page.len());
}

#[test]
fn totals_of_a_campaign_are_in_its_currency() {
    let mut fairness = Fairness::default();
    let drafted = json!({ "CampaignDrafted": { "terms": { "budget": { "minor": 1, "currency": "GBP" } } } });
    fairness.take(&stored(NOON, "CampaignDrafted", &drafted), None);
    let funded = json!({ "BudgetFunded": {
        "amount": { "minor": 3_000_000, "currency": "GBP" }, "funded_minor": 100_000_000, "reference": "po-1",
    } });
    fairness.take(&stored(NOON, "BudgetFunded", &funded), None);
    let report = fairness.finish(DrawAudit::new(Seeds::default()).finish());
    let details = &report.incidents.last().unwrap().details;
    assert_eq!((&*details["amount"], &*details["funded"]), ("GBP 30,000.00", "GBP 1,000,000.00"));
}

#[test]
fn what_people_did_is_listed_and_no_name_becomes_markup() {
    let report = report(1, 110);
    let [halted] = &report.incidents[..] else { panic!("{:?}", report.incidents) };
    assert_eq!((halted.event.as_str(), halted.epoch.as_deref()), ("EpochHalted", Some("2026-11-20")));
    let page = page(&report, NOON);
    for name in ["<b>big", "<i>anna", "<u>odd"] {
        assert!(
            !page.contains(name) && page.contains(&name.replace('<', "&lt;").replace('>', "&gt;")),
            "{name}"
        );
    }
}
