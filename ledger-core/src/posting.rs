//! Postings: what an event means in the books, as a balanced set of entries.
//!
//! The chart of accounts is short. `sponsor` (what the sponsor owes us, an asset),
//! `budget:<campaign>` (funded and not yet given away), `rewards-payable` (issued, not yet paid),
//! `payout-rail` (what the rail has paid for us) and `customer-receivable` (paid although
//! reversed).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::CampaignId;
use crate::money::{Money, MoneyError};

/// Which side of an account an entry stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Left.
    Debit,
    /// Right.
    Credit,
}

/// One line of a posting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The ledger account.
    pub account: String,
    /// The side.
    pub side: Side,
    /// How much.
    pub amount: Money,
}

/// A balanced set of entries in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Posting(Vec<Entry>);

/// Why a set of entries is no posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// Nothing to post.
    #[error("a posting has at least two entries")]
    Empty,
    /// Debits and credits differ.
    #[error("debits and credits differ")]
    Unbalanced,
    /// Amounts that do not add up.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Posting {
    /// Takes entries whose debits equal their credits.
    pub fn new(entries: Vec<Entry>) -> Result<Posting, PostingError> {
        let first = entries.first().ok_or(PostingError::Empty)?;
        let zero = Money::zero(first.amount.currency());
        let (mut debits, mut credits) = (zero, zero);
        for entry in &entries {
            match entry.side {
                Side::Debit => debits = debits.checked_add(entry.amount)?,
                Side::Credit => credits = credits.checked_add(entry.amount)?,
            }
        }
        if debits == credits { Ok(Posting(entries)) } else { Err(PostingError::Unbalanced) }
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// A sponsor funds a campaign.
    pub fn funding(campaign: &CampaignId, amount: Money) -> Posting {
        Posting::transfer("sponsor".into(), budget(campaign), amount)
    }

    /// A won reward becomes a liability.
    pub fn issue(campaign: &CampaignId, amount: Money) -> Posting {
        Posting::transfer(budget(campaign), PAYABLE.into(), amount)
    }

    /// The rail has paid.
    pub fn credit(amount: Money) -> Posting {
        Posting::transfer(PAYABLE.into(), RAIL.into(), amount)
    }

    /// An issued, unpaid reward goes back to the budget.
    pub fn reversal(campaign: &CampaignId, amount: Money) -> Posting {
        Posting::transfer(PAYABLE.into(), budget(campaign), amount)
    }

    /// A reward already paid is reversed: the customer owes it.
    pub fn reversal_after_credit(campaign: &CampaignId, amount: Money) -> Posting {
        Posting::transfer(RECEIVABLE.into(), budget(campaign), amount)
    }

    /// A payment that arrives after the reversal: the customer owes it.
    pub fn receivable(amount: Money) -> Posting {
        Posting::transfer(RECEIVABLE.into(), RAIL.into(), amount)
    }

    fn transfer(debit: String, credit: String, amount: Money) -> Posting {
        Posting(vec![
            Entry { account: debit, side: Side::Debit, amount },
            Entry { account: credit, side: Side::Credit, amount },
        ])
    }
}

/// Issued and not yet paid.
pub const PAYABLE: &str = "rewards-payable";
const RAIL: &str = "payout-rail";
const RECEIVABLE: &str = "customer-receivable";

fn budget(campaign: &CampaignId) -> String {
    format!("budget:{campaign}")
}

/// Such as `debit sponsor GBP 100, credit budget:autumn GBP 100`, in minor units.
impl fmt::Display for Posting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Entry { account, side, amount }) in self.0.iter().enumerate() {
            let (comma, side) = (
                if n == 0 { "" } else { ", " },
                match side {
                    Side::Debit => "debit",
                    Side::Credit => "credit",
                },
            );
            write!(f, "{comma}{side} {account} {} {}", amount.currency().code(), amount.minor())?;
        }
        Ok(())
    }
}

impl TryFrom<Vec<Entry>> for Posting {
    type Error = PostingError;
    fn try_from(entries: Vec<Entry>) -> Result<Self, PostingError> {
        Posting::new(entries)
    }
}

impl From<Posting> for Vec<Entry> {
    fn from(posting: Posting) -> Self {
        posting.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn only_balanced_entries_are_a_posting() {
        let money = |code, minor| Money::new(minor, Currency::from_code(code).unwrap()).unwrap();
        let entry = |side, amount| Entry { account: "a".into(), side, amount };
        let two = |a, b| Posting::new(vec![entry(Side::Debit, a), entry(Side::Credit, b)]);
        assert!(two(money("GBP", 5), money("GBP", 5)).is_ok());
        assert_eq!(two(money("GBP", 5), money("GBP", 4)), Err(PostingError::Unbalanced));
        assert!(matches!(two(money("GBP", 5), money("EUR", 5)), Err(PostingError::Money(_))));
        assert_eq!(Posting::new(vec![]), Err(PostingError::Empty));
    }

    #[test]
    fn an_unbalanced_posting_cannot_be_read() {
        let json = r#"[{"account":"a","side":"debit","amount":{"minor":5,"currency":"GBP"}}]"#;
        assert!(serde_json::from_str::<Posting>(json).is_err());
    }
}
