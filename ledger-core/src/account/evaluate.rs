//! Deciding a line: is it known, may it enter, what does the draw say.

use crate::account::Decision;
use crate::account::command::{
    AccountAnswer, EpochOffer, EvaluateTransaction, Known, Offer, PreparedTransaction, Rejection, Standing,
};
use crate::account::event::{AccountEvent, Considered, DeferReason, Outcome};
use crate::account::line::{Became, Mark, Name, Wait};
use crate::account::state::RewardAccount;
use crate::draw::{self, Algorithm, Draw, PrizeTable};
use crate::money::Money;
use crate::time::Timestamp;
use crate::transaction::Status;

impl RewardAccount {
    /// Decides a line of any status. Repeats come first, so that a retry is answered as before
    /// whatever has happened since.
    pub(super) fn evaluate(&self, now: Timestamp, command: &EvaluateTransaction) -> Decision {
        let transaction = &*command.transaction;
        if command.resume {
            return self.resume(now, command);
        }
        if let Some(repeat) = self.repeated(command)? {
            return Ok(repeat);
        }
        // Taking back a line we have is nothing new: refused, its win would still be paid.
        let takes_back = transaction.status == Status::Removed && command.known.is_some();
        if self.erased && !takes_back {
            return Err(Rejection::AccountErased);
        }
        if self.closed && !takes_back {
            return Err(Rejection::AccountClosed);
        }
        let new_account = !self.is_open();
        if new_account && !command.open_unknown {
            return Err(Rejection::AccountUnknown);
        }
        let (mut events, answer) = match transaction.status {
            Status::Pending => (
                vec![AccountEvent::TransactionNoted { line: transaction.line.clone() }],
                AccountAnswer::Noted,
            ),
            Status::Removed => (self.remove(now, command), AccountAnswer::Removed),
            Status::Booked => match self.other_name(command) {
                // What is known otherwise and comes so far was taken back.
                None if self.mark(transaction.key).is_none() => {
                    let (event, answer) = self.decide_booked(now, command);
                    (vec![event], answer)
                }
                other => {
                    let (line, reason) = (transaction.line.clone(), DeferReason::Held);
                    let held = AccountEvent::TransactionDeferred { line, reason };
                    let link = other.and_then(|first| link(command, first));
                    (link.into_iter().chain([held]).collect(), AccountAnswer::Deferred(reason))
                }
            },
        };
        if new_account {
            events.insert(0, AccountEvent::AccountOpened { enrolled_at: now });
        }
        Ok((events, answer))
    }

    /// What is said of a line that has been seen before, if it has: its name is recorded if that is
    /// new.
    fn repeated(
        &self,
        command: &EvaluateTransaction,
    ) -> Result<Option<(Vec<AccountEvent>, AccountAnswer)>, Rejection> {
        let transaction = &*command.transaction;
        let key = transaction.key;
        let only = |answer| Ok(Some((vec![], answer)));
        let duplicate = |known: &Known| only(AccountAnswer::Duplicate { position: Some(known.position) });
        match (transaction.status, &command.known) {
            (Status::Booked, Some(known)) => {
                let Some(mark) = self.mark(key) else {
                    return match known.fingerprint {
                        Some(first) if !transaction.has_terms(first) => Err(Rejection::Conflict),
                        Some(_) if transaction.is_far_from(known) => Err(Rejection::Conflict),
                        _ => duplicate(known),
                    };
                };
                let other = self.other_name(command);
                // Booked again after the bank took it back: held once, then a repeat.
                match (mark, other) {
                    (Mark::Dismissed, _) => duplicate(known),
                    // Also one that is told only now to have another name: it is not to be
                    // released.
                    (_, other) if self.is_held(key) => {
                        let link = other.and_then(|first| link(command, first));
                        let answer = AccountAnswer::Duplicate { position: Some(known.position) };
                        Ok(Some((link.into_iter().collect(), answer)))
                    }
                    (_, Some(first)) => Ok(self.linked_now(command, first)),
                    (Mark::KnownOtherwise(_), None) => duplicate(known),
                    (Mark::Decided | Mark::Undecided, None) => Ok(None),
                }
            }
            // Taken back again, by whichever name: a repeat, unless it has been booked since and
            // may be released, which ends with it. One that was decided before is only dismissed: a
            // statement sent again changes nothing about it.
            (Status::Removed, Some(known)) => {
                let first = self.purchase(key).map_or(key, |name| name.key);
                match self.removed.get(&first) {
                    None => Ok(None),
                    Some(Mark::Undecided) if self.is_held(first) => Ok(None),
                    Some(_) => duplicate(known),
                }
            }
            (Status::Booked, None) => {
                Ok(self.other_name(command).and_then(|first| self.linked_now(command, first)))
            }
            (Status::Removed, None) => Ok(None),
            // A pending line that comes after its booking; its amount may have been another.
            (Status::Pending, Some(known)) => duplicate(known),
            (Status::Pending, None) => match self.pending(key).map(|pending| &pending.became) {
                Some(Became::Booked(_)) => only(AccountAnswer::Linked),
                Some(Became::Noted(terms)) if transaction.has_terms(*terms) => {
                    only(AccountAnswer::Duplicate { position: None })
                }
                Some(Became::Noted(_)) | None => Ok(None),
            },
        }
    }

