//! The engine through its public interface: what is accepted stays accepted, nothing is decided,
//! spent or paid twice, whatever the log, the clock, the payout rail or the process do meanwhile.
//!
//! Time is tokio's paused one and a clock that is set, so nothing here waits or depends on speed.

#![expect(clippy::unwrap_used, reason = "test code in helpers: a panic is its verdict")]

mod apart;
mod beacon;
mod budget;
mod campaigns;
mod check;
mod clock;
mod considered;
mod dedup;
mod draws;
mod epochs;
mod fairness;
mod faults;
mod golden;
mod money;
mod names;
mod pages;
mod parked;
mod persons;
mod queue;
mod rail;
mod reveal;
mod reviews;
mod snapshots;
mod spellings;
mod spending;
mod steps;
mod switches;
mod tampering;
mod tap;
mod waiting;
mod world;
mod zones;
