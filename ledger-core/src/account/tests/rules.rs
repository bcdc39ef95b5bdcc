//! Which lines are admitted, and what the draw makes of them.

use super::*;

#[track_caller]
fn declines(transaction: PreparedTransaction, offer: Offer, failed: &[RuleCode]) {
    given([opened()]).when(evaluate(transaction, offer)).then_declines(failed);
}

#[track_caller]
fn admits(transaction: PreparedTransaction, offer: Offer) {
    given([opened()]).when(evaluate(transaction, offer)).then_answers(won(5_00));
}

fn changed(change: impl FnOnce(&mut Facts)) -> PreparedTransaction {
    let mut purchase = purchase("t1");
    change(&mut purchase.facts);
    purchase
}

fn mcc(code: &str) -> PreparedTransaction {
    changed(|facts| facts.mcc = Mcc::parse(code).map(Personal::new))
}

/// Its day there cannot be told: nothing is decided, and nothing is lost.
#[test]
fn a_line_waits_while_a_running_campaigns_zone_is_not_known() {
    let lost = || offer_of(Terms { time_zone: Zone::named("Mars/Olympus"), ..terms() });
    let halted = AccountAnswer::Deferred(DeferReason::DrawsHalted);
    given([opened()]).when(evaluate(purchase("t1"), lost())).then_answers(halted);
    let ended = Offer { standing: Standing::Ended, ..lost() };
    given([opened()]).when(evaluate(purchase("t1"), ended)).then_declines(&[RuleCode::AfterCampaign]);
}

#[test]
fn the_window_includes_its_start_and_excludes_its_end() {
    let from_start = || offer_of(Terms { eligible_from: EligibleFrom::CampaignStart, ..terms() });
    declines(purchase_at("2026-09-30T23:59:59.999999Z"), from_start(), &[RuleCode::BeforeCampaign]);
    admits(purchase_at("2026-10-01T00:00:00Z"), from_start());
    admits(purchase_at("2026-11-30T23:59:59.999999Z"), from_start());
    declines(purchase_at("2026-12-01T00:00:00Z"), from_start(), &[RuleCode::AfterCampaign]);
    let open_ended = offer_of(Terms { ends_at: None, ..terms() });
    admits(purchase_at("2027-12-01T00:00:00Z"), open_ended);
}

#[test]
fn a_campaign_that_does_not_run_declines() {
    let standing = |standing| Offer { standing, ..offer() };
    declines(purchase("t1"), standing(Standing::Paused), &[RuleCode::CampaignPaused]);
    declines(purchase("t1"), standing(Standing::Ended), &[RuleCode::AfterCampaign]);
}

#[test]
fn a_line_booked_before_enrolment_counts_only_where_the_terms_say_so() {
    declines(purchase_at("2026-10-31T23:59:59Z"), offer(), &[RuleCode::BeforeEnrolment]);
    admits(purchase_at("2026-11-01T00:00:00Z"), offer());
    let from_start = Terms { eligible_from: EligibleFrom::CampaignStart, ..terms() };
    admits(purchase_at("2026-10-31T23:59:59Z"), offer_of(from_start));
}

#[test]
fn the_line_that_opens_an_account_was_bought_before_enrolment() {
    let then = given([]).when(first_seen(purchase("t1")));
    let [AccountEvent::AccountOpened { enrolled_at }, AccountEvent::TransactionEvaluated { considered, .. }] =
        then.events()
    else {
        panic!("{:?}", then.events())
    };
    assert_eq!(*enrolled_at, at(NOW));
    assert_eq!(considered[0].failed, [RuleCode::BeforeEnrolment]);
}

#[test]
fn an_excluded_customer_wins_nothing_until_reinstated() {
    let excluded =
        given([opened()]).and(CommandKind::Exclude { kind: Exclusion::Staff, reason: "staff".into() });
    let line = || evaluate(purchase("t1"), offer());
    excluded.clone().when(line()).then_declines(&[RuleCode::AccountExcluded]);
    let again = |kind| CommandKind::Exclude { kind, reason: "asked".into() };
    excluded.clone().when(again(Exclusion::Staff)).then_only_answers(AccountAnswer::Unchanged);
    let other = excluded.clone().when(again(Exclusion::SelfExcluded)).then_happens(&["AccountExcluded"]);
    other.accepted().when(line()).then_declines(&[RuleCode::AccountExcluded]);
    let reinstated = excluded.and(CommandKind::Reinstate { reason: "left".into() });
    reinstated.when(line()).then_answers(won(5_00));
}

#[test]
fn only_purchases_from_a_merchant_in_the_campaigns_currency_take_part() {
    let credit = changed(|facts| facts.direction = Direction::Credit);
    declines(credit, offer(), &[RuleCode::CreditTransaction]);
    declines(changed(|facts| facts.refund = true), offer(), &[RuleCode::Refund]);
    let nothing = changed(|facts| facts.amount = Personal::new(money(0, "GBP")));
    declines(nothing, offer(), &[RuleCode::AmountZero]);
    let euros = changed(|facts| facts.amount = Personal::new(money(12_50, "EUR")));
    declines(euros, offer(), &[RuleCode::CurrencyMismatch]);
    declines(changed(|facts| facts.has_merchant = false), offer(), &[RuleCode::NoMerchant]);
}

