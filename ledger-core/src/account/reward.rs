//! What follows a win: issue, tell, pay, or take back. Repeats come first in each, so that a retry
//! is answered as before whatever has happened since.

use crate::account::Decision;
use crate::account::command::{AccountAnswer, Outstanding, Rejection};
use crate::account::event::AccountEvent;
use crate::account::state::{Reward, RewardAccount};
use crate::ids::{EntryId, PayoutReference};
use crate::posting::Posting;
use crate::text::pan::mask;
use crate::time::Timestamp;

/// Refusals after which a payment is left to a person.
pub(super) const ATTEMPTS_MAX: u32 = 3;

impl RewardAccount {
    pub(super) fn issue(&self, now: Timestamp, entry_id: EntryId) -> Decision {
        let reward = self.find(entry_id)?;
        if reward.issued {
            return Ok((vec![], AccountAnswer::Unchanged));
        }
        Ok((vec![reward.issuance(now, entry_id)], AccountAnswer::Done))
    }

    /// A reversed reward is no news.
    pub(super) fn ask_notification(&self, entry_id: EntryId) -> Decision {
        let reward = self.find(entry_id)?;
        let due = !reward.notified && !reward.reversed;
        Ok((vec![], if due { AccountAnswer::Done } else { AccountAnswer::Unchanged }))
    }

    pub(super) fn record_notification(&self, now: Timestamp, entry_id: EntryId) -> Decision {
        if self.find(entry_id)?.notified {
            return Ok((vec![], AccountAnswer::Unchanged));
        }
        Ok((vec![AccountEvent::CustomerNotified { entry_id, notified_at: now }], AccountAnswer::Done))
    }

    /// Records the attempt before anything is sent. The attempt rises only after a recorded
    /// refusal, and beyond the limit only where a person wants another one after this refusal.
    pub(super) fn request_credit(
        &self,
        now: Timestamp,
        entry_id: EntryId,
        wanted_after: Option<u32>,
    ) -> Decision {
        let reward = self.find(entry_id)?;
        if !reward.issued {
            return Err(Rejection::NotIssued(entry_id));
        }
        if reward.credited.is_some() || (reward.refused && reward.reversed) {
            return Ok((vec![], AccountAnswer::Settled));
        }
        if reward.refused && reward.attempts >= ATTEMPTS_MAX && wanted_after != Some(reward.attempts) {
            return Ok((vec![], AccountAnswer::GivenUp { attempt: reward.attempts }));
        }
        let (attempt, amount) = (reward.attempts, reward.amount);
        if let (false, Some(requested_at)) = (reward.refused, reward.requested_at) {
            // Also when reversed meanwhile: the money may be on its way, and we want to know.
            return Ok((
                vec![],
                AccountAnswer::Outstanding(Outstanding {
                    attempt,
                    amount,
                    requested_at,
                    fresh: false,
                    reversed: reward.reversed,
                }),
            ));
        }
        if reward.reversed {
            return Ok((vec![], AccountAnswer::Settled));
        }
        let attempt = attempt + 1;
        let event = AccountEvent::CreditRequested { entry_id, attempt, amount, requested_at: now };
        Ok((
            vec![event],
            AccountAnswer::Outstanding(Outstanding {
                attempt,
                amount,
                requested_at: now,
                fresh: true,
                reversed: false,
            }),
        ))
    }

    /// What asking for an attempt would answer, where it would make no new one.
    pub(super) fn ask_credit(&self, now: Timestamp, entry_id: EntryId) -> Decision {
        let (events, answer) = self.request_credit(now, entry_id, None)?;
        Ok((vec![], if events.is_empty() { answer } else { AccountAnswer::Unchanged }))
    }

    /// A payment is a fact and recorded even after a reversal; only a second payment is refused,
    /// loudly.
    pub(super) fn confirm_credit(
        &self,
        now: Timestamp,
        entry_id: EntryId,
        attempt: u32,
        payout: &PayoutReference,
    ) -> Decision {
        let reward = self.find(entry_id)?;
        if let Some(credited) = &reward.credited {
            if credited.attempt == attempt && credited.payout_reference == *payout {
                return Ok((vec![], AccountAnswer::Unchanged));
            }
            let payout_reference = credited.payout_reference.clone();
            return Err(Rejection::AlreadyCredited { entry_id, payout_reference });
        }
        reward.known_attempt(entry_id, attempt)?;
        let amount = reward.amount;
        let posting = reward.credit_posting();
        let event = AccountEvent::RewardCredited {
            entry_id,
            attempt,
            amount,
            payout_reference: payout.clone(),
            credited_at: now,
            posting,
        };
        Ok((vec![event], AccountAnswer::Done))
    }