    /// Records the name of a purchase that stands; one that was taken back is booked again, and
    /// held.
    fn linked_now(
        &self,
        command: &EvaluateTransaction,
        first: Name,
    ) -> Option<(Vec<AccountEvent>, AccountAnswer)> {
        match self.removed.get(&first.key) {
            Some(Mark::Decided | Mark::Undecided) => None,
            Some(Mark::KnownOtherwise(_) | Mark::Dismissed) | None => {
                Some((link(command, first).into_iter().collect(), AccountAnswer::Linked))
            }
        }
    }

    /// The name of the purchase that a booked line is, if we know it by another and have not
    /// recorded this one: booked or released under the name that this line had while pending, or
    /// booked by a line that had this name. A line that was decided itself is no name of another's.
    fn other_name(&self, command: &EvaluateTransaction) -> Option<Name> {
        let transaction = &*command.transaction;
        let (key, line) = (transaction.key, &transaction.line);
        if self.linked.contains_key(&key)
            || matches!(self.removed.get(&key), Some(Mark::Decided | Mark::Dismissed))
        {
            return None;
        }
        let near = command.pending_known.as_ref().filter(|known| !transaction.is_far_from(known));
        let pending = near.and_then(|known| known.fingerprint);
        let is_booked = pending.is_some_and(|terms| transaction.has_terms(terms));
        let is_released = || transaction.pending_key().is_some_and(|key| self.has_released(key, transaction));
        let id = if is_booked || is_released() {
            line.pending_transaction_id.as_ref()?
        } else {
            self.booked_as(key)?
        };
        let first = self.first_name(&line.source, id);
        (first.key != key).then_some(first)
    }

    /// Decides a line that waited. A held one waits for people, not for an epoch.
    fn resume(&self, now: Timestamp, command: &EvaluateTransaction) -> Decision {
        let transaction = &*command.transaction;
        let position = command.known.as_ref().map(|k| k.position);
        if self.deferred.get(&transaction.key) != Some(&Wait::Epoch) || self.erased {
            return Ok((vec![], AccountAnswer::Duplicate { position }));
        }
        let (event, answer) = self.decide_booked(now, command);
        match answer {
            AccountAnswer::Deferred(_) => Ok((vec![], answer)),
            _ => Ok((vec![event], answer)),
        }
    }

    /// Offers come in order of precedence. A line enters the draw of every stackable campaign that
    /// admits it, and of the first other one that does; those after it are not asked.
    fn decide_booked(&self, now: Timestamp, command: &EvaluateTransaction) -> (AccountEvent, AccountAnswer) {
        let EvaluateTransaction { transaction, offers, halted, .. } = command;
        // Which day it is where the zone is not known nobody can tell: the line waits for a release
        // that knows it, or for the campaign's end.
        let is_lost = |offer: &Offer| offer.standing == Standing::Active && offer.clocks.is_none();
        if *halted || offers.iter().any(is_lost) {
            let (line, reason) = (transaction.line.clone(), DeferReason::DrawsHalted);
            return (AccountEvent::TransactionDeferred { line, reason }, AccountAnswer::Deferred(reason));
        }
        let mut considered = Vec::with_capacity(offers.len());
        let mut admitting = Vec::with_capacity(1);
        let opened = self.opened(transaction);
        let mut taken = false;
        for offer in offers {
            if taken && !offer.terms.stackable {
                continue;
            }
            let failed = self.failed_rules(now, transaction, &opened, offer);
            if failed.is_empty() {
                taken |= !offer.terms.stackable;
                admitting.push(offer);
            }
            let (campaign_id, campaign_version) = (offer.terms.campaign_id.clone(), offer.version);
            considered.push(Considered { campaign_id, campaign_version, failed });
        }
        let line = transaction.line.clone();
        let Some(draws) = admitting.iter().map(|offer| draw(transaction, offer)).collect::<Option<Vec<_>>>()
        else {
            // A line is decided once, in one event: where one draw has to wait, all do.
            let halted = admitting.iter().any(|offer| matches!(offer.epoch, EpochOffer::Halted));
            let reason = if halted { DeferReason::DrawsHalted } else { DeferReason::EpochNotOpen };
            return (AccountEvent::TransactionDeferred { line, reason }, AccountAnswer::Deferred(reason));
        };
        // Campaigns admit only lines in their own currency, so all wins of a line are in one.
        let won = draws
            .iter()
            .filter_map(|draw| draw.amount)
            .reduce(|all, one| all.checked_add(one).unwrap_or(all));
        let outcome = match (draws.is_empty(), won) {
            (true, _) => Outcome::Declined,
            (false, None) => Outcome::Lost,
            (false, Some(_)) => Outcome::Won,
        };
        let event = AccountEvent::TransactionEvaluated { line, outcome, considered, draws };
        (event, AccountAnswer::Evaluated { outcome, won })
    }

