//! What talks to outside systems, one folder each, behind the ports of
//! [`ledger_core::steps::ports`].
//!
//! [`drand`] is the public beacon that a campaign may wait for. [`sandbox`] is our own bank, payout
//! rail and notifier, for running everything on one machine. With the feature `testing`, `contract`
//! holds any payout rail to what its port promises.

#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod drand;
pub mod sandbox;
