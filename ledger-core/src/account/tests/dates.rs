//! Lines of which the bank gives a date and no time: windows compare by the day there, rules about
//! hours have nothing to look at.

use serde_json::json;

use super::named::{asking, failed};
use super::*;
use crate::account::Rejection;

fn purchase_on(date: &str) -> PreparedTransaction {
    let mut purchase = purchase_at(&format!("{date}T00:00:00Z"));
    purchase.line.time_known = false;
    purchase
}

fn in_zone(zone: &str, starts_at: &str, ends_at: &str) -> Offer {
    offer_of(Terms {
        time_zone: Zone::named(zone),
        starts_at: at(starts_at),
        ends_at: Some(at(ends_at)),
        eligible_from: EligibleFrom::CampaignStart,
        ..terms()
    })
}

fn draw_of(date: &str, offer: &Offer) -> Result<(String, String), Vec<RuleCode>> {
    let then = given([opened()]).when(evaluate(purchase_on(date), offer.clone()));
    let [AccountEvent::TransactionEvaluated { considered, draws, .. }] = then.events() else {
        panic!("{:?}", then.events())
    };
    match draws.as_slice() {
        [draw] => Ok((draw.day.to_string(), draw.epoch.to_string())),
        _ => Err(considered[0].failed.clone()),
    }
}

/// From noon to noon there: both days count as a whole, and each draws in an epoch of the campaign.
#[test]
fn the_first_and_the_last_day_of_a_campaign_are_whole_days_wherever_it_runs() {
    for (zone, starts_at, ends_at, first, last) in [
        ("Europe/London", "2026-11-03T12:00:00Z", "2026-11-10T12:00:00Z", "2026-11-03", "2026-11-10"),
        ("Pacific/Kiritimati", "2026-11-02T22:00:00Z", "2026-11-09T22:00:00Z", "2026-11-03", "2026-11-09"),
        ("America/Los_Angeles", "2026-11-03T20:00:00Z", "2026-11-10T20:00:00Z", "2026-11-03", "2026-11-10"),
        // At six in the evening there it is the next day already in UTC.
        ("America/Los_Angeles", "2026-11-04T02:00:00Z", "2026-11-11T02:00:00Z", "2026-11-04", "2026-11-10"),
    ] {
        let offer = in_zone(zone, starts_at, ends_at);
        let drawn = |day: &str, epoch: &str| Ok((day.to_owned(), epoch.to_owned()));
        assert_eq!(draw_of("2026-11-02", &offer), Err(vec![RuleCode::BeforeCampaign]), "{zone}");
        assert_eq!(draw_of("2026-11-03", &offer), drawn("2026-11-03", first), "{zone}");
        assert_eq!(draw_of("2026-11-05", &offer), drawn("2026-11-05", "2026-11-05"), "{zone}");
        assert_eq!(draw_of("2026-11-10", &offer), drawn("2026-11-10", last), "{zone}");
        assert_eq!(draw_of("2026-11-11", &offer), Err(vec![RuleCode::AfterCampaign]), "{zone}");
    }
}

/// What ends at midnight does not hold on the day that begins then.
#[test]
fn a_campaign_that_ends_with_a_day_there_takes_that_day_and_no_other() {
    for (zone, starts_at, ends_at) in [
        ("Europe/London", "2026-11-03T00:00:00Z", "2026-11-11T00:00:00Z"),
        ("Asia/Tokyo", "2026-11-02T15:00:00Z", "2026-11-10T15:00:00Z"),
        ("America/Los_Angeles", "2026-11-03T08:00:00Z", "2026-11-11T08:00:00Z"),
    ] {
        let offer = in_zone(zone, starts_at, ends_at);
        assert_eq!(draw_of("2026-11-02", &offer), Err(vec![RuleCode::BeforeCampaign]), "{zone}");
        assert!(draw_of("2026-11-03", &offer).is_ok() && draw_of("2026-11-10", &offer).is_ok(), "{zone}");
        assert_eq!(draw_of("2026-11-11", &offer), Err(vec![RuleCode::AfterCampaign]), "{zone}");
    }
}

