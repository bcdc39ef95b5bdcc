//! What the writer holds in memory: aggregates, known transaction keys, and the batch being staged.
//!
//! Everything here can be dropped and read again from the log; nothing here is ever the authority.

use std::sync::Arc;

use compact_str::CompactString;
use hashlink::LruCache;

use crate::account::command::Known;
use crate::ids::TransactionKey;
use crate::log::{Batch, SYSTEM_STREAM, StreamId};
use crate::zone::ZoneTable;

use super::apart::Apart;
use super::clock::gauge;
use super::filter::Filter;
use super::memory::{KNOWN_KEY_BYTES, show_memory};
use super::settings::EngineSettings;
use super::slot::Slot;
use super::slots::{Aggregates, Listed};
use super::staging::Staging;

/// All of the writer's memory.
pub(super) struct Core {
    pub(super) aggregates: Aggregates,
    pub(super) known: LruCache<TransactionKey, Known>,
    /// Which keys are surely new.
    pub(super) filter: Arc<Filter>,
    /// What cannot be read, or decided, for a while.
    pub(super) apart: Apart,
    pub(super) staging: Staging,
    /// What the batch being written has touched.
    running: (Vec<StreamId>, Vec<TransactionKey>),
    /// Events of a stream after which a snapshot is due.
    pub(super) snapshot_every: u64,
}

impl Core {
    /// The caches are bounded by [`Core::evict`], between batches: what a batch has read stays
    /// until it ends.
    pub(super) fn new(snapshot_every: u64) -> Core {
        Core {
            aggregates: Aggregates::default(),
            known: LruCache::new_unbounded(),
            // Who waits for another's lease asks often, and needs none.
            filter: Filter::new(64),
            apart: Apart::new(),
            staging: Staging { number: 1, ..Staging::default() },
            running: Default::default(),
            snapshot_every,
        }
    }

    /// The zones that are decided by.
    pub(super) fn zones(&self) -> &ZoneTable {
        static NONE: ZoneTable = ZoneTable::new();
        self.aggregates.systems.peek(SYSTEM_STREAM).map_or(&NONE, |slot| slot.state.zones())
    }

    /// Stages a command's events; `slot` has already applied them.
    pub(super) fn stage<A: Listed>(
        &mut self,
        id: &CompactString,
        events: &[A::Event],
        slot: &mut Slot<A>,
    ) -> Result<(), serde_json::Error> {
        let stream = StreamId { stream_type: A::STREAM, id: id.clone() };
        if !events.is_empty() {
            self.staging.touched.push(stream.clone());
            slot.bytes = 0;
        }
        for event in events {
            let position = self.staging.next_position();
            A::note(event, position, slot);
            slot.state.staged(event, position, &mut self.staging);
            self.staging.push(&stream, event, slot)?;
        }
        slot.staged_in = self.staging.number;
        if slot.is_due(self.snapshot_every) {
            self.staging.long.push(stream);
        }
        Ok(())
    }

    /// The staged batch, about to be written: what is staged from now on follows it. `None` if it
    /// is empty.
    pub(super) fn dispatch(&mut self) -> Option<Batch> {
        let staging = &mut self.staging;
        if staging.events.is_empty() {
            return None;
        }
        let batch = Batch { expected: staging.head, events: std::mem::take(&mut staging.events) };
        staging.head = batch.head_after();
        staging.number += 1;
        staging.spend.clear();
        self.running = (std::mem::take(&mut staging.touched), std::mem::take(&mut staging.keys));
        Some(batch)
    }

    /// The batch that was being written is durable.
    pub(super) fn durable(&mut self, term: u64) {
        self.staging.head.term = term;
        self.running = Default::default();
    }

    /// Remembers where a key is being staged.
    pub(super) fn know(&mut self, key: TransactionKey, known: Known) {
        self.filter.insert(&key);
        self.known.insert(key, known);
        self.staging.keys.push(key);
    }

    /// Forgets whatever was touched since the last durable batch; it will be read again. Campaigns
    /// are few, so all are, not only those that were touched.
    pub(super) fn drop_undurable(&mut self) {
        let (streams, keys) = std::mem::take(&mut self.running);
        for stream in std::mem::take(&mut self.staging.touched).into_iter().chain(streams) {
            self.aggregates.remove(&stream);
        }
        self.aggregates.campaigns.clear();
        for key in std::mem::take(&mut self.staging.keys).into_iter().chain(keys) {
            self.known.remove(&key);
        }
        self.staging.events.clear();
        self.staging.long.clear();
        self.staging.spend.clear();
    }

    /// Forgets all that the log has.
    pub(super) fn clear(&mut self) {
        self.aggregates.clear();
        self.known.clear();
    }

    /// Lets go of what was used longest ago, called when no batch is being written. What the next
    /// batch has already touched stays: the log does not have it yet.
    pub(super) fn evict(&mut self, settings: &EngineSettings) {
        let EngineSettings { accounts_max, accounts_bytes, keys_max, .. } = *settings;
        self.aggregates.evict(accounts_max, accounts_bytes, self.staging.number);
        // A key that is forgotten too early is found by the append.
        while self.known.len() > keys_max {
            self.known.remove_lru();
        }
        let accounts = &self.aggregates.accounts;
        show_memory("accounts", accounts.bytes(), accounts_bytes);
        let max = keys_max.saturating_mul(KNOWN_KEY_BYTES);
        show_memory("transaction_keys", self.known.len() * KNOWN_KEY_BYTES, max);
        self.filter.show();
        gauge("rewardhub_accounts_in_memory", i64::try_from(accounts.len()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_that_there_is_not_takes_no_memory_beyond_its_batch() {
        let mut core = Core::new(500);
        core.aggregates.campaigns.insert("known".into(), Slot { version: 1, ..Slot::default() });
        core.aggregates.campaigns.insert("unknown".into(), Slot::default());
        core.evict(&EngineSettings::default());
        let campaigns = &core.aggregates.campaigns;
        assert!(campaigns.len() == 1 && campaigns.peek("known").is_some());
    }
}
