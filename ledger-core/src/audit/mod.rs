//! Checks that trust nobody: the hash chain, Merkle roots, replay.

pub mod chain;
pub mod merkle;
pub mod replay;