    /// The bank takes a line back, by whichever of its names: what it won is taken back too, and
    /// the mark stays.
    fn remove(&self, now: Timestamp, command: &EvaluateTransaction) -> Vec<AccountEvent> {
        let transaction = &*command.transaction;
        let line = &transaction.line;
        let Name { key, transaction_id } = self.first_name(&line.source, &line.transaction_id);
        let undecided = match self.removed.get(&key) {
            Some(mark) => *mark == Mark::Undecided,
            // A pending line whose place a booked one has taken was decided, or waits, as that one.
            None => match command.known {
                None => self.booked_as(key).is_none(),
                Some(_) => self.deferred.contains_key(&key),
            },
        };
        let named = (key != transaction.key).then(|| line.transaction_id.clone());
        let source = line.source.clone();
        let removed =
            AccountEvent::TransactionRemoved { source, transaction_id, removed_at: now, undecided, named };
        let mut events = vec![removed];
        for (entry_id, reward) in &self.rewards {
            if reward.transaction_key == key && !reward.reversed {
                events.extend(reward.reversal(now, *entry_id, "transaction_removed"));
            }
        }
        events
    }
}

/// A line's name beside the one under which its purchase was first booked. No stream speaks of
/// another's purchase: where the line's name is known to this one alone, there is nothing to
/// record.
fn link(command: &EvaluateTransaction, first: Name) -> Option<AccountEvent> {
    if let (Some(known), Some(pending)) = (&command.known, &command.pending_known)
        && known.account_id != pending.account_id
    {
        return None;
    }
    let line = &command.transaction.line;
    Some(AccountEvent::TransactionLinked {
        source: line.source.clone(),
        transaction_id: line.transaction_id.clone(),
        linked_to: first.transaction_id,
        fingerprint: Some(line.fingerprint),
        fingerprint_version: line.fingerprint_version,
    })
}

/// The draw of one line in one campaign; `None` while the epoch does not draw.
fn draw(transaction: &PreparedTransaction, offer: &Offer) -> Option<Draw> {
    let EpochOffer::Open { key, table, table_hash, budget_left_minor, sold_out } = &offer.epoch else {
        return None;
    };
    let line = &transaction.line;
    let entry_id = draw::entry_id(&offer.terms.campaign_id, &line.source, &line.transaction_id);
    let roll = draw::roll(key, &entry_id);
    let tier_mask = table.mask(*budget_left_minor) | sold_out;
    let (tier, amount) = prize(table, roll.r, tier_mask, *transaction.facts.amount.expose());
    Some(Draw {
        entry_id,
        campaign_id: offer.terms.campaign_id.clone(),
        campaign_version: offer.version,
        epoch: offer.terms.epoch_of(line.booked()),
        day: line.booked().day(offer.clocks()),
        table_hash: *table_hash,
        tier_mask,
        budget_left_minor: *budget_left_minor,
        r: roll.r,
        rejections: roll.rejections,
        tier,
        amount,
        algorithm: Algorithm::Draw1,
    })
}

/// The tier `r` falls into and what it pays. A share that rounds down to nothing wins nothing.
fn prize(table: &PrizeTable, r: u32, tier_mask: u32, transaction: Money) -> (Option<u32>, Option<Money>) {
    let Some(tier) = table.tier(r, tier_mask) else {
        return (None, None);
    };
    let amount = table.tiers[tier].prize.amount(transaction);
    let tier = u32::try_from(tier).expect("a table has at most 32 tiers");
    (Some(tier), (!amount.is_zero()).then_some(amount))
}
