//! Phase two of the loop: what memory lacks is read from the log before anything is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::command::{Known, PreparedTransaction};
use crate::account::event::AccountEvent;
use crate::campaign::Campaign;
use crate::event::{aggregates, payload};
use crate::faults;
use crate::ids::{AccountId, TransactionKey};
use crate::log::{Log, LogError, StoredEvent, StreamId, StreamType};
use crate::system::System;
use crate::transaction::Status;

use super::core::Core;
use super::filter::Filter;
use super::intake_batch::Work;
use super::lease::Lease;
use super::reading::{End, Reading};
use super::slots::Listed;
use super::store::Shared;

/// Damaged streams, or keys, of one batch that are told from a log that cannot be read.
const WRONG_MAX: usize = 64;

/// How many there are.
#[derive(Debug, thiserror::Error)]
#[error("{0} streams")]
struct Unfit(usize);

/// What memory is read from.
pub(super) struct Hydration {
    log: Log,
    shared: Shared,
    page_events: usize,
    /// What is always in memory is; false after a failed append may have touched it.
    loaded: bool,
}

impl Hydration {
    pub(super) fn new(log: Log, shared: Shared, page_events: usize) -> Hydration {
        Hydration { log, shared, page_events: page_events.max(1), loaded: false }
    }

    /// What is always in memory is read again before the next batch is decided.
    pub(super) fn forget(&mut self) {
        self.loaded = false;
    }

    /// Reads what is not in memory and probes keys that may be known, each in one query (see
    /// [`Hydration::load`]).
    pub(super) async fn hydrate(&mut self, works: &[Work], lease: &mut Lease) -> Result<(), LogError> {
        self.always(lease).await?;
        let (mut streams, mut keys) = (BTreeSet::new(), Vec::new());
        {
            // What is touched outlives the batch.
            let Core { aggregates, known, filter, apart, .. } = &mut *self.shared.lock();
            for work in works {
                let Work::Asked(asked) = work else { continue };
                let stream = asked.stream();
                if !aggregates.touch(&stream) && !apart.has(&stream) {
                    streams.insert(stream);
                }
            }
            let mut account = |id: &AccountId| {
                if !aggregates.accounts.touch(id.as_str()) && !apart.has_account(id) {
                    streams.insert(StreamId::account(id));
                }
            };
            for row in works.iter().flat_map(Work::rows) {
                account(&row.account_id);
                // Under either name the purchase may be in another customer's stream.
                for key in row.pending_key().into_iter().chain([row.key]) {
                    match known.get(&key).map(|known| known.account_id.clone()) {
                        Some(owner) if owner == row.account_id => {}
                        Some(owner) => account(&owner),
                        None if key == row.key && is_surely_new(filter, row) => {}
                        None if apart.has_key(&key) => {}
                        None => keys.push(key),
                    }
                }
            }
        }
        for stored in self.probe(&keys).await? {
            let mut core = self.shared.lock();
            if !core.apart.has(&stored.stream) && !core.aggregates.touch(&stored.stream) {
                streams.insert(stored.stream);
            }
        }
        self.load_missing(&streams, lease).await
    }

