//! One UTC day of draws: committed to, opened, halted, counted, revealed.

use super::*;
use crate::campaign::state::EpochPhase;
use crate::draw::beacon::{BeaconError, BeaconSpec};
use crate::ids::BeaconSignature;

#[test]
fn an_epoch_is_committed_to_once() {
    let then = scheduled().when(schedule()).then_only_answers(CampaignAnswer::Unchanged);
    let kept = then.given.state.epoch(epoch()).unwrap();
    assert_eq!(kept.table_hash, terms().prize_table.hash());
    assert_eq!(kept.seals_at, at("2026-12-24T00:00:00Z"));
    let other = CampaignCommandKind::ScheduleEpoch {
        epoch: epoch(),
        commitment: Digest([9; 32]),
        sealed_seed: Sealed::from_text("b3RoZXI"),
    };
    scheduled().when(other).then_only_answers(CampaignAnswer::Unchanged);
}

#[test]
fn an_epoch_scheduled_less_than_a_day_ahead_says_so() {
    let scheduled_on = |now: &str| match started().at(at(now)).when(schedule()).events() {
        [CampaignEvent::EpochScheduled { at_once, .. }] => *at_once,
        other => panic!("{other:?}"),
    };
    assert!(!scheduled_on("2026-11-21T00:00:00Z"));
    assert!(scheduled_on("2026-11-21T00:00:00.000001Z"));
}

#[test]
fn an_epoch_opens_on_its_day_with_what_the_budget_has_then() {
    let early = scheduled().at(at("2026-11-21T23:59:59.999999Z"));
    early.when(open()).then_rejects(state("not due to open yet"));
    let midnight = scheduled().and(spend(30_000, 5_00)).and(fund(gbp(50_00)));
    midnight.at(at("2026-11-22T00:00:00Z")).when(open()).then([CampaignEvent::EpochOpened {
        epoch: epoch(),
        opened_at: at("2026-11-22T00:00:00Z"),
        beacon: Digest([0; 32]),
        budget_cap_minor: 105_500,
        beacon_signature: None,
        version: 1,
    }]);
}

#[test]
fn money_that_comes_back_counts_from_the_next_epoch() {
    let later = opened().and(spend(10_000, 5_00)).and(fund(gbp(50_00)));
    let cap = |given: &Given<Campaign>, epoch| given.state.epoch(epoch).unwrap().budget_cap_minor;
    assert_eq!(cap(&later, epoch()), 100_000);
    let next = epoch().next();
    let tomorrow = later.and(schedule_of(next)).at(next.opens_at()).and(open_of(next));
    assert_eq!(cap(&tomorrow, next), 105_500);
    assert_eq!(cap(&tomorrow, epoch()), 100_000);
}

#[test]
fn an_epoch_that_was_never_scheduled_can_do_nothing() {
    for kind in [open(), halt(), close()] {
        started().when(kind).then_rejects(state("not scheduled"));
    }
}

#[test]
fn an_epoch_opens_once_and_not_after_a_halt_or_its_reveal() {
    for given in [opened(), halted(), scheduled().and(halt()), revealed()] {
        given.when(open()).then_only_answers(CampaignAnswer::Unchanged);
    }
}

#[test]
fn an_epoch_is_halted_once_and_only_before_it_is_counted() {
    let halting = |given: Given<Campaign>| given.when(halt());
    let happened = || CampaignEvent::EpochHalted { epoch: epoch(), reason: "suspicion".into(), version: 1 };
    halting(scheduled()).then([happened()]);
    halting(opened()).then([happened()]);
    halting(halted()).then_only_answers(CampaignAnswer::Unchanged);
    halting(revealed()).then_rejects(state("revealed"));
}

#[test]
fn an_epoch_is_counted_and_revealed_only_after_its_grace() {
    let last_moment = at("2026-12-23T23:59:59.999999Z");
    opened().at(last_moment).when(close()).then_rejects(state("within its grace"));
    halted().at(last_moment).when(close()).then_rejects(state("within its grace"));
    let over = at("2026-12-24T00:00:00Z");
    let reveals = || {
        [
            CampaignEvent::EpochClosed {
                epoch: epoch(),
                draws: 3,
                wins: vec![1],
                paid_minor: 5_00,
                root: Digest([2; 32]),
                version: 1,
            },
            CampaignEvent::EpochRevealed { epoch: epoch(), seed: Digest([3; 32]), version: 1 },
        ]
    };
    opened().at(over).when(close()).then(reveals());
    halted().at(over).when(close()).then(reveals());
    scheduled().at(over).when(close()).then_rejects(state("scheduled"));
    revealed().when(close()).then_only_answers(CampaignAnswer::Unchanged);
}

#[test]
fn the_epochs_of_an_ended_campaign_are_still_revealed() {
    let ended = opened().and(CampaignCommandKind::End).at(at("2026-12-24T00:00:00Z"));
    let after = ended.and(close());
    assert_eq!(after.state.epoch(epoch()).unwrap().phase.as_str(), "revealed");
}

