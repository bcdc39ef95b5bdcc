//! Whether one campaign admits one line. Every rule that fails is reported, not only the first.

use crate::account::command::{EpochOffer, Facts, Offer, PreparedTransaction, Standing};
use crate::account::state::RewardAccount;
use crate::campaign::terms::{EligibleFrom, MccRange, RuleCode, Rules, Terms};
use crate::time::Timestamp;
use crate::transaction::{Direction, Mcc};

impl RewardAccount {
    /// The rules of `offer` that `transaction` fails, in order of [`RuleCode`]. An epoch that will open is
    /// no failure.
    pub(super) fn failed_rules(
        &self,
        now: Timestamp,
        transaction: &PreparedTransaction,
        offer: &Offer,
    ) -> Vec<RuleCode> {
        let mut failed = Vec::new();
        let terms = &*offer.terms;
        let mut rule = |fails: bool, code: RuleCode| {
            if fails {
                failed.push(code);
            }
        };
        let booked_at = transaction.line.booked_at;
        rule(booked_at < terms.starts_at, RuleCode::BeforeCampaign);
        rule(
            terms.ends_at.is_some_and(|end| booked_at >= end) || offer.standing == Standing::Ended,
            RuleCode::AfterCampaign,
        );
        rule(offer.standing == Standing::Paused, RuleCode::CampaignPaused);
        if terms.eligible_from == EligibleFrom::Enrolment {
            // An account opened by this very line enrols now.
            let enrolled_at = self.enrolled_at.unwrap_or(now);
            rule(booked_at < enrolled_at, RuleCode::BeforeEnrolment);
        }
        rule(self.excluded, RuleCode::AccountExcluded);
        line_rules(&transaction.facts, terms, &mut rule);
        if let Some(most) = terms.rules.wins_per_day {
            let day = booked_at.to_utc().with_timezone(&terms.time_zone).date_naive();
            rule(self.wins_on(&terms.campaign_id, day) >= most, RuleCode::WinsPerDay);
        }
        match offer.epoch {
            EpochOffer::Never => rule(true, RuleCode::NoEpoch),
            EpochOffer::Halted => rule(true, RuleCode::EpochHalted),
            EpochOffer::TooLate => rule(true, RuleCode::TooLate),
            EpochOffer::NotOpen | EpochOffer::Open { .. } => {}
        }
        failed
    }
}

fn line_rules(facts: &Facts, terms: &Terms, rule: &mut impl FnMut(bool, RuleCode)) {
    let Rules {
        mcc_allowed,
        mcc_denied,
        merchants_allowed,
        merchants_denied,
        amount_min_minor,
        amount_max_minor,
        ..
    } = &terms.rules;
    rule(facts.direction == Direction::Credit, RuleCode::CreditTransaction);
    rule(facts.refund, RuleCode::Refund);
    let amount = facts.amount.expose();
    let same_currency = amount.currency() == terms.prize_table.currency;
    rule(!same_currency, RuleCode::CurrencyMismatch);
    rule(!facts.has_merchant, RuleCode::NoMerchant);
    if facts.has_merchant {
        let mcc = facts.mcc.as_ref().map(|m| *m.expose());
        let merchant = facts.merchant_id.as_ref().map(|m| m.expose().as_str());
        rule(mcc_allowed.as_ref().is_some_and(|ranges| !is_in(mcc, ranges)), RuleCode::MccNotAllowed);
        rule(is_in(mcc, mcc_denied), RuleCode::MccDenied);
        let allowed = |list: &std::collections::BTreeSet<String>| merchant.is_some_and(|m| list.contains(m));
        rule(merchants_allowed.as_ref().is_some_and(|list| !allowed(list)), RuleCode::MerchantNotAllowed);
        rule(allowed(merchants_denied), RuleCode::MerchantDenied);
    }
    // Bounds in another currency's minor units would compare pounds with yen.
    if same_currency {
        rule(amount_min_minor.is_some_and(|min| amount.minor() < min), RuleCode::AmountTooSmall);
        rule(amount_max_minor.is_some_and(|max| amount.minor() > max), RuleCode::AmountTooLarge);
    }
}

fn is_in(mcc: Option<Mcc>, ranges: &[MccRange]) -> bool {
    mcc.is_some_and(|mcc| ranges.iter().any(|r| (r.first..=r.last).contains(&mcc.number())))
}
