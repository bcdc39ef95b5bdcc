//! Streams that are being read, page by page: where each stands, and which snapshots turned out not
//! to fit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::payload;
use crate::log::{LogError, Snapshot, StoredEvent, StreamId};

use super::hosted::Hosted;
use super::slot::Slot;

/// What reading came to.
pub(super) struct End<A: Hosted> {
    pub(super) slots: BTreeMap<StreamId, Slot<A>>,
    pub(super) unfit: BTreeSet<StreamId>,
    pub(super) broken: BTreeMap<StreamId, LogError>,
}

/// The slots of some streams on their way to the streams' ends. Pages come in the order of the
/// streams.
pub(super) struct Reading<A: Hosted> {
    slots: BTreeMap<StreamId, Slot<A>>,
    /// With a snapshot whose own event has not come yet.
    unproven: BTreeSet<StreamId>,
    /// With a snapshot that contradicts its stream.
    unfit: BTreeSet<StreamId>,
    /// That cannot be read, and why.
    broken: BTreeMap<StreamId, LogError>,
    /// The last event: all before it, in this order of streams, has been read.
    last: Option<(StreamId, u64)>,
}

impl<A: Hosted> Reading<A> {
    /// At the beginning of each.
    pub(super) fn of(streams: impl Iterator<Item = StreamId>) -> Reading<A> {
        let slots = streams.map(|stream| (stream, Slot::default())).collect();
        Reading {
            slots,
            unproven: BTreeSet::new(),
            unfit: BTreeSet::new(),
            broken: BTreeMap::new(),
            last: None,
        }
    }

    /// Puts a snapshot in the place of its stream's beginning.
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        let fate = match Slot::restore(&snapshot) {
            Some(slot) => {
                self.slots.insert(snapshot.stream.clone(), slot);
                &mut self.unproven
            }
            None => &mut self.unfit,
        };
        fate.insert(snapshot.stream);
    }

    /// Lets each slot follow its events. A snapshot's own event comes again and vouches for it. A
    /// stream that breaks off is set aside; the others go on.
    pub(super) fn follow(&mut self, events: Vec<StoredEvent>) -> Result<(), LogError> {
        if let Some(last) = events.last() {
            self.last = Some((last.stream.clone(), last.sequence));
        }
        for stored in events {
            let damaged = || LogError::Damaged(format!("unasked {}", stored.stream));
            let slot = self.slots.get_mut(&stored.stream).ok_or_else(damaged)?;
            if self.unfit.contains(&stored.stream) || self.broken.contains_key(&stored.stream) {
                continue;
            }
            if !self.unproven.contains(&stored.stream) {
                // An event that nobody can have written may be too much for the state it is applied
                // to.
                let followed = catch_unwind(AssertUnwindSafe(|| slot.follow(&stored)));
                let panicked = || LogError::Damaged(format!("a panic at {}", stored.position));
                if let Err(error) = followed.unwrap_or_else(|_| Err(panicked())) {
                    self.broken.insert(stored.stream, error);
                }
            } else if stored.sequence >= slot.version {
                self.unproven.remove(&stored.stream);
                if stored.sequence > slot.version || slot.hash != Some(stored.hash) {
                    self.unfit.insert(stored.stream);
                }
            }
        }
        Ok(())
    }

    /// What is still to be read, and after which of each stream's events.
    pub(super) fn rest(&self) -> Vec<(StreamId, u64)> {
        let from = self.last.as_ref().map_or(Bound::Unbounded, |(stream, _)| Bound::Included(stream));
        let slots = self.slots.range::<StreamId, _>((from, Bound::Unbounded));
        let after = |(stream, slot): (&StreamId, &Slot<A>)| match &self.last {
            _ if self.unfit.contains(stream) || self.broken.contains_key(stream) => None,
            Some((last, sequence)) if last == stream => Some((stream.clone(), *sequence)),
            _ => Some((stream.clone(), slot.version.saturating_sub(1))),
        };
        slots.filter_map(after).collect()
    }

    /// The slots at their streams' ends. Apart from them: those whose snapshots do not fit, which
    /// are to be read again from the first event even if they break off later on, and the others
    /// that break off.
    pub(super) fn end(mut self) -> End<A> {
        self.unfit.append(&mut self.unproven);
        self.broken.retain(|stream, _| !self.unfit.contains(stream));
        self.slots.retain(|stream, _| !self.unfit.contains(stream) && !self.broken.contains_key(stream));
        End { slots: self.slots, unfit: self.unfit, broken: self.broken }
    }
}

impl<A: Hosted> Slot<A> {
    /// The stream's next event.
    pub(super) fn follow(&mut self, stored: &StoredEvent) -> Result<(), LogError> {
        if stored.sequence != self.version + 1 {
            let (stream, expected) = (&stored.stream, self.version + 1);
            let what = format!("{stream} goes on with {} instead of {expected}", stored.sequence);
            return Err(LogError::Damaged(what));
        }
        let event = payload::<A::Event>(stored)?;
        A::note(&event, stored.position, self);
        self.state.apply(event);
        self.version = stored.sequence;
        self.hash = Some(stored.hash);
        Ok(())
    }
}