    /// Looks keys up in the log and remembers what it finds. What cannot be read is set apart.
    pub(super) async fn probe(&self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError> {
        if keys.is_empty() {
            return Ok(vec![]);
        }
        let mut found = Vec::new();
        let index = Arc::clone(&self.log.transactions);
        let damaged = in_parts(keys, async |some| {
            found.extend(index.find_transactions(some).await?);
            Ok(())
        });
        for (key, error) in self.readable(damaged.await).await? {
            self.shared.lock().apart.put_key(key, &error);
        }
        let mut core = self.shared.lock();
        for stored in &found {
            let key = stored
                .transaction_key
                .ok_or_else(|| LogError::Damaged(format!("{} has no key", stored.position)))?;
            match known(stored) {
                Ok(known) => drop(core.known.insert(key, known)),
                Err(error) => core.apart.put_key(key, &error),
            }
        }
        Ok(found)
    }

    /// Campaigns are few and always in memory, with the zones that they are decided by and what people
    /// have set; after a failed append those it touched are read again.
    pub(super) async fn always(&mut self, lease: &mut Lease) -> Result<(), LogError> {
        if self.loaded {
            return Ok(());
        }
        let streams = self.log.events.stream_ids(StreamType::Campaign).await?;
        // Every transaction is asked of every campaign, by its clocks: one of them that cannot be
        // read, or not knowing whether a person has halted all draws, stops all decisions.
        let mut broken = self.load::<Campaign>(&streams, lease).await?;
        broken.extend(self.load::<System>(&[StreamId::system()], lease).await?);
        if let Some((_, error)) = broken.pop() {
            return Err(error);
        }
        self.loaded = true;
        Ok(())
    }

    /// Reads these streams and answers those that cannot be read. It takes one query where the
    /// events of all fit into a page, as they mostly do.
    async fn load<A: Listed>(
        &self,
        streams: &[StreamId],
        lease: &mut Lease,
    ) -> Result<Vec<(StreamId, LogError)>, LogError> {
        let mut broken = Vec::new();
        if streams.is_empty() {
            return Ok(broken);
        }
        let damaged = in_parts(streams, async |some| {
            broken.extend(self.load_some::<A>(some, lease).await?);
            Ok(())
        });
        let damaged = damaged.await;
        broken.extend(self.readable(damaged).await?);
        Ok(broken)
    }

    /// What failed by itself while the rest of the log can be read is damaged; else the log is out
    /// of reach.
    async fn readable<T>(
        &self,
        damaged: Result<Vec<(T, LogError)>, LogError>,
    ) -> Result<Vec<(T, LogError)>, LogError> {
        let damaged = damaged?;
        if !damaged.is_empty() {
            self.log.events.head().await?;
        }
        Ok(damaged)
    }

    async fn load_some<A: Listed>(
        &self,
        streams: &[StreamId],
        lease: &mut Lease,
    ) -> Result<BTreeMap<StreamId, LogError>, LogError> {
        let mut reading = Reading::<A>::of(streams.iter().cloned());
        for snapshot in self.log.snapshots.load_snapshots(streams, A::ENCODING).await? {
            reading.restore(snapshot);
        }
        self.read(&mut reading, lease).await?;
        let End { mut slots, unfit, mut broken } = reading.end();
        if !unfit.is_empty() {
            faults::error("snapshots that do not fit their streams are not used", "", &Unfit(unfit.len()));
            let mut again = Reading::<A>::of(unfit.into_iter());
            self.read(&mut again, lease).await?;
            let again = again.end();
            slots.extend(again.slots);
            broken.extend(again.broken);
        }
        let mut core = self.shared.lock();
        for (stream, slot) in slots {
            A::slots(&mut core.aggregates).insert(stream.id, slot);
        }
        Ok(broken)
    }

    /// Follows the log page by page and keeps the lease meanwhile. No statement and no buffer is
    /// larger than a page, however long the stream.
    async fn read<A: Listed>(&self, reading: &mut Reading<A>, lease: &mut Lease) -> Result<(), LogError> {
        loop {
            let page = self.log.events.load_streams(&reading.rest(), self.page_events).await?;
            let full = page.len() >= self.page_events;
            reading.follow(page)?;
            if !full {
                return Ok(());
            }
            match lease.renew().await {
                // The next page tries again; what comes of it is decided by the append.
                Err(error) if error.transient() => {
                    faults::warn("the lease could not be renewed between two pages", "", &error);
                }
                renewed => renewed?,
            }
        }
    }
}

macro_rules! of_all_kinds {
    ($($_slots:ident: $kind:ident($aggregate:ty),)+) => {
        impl Hydration {
            /// Reads these streams. What cannot be read is set apart.
            async fn load_missing(&self, streams: &BTreeSet<StreamId>, lease: &mut Lease) -> Result<(), LogError> {
                $(
                    let of_this_kind = |stream: &&StreamId| stream.stream_type == StreamType::$kind;
                    let missing: Vec<StreamId> = streams.iter().filter(of_this_kind).cloned().collect();
                    for (stream, error) in self.load::<$aggregate>(&missing, lease).await? {
                        self.shared.lock().apart.put(stream, &error);
                    }
                )+
                Ok(())
            }
        }
    };
}
aggregates!(of_all_kinds);

/// A pending line carries no key into the log, whose unique index would find a repeat out: it is
/// always looked up.
fn is_surely_new(filter: &Filter, row: &PreparedTransaction) -> bool {
    row.status != Status::Pending && !filter.may_have(&row.key)
}

/// Gives `work` all of them, or, where that fails for good, ever smaller parts, down to the single
/// ones: those are the answer, with what is wrong. Fails where that passes, or where it is wrong
/// with many.
async fn in_parts<T: Clone>(
    all: &[T],
    mut work: impl AsyncFnMut(&[T]) -> Result<(), LogError>,
) -> Result<Vec<(T, LogError)>, LogError> {
    let (mut waiting, mut wrong) = (vec![all], Vec::new());
    while let Some(part) = waiting.pop() {
        match work(part).await {
            Ok(()) => {}
            Err(error) if !error.is_about_what_is_read() || wrong.len() >= WRONG_MAX => return Err(error),
            Err(error) => match part {
                [] => return Err(error),
                [one] => wrong.push((one.clone(), error)),
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([second, first]);
                }
            },
        }
    }
    Ok(wrong)
}

/// What an event with a transaction key says about its line.
fn known(stored: &StoredEvent) -> Result<Known, LogError> {
    let damaged = || LogError::Damaged(format!("{} carries a transaction key", stored.position));
    let account_id = AccountId::parse(&stored.stream.id).map_err(|_| damaged())?;
    let (fingerprint, booked_at) = match payload(stored)? {
        AccountEvent::TransactionEvaluated { line, .. } | AccountEvent::TransactionDeferred { line, .. } => {
            (Some(line.fingerprint), Some(line.booked()))
        }
        AccountEvent::TransactionLinked { fingerprint, .. } => (fingerprint, None),
        AccountEvent::TransactionRemoved { .. } => (None, None),
        _ => return Err(damaged()),
    };
    Ok(Known { account_id, position: stored.position, fingerprint, booked_at })
}
