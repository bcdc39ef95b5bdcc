//! What can be asked of a reward account, and what it answers.
//! Time, terms, budgets and epoch keys enter inside the command: an account asks nobody.

use std::sync::Arc;

use crate::account::event::{DeferReason, Exclusion, Outcome, Verdict};
pub use crate::account::prepared::{Facts, PreparedTransaction};
use crate::aggregate::Command;
pub use crate::campaign::state::Standing;
use crate::campaign::terms::Terms;
use crate::draw::{EpochKey, PrizeTable};
use crate::ids::{AccountId, Digest, EntryId, Fingerprint, PayoutReference, Source, TransactionId};
use crate::money::Money;
use crate::position::Position;
use crate::time::Timestamp;
use crate::transaction::{BookedAt, RowCode};
use crate::zone::Clocks;

/// One command.
pub type AccountCommand = Command<CommandKind, AccountAnswer>;

/// What is asked.
#[derive(Clone, Debug)]
pub enum CommandKind {
    /// Enrol a customer.
    Open,
    /// A line, whatever its status.
    EvaluateTransaction(EvaluateTransaction),
    /// Book a won reward as a liability.
    IssueReward {
        /// The draw that won it.
        entry_id: EntryId,
    },
    /// Ask whether the customer is still to be told: `Done` if he is, `Unchanged` if he has been.
    AskNotification {
        /// Of which reward.
        entry_id: EntryId,
    },
    /// Record that the customer has been told.
    RecordNotification {
        /// Of which reward.
        entry_id: EntryId,
    },
    /// Ask for the attempt under which a reward is to be paid.
    RequestCredit {
        /// Which reward.
        entry_id: EntryId,
    },
    /// The same for a reward that was given up: a person wants one attempt more after this one,
    /// which was refused.
    RetryCredit {
        /// Which reward.
        entry_id: EntryId,
        /// The attempt that was refused: said again after the next one, it asks for none.
        refused: u32,
    },
    /// Ask which attempt is under way, and for none: `Unchanged` if a new one would be due.
    AskCredit {
        /// Of which reward.
        entry_id: EntryId,
    },
    /// The rail has paid.
    ConfirmCredit {
        /// Which reward.
        entry_id: EntryId,
        /// By which attempt.
        attempt: u32,
        /// What the rail calls the payment.
        payout_reference: PayoutReference,
    },
    /// The rail has refused for good.
    FailCredit {
        /// Which reward.
        entry_id: EntryId,
        /// Which attempt.
        attempt: u32,
        /// The rail's word for it.
        reason: String,
    },
    /// Take a reward back.
    ReverseReward {
        /// Which reward.
        entry_id: EntryId,
        /// Why, in the operator's words.
        reason: String,
    },
    /// Accept nothing new.
    Close {
        /// Why, in the operator's words.
        reason: String,
    },
    /// Keep out of draws.
    Exclude {
        /// Why, in one word.
        kind: Exclusion,
        /// Why, in the operator's words.
        reason: String,
    },
    /// Let into draws again.
    Reinstate {
        /// Why, in the operator's words.
        reason: String,
    },
    /// Look at a held line: one person proposes, another agrees.
    Review {
        /// Who fed it.
        source: Source,
        /// Which line.
        transaction_id: TransactionId,
        /// What is to become of it.
        verdict: Verdict,
        /// Why, in the operator's words.
        reason: String,
    },
}

/// A line and all that its decision depends on besides the account.
#[derive(Clone, Debug)]
pub struct EvaluateTransaction {
    /// The line.
    pub transaction: Arc<PreparedTransaction>,
    /// What the log has under the line's key.
    pub known: Option<Known>,
    /// What the log has under the id that the line had while pending: a bank may book one purchase
    /// under both.
    pub pending_known: Option<Known>,
    /// Whether an account seen for the first time is opened by this line.
    pub open_unknown: bool,
    /// The campaigns to consider, in order of precedence.
    pub offers: Vec<Offer>,
    /// A person has halted all draws: what is booked waits.
    pub halted: bool,
    /// Set by the step *resume*: decide a line that waits.
    pub resume: bool,
}

/// What the log has under a transaction key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whose stream has it. Differs from the line's account for a joint bank account.
    pub account_id: AccountId,
    /// Where.
    pub position: Position,
    /// The terms under which it was first seen; `None` for a line that was removed before it was
    /// booked.
    pub fingerprint: Option<Fingerprint>,
    /// When it was booked; `None` where the event does not say.
    pub booked_at: Option<BookedAt>,
}

/// One campaign as it stands for one line at one moment.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its terms.
    pub terms: Arc<Terms>,
    /// Their version.
    pub version: u32,
    /// The clocks of its zone, if they are known.
    pub clocks: Option<Clocks>,
    /// Whether it runs.
    pub standing: Standing,
    /// The epoch of the line's booking day.
    pub epoch: EpochOffer,
}

impl Offer {
    /// The clocks of its zone. UTC's where those are not known: nothing is decided by them then.
    pub fn clocks(&self) -> &Clocks {
        self.clocks.as_ref().unwrap_or(&Clocks::UTC)
    }
}

/// The epoch of the line's booking day, as it stands.
#[derive(Clone)]
pub enum EpochOffer {
    /// There never was one, and there are later ones.
    Never,
    /// The campaign's last one was earlier.
    Past,
    /// It will open.
    NotOpen,
    /// It draws.
    Open {
        /// Its key.
        key: EpochKey,
        /// What can be won.
        table: Arc<PrizeTable>,
        /// The table's hash.
        table_hash: Digest,
        /// What its budget still has.
        budget_left_minor: i64,
        /// Tiers of which there are no more, as a mask.
        sold_out: u32,
    },
    /// Stopped on suspicion, for now: two people may let it go on.
    Halted,
    /// Closed without having gone on.
    Void,
    /// Its grace is over.
    TooLate,
}

