//! Held lines, and what two people make of them.

use super::*;
use crate::account::command::Rejection;

const RELEASED: Verdict = Verdict::Released;
const DISMISSED: Verdict = Verdict::Dismissed;

/// Taken back before it was ever booked.
fn marked() -> Given<RewardAccount> {
    given([opened()]).and(evaluate(removal("t1"), offer()))
}

/// And then booked: it was never decided.
fn held() -> Given<RewardAccount> {
    marked().and(again(purchase("t1"), known_removed()))
}

/// Drawn, taken back, and booked again.
fn held_after_its_draw() -> Given<RewardAccount> {
    let drawn = given([opened()]).and(evaluate(purchase("t1"), offer()));
    drawn.and(again(removal("t1"), known(12_50))).and(again(purchase("t1"), known(12_50)))
}

fn reviewed(held: Given<RewardAccount>, verdict: Verdict) -> Given<RewardAccount> {
    held.by("alice").and(review("t1", verdict)).by("bob").and(review("t1", verdict))
}

fn erase(mut account: Given<RewardAccount>) -> Given<RewardAccount> {
    cqrs_es::Aggregate::apply(&mut account.state, erased());
    account
}

fn id() -> crate::ids::TransactionId {
    "t1".parse().unwrap()
}

fn needs_another_than(proposed_by: &str) -> Rejection {
    Rejection::SecondPersonNeeded { proposed_by: proposed_by.into() }
}

/// What the removal says of the line.
fn undecided(then: &Then<RewardAccount>) -> bool {
    match then.events() {
        [AccountEvent::TransactionRemoved { undecided, .. }, ..] => *undecided,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_removal_says_whether_the_line_had_been_decided() {
    assert!(undecided(&given([opened()]).when(evaluate(removal("t1"), offer()))), "never booked");
    let waiting = given([opened()]).and(evaluate(purchase("t1"), offer_in(EpochOffer::NotOpen)));
    assert!(undecided(&waiting.when(again(removal("t1"), known(12_50)))), "waited for its epoch");
    assert!(undecided(&held().when(again(removal("t1"), known_removed()))), "waited for people");
    let drawn = given([opened()]).and(evaluate(purchase("t1"), offer()));
    assert!(!undecided(&drawn.when(again(removal("t1"), known(12_50)))));
    let released = reviewed(held(), RELEASED);
    assert!(
        undecided(&released.clone().when(again(removal("t1"), known_removed()))),
        "released, not yet drawn"
    );
    let drawn = released.and(resume(purchase("t1"), offer()));
    assert!(!undecided(&drawn.when(again(removal("t1"), known_removed()))), "released and drawn");
}

#[test]
fn a_removal_of_an_earlier_release_is_taken_for_one_of_a_decided_line() {
    let old = json_event(
        r#"{"TransactionRemoved":{"source":"acme-bank","transaction_id":"t1",
        "removed_at":"2026-11-22T12:00:00Z"}}"#,
    );
    let held = given([opened(), old]).and(again(purchase("t1"), known_removed()));
    held.when(review("t1", RELEASED)).then_rejects(Rejection::DecidedBefore(id()));
}

fn json_event(text: &str) -> AccountEvent {
    let event: AccountEvent = serde_json::from_str(text).unwrap();
    assert!(!serde_json::to_string(&event).unwrap().contains("undecided"));
    event
}

#[test]
fn one_person_proposes_and_another_releases() {
    let (source, reason) = (purchase("t1").line.source, "the bank's mistake".to_owned());
    let proposed = held().when(review("t1", RELEASED));
    let proposed = proposed.then([AccountEvent::ReviewProposed {
        source: source.clone(),
        transaction_id: id(),
        verdict: RELEASED,
        reason: reason.clone(),
        by: "alice".into(),
        proposed_at: at(NOW),
    }]);
    let proposed = proposed.then_answers(AccountAnswer::Proposed).accepted();
    proposed.clone().when(review("t1", RELEASED)).then_rejects(needs_another_than("alice"));
    proposed.clone().when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
    let released = proposed.by("bob").when(review("t1", RELEASED));
    let released = released.then([AccountEvent::TransactionReviewed {
        source,
        transaction_id: id(),
        verdict: RELEASED,
        reason,
        proposed_by: "alice".into(),
        by: "bob".into(),
        reviewed_at: at(NOW),
    }]);
    let released = released.then_answers(AccountAnswer::Done).accepted();
    for who in ["alice", "bob", "carol"] {
        released.clone().by(who).when(review("t1", RELEASED)).then_only_answers(AccountAnswer::Unchanged);
    }
}

