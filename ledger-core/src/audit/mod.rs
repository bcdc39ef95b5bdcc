//! Checks that trust nobody: the hash chain, replay.

pub mod merkle;
