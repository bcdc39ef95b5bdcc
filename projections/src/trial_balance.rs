//! The books: every entry of every posting, and what they come to per ledger account and currency.
//!
//! Debits and credits are summed apart, and the difference is taken from those sums. That each
//! posting balances is not relied upon: a row lost or changed shows up here.

use std::collections::BTreeMap;

use ledger_core::log::Position;
use ledger_core::money::Currency;
use ledger_core::posting::{Entry, Side};

use crate::column::Column as _;
use crate::connection::{Connection, values};
use crate::cursor;
use crate::error::ProjectionError;
use crate::fold::{Event, Fold, Record};
use crate::projection::Projection;
use crate::table::{Rows, TableRow as _, TableRows, table};

const THIS: Projection = Projection::TrialBalance;

table! {
    /// One ledger account in one currency, in minor units.
    pub LedgerAccountRow in "ledger_totals", key 2, by (ledger_account: String, currency: Currency) {
        /// Such as `rewards-payable` or `budget:<campaign>`.
        ledger_account: String,
        /// Of both sums.
        currency: Currency,
        /// All debits.
        debits_minor: i64,
        /// All credits.
        credits_minor: i64,
    }
}

table! {
    /// One entry of one posting, in minor units.
    pub(crate) EntryRow in "entries", key 2, by (position: Position, ordinal: u32) {
        /// Of the event that posts it.
        position: Position,
        /// In the posting, from 0.
        ordinal: u32,
        /// Such as `rewards-payable`.
        ledger_account: String,
        /// Of both amounts.
        currency: Currency,
        /// 0 for a credit.
        debit_minor: i64,
        /// 0 for a debit.
        credit_minor: i64,
    }
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
    let all = cursor::cursors(conn)?;
    let cursor = all.into_iter().find(|(p, _)| *p == THIS).map_or(Position::default(), |(_, at)| at);
    let position = as_of.map_or(cursor, |asked| asked.min(cursor));
    let accounts = if position == cursor { totals(conn)? } else { totals_as_of(conn, position)? };
    let differences = differences(&accounts);
    Ok(TrialBalance { position, accounts, differences })
}

fn totals(conn: &Connection) -> Result<Vec<LedgerAccountRow>, ProjectionError> {
    LedgerAccountRow::select(conn, "ORDER BY ledger_account, currency", &[])
}

fn totals_as_of(conn: &Connection, position: Position) -> Result<Vec<LedgerAccountRow>, ProjectionError> {
    // Neither database lets a sum overflow: SQLite's `sum` refuses, PostgreSQL's is exact and the
    // cast refuses.
    let sql =
        "SELECT ledger_account, currency, CAST(sum(debit_minor) AS bigint), CAST(sum(credit_minor) AS bigint)
               FROM entries WHERE position <= $1
               GROUP BY ledger_account, currency ORDER BY ledger_account, currency";
    conn.rows(sql, &values![position])?.iter().map(LedgerAccountRow::read).collect()
}

fn differences(accounts: &[LedgerAccountRow]) -> Vec<(Currency, i128)> {
    let mut by_code = BTreeMap::new();
    for account in accounts {
        let (_, difference) = by_code.entry(account.currency.code()).or_insert((account.currency, 0_i128));
        *difference += i128::from(account.debits_minor) - i128::from(account.credits_minor);
    }
    by_code.into_values().collect()
}

/// The entries of a page and the ledger accounts that they add to.
#[derive(Default)]
pub(crate) struct TrialBalances {
    entries: Rows<EntryRow>,
    totals: Rows<LedgerAccountRow>,
}

impl Fold for TrialBalances {
    fn tables(&mut self) -> Vec<&mut dyn TableRows> {
        vec![&mut self.entries, &mut self.totals]
    }

    fn name(&mut self, record: &Record) {
        for entry in entries(record) {
            self.totals.name((entry.account.clone(), entry.amount.currency()));
        }
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        for (ordinal, entry) in (0..).zip(entries(record)) {
            let (ledger_account, currency) = (entry.account.clone(), entry.amount.currency());
            let (debit_minor, credit_minor) = match entry.side {
                Side::Debit => (entry.amount.minor(), 0),
                Side::Credit => (0, entry.amount.minor()),
            };
            let total = self.totals.slot(&(ledger_account.clone(), currency))?;
            let total = total.get_or_insert_with(|| LedgerAccountRow {
                ledger_account: ledger_account.clone(),
                currency,
                debits_minor: 0,
                credits_minor: 0,
            });
            THIS.add(&mut total.debits_minor, debit_minor, record.position)?;
            THIS.add(&mut total.credits_minor, credit_minor, record.position)?;
            let position = record.position;
            self.entries.put(EntryRow {
                position,
                ordinal,
                ledger_account,
                currency,
                debit_minor,
                credit_minor,
            });
        }
        Ok(())
    }
}

fn entries(record: &Record) -> &[Entry] {
    // `posting` names every event that makes none.
    let posting = match &record.event {
        Event::Account(_, event) => event.posting(),
        Event::Campaign(_, event) => event.posting(),
        Event::System => None,
    };
    posting.map_or(&[], |posting| posting.entries())
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