#[test]
fn categories_are_admitted_by_inclusive_ranges_and_keep_their_zeros() {
    let allowed = || {
        offer_with(ShortRules {
            mcc_allowed: Some(vec!["0042".parse().unwrap(), "5811-5814".parse().unwrap()]),
            ..ShortRules::default()
        })
    };
    for code in ["0042", "5811", "5812", "5814"] {
        admits(mcc(code), allowed());
    }
    for code in ["0041", "4200", "5810", "5815", ""] {
        declines(mcc(code), allowed(), &[RuleCode::MccNotAllowed]);
    }
    let denied =
        || offer_with(ShortRules { mcc_denied: vec!["0700-0763".parse().unwrap()], ..ShortRules::default() });
    declines(mcc("0763"), denied(), &[RuleCode::MccDenied]);
    admits(mcc("7630"), denied());
    admits(mcc(""), denied());
}

#[test]
fn merchants_are_admitted_by_id() {
    let list = |id: &str| [id.to_owned()].into();
    let allowed = |id| offer_with(ShortRules { merchants_allowed: Some(list(id)), ..ShortRules::default() });
    admits(purchase("t1"), allowed("m_42"));
    declines(purchase("t1"), allowed("m_1"), &[RuleCode::MerchantNotAllowed]);
    let nameless = || changed(|facts| facts.merchant_id = None);
    declines(nameless(), allowed("m_42"), &[RuleCode::MerchantNotAllowed]);
    let denied = |id| offer_with(ShortRules { merchants_denied: list(id), ..ShortRules::default() });
    declines(purchase("t1"), denied("m_42"), &[RuleCode::MerchantDenied]);
    admits(purchase("t1"), denied("m_1"));
    admits(nameless(), denied("m_42"));
}

#[test]
fn bounds_of_the_amount_are_inclusive() {
    let bounds = || {
        offer_with(ShortRules {
            amount_min_minor: Some(10_00),
            amount_max_minor: Some(20_00),
            ..ShortRules::default()
        })
    };
    let costing = |minor| line("t1", Status::Booked, minor);
    declines(costing(9_99), bounds(), &[RuleCode::AmountTooSmall]);
    admits(costing(10_00), bounds());
    admits(costing(20_00), bounds());
    declines(costing(20_01), bounds(), &[RuleCode::AmountTooLarge]);
}

#[test]
fn every_rule_that_fails_is_reported_in_order() {
    let mut line = purchase_at("2026-09-01T00:00:00Z");
    line.facts.direction = Direction::Credit;
    line.facts.refund = true;
    let rules = ShortRules {
        mcc_allowed: Some(vec![]),
        mcc_denied: vec!["5814".parse().unwrap()],
        merchants_allowed: Some([].into()),
        merchants_denied: ["m_42".to_owned()].into(),
        amount_min_minor: Some(99_00),
        amount_max_minor: Some(1),
        wins_per_day: Some(0),
    };
    let offer = Offer { standing: Standing::Paused, epoch: EpochOffer::Never, ..offer_with(rules) };
    let failed = [
        RuleCode::BeforeCampaign,
        RuleCode::CampaignPaused,
        RuleCode::BeforeEnrolment,
        RuleCode::AccountExcluded,
        RuleCode::CreditTransaction,
        RuleCode::Refund,
        RuleCode::MccNotAllowed,
        RuleCode::MccDenied,
        RuleCode::MerchantNotAllowed,
        RuleCode::MerchantDenied,
        RuleCode::AmountTooSmall,
        RuleCode::AmountTooLarge,
        RuleCode::WinsPerDay,
        RuleCode::NoEpoch,
    ];
    assert!(failed.is_sorted());
    let excluded =
        given([opened()]).and(CommandKind::Exclude { kind: Exclusion::Staff, reason: "staff".into() });
    excluded.when(evaluate(line, offer)).then_declines(&failed);
}

#[test]
fn wins_per_day_count_the_campaigns_local_days_on_both_sides_of_summer_time() {
    // London leaves summer time on 25 October 2026: that day has 25 hours, from 23:00Z to 24:00Z.
    let once_a_day = || {
        offer_of(Terms {
            eligible_from: EligibleFrom::CampaignStart,
            rules: ShortRules { wins_per_day: Some(1), ..ShortRules::default() }.into(),
            ..terms()
        })
    };
    let bought = |id: &str, booked_at: &str| {
        let mut purchase = purchase(id);
        purchase.line.booked_at = at(booked_at);
        evaluate(purchase, once_a_day())
    };
    let winner = given([opened()]).and(bought("t1", "2026-10-24T23:00:00Z"));
    let too_many = |booked_at| winner.clone().when(bought("t2", booked_at));
    too_many("2026-10-25T00:30:00Z").then_declines(&[RuleCode::WinsPerDay]);
    too_many("2026-10-25T23:59:59Z").then_declines(&[RuleCode::WinsPerDay]);
    too_many("2026-10-24T22:59:59Z").then_answers(won(5_00));
    let next_day = too_many("2026-10-26T00:00:00Z");
    assert_eq!(next_day.draw().day.to_string(), "2026-10-26");
    let day = "2026-10-25".parse().unwrap();
    assert_eq!(winner.state.won_on(&"autumn".parse().unwrap(), day, day).wins, 1);
}

