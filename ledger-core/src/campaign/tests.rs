//! A campaign's rules as sentences: lifecycle, budget, epochs. The campaign `autumn` starts on 22 November
//! 2026 with a budget of GBP 1,000.00 and a grace of 31 days.

mod epochs;

use crate::account::command::Standing;
use crate::campaign::command::{CampaignAnswer, CampaignCommandKind, CampaignRejection, EpochTally};
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::Campaign;
use crate::campaign::terms::{EligibleFrom, Rules, Terms};
use crate::draw::{Prize, PrizeTable, Tier};
use crate::ids::Digest;
use crate::money::{Currency, Money, MoneyError};
use crate::posting::Posting;
use crate::seal::Sealed;
use crate::testing::given::Given;
use crate::time::{Epoch, Timestamp};

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
        time_zone: chrono_tz::Europe::London,
        starts_at: at("2026-11-22T00:00:00Z"),
        ends_at: None,
        eligible_from: EligibleFrom::Enrolment,
        rules: Rules::default(),
        prize_table,
        budget: gbp(100_000),
        grace_days: 31,
        beacon: "none".into(),
    }
}

fn nothing() -> Given<Campaign> {
    Given::events(at(NOW), [])
}

fn drafted() -> Given<Campaign> {
    nothing().and(draft(terms()))
}

fn approved() -> Given<Campaign> {
    drafted().and(CampaignCommandKind::Approve)
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

fn pause() -> CampaignCommandKind {
    CampaignCommandKind::Pause { reason: "look".into() }
}

fn fund(amount: Money) -> CampaignCommandKind {
    CampaignCommandKind::Fund { amount }
}

fn spend(won_minor: i64, reversed_minor: i64) -> CampaignCommandKind {
    CampaignCommandKind::RecordSpend { won_minor, reversed_minor }
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
    CampaignCommandKind::OpenEpoch { epoch, beacon: Digest([0; 32]) }
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
    nothing().when(draft(terms())).then([CampaignEvent::CampaignDrafted { version, terms: terms() }]);
    drafted().when(draft(terms())).then_only_answers(CampaignAnswer::Unchanged);
    let other = Terms { grace_days: 3, ..terms() };
    drafted().when(draft(other)).then_rejects(CampaignRejection::ExistsWithDifferentTerms);
    let broken = Terms { grace_days: 61, ..terms() };
    let rejection = CampaignRejection::Terms(broken.validate().unwrap_err());
    nothing().when(draft(broken)).then_rejects(rejection);
}

#[test]
fn each_step_of_its_life_waits_for_the_one_before() {
    use CampaignCommandKind::{Approve, End, Resume, Start};
    for kind in [Approve, Start, pause(), Resume, End, fund(gbp(1)), schedule()] {
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
    use CampaignCommandKind::{Approve, End, Resume, Start};
    approved().when(Approve).then_only_answers(CampaignAnswer::Unchanged);
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
fn the_first_start_funds_the_budget() {
    let funded = CampaignEvent::BudgetFunded {
        amount: gbp(100_000),
        funded_minor: 100_000,
        posting: Posting::funding(&"autumn".parse().unwrap(), gbp(100_000)),
    };
    let started_at = at(NOW);
    approved().when(CampaignCommandKind::Start).then([CampaignEvent::CampaignStarted { started_at }, funded]);
}

#[test]
fn funding_adds_up_in_one_currency() {
    let then = started().when(fund(gbp(50_00)));
    let [CampaignEvent::BudgetFunded { funded_minor, .. }] = then.events() else {
        panic!("{:?}", then.events())
    };
    assert_eq!(*funded_minor, 105_000);
    started().when(fund(gbp(i64::MAX))).then_rejects(OVERFLOW);
    let euros = MoneyError::CurrencyMismatch(gbp(0).currency(), money(0, "EUR").currency());
    started().when(fund(money(1, "EUR"))).then_rejects(CampaignRejection::Budget(euros));
}

#[test]
fn spending_is_recorded_in_running_totals() {
    let spent = started().and(spend(30_000, 0));
    spent
        .when(spend(20_000, 5_00))
        .then([CampaignEvent::BudgetSpent { spent_minor: 50_000, reversed_minor: 5_00 }]);
}

#[test]
fn the_budget_is_a_hard_floor() {
    let over = |funded_minor, spent_minor| CampaignRejection::OverBudget { funded_minor, spent_minor };
    started().when(spend(100_000, 0)).then_answers(CampaignAnswer::Done);
    started().when(spend(100_001, 0)).then_rejects(over(100_000, 100_001));
    // What the same batch gives back does not cover it; what an earlier one gave back does.
    started().when(spend(100_001, 5_00)).then_rejects(over(100_000, 100_001));
    let given_back = || started().and(spend(100_000, 5_00));
    given_back().when(spend(5_00, 0)).then_answers(CampaignAnswer::Done);
    given_back().when(spend(5_01, 0)).then_rejects(over(100_500, 100_501));
    started().and(spend(1, 0)).when(spend(i64::MAX, 0)).then_rejects(OVERFLOW);
    started().and(spend(1, 1)).when(spend(0, i64::MAX)).then_rejects(OVERFLOW);
}

#[test]
fn a_campaign_survives_a_snapshot() {
    for given in [nothing(), started().and(spend(5_00, 5_00)), halted(), revealed()] {
        let json = serde_json::to_string(&given.state).unwrap();
        assert_eq!(serde_json::from_str::<Campaign>(&json).unwrap(), given.state);
    }
}
