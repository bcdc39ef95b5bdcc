//! The books: what every ledger account comes to. Auditors only.

use async_graphql::{Context, Error, Object, SimpleObject};
use projections::Connection;
use projections::trial_balance::{self, LedgerAccountRow};

use super::access::{self, read, read_since};
use super::scalars::Money;

/// Queries about the books.
#[derive(Default)]
pub(super) struct TrialBalanceQuery;

#[Object]
impl TrialBalanceQuery {
    /// The books as of a position, or as of now. Needs `audit:read`.
    async fn trial_balance(&self, ctx: &Context<'_>, as_of: Option<String>) -> Result<TrialBalance, Error> {
        access::auditor(ctx)?;
        let as_of = as_of.map(|token| access::position("asOf", &token)).transpose()?;
        let books = move |conn: &Connection| trial_balance::trial_balance(conn, as_of);
        let books = match as_of {
            Some(position) => read_since(ctx, position, books).await?,
            None => read(ctx, books).await?,
        };
        Ok(TrialBalance::from(&books))
    }
}

/// Every ledger account, and whether debits equal credits.
#[derive(SimpleObject)]
pub(super) struct TrialBalance {
    /// The last event included.
    position: String,
    /// Debits less credits: zero in every currency, or of the first currency in which it is not.
    difference: Money,
    /// By account and currency.
    accounts: Vec<LedgerAccountBalance>,
}

/// One ledger account in one currency.
#[derive(SimpleObject)]
pub(super) struct LedgerAccountBalance {
    /// Such as `rewards-payable` or `budget:<campaign>`.
    account: String,
    /// ISO 4217.
    currency: String,
    /// All debits.
    debits: Money,
    /// All credits.
    credits: Money,
    /// Debits less credits.
    balance: Money,
}

impl From<&trial_balance::TrialBalance> for TrialBalance {
    fn from(books: &trial_balance::TrialBalance) -> TrialBalance {
        let differences = &books.differences;
        let telling = differences.iter().find(|(_, difference)| *difference != 0).or(differences.first());
        TrialBalance {
            position: books.position.to_string(),
            difference: telling
                .map_or_else(Money::nothing, |(currency, minor)| Money::signed(*minor, *currency)),
            accounts: books.accounts.iter().map(LedgerAccountBalance::from).collect(),
        }
    }
}

impl From<&LedgerAccountRow> for LedgerAccountBalance {
    fn from(row: &LedgerAccountRow) -> LedgerAccountBalance {
        LedgerAccountBalance {
            account: row.ledger_account.clone(),
            currency: row.currency.code().into(),
            debits: Money::signed(row.debits_minor, row.currency),
            credits: Money::signed(row.credits_minor, row.currency),
            balance: Money::signed(row.balance_minor(), row.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::log::Position;
    use ledger_core::money::Currency;

    use super::*;

    fn difference(differences: &[(&str, i128)]) -> Money {
        let differences =
            differences.iter().map(|(code, minor)| (Currency::from_code(code).unwrap(), *minor));
        let books = trial_balance::TrialBalance {
            position: Position(1),
            accounts: vec![],
            differences: differences.collect(),
        };
        TrialBalance::from(&books).difference
    }

    #[test]
    fn a_difference_in_any_currency_shows() {
        let gbp = Currency::from_code("GBP").unwrap();
        assert_eq!(difference(&[]), Money::nothing());
        assert_eq!(
            difference(&[("EUR", 0), ("GBP", 0)]),
            Money::signed(0, Currency::from_code("EUR").unwrap())
        );
        assert_eq!(difference(&[("EUR", 0), ("GBP", -7)]), Money::signed(-7, gbp));
    }
}
