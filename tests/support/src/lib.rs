//! For tests: a clock that is set, a log that fails on demand, the contract every log keeps.

pub mod contract;
pub mod golden;

mod clock;
mod faults;
mod history;
mod simulated;

pub use clock::ManualClock;
pub use faults::{Fault, Faults};
pub use history::{History, stream};
pub use simulated::SimulatedLog;
