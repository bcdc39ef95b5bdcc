//! The engine: one writer executes all commands one after another in memory and appends in batches.
//!
//! [`Ledger`] is what the outside may ask. Behind it a thread of its own repeats five phases:
//! *receive* what waits, *hydrate* what memory lacks, *decide* each command through cqrs-es,
//! *append* once, *answer* in order. Callers hear only of what is durable; rejections, too, wait
//! for what was staged before them.
//!
//! Its files, each of which names only those above it in this list:
//!
//! - what is said: `settings` `receipt` `failed`; what is watched: `clock` `memory` `filter` `apart`
//! - memory: `slot` `staging` `hosted` `slots` `core` `store`; `intake_batch`: what is asked
//! - `reading` `snapshots` `lease`, then the phases: `hydrate` `epochs` `decide` `append`
//! - `told`, what is told; `writer` moves between them; `ledger` is the door

mod apart;
mod append;
mod clock;
mod core;
mod decide;
mod epochs;
mod failed;
mod filter;
mod hosted;
mod hydrate;
mod intake_batch;
mod lease;
mod ledger;
mod memory;
mod reading;
mod receipt;
pub mod reference;
mod rule_faults;
mod settings;
mod slot;
mod slots;
mod snapshots;
mod staging;
mod store;
mod told;
mod writer;

pub use clock::{ClockAhead, ClockState, WatchedClock};
pub use epochs::{KeyringSeeds, SeedVault};
pub use ledger::{Ledger, LedgerParts};
pub use memory::{KNOWN_KEY_BYTES, QUEUED_BYTES, show_memory};
pub use receipt::{CommandContext, Receipt, RowResult, Stopped, SubmitError};
pub use settings::EngineSettings;
pub use snapshots::{SnapshotFinding, check_snapshots};
