//! The engine: one writer executes all commands one after another in memory and appends in batches.
//!
//! [`Ledger`] is what the outside may ask. Behind it a thread of its own repeats five phases:
//! *receive* what waits, *hydrate* what memory lacks, *decide* each command through cqrs-es,
//! *append* once, *answer* in order. Callers hear only of what is durable; rejections, too, wait
//! for what was staged before them.

mod apart;
mod append;
mod clock;
mod core;
mod decide;
mod epochs;
mod filter;
mod hosted;
mod hydrate;
mod intake_batch;
mod ledger;
mod memory;
mod reading;
pub mod reference;
mod rule_faults;
mod slot;
mod slots;
mod snapshots;
mod staging;
mod store;
mod writer;

pub use clock::{ClockAhead, ClockState, WatchedClock};
pub use epochs::{KeyringSeeds, SeedVault};
pub use ledger::{Context, Ledger, Parts, Receipt, RowResult, Settings, Stopped, SubmitError};
pub use memory::{KNOWN_KEY_BYTES, QUEUED_BYTES, show_memory};
pub use snapshots::{SnapshotFinding, check_snapshots};