#[test]
fn a_line_waits_for_its_epoch_to_open() {
    let then = given([opened()]).when(evaluate(purchase("t1"), offer_in(EpochOffer::NotOpen)));
    let (line, reason) = (purchase("t1").line, DeferReason::EpochNotOpen);
    then.then([AccountEvent::TransactionDeferred { line, reason }])
        .then_answers(AccountAnswer::Deferred(reason));
}

#[test]
fn a_line_that_fails_a_rule_does_not_wait() {
    let refund = changed(|facts| facts.refund = true);
    declines(refund, offer_in(EpochOffer::NotOpen), &[RuleCode::Refund]);
}

#[test]
fn a_day_that_draws_no_more_or_never_did_declines() {
    declines(purchase("t1"), offer_in(EpochOffer::TooLate), &[RuleCode::TooLate]);
    declines(purchase("t1"), offer_in(EpochOffer::Void), &[RuleCode::EpochHalted]);
    declines(purchase("t1"), offer_in(EpochOffer::Never), &[RuleCode::NoEpoch]);
    declines(purchase("t1"), offer_in(EpochOffer::Past), &[RuleCode::AfterLastEpoch]);
}

#[test]
fn the_first_campaign_that_admits_a_line_draws_it() {
    let refused = offer_in(EpochOffer::TooLate);
    let second = offer_of(Terms { campaign_id: "winter".parse().unwrap(), ..terms() });
    let third = offer();
    let command = evaluation(purchase("t1"), vec![refused, second, third]);
    let then = given([opened()]).when(CommandKind::EvaluateTransaction(command));
    assert_eq!(then.draw().campaign_id.as_str(), "winter");
    let [AccountEvent::TransactionEvaluated { considered, .. }] = then.events() else {
        unreachable!("draw() has looked")
    };
    let failed: Vec<_> = considered.iter().map(|c| c.failed.as_slice()).collect();
    assert_eq!(failed, [&[RuleCode::TooLate][..], &[]]);
}

#[test]
fn without_a_campaign_a_line_is_declined() {
    let command = evaluation(purchase("t1"), vec![]);
    let then = given([opened()]).when(CommandKind::EvaluateTransaction(command));
    then.then_happens(&["TransactionEvaluated"]).then_answers(decided(Outcome::Declined));
}

#[test]
fn a_win_records_all_that_derives_it_again() {
    let then = given([opened()]).when(evaluate(purchase("t1"), offer()));
    let draw = then.draw();
    let roll = draw::roll(&epoch_key(), &entry("t1"));
    assert_eq!(draw.entry_id, entry("t1"));
    assert_eq!((draw.r, draw.rejections), (roll.r, roll.rejections));
    assert_eq!((draw.tier, draw.amount), (Some(0), Some(gbp(5_00))));
    assert_eq!((draw.tier_mask, draw.budget_left_minor), (0, 100_000));
    assert_eq!(draw.table_hash, terms().prize_table.hash());
    assert_eq!((draw.epoch.to_string(), draw.campaign_version), ("2026-11-22".into(), 1));
    then.then_answers(won(5_00));
}

#[test]
fn a_tier_the_budget_cannot_cover_is_masked_before_the_draw() {
    let fixed = |fixed| Prize::Fixed { fixed };
    let prizes = || table([(999_999_999, fixed(5_00)), (1, fixed(1_00))]);
    let draw = |left| given([opened()]).when(evaluate(purchase("t1"), offer_in(open_epoch(prizes(), left))));
    assert_eq!((draw(5_00).draw().tier_mask, draw(5_00).draw().tier), (0b00, Some(0)));
    // The share of the masked tier is no prize: nothing moves to the other tier.
    assert_eq!((draw(4_99).draw().tier_mask, draw(4_99).draw().tier), (0b01, None));
    let broke = draw(0);
    assert_eq!((broke.draw().tier_mask, broke.draw().budget_left_minor), (0b11, 0));
    broke.then_answers(decided(Outcome::Lost));
}

#[test]
fn a_share_is_rounded_down_and_bounded() {
    let tenth = || Prize::Share { share_bps: BasisPoints::new(1_000).unwrap(), max: 3_00 };
    let spend = |minor| {
        let offer = offer_in(open_epoch(always(tenth()), 100_000));
        given([opened()]).when(evaluate(line("t1", Status::Booked, minor), offer))
    };
    spend(12_59).then_answers(won(1_25));
    spend(99_00).then_answers(won(3_00));
    let nothing = spend(9);
    // The tier was drawn and says so, but it pays nothing and makes no reward.
    assert_eq!((nothing.draw().tier, nothing.draw().amount), (Some(0), None));
    let after = nothing.then_answers(decided(Outcome::Lost)).accepted();
    assert_eq!(after.state.rewards().count(), 0);
}
