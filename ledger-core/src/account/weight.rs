//! Roughly how many bytes an account takes beside its own size, so that those in memory can be
//! bounded. Texts of more than 24 bytes count as 24.

use std::collections::BTreeMap;

use crate::account::state::RewardAccount;

/// Entries in a full node of a [`BTreeMap`]; a new map takes one whole node.
const NODE: usize = 11;
/// Entries in a node on average.
const NODE_USED: usize = 8;
const NODE_POINTERS: usize = 24;

impl RewardAccount {
    pub(crate) fn heap_bytes(&self) -> usize {
        let wins = self.wins.values().map(tree).sum::<usize>();
        tree(&self.deferred)
            + tree(&self.removed)
            + tree(&self.released)
            + tree(&self.linked)
            + tree(&self.rewards)
            + tree(&self.wins)
            + wins
            + self.pending.capacity() * size_of::<crate::account::line::Pending>()
            + self.memory.heap_bytes()
    }
}

fn tree<K, V>(map: &BTreeMap<K, V>) -> usize {
    let nodes = if map.len() <= NODE { usize::from(!map.is_empty()) } else { map.len().div_ceil(NODE_USED) };
    nodes * (NODE * (size_of::<K>() + size_of::<V>()) + NODE_POINTERS)
}
