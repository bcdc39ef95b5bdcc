//! Money in, wins out, and when somebody is told.

use cqrs_es::Aggregate as _;

use super::*;
use crate::campaign::terms::{BUDGET_MAX_MINOR, TermsError};
use crate::posting::Posting;

fn limited() -> Given<Campaign> {
    let terms = Terms { funding_limit_minor: Some(50_00), ..terms() };
    nothing().and(draft(terms)).by("bob").and(approve()).by("alice").and(CampaignCommandKind::Start)
}

fn funding(minor: i64, reference: &str) -> CampaignCommandKind {
    CampaignCommandKind::Fund { amount: gbp(minor), reference: reference.into() }
}

fn agree(reference: &str) -> CampaignCommandKind {
    CampaignCommandKind::ApproveFunding { reference: reference.into() }
}

fn funded(given: &Given<Campaign>) -> i64 {
    given.state.funded_minor()
}

#[test]
fn the_first_start_funds_the_budget() {
    let funded = CampaignEvent::BudgetFunded {
        amount: gbp(100_000),
        funded_minor: 100_000,
        reference: String::new(),
        posting: Posting::funding(&"autumn".parse().unwrap(), gbp(100_000)),
        version: 1,
    };
    let started = CampaignEvent::CampaignStarted { started_at: at(NOW), version: 1 };
    approved().when(CampaignCommandKind::Start).then([started, funded]);
}

#[test]
fn funding_adds_up_in_one_currency() {
    assert_eq!(funded(&started().and(funding(50_00, "a")).and(funding(1, "b"))), 105_001);
    started().when(funding(i64::MAX, "a")).then_rejects(OVERFLOW);
    let field = |field: &str, message: &str| {
        CampaignRejection::Terms(TermsError { field: field.into(), message: message.into() })
    };
    let euros = CampaignCommandKind::Fund { amount: money(1, "EUR"), reference: "a".into() };
    started().when(euros).then_rejects(field("amount.currency", "must be the budget's currency"));
    started().when(funding(0, "a")).then_rejects(field("amount.minor", "must be above zero"));
    let reference = field("reference", "must be 1 to 100 printable characters without surrounding space");
    for bad in ["", " ", "a ", &"a".repeat(101)] {
        started().when(funding(1, bad)).then_rejects(reference.clone());
    }
    for (bad, unseen) in [("a\u{7}", "U+0007"), ("a\u{fe0f}", "U+FE0F")] {
        let unseen = field("reference", &format!("must not hold {unseen}, which does not show"));
        started().when(funding(1, bad)).then_rejects(unseen);
    }
    let card = field("reference", "must not hold a card number");
    for kind in [funding(1, "4111 1111 1111 1111"), agree("PO4111111111111111")] {
        started().when(kind).then_rejects(card.clone());
    }
}

#[test]
fn a_campaign_is_never_funded_beyond_what_sums_can_hold() {
    let rest = BUDGET_MAX_MINOR - 100_000;
    assert_eq!(funded(&started().and(funding(rest, "a"))), BUDGET_MAX_MINOR);
    let message = "must leave all funding of a campaign at 1000000000000000 at most".into();
    let refused = CampaignRejection::Terms(TermsError { field: "amount.minor".into(), message });
    started().when(funding(rest + 1, "a")).then_rejects(refused.clone());
    limited().when(funding(rest + 1, "a")).then_rejects(refused.clone());
    let both = limited().and(funding(rest, "a")).and(funding(1, "b")).and(funding(60_00, "c"));
    both.by("bob").when(agree("a")).then_rejects(refused);
    let message = "must be at most 1000000000000000".into();
    let refused = CampaignRejection::Terms(TermsError { field: "budget.minor".into(), message });
    let rich = Terms { budget: gbp(BUDGET_MAX_MINOR + 1), ..terms() };
    nothing().when(draft(rich)).then_rejects(refused);
}

/// Earlier releases took such fundings. A cap that could not be told stopped the whole ledger.
#[test]
fn a_cap_beyond_64_bits_ends_there_and_stops_nothing() {
    let history = [
        CampaignEvent::BudgetFunded {
            amount: gbp(i64::MAX - 100_000),
            funded_minor: i64::MAX,
            reference: "all".into(),
            posting: Posting::funding(&"autumn".parse().unwrap(), gbp(i64::MAX - 100_000)),
            version: 1,
        },
        CampaignEvent::BudgetSpent {
            spent_minor: 5_00,
            reversed_minor: 5_00,
            tier_wins: BTreeMap::new(),
            version: 1,
        },
    ];
    let mut rich = scheduled();
    for event in history {
        rich.state.apply(event);
    }
    let opened = rich.at(at("2026-11-22T00:00:00Z")).and(open());
    assert_eq!(opened.state.epoch(epoch()).unwrap().budget_cap_minor, i64::MAX);
    assert_eq!(opened.and(spend(5_00, 0)).state.spent_minor(), 10_00);
}

