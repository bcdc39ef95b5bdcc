//! Rewards, one row per winning draw: won, issued, credited or reversed.
//!
//! A reward is named by its draw's `entry_id` and has its place where its decision stands in the
//! log.

use std::fmt;

use ledger_core::account::AccountEvent;
use ledger_core::ids::{AccountId, CampaignId, EntryId, PayoutReference, Source, TransactionId};
use ledger_core::log::Position;
use ledger_core::money::Currency;
use ledger_core::time::Timestamp;

use crate::column::{Column as _, words};
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::fold::{Event, Fold, Record};
use crate::page::{self, Page};
use crate::projection::Projection;
use crate::table::{Rows, TableRow as _, TableRows, table};

const THIS: Projection = Projection::Rewards;

words! {
    /// Where a reward stands.
    RewardStatus {
        /// Decided.
        Won = "won",
        /// Booked as a liability; a payment may be under way.
        Issued = "issued",
        /// Paid.
        Credited = "credited",
        /// Taken back. Final: a payment that arrives later is recorded beside it.
        Reversed = "reversed",
        /// The rail refused the last attempt.
        CreditFailed = "credit_failed",
    }
}

/// A reward's place: the decision that won it and which of its draws. Later is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RewardCursor {
    /// Of the decision.
    pub position: Position,
    /// Of the draw in the decision, from 0.
    pub ordinal: u32,
}

impl fmt::Display for RewardCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.ordinal)
    }
}

impl std::str::FromStr for RewardCursor {
    type Err = &'static str;
    fn from_str(token: &str) -> Result<Self, Self::Err> {
        let parse = |(position, ordinal): (&str, &str)| {
            Some(RewardCursor { position: position.parse().ok()?, ordinal: ordinal.parse().ok()? })
        };
        token.rsplit_once('.').and_then(parse).ok_or("not a cursor of rewards")
    }
}

table! {
    /// One reward, named by the draw that won it.
    pub RewardRow in "rewards", key 2, by (entry_id: EntryId) {
        /// Of the decision that won it.
        position: Position,
        /// Of the draw in the decision, from 0.
        ordinal: u32,
        /// The draw that won it.
        entry_id: EntryId,
        /// Who won.
        account_id: AccountId,
        /// The campaign that pays.
        campaign_id: CampaignId,
        /// Who fed the transaction.
        source: Source,
        /// The transaction, as it was first booked.
        transaction_id: TransactionId,
        /// What was won.
        amount_minor: i64,
        /// Of the amount.
        currency: Currency,
        /// Where it stands.
        status: RewardStatus,
        /// When the decision was recorded.
        won_at: Timestamp,
        /// When it became a liability.
        issued_at: Option<Timestamp>,
        /// When the customer was told.
        notified_at: Option<Timestamp>,
        /// The last attempt to pay it, from 1; 0 before the first.
        attempt: u32,
        /// When we learnt that it was paid.
        credited_at: Option<Timestamp>,
        /// What the rail calls the payment.
        payout_reference: Option<PayoutReference>,
        /// When the rail last refused it.
        failed_at: Option<Timestamp>,
        /// The rail's word for the last refusal.
        failure: Option<String>,
        /// When it was taken back.
        reversed_at: Option<Timestamp>,
        /// Why it was taken back.
        reversal_reason: Option<String>,
    }
}

impl RewardRow {
    /// Its place.
    pub fn cursor(&self) -> RewardCursor {
        RewardCursor { position: self.position, ordinal: self.ordinal }
    }
}

/// The reward of this draw; with an owner only if it is his, as
/// [`crate::transactions::transaction`] has it.
pub fn reward(
    conn: &Connection,
    entry: &EntryId,
    owner: Option<&AccountId>,
) -> Result<Option<RewardRow>, ProjectionError> {
    let rest = "WHERE entry_id = $1 AND account_id = coalesce($2, account_id)";
    RewardRow::find(conn, rest, &values![entry, owner.cloned()])
}

/// An account's rewards, newest first: those older than `after`, those of one status where it is
/// given.
pub fn rewards(
    conn: &Connection,
    account: &AccountId,
    status: Option<RewardStatus>,
    after: Option<RewardCursor>,
    first: usize,
) -> Result<Page<RewardRow>, ProjectionError> {
    let (position, ordinal) = (page::before(after.map(|c| c.position)), after.map_or(0, |c| c.ordinal));
    let rest = "WHERE account_id = $1 AND (position, ordinal) < ($2, $3) AND status = coalesce($4, status)
                ORDER BY position DESC, ordinal DESC LIMIT $5";
    let rows =
        RewardRow::select(conn, rest, &values![account, position, ordinal, status, page::limit(first)])?;
    Ok(Page::of(rows, first))
}

