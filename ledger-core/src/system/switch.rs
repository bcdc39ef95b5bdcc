//! Switches: what people halt, each by itself, and let go on.

use serde::{Deserialize, Serialize};

/// What can be halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Booked lines are recorded and wait.
    Draws,
    /// No payment is asked for. One that is under way is still asked about.
    Payouts,
    /// Nobody is told anything.
    Notifications,
    /// No bank is asked for transactions.
    Polling,
}

impl Switch {
    /// All of them.
    pub const ALL: [Switch; 4] = [Switch::Draws, Switch::Payouts, Switch::Notifications, Switch::Polling];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Switch::Draws => "draws",
            Switch::Payouts => "payouts",
            Switch::Notifications => "notifications",
            Switch::Polling => "polling",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Switch> {
        Switch::ALL.into_iter().find(|switch| switch.as_str() == word)
    }
}

/// How a switch was last set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// Whether it halts.
    pub halted: bool,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
}
