//! Checks that trust nobody: replay with the hash chain, every draw derived again, fairness, and
//! the bundle with which others do all of it without our code; and back-tests of campaigns over
//! past lines.
//!
//! Nothing here writes, pays or tells anyone: it has a reader of the log, keys to open with, and no
//! more.

pub mod backtest;
pub mod bundle;
pub mod draws;
pub mod fairness;
pub mod page;
pub mod replay;