/// The rewards of a page.
#[derive(Default)]
pub(crate) struct Rewards(Rows<RewardRow>);

impl Fold for Rewards {
    fn tables(&mut self) -> Vec<&mut dyn TableRows> {
        vec![&mut self.0]
    }

    fn name(&mut self, record: &Record) {
        let Event::Account(_, event) = &record.event else { return };
        match event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                let won = draws.iter().filter(|draw| draw.amount.is_some());
                won.for_each(|draw| self.0.name(draw.entry_id));
            }
            AccountEvent::RewardIssued { entry_id, .. }
            | AccountEvent::CustomerNotified { entry_id, .. }
            | AccountEvent::CreditRequested { entry_id, .. }
            | AccountEvent::RewardCredited { entry_id, .. }
            | AccountEvent::CreditFailed { entry_id, .. }
            | AccountEvent::RewardReversed { entry_id, .. } => self.0.name(*entry_id),
            _ => {}
        }
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        // No event of another stream is about one reward.
        let Event::Account(account, event) = &record.event else { return Ok(()) };
        match event {
            AccountEvent::TransactionEvaluated { line, draws, .. } => {
                for (ordinal, draw) in (0..).zip(draws) {
                    if let Some(amount) = draw.amount {
                        let reward = RewardRow {
                            position: record.position,
                            ordinal,
                            entry_id: draw.entry_id,
                            account_id: account.clone(),
                            campaign_id: draw.campaign_id.clone(),
                            source: line.source.clone(),
                            transaction_id: line.transaction_id.clone(),
                            amount_minor: amount.minor(),
                            currency: amount.currency(),
                            status: RewardStatus::Won,
                            won_at: record.recorded_at,
                            issued_at: None,
                            notified_at: None,
                            attempt: 0,
                            credited_at: None,
                            payout_reference: None,
                            failed_at: None,
                            failure: None,
                            reversed_at: None,
                            reversal_reason: None,
                        };
                        if self.0.slot(&draw.entry_id)?.replace(reward).is_some() {
                            return Err(THIS.contradiction(record.position, "a draw wins twice").into());
                        }
                    }
                }
            }
            AccountEvent::RewardIssued { entry_id, issued_at, .. } => {
                let reward = self.reward(record, entry_id)?;
                reward.issued_at = Some(*issued_at);
                if reward.status == RewardStatus::Won {
                    reward.status = RewardStatus::Issued;
                }
            }
            AccountEvent::CustomerNotified { entry_id, notified_at } => {
                self.reward(record, entry_id)?.notified_at = Some(*notified_at);
            }
            // After a refusal, another attempt: what failed is under way again.
            AccountEvent::CreditRequested { entry_id, attempt, .. } => {
                let reward = self.reward(record, entry_id)?;
                reward.attempt = *attempt;
                if reward.status == RewardStatus::CreditFailed {
                    reward.status = RewardStatus::Issued;
                }
            }
            // A confirmation is a fact even after a reversal; the status then stays reversed.
            AccountEvent::RewardCredited { entry_id, attempt, payout_reference, credited_at, .. } => {
                let reward = self.reward(record, entry_id)?;
                reward.attempt = *attempt;
                reward.payout_reference = Some(payout_reference.clone());
                reward.credited_at = Some(*credited_at);
                if reward.status != RewardStatus::Reversed {
                    reward.status = RewardStatus::Credited;
                }
            }
            AccountEvent::CreditFailed { entry_id, attempt, reason, failed_at } => {
                let reward = self.reward(record, entry_id)?;
                reward.attempt = *attempt;
                reward.failure = Some(reason.clone());
                reward.failed_at = Some(*failed_at);
                if !matches!(reward.status, RewardStatus::Reversed | RewardStatus::Credited) {
                    reward.status = RewardStatus::CreditFailed;
                }
            }
            AccountEvent::RewardReversed { entry_id, reason, reversed_at, .. } => {
                let reward = self.reward(record, entry_id)?;
                reward.status = RewardStatus::Reversed;
                reward.reversal_reason = Some(reason.clone());
                reward.reversed_at = Some(*reversed_at);
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::PersonalDataErased { .. } => {}
        }
        Ok(())
    }
}

