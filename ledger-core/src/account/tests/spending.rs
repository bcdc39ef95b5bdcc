//! Rules about what a customer's purchases come to within some hours.

use serde_json::json;

use super::named::{asking, failed};
use super::*;
use crate::account::memory::BOOKED_MAX;
use crate::keys::SealedAmount;

/// A purchase of so many pence.
fn spending(id: &str, time: &str, minor: i64) -> PreparedTransaction {
    let mut line = line(id, Status::Booked, minor);
    line.line.booked_at = at(&format!("2026-11-22T{time}Z"));
    line
}

#[test]
fn purchases_are_added_up_in_any_hours_that_hold_the_booking() {
    let offer = asking(json!({ "spent_max": { "minor": 30_00, "hours": 1 } }));
    let one = given([opened()]).and(evaluate(spending("a", "10:00:00", 20_00), offer.clone()));
    assert_eq!(failed(&one, spending("b", "10:30:00", 10_00), &offer), [""; 0]);
    assert_eq!(failed(&one, spending("b", "10:30:00", 10_01), &offer), ["it"]);
    // An hour after the first one, it no longer counts.
    assert_eq!(failed(&one, spending("b", "10:59:59", 10_01), &offer), ["it"]);
    assert_eq!(failed(&one, spending("b", "11:00:00", 30_00), &offer), [""; 0]);
    // What comes late lies in an hour with what was booked after it.
    assert_eq!(failed(&one, spending("b", "09:00:01", 10_01), &offer), ["it"]);
    assert_eq!(failed(&one, spending("b", "09:00:01", 10_00), &offer), [""; 0]);
    assert_eq!(failed(&one, spending("b", "09:00:00", 30_00), &offer), [""; 0]);
    // A purchase alone may be too much; a declined one counts like any other.
    assert_eq!(failed(&given([opened()]), spending("b", "10:30:00", 30_01), &offer), ["it"]);
    let two = one.and(evaluate(spending("b", "10:30:00", 90_00), offer.clone()));
    assert_eq!(failed(&two, spending("c", "11:15:00", 1), &offer), ["it"]);
    // Every campaign sees it.
    let other = asking(json!({ "cel": "spent_minor_last_hour == 9001 && spent_minor_last_week == 11001" }));
    assert_eq!(failed(&two, spending("c", "11:15:00", 1), &other), [""; 0]);
}

/// What is forgotten cannot be added up, so nothing passes within hours of it; whether it was
/// pushed out by what was booked later, or came too late to be remembered at all.
#[test]
fn where_the_account_has_forgotten_a_line_within_the_hours_a_rule_about_them_fails() {
    let rich = asking(json!({ "spent_max": { "minor": 100_000_000, "hours": 1 } }));
    let many = asking(json!({ "transactions_max": { "count": 64, "hours": 1 } }));
    let minute = |n: usize| format!("{:02}:{:02}:00", 10 + n / 60, n % 60);
    let bought = |account: Given<RewardAccount>, n: usize| {
        account.and(evaluate(spending(&format!("t{n}"), &minute(n), 1), rich.clone()))
    };
    let full = (1..=BOOKED_MAX).fold(given([opened()]), bought);
    for offer in [&rich, &many] {
        // Nothing is forgotten yet.
        assert_eq!(failed(&full, spending("late", &minute(0), 1), offer), [""; 0]);
        // The line of 10:01 is pushed out, the next one is an hour and more after it.
        let pushed = bought(full.clone(), BOOKED_MAX + 1);
        assert_eq!(failed(&pushed, spending("next", &minute(62), 1), offer), [""; 0]);
        assert_eq!(failed(&pushed, spending("late", &minute(61), 1), offer), [""; 0]);
        assert_eq!(failed(&pushed, spending("late", &minute(60), 1), offer), ["it"]);
        assert_eq!(failed(&pushed, spending("late", &minute(0), 1), offer), ["it"]);
        // One of 10:00 finds no place.
        let unplaced = bought(full.clone(), 0);
        assert_eq!(failed(&unplaced, spending("late", &minute(59), 1), offer), ["it"]);
        assert_eq!(failed(&unplaced, spending("late", &minute(60), 1), offer), [""; 0]);
    }
}

#[test]
fn only_what_was_spent_in_the_campaign_s_currency_is_added_up() {
    let offer = asking(json!({ "spent_max": { "minor": 30_00, "hours": 24 } }));
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut line = spending("a", "10:00:00", 30_00);
        change(&mut line.facts);
        let amount = *line.facts.amount.expose();
        line.line.spent = line.facts.is_purchase().then(|| line.amounts.seal(amount));
        line
    };
    let euros = Money::new(30_00, Currency::from_code("EUR").unwrap()).unwrap();
    for line in [
        with(&|facts| facts.direction = Direction::Credit),
        with(&|facts| facts.refund = true),
        with(&|facts| facts.amount = Personal::new(euros)),
    ] {
        let account = given([opened()]).and(evaluate(line.clone(), offer.clone()));
        assert_eq!(failed(&account, spending("b", "10:30:00", 30_00), &offer), [""; 0]);
        // Nor is such a line asked, whatever was spent before it: other checks have declined it.
        let full = given([opened()]).and(evaluate(spending("a", "09:00:00", 30_01), offer.clone()));
        let mut line = line;
        line.key = key("b");
        line.line.transaction_id = "b".parse().unwrap();
        assert!(!failed(&full, line, &offer).contains(&"it".to_owned()));
    }
}

/// Lines of earlier releases have no amount that a rule could open; one that is another's is no
/// answer.
#[test]
fn an_amount_that_does_not_open_declines_and_one_that_there_is_not_does_not() {
    let offer = asking(json!({ "spent_max": { "minor": 30_00, "hours": 24 } }));
    let expression = asking(json!({ "cel": "spent_minor_last_day <= 3000" }));
    let after = |spent: Option<SealedAmount>| {
        let mut line = spending("a", "10:00:00", 1);
        line.line.spent = spent;
        given([opened()]).and(evaluate(line, offer.clone()))
    };
    for offer in [&offer, &expression] {
        let before = after(None);
        assert_eq!(failed(&before, spending("b", "10:30:00", 30_00), offer), [""; 0]);
        let wrong = after(Some(AmountKey::new(&[8; 32]).seal(gbp(1))));
        assert_eq!(failed(&wrong, spending("b", "10:30:00", 1), offer), ["it", "rule_error"]);
        // Out of the hours that are asked about, it does not matter.
        let mut next_week = spending("b", "10:30:00", 1);
        next_week.line.booked_at = at("2026-11-29T10:30:00Z");
        assert_eq!(failed(&wrong, next_week, offer), [""; 0]);
    }
}

#[test]
fn an_erased_account_remembers_no_amounts() {
    let bought = given([opened()]).and(evaluate(purchase("a"), offer_with(Rules::default()))).state;
    assert!(bought.memory.booked[0].spent.is_some());
    let mut erased = bought.clone();
    erased.remember(AccountEvent::PersonalDataErased { erased_at: at(NOW) });
    assert!(
        erased.memory.booked[0].at == bought.memory.booked[0].at && erased.memory.booked[0].spent.is_none()
    );
}
