//! Who asks, and what he is answered.

use std::sync::Arc;

use serde_json::json;

use crate::log::Position;
use crate::money::Money;

use super::clock::ClockAhead;

/// Who asks, and why; becomes the events' metadata.
#[derive(Clone, Debug)]
pub struct CommandContext {
    metadata: Arc<[u8]>,
    actor: Arc<str>,
}

impl CommandContext {
    /// `actor` did it; `correlation` names the request; `causation` the event or file that led to
    /// it.
    pub fn new(actor: &str, correlation: &str, causation: &str) -> CommandContext {
        let map = json!({ "actor": actor, "correlation_id": correlation, "causation_id": causation });
        CommandContext { metadata: map.to_string().into_bytes().into(), actor: actor.into() }
    }

    /// Who asks.
    pub fn actor(&self) -> Arc<str> {
        Arc::clone(&self.actor)
    }

    pub(super) fn metadata(&self) -> Arc<[u8]> {
        Arc::clone(&self.metadata)
    }
}

/// What became of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowResult {
    /// Decided now.
    Accepted,
    /// Known.
    Duplicate,
    /// Recorded, waits.
    Deferred,
    /// Known under another id.
    Linked,
    /// Waits for people.
    Held,
}

impl RowResult {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RowResult::Accepted => "accepted",
            RowResult::Duplicate => "duplicate",
            RowResult::Deferred => "deferred",
            RowResult::Linked => "linked",
            RowResult::Held => "held",
        }
    }
}

/// The answer to one line, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What became of it.
    pub result: RowResult,
    /// Where it is recorded; a repeat's is the original's.
    pub position: Option<Position>,
    /// What it won, if it was decided now and won.
    pub won: Option<Money>,
}

/// Why a submission has no receipts. All but `Full` leave open whether part of it was taken: send
/// all again.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The queue is full; nothing of the request was taken.
    #[error("too many transactions are waiting")]
    Full,
    /// The log could not be written just now.
    #[error("the ledger cannot write just now")]
    Unavailable,
    /// The account's history cannot be read, or what was asked of it or of a campaign ended in a
    /// panic. The ledger goes on with all others; this is ours to repair, and then the same may be
    /// asked again.
    #[error("what this is about cannot be read or decided just now; this is ours to repair")]
    AccountUnavailable,
    /// The clock may be wrong. Nothing is recorded until it is right or accepted.
    #[error(transparent)]
    Clock(#[from] ClockAhead),
    /// Another process has taken over, or this one is stopping.
    #[error("this process is not the writer any more")]
    NotWriter,
}

/// How the writer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every handle is gone and the queue is empty.
    Drained,
    /// Another process has taken over.
    Fenced,
}