#[test]
fn a_reference_funds_once() {
    let once = || started().and(funding(50_00, "po-1"));
    once().when(funding(50_00, "po-1")).then_only_answers(CampaignAnswer::Unchanged);
    let other = CampaignRejection::FundingExistsWithOtherAmount("po-1".into());
    once().when(funding(50_01, "po-1")).then_rejects(other);
}

#[test]
fn above_the_limit_it_takes_two() {
    limited().when(funding(50_00, "po-1")).then_answers(CampaignAnswer::Done);
    let proposed = limited().when(funding(50_01, "po-2")).then_answers(CampaignAnswer::Proposed).accepted();
    assert_eq!(funded(&proposed), 100_000);
    let alone = CampaignRejection::SecondPersonNeeded { proposed_by: "alice".into() };
    proposed.clone().when(agree("po-2")).then_rejects(alone);
    proposed.clone().when(funding(50_01, "po-2")).then_only_answers(CampaignAnswer::Unchanged);
    proposed.clone().when(agree("po-3")).then_rejects(CampaignRejection::UnknownFunding("po-3".into()));
    proposed.clone().when(agree("")).then_rejects(CampaignRejection::UnknownFunding(String::new()));
    let agreed = proposed.by("bob").and(agree("po-2"));
    assert_eq!(funded(&agreed), 105_001);
    agreed.when(agree("po-2")).then_only_answers(CampaignAnswer::Unchanged);
}

#[test]
fn a_limit_that_is_split_is_still_a_limit() {
    let half = limited().and(funding(25_00, "po-1"));
    half.clone().when(funding(25_00, "po-2")).then_answers(CampaignAnswer::Done);
    let proposed = half.when(funding(25_01, "po-2")).then_answers(CampaignAnswer::Proposed).accepted();
    // Two have looked: one may go up to the limit again.
    let agreed = proposed.by("bob").and(agree("po-2"));
    assert_eq!(funded(&agreed), 105_001);
    agreed.clone().when(funding(50_00, "po-3")).then_answers(CampaignAnswer::Done);
    agreed.when(funding(50_01, "po-3")).then_answers(CampaignAnswer::Proposed);
}

