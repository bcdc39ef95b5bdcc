//! The accounts in memory, and roughly how many bytes they take: one of ten years weighs as much as
//! hundreds of new ones.

use compact_str::CompactString;
use hashlink::LruCache;

use crate::account::RewardAccount;

use super::core::Slot;

/// What an entry takes beside its slot: the table's part, the list's pointers.
const ENTRY_BYTES: usize = 64;

/// The least recently used is first to go.
pub(super) struct Accounts {
    slots: LruCache<CompactString, Slot<RewardAccount>>,
    bytes: usize,
}

impl Accounts {
    pub(super) fn new() -> Accounts {
        Accounts { slots: LruCache::new_unbounded(), bytes: 0 }
    }

    /// Marks it as used.
    pub(super) fn get(&mut self, id: &str) -> Option<&Slot<RewardAccount>> {
        self.slots.get(id)
    }

    pub(super) fn peek(&self, id: &str) -> Option<&Slot<RewardAccount>> {
        self.slots.peek(id)
    }

    pub(super) fn peek_mut(&mut self, id: &str) -> Option<&mut Slot<RewardAccount>> {
        self.slots.peek_mut(id)
    }

    pub(super) fn contains_key(&self, id: &str) -> bool {
        self.slots.contains_key(id)
    }

    /// Weighs it as it is now, if it has changed since it was weighed.
    pub(super) fn insert(&mut self, id: CompactString, mut slot: Slot<RewardAccount>) {
        if slot.bytes == 0 {
            slot.bytes = size_of::<Slot<RewardAccount>>() + ENTRY_BYTES + slot.state.heap_bytes();
        }
        self.bytes += slot.bytes;
        if let Some(before) = self.slots.insert(id, slot) {
            self.bytes -= before.bytes;
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Slot<RewardAccount>> {
        let slot = self.slots.remove(id)?;
        self.bytes -= slot.bytes;
        Some(slot)
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.bytes = 0;
    }

    /// Lets go of those used longest ago, down to both bounds, except what `keep` says.
    pub(super) fn evict(
        &mut self,
        max: usize,
        bytes_max: usize,
        keep: impl Fn(&Slot<RewardAccount>) -> bool,
    ) {
        while (self.slots.len() > max || self.bytes > bytes_max)
            && self.slots.iter().next().is_some_and(|(_, slot)| !keep(slot))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountEvent;
    use crate::time::Timestamp;
    use cqrs_es::Aggregate as _;

    fn slot() -> Slot<RewardAccount> {
        let mut slot = Slot::<RewardAccount>::default();
        slot.state.apply(AccountEvent::AccountOpened { enrolled_at: Timestamp::from_micros(1) });
        slot
    }

    /// A million of the smallest, counted: nothing is weighed twice, nothing stays behind.
    #[test]
    fn what_is_taken_out_put_back_and_let_go_of_is_weighed_once() {
        let mut accounts = Accounts::new();
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
        accounts.evict(usize::MAX, 11 * one, |_| false);
        assert_eq!(accounts.len(), 11);
        accounts.evict(usize::MAX, 11 * one - 1, |_| false);
        assert_eq!((accounts.len(), accounts.bytes()), (10, 10 * one));
        assert!(!accounts.contains_key("a"), "the one used longest ago");
        accounts.evict(3, usize::MAX, |_| false);
        assert_eq!((accounts.len(), accounts.bytes()), (3, 3 * one));
        accounts.evict(0, 0, |_| true);
        assert_eq!(accounts.len(), 3, "what the batch has touched stays");
        accounts.clear();
        assert_eq!((accounts.len(), accounts.bytes()), (0, 0));
    }
}
