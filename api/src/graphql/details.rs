//! The personal details of a line, for its owner alone. They come sealed from the read models and are opened
//! here, a page at a time.

use async_graphql::{Enum, SimpleObject};
use ledger_core::keys::Details;
use ledger_core::money::Money as Amount;
use ledger_core::transaction::Personal;

use super::scalars::Money;

/// Of a line's details, what an app may show. No `Debug`: it is personal.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ShownDetails {
    /// Above zero.
    amount: Amount,
    /// Which way the money went.
    direction: ledger_core::transaction::Direction,
    /// What the statement says.
    description: Option<String>,
    /// Who was paid.
    merchant_name: Option<String>,
    /// The merchant's category, four digits.
    mcc: Option<String>,
}

impl From<&Details> for ShownDetails {
    fn from(details: &Details) -> ShownDetails {
        let text = |text: &Personal<String>| text.expose().clone();
        let merchant = details.merchant.as_ref();
        ShownDetails {
            amount: *details.amount.expose(),
            direction: details.direction,
            description: details.description.as_ref().map(text),
            merchant_name: merchant.and_then(|m| m.name.as_ref()).map(text),
            mcc: merchant.and_then(|m| m.mcc.as_ref()).map(|mcc| mcc.expose().to_string()),
        }
    }
}

/// Which way money moved, seen from the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ledger_core::transaction::Direction")]
pub(super) enum Direction {
    /// The customer paid.
    Debit,
    /// The customer received.
    Credit,
}

/// What the bank statement says.
#[derive(Clone, SimpleObject)]
pub(super) struct TransactionDetails {
    /// Above zero.
    amount: Money,
    /// Which way the money went.
    direction: Direction,
    /// The statement's text.
    description: Option<String>,
    /// Who was paid.
    merchant_name: Option<String>,
    /// The merchant's category (ISO 18245), four digits.
    mcc: Option<String>,
}

impl From<ShownDetails> for TransactionDetails {
    fn from(shown: ShownDetails) -> TransactionDetails {
        TransactionDetails {
            amount: shown.amount.into(),
            direction: shown.direction.into(),
            description: shown.description,
            merchant_name: shown.merchant_name,
            mcc: shown.mcc,
        }
    }
}
