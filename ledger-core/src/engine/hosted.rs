//! What the engine must know of an aggregate beside its commands and events.

use crate::account::state::PENDING_MAX;
use crate::account::{AccountEvent, RewardAccount};
use crate::aggregate::Decides;
use crate::campaign::{Campaign, CampaignEvent};
use crate::ids::TransactionKey;
use crate::log::Position;
use crate::system::System;

use super::rule_faults;
use super::slot::Slot;
use super::staging::Staging;

/// An aggregate that the engine hosts.
pub(super) trait Hosted: Decides + 'static {
    /// Names what its snapshots hold. The number rises whenever events fold to another state or a
    /// state is written otherwise; a test says when.
    const ENCODING: &'static str;

    /// Whether those used longest ago are let go of when memory is full; else all that have an
    /// event stay.
    const EVICTED: bool = false;

    /// Whether it is read before anything is decided, and stays even without an event.
    const ALWAYS: bool = false;

    /// What a state takes beside its own size, roughly, where that is bounded.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// What the slot, and not the state, remembers of an event: staged or read from the log.
    fn note(_: &Self::Event, _: Position, _: &mut Slot<Self>) {}

    /// What staging an event means for the batch.
    fn staged(&self, _: &Self::Event, _: Position, _: &mut Staging) {}
}

impl Hosted for RewardAccount {
    const ENCODING: &'static str = "account-1";
    const EVICTED: bool = true;

    fn heap_bytes(&self) -> usize {
        RewardAccount::heap_bytes(self)
    }

    /// Where a pending line was recorded, for as long as the account remembers the line itself.
    fn note(event: &AccountEvent, position: Position, slot: &mut Slot<Self>) {
        let AccountEvent::TransactionNoted { line } = event else { return };
        slot.noted.insert(TransactionKey::of(&line.source, &line.transaction_id), position);
        if slot.noted.len() > PENDING_MAX {
            let oldest = slot.noted.iter().min_by_key(|(_, place)| **place).map(|(key, _)| *key);
            oldest.map(|key| slot.noted.remove(&key));
        }
    }

    fn staged(&self, event: &AccountEvent, position: Position, staging: &mut Staging) {
        match event {
            AccountEvent::TransactionEvaluated { considered, draws, .. } => {
                staging.line_position.get_or_insert(position);
                rule_faults::tell(considered);
                for draw in draws {
                    if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
                        let spend = staging.spend.entry(draw.campaign_id.clone()).or_default();
                        spend.won_minor += amount.minor();
                        *spend.wins.entry((draw.epoch, tier)).or_default() += 1;
                    }
                }
            }
            AccountEvent::RewardReversed { campaign_id, amount, budget_returned, .. } => {
                let spend = staging.spend.entry(campaign_id.clone()).or_default();
                if *budget_returned {
                    spend.reversed_minor += amount.minor();
                }
            }
            AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. } => {
                staging.line_position.get_or_insert(position);
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::RewardIssued { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::RewardCredited { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::PersonalDataErased { .. } => {}
        }
    }
}

impl Hosted for Campaign {
    const ENCODING: &'static str = "campaign-1";

    /// A batch that is decided again tells of its alert again: once too often beats not at all.
    fn staged(&self, event: &CampaignEvent, _: Position, _: &mut Staging) {
        if let CampaignEvent::BudgetAlerted { percent, spent_minor, funded_minor, .. } = event
            && let Some((terms, _)) = self.terms()
        {
            let campaign = terms.campaign_id.to_string();
            tracing::warn!(%campaign, percent, spent_minor, funded_minor, "a campaign's budget is being used up");
            metrics::counter!("rewardhub_campaign_budget_alerts_total", "campaign" => campaign).increment(1);
        }
    }
}

impl Hosted for System {
    const ENCODING: &'static str = "system-2";
    const ALWAYS: bool = true;
}
