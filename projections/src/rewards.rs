//! Rewards, one row per winning draw: won, issued, credited or reversed.
//!
//! A reward is named by its draw's `entry_id` and has its place where its decision stands in the
//! log.

use std::fmt;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::Line;
use ledger_core::draw::Draw;
use ledger_core::event::LedgerEvent;
use ledger_core::ids::{AccountId, CampaignId, EntryId, PayoutReference, Source, TransactionId};
use ledger_core::log::Position;
use ledger_core::money::Money;
use ledger_core::time::Timestamp;

use crate::connection::{Connection, Row, Value, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::projection::{Fold, Projection, Record};
use crate::row;

const THIS: Projection = Projection::Rewards;
/// By name: `*` would change under a prepared statement when a migration adds a column.
const COLUMNS: &str = "position, ordinal, entry_id, account_id, campaign_id, source, transaction_id, amount_minor, \
     currency, status, won_at, issued_at, notified_at, attempt, credited_at, payout_reference, \
     failed_at, failure, reversed_at, reversal_reason";

row::words! {
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

/// One reward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardRow {
    /// Its place.
    pub cursor: RewardCursor,
    /// The draw that won it.
    pub entry_id: EntryId,
    /// Who won.
    pub account_id: AccountId,
    /// The campaign that pays.
    pub campaign_id: CampaignId,
    /// Who fed the transaction.
    pub source: Source,
    /// The transaction, as it was first booked.
    pub transaction_id: TransactionId,
    /// What was won.
    pub amount: Money,
    /// Where it stands.
    pub status: RewardStatus,
    /// When the decision was recorded.
    pub won_at: Timestamp,
    /// When it became a liability.
    pub issued_at: Option<Timestamp>,
    /// When the customer was told.
    pub notified_at: Option<Timestamp>,
    /// The last attempt to pay it, from 1; 0 before the first.
    pub attempt: u32,
    /// When we learnt that it was paid.
    pub credited_at: Option<Timestamp>,
    /// What the rail calls the payment.
    pub payout_reference: Option<PayoutReference>,
    /// When the rail last refused it.
    pub failed_at: Option<Timestamp>,
    /// The rail's word for the last refusal.
    pub failure: Option<String>,
    /// When it was taken back.
    pub reversed_at: Option<Timestamp>,
    /// Why it was taken back.
    pub reversal_reason: Option<String>,
}

/// The reward of this draw; with an owner only if it is his, as
/// [`crate::transactions::transaction`] has it.
pub fn reward(
    conn: &Connection,
    entry: &EntryId,
    owner: Option<&AccountId>,
) -> Result<Option<RewardRow>, ProjectionError> {
    let sql = &format!("SELECT {COLUMNS} FROM rewards WHERE entry_id = ?1 AND (?2 = '' OR account_id = ?2)");
    let found = conn.row(sql, &values![entry, owner.map_or("", AccountId::as_str)])?;
    found.as_ref().map(read).transpose()
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
    let rows = conn.rows(
        &format!(
            "SELECT {COLUMNS} FROM rewards
         WHERE account_id = ?1 AND (position, ordinal) < (?2, ?3) AND status = coalesce(?4, status)
         ORDER BY position DESC, ordinal DESC LIMIT ?5"
        ),
        &values![account.as_str(), position, ordinal, status, page::limit(first)],
    )?;
    Page::read(&rows, first, read)
}

fn read(row: &Row) -> Result<RewardRow, ProjectionError> {
    Ok(RewardRow {
        cursor: RewardCursor { position: row.get("position")?, ordinal: row.get("ordinal")? },
        entry_id: row.get("entry_id")?,
        account_id: row.get("account_id")?,
        campaign_id: row.get("campaign_id")?,
        source: row.get("source")?,
        transaction_id: row.get("transaction_id")?,
        amount: row.money("amount_minor", "currency")?,
        status: row.get("status")?,
        won_at: row.get("won_at")?,
        issued_at: row.get("issued_at")?,
        notified_at: row.get("notified_at")?,
        attempt: row.get("attempt")?,
        credited_at: row.get("credited_at")?,
        payout_reference: row.get("payout_reference")?,
        failed_at: row.get("failed_at")?,
        failure: row.get("failure")?,
        reversed_at: row.get("reversed_at")?,
        reversal_reason: row.get("reversal_reason")?,
    })
}

/// Writes every reward at once: wins are few.
pub(crate) struct Rewards;

impl Fold<'_> for Rewards {
    fn apply(&mut self, conn: &Connection, record: &Record) -> Result<(), ProjectionError> {
        // No event of another stream is about one reward.
        let LedgerEvent::Account(event) = &record.event else { return Ok(()) };
        let change = |sql, values: &[Value<'_>]| {
            conn.write_one(sql, values, THIS.contradiction(record.position, "no draw won this reward"))
        };
        match event {
            AccountEvent::TransactionEvaluated { line, draws, .. } => {
                for (ordinal, draw) in (0..).zip(draws) {
                    if let Some(amount) = draw.amount {
                        insert(conn, record, line, ordinal, draw, amount)?;
                    }
                }
                Ok(())
            }
            AccountEvent::RewardIssued { entry_id, issued_at, .. } => change(
                "UPDATE rewards SET issued_at = ?2, status = CASE status WHEN 'won' THEN 'issued' ELSE status END
                 WHERE entry_id = ?1",
                &values![entry_id, *issued_at],
            ),
            AccountEvent::CustomerNotified { entry_id, notified_at } => change(
                "UPDATE rewards SET notified_at = ?2 WHERE entry_id = ?1",
                &values![entry_id, *notified_at],
            ),
            // After a refusal, another attempt: what failed is under way again.
            AccountEvent::CreditRequested { entry_id, attempt, .. } => change(
                "UPDATE rewards SET attempt = ?2, status = CASE status WHEN 'credit_failed' THEN 'issued' ELSE status END
                 WHERE entry_id = ?1",
                &values![entry_id, *attempt],
            ),
            // A confirmation is a fact even after a reversal; the status then stays reversed.
            AccountEvent::RewardCredited { entry_id, attempt, payout_reference, credited_at, .. } => change(
                "UPDATE rewards SET attempt = ?2, payout_reference = ?3, credited_at = ?4,
                     status = CASE status WHEN 'reversed' THEN status ELSE 'credited' END
                 WHERE entry_id = ?1",
                &values![entry_id, *attempt, payout_reference.as_str(), *credited_at],
            ),
            AccountEvent::CreditFailed { entry_id, attempt, reason, failed_at } => change(
                "UPDATE rewards SET attempt = ?2, failure = ?3, failed_at = ?4,
                     status = CASE WHEN status IN ('reversed', 'credited') THEN status ELSE 'credit_failed' END
                 WHERE entry_id = ?1",
                &values![entry_id, *attempt, reason, *failed_at],
            ),
            AccountEvent::RewardReversed { entry_id, reason, reversed_at, .. } => change(
                "UPDATE rewards SET status = 'reversed', reversal_reason = ?2, reversed_at = ?3 WHERE entry_id = ?1",
                &values![entry_id, reason, *reversed_at],
            ),
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
            | AccountEvent::PersonalDataErased { .. } => Ok(()),
        }
    }
}

fn insert(
    conn: &Connection,
    record: &Record,
    line: &Line,
    ordinal: u32,
    draw: &Draw,
    amount: Money,
) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO rewards (position, ordinal, entry_id, account_id, campaign_id, source, transaction_id,
                              amount_minor, currency, status, won_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'won', ?10)",
        &values![
            record.position,
            ordinal,
            &draw.entry_id,
            &record.stream_id,
            draw.campaign_id.as_str(),
            line.source.as_str(),
            line.transaction_id.as_str(),
            amount.minor(),
            amount.currency().code(),
            record.recorded_at,
        ],
    )
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
            assert_eq!((won.status, won.amount, won.attempt), (RewardStatus::Won, gbp(100), 0));
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
                cursor = page.rows.last().map(|r| r.cursor);
                if !page.has_more {
                    break;
                }
                assert_eq!(page.rows.len(), 3);
            }
            assert_eq!(seen, ids.into_iter().rev().collect::<Vec<_>>());
            let issued = page(Some(RewardStatus::Issued), None, 1);
            assert_eq!((issued.rows[0].transaction_id.as_str(), issued.has_more), ("t5", true));
            let rest = page(Some(RewardStatus::Issued), Some(issued.rows[0].cursor), 1_000);
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
