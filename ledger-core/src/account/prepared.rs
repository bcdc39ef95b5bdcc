//! A line as the loop gets it: parsed, keyed, its details sealed.

use compact_str::CompactString;

use crate::account::command::Known;
use crate::account::event::Line;
use crate::ids::{AccountId, Fingerprint, TransactionKey};
use crate::keys::{AmountKey, LineTerms};
use crate::money::Money;
use crate::time::DAY_MICROS;
use crate::transaction::{BookedAt, Direction, Mcc, Personal, Status};

/// How far apart one id may be booked and still be one purchase: 31 days.
const REPEAT_MICROS_MAX: u64 = 31 * DAY_MICROS.unsigned_abs();

/// A line ready for the loop: parsed, keyed, fingerprinted, its details sealed.
#[derive(Clone, Debug)]
pub struct PreparedTransaction {
    /// Whose line it is.
    pub account_id: AccountId,
    /// Names it for ever.
    pub key: TransactionKey,
    /// Where it stands at the bank.
    pub status: Status,
    /// What the log will keep.
    pub line: Line,
    /// What the rules look at.
    pub facts: Facts,
    /// Opens what the account remembers of other purchases, where a rule asks what they came to.
    pub amounts: AmountKey,
    /// What earlier releases may have made of its terms; `None` for a line that comes out of the
    /// log.
    pub terms: Option<LineTerms>,
}

impl PreparedTransaction {
    /// Whether a line that the log has was of the same terms, whichever release recorded it.
    pub fn has_terms(&self, known: Fingerprint) -> bool {
        known == self.line.fingerprint || self.terms.as_ref().is_some_and(|terms| terms.were(known))
    }

    /// Whether they are too far apart to be one purchase: a bank that repeats its ids means another
    /// one.
    pub fn is_far_from(&self, known: &Known) -> bool {
        let far = |first: BookedAt| self.line.booked().micros_apart(first) > REPEAT_MICROS_MAX;
        known.booked_at.is_some_and(far)
    }

    /// The key of the other id that a booked line had while pending.
    pub fn pending_key(&self) -> Option<TransactionKey> {
        self.line.pending_key().filter(|_| self.status == Status::Booked)
    }
}

/// What the rules look at, in the clear for a decision.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The amount.
    pub amount: Personal<Money>,
    /// Which way it went.
    pub direction: Direction,
    /// Whether the line names a merchant.
    pub has_merchant: bool,
    /// The merchant's id.
    pub merchant_id: Option<Personal<CompactString>>,
    /// Its category.
    pub mcc: Option<Personal<Mcc>>,
    /// Its country, two letters.
    pub country: Option<Personal<CompactString>>,
    /// Whether the line gives a purchase back.
    pub refund: bool,
}

impl Facts {
    /// Whether money was spent.
    pub fn is_purchase(&self) -> bool {
        self.direction.is_purchase(self.refund)
    }
}
