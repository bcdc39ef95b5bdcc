//! Lines that come again, under other ids, too late, or to an account that takes nothing new.

use super::*;
use crate::account::command::Rejection;

fn decided_purchase() -> Given<RewardAccount> {
    given([opened()]).and(evaluate(purchase("t1"), offer()))
}

fn waiting() -> Given<RewardAccount> {
    given([opened()]).and(evaluate(purchase("t1"), offer_in(EpochOffer::NotOpen)))
}

/// Taken back by the bank and booked again.
fn held() -> Given<RewardAccount> {
    decided_purchase().and(again(removal("t1"), known(12_50))).and(again(purchase("t1"), known(12_50)))
}

fn closed() -> Given<RewardAccount> {
    decided_purchase().and(CommandKind::Close { reason: "left".into() })
}

#[test]
fn a_line_booked_twice_is_a_duplicate() {
    decided_purchase().when(again(purchase("t1"), known(12_50))).then_only_answers(DUPLICATE);
    waiting().when(again(purchase("t1"), known(12_50))).then_only_answers(DUPLICATE);
}

#[test]
fn an_id_booked_with_other_terms_is_a_conflict() {
    decided_purchase()
        .when(again(line("t1", Status::Booked, 12_51), known(12_50)))
        .then_rejects(Rejection::Conflict);
}

#[test]
fn an_id_booked_again_more_than_31_days_apart_is_a_conflict_and_not_a_repeat() {
    let again_after = |micros: i64, known| {
        let mut line = purchase("t1");
        line.line.booked_at = at(BOOKED).plus_micros(micros);
        decided_purchase().when(again(line, known))
    };
    let most = 31 * crate::time::DAY_MICROS;
    for far in [most + 1, -most - 1, 300 * crate::time::DAY_MICROS] {
        again_after(far, known(12_50)).then_rejects(Rejection::Conflict);
    }
    for near in [0, most, -most] {
        again_after(near, known(12_50)).then_only_answers(DUPLICATE);
    }
    // What does not say when it was booked stays a repeat.
    let undated = Known { booked_at: None, ..known(12_50) };
    again_after(most + 1, undated).then_only_answers(DUPLICATE);
}

#[test]
fn a_pending_name_that_was_booked_more_than_31_days_before_is_another_purchases() {
    let long_before = at(BOOKED).plus_micros(-32 * crate::time::DAY_MICROS);
    let old = Known { booked_at: Some(BookedAt { at: long_before, time_known: true }), ..known(12_50) };
    let CommandKind::EvaluateTransaction(evaluation) = evaluate(purchase_once("t2", "p1"), offer()) else {
        panic!("a line is evaluated");
    };
    let reused =
        CommandKind::EvaluateTransaction(EvaluateTransaction { pending_known: Some(old), ..evaluation });
    given([opened()]).when(reused).then_answers(won(5_00));
}

#[test]
fn a_pending_line_is_noted_and_decides_nothing() {
    let line = pending("p1").line;
    given([opened()])
        .when(evaluate(pending("p1"), offer()))
        .then([AccountEvent::TransactionNoted { line }])
        .then_answers(AccountAnswer::Noted);
}

#[test]
fn a_pending_line_is_noted_again_only_when_its_terms_change() {
    let noted = given([opened()]).and(evaluate(pending("p1"), offer()));
    let repeat = noted.clone().when(evaluate(pending("p1"), offer()));
    repeat.then_only_answers(AccountAnswer::Duplicate { position: None });
    let tipped = || line("p1", Status::Pending, 14_00);
    let changed = noted.when(evaluate(tipped(), offer())).then_answers(AccountAnswer::Noted);
    let repeat = changed.accepted().when(evaluate(tipped(), offer()));
    repeat.then_only_answers(AccountAnswer::Duplicate { position: None });
}

#[test]
fn a_pending_line_may_be_booked_with_another_amount() {
    given([opened()])
        .and(evaluate(line("t1", Status::Pending, 9_00), offer()))
        .when(evaluate(purchase("t1"), offer()))
        .then_answers(won(5_00));
}

#[test]
fn a_pending_line_that_comes_after_its_booking_is_a_duplicate() {
    decided_purchase()
        .when(again(line("t1", Status::Pending, 9_00), known(12_50)))
        .then_only_answers(DUPLICATE);
}

