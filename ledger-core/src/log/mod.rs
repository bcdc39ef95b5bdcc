//! The log: all events in one gapless order, written by one writer, deduplicated by transaction
//! key.
//!
//! [`EventLog`] and its companions deal in bytes and are the contract every store keeps;
//! `support::contract` holds each of them to it. [`crate::event::decode`] turns stored bytes into
//! domain events.

pub mod chain;
mod follow;
pub mod merkle;
mod ports;

use std::fmt;
use std::sync::Arc;

use crate::ids::{AccountId, CampaignId, Digest, TransactionKey};
use crate::time::Timestamp;

pub use crate::position::Position;
pub use follow::{follow, pages};
pub use ports::{EventLog, Log, SnapshotStore, TransactionIndex, WriterLease};

/// The id of the only stream: `system:ledger`.
pub const SYSTEM_STREAM: &str = "ledger";

macro_rules! stream_types {
    ($($(#[$doc:meta])+ $kind:ident = $word:literal,)+) => {
        /// What kind of aggregate a stream belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum StreamType { $($(#[$doc])+ $kind,)+ }

        impl StreamType {
            /// The word in the column `aggregate_type`.
            pub fn as_str(self) -> &'static str {
                match self { $(StreamType::$kind => $word,)+ }
            }

            /// Reads the column.
            pub fn parse(text: &str) -> Option<StreamType> {
                match text { $($word => Some(StreamType::$kind),)+ _ => None }
            }
        }
    };
}

stream_types! {
    /// A reward account.
    Account = "account",
    /// A campaign.
    Campaign = "campaign",
    /// Operator actions and switches.
    System = "system",
}

/// One aggregate's stream, shown as `type:id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The kind.
    pub stream_type: StreamType,
    /// The aggregate's id.
    pub id: compact_str::CompactString,
}

impl StreamId {
    /// A reward account's stream.
    pub fn account(id: &AccountId) -> StreamId {
        StreamId { stream_type: StreamType::Account, id: id.as_str().into() }
    }

    /// A campaign's stream.
    pub fn campaign(id: &CampaignId) -> StreamId {
        StreamId { stream_type: StreamType::Campaign, id: id.as_str().into() }
    }

    /// The stream of the ledger as a whole.
    pub fn system() -> StreamId {
        StreamId { stream_type: StreamType::System, id: SYSTEM_STREAM.into() }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream_type.as_str(), self.id)
    }
}

/// One event as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log; contiguous.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream, from 1; contiguous.
    pub sequence: u64,
    /// Such as `TransactionEvaluated`.
    pub event_type: compact_str::CompactString,
    /// The payload's format, `1` unless upcasting says otherwise.
    pub event_version: compact_str::CompactString,
    /// JSON, externally tagged by the event type.
    pub payload: Vec<u8>,
    /// JSON: a flat map of strings with `actor`, `correlation_id`, `causation_id`.
    pub metadata: Arc<[u8]>,
    /// Our clock; never goes back along the log.
    pub recorded_at: Timestamp,
    /// On the event that first decides or defers a booked line; unique in the whole log.
    pub transaction_key: Option<TransactionKey>,
    /// The stream's chain and the Merkle leaf; see [`crate::log::chain`].
    pub hash: Digest,
}

impl StoredEvent {
    /// Who did it, as its metadata say.
    pub fn actor(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Metadata {
            actor: String,
        }
        serde_json::from_slice::<Metadata>(&self.metadata).ok().map(|metadata| metadata.actor)
    }
}

/// Where the log stands and who may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The writer's term: every lease and every recovery raises it. The column is named `epoch`.
    pub term: u64,
    /// The last event's place; 0 when empty.
    pub position: Position,
    /// The last event's time; 1970 when empty.
    pub recorded_at: Option<Timestamp>,
}

/// One atomic append. Events carry contiguous positions from `expected.position + 1`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What the writer believes the head to be; the append is a compare-and-set on term and
    /// position.
    pub expected: Head,
    /// At least one.
    pub events: Vec<StoredEvent>,
}

