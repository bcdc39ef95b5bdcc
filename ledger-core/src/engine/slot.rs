//! One aggregate in memory.

use std::collections::BTreeMap;

use crate::ids::{Digest, TransactionKey};
use crate::log::Position;

/// One aggregate in memory.
pub(super) struct Slot<A> {
    pub(super) state: A,
    /// The stream's last sequence.
    pub(super) version: u64,
    /// The stream's last hash.
    pub(super) hash: Option<Digest>,
    /// Where pending lines were recorded, so that a repeat is told the original's place.
    pub(super) noted: BTreeMap<TransactionKey, Position>,
    /// The last version of which a snapshot was taken; 0 without one.
    pub(super) snapshot_at: u64,
    /// The number of the last batch with one of its events; 0 if that was before it came into
    /// memory.
    pub(super) staged_in: u64,
    /// What it was weighed at; 0 since it changed.
    pub(super) bytes: usize,
}

impl<A: Default> Default for Slot<A> {
    fn default() -> Self {
        let (state, noted) = (A::default(), BTreeMap::new());
        Slot { state, version: 0, hash: None, noted, snapshot_at: 0, staged_in: 0, bytes: 0 }
    }
}

impl<A> Slot<A> {
    /// Whether the stream has become long since its last snapshot.
    pub(super) fn is_due(&self, snapshot_every: u64) -> bool {
        self.version - self.snapshot_at >= snapshot_every.max(1)
    }
}
