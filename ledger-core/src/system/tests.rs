//! Given these events, when this is asked, then that has happened.

use super::*;
use crate::given::Given;
use crate::time::Timestamp;

const ITEM: &str = "credit:0:7:ab";

fn given(events: impl IntoIterator<Item = SystemEvent>) -> Given<System> {
    Given::events(Timestamp::from_micros(0), events)
}

fn resolve(step: &str, action: ParkedAction) -> SystemCommandKind {
    let (item, reason) = (ITEM.into(), "the rail says so".into());
    SystemCommandKind::ResolveParked { item, step: step.into(), action, attempt: Some(1), reason }
}

fn proposed(action: ParkedAction, by: &str) -> SystemEvent {
    let (item, step, reason) = (ITEM.into(), "credit".into(), "the rail says so".into());
    SystemEvent::ParkedItemProposed { item, step, action, attempt: Some(1), reason, by: by.into() }
}

fn resolved(step: &str, action: ParkedAction, by: &str, proposed_by: Option<&str>) -> SystemEvent {
    let (item, step, reason) = (ITEM.into(), step.into(), "the rail says so".into());
    let (by, proposed_by) = (by.into(), proposed_by.map(str::to_owned));
    SystemEvent::ParkedItemResolved { item, step, action, attempt: Some(1), reason, by, proposed_by }
}

#[test]
fn one_person_may_have_any_item_tried_again_and_drop_what_is_no_payment() {
    use ParkedAction::{Drop, Retry};
    for (step, action) in [("credit", Retry), ("notify", Retry), ("resume", Drop), ("notify", Drop)] {
        given([])
            .when(resolve(step, action))
            .then([resolved(step, action, "alice", None)])
            .then_answers(SystemAnswer::Done);
    }
}

#[test]
fn what_moves_money_is_proposed_by_one_and_done_by_another() {
    for action in [ParkedAction::Drop, ParkedAction::Fail] {
        given([])
            .when(resolve("credit", action))
            .then([proposed(action, "alice")])
            .then_answers(SystemAnswer::Proposed)
            .accepted()
            .by("bob")
            .when(resolve("credit", action))
            .then([resolved("credit", action, "bob", Some("alice"))])
            .then_answers(SystemAnswer::Done);
    }
}

#[test]
fn the_same_person_twice_is_one_person() {
    given([proposed(ParkedAction::Drop, "alice")])
        .when(resolve("credit", ParkedAction::Drop))
        .then_only_answers(SystemAnswer::Unchanged);
}

#[test]
fn who_wants_something_else_proposes_it_anew() {
    given([proposed(ParkedAction::Drop, "alice")])
        .by("bob")
        .when(resolve("credit", ParkedAction::Fail))
        .then([proposed(ParkedAction::Fail, "bob")])
        .accepted()
        .when(resolve("credit", ParkedAction::Drop))
        .then([proposed(ParkedAction::Drop, "bob")]);
}

#[test]
fn what_is_resolved_has_to_be_proposed_again() {
    given([proposed(ParkedAction::Drop, "alice"), resolved("credit", ParkedAction::Retry, "carol", None)])
        .by("bob")
        .when(resolve("credit", ParkedAction::Drop))
        .then([proposed(ParkedAction::Drop, "bob")]);
}

#[test]
fn what_was_said_of_one_attempt_is_not_agreed_to_for_another() {
    let SystemCommandKind::ResolveParked { item, step, action, reason, .. } =
        resolve("credit", ParkedAction::Fail)
    else {
        unreachable!("it is made so")
    };
    let kind = SystemCommandKind::ResolveParked { item, step, action, attempt: Some(2), reason };
    given([proposed(ParkedAction::Fail, "alice")]).by("bob").when(kind).then_answers(SystemAnswer::Proposed);
}

#[test]
fn only_a_payment_can_fail() {
    for step in ["notify", "resume"] {
        let rejection = SystemRejection::NotOfThisStep { step: step.into(), action: ParkedAction::Fail };
        given([]).when(resolve(step, ParkedAction::Fail)).then_rejects(rejection);
    }
}

#[test]
fn only_so_many_proposals_may_wait() {
    let of = |n: usize| SystemEvent::ParkedItemProposed {
        item: format!("credit:0:{n}:cd"),
        step: "credit".into(),
        action: ParkedAction::Fail,
        attempt: Some(1),
        reason: String::new(),
        by: "alice".into(),
    };
    let max = state::PROPOSALS_MAX;
    given((1..max).map(of)).when(resolve("credit", ParkedAction::Fail)).then_answers(SystemAnswer::Proposed);
    given((0..max).map(of))
        .when(resolve("credit", ParkedAction::Fail))
        .then_rejects(SystemRejection::TooManyProposals(max));
    // One that is there can be agreed to, and one person may still have an item tried again.
    given((0..max).map(of)).when(resolve("credit", ParkedAction::Retry)).then_answers(SystemAnswer::Done);
}

#[test]
fn a_restore_and_an_accepted_clock_carry_a_name_and_a_reason() {
    let restored = SystemEvent::LogRestored {
        reason: "disk lost".into(),
        by: "alice".into(),
        from_position: Some(9),
        head: None,
    };
    let kind =
        SystemCommandKind::RecordRestore { reason: "disk lost".into(), from_position: Some(9), head: None };
    given([]).when(kind).then([restored]).then_answers(SystemAnswer::Done);
    let accepted = SystemEvent::ClockAccepted { reason: "moved".into(), by: "alice".into(), clock_at: None };
    let kind = SystemCommandKind::AcceptClock { reason: "moved".into(), clock_at: None };
    given([]).when(kind).then([accepted]).then_answers(SystemAnswer::Done);
}

fn set(what: Switch, halted: bool) -> SystemCommandKind {
    SystemCommandKind::SetSwitch { what, halted, reason: "looked at".into() }
}

fn switched(what: Switch, halted: bool, by: &str) -> SystemEvent {
    SystemEvent::SwitchSet { what, halted, reason: "looked at".into(), by: by.into() }
}

#[test]
fn each_switch_is_set_by_one_person_by_itself() {
    for what in Switch::ALL {
        let others = Switch::ALL.into_iter().filter(|other| *other != what);
        let before: Vec<SystemEvent> = others.map(|other| switched(other, true, "carol")).collect();
        given(before)
            .when(set(what, true))
            .then([switched(what, true, "alice")])
            .then_answers(SystemAnswer::Done)
            .accepted()
            .by("bob")
            .when(set(what, false))
            .then([switched(what, false, "bob")])
            .then_answers(SystemAnswer::Done);
        assert_eq!(Switch::parse(what.as_str()), Some(what));
    }
}

#[test]
fn what_is_set_so_already_is_no_event() {
    given([]).when(set(Switch::Draws, false)).then_only_answers(SystemAnswer::Unchanged);
    given([switched(Switch::Draws, true, "alice")])
        .by("bob")
        .when(set(Switch::Draws, true))
        .then_only_answers(SystemAnswer::Unchanged);
    given([switched(Switch::Draws, true, "alice"), switched(Switch::Draws, false, "bob")])
        .when(set(Switch::Draws, false))
        .then_only_answers(SystemAnswer::Unchanged);
}
