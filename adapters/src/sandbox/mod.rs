//! An outside world of our own: a [`bank`] whose customers buy things, a payout [`rail`] with books
//! and bad days, and a [`notifier`] that remembers whom it told. Everything follows from a seed,
//! nothing is real.

pub mod bank;
mod dice;
pub mod notifier;
pub mod rail;

pub use bank::{Generated, Generator, GeneratorConfig, Kind};
pub use notifier::RecordingNotifier;
pub use rail::{Misbehaviour, SandboxRail};
