//! The personal details of a line, for its owner alone. They come sealed from the read models and are opened
//! here, a page at a time.

use std::error::Error as StdError;

use async_graphql::{Enum, SimpleObject};
use async_trait::async_trait;
use ledger_core::ids::{AccountId, Source, TransactionId};
use ledger_core::keys::{Details, Keyring, Sealed};
use ledger_core::money::Money as Amount;
use ledger_core::transaction::Personal;

use super::scalars::Money;

/// Opens sealed details; the keyring as this crate sees it. Contract: lines whose account's key has been destroyed are
/// `None`; the keys of all accounts are asked for at once; an error says nothing about the details.
#[async_trait]
pub trait OpenDetails: Send + Sync {
    /// The details of these lines, in order.
    async fn open(
        &self,
        lines: &[SealedLine],
    ) -> Result<Vec<Option<ShownDetails>>, Box<dyn StdError + Send + Sync>>;
}

/// A line whose details are to be opened.
pub struct SealedLine {
    /// Whose it is.
    pub account: AccountId,
    /// Who brought it.
    pub source: Source,
    /// The bank's name for it.
    pub transaction_id: TransactionId,
    /// What is to be opened.
    pub sealed: Sealed,
}

#[async_trait]
impl OpenDetails for Keyring {
    async fn open(
        &self,
        lines: &[SealedLine],
    ) -> Result<Vec<Option<ShownDetails>>, Box<dyn StdError + Send + Sync>> {
        let keys = self.opening_keys(lines.iter().map(|line| line.account.clone()).collect()).await?;
        let open = |line: &SealedLine| {
            let Some(key) = keys.opening(&line.account)? else { return Ok(None) };
            let details = key.open_details(&line.source, &line.transaction_id, &line.sealed)?;
            Ok(Some(ShownDetails::from(&details)))
        };
        lines.iter().map(open).collect()
    }
}

/// Of a line's details, what an app may show. No `Debug`: it is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownDetails {
    /// Above zero.
    pub amount: Amount,
    /// Which way the money went.
    pub direction: ledger_core::transaction::Direction,
    /// What the statement says.
    pub description: Option<String>,
    /// Who was paid.
    pub merchant_name: Option<String>,
    /// The merchant's category, four digits.
    pub mcc: Option<String>,
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
