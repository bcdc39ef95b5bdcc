//! Whether one campaign admits one line. Every rule that fails is reported, not only the first.

use chrono::NaiveDate;
use compact_str::CompactString;

use crate::account::command::{EpochOffer, Facts, Offer, PreparedTransaction, Standing};
use crate::account::event::Line;
use crate::account::memory::Opened;
use crate::account::state::RewardAccount;
use crate::campaign::rules::{History, MerchantFacts, RuleCode, Subject, Won};
use crate::campaign::terms::{EligibleFrom, Terms};
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::time::Timestamp;
use crate::transaction::{Direction, Personal};

impl RewardAccount {
    /// The rules of `offer` that `transaction` fails: our own checks, the campaign's rules in their
    /// order, the epoch. An epoch that will open, or may go on, is no failure.
    pub(super) fn failed_rules(
        &self,
        now: Timestamp,
        transaction: &PreparedTransaction,
        opened: &Opened<'_>,
        offer: &Offer,
    ) -> Vec<RuleCode> {
        let mut failed = Vec::new();
        let terms = &*offer.terms;
        let mut rule = |fails: bool, code: RuleCode| {
            if fails {
                failed.push(code);
            }
        };
        let (booked, clocks) = (transaction.line.booked(), offer.clocks());
        rule(booked.is_before(terms.starts_at, clocks), RuleCode::BeforeCampaign);
        let is_after = terms.ends_at.is_some_and(|end| booked.is_after(end, clocks));
        rule(is_after || offer.standing == Standing::Ended, RuleCode::AfterCampaign);
        rule(offer.standing == Standing::Paused, RuleCode::CampaignPaused);
        if terms.eligible_from == EligibleFrom::Enrolment {
            // An account opened by this very line enrols now.
            let enrolled_at = self.enrolled_at.unwrap_or(now);
            rule(booked.is_before(enrolled_at, clocks), RuleCode::BeforeEnrolment);
        }
        rule(self.excluded.is_some(), RuleCode::AccountExcluded);
        line_checks(&transaction.facts, terms, &mut rule);
        self.named_rules(now, transaction, opened, offer, &mut failed);
        let mut rule = |code: RuleCode| failed.push(code);
        match offer.epoch {
            EpochOffer::Never => rule(RuleCode::NoEpoch),
            EpochOffer::Past => rule(RuleCode::AfterLastEpoch),
            EpochOffer::Void => rule(RuleCode::EpochHalted),
            EpochOffer::TooLate => rule(RuleCode::TooLate),
            EpochOffer::NotOpen | EpochOffer::Halted | EpochOffer::Open { .. } => {}
        }
        failed
    }

    /// The campaign's own rules, in the order of its terms.
    fn named_rules(
        &self,
        now: Timestamp,
        transaction: &PreparedTransaction,
        opened: &Opened<'_>,
        offer: &Offer,
        failed: &mut Vec<RuleCode>,
    ) {
        let terms = &*offer.terms;
        let PreparedTransaction { line, facts, .. } = transaction;
        let subject = Subject {
            booked: line.booked(),
            // An account opened by this very line enrols now.
            enrolled_at: self.enrolled_at.unwrap_or(now),
            clocks: offer.clocks(),
            nights_begin: terms.nights_begin(),
            amount: *facts.amount.expose(),
            is_purchase: facts.is_purchase(),
            in_currency: facts.in_currency_of(terms),
            merchant: facts.merchant(),
            history: &self.past(&terms.campaign_id, line, opened),
        };
        terms.rules.compiled().check(&subject, failed);
    }

    /// What rules may ask of the past when this line comes.
    pub fn past<'a>(
        &'a self,
        campaign_id: &'a CampaignId,
        line: &'a Line,
        opened: &'a Opened<'a>,
    ) -> impl History + 'a {
        Past { account: self, campaign_id, line, opened }
    }

    /// What this account's purchases cost, for as long as a decision takes.
    pub fn opened<'a>(&'a self, transaction: &'a PreparedTransaction) -> Opened<'a> {
        Opened::new(&self.memory, &transaction.amounts)
    }

    /// Whether somebody has kept it out of draws.
    pub fn is_excluded(&self) -> bool {
        self.excluded.is_some()
    }

    /// Since when it takes part.
    pub fn enrolled_at(&self) -> Option<Timestamp> {
        self.enrolled_at
    }
}

impl Facts {
    /// Who was paid.
    pub fn merchant(&self) -> Option<MerchantFacts<'_>> {
        self.has_merchant.then(|| MerchantFacts {
            id: text(self.merchant_id.as_ref()),
            mcc: self.mcc.as_ref().map(|mcc| *mcc.expose()),
            country: text(self.country.as_ref()),
        })
    }

    /// Whether the line is in the currency of these terms.
    pub fn in_currency_of(&self, terms: &Terms) -> bool {
        self.amount.expose().currency() == terms.prize_table.currency
    }
}

/// What every campaign asks of a line.
fn line_checks(facts: &Facts, terms: &Terms, rule: &mut impl FnMut(bool, RuleCode)) {
    rule(facts.direction == Direction::Credit, RuleCode::CreditTransaction);
    rule(facts.refund, RuleCode::Refund);
    rule(facts.amount.expose().is_zero(), RuleCode::AmountZero);
    rule(!facts.in_currency_of(terms), RuleCode::CurrencyMismatch);
    rule(!facts.has_merchant, RuleCode::NoMerchant);
}

fn text(text: Option<&Personal<CompactString>>) -> Option<&str> {
    text.map(|text| text.expose().as_str())
}

/// What this account remembers, as the rules of one campaign ask for it.
struct Past<'a> {
    account: &'a RewardAccount,
    campaign_id: &'a CampaignId,
    line: &'a Line,
    opened: &'a Opened<'a>,
}

impl History for Past<'_> {
    fn won(&self, first: NaiveDate, last: NaiveDate) -> Won {
        self.account.won_on(self.campaign_id, first, last)
    }

    fn transactions(&self, after: Timestamp, until: Timestamp) -> u32 {
        u32::try_from(self.account.memory.count(after, until)).unwrap_or(u32::MAX)
    }

    fn spent(&self, after: Timestamp, until: Timestamp, currency: Currency) -> Option<i64> {
        self.opened.spent(after, until, currency)
    }

    fn later(&self, after: Timestamp, before: Timestamp) -> Vec<Timestamp> {
        self.account.memory.times(after, before)
    }

    fn has_forgotten(&self, after: Timestamp) -> bool {
        self.account.memory.forgotten.is_some_and(|latest| latest > after)
    }

    fn knows_merchant(&self) -> bool {
        self.line.merchant.is_some_and(|merchant| self.account.memory.merchants.contains(&merchant))
    }
}
