//! What follows a win: issue, tell, pay, take back, in any order and more than once.

use super::*;
use crate::account::command::{Outstanding, Rejection};
use crate::account::reward::ATTEMPTS_MAX;
use crate::posting::Posting;

fn winner() -> Given<RewardAccount> {
    given([opened()]).and(evaluate(purchase("t1"), offer()))
}

fn issue() -> CommandKind {
    CommandKind::IssueReward { entry_id: entry("t1") }
}

fn request() -> CommandKind {
    CommandKind::RequestCredit { entry_id: entry("t1") }
}

fn confirm(attempt: u32, payout: &str) -> CommandKind {
    CommandKind::ConfirmCredit { entry_id: entry("t1"), attempt, payout_reference: payout.parse().unwrap() }
}

fn refuse(attempt: u32) -> CommandKind {
    CommandKind::FailCredit { entry_id: entry("t1"), attempt, reason: "account_blocked".into() }
}

fn reverse() -> CommandKind {
    CommandKind::ReverseReward { entry_id: entry("t1"), reason: "mistake".into() }
}

fn issued() -> Given<RewardAccount> {
    winner().and(issue())
}

fn requested() -> Given<RewardAccount> {
    issued().and(request())
}

fn credited() -> Given<RewardAccount> {
    requested().and(confirm(1, "pay_1"))
}

fn outstanding(attempt: u32, fresh: bool, reversed: bool) -> AccountAnswer {
    AccountAnswer::Outstanding(Outstanding {
        attempt,
        amount: gbp(5_00),
        requested_at: at(NOW),
        fresh,
        reversed,
    })
}

fn postings(then: &Then<RewardAccount>) -> Vec<Posting> {
    then.events().iter().filter_map(|event| event.posting().cloned()).collect()
}

