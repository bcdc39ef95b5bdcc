//! The aggregates in memory, by kind, and roughly how many bytes those take that may be let go of:
//! an account of ten years weighs as much as hundreds of new ones.

use compact_str::CompactString;
use hashlink::LruCache;

use crate::event::aggregates;
use crate::log::{StreamId, StreamType};

use super::hosted::Hosted;
use super::slot::Slot;

/// What an entry takes beside its slot: the table's part, the list's pointers.
const ENTRY_BYTES: usize = 64;

/// The aggregates of one kind. The least recently used is first to go.
pub(super) struct Slots<A> {
    slots: LruCache<CompactString, Slot<A>>,
    bytes: usize,
}

impl<A> Default for Slots<A> {
    fn default() -> Self {
        Slots { slots: LruCache::new_unbounded(), bytes: 0 }
    }
}

impl<A: Hosted> Slots<A> {
    /// Marks it as used.
    pub(super) fn touch(&mut self, id: &str) -> bool {
        self.slots.get(id).is_some()
    }

    pub(super) fn peek(&self, id: &str) -> Option<&Slot<A>> {
        self.slots.peek(id)
    }

    pub(super) fn peek_mut(&mut self, id: &str) -> Option<&mut Slot<A>> {
        self.slots.peek_mut(id)
    }

    /// All of them, in the order of their ids.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Slot<A>> {
        let mut slots: Vec<_> = self.slots.iter().collect();
        slots.sort_unstable_by_key(|(id, _)| *id);
        slots.into_iter().map(|(_, slot)| slot)
    }

    /// Weighs it as it is now, if it has changed since it was weighed.
    pub(super) fn insert(&mut self, id: CompactString, mut slot: Slot<A>) {
        if slot.bytes == 0 {
            slot.bytes = size_of::<Slot<A>>() + ENTRY_BYTES + slot.state.heap_bytes();
        }
        self.bytes += slot.bytes;
        if let Some(before) = self.slots.insert(id, slot) {
            self.bytes -= before.bytes;
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Slot<A>> {
        let slot = self.slots.remove(id)?;
        self.bytes -= slot.bytes;
        Some(slot)
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.bytes = 0;
    }

    /// Lets go of those used longest ago, down to both bounds, except what has been staged in this
    /// batch or later. Of those that all stay, a command for one that there is not leaves nothing
    /// behind.
    pub(super) fn evict(&mut self, max: usize, bytes_max: usize, batch: u64) {
        if !A::EVICTED {
            return self.slots.retain(|_, slot| A::ALWAYS || slot.version > 0);
        }
        while (self.slots.len() > max || self.bytes > bytes_max)
            && self.slots.iter().next().is_some_and(|(_, slot)| slot.staged_in < batch)
        {
            if let Some((_, slot)) = self.slots.remove_lru() {
                self.bytes -= slot.bytes;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// An aggregate of the table.
pub(super) trait Listed: Hosted {
    /// The kind of its streams.
    const STREAM: StreamType;
    /// Where those in memory are.
    fn slots(all: &mut Aggregates) -> &mut Slots<Self>;
}

macro_rules! in_memory {
    ($($slots:ident: $kind:ident($aggregate:ty),)+) => {
        /// All aggregates in memory.
        #[derive(Default)]
        pub(super) struct Aggregates { $(pub(super) $slots: Slots<$aggregate>,)+ }

        impl Aggregates {
            /// Whether it is in memory, and marks it as used.
            pub(super) fn touch(&mut self, stream: &StreamId) -> bool {
                match stream.stream_type { $(StreamType::$kind => self.$slots.touch(&stream.id),)+ }
            }

            pub(super) fn remove(&mut self, stream: &StreamId) {
                match stream.stream_type { $(StreamType::$kind => drop(self.$slots.remove(&stream.id)),)+ }
            }

            pub(super) fn clear(&mut self) {
                $(self.$slots.clear();)+
            }

            pub(super) fn evict(&mut self, max: usize, bytes_max: usize, batch: u64) {
                $(self.$slots.evict(max, bytes_max, batch);)+
            }
        }

        $(impl Listed for $aggregate {
            const STREAM: StreamType = StreamType::$kind;

            fn slots(all: &mut Aggregates) -> &mut Slots<Self> {
                &mut all.$slots
            }
        })+
    };
}
aggregates!(in_memory);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountEvent, RewardAccount};
    use crate::time::Timestamp;
    use cqrs_es::Aggregate as _;

    fn slot() -> Slot<RewardAccount> {
        let mut slot = Slot::<RewardAccount>::default();
        slot.state.apply(AccountEvent::AccountOpened { enrolled_at: Timestamp::from_micros(1) });
        slot
    }

    #[test]
    fn an_aggregate_has_one_name_for_its_streams_and_its_type() {
        macro_rules! each {
            ($($_slots:ident: $_kind:ident($aggregate:ty),)+) => {
                $(assert_eq!(<$aggregate>::TYPE, <$aggregate>::STREAM.as_str());)+
            };
        }
        aggregates!(each);
    }

    /// A million of the smallest, counted: nothing is weighed twice, nothing stays behind.
    #[test]
    fn what_is_taken_out_put_back_and_let_go_of_is_weighed_once() {
        let mut accounts = Slots::default();
        accounts.insert("a".into(), slot());
        let one = accounts.bytes();
        assert!(one > size_of::<Slot<RewardAccount>>());
        accounts.insert("a".into(), slot());
        let taken = accounts.remove("a").unwrap();
        assert_eq!(accounts.bytes(), 0);
        accounts.insert("a".into(), taken);
        for n in 0..10 {
            accounts.insert(format!("c{n}").into(), slot());
        }
        assert_eq!(accounts.bytes(), 11 * one);
        accounts.evict(usize::MAX, 11 * one, u64::MAX);
        assert_eq!(accounts.len(), 11);
        accounts.evict(usize::MAX, 11 * one - 1, u64::MAX);
        assert_eq!((accounts.len(), accounts.bytes()), (10, 10 * one));
        assert!(!accounts.touch("a"), "the one used longest ago");
        accounts.evict(3, usize::MAX, u64::MAX);
        assert_eq!((accounts.len(), accounts.bytes()), (3, 3 * one));
        accounts.evict(0, 0, 0);
        assert_eq!(accounts.len(), 3, "what the batch has touched stays");
        accounts.clear();
        assert_eq!((accounts.len(), accounts.bytes()), (0, 0));
    }
}
