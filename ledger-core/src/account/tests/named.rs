//! A campaign's own rules, one kind at a time: what passes, what does not, and what an account
//! remembers for them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::account::memory::{BOOKED_MAX, MERCHANTS_MAX};

#[expect(clippy::needless_pass_by_value, reason = "a rule reads better without references")]
/// A campaign with one rule, called `it`, that asks nothing about enrolment.
pub(super) fn asking(condition: serde_json::Value) -> Offer {
    let mut rule = json!({ "code": "it" });
    rule.as_object_mut().unwrap().extend(condition.as_object().unwrap().clone());
    let rules: Rules = serde_json::from_value(json!([rule])).unwrap();
    let terms = Terms { eligible_from: EligibleFrom::CampaignStart, rules, ..terms() };
    assert_eq!(terms.validate(), Ok(()));
    offer_of(terms)
}

pub(super) fn failed(
    account: &Given<RewardAccount>,
    line: PreparedTransaction,
    offer: &Offer,
) -> Vec<String> {
    let then = account.clone().when(evaluate(line, offer.clone()));
    let [AccountEvent::TransactionEvaluated { considered, .. }] = then.events() else {
        panic!("{:?}", then.events())
    };
    considered[0].failed.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn passes(line: PreparedTransaction, condition: serde_json::Value) {
    assert_eq!(failed(&given([opened()]), line, &asking(condition)), [""; 0]);
}

#[track_caller]
fn fails(line: PreparedTransaction, condition: serde_json::Value) {
    assert_eq!(failed(&given([opened()]), line, &asking(condition)), ["it"]);
}

fn with(change: impl FnOnce(&mut Facts)) -> PreparedTransaction {
    let mut purchase = purchase("t1");
    change(&mut purchase.facts);
    purchase
}

fn at_merchant(id: &str, tag: u64) -> PreparedTransaction {
    let mut line = purchase(id);
    line.line.merchant = Some(MerchantTag(tag.to_be_bytes()));
    line
}

#[test]
fn merchants_categories_and_countries_are_listed_and_what_is_missing_is_said() {
    let without = |field: &str| {
        with(|facts| match field {
            "merchants" => facts.merchant_id = None,
            "mcc" => facts.mcc = None,
            _ => facts.country = None,
        })
    };
    for (field, ours, other) in
        [("merchants", "m_42", "m_1"), ("mcc", "5814", "5411"), ("countries", "GB", "FR")]
    {
        let (allowed, denied) = (format!("{field}_allowed"), format!("{field}_denied"));
        passes(purchase("t1"), json!({ &allowed: [other, ours] }));
        fails(purchase("t1"), json!({ &allowed: [other] }));
        fails(purchase("t1"), json!({ &denied: [ours] }));
        passes(purchase("t1"), json!({ &denied: [other] }));
        // A line that does not say: an allowing list declines, a denying one passes, unless the
        // rule decides.
        fails(without(field), json!({ &allowed: [ours] }));
        passes(without(field), json!({ &allowed: [ours], "missing": "pass" }));
        passes(without(field), json!({ &denied: [ours] }));
        fails(without(field), json!({ &denied: [ours], "missing": "decline" }));
        // Without any merchant, that is what is said, and only that.
        let nobody = with(|facts| facts.has_merchant = false);
        let declined = failed(&given([opened()]), nobody, &asking(json!({ &allowed: [other] })));
        assert_eq!(declined, ["no_merchant"]);
    }
}

#[test]
fn ranges_of_categories_may_overlap_and_touch() {
    let mcc = |code: &str| with(|facts| facts.mcc = Mcc::parse(code).map(Personal::new));
    let ranges = || json!({ "mcc_denied": ["5000-5100", "0042", "4900-5010", "5050", "5101-5102"] });
    for code in ["0042", "4900", "5011", "5050", "5100", "5101", "5102"] {
        fails(mcc(code), ranges());
    }
    for code in ["0041", "0043", "4899", "5103", "9999", "0000"] {
        passes(mcc(code), ranges());
    }
}

#[test]
fn amounts_are_bounded_in_the_campaigns_currency_only() {
    passes(purchase("t1"), json!({ "amount_min_minor": 12_50 }));
    fails(purchase("t1"), json!({ "amount_min_minor": 12_51 }));
    passes(purchase("t1"), json!({ "amount_max_minor": 12_50 }));
    fails(purchase("t1"), json!({ "amount_max_minor": 12_49 }));
    let yen = with(|facts| facts.amount = Personal::new(money(5, "JPY")));
    let declined = failed(&given([opened()]), yen, &asking(json!({ "amount_min_minor": 12_50 })));
    assert_eq!(declined, ["currency_mismatch"]);
}

#[test]
fn only_the_first_purchase_at_a_merchant_passes() {
    let offer = asking(json!({ "first_purchase_at_merchant": true }));
    let before = given([opened()]);
    assert_eq!(failed(&before, at_merchant("t1", 1), &offer), [""; 0]);
    // Seen once, whatever the campaign and the outcome: not the first any more.
    let elsewhere = asking(json!({ "amount_min_minor": 99_00 }));
    let after = before.and(evaluate(at_merchant("t1", 1), elsewhere));
    assert_eq!(failed(&after, at_merchant("t2", 1), &offer), ["it"]);
    assert_eq!(failed(&after, at_merchant("t2", 2), &offer), [""; 0]);
    fails(with(|facts| facts.merchant_id = None), json!({ "first_purchase_at_merchant": true }));
}

#[test]
fn an_account_remembers_the_merchants_it_saw_last_and_none_once_erased() {
    let offer = asking(json!({ "first_purchase_at_merchant": true }));
    let mut account = given([opened()]);
    for n in 0..MERCHANTS_MAX as u64 {
        account = account.and(evaluate(at_merchant(&format!("t{n}"), n), offer.clone()));
    }
    // Seen again, the first is the latest; one more then pushes out the second.
    account = account.and(evaluate(at_merchant("again", 0), offer.clone()));
    account = account.and(evaluate(at_merchant("more", 9_999), offer.clone()));
    assert_eq!(failed(&account, at_merchant("x", 0), &offer), ["it"]);
    assert_eq!(failed(&account, at_merchant("x", 1), &offer), [""; 0]);
    assert_eq!(account.state.memory.merchants.len(), MERCHANTS_MAX);
    account.state.remember(erased());
    assert!(account.state.memory.merchants.is_empty());
}

#[test]
fn a_window_over_midnight_belongs_to_the_weekday_on_which_it_began() {
    let both = |hours: serde_json::Value| {
        let rules = json!([{ "code": "days", "weekdays": ["fri"] }, { "code": "hours", "hours": hours }]);
        let rules: Rules = serde_json::from_value(rules).unwrap();
        Terms { eligible_from: EligibleFrom::CampaignStart, time_zone: Zone::named("UTC"), rules, ..terms() }
    };
    // The 20th is a Friday.
    for (hours, booked_at, now, before) in [
        (json!(["22-2"]), "2026-11-20T01:00:00Z", vec!["days"], vec![]),
        (json!(["22-2"]), "2026-11-20T23:00:00Z", vec![], vec![]),
        (json!(["22-2"]), "2026-11-21T01:59:59Z", vec![], vec!["days"]),
        (json!(["22-2"]), "2026-11-21T02:00:00Z", vec!["days", "hours"], vec!["days", "hours"]),
        (json!(["22-2"]), "2026-11-21T22:00:00Z", vec!["days"], vec!["days"]),
        // A day's own window comes before the end of the night's.
        (json!(["22-2", "0-1"]), "2026-11-20T00:30:00Z", vec![], vec![]),
        (json!(["22-2", "0-1"]), "2026-11-21T00:30:00Z", vec!["days"], vec!["days"]),
        (json!(["22-2", "0-1"]), "2026-11-21T01:30:00Z", vec![], vec!["days"]),
        // Ends at midnight.
        (json!(["22-0"]), "2026-11-21T00:00:00Z", vec!["days", "hours"], vec!["days", "hours"]),
        (json!(["17-20"]), "2026-11-20T18:00:00Z", vec![], vec![]),
    ] {
        for (reading, expected) in [(2, now), (1, before)] {
            let offer = offer_of(Terms { rules_reading: reading, ..both(hours.clone()) });
            let found = failed(&given([opened()]), purchase_at(booked_at), &offer);
            assert_eq!(found, expected, "{hours} {booked_at} {reading}");
        }
    }
}

#[test]
fn days_and_hours_are_the_campaigns_local_ones() {
    // 22 November 2026 is a Sunday; London is on UTC then, and one hour ahead in July.
    passes(purchase_at("2026-11-22T23:59:59Z"), json!({ "weekdays": ["sat", "sun"] }));
    fails(purchase_at("2026-11-23T00:00:00Z"), json!({ "weekdays": ["sat", "sun"] }));
    let evening = || json!({ "hours": ["17-20"] });
    fails(purchase_at("2026-11-22T16:59:59Z"), evening());
    passes(purchase_at("2026-11-22T17:00:00Z"), evening());
    passes(purchase_at("2026-11-22T19:59:59Z"), evening());
    fails(purchase_at("2026-11-22T20:00:00Z"), evening());
    let night = || json!({ "hours": ["22-2"] });
    for (time, open) in
        [("21:59", false), ("22:00", true), ("00:30", true), ("01:59", true), ("02:00", false)]
    {
        let line = purchase_at(&format!("2026-11-22T{time}:00Z"));
        if open { passes(line, night()) } else { fails(line, night()) }
    }
    let mut summer = asking(evening());
    summer.terms = Arc::new(Terms { starts_at: at("2026-07-01T00:00:00Z"), ..(*summer.terms).clone() });
    let in_july = |time: &str| failed(&given([opened()]), purchase_at(time), &summer);
    assert_eq!(in_july("2026-07-05T16:00:00Z"), [""; 0]);
    assert_eq!(in_july("2026-07-05T19:00:00Z"), ["it"]);
}

#[test]
fn wins_are_counted_per_day_week_and_month_of_the_campaign() {
    let draw = |booked_at: &str| {
        let mut line = purchase(booked_at);
        line.line.booked_at = at(booked_at);
        line
    };
    // A win of GBP 5.00 on Wednesday, 11 November 2026, in the last minute of its local day.
    let won =
        given([opened()]).and(evaluate(draw("2026-11-11T23:59:00Z"), asking(json!({ "wins_per_day": 1 }))));
    assert_eq!(won.state.rewards().count(), 1);
    let days = [
        ("2026-11-11T00:00:00Z", "day week month"),
        ("2026-11-12T00:00:00Z", "week month"),
        ("2026-11-09T00:00:00Z", "week month"),
        ("2026-11-15T23:59:59Z", "week month"),
        ("2026-11-08T23:59:59Z", "month"),
        ("2026-11-16T00:00:00Z", "month"),
        ("2026-11-30T23:59:59Z", "month"),
        ("2026-11-01T00:00:00Z", "month"),
        ("2026-10-31T23:59:59Z", ""),
    ];
    for (booked_at, reached) in days {
        for period in ["day", "week", "month"] {
            for (limit, below) in [("wins_per", 2), ("won_minor_per", 5_01)] {
                let at_limit = if limit == "wins_per" { 1 } else { 5_00 };
                let rule = |most: i32| asking(json!({ format!("{limit}_{period}"): most }));
                let expected: &[&str] = if reached.contains(period) { &["it"] } else { &[] };
                assert_eq!(
                    failed(&won, draw(booked_at), &rule(at_limit)),
                    expected,
                    "{limit} {period} {booked_at}"
                );
                assert_eq!(
                    failed(&won, draw(booked_at), &rule(below)),
                    [""; 0],
                    "{limit} {period} {booked_at}"
                );
            }
        }
    }
}

#[test]
fn an_account_has_to_be_so_many_whole_days_old() {
    // Enrolled on 1 November at midnight.
    fails(purchase_at("2026-11-21T23:59:59Z"), json!({ "account_age_days_min": 21 }));
    passes(purchase_at("2026-11-22T00:00:00Z"), json!({ "account_age_days_min": 21 }));
    fails(purchase_at("2026-10-30T00:00:00Z"), json!({ "account_age_days_min": 1 }));
}

#[test]
fn transactions_are_counted_in_any_hours_that_hold_the_booking() {
    let offer = asking(json!({ "transactions_max": { "count": 2, "hours": 1 } }));
    let booked = |id: &str, time: &str| {
        let mut line = purchase(id);
        line.line.booked_at = at(&format!("2026-11-22T{time}Z"));
        line
    };
    let one = given([opened()]).and(evaluate(booked("a", "10:00:00"), offer.clone()));
    assert_eq!(failed(&one, booked("b", "10:30:00"), &offer), [""; 0]);
    let two = one.and(evaluate(booked("b", "10:30:00"), offer.clone()));
    assert_eq!(failed(&two, booked("c", "10:59:59"), &offer), ["it"]);
    // An hour after the first one, it no longer counts.
    assert_eq!(failed(&two, booked("c", "11:00:00"), &offer), [""; 0]);
    // Whatever comes late lies in an hour with what was booked after it.
    assert_eq!(failed(&two, booked("c", "10:29:59"), &offer), ["it"]);
    assert_eq!(failed(&two, booked("c", "09:30:01"), &offer), ["it"]);
    assert_eq!(failed(&two, booked("c", "09:30:00"), &offer), [""; 0]);
}

#[test]
fn an_account_remembers_a_bounded_number_of_booking_times_the_latest() {
    let offer = asking(json!({ "transactions_max": { "count": 64, "hours": 168 } }));
    let mut account = given([opened()]);
    let bought = |second: usize| {
        let mut line = purchase(&format!("t{second}"));
        line.line.booked_at =
            at("2026-11-22T10:00:00Z").plus_micros(i64::try_from(second).unwrap() * 1_000_000);
        line
    };
    // Out of order, as late lines come.
    for n in 0..2 * BOOKED_MAX {
        account = account.and(evaluate(bought(n ^ 1), offer.clone()));
    }
    assert_eq!(account.state.memory.booked.len(), BOOKED_MAX);
    assert!(account.state.memory.booked.iter().is_sorted_by_key(|line| line.at));
    assert_eq!(account.state.memory.booked.back().unwrap().at, bought(2 * BOOKED_MAX - 1).line.booked_at);
    assert_eq!(failed(&account, bought(2 * BOOKED_MAX), &offer), ["it"]);
}

#[test]
fn an_expression_decides_over_the_same_facts() {
    passes(purchase("t1"), json!({ "cel": "amount_minor >= 1250 && mcc == '5814' && country == 'GB'" }));
    fails(purchase("t1"), json!({ "cel": "weekday < 6" }));
}

/// An expression that an old log has and today's would refuse: it declines, it never passes.
#[test]
fn an_expression_that_no_longer_compiles_declines_every_line() {
    let rules: Rules =
        serde_json::from_value(json!([{ "code": "it", "cel": "[1].exists(x, true)" }])).unwrap();
    assert_eq!(failed(&given([opened()]), purchase("t1"), &offer_with(rules)), ["it", "rule_error"]);
}

/// Every event as the first release wrote it, read and applied by this one.
#[test]
fn an_old_log_replays_under_its_old_terms() {
    let old: Terms = serde_json::from_value(json!({
        "campaign_id": "autumn", "name": "Autumn", "time_zone": "Europe/London",
        "starts_at": "2026-10-01T00:00:00Z", "eligible_from": "campaign_start",
        "rules": { "mcc_denied": ["5814"], "amount_min_minor": 2000, "wins_per_day": 3 },
        "prize_table": { "currency": "GBP", "tiers": [{ "name": "fiver", "odds_ppb": 1, "prize": { "fixed": 500 } }] },
        "budget": { "minor": 100_000, "currency": "GBP" }
    }))
    .unwrap();
    let declined = failed(&given([opened()]), purchase("t1"), &offer_of(old));
    assert_eq!(declined, ["mcc_denied", "amount_too_small"]);
    let history: Vec<AccountEvent> = serde_json::from_value(json!([
        { "AccountOpened": { "enrolled_at": "2026-11-01T00:00:00Z" } },
        { "AccountExcluded": { "excluded_at": "2026-11-02T00:00:00Z", "reason": "staff" } },
        { "TransactionEvaluated": {
            "line": { "source": "acme-bank", "transaction_id": "t0", "booked_at": "2026-11-03T00:00:00Z",
                      "fingerprint": "00000000000000000000000000000000" },
            "outcome": "declined",
            "considered": [{ "campaign_id": "autumn", "campaign_version": 1,
                             "failed": ["account_excluded", "mcc_denied", "a_word_of_later"] }] } }
    ]))
    .unwrap();
    let AccountEvent::TransactionEvaluated { considered, .. } = &history[2] else {
        unreachable!("it is the third")
    };
    let later = RuleCode::Named("a_word_of_later".into());
    assert_eq!(considered[0].failed, [RuleCode::AccountExcluded, RuleCode::MccDenied, later]);
    let state = given(history).state;
    assert!(state.excluded.is_some() && state.memory.booked.len() == 1 && state.memory.merchants.is_empty());
}

/// Conditions of which the purchase meets every second kind.
fn any_condition() -> impl Strategy<Value = (serde_json::Value, bool)> {
    prop_oneof![
        Just((json!({ "mcc_denied": ["5814"] }), false)),
        Just((json!({ "mcc_allowed": ["5814"] }), true)),
        Just((json!({ "countries_allowed": ["FR"] }), false)),
        Just((json!({ "merchants_denied": ["m_1"] }), true)),
        (1_i64..3_000).prop_map(|min| (json!({ "amount_min_minor": min }), min <= 12_50)),
        (0_u32..24).prop_map(|hour| (json!({ "hours": [format!("{hour}-{}", hour + 1)] }), hour == 10)),
        (1_u32..60).prop_map(|days| (json!({ "account_age_days_min": days }), days <= 21)),
        (1_i64..3_000).prop_map(|min| (json!({ "cel": format!("amount_minor >= {min}") }), min <= 12_50)),
        Just((json!({ "cel": "true" }), true)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever the rules and their number: each that fails is named, once, in the order of the
    /// terms.
    #[test]
    fn every_failing_rule_is_reported_in_the_order_of_the_terms(
        conditions in prop::collection::vec(any_condition(), 0..12)
    ) {
        let named = conditions.iter().enumerate().map(|(n, (condition, _))| {
            let mut rule = condition.clone();
            rule["code"] = format!("rule_{n}").into();
            rule
        });
        let rules: Rules = serde_json::from_value(named.collect()).unwrap();
        let unmet = conditions.iter().enumerate().filter(|(_, (_, met))| !met);
        let expected: Vec<_> = unmet.map(|(n, _)| format!("rule_{n}")).collect();
        prop_assert_eq!(failed(&given([opened()]), purchase("t1"), &offer_with(rules)), expected);
    }
}
