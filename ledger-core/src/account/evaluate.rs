//! Deciding a line: is it known, may it enter, what does the draw say.

use crate::account::Decision;
use crate::account::command::{
    Answer, EpochOffer, EvaluateTransaction, Offer, PreparedTransaction, Rejection,
};
use crate::account::event::{AccountEvent, Considered, DeferReason, Outcome};
use crate::account::state::{Mark, RewardAccount, Wait};
use crate::draw::{self, Algorithm, Draw, PrizeTable};
use crate::money::Money;
use crate::time::{Epoch, Timestamp};
use crate::transaction::Status;

impl RewardAccount {
    /// Decides a line of any status. Repeats come first, so that a retry is answered as before whatever
    /// has happened since.
    pub(super) fn evaluate(&self, now: Timestamp, command: &EvaluateTransaction) -> Decision {
        let transaction = &*command.transaction;
        if command.resume {
            return self.resume(now, command);
        }
        if let Some(answer) = self.repeated(command)? {
            return Ok((vec![], answer));
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
            Status::Pending => {
                (vec![AccountEvent::TransactionNoted { line: transaction.line.clone() }], Answer::Noted)
            }
            Status::Removed => (self.remove(now, command), Answer::Removed),
            Status::Booked if self.removed.contains_key(&transaction.key) => {
                let line = transaction.line.clone();
                let reason = DeferReason::Held;
                (vec![AccountEvent::TransactionDeferred { line, reason }], Answer::Deferred(reason))
            }
            Status::Booked => {
                let (event, answer) = self.decide_booked(now, transaction, &command.offers);
                (vec![event], answer)
            }
        };
        if new_account {
            events.insert(0, AccountEvent::AccountOpened { enrolled_at: now });
        }
        Ok((events, answer))
    }

    /// The answer to a line that has been seen before, if it has.
    fn repeated(&self, command: &EvaluateTransaction) -> Result<Option<Answer>, Rejection> {
        let transaction = &*command.transaction;
        let duplicate = |known: &crate::account::command::Known| {
            Some(Answer::Duplicate { position: Some(known.position) })
        };
        match (transaction.status, &command.known) {
            (Status::Booked, Some(known)) => {
                // Booked again after the bank took it back: held once, then a repeat.
                match self.removed.get(&transaction.key) {
                    Some(Mark::Dismissed) => return Ok(duplicate(known)),
                    Some(_) if self.is_held(transaction.key) => return Ok(duplicate(known)),
                    Some(Mark::KnownOtherwise) => return Ok(Some(Answer::Linked)),
                    Some(Mark::Undecided) if self.is_known_otherwise(command) => {
                        return Ok(Some(Answer::Linked));
                    }
                    Some(_) => return Ok(None),
                    None => {}
                }
                match known.fingerprint {
                    Some(first) if first != transaction.line.fingerprint => Err(Rejection::Conflict),
                    _ => Ok(duplicate(known)),
                }
            }
            // Taken back again: a repeat, unless it has been booked since and may be released, which ends with it. One
            // that was decided before is only dismissed: a statement sent again changes nothing about it.
            (Status::Removed, Some(known)) => match self.removed.get(&transaction.key) {
                None => Ok(None),
                Some(Mark::Undecided) if self.is_held(transaction.key) => Ok(None),
                Some(_) => Ok(duplicate(known)),
            },
            (Status::Booked, None) => Ok(self.is_known_otherwise(command).then_some(Answer::Linked)),
            (Status::Removed, None) => Ok(None),
            // A pending line that comes after its booking; its amount may have been another.
            (Status::Pending, Some(known)) => Ok(duplicate(known)),
            (Status::Pending, None) => Ok(match self.pending(transaction.key) {
                Some(_) if self.is_linked(transaction.key) => Some(Answer::Linked),
                Some(pending) if pending.fingerprint == Some(transaction.line.fingerprint) => {
                    Some(Answer::Duplicate { position: None })
                }
                _ => None,
            }),
        }
    }

    /// Booked under its pending name too, though a booked line has taken that one's place: one purchase.
    fn is_known_otherwise(&self, command: &EvaluateTransaction) -> bool {
        let transaction = &*command.transaction;
        let same = Some(transaction.line.fingerprint);
        let booked_as_pending = command.pending_known.as_ref().is_some_and(|k| k.fingerprint == same);
        let released = || transaction.pending_key().and_then(|pending| self.released.get(&pending).copied());
        booked_as_pending || released() == same || self.is_linked(transaction.key)
    }

    /// Decides a line that waited. A held one waits for people, not for an epoch.
    fn resume(&self, now: Timestamp, command: &EvaluateTransaction) -> Decision {
        let transaction = &*command.transaction;
        let position = command.known.as_ref().map(|k| k.position);
        if self.deferred.get(&transaction.key) != Some(&Wait::Epoch) || self.erased {
            return Ok((vec![], Answer::Duplicate { position }));
        }
        let (event, answer) = self.decide_booked(now, transaction, &command.offers);
        match answer {
            Answer::Deferred(_) => Ok((vec![], answer)),
            _ => Ok((vec![event], answer)),
        }
    }

    /// Offers come in order of precedence. A line enters the draw of every stackable campaign that admits it, and
    /// of the first other one that does; those after it are not asked.
    fn decide_booked(
        &self,
        now: Timestamp,
        transaction: &PreparedTransaction,
        offers: &[Offer],
    ) -> (AccountEvent, Answer) {
        let mut considered = Vec::with_capacity(offers.len());
        let mut admitting = Vec::with_capacity(1);
        let mut taken = false;
        for offer in offers {
            if taken && !offer.terms.stackable {
                continue;
            }
            let failed = self.failed_rules(now, transaction, offer);
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
            return (AccountEvent::TransactionDeferred { line, reason }, Answer::Deferred(reason));
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
        (event, Answer::Evaluated { outcome, won })
    }

    /// The bank takes a line back: what it won is taken back too, and the mark stays.
    fn remove(&self, now: Timestamp, command: &EvaluateTransaction) -> Vec<AccountEvent> {
        let transaction = &*command.transaction;
        let line = &transaction.line;
        let undecided = match self.removed.get(&transaction.key) {
            Some(mark) => *mark == Mark::Undecided,
            // A pending line whose place a booked one has taken was decided, or waits, as that one.
            None => match command.known {
                None => !self.is_linked(transaction.key),
                Some(_) => self.deferred.contains_key(&transaction.key),
            },
        };
        let mut events = vec![AccountEvent::TransactionRemoved {
            source: line.source.clone(),
            transaction_id: line.transaction_id.clone(),
            removed_at: now,
            undecided,
        }];
        for (entry_id, reward) in &self.rewards {
            if reward.transaction_key == transaction.key && !reward.reversed {
                events.extend(reward.reversal(now, *entry_id, "transaction_removed"));
            }
        }
        events
    }
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
        epoch: Epoch::of(line.booked_at),
        day: line.booked_at.to_utc().with_timezone(&offer.terms.time_zone).date_naive(),
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
