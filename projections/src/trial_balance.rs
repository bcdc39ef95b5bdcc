//! The books: every entry of every posting, and what they come to per ledger account and currency.
//!
//! Debits and credits are summed apart, and the difference is taken from those sums. That each
//! posting balances is not relied upon: a row lost or changed shows up here.

use std::collections::{BTreeMap, HashMap};

use ledger_core::event::LedgerEvent;
use ledger_core::log::Position;
use ledger_core::money::Currency;
use ledger_core::posting::{Entry, Side};

use crate::connection::{Connection, Row, values};
use crate::error::ProjectionError;
use crate::projection::{self, Fold, Projection, Record};

const THIS: Projection = Projection::TrialBalance;

/// One ledger account in one currency, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAccountRow {
    /// Such as `rewards-payable` or `budget:<campaign>`.
    pub ledger_account: String,
    /// Of both sums.
    pub currency: Currency,
    /// All debits.
    pub debits_minor: i64,
    /// All credits.
    pub credits_minor: i64,
}

impl LedgerAccountRow {
    /// Debits less credits: above zero where the account has a debit balance.
    pub fn balance_minor(&self) -> i64 {
        // Both are at least zero, so the difference fits.
        self.debits_minor - self.credits_minor
    }
}

/// The books as of a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialBalance {
    /// The last event included; before the one asked for where the tables are not that far yet.
    pub position: Position,
    /// By ledger account and currency.
    pub accounts: Vec<LedgerAccountRow>,
    /// Debits less credits per currency, in code order. Anything but zero is a fault.
    pub differences: Vec<(Currency, i128)>,
}

/// The books as of `as_of`, or as of now. A past position takes a walk over the entries up to it.
pub fn trial_balance(conn: &Connection, as_of: Option<Position>) -> Result<TrialBalance, ProjectionError> {
    let checkpoint = checkpoint(conn)?;
    let position = as_of.map_or(checkpoint, |asked| asked.min(checkpoint));
    let accounts = if position == checkpoint { totals(conn)? } else { totals_as_of(conn, position)? };
    let differences = differences(&accounts);
    Ok(TrialBalance { position, accounts, differences })
}

fn checkpoint(conn: &Connection) -> Result<Position, ProjectionError> {
    let all = projection::checkpoints(conn)?;
    Ok(all.into_iter().find(|(p, _)| *p == THIS).map_or(Position::default(), |(_, at)| at))
}

fn totals(conn: &Connection) -> Result<Vec<LedgerAccountRow>, ProjectionError> {
    let sql = "SELECT ledger_account, currency, debits_minor, credits_minor FROM ledger_totals
               ORDER BY ledger_account, currency";
    conn.rows(sql, &[])?.iter().map(read).collect()
}

fn totals_as_of(conn: &Connection, position: Position) -> Result<Vec<LedgerAccountRow>, ProjectionError> {
    // Neither database lets a sum overflow: SQLite's `sum` refuses, PostgreSQL's is exact and the
    // cast refuses.
    let sql = "SELECT ledger_account, currency, CAST(sum(debit_minor) AS bigint) AS debits_minor,
                   CAST(sum(credit_minor) AS bigint) AS credits_minor
               FROM entries WHERE position <= ?1
               GROUP BY ledger_account, currency ORDER BY ledger_account, currency";
    conn.rows(sql, &values![position])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<LedgerAccountRow, ProjectionError> {
    Ok(LedgerAccountRow {
        ledger_account: row.get("ledger_account")?,
        currency: row.get("currency")?,
        debits_minor: row.get("debits_minor")?,
        credits_minor: row.get("credits_minor")?,
    })
}

fn differences(accounts: &[LedgerAccountRow]) -> Vec<(Currency, i128)> {
    let mut by_code = BTreeMap::new();
    for account in accounts {
        let (_, difference) = by_code.entry(account.currency.code()).or_insert((account.currency, 0_i128));
        *difference += i128::from(account.debits_minor) - i128::from(account.credits_minor);
    }
    by_code.into_values().collect()
}

/// Gathers what a batch adds to each ledger account.
#[derive(Default)]
pub(crate) struct TrialBalances {
    sums: HashMap<(String, Currency), Sums>,
}

#[derive(Default)]
struct Sums {
    debits: i64,
    credits: i64,
}

impl Fold<'_> for TrialBalances {
    fn apply(&mut self, conn: &Connection, record: &Record) -> Result<(), ProjectionError> {
        // `posting` names every event that makes none.
        let posting = match &record.event {
            LedgerEvent::Account(event) => event.posting(),
            LedgerEvent::Campaign(event) => event.posting(),
            LedgerEvent::System(_) => None,
        };
        let entries = posting.map_or(&[][..], |posting| posting.entries());
        (0_u32..)
            .zip(entries)
            .try_for_each(|(ordinal, entry)| self.enter(conn, record.position, ordinal, entry))
    }

    fn flush(&mut self, conn: &Connection, _: Position) -> Result<(), ProjectionError> {
        for ((account, currency), sums) in self.sums.drain() {
            conn.write(
                "INSERT INTO ledger_totals (ledger_account, currency, debits_minor, credits_minor)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (ledger_account, currency) DO UPDATE SET
                     debits_minor = ledger_totals.debits_minor + excluded.debits_minor,
                     credits_minor = ledger_totals.credits_minor + excluded.credits_minor",
                &values![&account, currency.code(), sums.debits, sums.credits],
            )?;
        }
        Ok(())
    }
}

