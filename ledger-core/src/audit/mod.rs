//! Checks that trust nobody: the hash chain, the Merkle tree, replay.

pub mod chain;
pub mod merkle;
