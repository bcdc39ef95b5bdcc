//! What the writer holds in memory: aggregates, known transaction keys, and the batch being staged.
//!
//! Everything here can be dropped and read again from the log; nothing here is ever the authority.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use hashlink::LruCache;

use super::accounts::Accounts;
use super::rule_faults;
use crate::account::command::Known;
use crate::account::state::PENDING_MAX;
use crate::account::{AccountEvent, RewardAccount};
use crate::campaign::{Campaign, CampaignEvent};
use crate::ids::{CampaignId, Digest, TransactionKey};
use crate::log::chain;
use crate::log::{Batch, Head, Position, StoredEvent, StreamId, StreamType};
use crate::system::{System, SystemEvent};
use crate::time::{Epoch, Timestamp};

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

impl Slot<RewardAccount> {
    /// Remembers where a pending line was recorded, for as long as the account remembers the line
    /// itself.
    pub(super) fn note(&mut self, key: TransactionKey, position: Position) {
        self.noted.insert(key, position);
        if self.noted.len() > PENDING_MAX {
            let oldest = self.noted.iter().min_by_key(|(_, place)| **place).map(|(key, _)| *key);
            oldest.map(|key| self.noted.remove(&key));
        }
    }
}

/// An aggregate the engine hosts.
pub(super) trait Hosted: cqrs_es::Aggregate {
    /// The kind of its streams.
    const STREAM: StreamType;
    /// Names what its snapshots hold. The number rises whenever events fold to another state or a
    /// state is written otherwise; a test says when.
    const ENCODING: &'static str;
    /// Takes a slot out of the cache.
    fn take(core: &mut Core, id: &str) -> Option<Slot<Self>>;
    /// Puts a slot back.
    fn put(core: &mut Core, id: CompactString, slot: Slot<Self>);
    /// What staging an event means for the batch.
    fn staged(event: &Self::Event, position: Position, slot: &mut Slot<Self>, staging: &mut Staging);
}

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

    fn push<A: Hosted>(
        &mut self,
        id: &CompactString,
        event: &A::Event,
        slot: &mut Slot<A>,
    ) -> Result<(), serde_json::Error> {
        use cqrs_es::DomainEvent as _;
        let position = self.next_position();
        A::staged(event, position, slot, self);
        slot.version += 1;
        let mut stored = StoredEvent {
            position,
            stream: StreamId { stream_type: A::STREAM, id: id.clone() },
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

/// All of the writer's memory.
pub(super) struct Core {
    pub(super) accounts: Accounts,
    pub(super) campaigns: BTreeMap<CompactString, Slot<Campaign>>,
    /// The ledger as a whole; `None` until somebody does something to it.
    pub(super) system: Option<Slot<System>>,
    pub(super) known: LruCache<TransactionKey, Known>,
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
            accounts: Accounts::new(),
            campaigns: BTreeMap::new(),
            system: None,
            known: LruCache::new_unbounded(),
            staging: Staging { number: 1, ..Staging::default() },
            running: Default::default(),
            snapshot_every,
        }
    }

    /// Stages a command's events; `slot` has already applied them.
    pub(super) fn stage<A: Hosted>(
        &mut self,
        id: &CompactString,
        events: &[A::Event],
        slot: &mut Slot<A>,
    ) -> Result<(), serde_json::Error> {
        if !events.is_empty() {
            self.staging.touched.push(StreamId { stream_type: A::STREAM, id: id.clone() });
            slot.bytes = 0;
        }
        for event in events {
            self.staging.push(id, event, slot)?;
        }
        slot.staged_in = self.staging.number;
        if slot.is_due(self.snapshot_every) {
            self.staging.long.push(StreamId { stream_type: A::STREAM, id: id.clone() });
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

    /// Forgets whatever was touched since the last durable batch; it will be read again.
    pub(super) fn drop_undurable(&mut self) {
        let (streams, keys) = std::mem::take(&mut self.running);
        for stream in std::mem::take(&mut self.staging.touched).into_iter().chain(streams) {
            match stream.stream_type {
                StreamType::Account => drop(self.accounts.remove(&stream.id)),
                StreamType::Campaign => drop(self.campaigns.remove(&stream.id)),
                StreamType::System => self.system = None,
            }
        }
        for key in std::mem::take(&mut self.staging.keys).into_iter().chain(keys) {
            self.known.remove(&key);
        }
        self.staging.events.clear();
        self.staging.long.clear();
        self.staging.spend.clear();
    }

    /// Lets go of what was used longest ago, called when no batch is being written. What the next
    /// batch has already touched stays: the log does not have it yet.
    pub(super) fn evict(&mut self, accounts_max: usize, accounts_bytes: usize, keys_max: usize) {
        let number = self.staging.number;
        self.accounts.evict(accounts_max, accounts_bytes, |slot| slot.staged_in >= number);
        // Commands for campaigns that there are not leave nothing behind.
        self.campaigns.retain(|_, slot| slot.version > 0);
        // A key that is forgotten too early is found by the append.
        while self.known.len() > keys_max {
            self.known.remove_lru();
        }
    }
}

impl Hosted for RewardAccount {
    const STREAM: StreamType = StreamType::Account;
    const ENCODING: &'static str = "account-1";

    fn take(core: &mut Core, id: &str) -> Option<Slot<Self>> {
        core.accounts.remove(id)
    }

    fn put(core: &mut Core, id: CompactString, slot: Slot<Self>) {
        core.accounts.insert(id, slot);
    }

    fn staged(event: &AccountEvent, position: Position, slot: &mut Slot<Self>, staging: &mut Staging) {
        match event {
            AccountEvent::TransactionEvaluated { considered, draws, .. } => {
                staging.line_position.get_or_insert(position);
                rule_faults::tell(considered);
                for draw in draws {
                    if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
                        let spend = staging.spend.entry(draw.campaign_id.clone()).or_default();
                        spend.won_minor += amount.minor();
                        *spend.wins.entry((draw.epoch, tier)).or_default() += 1;
                    }
                }
            }
            AccountEvent::RewardReversed { campaign_id, amount, budget_returned, .. } => {
                let spend = staging.spend.entry(campaign_id.clone()).or_default();
                if *budget_returned {
                    spend.reversed_minor += amount.minor();
                }
            }
            AccountEvent::TransactionNoted { line } => {
                slot.note(TransactionKey::of(&line.source, &line.transaction_id), position);
                staging.line_position.get_or_insert(position);
            }
            AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. } => {
                staging.line_position.get_or_insert(position);
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::RewardIssued { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::RewardCredited { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::PersonalDataErased { .. } => {}
        }
    }
}

impl Hosted for Campaign {
    const STREAM: StreamType = StreamType::Campaign;
    const ENCODING: &'static str = "campaign-1";

    fn take(core: &mut Core, id: &str) -> Option<Slot<Self>> {
        core.campaigns.remove(id)
    }

    fn put(core: &mut Core, id: CompactString, slot: Slot<Self>) {
        core.campaigns.insert(id, slot);
    }

    /// A batch that is decided again tells of its alert again: once too often beats not at all.
    fn staged(event: &CampaignEvent, _: Position, slot: &mut Slot<Self>, _: &mut Staging) {
        if let CampaignEvent::BudgetAlerted { percent, spent_minor, funded_minor, .. } = event
            && let Some((terms, _)) = slot.state.terms()
        {
            let campaign = terms.campaign_id.to_string();
            tracing::warn!(%campaign, percent, spent_minor, funded_minor, "a campaign's budget is being used up");
            metrics::counter!("rewardhub_campaign_budget_alerts_total", "campaign" => campaign).increment(1);
        }
    }
}

impl Hosted for System {
    const STREAM: StreamType = StreamType::System;
    const ENCODING: &'static str = "system-1";

    fn take(core: &mut Core, _: &str) -> Option<Slot<Self>> {
        core.system.take()
    }

    fn put(core: &mut Core, _: CompactString, slot: Slot<Self>) {
        core.system = Some(slot);
    }

    fn staged(_: &SystemEvent, _: Position, _: &mut Slot<Self>, _: &mut Staging) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_that_there_is_not_takes_no_memory_beyond_its_batch() {
        let mut core = Core::new(500);
        core.campaigns.insert("known".into(), Slot { version: 1, ..Slot::default() });
        core.campaigns.insert("unknown".into(), Slot::default());
        core.evict(1, usize::MAX, 1);
        assert_eq!(core.campaigns.keys().collect::<Vec<_>>(), ["known"]);
    }
}
