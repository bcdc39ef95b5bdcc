//! What happens around a decision: take lines in, then, each as a reader of the log, issue what was
//! won, tell the customer, pay, resume what waited, open epochs that wait for a beacon, and settle
//! those that are over.
//!
//! No step calls another. Each gives commands to the engine and asks the aggregate, never its own
//! checkpoint, whether an effect is outstanding, so starting again from any earlier place is safe.
//! What a [`step`] cannot end at once stands in [`items`], and what it gives up is for a person:
//! [`parked`]. The [`ports`] are all that a step knows of the outside world.

pub mod backoff;
pub mod beacon;
pub mod confirm;
pub mod credit;
pub mod intake;
pub mod issue;
pub mod items;
pub mod notify;
pub mod parked;
pub mod ports;
pub mod resume;
pub mod reveal;
pub mod runner;
pub mod step;
pub mod store;
pub mod tallies;

pub use runner::run;
pub use step::Step;
