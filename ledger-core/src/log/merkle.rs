//! The Merkle tree of RFC 6962 (certificate transparency), section 2.1: one hash that stands for a
//! list.
//!
//! A leaf is `SHA-256(0x00 ‖ data)`, a node `SHA-256(0x01 ‖ left ‖ right)`, the tree of no leaves
//! `SHA-256("")`; the first bytes keep a node from being passed off as a leaf.

use aws_lc_rs::digest::{Context, SHA256};

use crate::ids::Digest;

/// The tree's hash over these leaves, in their order. Takes memory for one hash per level.
pub fn root<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut tree = Tree::default();
    leaves.into_iter().for_each(|leaf| tree.push(leaf));
    tree.root()
}

/// A tree that grows leaf by leaf.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Complete subtrees from left to right, each smaller than the one before it, as (leaves,
    /// hash): two of equal size become one, as in a binary counter.
    subtrees: Vec<(u64, Digest)>,
}

impl Tree {
    /// One leaf more.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut last = (1, sha256(&[&[0], leaf]));
        while let Some(&(size, left)) = self.subtrees.last()
            && size == last.0
        {
            self.subtrees.pop();
            last = (size * 2, node(&left, &last.1));
        }
        self.subtrees.push(last);
    }

    /// The hash over all leaves so far.
    pub fn root(&self) -> Digest {
        let hashes = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        hashes.reduce(|right, left| node(&left, &right)).unwrap_or_else(|| sha256(&[]))
    }
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], &left.0, &right.0])
}

fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    Digest(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves and roots of the reference implementation of certificate transparency.
    #[test]
    fn the_roots_are_those_of_certificate_transparency() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .map(|text| hex::decode(text).unwrap());
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (count, expected) in roots.into_iter().enumerate() {
            assert_eq!(
                root(leaves[..count].iter().map(Vec::as_slice)).to_string(),
                expected,
                "{count} leaves"
            );
        }
    }

    /// The definition of RFC 6962, word for word: split at the largest power of two below the
    /// length.
    fn by_definition(leaves: &[[u8; 2]]) -> Digest {
        match leaves {
            [] => sha256(&[]),
            [leaf] => sha256(&[&[0], leaf]),
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn a_tree_of_any_size_follows_the_definition() {
        let leaves: Vec<[u8; 2]> = (0..300_u16).map(u16::to_be_bytes).collect();
        for count in 0..=leaves.len() {
            let leaves = &leaves[..count];
            assert_eq!(root(leaves.iter().map(<[u8; 2]>::as_slice)), by_definition(leaves), "{count} leaves");
        }
    }
}