impl Rewards {
    fn reward(&mut self, record: &Record, entry: &EntryId) -> Result<&mut RewardRow, ProjectionError> {
        let none = || THIS.contradiction(record.position, "no draw won this reward").into();
        self.0.slot(entry)?.as_mut().ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;

    fn row_after(place: &Place, events: impl IntoIterator<Item = AccountEvent>) -> RewardRow {
        let all = [opened(), won("t1", 100)].into_iter().chain(events);
        place.after(all).query(|conn| reward(conn, &entry("t1"), None)).unwrap()
    }

    fn status_after(place: &Place, events: impl IntoIterator<Item = AccountEvent>) -> RewardStatus {
        row_after(place, events).status
    }

    #[test]
    fn a_reward_goes_from_won_to_credited() {
        on_both(|place| {
            let won = row_after(place, []);
            assert_eq!((won.status, won.amount_minor, won.attempt), (RewardStatus::Won, 100, 0));
            assert_eq!((won.transaction_id, won.won_at), (tx("t1"), at(8)));
            assert_eq!(status_after(place, [issued("t1", 100)]), RewardStatus::Issued);
            let paid =
                row_after(place, [issued("t1", 100), requested("t1", 1, 100), credited("t1", 1, 100, false)]);
            assert_eq!(paid.status, RewardStatus::Credited);
            assert_eq!((paid.issued_at, paid.credited_at), (Some(at(1)), Some(at(4))));
            assert_eq!(paid.payout_reference, Some("pay_t1".parse().unwrap()));
        });
    }

    #[test]
    fn a_refused_payment_is_under_way_again_with_the_next_attempt() {
        on_both(|place| {
            let refused = [issued("t1", 100), requested("t1", 1, 100), failed("t1", 1)];
            assert_eq!(status_after(place, refused.clone()), RewardStatus::CreditFailed);
            let again = row_after(place, refused.into_iter().chain([requested("t1", 2, 100)]));
            assert_eq!((again.status, again.attempt), (RewardStatus::Issued, 2));
        });
    }

    #[test]
    fn a_payment_after_the_reversal_is_recorded_and_the_reward_stays_reversed() {
        on_both(|place| {
            let row = row_after(
                place,
                [
                    issued("t1", 100),
                    requested("t1", 1, 100),
                    reversed("t1", 100, false),
                    credited("t1", 1, 100, true),
                ],
            );
            assert_eq!(row.status, RewardStatus::Reversed);
            assert_eq!((row.reversed_at, row.credited_at), (Some(at(5)), Some(at(4))));
            assert!(row.payout_reference.is_some());
        });
    }

    #[test]
    fn a_credited_reward_can_be_reversed() {
        on_both(|place| {
            let paid = [issued("t1", 100), requested("t1", 1, 100), credited("t1", 1, 100, false)];
            assert_eq!(
                status_after(place, paid.into_iter().chain([reversed("t1", 100, true)])),
                RewardStatus::Reversed
            );
        });
    }

    #[test]
    fn telling_the_customer_changes_no_status() {
        on_both(|place| {
            let told = AccountEvent::CustomerNotified { entry_id: entry("t1"), notified_at: at(9) };
            let row = row_after(place, [told]);
            assert_eq!((row.status, row.notified_at), (RewardStatus::Won, Some(at(9))));
        });
    }

    #[test]
    fn pages_go_from_new_to_old_without_gap_or_repeat_and_filter_by_status() {
        on_both(|place| {
            let ids: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
            let mut events: Vec<_> = ids.iter().map(|id| won(id, 100)).collect();
            events.extend([lost("nothing"), issued("t2", 100), issued("t5", 100)]);
            let store = place.after(events);
            let page = |status, after, first| {
                store.query(|conn| rewards(conn, &account_id("a"), status, after, first))
            };
            let (mut seen, mut cursor) = (vec![], None);
            loop {
                let page = page(None, cursor, 3);
                seen.extend(page.rows.iter().map(|r| r.transaction_id.to_string()));
                cursor = page.rows.last().map(RewardRow::cursor);
                if !page.has_more {
                    break;
                }
                assert_eq!(page.rows.len(), 3);
            }
            assert_eq!(seen, ids.into_iter().rev().collect::<Vec<_>>());
            let issued = page(Some(RewardStatus::Issued), None, 1);
            assert_eq!((issued.rows[0].transaction_id.as_str(), issued.has_more), ("t5", true));
            let rest = page(Some(RewardStatus::Issued), Some(issued.rows[0].cursor()), 1_000);
            assert_eq!((rest.rows[0].transaction_id.as_str(), rest.has_more), ("t2", false));
        });
    }

    #[test]
    fn cursors_survive_text() {
        let cursor = RewardCursor { position: Position(12), ordinal: 3 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert!("0:12".parse::<RewardCursor>().is_err());
    }
}
