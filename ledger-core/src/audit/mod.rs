//! Checks that trust nobody: the hash chain, Merkle roots, replay, every draw derived again.

pub mod chain;
pub mod draws;
pub mod merkle;
pub mod replay;