fn budget_returned(then: &Then<RewardAccount>) -> bool {
    match then.events().last() {
        Some(AccountEvent::RewardReversed { budget_returned, .. }) => *budget_returned,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reward_is_issued_once() {
    let then = winner().when(issue()).then_happens(&["RewardIssued"]).then_answers(AccountAnswer::Done);
    assert_eq!(postings(&then), [Posting::issue(&"autumn".parse().unwrap(), gbp(5_00))]);
    then.accepted().when(issue()).then_only_answers(AccountAnswer::Unchanged);
}

#[test]
fn a_customer_is_told_once() {
    let tell = || CommandKind::RecordNotification { entry_id: entry("t1") };
    let told = winner().when(tell()).then_happens(&["CustomerNotified"]).accepted();
    told.when(tell()).then_only_answers(AccountAnswer::Unchanged);
}

#[test]
fn an_unknown_reward_is_refused() {
    for kind in [issue(), request(), confirm(1, "pay_1"), refuse(1), reverse()] {
        given([opened()]).when(kind).then_rejects(Rejection::UnknownReward(entry("t1")));
    }
    let tell = CommandKind::RecordNotification { entry_id: entry("t1") };
    given([opened()]).when(tell).then_rejects(Rejection::UnknownReward(entry("t1")));
}

#[test]
fn only_an_issued_reward_is_paid() {
    winner().when(request()).then_rejects(Rejection::NotIssued(entry("t1")));
}

#[test]
fn an_attempt_is_recorded_before_anything_is_sent_and_stays_outstanding() {
    let fresh = issued().when(request()).then([AccountEvent::CreditRequested {
        entry_id: entry("t1"),
        attempt: 1,
        amount: gbp(5_00),
        requested_at: at(NOW),
    }]);
    let asked = fresh.then_answers(outstanding(1, true, false)).accepted();
    let later = asked.at(at("2026-11-23T12:00:00Z")).when(request());
    later.then_only_answers(outstanding(1, false, false));
}

#[test]
fn the_attempt_rises_only_after_a_recorded_refusal_and_not_for_ever() {
    let mut account = requested();
    for attempt in 1..ATTEMPTS_MAX {
        account = account.and(refuse(attempt));
        let then = account.when(request()).then_answers(outstanding(attempt + 1, true, false));
        account = then.accepted();
    }
    let given_up = account.and(refuse(ATTEMPTS_MAX));
    given_up.clone().when(request()).then_only_answers(AccountAnswer::GivenUp { attempt: ATTEMPTS_MAX });
    // A person may want one more: one, whatever is said again.
    let again = |refused| CommandKind::RetryCredit { entry_id: entry("t1"), refused };
    let wanted = given_up.when(again(ATTEMPTS_MAX));
    let wanted = wanted.then_answers(outstanding(ATTEMPTS_MAX + 1, true, false)).accepted();
    let wanted = wanted.when(again(ATTEMPTS_MAX));
    let refused = wanted.then_answers(outstanding(ATTEMPTS_MAX + 1, false, false)).accepted();
    let refused = refused.and(refuse(ATTEMPTS_MAX + 1));
    refused.when(again(ATTEMPTS_MAX)).then_only_answers(AccountAnswer::GivenUp { attempt: ATTEMPTS_MAX + 1 });
}

#[test]
fn a_refusal_is_recorded_once() {
    let refused = requested().when(refuse(1)).then_happens(&["CreditFailed"]).accepted();
    refused.clone().when(refuse(1)).then_only_answers(AccountAnswer::Unchanged);
    // A late word about the first attempt says nothing about the second.
    let second = refused.and(request());
    second.clone().when(refuse(1)).then_only_answers(AccountAnswer::Unchanged);
    second.when(request()).then_only_answers(outstanding(2, false, false));
    credited().when(refuse(1)).then_only_answers(AccountAnswer::Unchanged);
}

#[test]
fn an_attempt_that_was_never_made_is_refused() {
    let unknown = |attempt| Rejection::UnknownAttempt { entry_id: entry("t1"), attempt };
    for attempt in [0, 2] {
        requested().when(confirm(attempt, "pay_1")).then_rejects(unknown(attempt));
        requested().when(refuse(attempt)).then_rejects(unknown(attempt));
    }
    issued().when(confirm(1, "pay_1")).then_rejects(unknown(1));
}

#[test]
fn a_payment_is_recorded_once_and_settles_the_reward() {
    let then = requested().when(confirm(1, "pay_1")).then_happens(&["RewardCredited"]);
    assert_eq!(postings(&then), [Posting::credit(gbp(5_00))]);
    let paid = then.then_answers(AccountAnswer::Done).accepted();
    paid.clone().when(confirm(1, "pay_1")).then_only_answers(AccountAnswer::Unchanged);
    paid.when(request()).then_only_answers(AccountAnswer::Settled);
}

#[test]
fn a_credited_reward_cannot_be_credited_with_another_payout() {
    credited().when(confirm(1, "pay_2")).then_rejects(Rejection::AlreadyCredited {
        entry_id: entry("t1"),
        payout_reference: "pay_1".parse().unwrap(),
    });
}

#[test]
fn a_payment_by_an_earlier_attempt_counts() {
    let second = requested().and(refuse(1)).and(request());
    let paid = second.when(confirm(1, "pay_1")).then_happens(&["RewardCredited"]).accepted();
    paid.clone().when(request()).then_only_answers(AccountAnswer::Settled);
    paid.when(confirm(2, "pay_2")).then_rejects(Rejection::AlreadyCredited {
        entry_id: entry("t1"),
        payout_reference: "pay_1".parse().unwrap(),
    });
}

#[test]
fn a_win_reversed_before_it_was_issued_shows_both_in_the_books() {
    let then = winner().when(reverse()).then_happens(&["RewardIssued", "RewardReversed"]);
    assert!(budget_returned(&then));
    let reversed = then.accepted();
    reversed.clone().when(reverse()).then_only_answers(AccountAnswer::Unchanged);
    reversed.clone().when(issue()).then_only_answers(AccountAnswer::Unchanged);
    reversed.when(request()).then_only_answers(AccountAnswer::Settled);
}

#[test]
fn the_budget_gets_back_only_what_cannot_have_been_paid() {
    let reversed = |account: Given<RewardAccount>| account.when(reverse()).then_happens(&["RewardReversed"]);
    assert!(budget_returned(&reversed(issued())));
    assert!(!budget_returned(&reversed(requested())));
    assert!(budget_returned(&reversed(requested().and(refuse(1)))));
    assert!(!budget_returned(&reversed(requested().and(refuse(1)).and(request()))));
    assert!(!budget_returned(&reversed(credited())));
}

#[test]
fn a_reversal_while_a_payment_may_be_under_way_is_asked_about_and_not_sent_again() {
    let reversed = requested().and(reverse());
    reversed.clone().when(request()).then_only_answers(outstanding(1, false, true));
    reversed.and(refuse(1)).when(request()).then_only_answers(AccountAnswer::Settled);
}

#[test]
fn a_payment_after_the_reversal_is_owed_by_the_customer() {
    let then = requested().and(reverse()).when(confirm(1, "pay_1"));
    assert_eq!(postings(&then), [Posting::receivable(gbp(5_00))]);
    let paid = then.accepted();
    paid.clone().when(confirm(1, "pay_1")).then_only_answers(AccountAnswer::Unchanged);
    paid.when(reverse()).then_only_answers(AccountAnswer::Unchanged);
}

#[test]
fn a_reversal_after_the_payment_is_owed_by_the_customer() {
    let then = credited().when(reverse()).then_happens(&["RewardReversed"]);
    let campaign = "autumn".parse().unwrap();
    assert_eq!(postings(&then), [Posting::reversal_after_credit(&campaign, gbp(5_00))]);
    then.accepted().when(confirm(1, "pay_1")).then_only_answers(AccountAnswer::Unchanged);
}

#[test]
fn a_removed_line_does_not_reverse_a_reward_twice() {
    let removed = issued().and(reverse()).when(again(removal("t1"), known(12_50)));
    removed.then_happens(&["TransactionRemoved"]);
}

#[test]
fn what_is_owed_is_still_paid_after_the_account_is_closed() {
    let close = CommandKind::Close { reason: "left".into() };
    let closed = winner().and(close);
    let paid = closed.and(issue()).and(request()).when(confirm(1, "pay_1"));
    paid.then_happens(&["RewardCredited"]);
}
