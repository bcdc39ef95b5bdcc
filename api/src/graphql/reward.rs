//! Rewards: what was won, and how far it is on its way to the customer.

use async_graphql::{Context, Enum, Error, ID, Object};
use ledger_core::ids::{EntryId, PayoutReference};
use projections::Connection;
use projections::rewards::{self, RewardRow};

use super::access::{self, loaders, read};
use super::campaign::{self, Campaign};
use super::error::present;
use super::load::LineName;
use super::node;
use super::scalars::{DateTime, Money};
use super::transaction::Transaction;

/// Where a reward stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::rewards::RewardStatus")]
pub(super) enum RewardStatus {
    /// Decided.
    Won,
    /// Booked as a liability.
    Issued,
    /// Paid.
    Credited,
    /// Taken back.
    Reversed,
    /// The payout rail refused the last attempt.
    CreditFailed,
}

/// The reward of this draw, if the caller may see it.
pub(super) async fn find(ctx: &Context<'_>, entry: EntryId) -> Result<Option<Reward>, Error> {
    let Some(owner) = access::owner(ctx) else { return Ok(None) };
    let find = move |conn: &Connection| rewards::reward(conn, &entry, owner.as_ref());
    Ok(read(ctx, find).await?.map(Reward::new))
}

/// An amount won.
pub(super) struct Reward(Box<RewardRow>);

impl Reward {
    pub(super) fn new(row: RewardRow) -> Reward {
        Reward(Box::new(row))
    }
}

#[Object]
impl Reward {
    /// Names it among all nodes.
    pub(super) async fn id(&self) -> ID {
        node::reward_id(&self.0.entry_id)
    }

    /// What was won.
    async fn amount(&self) -> Money {
        Money::signed(self.0.amount_minor, self.0.currency)
    }

    /// Where it stands.
    async fn status(&self) -> RewardStatus {
        self.0.status.into()
    }

    /// The campaign that pays it.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        campaign::of(ctx, &self.0.campaign_id).await
    }

    /// The transaction that won it.
    async fn transaction(&self, ctx: &Context<'_>) -> Result<Transaction, Error> {
        let name = LineName(self.0.source.clone(), self.0.transaction_id.clone());
        let row = present(loaders(ctx).rows.load_one(name).await?, "transaction of a reward")?;
        Ok(Transaction::shared(row))
    }

    /// When it was decided.
    async fn won_at(&self) -> DateTime {
        self.0.won_at.into()
    }

    /// When it was booked as a liability.
    async fn issued_at(&self) -> Option<DateTime> {
        self.0.issued_at.map(Into::into)
    }

    /// When we learnt that it was paid.
    async fn credited_at(&self) -> Option<DateTime> {
        self.0.credited_at.map(Into::into)
    }

    /// What the payout rail calls the payment.
    async fn payout_reference(&self) -> Option<&str> {
        self.0.payout_reference.as_ref().map(PayoutReference::as_str)
    }
}
