//! The budget: funded by one or two people, spent under a hard floor.

use std::collections::BTreeMap;

use super::{Decision, UNCHANGED, done};
use crate::campaign::command::{CampaignAnswer, CampaignRejection};
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::Campaign;
use crate::campaign::terms::{BUDGET_MAX_MINOR, Terms, TermsError};
use crate::money::{Money, MoneyError};
use crate::person::same_person;
use crate::posting::Posting;
use crate::text::check_name;
use crate::text::pan::contains_pan;
use crate::time::Epoch;

/// Shares of the budget that are told of, in per cent. 100 is told once no tier can be covered any
/// more.
const ALERTS_PERCENT: [u8; 3] = [95, 80, 50];
const REFERENCE_CHARACTERS_MAX: usize = 100;

impl Campaign {
    pub(super) fn fund(&self, by: &str, amount: Money, reference: &str) -> Decision {
        let terms = self.running()?;
        if amount.is_zero() {
            return Err(field("amount.minor", "must be above zero"));
        }
        if amount.currency() != terms.budget.currency() {
            return Err(field("amount.currency", "must be the budget's currency"));
        }
        // Repeats come first: an earlier release may have taken a reference that would be refused
        // now.
        match self.fundings.get(reference).filter(|_| !reference.is_empty()) {
            Some(existing) if existing.amount != amount => {
                return Err(CampaignRejection::FundingExistsWithOtherAmount(reference.into()));
            }
            Some(_) => return UNCHANGED,
            None => check_reference(reference)?,
        }
        let funded = self.funding(terms, amount, reference)?;
        // What one person has put in since two last agreed counts as well: a limit that could be
        // split is none.
        let alone_minor = self.funded_alone_minor.saturating_add(amount.minor());
        if terms.funding_limit_minor.is_some_and(|limit| alone_minor > limit) {
            let (reference, by) = (reference.into(), by.into());
            let proposed = CampaignEvent::FundingProposed { amount, reference, by, version: self.version };
            return Ok((vec![proposed], CampaignAnswer::Proposed));
        }
        done(vec![funded])
    }

    pub(super) fn approve_funding(&self, by: &str, reference: &str) -> Decision {
        let terms = self.running()?;
        // What looks like a card number is not said again.
        let unknown = || {
            let unknown = CampaignRejection::UnknownFunding(reference.into());
            if contains_pan(reference) {
                check_reference(reference).err().unwrap_or(unknown)
            } else {
                unknown
            }
        };
        let funding = self.fundings.get(reference).filter(|_| !reference.is_empty()).ok_or_else(unknown)?;
        match &funding.waits_for_other_than {
            None => UNCHANGED,
            Some(first) if same_person(first, by) => {
                Err(CampaignRejection::SecondPersonNeeded { proposed_by: first.clone() })
            }
            Some(_) => done(vec![self.funding(terms, funding.amount, reference)?]),
        }
    }

    pub(super) fn funding(
        &self,
        terms: &Terms,
        amount: Money,
        reference: &str,
    ) -> Result<CampaignEvent, CampaignRejection> {
        let so_far = Money::new(self.funded_minor, terms.budget.currency())?;
        let funded_minor = so_far.checked_add(amount)?.minor();
        if funded_minor > BUDGET_MAX_MINOR {
            let most = format!("must leave all funding of a campaign at {BUDGET_MAX_MINOR} at most");
            return Err(field("amount.minor", &most));
        }
        let posting = Posting::funding(&terms.campaign_id, amount);
        let (reference, version) = (reference.into(), self.version);
        Ok(CampaignEvent::BudgetFunded { amount, funded_minor, reference, posting, version })
    }

    /// The hard floor: masks keep a batch within the budget before it is drawn, this keeps it from
    /// being recorded if they ever did not.
    pub(super) fn record_spend(
        &self,
        won_minor: i64,
        reversed_minor: i64,
        wins: &[(Epoch, u32, u64)],
    ) -> Decision {
        let overflow = CampaignRejection::Budget(MoneyError::Overflow);
        let spent_minor = self.spent_minor.checked_add(won_minor).ok_or(overflow.clone())?;
        // A win that was reversed in the same batch had to be covered all the same.
        let funded_minor = self.budget_cap();
        if spent_minor > funded_minor {
            return Err(CampaignRejection::OverBudget { funded_minor, spent_minor });
        }
        let reversed_minor = self.reversed_minor.checked_add(reversed_minor).ok_or(overflow)?;
        let tier_wins = self.tier_wins_after(wins)?;
        let mut events = vec![CampaignEvent::BudgetSpent {
            spent_minor,
            reversed_minor,
            tier_wins,
            version: self.version,
        }];
        events.extend(self.alert(spent_minor, funded_minor));
        done(events)
    }

    /// Running totals of every tier that was won, whether or not its number is limited: a revision
    /// may limit it later. The same floor as for the money: epochs may have been scheduled with
    /// other numbers and come in any order, and none may exceed the largest.
    fn tier_wins_after(
        &self,
        wins: &[(Epoch, u32, u64)],
    ) -> Result<BTreeMap<String, u64>, CampaignRejection> {
        let (mut after, mut most) = (BTreeMap::new(), BTreeMap::new());
        for (epoch, tier, count) in wins {
            let state = self.epoch_state(*epoch)?;
            let Some(tier) = state.prize_table.tiers.get(*tier as usize) else { continue };
            let so_far = self.tier_wins.get(&tier.name).copied().unwrap_or(0);
            let wins: &mut u64 = after.entry(tier.name.clone()).or_insert(so_far);
            *wins = wins.saturating_add(*count);
            let limit = state.inventory.get(&tier.name).copied().unwrap_or(u64::MAX);
            let largest: &mut u64 = most.entry(&tier.name).or_default();
            *largest = (*largest).max(limit);
        }
        match after.iter().find(|(tier, wins)| most[tier] < **wins) {
            Some((tier, _)) => Err(CampaignRejection::OverInventory { tier: tier.clone(), most: most[tier] }),
            None => Ok(after),
        }
    }

    /// The highest share reached that has not been told of.
    fn alert(&self, spent_minor: i64, funded_minor: i64) -> Option<CampaignEvent> {
        let table = &self.terms.as_ref()?.prize_table;
        let cheapest = table.tiers.iter().map(|tier| tier.prize.max_minor()).min()?;
        let reached =
            |percent: u8| i128::from(spent_minor) * 100 >= i128::from(funded_minor) * i128::from(percent);
        let percent = if funded_minor - spent_minor < cheapest {
            100
        } else {
            ALERTS_PERCENT.into_iter().find(|percent| reached(*percent))?
        };
        (percent > self.alerted_percent).then_some(CampaignEvent::BudgetAlerted {
            percent,
            spent_minor,
            funded_minor,
            version: self.version,
        })
    }

    /// Funded plus given back. At the end of what 64 bits hold it stays there: less is paid, and
    /// nothing stops.
    pub(super) fn budget_cap(&self) -> i64 {
        self.funded_minor.saturating_add(self.reversed_minor)
    }
}

fn check_reference(reference: &str) -> Result<(), CampaignRejection> {
    check_name(reference, REFERENCE_CHARACTERS_MAX).map_err(|error| field("reference", &error.to_string()))
}

fn field(field: &str, message: &str) -> CampaignRejection {
    TermsError { field: field.into(), message: message.into() }.into()
}
