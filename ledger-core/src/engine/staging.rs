//! The batch being staged.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_es::DomainEvent;

use crate::ids::{CampaignId, Digest, TransactionKey};
use crate::log::{Head, Position, StoredEvent, StreamId, chain};
use crate::time::{Epoch, Timestamp};

use super::slot::Slot;

/// The batch being staged.
#[derive(Default)]
pub(super) struct Staging {
    /// The head the batch will follow: the durable one, or that of the batch being written.
    pub(super) head: Head,
    /// The number of this batch since the start, from 1.
    pub(super) number: u64,
    pub(super) events: Vec<StoredEvent>,
    /// Streams that this batch touches.
    pub(super) touched: Vec<StreamId>,
    /// Streams that have become long since their last snapshot.
    pub(super) long: Vec<StreamId>,
    /// Keys that this batch has put into `known`.
    pub(super) keys: Vec<TransactionKey>,
    /// Wins and reversals per campaign, not yet recorded as `BudgetSpent`.
    pub(super) spend: BTreeMap<CampaignId, Spend>,
    /// The time of all events of this batch.
    pub(super) now: Timestamp,
    /// Metadata of the command being executed.
    pub(super) metadata: Arc<[u8]>,
    /// The key that the command's first line event shall carry.
    pub(super) key: Option<TransactionKey>,
    /// Where the command's line event was staged.
    pub(super) line_position: Option<Position>,
}

/// What a batch takes from and gives back to one campaign.
#[derive(Clone, Default)]
pub(super) struct Spend {
    pub(super) won_minor: i64,
    pub(super) reversed_minor: i64,
    /// Wins by epoch and tier.
    pub(super) wins: BTreeMap<(Epoch, u32), u64>,
}

impl Staging {
    /// The place the next staged event will have.
    pub(super) fn next_position(&self) -> Position {
        Position(self.head.position.0 + self.events.len() as u64 + 1)
    }

    /// Whether the command's line event, which carries its key, only names a line.
    pub(super) fn names_only(&self) -> bool {
        let at = |event: &&StoredEvent| Some(event.position) == self.line_position;
        self.events.iter().rev().find(at).is_some_and(|event| event.event_type == "TransactionLinked")
    }

    /// Stages the stream's next event, which `slot` has already applied.
    pub(super) fn push<A>(
        &mut self,
        stream: &StreamId,
        event: &impl DomainEvent,
        slot: &mut Slot<A>,
    ) -> Result<(), serde_json::Error> {
        let position = self.next_position();
        slot.version += 1;
        let mut stored = StoredEvent {
            position,
            stream: stream.clone(),
            sequence: slot.version,
            event_type: event.event_type().into(),
            event_version: event.event_version().into(),
            payload: serde_json::to_vec(event)?,
            metadata: Arc::clone(&self.metadata),
            recorded_at: self.now,
            transaction_key: if self.line_position == Some(position) { self.key.take() } else { None },
            hash: Digest([0; 32]),
        };
        stored.hash = chain::event_hash(&stored, slot.hash.as_ref());
        slot.hash = Some(stored.hash);
        self.events.push(stored);
        Ok(())
    }
}