#[test]
fn a_new_suspicion_takes_back_a_resumption_that_one_person_has_proposed() {
    let again = CampaignCommandKind::HaltEpoch { epoch: epoch(), reason: "and this".into() };
    let happened = CampaignEvent::EpochHalted { epoch: epoch(), reason: "and this".into(), version: 1 };
    let proposed = halted().and(resume("a false alarm"));
    let halted_again = proposed.when(again).then([happened]).accepted();
    // Bob alone is one person again.
    halted_again.by("bob").when(resume("checked")).then_answers(CampaignAnswer::Proposed);
}

#[test]
fn an_epoch_that_is_closed_while_halted_is_void() {
    let over = at("2026-12-24T00:00:00Z");
    let void = |given: Given<Campaign>| given.at(over).and(close()).state.epoch(epoch()).unwrap().void;
    assert!(void(halted()));
    assert!(!void(opened()));
    let resumed = halted().and(resume("one")).by("bob").and(resume("two"));
    assert!(!void(resumed));
}

fn resume(reason: &str) -> CampaignCommandKind {
    CampaignCommandKind::ResumeEpoch { epoch: epoch(), reason: reason.into() }
}

#[test]
fn a_halted_epoch_goes_on_when_two_people_say_so() {
    let proposed = halted().when(resume("a false alarm")).then_answers(CampaignAnswer::Proposed).accepted();
    let alone = CampaignRejection::SecondPersonNeeded { proposed_by: "alice".into() };
    proposed.clone().when(resume("I am sure")).then_rejects(alone);
    assert_eq!(proposed.state.epoch(epoch()).unwrap().phase, EpochPhase::Halted);
    let resumed = proposed.by("bob").when(resume("checked")).then([CampaignEvent::EpochResumed {
        epoch: epoch(),
        reason: "checked".into(),
        proposed_by: "alice".into(),
        by: "bob".into(),
        version: 1,
    }]);
    let resumed = resumed.accepted();
    assert_eq!(resumed.state.epoch(epoch()).unwrap().phase, EpochPhase::Open);
    resumed.clone().when(resume("again")).then_only_answers(CampaignAnswer::Unchanged);
    // Halted once more, it takes two once more.
    let again = resumed.and(halt()).and(resume("one"));
    assert_eq!(again.state.epoch(epoch()).unwrap().phase, EpochPhase::Halted);
    revealed().when(resume("late")).then_rejects(state("revealed"));
}

#[test]
fn an_epoch_halted_before_it_opened_still_has_to_open() {
    let resumed = scheduled().and(halt()).and(resume("one")).by("bob").and(resume("two"));
    assert_eq!(resumed.state.epoch(epoch()).unwrap().phase, EpochPhase::Scheduled);
    resumed.when(open()).then_answers(CampaignAnswer::Done);
}

/// What was recorded from the public beacon for this round.
fn signature(round: u64) -> BeaconSignature {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../testdata/quicknet-rounds.json")).unwrap();
    let rounds = file["rounds"].as_array().unwrap();
    let recorded = rounds.iter().find(|r| r["round"] == round).unwrap();
    serde_json::from_value(recorded["signature"].clone()).unwrap()
}

#[test]
fn an_epoch_with_a_beacon_opens_with_that_round_and_nothing_else() {
    let spec = BeaconSpec::Quicknet { round: 32_281_667 };
    let round_time = spec.appears_at().unwrap();
    let day = Epoch::of(round_time);
    let terms = Terms { starts_at: day.opens_at(), beacon: "drand:quicknet".into(), ..terms() };
    let started =
        nothing().and(draft(terms)).by("bob").and(approve()).by("alice").and(CampaignCommandKind::Start);
    let scheduled = started.at(round_time.plus_micros(-30_000_000)).and(schedule_of(day));
    assert_eq!(scheduled.state.epoch(day).unwrap().beacon_spec, spec.to_string());
    let open = |signature| CampaignCommandKind::OpenEpoch { epoch: day, signature };
    let refused = |source| CampaignRejection::Beacon { epoch: day, source };
    scheduled.clone().when(open(None)).then_rejects(refused(BeaconError::NoSignature));
    scheduled.clone().when(open(Some(signature(1000)))).then_rejects(refused(BeaconError::WrongSignature));
    let beacon = spec.randomness(Some(&signature(32_281_667))).unwrap();
    scheduled.when(open(Some(signature(32_281_667)))).then([CampaignEvent::EpochOpened {
        epoch: day,
        opened_at: round_time.plus_micros(-30_000_000),
        beacon,
        budget_cap_minor: 100_000,
        beacon_signature: Some(signature(32_281_667)),
        version: 1,
    }]);
}

#[test]
fn an_epoch_without_a_beacon_opens_with_none() {
    let refused = CampaignRejection::Beacon { epoch: epoch(), source: BeaconError::NoBeacon };
    let kind = CampaignCommandKind::OpenEpoch { epoch: epoch(), signature: Some(signature(1000)) };
    scheduled().when(kind).then_rejects(refused);
}

#[test]
fn a_campaign_waits_for_no_beacon_or_for_quicknet() {
    for (beacon, fine) in [("none", true), ("drand:quicknet", true), ("drand", false), ("", false)] {
        let terms = Terms { beacon: beacon.into(), ..terms() };
        assert_eq!(terms.validate().is_ok(), fine, "{beacon}");
    }
}
