//! Checks that trust nobody: the hash chain, Merkle roots, replay, every draw derived again, and the bundle with which
//! others do all of it without our code.

pub mod bundle;
pub mod chain;
pub mod draws;
pub mod fairness;
pub mod merkle;
pub mod replay;
