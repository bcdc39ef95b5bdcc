//! Scopes: what a token allows. A word we do not know allows nothing.

use std::collections::BTreeSet;
use std::fmt;

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The bearer's own account.
    RewardsRead,
    /// To bring transactions of the sources in the token.
    TransactionsWrite,
    /// All accounts, pseudonymous.
    AuditRead,
    /// To draft, approve, start and end campaigns.
    CampaignsWrite,
    /// To erase a customer's personal details.
    PrivacyErase,
    /// Switches and holds.
    Ops,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 6] = [
        Scope::RewardsRead,
        Scope::TransactionsWrite,
        Scope::AuditRead,
        Scope::CampaignsWrite,
        Scope::PrivacyErase,
        Scope::Ops,
    ];

    /// The word in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::RewardsRead => "rewards:read",
            Scope::TransactionsWrite => "transactions:write",
            Scope::AuditRead => "audit:read",
            Scope::CampaignsWrite => "campaigns:write",
            Scope::PrivacyErase => "privacy:erase",
            Scope::Ops => "ops",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scopes of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Unknown words are passed over, so that such a token just has less.
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Scopes {
        let known = |word: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
        words.into_iter().filter_map(known).collect()
    }

    /// Whether this one is among them.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Scopes(scopes.into_iter().collect())
    }
}
