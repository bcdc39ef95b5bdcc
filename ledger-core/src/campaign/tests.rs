//! A campaign's rules as sentences: lifecycle, budget, epochs. The campaign `autumn` starts on 22
//! November 2026 with a budget of GBP 1,000.00 and a grace of 31 days.

mod budget;
mod epochs;
mod lifecycle;

use std::collections::BTreeMap;

use crate::campaign::command::{CampaignAnswer, CampaignCommandKind, CampaignRejection, EpochTally};
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::Campaign;
use crate::campaign::state::Standing;
use crate::campaign::terms::{EligibleFrom, Rules, Terms};
use crate::draw::{Prize, PrizeTable, Tier};
use crate::given::Given;
use crate::ids::Digest;
use crate::keys::Sealed;
use crate::money::{Currency, Money, MoneyError};
use crate::time::{Epoch, Timestamp};
use crate::zone::Zone;

const NOW: &str = "2026-11-22T12:00:00Z";
const OVERFLOW: CampaignRejection = CampaignRejection::Budget(MoneyError::Overflow);

fn at(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).unwrap()
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, Currency::from_code(code).unwrap()).unwrap()
}

fn gbp(minor: i64) -> Money {
    money(minor, "GBP")
}

fn terms() -> Terms {
    let prize_table = PrizeTable {
        currency: Currency::from_code("GBP").unwrap(),
        tiers: vec![Tier { name: "fiver".into(), odds_ppb: 1_000_000, prize: Prize::Fixed { fixed: 5_00 } }],
    };
    Terms {
        campaign_id: "autumn".parse().unwrap(),
        name: "Autumn".into(),
        time_zone: Zone::named("Europe/London"),
        starts_at: at("2026-11-22T00:00:00Z"),
        ends_at: None,
        eligible_from: EligibleFrom::Enrolment,
        precedence: 0,
        stackable: false,
        rules: Rules::default(),
        prize_table,
        budget: gbp(100_000),
        inventory: BTreeMap::new(),
        planned_draws: None,
        funding_limit_minor: None,
        grace_days: 31,
        beacon: "none".into(),
        rules_reading: 1,
    }
}

fn nothing() -> Given<Campaign> {
    Given::events(at(NOW), [])
}

fn drafted() -> Given<Campaign> {
    nothing().and(draft(terms()))
}

fn approved() -> Given<Campaign> {
    drafted().by("bob").and(approve()).by("alice")
}

fn started() -> Given<Campaign> {
    approved().and(CampaignCommandKind::Start)
}

fn ended() -> Given<Campaign> {
    started().and(CampaignCommandKind::End)
}

fn scheduled() -> Given<Campaign> {
    started().and(schedule())
}

fn opened() -> Given<Campaign> {
    scheduled().and(open())
}

fn halted() -> Given<Campaign> {
    opened().and(halt())
}

/// The grace of 22 November ends 31 days after midnight.
fn revealed() -> Given<Campaign> {
    opened().at(at("2026-12-24T00:00:00Z")).and(close())
}

fn draft(terms: Terms) -> CampaignCommandKind {
    CampaignCommandKind::Draft(Box::new(terms))
}

fn revise(terms: Terms) -> CampaignCommandKind {
    CampaignCommandKind::Revise(Box::new(terms))
}

fn approve() -> CampaignCommandKind {
    CampaignCommandKind::Approve { version: None }
}

fn pause() -> CampaignCommandKind {
    CampaignCommandKind::Pause { reason: "look".into() }
}

fn fund(amount: Money) -> CampaignCommandKind {
    CampaignCommandKind::Fund { amount, reference: "more".into() }
}

fn spend(won_minor: i64, reversed_minor: i64) -> CampaignCommandKind {
    CampaignCommandKind::RecordSpend { won_minor, reversed_minor, wins: vec![] }
}

fn epoch() -> Epoch {
    "2026-11-22".parse().unwrap()
}