#[test]
fn a_released_line_is_decided_once_and_its_repeats_are_duplicates() {
    let released = reviewed(held(), RELEASED);
    let repeat = released.clone().when(again(purchase("t1"), known_removed()));
    repeat.then_only_answers(DUPLICATE);
    let waits = released.clone().when(resume(purchase("t1"), offer_in(EpochOffer::NotOpen)));
    waits.then_only_answers(AccountAnswer::Deferred(DeferReason::EpochNotOpen));
    let drawn = released.when(resume(purchase("t1"), offer())).then_answers(won(5_00)).accepted();
    drawn.clone().when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
    drawn.clone().when(again(purchase("t1"), known_removed())).then_only_answers(DUPLICATE);
    drawn.clone().when(review("t1", RELEASED)).then_only_answers(AccountAnswer::Unchanged);
    drawn.when(review("t1", DISMISSED)).then_rejects(Rejection::NotHeld(id()));
}

#[test]
fn a_released_line_is_taken_back_as_any_and_never_released_again_once_it_was_drawn() {
    let drawn = reviewed(held(), RELEASED).and(resume(purchase("t1"), offer()));
    let removed = drawn.when(again(removal("t1"), known_removed()));
    let removed = removed.then_happens(&["TransactionRemoved", "RewardIssued", "RewardReversed"]).accepted();
    let held = removed.when(again(purchase("t1"), known_removed()));
    let held = held.then_answers(AccountAnswer::Deferred(DeferReason::Held)).accepted();
    held.when(review("t1", RELEASED)).then_rejects(Rejection::DecidedBefore(id()));
}

#[test]
fn a_line_taken_back_between_its_release_and_its_draw_is_held_again() {
    let removed = reviewed(held(), RELEASED).and(again(removal("t1"), known_removed()));
    removed.clone().when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
    removed.clone().when(review("t1", RELEASED)).then_rejects(Rejection::NotHeld(id()));
    let again = removed.when(again(purchase("t1"), known_removed()));
    let again = again.then_answers(AccountAnswer::Deferred(DeferReason::Held)).accepted();
    reviewed(again, RELEASED).when(resume(purchase("t1"), offer())).then_answers(won(5_00));
}

#[test]
fn a_line_that_was_decided_is_only_dismissed() {
    held_after_its_draw().when(review("t1", RELEASED)).then_rejects(Rejection::DecidedBefore(id()));
    reviewed(held_after_its_draw(), DISMISSED)
        .when(review("t1", RELEASED))
        .then_rejects(Rejection::NotHeld(id()));
}

#[test]
fn a_dismissed_line_is_a_duplicate_for_ever() {
    for held in [held(), held_after_its_draw()] {
        let dismissed = reviewed(held, DISMISSED);
        for line in [purchase("t1"), removal("t1"), pending("t1")] {
            dismissed.clone().when(again(line, known_removed())).then_only_answers(DUPLICATE);
        }
        dismissed.clone().when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
        dismissed.clone().when(review("t1", DISMISSED)).then_only_answers(AccountAnswer::Unchanged);
    }
}

#[test]
fn another_verdict_takes_the_place_of_what_was_proposed() {
    let changed = held().and(review("t1", RELEASED)).by("bob").when(review("t1", DISMISSED));
    let changed = changed.then_answers(AccountAnswer::Proposed).accepted();
    changed.clone().when(review("t1", DISMISSED)).then_rejects(needs_another_than("bob"));
    let back = changed.clone().when(review("t1", RELEASED)).then_answers(AccountAnswer::Proposed).accepted();
    back.by("carol").when(review("t1", RELEASED)).then_happens(&["TransactionReviewed"]);
    changed.by("alice").when(review("t1", DISMISSED)).then_happens(&["TransactionReviewed"]);
}

#[test]
fn a_removal_ends_a_hold_and_what_was_proposed_with_it() {
    let removed = held().and(review("t1", RELEASED)).when(again(removal("t1"), known_removed()));
    let removed =
        removed.then_happens(&["TransactionRemoved"]).then_answers(AccountAnswer::Removed).accepted();
    removed.clone().when(again(removal("t1"), known_removed())).then_only_answers(DUPLICATE);
    removed.clone().by("bob").when(review("t1", RELEASED)).then_rejects(Rejection::NotHeld(id()));
    let again = removed.and(again(purchase("t1"), known_removed()));
    again.by("bob").when(review("t1", RELEASED)).then_answers(AccountAnswer::Proposed);
}

#[test]
fn a_line_that_was_decided_and_is_taken_back_again_while_it_is_held_is_a_repeat() {
    let repeat = held_after_its_draw().when(again(removal("t1"), known(12_50)));
    repeat.then_only_answers(DUPLICATE);
}

