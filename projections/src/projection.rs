//! The read models by name.

use std::fmt;

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
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No read model has this name.
#[derive(Debug, thiserror::Error)]
#[error("no projection is called {0:?}; there are {list} and all", list = Projection::names())]
pub struct UnknownProjection(String);

impl std::str::FromStr for Projection {
    type Err = UnknownProjection;
    fn from_str(name: &str) -> Result<Self, UnknownProjection> {
        let found = Projection::ALL.into_iter().find(|p| p.as_str() == name);
        found.ok_or_else(|| UnknownProjection(name.into()))
    }
}
