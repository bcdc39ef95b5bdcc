//! What happens around a decision: take lines in, then, each as a reader of the log, issue what was won, tell
//! the customer, pay, resume what waited, open epochs that wait for a beacon, and settle those that are over.
//!
//! No step calls another. Each gives commands to the engine and asks the aggregate, never its own checkpoint,
//! whether an effect is outstanding, so starting again from any earlier place is safe. The [`ports`] are all
//! that a step knows of the outside world.

pub mod beacon;
pub mod checkpoints;
pub mod credit;
pub mod intake;
pub mod issue;
pub mod notify;
pub mod ports;
pub mod resume;
pub mod reveal;
pub mod runner;

pub use runner::{Step, run};
