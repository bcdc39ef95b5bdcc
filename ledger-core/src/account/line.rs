//! What an account remembers of lines that are not simply decided: pending, waiting, taken back,
//! known by other names.

use serde::{Deserialize, Serialize};

use crate::account::event::{DeferReason, Line, Verdict};
use crate::ids::{Fingerprint, TransactionId, TransactionKey};
use crate::time::Timestamp;

/// What a booked line waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wait {
    /// Its epoch, or only the step *resume*.
    Epoch,
    /// Two people.
    People(Hold),
}

/// A held line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) fingerprint: Fingerprint,
    /// Whether its details are under this account's key, so that it can be decided.
    pub(super) is_sealed_here: bool,
    /// What one person has proposed.
    pub(super) proposal: Option<Proposal>,
}

/// What one person has proposed to do with a held transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What is to become of it.
    pub verdict: Verdict,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub proposed_at: Timestamp,
}

/// What is remembered of a line that the bank took back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mark {
    /// It had been decided, or the log does not tell.
    Decided,
    /// It had not.
    Undecided,
    /// It had not, but a line under this other id has taken its place since.
    KnownOtherwise(TransactionId),
    /// Two people have looked at it: not decided, for good.
    Dismissed,
}

/// Where a line stands by its account's state: what audits hold read models to. A line that was
/// simply decided is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStanding {
    /// Not booked yet.
    Pending,
    /// Booked, waits for its epoch.
    Waiting,
    /// Booked, waits for people.
    Held,
    /// The bank took it back.
    TakenBack,
    /// Two people have said that it is not decided.
    Dismissed,
}

/// A pending line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) key: TransactionKey,
    pub(super) became: Became,
}

/// What has become of a pending line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Became {
    /// Nothing yet: its terms when last seen.
    Noted(Fingerprint),
    /// A booked line of this id has taken its place.
    Booked(TransactionId),
}

/// The name under which a purchase was first booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) key: TransactionKey,
    pub(super) transaction_id: TransactionId,
}

impl Wait {
    pub(super) fn of(line: &Line, reason: DeferReason) -> Wait {
        match reason {
            DeferReason::EpochNotOpen | DeferReason::DrawsHalted => Wait::Epoch,
            DeferReason::Held => Wait::People(Hold {
                fingerprint: line.fingerprint,
                is_sealed_here: line.details.is_some(),
                proposal: None,
            }),
        }
    }
}
