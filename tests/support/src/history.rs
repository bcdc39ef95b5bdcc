//! Stored events that fit together: contiguous positions and versions, right hashes.

use ledger_core::ids::{Digest, TransactionKey};
use ledger_core::log::chain::{Links, Tip, event_hash};
use ledger_core::log::{Batch, Head, Position, StoredEvent, StreamId, StreamType};
use ledger_core::time::Timestamp;

/// The stream of the account `id`, which is taken as it is.
pub fn stream(id: &str) -> StreamId {
    StreamId { stream_type: StreamType::Account, id: id.into() }
}

/// Makes one event after the other as the one writer of a log would. A copy taken before a batch
/// lets a test go back when the batch was refused.
#[derive(Clone, Debug)]
pub struct History {
    /// The end of the log and of each stream.
    pub links: Links,
    /// The time of the next events.
    pub recorded_at: Timestamp,
    /// The payload of the next events, in JSON.
    pub payload: Vec<u8>,
    /// The metadata of the next events, in JSON.
    pub metadata: std::sync::Arc<[u8]>,
}

impl Default for History {
    /// An empty log in November 2026.
    fn default() -> Self {
        History {
            links: Links::default(),
            recorded_at: Timestamp::from_micros(1_795_000_000_123_456),
            payload: br#"{"TestHappened":{}}"#.to_vec(),
            metadata: br#"{"actor":"test","correlation_id":"1","causation_id":"1"}"#.as_slice().into(),
        }
    }
}

impl History {
    /// The next event of `stream`.
    pub fn event(&mut self, stream: &StreamId) -> StoredEvent {
        self.make(stream, None)
    }

    /// The next event of `stream`, under a transaction key made of `key`.
    pub fn keyed(&mut self, stream: &StreamId, key: u128) -> StoredEvent {
        self.make(stream, Some(TransactionKey(key.to_be_bytes())))
    }

    /// A batch of these events for a writer with this term. They must be the newest of this
    /// history.
    pub fn batch(&self, term: u64, events: Vec<StoredEvent>) -> Batch {
        let first = events.first().map_or(self.links.position.next(), |event| event.position);
        let expected = Head { term, position: Position(first.0.saturating_sub(1)), recorded_at: None };
        Batch { expected, events }
    }

    fn make(&mut self, stream: &StreamId, transaction_key: Option<TransactionKey>) -> StoredEvent {
        let last = self.links.tips.get(stream);
        let mut event = StoredEvent {
            position: self.links.position.next(),
            stream: stream.clone(),
            sequence: last.map_or(1, |tip| tip.sequence + 1),
            event_type: "TestHappened".into(),
            event_version: "1".into(),
            payload: self.payload.clone(),
            metadata: std::sync::Arc::clone(&self.metadata),
            recorded_at: self.recorded_at,
            transaction_key,
            hash: Digest([0; 32]),
        };
        event.hash = event_hash(&event, last.map(|tip| &tip.hash));

        self.links.position = event.position;
        self.links.recorded_at = Some(event.recorded_at);
        self.links.tips.insert(stream.clone(), Tip { sequence: event.sequence, hash: event.hash });
        event
    }
}