impl std::fmt::Debug for EpochOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EpochOffer::Never => "Never",
            EpochOffer::Past => "Past",
            EpochOffer::NotOpen => "NotOpen",
            EpochOffer::Open { .. } => "Open",
            EpochOffer::Halted => "Halted",
            EpochOffer::Void => "Void",
            EpochOffer::TooLate => "TooLate",
        })
    }
}

/// What an account answers. A repeat is answered as the first time wherever the answer is still
/// known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountAnswer {
    /// A booked line was decided now.
    Evaluated {
        /// How.
        outcome: Outcome,
        /// What it won.
        won: Option<Money>,
    },
    /// A booked line is recorded and waits.
    Deferred(DeferReason),
    /// A pending line is recorded.
    Noted,
    /// A removal is recorded.
    Removed,
    /// The line is known; nothing new. `None`: a pending line, whose place the engine knows.
    Duplicate {
        /// Where it was first recorded.
        position: Option<Position>,
    },
    /// Known under another id; nothing new.
    Linked,
    /// Done now.
    Done,
    /// Proposed; another person has to agree.
    Proposed,
    /// Was done before; nothing new.
    Unchanged,
    /// A payment is under way, or may be.
    Outstanding(Outstanding),
    /// Nothing is to be paid: paid, or reversed.
    Settled,
    /// Refused as often as we try: a person decides.
    GivenUp {
        /// The last attempt.
        attempt: u32,
    },
}

/// A payment that the account says is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// The attempt, from 1.
    pub attempt: u32,
    /// How much.
    pub amount: Money,
    /// When the attempt was recorded; the rail's idempotency window runs from here.
    pub requested_at: Timestamp,
    /// Recorded just now, so nothing can have been sent yet.
    pub fresh: bool,
    /// Reversed meanwhile: ask what became of it, send nothing.
    pub reversed: bool,
}

/// A command that is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such account.
    #[error("there is no such account")]
    AccountUnknown,
    /// It is closed.
    #[error("the account is closed")]
    AccountClosed,
    /// Its personal data have been erased.
    #[error("the account's data have been erased")]
    AccountErased,
    /// Its history or its key cannot be read. The only one that passes, once it has been repaired.
    #[error("the account cannot be read just now; this is ours to repair: send it again later")]
    AccountUnavailable,
    /// The same id was booked before with other terms, or at quite another time.
    #[error(
        "this id was booked before with another amount, currency, direction or bank account, or more than 31 days apart; \
         ids that are unique only within a bank account need a source for each account, or its name before them"
    )]
    Conflict,
    /// No draw of this account won under this entry.
    #[error("the account has no reward {0}")]
    UnknownReward(EntryId),
    /// It has not been booked as a liability.
    #[error("reward {0} has not been issued")]
    NotIssued(EntryId),
    /// No payment was ever asked for under this attempt.
    #[error("reward {entry_id} has no attempt {attempt}")]
    UnknownAttempt {
        /// The reward.
        entry_id: EntryId,
        /// The attempt.
        attempt: u32,
    },
    /// Paid before, by another payment.
    #[error("reward {entry_id} was credited by another payment, {payout_reference}")]
    AlreadyCredited {
        /// The reward.
        entry_id: EntryId,
        /// The payment that stands.
        payout_reference: PayoutReference,
    },
    /// No person has to look at this line.
    #[error("transaction {0} is not held")]
    NotHeld(TransactionId),
    /// It may enter no second draw.
    #[error("transaction {0} was decided before the bank took it back: it can only be dismissed")]
    DecidedBefore(TransactionId),
    /// The purchase has a line of its own.
    #[error("transaction {0} is known under another id: it can only be dismissed")]
    KnownOtherwise(TransactionId),
    /// Another customer of a joint bank account brought it, so there are no details to decide by.
    #[error(
        "transaction {0} came through another account, whose key seals its details: it can only be dismissed"
    )]
    SealedElsewhere(TransactionId),
    /// The same person twice is one person.
    #[error("{} proposed this; somebody else has to agree", crate::person::told(proposed_by))]
    SecondPersonNeeded {
        /// Who proposed it.
        proposed_by: String,
    },
}

impl Rejection {
    /// Whether the same command may be taken later, without anything else having happened to the
    /// account.
    pub fn transient(&self) -> bool {
        matches!(self, Rejection::AccountUnavailable)
    }

    /// The code a feed gets for its row.
    pub fn code(&self) -> RowCode {
        match self {
            Rejection::AccountUnknown => RowCode::AccountUnknown,
            Rejection::AccountClosed => RowCode::AccountClosed,
            Rejection::AccountErased => RowCode::AccountErased,
            Rejection::AccountUnavailable => RowCode::AccountUnavailable,
            Rejection::Conflict
            | Rejection::UnknownReward(_)
            | Rejection::NotIssued(_)
            | Rejection::UnknownAttempt { .. }
            | Rejection::AlreadyCredited { .. }
            | Rejection::NotHeld(_)
            | Rejection::DecidedBefore(_)
            | Rejection::KnownOtherwise(_)
            | Rejection::SealedElsewhere(_)
            | Rejection::SecondPersonNeeded { .. } => RowCode::Conflict,
        }
    }
}