#[test]
fn spending_is_recorded_in_running_totals() {
    let spent = started().and(spend(20_000, 0));
    let then = spent.when(spend(20_000, 5_00));
    let [CampaignEvent::BudgetSpent { spent_minor, reversed_minor, tier_wins, .. }] = then.events() else {
        panic!("{:?}", then.events())
    };
    assert_eq!((*spent_minor, *reversed_minor, tier_wins.len()), (40_000, 5_00, 0));
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

/// What a spend of this much tells after these.
fn told(before: &[i64], won_minor: i64) -> Option<u8> {
    let given = before.iter().fold(started(), |given, won| given.and(spend(*won, 0)));
    given.when(spend(won_minor, 0)).events().iter().find_map(|event| match event {
        CampaignEvent::BudgetAlerted { percent, .. } => Some(*percent),
        _ => None,
    })
}

#[test]
fn a_share_of_the_budget_is_told_of_once() {
    assert_eq!(told(&[], 49_999), None);
    assert_eq!(told(&[], 50_000), Some(50));
    assert_eq!(told(&[50_000], 1), None);
    assert_eq!(told(&[50_000], 30_000), Some(80));
    // At once past several: the highest.
    assert_eq!(told(&[], 95_000), Some(95));
    // A fiver cannot be covered any more.
    assert_eq!(told(&[95_000], 4_500), None);
    assert_eq!(told(&[95_000], 4_501), Some(100));
    assert_eq!(told(&[100_000], 0), None);
}

#[test]
fn more_money_lets_shares_be_told_of_again() {
    let funded = started().and(spend(95_000, 0)).and(funding(100_000, "po-1"));
    let events = funded.when(spend(5_000, 0)).events().to_vec();
    let told =
        CampaignEvent::BudgetAlerted { percent: 50, spent_minor: 100_000, funded_minor: 200_000, version: 1 };
    assert_eq!(events[1..], [told]);
}

fn jackpots(most: u64) -> Terms {
    let mut terms = Terms { inventory: [("fiver".to_owned(), most)].into(), ..terms() };
    terms.prize_table.tiers.push(Tier {
        name: "tenner".into(),
        odds_ppb: 1_000,
        prize: Prize::Fixed { fixed: 10_00 },
    });
    terms
}

fn wins(count: u64) -> CampaignCommandKind {
    CampaignCommandKind::RecordSpend { won_minor: 5_00, reversed_minor: 0, wins: vec![(epoch(), 0, count)] }
}

#[test]
fn a_tier_of_which_there_are_no_more_is_masked() {
    let opened = nothing()
        .and(draft(jackpots(3)))
        .by("bob")
        .and(approve())
        .and(CampaignCommandKind::Start)
        .and(schedule())
        .and(open());
    let masked = |given: &Given<Campaign>, staged: &[((Epoch, u32), u64)]| {
        given.state.sold_out(epoch(), &staged.iter().copied().collect())
    };
    let two = opened.and(wins(2));
    assert_eq!(masked(&two, &[]), 0);
    assert_eq!(masked(&two, &[((epoch(), 0), 1)]), 0b1, "what is staged counts");
    assert_eq!(masked(&two, &[((epoch(), 1), 9)]), 0, "of the other tier there is no end");
    let none_left = CampaignRejection::OverInventory { tier: "fiver".into(), most: 3 };
    two.clone().when(wins(2)).then_rejects(none_left);
    let three = two.and(wins(1));
    assert_eq!(masked(&three, &[]), 0b1);
    let json = serde_json::to_string(&three.state).unwrap();
    assert_eq!(serde_json::from_str::<Campaign>(&json).unwrap(), three.state);
}

#[test]
fn wins_from_before_a_limit_count_against_it() {
    let unlimited = nothing()
        .and(draft(Terms { inventory: BTreeMap::new(), ..jackpots(1) }))
        .by("bob")
        .and(approve())
        .and(CampaignCommandKind::Start)
        .and(schedule())
        .and(open())
        .and(wins(5));
    let limited = unlimited.and(revise(jackpots(6))).by("alice").and(approve());
    let tomorrow = epoch().next();
    let next = limited.and(schedule_of(tomorrow)).at(tomorrow.opens_at()).and(open_of(tomorrow));
    let sold_out = |given: &Given<Campaign>| given.state.sold_out(tomorrow, &BTreeMap::new());
    assert_eq!(sold_out(&next), 0, "five of six");
    // A late line of yesterday wins the sixth: today's mask grows, and stays.
    let gone = next.and(wins(1));
    assert_eq!(sold_out(&gone), 0b1);
}

#[test]
fn terms_that_cannot_pay_what_they_promise_are_refused() {
    let refused = |terms: Terms| terms.validate().unwrap_err().to_string();
    let poor = Terms { budget: gbp(4_99), ..terms() };
    assert_eq!(refused(poor), "budget.minor: must cover tier fiver at least once: 500 minor units");
    // 1 in 1,000 of GBP 5.00 is half a penny a draw.
    let planned = |planned_draws| Terms { planned_draws: Some(planned_draws), ..terms() };
    nothing().when(draft(planned(200_000))).then_answers(CampaignAnswer::Done);
    let beyond = |draws: u64, cost: u64, funded: u64| {
        let message =
            format!("{draws} draws are expected to cost up to {cost} minor units, and {funded} are funded");
        CampaignRejection::Terms(TermsError { field: "planned_draws".into(), message })
    };
    nothing().when(draft(planned(200_001))).then_rejects(beyond(200_001, 100_001, 100_000));
    // Once it runs, all that was funded counts.
    started().when(revise(planned(200_001))).then_rejects(beyond(200_001, 100_001, 100_000));
    let funded = started().and(funding(50_00, "more"));
    funded.clone().when(revise(planned(210_000))).then_answers(CampaignAnswer::Done);
    funded.when(revise(planned(210_001))).then_rejects(beyond(210_001, 105_001, 105_000));
    let unknown = Terms { inventory: [("sixer".to_owned(), 1)].into(), ..terms() };
    assert_eq!(refused(unknown), "inventory.sixer: must be the name of a tier of the prize table");
    let card = Terms { inventory: [("4111111111111111".to_owned(), 1)].into(), ..terms() };
    assert_eq!(refused(card), "inventory: must be the name of a tier of the prize table");
}