impl Batch {
    /// Checks what a log relies on and no index would notice: at least one event, positions
    /// contiguous from the expected head, a time that never goes back. A batch that fails is a
    /// defect of the writer.
    pub fn check(&self) -> Result<(), LogError> {
        let refuse = |what: String| {
            Err(LogError::Store { doing: "accept a batch", transient: false, source: what.into() })
        };
        if self.events.is_empty() {
            return refuse("it has no events".into());
        }
        let (mut last, mut time) = (self.expected.position, self.expected.recorded_at);
        for event in &self.events {
            if event.position != last.next() {
                return refuse(format!("position {} follows {last}", event.position));
            }
            if time > Some(event.recorded_at) {
                return refuse(format!("the recorded time goes back at {}", event.position));
            }
            (last, time) = (event.position, Some(event.recorded_at));
        }
        Ok(())
    }

    /// Where the log stands once this batch is in it.
    pub fn head_after(&self) -> Head {
        let last = self.events.last();
        Head {
            term: self.expected.term,
            position: last.map_or(self.expected.position, |event| event.position),
            recorded_at: last.map_or(self.expected.recorded_at, |event| Some(event.recorded_at)),
        }
    }
}

/// How an append can end other than *committed*.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another writer holds the log: nothing was written, and this writer must stop.
    #[error("another writer has taken the log over")]
    Fenced,
    /// These keys are in the log already: nothing was written.
    #[error("{} transaction keys are in the log already", .0.len())]
    Duplicate(Vec<TransactionKey>),
    /// Nobody knows whether it was written: [`WriterLease::lease`] again and look at the head.
    #[error("the append's outcome is unknown")]
    Unknown(#[source] LogError),
}

/// A fault of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed; `transient` tells whether trying again may help.
    #[error("the event log failed to {doing}")]
    Store {
        /// What we were doing.
        doing: &'static str,
        /// Whether it may work later.
        transient: bool,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored breaks the log's promises (a hole, a broken hash): an alarm, never a skip.
    #[error("the event log is damaged: {0}")]
    Damaged(String),
    /// Another writer holds the log.
    #[error("another writer has taken the log over")]
    Fenced,
    /// Another writer's lease has not run out: stand by.
    #[error("the log is held by {holder}")]
    Held {
        /// Who holds it.
        holder: String,
    },
}

impl LogError {
    /// Whether what was asked for is damaged, or may be: the same call for other streams may be
    /// answered.
    pub fn is_about_what_is_read(&self) -> bool {
        matches!(self, LogError::Damaged(_) | LogError::Store { transient: false, .. })
    }

    /// Whether trying again may help.
    pub fn transient(&self) -> bool {
        matches!(self, LogError::Store { transient: true, .. })
    }
}

/// An aggregate's state after one of its events, so that hydration need not start at the first. A
/// cache: it may be lost at any time, and one that does not fit the log is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose.
    pub stream: StreamId,
    /// The last event in the state.
    pub sequence: u64,
    /// That event's hash, which stands for all the stream's history up to it.
    pub hash: Digest,
    /// Names the encoding of the state, such as `account-1`.
    pub code: String,
    /// The state, in that encoding.
    pub state: Vec<u8>,
}

/// Readers assert that positions follow one another: a hole is an alarm, never a skip.
pub fn no_hole(after: Position, events: &[StoredEvent]) -> Result<(), LogError> {
    for (event, last) in events.iter().zip((after.0..).map(Position)) {
        if event.position != last.next() {
            return Err(LogError::Damaged(format!("position {} follows {last}", event.position)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_opaque_tokens() {
        assert_eq!(Position(1).to_string(), "0:1");
        assert_eq!("0:15".parse(), Ok(Position(15)));
        for bad in ["", "15", "1:15", "0:", "0:+1", "0:-1", "0:1 ", "0:99999999999999999999999"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