#[test]
fn a_pending_line_that_was_booked_under_another_id_is_linked() {
    let booked = |before: Given<RewardAccount>| before.and(evaluate(purchase_once("t1", "p1"), offer()));
    let unseen = booked(given([opened()]));
    unseen.when(evaluate(pending("p1"), offer())).then_only_answers(AccountAnswer::Linked);
    let seen = booked(given([opened()]).and(evaluate(pending("p1"), offer())));
    seen.when(evaluate(pending("p1"), offer())).then_only_answers(AccountAnswer::Linked);
}

#[test]
fn a_booked_line_that_waits_has_taken_its_pending_lines_place() {
    given([opened()])
        .and(evaluate(purchase_once("t1", "p1"), offer_in(EpochOffer::NotOpen)))
        .when(evaluate(pending("p1"), offer()))
        .then_only_answers(AccountAnswer::Linked);
}

/// `t1`, which was pending as `p1`, after `p1` was booked itself for this many minor units.
fn booked_as_pending(minor: i64) -> CommandKind {
    let evaluation = evaluation(purchase_once("t1", "p1"), vec![offer()]);
    CommandKind::EvaluateTransaction(EvaluateTransaction { pending_known: Some(known(minor)), ..evaluation })
}

#[test]
fn a_line_whose_pending_name_was_booked_before_is_linked_if_its_terms_are_the_same() {
    let linked = given([opened()]).when(booked_as_pending(12_50));
    linked.then([linked_event("t1", "p1")]).then_answers(AccountAnswer::Linked);
    given([opened()]).when(booked_as_pending(10_00)).then_happens(&["TransactionEvaluated"]);
}

#[test]
fn one_purchase_booked_under_both_its_names_is_drawn_once() {
    given([opened()])
        .and(evaluate(purchase_once("t1", "p1"), offer()))
        .when(evaluate(purchase("p1"), offer()))
        .then([linked_event("p1", "t1")])
        .then_answers(AccountAnswer::Linked);
}

#[test]
fn a_removed_line_takes_its_win_back() {
    let then = decided_purchase().when(again(removal("t1"), known(12_50)));
    let then = then
        .then_happens(&["TransactionRemoved", "RewardIssued", "RewardReversed"])
        .then_answers(AccountAnswer::Removed);
    let after = then.accepted();
    assert!(after.state.rewards().all(|(_, reward)| reward.reversed));
    after.when(again(removal("t1"), known(12_50))).then_only_answers(DUPLICATE);
}

#[test]
fn a_removal_leaves_other_wins_alone() {
    let two = decided_purchase().and(evaluate(purchase("t2"), offer()));
    let after = two.and(again(removal("t1"), known(12_50)));
    let reversed: Vec<_> = after.state.rewards().filter(|(_, r)| r.reversed).map(|(id, _)| *id).collect();
    assert_eq!(reversed, [entry("t1")]);
}

#[test]
fn a_line_removed_while_it_waits_is_never_drawn() {
    waiting()
        .and(again(removal("t1"), known(12_50)))
        .when(resume(purchase("t1"), offer()))
        .then_only_answers(DUPLICATE);
}

#[test]
fn a_removal_before_any_booking_leaves_a_mark() {
    let marked = given([opened()]).when(evaluate(removal("t1"), offer()));
    let marked = marked.then_happens(&["TransactionRemoved"]).then_answers(AccountAnswer::Removed).accepted();
    marked.clone().when(again(removal("t1"), known_removed())).then_only_answers(DUPLICATE);
    marked.clone().when(again(pending("t1"), known_removed())).then_only_answers(DUPLICATE);
    let held = marked.when(again(purchase("t1"), known_removed()));
    held.then_answers(AccountAnswer::Deferred(DeferReason::Held));
}

#[test]
fn a_line_booked_again_after_its_removal_is_held_once() {
    let removed = decided_purchase().and(again(removal("t1"), known(12_50)));
    let (line, reason) = (purchase("t1").line, DeferReason::Held);
    removed
        .when(again(purchase("t1"), known(12_50)))
        .then([AccountEvent::TransactionDeferred { line, reason }])
        .then_answers(AccountAnswer::Deferred(reason));
    held().when(again(purchase("t1"), known(12_50))).then_only_answers(DUPLICATE);
}

#[test]
fn a_held_line_is_not_resumed_by_an_epoch() {
    held().when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
}

#[test]
fn a_line_that_waited_is_drawn_once() {
    let resumed = waiting().when(resume(purchase("t1"), offer())).then_answers(won(5_00));
    let resumed = resumed.accepted();
    resumed.when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
    decided_purchase().when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
}