/// The customer enrols at midnight UTC, when it is evening in New York.
#[test]
fn the_day_of_enrolment_counts() {
    let enrolling = |zone: &str| offer_of(Terms { time_zone: Zone::named(zone), ..terms() });
    let (london, new_york) = (enrolling("Europe/London"), enrolling("America/New_York"));
    assert_eq!(draw_of("2026-10-31", &london), Err(vec![RuleCode::BeforeEnrolment]));
    assert!(draw_of("2026-11-01", &london).is_ok());
    assert_eq!(draw_of("2026-10-30", &new_york), Err(vec![RuleCode::BeforeEnrolment]));
    assert!(draw_of("2026-10-31", &new_york).is_ok());
}

#[test]
fn a_rule_about_hours_has_no_time_to_look_at_and_the_weekday_is_that_of_the_date() {
    // A Sunday; midnight UTC would lie in the first of these.
    let fails = |condition| failed(&given([opened()]), purchase_on("2026-11-22"), &asking(condition));
    assert_eq!(fails(json!({ "hours": ["0-1"] })), ["it"]);
    assert_eq!(fails(json!({ "hours": ["0-24"] })), ["it"]);
    assert_eq!(fails(json!({ "hours": ["9-17"], "missing": "pass" })), [""; 0]);
    assert_eq!(fails(json!({ "hours": ["0-24"], "missing": "decline" })), ["it"]);
    assert_eq!(fails(json!({ "cel": "hour >= 0" })), ["it", "rule_error"]);
    assert_eq!(fails(json!({ "cel": "hour < 0" })), ["it", "rule_error"]);
    assert_eq!(fails(json!({ "cel": "weekday == 7 && day == '2026-11-22'" })), [""; 0]);
    for (days, passes) in [(json!(["sun"]), true), (json!(["sat"]), false)] {
        assert_eq!(fails(json!({ "weekdays": days })).is_empty(), passes);
    }
    // A window over midnight belongs to the day on which it began: that cannot be told.
    let night = json!([
        { "code": "night", "hours": ["22-2"], "missing": "pass" },
        { "code": "it", "weekdays": ["sun"] },
    ]);
    let rules: Rules = serde_json::from_value(night).unwrap();
    let offer = offer_of(Terms { eligible_from: EligibleFrom::CampaignStart, rules, ..terms() });
    assert_eq!(failed(&given([opened()]), purchase_on("2026-11-22"), &offer), [""; 0]);
}

#[test]
fn days_as_a_customer_are_those_of_the_calendar() {
    let fails = |days: u32, date: &str| {
        failed(&given([opened()]), purchase_on(date), &asking(json!({ "account_age_days_min": days })))
    };
    assert_eq!((fails(20, "2026-11-20"), fails(20, "2026-11-21")), (vec!["it".to_owned()], vec![]));
}

#[test]
fn a_cap_of_a_day_counts_dates_and_times_of_that_day_together() {
    let once = || {
        offer_of(Terms {
            time_zone: Zone::named("America/Los_Angeles"),
            eligible_from: EligibleFrom::CampaignStart,
            rules: ShortRules { wins_per_day: Some(1), ..ShortRules::default() }.into(),
            ..terms()
        })
    };
    let on = |id: &str, date: &str| {
        let mut line = purchase_on(date);
        line.line.transaction_id = id.parse().unwrap();
        line.key = TransactionKey::of(&line.line.source, &line.line.transaction_id);
        evaluate(line, once())
    };
    let mut evening = purchase("evening");
    evening.line.booked_at = at("2026-11-23T07:59:59Z");
    let won = given([opened()]).and(evaluate(evening, once()));
    won.clone().when(on("same", "2026-11-22")).then_declines(&[RuleCode::WinsPerDay]);
    won.when(on("next", "2026-11-23")).then_answers(super::won(5_00));
}

#[test]
fn a_repeat_with_a_date_for_a_time_is_one_within_31_days_of_the_calendar() {
    let first = Known { booked_at: Some(purchase_at("2026-11-01T23:00:00Z").line.booked()), ..known(12_50) };
    let bought = given([opened()]).and(evaluate(purchase_at("2026-11-01T23:00:00Z"), offer()));
    let again = |line| bought.clone().when(again(line, first.clone()));
    again(purchase_on("2026-12-02")).then_only_answers(DUPLICATE);
    again(purchase_on("2026-10-01")).then_only_answers(DUPLICATE);
    again(purchase_on("2026-12-03")).then_rejects(Rejection::Conflict);
    again(purchase_on("2026-09-30")).then_rejects(Rejection::Conflict);
    // Between two times it stays what it was.
    again(purchase_at("2026-12-02T23:00:00.000001Z")).then_rejects(Rejection::Conflict);
}
