//! One purchase that the bank books under two names: `lp`, and `lx` which says that it was pending
//! as `lp`; or `t1`, which was pending as `p1`, and `p1`.

use super::*;
use crate::account::command::Rejection;

/// `lx` as the bank books it first, with what the log has under `lp`.
fn lx(pending_known: Option<Known>) -> CommandKind {
    let evaluation = evaluation(purchase_once("lx", "lp"), vec![offer()]);
    CommandKind::EvaluateTransaction(EvaluateTransaction { pending_known, ..evaluation })
}

/// `lx` once more, with the pending id or without it.
fn lx_again(pending_id: Option<&str>) -> CommandKind {
    again(pending_id.map_or_else(|| purchase("lx"), |id| purchase_once("lx", id)), known(12_50))
}

fn drawn() -> Given<RewardAccount> {
    given([opened()]).and(evaluate(purchase("lp"), offer()))
}

fn linked() -> Given<RewardAccount> {
    drawn().and(lx(Some(known(12_50))))
}

fn remove(id: &str) -> CommandKind {
    again(removal(id), known(12_50))
}

fn book(id: &str) -> CommandKind {
    again(purchase(id), known(12_50))
}

const HELD: AccountAnswer = AccountAnswer::Deferred(DeferReason::Held);
const TAKEN_BACK: [&str; 3] = ["TransactionRemoved", "RewardIssued", "RewardReversed"];

/// What the removal says it was of: the purchase's first name, and the one that the bank gave.
fn taken_back(then: &Then<RewardAccount>) -> (&str, Option<&str>, bool) {
    match then.events() {
        [AccountEvent::TransactionRemoved { transaction_id, named, undecided, .. }, ..] => {
            (transaction_id.as_str(), named.as_ref().map(crate::ids::TransactionId::as_str), *undecided)
        }
        other => panic!("{other:?}"),
    }
}

fn id(id: &str) -> crate::ids::TransactionId {
    id.parse().unwrap()
}

#[test]
fn a_second_name_is_recorded_once_and_repeats_of_it_are_duplicates() {
    let first = drawn().when(lx(Some(known(12_50))));
    let linked = first.then([linked_event("lx", "lp")]).then_answers(AccountAnswer::Linked).accepted();
    linked.clone().when(lx_again(Some("lp"))).then_only_answers(DUPLICATE);
    linked.clone().when(lx_again(None)).then_only_answers(DUPLICATE);
    linked.clone().when(again(pending("lx"), known(12_50))).then_only_answers(DUPLICATE);
    let dearer = again(line("lx", Status::Booked, 12_51), known(12_50));
    linked.clone().when(dearer).then_rejects(Rejection::Conflict);
    linked.when(book("lp")).then_only_answers(DUPLICATE);
}

#[test]
fn a_third_name_is_linked_to_the_first() {
    let third = evaluation(purchase_once("ly", "lx"), vec![offer()]);
    let third = EvaluateTransaction { pending_known: Some(known(12_50)), ..third };
    let third = linked().when(CommandKind::EvaluateTransaction(third));
    let third = third.then([linked_event("ly", "lp")]).accepted();
    let removed = third.when(remove("ly")).then_happens(&TAKEN_BACK);
    assert_eq!(taken_back(&removed), ("lp", Some("ly"), false));
    removed.accepted().when(remove("lx")).then_only_answers(DUPLICATE);
}

#[test]
fn the_old_pending_name_of_a_booked_line_is_linked_to_it_by_its_id() {
    let booked = given([opened()]).and(evaluate(purchase_once("t1", "p1"), offer()));
    let linked = booked.when(evaluate(purchase("p1"), offer())).then([linked_event("p1", "t1")]).accepted();
    linked.clone().when(book("p1")).then_only_answers(DUPLICATE);
    // However many pending lines come after it.
    let others =
        (0..=crate::account::state::PENDING_MAX).map(|n| evaluate(pending(&format!("q{n}")), offer()));
    let removed = others.fold(linked, Given::and).when(remove("p1")).then_happens(&TAKEN_BACK);
    assert_eq!(taken_back(&removed), ("t1", Some("p1"), false));
}

