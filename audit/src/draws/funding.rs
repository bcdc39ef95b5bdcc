//! Who put money into a campaign: its budget once, with the start; more than its terms let one
//! person give takes two. The books have what was put in.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Findings, Place};
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::ids::CampaignId;
use ledger_core::log::StoredEvent;
use ledger_core::money::Money;
use ledger_core::person::same_person;
use ledger_core::posting::Posting;

/// One campaign's fundings so far.
#[derive(Default)]
pub(super) struct Fundings {
    /// By reference: how much, and who proposed it.
    proposed: BTreeMap<String, (Money, String)>,
    /// References that have been funded.
    funded: BTreeSet<String>,
    /// Given by one person each since two last agreed.
    alone_minor: i128,
}

impl Fundings {
    /// Follows a `FundingProposed` or a `BudgetFunded`.
    pub(super) fn take(
        &mut self,
        stored: &StoredEvent,
        id: &CampaignId,
        terms: Option<&Terms>,
        event: &CampaignEvent,
        findings: &mut Findings,
    ) {
        match event {
            CampaignEvent::FundingProposed { amount, reference, by, .. } => {
                self.proposed.insert(reference.clone(), (*amount, by.clone()));
            }
            CampaignEvent::BudgetFunded { amount, reference, posting, .. } => {
                let place = &Place::of(stored, None);
                findings.compare(place, "posting", &Posting::funding(id, *amount), posting);
                if !self.funded.insert(reference.clone()) {
                    findings.add(place, "funded_once", format!("{reference:?} once"), "again");
                }
                let Some(terms) = terms else { return };
                if reference.is_empty() {
                    findings.compare(place, "funded", terms.budget, *amount);
                } else {
                    self.more(place, terms, *amount, reference, stored.actor().as_deref(), findings);
                }
            }
            _ => {}
        }
    }

    fn more(
        &mut self,
        place: &Place,
        terms: &Terms,
        amount: Money,
        reference: &str,
        actor: Option<&str>,
        findings: &mut Findings,
    ) {
        if let Some((proposed, by)) = self.proposed.remove(reference) {
            findings.compare(place, "funded", proposed, amount);
            if actor.is_some_and(|actor| same_person(actor, &by)) {
                findings.add(place, "funded_by", format!("somebody else than {by}"), by);
            }
            self.alone_minor = 0;
            return;
        }
        self.alone_minor += i128::from(amount.minor());
        if let Some(limit) = terms.funding_limit_minor
            && self.alone_minor > i128::from(limit)
        {
            let who = actor.unwrap_or("one person").to_owned();
            findings.add(place, "funded_by", format!("two people above {limit}"), who);
        }
    }
}
