//! Reward accounts: balances, rewards, transactions.

use async_graphql::{Context, Error, ID, Object, SimpleObject};
use ledger_core::ids::AccountId;
use ledger_core::log::Position;
use projections::account::{self, AccountRow, BalanceRow};
use projections::rewards::RewardCursor;
use projections::{Connection, ProjectionError, rewards, transactions};

use super::access::{self, no_own_account, read, read_since};
use super::node;
use super::page::{self, PageOf, connection};
use super::reward::{Reward, RewardStatus};
use super::scalars::Money;
use super::transaction::Transaction;

/// Queries about accounts.
#[derive(Default)]
pub(super) struct AccountQuery;

#[Object]
impl AccountQuery {
    /// A reward account; the caller's own if `accountId` is omitted. Null if there is none, or if it is someone
    /// else's. With `minPosition` the answer has seen at least that position.
    async fn reward_account(
        &self,
        ctx: &Context<'_>,
        account_id: Option<ID>,
        min_position: Option<String>,
    ) -> Result<Option<RewardAccount>, Error> {
        let caller = access::reader(ctx)?;
        let asked = match account_id {
            // What is no id names no account.
            Some(id) => AccountId::parse(&id).ok(),
            None => Some(caller.own_account().ok_or_else(|| no_own_account(caller))?.clone()),
        };
        let since = min_position.map(|token| access::position("minPosition", &token)).transpose()?;
        let seen = asked.filter(|id| caller.may_see(id));
        let find = move |conn: &Connection| seen.map_or(Ok(None), |id| RewardAccount::find(conn, &id));
        match since {
            Some(position) => read_since(ctx, position, find).await,
            None => read(ctx, find).await,
        }
    }
}

/// The account of this id. The caller must be allowed to see it.
pub(super) async fn find(ctx: &Context<'_>, id: AccountId) -> Result<Option<RewardAccount>, Error> {
    read(ctx, move |conn| RewardAccount::find(conn, &id)).await
}

/// A customer's account with us, under a pseudonym.
pub(super) struct RewardAccount {
    row: AccountRow,
    balances: Vec<BalanceRow>,
    position: Position,
}

impl RewardAccount {
    fn find(conn: &Connection, id: &AccountId) -> Result<Option<RewardAccount>, ProjectionError> {
        let Some(row) = account::account(conn, id)? else {
            return Ok(None);
        };
        let balances = account::balances(conn, id)?;
        let position = projections::position(conn)?;
        Ok(Some(RewardAccount { row, balances, position }))
    }
}

#[Object]
impl RewardAccount {
    /// Names it among all nodes.
    pub(super) async fn id(&self) -> ID {
        node::account_id(&self.row.account_id)
    }

    /// The pseudonym.
    async fn account_id(&self) -> ID {
        self.row.account_id.as_str().into()
    }

    /// Up to where the balances have seen the log.
    async fn position(&self) -> String {
        self.position.to_string()
    }

    /// What was won and paid, per currency.
    async fn balances(&self) -> Vec<Balance> {
        self.balances.iter().map(Balance::from).collect()
    }

    /// Rewards, newest first.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn rewards(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        status: Option<RewardStatus>,
    ) -> Result<PageOf<Reward>, Error> {
        let (first, after) = (page::first(first)?, page::after::<RewardCursor>(after.as_deref())?);
        let (account, status) = (self.row.account_id.clone(), status.map(Into::into));
        let page = read(ctx, move |conn| rewards::rewards(conn, &account, status, after, first)).await?;
        Ok(connection(page, after.is_some(), |row| row.cursor().to_string(), Reward::new))
    }

    /// Transactions, newest first in the order we heard of them.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn transactions(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<PageOf<Transaction>, Error> {
        let (first, after) = (page::first(first)?, page::after::<Position>(after.as_deref())?);
        let account = self.row.account_id.clone();
        let page = read(ctx, move |conn| transactions::transactions(conn, &account, after, first)).await?;
        Ok(connection(page, after.is_some(), |row| row.position.to_string(), Transaction::new))
    }
}

/// Running totals in one currency; won, issued, credited and reversed only grow.
#[derive(SimpleObject)]
pub(super) struct Balance {
    /// ISO 4217.
    currency: String,
    /// Decided.
    won: Money,
    /// Booked as a liability.
    issued: Money,
    /// Paid.
    credited: Money,
    /// Taken back, paid or not.
    reversed: Money,
    /// Issued less credited less reversed. Below zero is what the customer owes: paid, and taken back.
    outstanding: Money,
}

impl From<&BalanceRow> for Balance {
    fn from(row: &BalanceRow) -> Balance {
        Balance {
            currency: row.currency.code().into(),
            won: Money::signed(row.won_minor, row.currency),
            issued: Money::signed(row.issued_minor, row.currency),
            credited: Money::signed(row.credited_minor, row.currency),
            reversed: Money::signed(row.reversed_minor, row.currency),
            outstanding: Money::signed(row.outstanding_minor(), row.currency),
        }
    }
}