#[test]
fn a_name_that_was_only_pending_takes_nothing_back() {
    // So a bank says that it has booked it.
    let booked = given([opened()]).and(evaluate(pending("p1"), offer()));
    let booked = booked.and(evaluate(purchase_once("t1", "p1"), offer()));
    let dropped = booked.when(evaluate(removal("p1"), offer())).then_happens(&["TransactionRemoved"]);
    assert_eq!(taken_back(&dropped), ("p1", None, false));
}

#[test]
fn a_purchase_is_taken_back_once_by_either_name_and_then_held_under_both() {
    for (by, other) in [("lx", "lp"), ("lp", "lx")] {
        let removed =
            linked().when(remove(by)).then_happens(&TAKEN_BACK).then_answers(AccountAnswer::Removed);
        assert_eq!(taken_back(&removed), ("lp", (by == "lx").then_some("lx"), false));
        let removed = removed.accepted();
        assert!(removed.state.rewards().all(|(_, reward)| reward.reversed));
        for id in [by, other] {
            removed.clone().when(remove(id)).then_only_answers(DUPLICATE);
        }
        for first in [by, other] {
            let held = removed.clone().when(book(first)).then_happens(&["TransactionDeferred"]);
            let held = held.then_answers(HELD).accepted();
            held.clone().when(book(first)).then_only_answers(DUPLICATE);
            let reason = if first == "lx" { Rejection::KnownOtherwise } else { Rejection::DecidedBefore };
            held.clone().when(review(first, Verdict::Released)).then_rejects(reason(id(first)));
            let gone = held.and(review(first, Verdict::Dismissed)).by("bob");
            gone.and(review(first, Verdict::Dismissed)).when(book(first)).then_only_answers(DUPLICATE);
        }
        // The purchase is held once, unless the name that might be released comes later.
        removed.clone().and(book("lp")).when(book("lx")).then_only_answers(DUPLICATE);
        removed.and(book("lx")).when(book("lp")).then_answers(HELD);
    }
}

#[test]
fn a_purchase_that_waits_is_never_drawn_once_it_is_taken_back_by_its_other_name() {
    let waits = given([opened()]).and(evaluate(purchase("lp"), offer_in(EpochOffer::NotOpen)));
    let linked = waits.and(lx(Some(known(12_50))));
    linked.clone().when(resume(purchase("lx"), offer())).then_only_answers(DUPLICATE);
    linked.clone().when(resume(purchase("lp"), offer())).then_answers(won(5_00));
    let removed = linked.when(remove("lx")).then_happens(&["TransactionRemoved"]);
    assert_eq!(taken_back(&removed), ("lp", Some("lx"), true));
    let removed = removed.accepted();
    removed.clone().when(resume(purchase("lp"), offer())).then_only_answers(DUPLICATE);
    // Booked again it may be released under its first name, and under no other.
    let held = removed.clone().and(book("lx"));
    held.when(review("lx", Verdict::Released)).then_rejects(Rejection::KnownOtherwise(id("lx")));
    let held = removed.and(book("lp"));
    let released = held.clone().and(review("lp", Verdict::Released)).by("bob");
    let released = released.and(review("lp", Verdict::Released));
    released.clone().when(book("lx")).then_only_answers(DUPLICATE);
    let drawn = released.when(resume(purchase("lp"), offer())).then_answers(won(5_00)).accepted();
    drawn.when(remove("lx")).then_happens(&TAKEN_BACK);
    // The hold ends with a removal by either name.
    let ended = held.when(remove("lx")).then_happens(&["TransactionRemoved"]).accepted();
    ended.when(review("lp", Verdict::Released)).then_rejects(Rejection::NotHeld(id("lp")));
}

