//! Transactions and how they were decided, explained in sentences.

use std::collections::HashSet;
use std::sync::Arc;

use async_graphql::{Context, Enum, Error, ID, Object, SimpleObject};
use ledger_core::account::event::{self, Considered, DeferReason};
use ledger_core::campaign::terms::RuleCode;
use ledger_core::ids::{Source, TransactionId};
use projections::transactions::{self, TransactionRow, TransactionStatus};

use super::access::{caller, loaders, read};
use super::details::TransactionDetails;
use super::draw::Draw;
use super::node;
use super::scalars::DateTime;
use crate::auth::Scope;

/// The line of this name, if the caller may see it.
pub(super) async fn find(
    ctx: &Context<'_>,
    source: Source,
    id: TransactionId,
) -> Result<Option<Arc<TransactionRow>>, Error> {
    let row = read(ctx, move |conn| transactions::transaction(conn, &source, &id)).await?;
    Ok(row.filter(|row| caller(ctx).may_see(&row.account_id)).map(Arc::new))
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

    /// The bank's booking time.
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
    /// Waits for a person.
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
    async fn explanation(&self, ctx: &Context<'_>) -> Vec<Reason> {
        explain(&self.row, self.outcome, caller(ctx).has(Scope::AuditRead))
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

fn reason(code: &str, message: &str, detail: Option<String>) -> Reason {
    Reason { code: code.into(), message: message.into(), detail }
}

fn explain(row: &TransactionRow, outcome: Outcome, staff: bool) -> Vec<Reason> {
    let detail = |text: &str| staff.then(|| text.to_owned());
    let mut reasons = match outcome {
        Outcome::Won => {
            vec![reason("won", "This purchase won.", detail("r fell into a tier that was not masked"))]
        }
        Outcome::Lost => vec![reason(
            "lost",
            "This purchase took part in the draw and did not win.",
            detail("r fell into no tier, or into a masked one"),
        )],
        Outcome::Declined => declined(&row.considered, staff),
        Outcome::Deferred | Outcome::Held => vec![waiting(row.defer_reason, staff)],
    };
    if row.status == TransactionStatus::Removed {
        reasons.push(reason(
            "removed",
            "Your bank has taken this transaction back.",
            detail("the source reported the line as removed"),
        ));
    }
    reasons
}

/// A customer hears each reason once; staff hear which campaign, under which version, gave it.
fn declined(considered: &[Considered], staff: bool) -> Vec<Reason> {
    let mut told = HashSet::new();
    let mut reasons = Vec::new();
    for campaign in considered {
        for rule in &campaign.failed {
            if staff || told.insert(rule.clone()) {
                reasons.push(rule_reason(rule.clone(), campaign, staff));
            }
        }
    }
    if considered.is_empty() {
        let detail = staff.then(|| "no campaign had started when the line was recorded".into());
        reasons.push(reason("no_campaign", "No campaign was running at the time.", detail));
    }
    reasons
}

fn rule_reason(rule: RuleCode, campaign: &Considered, staff: bool) -> Reason {
    let detail = staff.then(|| {
        let Considered { campaign_id, campaign_version, .. } = campaign;
        format!("{campaign_id} version {campaign_version}: {}", rule.staff())
    });
    reason(rule.as_str(), rule.customer(), detail)
}

fn waiting(why: Option<DeferReason>, staff: bool) -> Reason {
    let (code, message, detail) = match why {
        Some(DeferReason::EpochNotOpen) => (
            "epoch_not_open",
            "This purchase takes part as soon as the draw of its day opens.",
            "booked ahead: the epoch of the booking day has not opened",
        ),
        Some(DeferReason::DrawsHalted) => (
            "draws_halted",
            "Draws are paused; this purchase takes part when they go on.",
            "draws were switched off when the line was recorded",
        ),
        Some(DeferReason::Held) | None => (
            "held",
            "We are having a closer look at this transaction.",
            "booked again after it was removed: needs a person's decision",
        ),
    };
    reason(code, message, staff.then(|| detail.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn considered(id: &str, failed: &[RuleCode]) -> Considered {
        Considered { campaign_id: id.parse().unwrap(), campaign_version: 2, failed: failed.to_vec() }
    }

    #[test]
    fn a_customer_hears_each_reason_once_and_no_detail() {
        let both = [
            considered("a", &[RuleCode::Refund, RuleCode::NoMerchant]),
            considered("b", &[RuleCode::NoMerchant]),
        ];
        let reasons = declined(&both, false);
        let codes: Vec<_> = reasons.iter().map(|r| r.code.as_str()).collect();
        assert_eq!(codes, ["refund", "no_merchant"]);
        assert_eq!(reasons[0].message, RuleCode::Refund.customer());
        assert!(reasons.iter().all(|r| r.detail.is_none()));
    }

    #[test]
    fn staff_hear_which_campaign_gave_which_reason() {
        let both = [considered("a", &[RuleCode::NoMerchant]), considered("b", &[RuleCode::NoMerchant])];
        let details: Vec<_> = declined(&both, true).into_iter().filter_map(|r| r.detail).collect();
        assert_eq!(
            details,
            ["a version 2: the line has no merchant", "b version 2: the line has no merchant"]
        );
    }

    #[test]
    fn a_decline_without_any_campaign_is_explained_too() {
        assert_eq!(declined(&[], false)[0].code, "no_campaign");
    }
}
