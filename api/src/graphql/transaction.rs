//! Transactions and how they were decided, explained in sentences.

use std::sync::Arc;

use async_graphql::{Context, Enum, Error, ID, Object, SimpleObject};
use ledger_core::account::event;
use ledger_core::account::explain::{self, Recorded, Reference};
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::PrizeTable;
use ledger_core::engine::reference;
use ledger_core::ids::{Source, TransactionId};
use projections::Connection;
use projections::transactions::{self, TransactionRow, TransactionStatus};

use super::access::{self, caller, loaders, read, state};
use super::budget::Budget;
use super::details::TransactionDetails;
use super::draw::Draw;
use super::error::fault;
use super::load::{TableName, TermsName};
use super::node;
use super::scalars::DateTime;
use crate::auth::Scope;

/// The line of this name, if the caller may see it.
pub(super) async fn find(
    ctx: &Context<'_>,
    source: Source,
    id: TransactionId,
) -> Result<Option<Arc<TransactionRow>>, Error> {
    let Some(owner) = access::owner(ctx) else { return Ok(None) };
    let find = move |conn: &Connection| transactions::transaction(conn, &source, &id, owner.as_ref());
    Ok(read(ctx, find).await?.map(Arc::new))
}

/// One line of a bank statement.
pub(super) struct Transaction(Arc<TransactionRow>);

impl Transaction {
    pub(super) fn new(row: TransactionRow) -> Transaction {
        Transaction(Arc::new(row))
    }

    pub(super) fn shared(row: Arc<TransactionRow>) -> Transaction {
        Transaction(row)
    }
}

#[Object]
impl Transaction {
    /// Names it among all nodes.
    pub(super) async fn id(&self) -> ID {
        node::transaction_id(&self.0.source, &self.0.transaction_id)
    }

    /// Who fed it.
    async fn source(&self) -> ID {
        self.0.source.as_str().into()
    }

    /// Its id within its source.
    async fn transaction_id(&self) -> ID {
        self.0.transaction_id.as_str().into()
    }

    /// The bank's booking time. Where the bank gave a date alone: the midnight UTC at which it begins.
    async fn booked_at(&self) -> DateTime {
        self.0.booked_at.into()
    }

    /// When we recorded it as it stands.
    async fn recorded_at(&self) -> DateTime {
        self.0.recorded_at.into()
    }

    /// What the statement says. Null once erased, and for everyone but the owner.
    async fn details(&self, ctx: &Context<'_>) -> Result<Option<TransactionDetails>, Error> {
        let owned = caller(ctx).own_account() == Some(&self.0.account_id);
        if !owned || self.0.details.is_none() {
            return Ok(None);
        }
        let opened = loaders(ctx).details(&self.0).await?;
        Ok(opened.map(Into::into))
    }

    /// How it was decided. Null while it is pending, and if it was removed before it was decided.
    async fn decision(&self) -> Option<Decision> {
        let outcome = outcome(&self.0)?;
        Some(Decision { row: Arc::clone(&self.0), outcome })
    }
}

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum Outcome {
    /// Drawn, and won.
    Won,
    /// Drawn, and won nothing.
    Lost,
    /// Not drawn; the explanation has every rule that failed.
    Declined,
    /// Will be decided later.
    Deferred,
    /// Waits for people.
    Held,
}

fn outcome(row: &TransactionRow) -> Option<Outcome> {
    match row.outcome {
        Some(event::Outcome::Won) => Some(Outcome::Won),
        Some(event::Outcome::Lost) => Some(Outcome::Lost),
        Some(event::Outcome::Declined) => Some(Outcome::Declined),
        None => match row.status {
            TransactionStatus::Deferred => Some(Outcome::Deferred),
            TransactionStatus::Held => Some(Outcome::Held),
            TransactionStatus::Pending | TransactionStatus::Booked | TransactionStatus::Removed => None,
        },
    }
}

/// The outcome of evaluating a booked transaction.
pub(super) struct Decision {
    row: Arc<TransactionRow>,
    outcome: Outcome,
}

#[Object]
impl Decision {
    /// How.
    async fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Why, in sentences.
    async fn explanation(&self, ctx: &Context<'_>) -> Result<Vec<Reason>, Error> {
        explain(ctx, &self.row).await
    }

    /// Every draw it entered.
    async fn draws(&self) -> Vec<Draw> {
        self.row.draws.iter().cloned().map(Draw::new).collect()
    }
}

/// One reason.
#[derive(Debug, PartialEq, Eq, SimpleObject)]
pub(super) struct Reason {
    /// A word for machines.
    code: String,
    /// A sentence for the customer.
    message: String,
    /// A sentence for staff; needs `audit:read`.
    detail: Option<String>,
}

/// The sentences, looked up in the version of the terms and the table that the decision records.
async fn explain(ctx: &Context<'_>, row: &TransactionRow) -> Result<Vec<Reason>, Error> {
    let recorded = Recorded {
        outcome: row.outcome,
        waits_for: row.defer_reason,
        removed: row.status == TransactionStatus::Removed,
        verdict: row.verdict,
        considered: row.considered.as_deref().unwrap_or_default(),
        draws: &row.draws,
    };
    // One at a time holds its copies of the terms.
    let _turn = ctx.data_unchecked::<Arc<Budget>>().turn().await;
    let mut known = known(ctx, row).await?;
    reference::complete(&*state(ctx).log, &recorded, &mut known).await.map_err(|error| fault(&error))?;
    let reasons = explain::explain(&recorded, &known);
    Ok(present(reasons, caller(ctx).has(Scope::AuditRead)))
}

/// What the read models know: every version of the terms, and every table. The log is read only for what they lack: a
/// page of explanations must not cost a campaign's history for each of its lines.
async fn known(ctx: &Context<'_>, row: &TransactionRow) -> Result<Reference, Error> {
    let mut known = Reference::default();
    let considered = row.considered.iter().flatten().map(|c| (&c.campaign_id, c.campaign_version));
    let drawn = row.draws.iter().map(|d| (&d.campaign_id, d.campaign_version));
    let terms = considered.chain(drawn).map(|(id, version)| TermsName(id.clone(), version));
    let tables = row.draws.iter().map(|draw| TableName(draw.campaign_id.clone(), draw.table_hash));
    for (TermsName(id, version), terms) in loaders(ctx).rows.load_many(terms).await? {
        known.terms.insert((id, version), Terms::clone(&terms));
    }
    for (TableName(id, hash), table) in loaders(ctx).rows.load_many(tables).await? {
        known.tables.insert((id, hash), PrizeTable::clone(&table));
    }
    Ok(known)
}

/// A customer hears each sentence once, and no detail; staff hear which campaign, under which version, gave it.
fn present(reasons: Vec<explain::Reason>, staff: bool) -> Vec<Reason> {
    let reasons = if staff { reasons } else { explain::for_customer(reasons) };
    let reason = |explain::Reason { code, customer, staff: detail }| Reason {
        code,
        message: customer,
        detail: staff.then_some(detail),
    };
    reasons.into_iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_for_staff_and_a_customer_hears_each_sentence_once() {
        let said = |staff: &str| explain::Reason {
            code: "refund".into(),
            customer: "Refunds do not take part.".into(),
            staff: staff.into(),
        };
        let both = || vec![said("a version 1: refund_of is set"), said("b version 1: refund_of is set")];
        assert_eq!(present(both(), true)[1].detail.as_deref(), Some("b version 1: refund_of is set"));
        let customer = present(both(), false);
        assert_eq!((customer.len(), customer[0].detail.as_deref()), (1, None));
    }
}