#[test]
fn a_new_name_of_a_purchase_that_was_taken_back_is_held() {
    let held = drawn().and(remove("lp")).when(lx(Some(known(12_50))));
    let held = held.then_happens(&["TransactionLinked", "TransactionDeferred"]).then_answers(HELD).accepted();
    held.clone().when(lx_again(Some("lp"))).then_only_answers(DUPLICATE);
    held.clone().when(remove("lx")).then_only_answers(DUPLICATE);
    held.when(review("lx", Verdict::Released)).then_rejects(Rejection::KnownOtherwise(id("lx")));
    let booked = given([opened()]).and(evaluate(purchase_once("t1", "p1"), offer())).and(remove("t1"));
    booked.when(evaluate(purchase("p1"), offer())).then_answers(HELD);
}

/// Taken back before it was ever booked, so the log knows it, undecided.
fn marked() -> Given<RewardAccount> {
    drawn().and(evaluate(removal("lx"), offer()))
}

fn marked_lx(pending_known: Known) -> CommandKind {
    let evaluation = evaluation(purchase_once("lx", "lp"), vec![]);
    let (known, pending_known) = (Some(known_removed()), Some(pending_known));
    CommandKind::EvaluateTransaction(EvaluateTransaction { known, pending_known, ..evaluation })
}

#[test]
fn a_name_that_was_taken_back_before_it_was_booked_is_linked_and_not_held_without_the_other() {
    let linked = marked().when(marked_lx(known(12_50)));
    let linked = linked.then([linked_event("lx", "lp")]).then_answers(AccountAnswer::Linked).accepted();
    linked.clone().when(again(purchase("lx"), known_removed())).then_only_answers(DUPLICATE);
    linked.when(again(removal("lx"), known_removed())).then_happens(&TAKEN_BACK);
}

#[test]
fn a_held_line_that_turns_out_to_be_another_name_is_only_dismissed() {
    let held = marked().and(again(purchase("lx"), known_removed())).and(review("lx", Verdict::Released));
    let told = held.when(marked_lx(known(12_50)));
    let told = told.then([linked_event("lx", "lp")]).then_answers(DUPLICATE).accepted().by("bob");
    told.clone().when(marked_lx(known(12_50))).then_only_answers(DUPLICATE);
    told.clone().when(review("lx", Verdict::Released)).then_rejects(Rejection::KnownOtherwise(id("lx")));
    let dismissed = told.and(review("lx", Verdict::Dismissed)).by("alice");
    let dismissed = dismissed.and(review("lx", Verdict::Dismissed));
    dismissed.when(again(removal("lx"), known_removed())).then_happens(&TAKEN_BACK);
}

#[test]
fn no_stream_records_a_name_of_another_streams_purchase() {
    let elsewhere = Known { account_id: "cus_2".parse().unwrap(), ..known(12_50) };
    marked().when(marked_lx(elsewhere)).then_only_answers(AccountAnswer::Linked);
}

#[test]
fn a_line_that_was_decided_itself_is_no_name_of_another() {
    let both = drawn().and(evaluate(purchase("lx"), offer()));
    both.clone().when(lx_again(Some("lp"))).then_only_answers(DUPLICATE);
    let held = both.and(remove("lx")).when(lx_again(Some("lp")));
    held.then_happens(&["TransactionDeferred"]).then_answers(HELD);
}

#[test]
fn names_are_recorded_for_closed_and_erased_accounts_too() {
    let closed = drawn().and(CommandKind::Close { reason: "left".into() });
    closed.when(lx(Some(known(12_50)))).then_answers(AccountAnswer::Linked);
    let mut account = drawn();
    cqrs_es::Aggregate::apply(&mut account.state, erased());
    let linked = account.when(lx(Some(known(12_50)))).then_answers(AccountAnswer::Linked).accepted();
    linked.when(remove("lx")).then_happens(&TAKEN_BACK);
}

#[test]
fn links_and_removals_of_earlier_releases_are_read() {
    let old = r#"[{"TransactionLinked":{"source":"acme-bank","transaction_id":"lx","linked_to":"lp"}},
        {"TransactionRemoved":{"source":"acme-bank","transaction_id":"lp","removed_at":"2026-11-22T12:00:00Z"}}]"#;
    let old: Vec<AccountEvent> = serde_json::from_str(old).unwrap();
    let account = given([opened()].into_iter().chain(old));
    account.when(again(purchase("lx"), known_removed())).then_answers(HELD);
}