fn schedule_of(epoch: Epoch) -> CampaignCommandKind {
    CampaignCommandKind::ScheduleEpoch {
        epoch,
        commitment: Digest([1; 32]),
        sealed_seed: Sealed::from_text("c2VlZA"),
    }
}

fn schedule() -> CampaignCommandKind {
    schedule_of(epoch())
}

fn open_of(epoch: Epoch) -> CampaignCommandKind {
    CampaignCommandKind::OpenEpoch { epoch, signature: None }
}

fn open() -> CampaignCommandKind {
    open_of(epoch())
}

fn halt() -> CampaignCommandKind {
    CampaignCommandKind::HaltEpoch { epoch: epoch(), reason: "suspicion".into() }
}

fn close() -> CampaignCommandKind {
    CampaignCommandKind::CloseEpoch {
        epoch: epoch(),
        tally: EpochTally { draws: 3, wins: vec![1], paid_minor: 5_00, root: Digest([2; 32]) },
        seed: Digest([3; 32]),
    }
}

fn state(state: &'static str) -> CampaignRejection {
    CampaignRejection::EpochState { epoch: epoch(), state }
}

#[test]
fn a_campaign_is_drafted_once_with_terms_that_can_be_run() {
    let version = 1;
    nothing().when(draft(terms())).then([CampaignEvent::CampaignDrafted {
        version,
        terms: terms(),
        by: "alice".into(),
    }]);
    drafted().when(draft(terms())).then_only_answers(CampaignAnswer::Unchanged);
    let other = Terms { grace_days: 3, ..terms() };
    drafted().when(draft(other)).then_rejects(CampaignRejection::ExistsWithDifferentTerms);
    let broken = Terms { grace_days: 61, ..terms() };
    let rejection = CampaignRejection::Terms(broken.validate().unwrap_err());
    nothing().when(draft(broken)).then_rejects(rejection);
}

#[test]
fn each_step_of_its_life_waits_for_the_one_before() {
    use CampaignCommandKind::{End, Resume, Start};
    for kind in [approve(), revise(terms()), Start, pause(), Resume, End, fund(gbp(1)), schedule()] {
        nothing().when(kind).then_rejects(CampaignRejection::Unknown);
    }
    drafted().when(Start).then_rejects(CampaignRejection::NotApproved);
    for kind in [pause(), Resume, fund(gbp(1)), schedule()] {
        approved().when(kind).then_rejects(CampaignRejection::NotStarted);
    }
    for kind in [Start, pause(), Resume, fund(gbp(1)), schedule()] {
        ended().when(kind).then_rejects(CampaignRejection::Ended);
    }
}

#[test]
fn a_step_taken_twice_changes_nothing() {
    use CampaignCommandKind::{End, Resume, Start};
    approved().when(approve()).then_only_answers(CampaignAnswer::Unchanged);
    started().when(Start).then_only_answers(CampaignAnswer::Unchanged);
    started().when(Resume).then_only_answers(CampaignAnswer::Unchanged);
    started().and(pause()).when(pause()).then_only_answers(CampaignAnswer::Unchanged);
    ended().when(End).then_only_answers(CampaignAnswer::Unchanged);
}

#[test]
fn its_standing_follows_its_life() {
    let standing = |given: Given<Campaign>| given.state.standing();
    assert_eq!(standing(approved()), None);
    assert_eq!(standing(started()), Some(Standing::Active));
    assert_eq!(standing(started().and(pause())), Some(Standing::Paused));
    let resumed = started().and(pause()).and(CampaignCommandKind::Resume);
    assert_eq!(standing(resumed), Some(Standing::Active));
    assert_eq!(standing(ended()), Some(Standing::Ended));
    assert_eq!(standing(started().and(pause()).and(CampaignCommandKind::End)), Some(Standing::Ended));
}

#[test]
fn a_campaign_survives_a_snapshot() {
    for given in [nothing(), started().and(spend(5_00, 5_00)), halted(), revealed()] {
        let json = serde_json::to_string(&given.state).unwrap();
        assert_eq!(serde_json::from_str::<Campaign>(&json).unwrap(), given.state);
    }
}
