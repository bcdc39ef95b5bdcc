//! The read models by name.

use std::fmt;

use ledger_core::log::Position;

/// One read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Accounts and their balances.
    Account,
    /// Rewards from won to paid.
    Rewards,
    /// Statement lines and how they were decided.
    Transactions,
    /// Campaigns, epochs and prize tables.
    Campaigns,
    /// Every entry of every posting.
    TrialBalance,
}

/// An event that contradicts those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("projection {projection} cannot apply the event at {position}: {what}")]
pub struct Contradiction {
    /// Which read model noticed.
    pub projection: Projection,
    /// The event.
    pub position: Position,
    /// What is wrong, in words.
    pub what: &'static str,
}

/// No read model has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no projection is called {0:?}; there are {list} and all", list = Projection::names())]
pub struct UnknownProjection(String);

impl Projection {
    /// All of them.
    pub const ALL: [Projection; 5] = [
        Projection::Account,
        Projection::Rewards,
        Projection::Transactions,
        Projection::Campaigns,
        Projection::TrialBalance,
    ];

    /// Its name in commands, metrics and cursors.
    pub fn as_str(self) -> &'static str {
        match self {
            Projection::Account => "account",
            Projection::Rewards => "rewards",
            Projection::Transactions => "transactions",
            Projection::Campaigns => "campaigns",
            Projection::TrialBalance => "trial_balance",
        }
    }

    /// All names, for messages.
    pub fn names() -> String {
        Projection::ALL.map(Projection::as_str).join(", ")
    }

    pub(crate) fn contradiction(self, position: Position, what: &'static str) -> Contradiction {
        Contradiction { projection: self, position, what }
    }

    /// A running total; one that does not fit 63 bits is no amount of money.
    pub(crate) fn add(self, total: &mut i64, more: i64, position: Position) -> Result<(), Contradiction> {
        let sum = total.checked_add(more);
        *total = sum.ok_or_else(|| self.contradiction(position, "a sum does not fit"))?;
        Ok(())
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Projection {
    type Err = UnknownProjection;
    fn from_str(name: &str) -> Result<Self, UnknownProjection> {
        let found = Projection::ALL.into_iter().find(|p| p.as_str() == name);
        found.ok_or_else(|| UnknownProjection(name.into()))
    }
}
