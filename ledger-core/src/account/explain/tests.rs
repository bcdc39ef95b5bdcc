//! One row for every way a line can come out.

use serde_json::json;

use super::*;
use crate::draw::Algorithm;
use crate::ids::EntryId;
use crate::money::{Currency, Money};
use crate::time::Epoch;

fn terms(version: u32) -> Terms {
    serde_json::from_value(json!({
        "campaign_id": "autumn", "name": "Autumn Surprise", "time_zone": "Europe/London",
        "starts_at": "2026-11-01T00:00:00Z",
        "rules": [
            { "code": "no_betting", "customer": format!("No bets, says version {version}."), "mcc_denied": ["7995"] },
            { "code": "weekend", "weekdays": ["sat", "sun"] }
        ],
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "jackpot", "odds_ppb": 20_000, "prize": { "fixed": 100_000 } },
            { "name": "fiver", "odds_ppb": 5_000_000, "prize": { "fixed": 500 } } ] },
        "budget": { "minor": 100_000, "currency": "GBP" }
    }))
    .unwrap()
}

fn reference() -> Reference {
    let id = || -> CampaignId { "autumn".parse().unwrap() };
    let table = terms(1).prize_table;
    Reference {
        terms: [1, 2].map(|version| ((id(), version), terms(version))).into(),
        tables: [((id(), table.hash()), table)].into(),
    }
}

fn draw(r: u32, tier_mask: u32, tier: Option<u32>, minor: Option<i64>) -> Draw {
    let day = Epoch::on("2026-11-22".parse().unwrap());
    Draw {
        entry_id: EntryId([1; 32]),
        campaign_id: "autumn".parse().unwrap(),
        campaign_version: 1,
        epoch: day,
        day: day.date(),
        table_hash: terms(1).prize_table.hash(),
        tier_mask,
        budget_left_minor: 5,
        r,
        rejections: 0,
        tier,
        amount: minor.map(|minor| Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap()),
        algorithm: Algorithm::Draw1,
    }
}

fn declined_by(campaigns: &[(u32, &[&str])]) -> Vec<Considered> {
    let considered = campaigns.iter().map(|(version, failed)| Considered {
        campaign_id: "autumn".parse().unwrap(),
        campaign_version: *version,
        failed: failed.iter().map(|code| RuleCode::from(*code)).collect(),
    });
    considered.collect()
}

fn told(
    outcome: Option<Outcome>,
    waits_for: Option<DeferReason>,
    considered: &[Considered],
    draws: &[Draw],
) -> Vec<Reason> {
    explain(&Recorded { outcome, waits_for, removed: false, verdict: None, considered, draws }, &reference())
}

fn decline(campaigns: &[(u32, &[&str])]) -> Vec<Reason> {
    told(Some(Outcome::Declined), None, &declined_by(campaigns), &[])
}

#[test]
fn every_draw_is_told_with_its_number_and_what_would_have_won() {
    let place = |r: u32| format!("autumn version 1, epoch 2026-11-22: r {r} of 1000000000");
    for (draw, code, customer, staff) in [
        (
            draw(734_120_551, 0, None, None),
            "lost",
            "This purchase took part in the draw of Autumn Surprise and did not win: its number was 734,120,551. Of \
             the numbers below 1,000,000,000, 0 to 19,999 (jackpot), 20,000 to 5,019,999 (fiver) won.",
            "; jackpot 0-19999; fiver 20000-5019999",
        ),
        (
            draw(5_020_000, 0b01, None, None),
            "lost",
            "This purchase took part in the draw of Autumn Surprise and did not win: its number was 5,020,000. Of the \
             numbers below 1,000,000,000, 20,000 to 5,019,999 (fiver) won. Taken out before the draw, as no money was \
             left for it: jackpot.",
            "; jackpot 0-19999 (masked: budget); fiver 20000-5019999",
        ),
        (
            draw(19_999, 0b01, None, None),
            "lost",
            "This purchase's number in the draw of Autumn Surprise was 19,999, which would have won jackpot. That \
             prize had been taken out before the draw: what was left for prizes could not cover it.",
            "; jackpot 0-19999 (masked: budget); fiver 20000-5019999",
        ),
        (
            Draw { budget_left_minor: 100_000, ..draw(19_999, 0b01, None, None) },
            "lost",
            "This purchase's number in the draw of Autumn Surprise was 19,999, which would have won jackpot. That \
             prize had been taken out before the draw: all there were of it had been won.",
            "; jackpot 0-19999 (masked: inventory); fiver 20000-5019999",
        ),
        (
            Draw { budget_left_minor: 100_000, ..draw(5_020_000, 0b01, None, None) },
            "lost",
            "This purchase took part in the draw of Autumn Surprise and did not win: its number was 5,020,000. Of the \
             numbers below 1,000,000,000, 20,000 to 5,019,999 (fiver) won. Taken out before the draw, as all had been \
             won: jackpot.",
            "; jackpot 0-19999 (masked: inventory); fiver 20000-5019999",
        ),
        (
            draw(20_000, 0, Some(1), None),
            "lost",
            "This purchase's number in the draw of Autumn Surprise, 20,000, wins a share of the purchase; of this one, \
             the share comes to less than the smallest coin.",
            "; jackpot 0-19999; fiver 20000-5019999",
        ),
        (
            draw(20_000, 0, Some(1), Some(5_00)),
            "won",
            "This purchase won GBP 5.00 (fiver) in Autumn Surprise: its number in the draw was 20,000.",
            "; jackpot 0-19999; fiver 20000-5019999",
        ),
    ] {
        let outcome = if code == "won" { Outcome::Won } else { Outcome::Lost };
        let staff = format!("{}{staff}", place(draw.r));
        assert_eq!(told(Some(outcome), None, &[], &[draw]), [reason(code, customer, staff)]);
    }
}