impl TrialBalances {
    fn enter(
        &mut self,
        conn: &Connection,
        position: Position,
        ordinal: u32,
        entry: &Entry,
    ) -> Result<(), ProjectionError> {
        let minor = entry.amount.minor();
        let (debit, credit) = match entry.side {
            Side::Debit => (minor, 0),
            Side::Credit => (0, minor),
        };
        let currency = entry.amount.currency();
        conn.write(
            "INSERT INTO entries (position, ordinal, ledger_account, currency, debit_minor, credit_minor)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &values![position, ordinal, &entry.account, currency.code(), debit, credit],
        )?;
        let sums = self.sums.entry((entry.account.clone(), currency)).or_default();
        THIS.add(&mut sums.debits, debit, position)?;
        THIS.add(&mut sums.credits, credit, position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;

    fn history(place: &Place) -> TestStore {
        place.after([
            opened(),
            won("t1", 100),
            issued("t1", 100),
            requested("t1", 1, 100),
            credited("t1", 1, 100, false),
            won("t2", 5_000),
            issued("t2", 5_000),
            reversed("t2", 5_000, false),
            requested("t2", 1, 5_000),
            credited("t2", 1, 5_000, true),
            reversed("t1", 100, true),
        ])
    }

    fn balance(books: &TrialBalance, account: &str) -> i64 {
        books.accounts.iter().find(|a| a.ledger_account == account).map_or(0, LedgerAccountRow::balance_minor)
    }

    #[test]
    fn the_difference_is_zero_as_of_every_position() {
        on_both(|place| {
            let store = history(place);
            for position in 0..=17 {
                let books = store.query(|conn| trial_balance(conn, Some(Position(position))));
                assert_eq!(books.position, Position(position));
                assert!(books.differences.iter().all(|(_, minor)| *minor == 0), "{books:?}");
                assert_eq!(books.accounts.is_empty(), position < 3, "funded at 3: {books:?}");
            }
        });
    }

    #[test]
    fn the_books_are_those_of_the_position_asked_for() {
        on_both(|place| {
            let store = history(place);
            let at = |position| store.query(|conn| trial_balance(conn, position));
            assert_eq!(balance(&at(Some(Position(8))), "rewards-payable"), 0);
            assert_eq!(balance(&at(Some(Position(9))), "rewards-payable"), -100);
            assert_eq!(balance(&at(Some(Position(9))), "budget:c1"), -99_900);
            let now = at(None);
            assert_eq!(balance(&now, "payout-rail"), -5_100);
            assert_eq!(balance(&now, "customer-receivable"), 5_100);
            assert_eq!(balance(&now, "rewards-payable"), 0);
            assert_eq!(balance(&now, "budget:c1"), -100_000);
            assert_eq!(at(Some(Position(1_000))), now);
        });
    }

    #[test]
    fn running_totals_are_the_sums_of_the_entries() {
        on_both(|place| {
            let (totals, sums) =
                history(place).query(|conn| Ok((totals(conn)?, totals_as_of(conn, Position(1_000))?)));
            assert_eq!(totals, sums);
        });
    }

    #[test]
    fn a_lost_entry_shows_as_a_difference() {
        on_both(|place| {
            let store = history(place);
            store.tamper("DELETE FROM entries WHERE position = 9 AND ordinal = 0");
            let books = store.query(|conn| trial_balance(conn, Some(Position(10))));
            assert_eq!(books.differences, [(gbp(0).currency(), -100)]);
        });
    }
}
