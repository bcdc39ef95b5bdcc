//! Held lines, which the bank took back and booked again: two people release one to be decided, or
//! dismiss it for good.
//!
//! A line that was ever decided cannot be released, so that it is decided at most once whoever
//! looks at it.

use crate::account::Decision;
use crate::account::command::{AccountAnswer, Rejection};
use crate::account::event::{AccountEvent, Verdict};
use crate::account::line::{Hold, Mark, Proposal, Wait};
use crate::account::state::RewardAccount;
use crate::ids::{Source, TransactionId, TransactionKey};
use crate::person::same_person;
use crate::time::Timestamp;

impl RewardAccount {
    /// One proposes, another agrees: the same person twice is one person. Another verdict takes the
    /// place of what was proposed. A closed account's line was booked before it closed and is
    /// decided as any that waits; an excluded customer's is declined by its rule.
    pub(super) fn review(
        &self,
        now: Timestamp,
        by: &str,
        source: &Source,
        transaction_id: &TransactionId,
        verdict: Verdict,
        reason: &str,
    ) -> Decision {
        if !self.is_open() {
            return Err(Rejection::AccountUnknown);
        }
        let key = TransactionKey::of(source, transaction_id);
        if self.is_reviewed(key, verdict) {
            return Ok((vec![], AccountAnswer::Unchanged));
        }
        let hold = self.hold(key).ok_or_else(|| Rejection::NotHeld(transaction_id.clone()))?;
        if verdict == Verdict::Released {
            self.check_release(source, transaction_id)?;
        }
        let (source, transaction_id) = (source.clone(), transaction_id.clone());
        let (reason, by) = (reason.to_owned(), by.to_owned());
        match &hold.proposal {
            Some(first) if first.verdict == verdict && same_person(&first.by, &by) => {
                Err(Rejection::SecondPersonNeeded { proposed_by: by })
            }
            Some(first) if first.verdict == verdict => {
                let (proposed_by, reviewed_at) = (first.by.clone(), now);
                let reviewed = AccountEvent::TransactionReviewed {
                    source,
                    transaction_id,
                    verdict,
                    reason,
                    proposed_by,
                    by,
                    reviewed_at,
                };
                Ok((vec![reviewed], AccountAnswer::Done))
            }
            Some(_) | None => {
                let proposed = AccountEvent::ReviewProposed {
                    source,
                    transaction_id,
                    verdict,
                    reason,
                    by,
                    proposed_at: now,
                };
                Ok((vec![proposed], AccountAnswer::Proposed))
            }
        }
    }

    /// Whether a held line may be released, or why it can only be dismissed.
    pub fn check_release(&self, source: &Source, id: &TransactionId) -> Result<(), Rejection> {
        let key = TransactionKey::of(source, id);
        let hold = self.hold(key).ok_or_else(|| Rejection::NotHeld(id.clone()))?;
        if self.erased {
            return Err(Rejection::AccountErased);
        }
        match self.removed.get(&key) {
            _ if self.linked.contains_key(&key) => Err(Rejection::KnownOtherwise(id.clone())),
            Some(Mark::Undecided) if hold.is_sealed_here => Ok(()),
            Some(Mark::Undecided) => Err(Rejection::SealedElsewhere(id.clone())),
            Some(Mark::KnownOtherwise(_)) => Err(Rejection::KnownOtherwise(id.clone())),
            Some(Mark::Decided | Mark::Dismissed) | None => Err(Rejection::DecidedBefore(id.clone())),
        }
    }

    /// What one person has proposed to do with a held transaction.
    pub fn proposal(&self, key: TransactionKey) -> Option<&Proposal> {
        self.hold(key)?.proposal.as_ref()
    }

    /// Under its own name, or under the purchase's.
    pub(super) fn is_held(&self, key: TransactionKey) -> bool {
        self.hold(key).is_some() || self.purchase(key).is_some_and(|name| self.hold(name.key).is_some())
    }

    fn hold(&self, key: TransactionKey) -> Option<&Hold> {
        match self.deferred.get(&key)? {
            Wait::People(hold) => Some(hold),
            Wait::Epoch => None,
        }
    }

    /// Two people have done this before, and nothing has come after it.
    fn is_reviewed(&self, key: TransactionKey, verdict: Verdict) -> bool {
        match (verdict, self.removed.get(&key)) {
            (Verdict::Released, None) => self.released.contains_key(&key),
            (Verdict::Dismissed, Some(mark)) => *mark == Mark::Dismissed,
            (Verdict::Released, Some(_)) | (Verdict::Dismissed, None) => false,
        }
    }
}