#[test]
fn only_a_held_line_is_reviewed() {
    let waiting = given([opened()]).and(evaluate(purchase("t1"), offer_in(EpochOffer::NotOpen)));
    let decided = given([opened()]).and(evaluate(purchase("t1"), offer()));
    for account in [given([opened()]), marked(), waiting, decided] {
        for verdict in [RELEASED, DISMISSED] {
            account.clone().when(review("t1", verdict)).then_rejects(Rejection::NotHeld(id()));
        }
    }
    given([]).when(review("t1", RELEASED)).then_rejects(Rejection::AccountUnknown);
}

#[test]
fn an_erased_customers_line_is_only_dismissed() {
    erase(held()).when(review("t1", RELEASED)).then_rejects(Rejection::AccountErased);
    erase(held()).when(review("t1", DISMISSED)).then_answers(AccountAnswer::Proposed);
    let proposed = erase(held().and(review("t1", RELEASED)));
    proposed.by("bob").when(review("t1", RELEASED)).then_rejects(Rejection::AccountErased);
    let released = erase(reviewed(held(), RELEASED));
    released.when(resume(purchase("t1"), offer())).then_only_answers(DUPLICATE);
}

#[test]
fn a_closed_accounts_line_is_drawn_and_an_excluded_ones_declined() {
    let closed = held().and(CommandKind::Close { reason: "left".into() });
    reviewed(closed, RELEASED).when(resume(purchase("t1"), offer())).then_answers(won(5_00));
    let excluded = held().and(CommandKind::Exclude { kind: Exclusion::Staff, reason: "works here".into() });
    let released = reviewed(excluded, RELEASED).when(resume(purchase("t1"), offer()));
    released.then_declines(&[RuleCode::AccountExcluded]);
}

#[test]
fn a_line_sealed_for_another_customer_is_only_dismissed() {
    let mut joint = purchase("t1");
    joint.line.details = None;
    let held = marked().and(again(joint, known_removed()));
    held.clone().when(review("t1", RELEASED)).then_rejects(Rejection::SealedElsewhere(id()));
    held.when(review("t1", DISMISSED)).then_answers(AccountAnswer::Proposed);
}

#[test]
fn a_line_that_kept_its_id_is_held_and_released_as_any() {
    let waiting = given([opened()]).and(evaluate(purchase_once("t1", "t1"), offer_in(EpochOffer::NotOpen)));
    let held =
        waiting.and(again(removal("t1"), known(12_50))).when(again(purchase_once("t1", "t1"), known(12_50)));
    let held = held.then_answers(AccountAnswer::Deferred(DeferReason::Held)).accepted();
    reviewed(held, RELEASED).when(resume(purchase_once("t1", "t1"), offer())).then_answers(won(5_00));
}

/// One purchase: pending as `p1`, booked as `t1`, and then under its old name too.
#[test]
fn a_purchase_that_has_a_line_of_its_own_is_not_drawn_by_its_old_name() {
    let t1 = || evaluate(purchase_once("t1", "p1"), offer());
    let p1: crate::ids::TransactionId = "p1".parse().unwrap();
    let taken_back =
        given([opened()]).and(evaluate(pending("p1"), offer())).and(evaluate(removal("p1"), offer()));
    // Booked under both names, in either order, after the old one was taken back.
    let booked = taken_back.clone().and(t1());
    let linked = booked.when(again(purchase("p1"), known_removed()));
    linked.then([linked_event("p1", "t1")]).then_answers(AccountAnswer::Linked);
    let held = taken_back.and(again(purchase("p1"), known_removed()));
    let booked = held.clone().and(t1());
    booked.clone().when(review("p1", RELEASED)).then_rejects(Rejection::KnownOtherwise(p1.clone()));
    // However many pending lines come after it.
    let others =
        (0..=crate::account::state::PENDING_MAX).map(|n| evaluate(pending(&format!("q{n}")), offer()));
    let forgotten = others.fold(booked, Given::and);
    forgotten.when(review("p1", RELEASED)).then_rejects(Rejection::KnownOtherwise(p1.clone()));
    // Released first, it is the purchase's line.
    let released = held.and(review("p1", RELEASED)).by("bob").and(review("p1", RELEASED));
    for released in [released.clone(), released.and(resume(purchase("p1"), offer()))] {
        released.when(t1()).then([linked_event("t1", "p1")]).then_answers(AccountAnswer::Linked);
    }
    // Taken back only after its place was taken: it had been decided as `t1`.
    let replaced = given([opened()]).and(evaluate(pending("p1"), offer())).and(t1());
    let held = replaced.and(evaluate(removal("p1"), offer())).and(again(purchase("p1"), known_removed()));
    held.when(review("p1", RELEASED)).then_rejects(Rejection::DecidedBefore(p1));
}