    pub(super) fn fail_credit(
        &self,
        now: Timestamp,
        entry_id: EntryId,
        attempt: u32,
        reason: &str,
    ) -> Decision {
        let reward = self.find(entry_id)?;
        reward.known_attempt(entry_id, attempt)?;
        let refused_before = reward.refused || attempt < reward.attempts;
        if refused_before || reward.credited.is_some() {
            return Ok((vec![], AccountAnswer::Unchanged));
        }
        // The rail's words are an outsider's text.
        let reason = mask(reason).into_owned();
        let event = AccountEvent::CreditFailed { entry_id, attempt, reason, failed_at: now };
        Ok((vec![event], AccountAnswer::Done))
    }

    pub(super) fn reverse(&self, now: Timestamp, entry_id: EntryId, reason: &str) -> Decision {
        let reward = self.find(entry_id)?;
        if reward.reversed {
            return Ok((vec![], AccountAnswer::Unchanged));
        }
        Ok((reward.reversal(now, entry_id, reason), AccountAnswer::Done))
    }

    /// What an event about a reward has to put into the books, by the reward as it stands before
    /// it. `None` where it puts nothing there, or is about no reward of this account.
    pub fn posting_for(&self, event: &AccountEvent) -> Option<Posting> {
        let posting = match event {
            AccountEvent::RewardIssued { entry_id, .. } => self.rewards.get(entry_id)?.issue_posting(),
            AccountEvent::RewardCredited { entry_id, .. } => self.rewards.get(entry_id)?.credit_posting(),
            AccountEvent::RewardReversed { entry_id, .. } => self.rewards.get(entry_id)?.reversal_posting(),
            _ => return None,
        };
        Some(posting)
    }

    fn find(&self, entry_id: EntryId) -> Result<&Reward, Rejection> {
        self.rewards.get(&entry_id).ok_or(Rejection::UnknownReward(entry_id))
    }
}

impl Reward {
    fn issuance(&self, now: Timestamp, entry_id: EntryId) -> AccountEvent {
        AccountEvent::RewardIssued {
            entry_id,
            campaign_id: self.campaign_id.clone(),
            amount: self.amount,
            issued_at: now,
            posting: self.issue_posting(),
        }
    }

    fn issue_posting(&self) -> Posting {
        Posting::issue(&self.campaign_id, self.amount)
    }

    fn credit_posting(&self) -> Posting {
        if self.reversed { Posting::receivable(self.amount) } else { Posting::credit(self.amount) }
    }

    fn reversal_posting(&self) -> Posting {
        if self.credited.is_some() {
            Posting::reversal_after_credit(&self.campaign_id, self.amount)
        } else {
            Posting::reversal(&self.campaign_id, self.amount)
        }
    }

    /// A win not yet booked is issued first, so that the books show both and `issued − credited −
    /// reversed` stays what is owed.
    pub(super) fn reversal(&self, now: Timestamp, entry_id: EntryId, reason: &str) -> Vec<AccountEvent> {
        let reversed = AccountEvent::RewardReversed {
            entry_id,
            campaign_id: self.campaign_id.clone(),
            amount: self.amount,
            reason: reason.into(),
            reversed_at: now,
            budget_returned: self.credited.is_none() && (self.attempts == 0 || self.refused),
            posting: self.reversal_posting(),
        };
        if self.issued { vec![reversed] } else { vec![self.issuance(now, entry_id), reversed] }
    }

    fn known_attempt(&self, entry_id: EntryId, attempt: u32) -> Result<(), Rejection> {
        if (1..=self.attempts).contains(&attempt) {
            Ok(())
        } else {
            Err(Rejection::UnknownAttempt { entry_id, attempt })
        }
    }
}
