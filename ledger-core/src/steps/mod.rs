//! What happens after a decision, each as a reader of the log: issue, notify, credit, and resume what waited.
//! The ports below are all that a step knows of the outside world.

pub mod intake;
pub mod ports;