#[test]
fn a_declined_line_hears_every_rule_of_the_version_that_declined_it() {
    let reasons = decline(&[(1, &["refund", "no_betting", "weekend", "rule_error"])]);
    let expected = [
        reason("refund", "Refunds do not take part.", "autumn version 1: refund_of is set"),
        reason("no_betting", "No bets, says version 1.", "autumn version 1: merchant.mcc is in mcc_denied"),
        reason(
            "weekend",
            "Purchases on this day of the week do not take part.",
            "autumn version 1: the local day of booking is not in weekdays",
        ),
        reason(
            "rule_error",
            "We could not check one of the campaign's conditions.",
            "autumn version 1: the rule before this one gave no answer: see the log of that time",
        ),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(decline(&[(2, &["no_betting"])])[0].customer, "No bets, says version 2.");
}

#[test]
fn a_customer_hears_each_sentence_once_and_staff_hear_each_campaign() {
    let reasons = decline(&[(1, &["refund", "no_betting"]), (2, &["refund", "no_betting"])]);
    assert_eq!(reasons.len(), 4);
    let customer: Vec<_> = for_customer(reasons).into_iter().map(|r| r.customer).collect();
    assert_eq!(
        customer,
        ["Refunds do not take part.", "No bets, says version 1.", "No bets, says version 2."]
    );
}

#[test]
fn what_cannot_be_looked_up_is_told_by_its_code() {
    let unknown = &decline(&[(9, &["no_betting", "mcc_denied"])]);
    assert_eq!(unknown[0].customer, "This purchase did not meet one of the campaign's conditions.");
    assert_eq!(unknown[1].customer, "Purchases of this kind do not take part.");
    let draws = [draw(7, 0, None, None)];
    let recorded = Recorded {
        outcome: Some(Outcome::Lost),
        waits_for: None,
        removed: true,
        verdict: None,
        considered: &[],
        draws: &draws,
    };
    let reasons = explain(&recorded, &Reference::default());
    let lost = "This purchase took part in the draw of autumn and did not win: its number was 7.";
    assert_eq!(reasons[0].customer, lost);
    assert_eq!(reasons[1].code, "removed");
}

#[test]
fn a_line_that_waits_says_for_what() {
    for (why, code) in [
        (DeferReason::EpochNotOpen, "epoch_not_open"),
        (DeferReason::DrawsHalted, "draws_halted"),
        (DeferReason::Held, "held"),
    ] {
        assert_eq!(told(None, Some(why), &[], &[])[0].code, code);
    }
    assert_eq!(decline(&[])[0].code, "no_campaign");
    assert_eq!(told(None, None, &[], &[]), []);
}

#[test]
fn a_reviewed_line_says_what_came_of_it_in_both_voices() {
    let draws = [draw(734_120_551, 0, None, None)];
    let lost = Some(Outcome::Lost);
    let held = Some(DeferReason::Held);
    for (outcome, waits_for, removed, verdict, codes) in [
        (None, None, false, Some(Verdict::Released), &["released"][..]),
        (lost, None, false, Some(Verdict::Released), &["lost", "released"]),
        // Taken back since: nobody asks for its review any more.
        (None, None, true, Some(Verdict::Released), &["removed"]),
        (Some(Outcome::Declined), None, false, Some(Verdict::Dismissed), &["dismissed"]),
        (lost, None, true, Some(Verdict::Dismissed), &["lost", "removed", "dismissed"]),
        (lost, held, true, None, &["lost", "held", "removed"]),
    ] {
        let drawn = if outcome == lost { &draws[..] } else { &[] };
        let recorded = Recorded { outcome, waits_for, removed, verdict, considered: &[], draws: drawn };
        let reasons = explain(&recorded, &reference());
        assert_eq!(reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>(), codes);
    }
    let waits = Recorded {
        outcome: None,
        waits_for: None,
        removed: false,
        verdict: Some(Verdict::Released),
        considered: &[],
        draws: &[],
    };
    let [waits] = &explain(&waits, &reference())[..] else { panic!() };
    assert!(
        waits.customer.contains("takes part as soon as") && waits.staff.contains("two people released it")
    );
}
