//! What the simulated bank is like: its size, its name, what kinds of lines come.

use ledger_core::ids::IdError;

use super::CategoriesError;

/// The longest name of a run, leaving room for a line's number.
pub(super) const RUN_CHARACTERS_MAX: usize = 64;

/// What the bank is like.
#[derive(Clone, Debug)]
pub struct GeneratorConfig {
    /// Fixes customers, merchants and purchases.
    pub seed: u64,
    /// How many customers, at least one.
    pub customers: u32,
    /// The feed's name.
    pub source: String,
    /// The run's name, different in every run over one data folder.
    pub run: String,
    /// What kinds of lines come.
    pub mix: Mix,
}

/// How many lines in a million are something else than a purchase booked just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// One of [`Kind::Repeat`](super::Kind::Repeat).
    pub repeat_ppm: u32,
    /// Pending, each of which is booked or removed later.
    pub pending_ppm: u32,
    /// Booked hours or days ago.
    pub out_of_order_ppm: u32,
    /// Wrong in one of many ways.
    pub malformed_ppm: u32,
    /// Money back for an earlier purchase.
    pub refund_ppm: u32,
    /// Wages and other money in.
    pub credit_ppm: u32,
    /// A booked line taken back by the bank.
    pub removed_ppm: u32,
}

impl Mix {
    /// Nothing but purchases.
    pub fn plain() -> Mix {
        Mix {
            repeat_ppm: 0,
            pending_ppm: 0,
            out_of_order_ppm: 0,
            malformed_ppm: 0,
            refund_ppm: 0,
            credit_ppm: 0,
            removed_ppm: 0,
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Mix {
            repeat_ppm: 50_000,
            pending_ppm: 80_000,
            out_of_order_ppm: 50_000,
            malformed_ppm: 5_000,
            refund_ppm: 5_000,
            credit_ppm: 10_000,
            removed_ppm: 2_000,
        }
    }
}

/// Why there is no such bank.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// Nobody to buy anything.
    #[error("a bank needs at least one customer")]
    NoCustomers,
    /// The feed's name is no id.
    #[error("the feed's name is no id")]
    Source(#[source] IdError),
    /// The run's name is no id.
    #[error("the run's name is no id")]
    Run(#[source] IdError),
    /// The run's name leaves no room in ids.
    #[error("the run's name must be at most {RUN_CHARACTERS_MAX} characters")]
    RunTooLong,
    /// The list of categories.
    #[error("loading the merchant categories")]
    Categories(#[from] CategoriesError),
}