#[test]
fn a_line_whose_epoch_still_has_not_opened_goes_on_waiting() {
    let still = waiting().when(resume(purchase("t1"), offer_in(EpochOffer::NotOpen)));
    let still = still.then_only_answers(AccountAnswer::Deferred(DeferReason::EpochNotOpen)).accepted();
    still.when(resume(purchase("t1"), offer())).then_answers(won(5_00));
}

#[test]
fn a_line_that_waited_is_judged_by_the_rules_of_the_day_it_is_drawn() {
    let paused = Offer { standing: Standing::Paused, ..offer() };
    waiting().when(resume(purchase("t1"), paused)).then_declines(&[RuleCode::CampaignPaused]);
}

#[test]
fn an_unknown_account_is_opened_by_its_first_line_where_enrolment_is_open() {
    given([]).when(evaluate(purchase("t1"), offer())).then_rejects(Rejection::AccountUnknown);
    let opens = |line| given([]).when(first_seen(line));
    opens(purchase("t1")).then_happens(&["AccountOpened", "TransactionEvaluated"]);
    opens(pending("p1")).then_happens(&["AccountOpened", "TransactionNoted"]);
    let after = opens(purchase("t1")).accepted();
    after.when(first_seen(purchase("t2"))).then_happens(&["TransactionEvaluated"]);
}

#[test]
fn a_line_booked_after_the_account_it_opens_takes_part() {
    given([])
        .when(first_seen(purchase_at("2026-11-22T12:00:00Z")))
        .then_happens(&["AccountOpened", "TransactionEvaluated"])
        .then_answers(won(5_00));
}

#[test]
fn opening_is_once() {
    let enrolled_at = at(NOW);
    let opened = given([]).when(CommandKind::Open).then([AccountEvent::AccountOpened { enrolled_at }]);
    opened.accepted().when(CommandKind::Open).then_only_answers(AccountAnswer::Unchanged);
}

#[test]
fn a_closed_account_takes_nothing_new_but_answers_repeats() {
    for new in [purchase("t2"), pending("p2"), removal("t2")] {
        closed().when(evaluate(new, offer())).then_rejects(Rejection::AccountClosed);
    }
    closed().when(again(purchase("t1"), known(12_50))).then_only_answers(DUPLICATE);
    let close = CommandKind::Close { reason: "left".into() };
    closed().when(close).then_only_answers(AccountAnswer::Unchanged);
    closed().when(CommandKind::Open).then_rejects(Rejection::AccountClosed);
}

#[test]
fn an_erased_account_takes_nothing_new_is_not_opened_again_but_answers_repeats() {
    let erased = || {
        let mut account = decided_purchase();
        cqrs_es::Aggregate::apply(&mut account.state, erased());
        account
    };
    erased().when(first_seen(purchase("t2"))).then_rejects(Rejection::AccountErased);
    erased().when(CommandKind::Open).then_rejects(Rejection::AccountErased);
    erased().when(again(purchase("t1"), known(12_50))).then_only_answers(DUPLICATE);
    given([super::erased()]).when(first_seen(purchase("t1"))).then_rejects(Rejection::AccountErased);
}

#[test]
fn a_line_that_waited_is_not_drawn_after_erasure() {
    let mut account = waiting();
    cqrs_es::Aggregate::apply(&mut account.state, erased());
    account.when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
}

#[test]
fn a_known_line_is_taken_back_even_from_a_closed_or_erased_account() {
    let happens = ["TransactionRemoved", "RewardIssued", "RewardReversed"];
    closed().when(again(removal("t1"), known(12_50))).then_happens(&happens);
    let mut account = decided_purchase();
    cqrs_es::Aggregate::apply(&mut account.state, erased());
    account.when(again(removal("t1"), known(12_50))).then_happens(&happens);
}

#[test]
fn nothing_can_be_changed_about_an_unknown_account() {
    let reason = || "because".to_owned();
    for kind in [
        CommandKind::Close { reason: reason() },
        CommandKind::Exclude { kind: Exclusion::Other, reason: reason() },
        CommandKind::Reinstate { reason: reason() },
    ] {
        given([]).when(kind).then_rejects(Rejection::AccountUnknown);
    }
    let reinstate = CommandKind::Reinstate { reason: reason() };
    given([opened()]).when(reinstate).then_only_answers(AccountAnswer::Unchanged);
}
