//! Phase two of the loop: what memory lacks is read from the log before anything is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::command::{Known, PreparedTransaction};
use crate::account::event::AccountEvent;
use crate::campaign::Campaign;
use crate::event::{aggregates, payload};
use crate::faults;
use crate::ids::{AccountId, TransactionKey};
use crate::log::{LogError, StoredEvent, StreamId, StreamType};
use crate::transaction::Status;

use super::core::Core;
use super::intake_batch::Work;
use super::reading::{End, Reading};
use super::slots::Listed;
use super::writer::Writer;

/// Damaged streams, or keys, of one batch that are told from a log that cannot be read.
const WRONG_MAX: usize = 64;

impl Writer {
    /// Reads what is not in memory and probes keys that may be known, each in one query (see
    /// [`Writer::load`]).
    pub(super) async fn hydrate(&mut self, works: &[Work]) -> Result<(), LogError> {
        self.hydrate_campaigns().await?;
        let (mut streams, mut keys) = (BTreeSet::new(), Vec::new());
        {
            // What is touched outlives the batch.
            let (mut core, apart) = (self.shared.lock(), &self.apart);
            for work in works {
                let Work::Asked(asked) = work else { continue };
                let stream = asked.stream();
                if !core.aggregates.touch(&stream) && !apart.has(&stream) {
                    streams.insert(stream);
                }
            }
            let mut account = |core: &mut Core, id: &AccountId| {
                if !core.aggregates.accounts.touch(id.as_str()) && !apart.has_account(id) {
                    streams.insert(StreamId::account(id));
                }
            };
            for row in works.iter().flat_map(Work::rows) {
                account(&mut core, &row.account_id);
                // Under either name the purchase may be in another customer's stream.
                for key in row.pending_key().into_iter().chain([row.key]) {
                    match core.known.get(&key).map(|known| known.account_id.clone()) {
                        Some(owner) if owner == row.account_id => {}
                        Some(owner) => account(&mut core, &owner),
                        None if key == row.key && self.is_surely_new(row) => {}
                        None if apart.has_key(&key) => {}
                        None => keys.push(key),
                    }
                }
            }
        }
        for stored in self.probe(&keys).await? {
            if !self.apart.has(&stored.stream) && !self.shared.lock().aggregates.touch(&stored.stream) {
                streams.insert(stored.stream);
            }
        }
        self.load_missing(&streams).await
    }

    /// A pending line carries no key into the log, whose unique index would find a repeat out: it
    /// is always looked up.
    fn is_surely_new(&self, row: &PreparedTransaction) -> bool {
        row.status != Status::Pending && !self.filter.may_have(&row.key)
    }

    /// Looks keys up in the log and remembers what it finds. What cannot be read is set apart.
    pub(super) async fn probe(&mut self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError> {
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
            self.apart.put_key(key, &error);
        }
        let mut core = self.shared.lock();
        for stored in &found {
            let key = stored
                .transaction_key
                .ok_or_else(|| LogError::Damaged(format!("{} has no key", stored.position)))?;
            match known(stored) {
                Ok(known) => drop(core.known.insert(key, known)),
                Err(error) => self.apart.put_key(key, &error),
            }
        }
        Ok(found)
    }

    /// Campaigns are few and always in memory; after a failed append those it touched are read
    /// again.
    pub(super) async fn hydrate_campaigns(&mut self) -> Result<(), LogError> {
        if self.campaigns_loaded {
            return Ok(());
        }
        let streams = self.log.events.stream_ids(StreamType::Campaign).await?;
        // Every line is asked of every campaign: none is decided without one of them.
        if let Some((_, error)) = self.load::<Campaign>(&streams).await?.pop() {
            return Err(error);
        }
        self.campaigns_loaded = true;
        Ok(())
    }

    /// Reads these streams, but for those that cannot be read, which are the answer. In one query
    /// where the events of all fit into a page, as they mostly do.
    async fn load<A: Listed>(&mut self, streams: &[StreamId]) -> Result<Vec<(StreamId, LogError)>, LogError> {
        let mut broken = Vec::new();
        if streams.is_empty() {
            return Ok(broken);
        }
        let damaged = in_parts(streams, async |some| {
            broken.extend(self.load_some::<A>(some).await?);
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
        &mut self,
        streams: &[StreamId],
    ) -> Result<BTreeMap<StreamId, LogError>, LogError> {
        let mut reading = Reading::<A>::of(streams.iter().cloned());
        for snapshot in self.log.snapshots.load_snapshots(streams, A::ENCODING).await? {
            reading.restore(snapshot);
        }
        self.read(&mut reading).await?;
        let End { mut slots, unfit, mut broken } = reading.end();
        if !unfit.is_empty() {
            tracing::error!(streams = unfit.len(), "snapshots that do not fit their streams are not used");
            let mut again = Reading::<A>::of(unfit.into_iter());
            self.read(&mut again).await?;
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

    /// Follows the log page by page. However long that takes, no statement and no memory is asked
    /// for more than a page, and the lease is kept.
    async fn read<A: Listed>(&mut self, reading: &mut Reading<A>) -> Result<(), LogError> {
        loop {
            let page = self.log.events.load_streams(&reading.rest(), self.page_events()).await?;
            let full = page.len() >= self.page_events();
            reading.follow(page)?;
            if !full {
                return Ok(());
            }
            match self.renew_lease().await {
                // The next page tries again; what comes of it is decided by the append.
                Err(error) if error.transient() => {
                    faults::warn("the lease could not be renewed between two pages", "", &error);
                }
                renewed => renewed?,
            }
        }
    }

    fn page_events(&self) -> usize {
        self.settings.page_events.max(1)
    }
}

macro_rules! of_all_kinds {
    ($($_slots:ident: $kind:ident($aggregate:ty),)+) => {
        impl Writer {
            /// Reads these streams. What cannot be read is set apart.
            async fn load_missing(&mut self, streams: &BTreeSet<StreamId>) -> Result<(), LogError> {
                $(
                    let of_this_kind = |stream: &&StreamId| stream.stream_type == StreamType::$kind;
                    let missing: Vec<StreamId> = streams.iter().filter(of_this_kind).cloned().collect();
                    for (stream, error) in self.load::<$aggregate>(&missing).await? {
                        self.apart.put(stream, &error);
                    }
                )+
                Ok(())
            }
        }
    };
}
aggregates!(of_all_kinds);

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
            (Some(line.fingerprint), Some(line.booked_at))
        }
        AccountEvent::TransactionLinked { fingerprint, .. } => (fingerprint, None),
        AccountEvent::TransactionRemoved { .. } => (None, None),
        _ => return Err(damaged()),
    };
    Ok(Known { account_id, position: stored.position, fingerprint, booked_at })
}
