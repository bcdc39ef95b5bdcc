//! Reward accounts and what each is owed, per currency in minor units.
//!
//! Won, issued, credited and reversed only grow; what is outstanding follows from them.

use std::collections::HashMap;

use compact_str::CompactString;
use ledger_core::account::AccountEvent;
use ledger_core::event::LedgerEvent;
use ledger_core::ids::AccountId;
use ledger_core::log::Position;
use ledger_core::money::{Currency, Money};
use ledger_core::time::Timestamp;

use crate::connection::{Connection, Row, values};
use crate::error::ProjectionError;
use crate::projection::{Fold, Projection, Record};

const THIS: Projection = Projection::Account;

/// An account. Any of the times may be absent: an account can be excluded or erased before it is
/// opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Its pseudonym.
    pub account_id: AccountId,
    /// Since when it takes part.
    pub enrolled_at: Option<Timestamp>,
    /// Since when it accepts nothing new.
    pub closed_at: Option<Timestamp>,
    /// Since when it enters no draw; absent after it was reinstated.
    pub excluded_at: Option<Timestamp>,
    /// When its personal details were destroyed.
    pub erased_at: Option<Timestamp>,
}

/// What holds for an account. The first that applies, in the order erased, closed, excluded,
/// opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Takes part.
    Opened,
    /// Enters no draw.
    Excluded,
    /// Accepts nothing new; what is owed is still paid.
    Closed,
    /// Its personal details are destroyed.
    Erased,
}

impl AccountRow {
    /// What holds for it now.
    pub fn status(&self) -> AccountStatus {
        match self {
            AccountRow { erased_at: Some(_), .. } => AccountStatus::Erased,
            AccountRow { closed_at: Some(_), .. } => AccountStatus::Closed,
            AccountRow { excluded_at: Some(_), .. } => AccountStatus::Excluded,
            _ => AccountStatus::Opened,
        }
    }
}

/// Running totals of one account in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceRow {
    /// Of all amounts.
    pub currency: Currency,
    /// Decided.
    pub won: Money,
    /// Booked as a liability.
    pub issued: Money,
    /// Paid.
    pub credited: Money,
    /// Taken back, paid or not.
    pub reversed: Money,
}

impl BalanceRow {
    /// Issued and neither paid nor taken back, in minor units. Below zero is what the customer
    /// owes: a reward paid and then reversed, or paid although reversed.
    pub fn outstanding_minor(&self) -> i64 {
        // Each is at least zero, so the first difference fits; a second that does not is below any
        // real sum.
        (self.issued.minor() - self.credited.minor()).saturating_sub(self.reversed.minor())
    }
}

/// The account of this id.
pub fn account(conn: &Connection, id: &AccountId) -> Result<Option<AccountRow>, ProjectionError> {
    let found = conn.row(
        "SELECT account_id, enrolled_at, closed_at, excluded_at, erased_at FROM accounts WHERE account_id = ?1",
        &values![id.as_str()],
    )?;
    let read = |row: Row| {
        Ok(AccountRow {
            account_id: row.get("account_id")?,
            enrolled_at: row.get("enrolled_at")?,
            closed_at: row.get("closed_at")?,
            excluded_at: row.get("excluded_at")?,
            erased_at: row.get("erased_at")?,
        })
    };
    found.map(read).transpose()
}

/// An account's balances, by currency code. None before its first win.
pub fn balances(conn: &Connection, id: &AccountId) -> Result<Vec<BalanceRow>, ProjectionError> {
    let found = conn.rows(
        "SELECT currency, won_minor, issued_minor, credited_minor, reversed_minor FROM balances
         WHERE account_id = ?1 ORDER BY currency",
        &values![id.as_str()],
    )?;
    let read = |row: &Row| {
        Ok(BalanceRow {
            currency: row.get("currency")?,
            won: row.money("won_minor", "currency")?,
            issued: row.money("issued_minor", "currency")?,
            credited: row.money("credited_minor", "currency")?,
            reversed: row.money("reversed_minor", "currency")?,
        })
    };
    found.iter().map(read).collect()
}

/// Gathers what a batch adds to each balance.
#[derive(Default)]
pub(crate) struct Accounts {
    sums: HashMap<(CompactString, Currency), Sums>,
}

#[derive(Default)]
struct Sums {
    won: i64,
    issued: i64,
    credited: i64,
    reversed: i64,
}

impl Fold<'_> for Accounts {
    fn apply(&mut self, conn: &Connection, record: &Record) -> Result<(), ProjectionError> {
        // No event of another stream is about one account.
        let LedgerEvent::Account(event) = &record.event else { return Ok(()) };
        let set = |column, at: Option<Timestamp>| set(conn, &record.stream_id, column, at);
        match event {
            AccountEvent::AccountOpened { enrolled_at } => set(Column::Enrolled, Some(*enrolled_at)),
            AccountEvent::AccountClosed { closed_at, .. } => set(Column::Closed, Some(*closed_at)),
            AccountEvent::AccountExcluded { excluded_at, .. } => set(Column::Excluded, Some(*excluded_at)),
            AccountEvent::AccountReinstated { .. } => set(Column::Excluded, None),
            AccountEvent::PersonalDataErased { erased_at } => set(Column::Erased, Some(*erased_at)),
            AccountEvent::TransactionEvaluated { draws, .. } => draws
                .iter()
                .filter_map(|d| d.amount)
                .try_for_each(|won| self.add(record, won, |s| &mut s.won)),
            AccountEvent::RewardIssued { amount, .. } => self.add(record, *amount, |s| &mut s.issued),
            AccountEvent::RewardCredited { amount, .. } => self.add(record, *amount, |s| &mut s.credited),
            AccountEvent::RewardReversed { amount, .. } => self.add(record, *amount, |s| &mut s.reversed),
            AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. } => Ok(()),
        }
    }

    fn flush(&mut self, conn: &Connection, _: Position) -> Result<(), ProjectionError> {
        for ((account, currency), sums) in self.sums.drain() {
            conn.write(
                "INSERT INTO balances (account_id, currency, won_minor, issued_minor, credited_minor, reversed_minor)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (account_id, currency) DO UPDATE SET
                     won_minor = balances.won_minor + excluded.won_minor,
                     issued_minor = balances.issued_minor + excluded.issued_minor,
                     credited_minor = balances.credited_minor + excluded.credited_minor,
                     reversed_minor = balances.reversed_minor + excluded.reversed_minor",
                &values![&account, currency.code(), sums.won, sums.issued, sums.credited, sums.reversed],
            )?;
        }
        Ok(())
    }
}

impl Accounts {
    fn add(
        &mut self,
        record: &Record,
        amount: Money,
        sum: impl FnOnce(&mut Sums) -> &mut i64,
    ) -> Result<(), ProjectionError> {
        let sums = self.sums.entry((record.stream_id.clone(), amount.currency())).or_default();
        THIS.add(sum(sums), amount.minor(), record.position)
    }
}

#[derive(Clone, Copy)]
enum Column {
    Enrolled,
    Closed,
    Excluded,
    Erased,
}

fn set(
    conn: &Connection,
    account: &str,
    column: Column,
    at: Option<Timestamp>,
) -> Result<(), ProjectionError> {
    let sql = match column {
        Column::Enrolled => {
            "INSERT INTO accounts (account_id, enrolled_at) VALUES (?1, ?2)
             ON CONFLICT (account_id) DO UPDATE SET enrolled_at = excluded.enrolled_at"
        }
        Column::Closed => {
            "INSERT INTO accounts (account_id, closed_at) VALUES (?1, ?2)
             ON CONFLICT (account_id) DO UPDATE SET closed_at = excluded.closed_at"
        }
        Column::Excluded => {
            "INSERT INTO accounts (account_id, excluded_at) VALUES (?1, ?2)
             ON CONFLICT (account_id) DO UPDATE SET excluded_at = excluded.excluded_at"
        }
        Column::Erased => {
            "INSERT INTO accounts (account_id, erased_at) VALUES (?1, ?2)
             ON CONFLICT (account_id) DO UPDATE SET erased_at = excluded.erased_at"
        }
    };
    conn.write(sql, &values![account, at])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Contradiction;
    use crate::fixtures::*;

    fn balance(place: &Place, events: Vec<AccountEvent>) -> (i64, i64, i64, i64, i64) {
        let balances = place.after(events).query(|conn| balances(conn, &account_id("a")));
        let [b] = balances[..] else { panic!("one currency: {balances:?}") };
        (b.won.minor(), b.issued.minor(), b.credited.minor(), b.reversed.minor(), b.outstanding_minor())
    }

    fn status(place: &Place, events: Vec<AccountEvent>) -> AccountStatus {
        place.after(events).query(|conn| account(conn, &account_id("a"))).unwrap().status()
    }

    #[test]
    fn balances_grow_with_every_step_of_a_reward() {
        on_both(|place| {
            let mut events = vec![opened(), lost("t0"), won("t1", 100), won("t2", 5_000)];
            assert_eq!(balance(place, events.clone()), (5_100, 0, 0, 0, 0));
            events.extend([issued("t1", 100), issued("t2", 5_000)]);
            assert_eq!(balance(place, events.clone()), (5_100, 5_100, 0, 0, 5_100));
            events.extend([requested("t1", 1, 100), credited("t1", 1, 100, false)]);
            assert_eq!(balance(place, events.clone()), (5_100, 5_100, 100, 0, 5_000));
            events.push(reversed("t2", 5_000, false));
            assert_eq!(balance(place, events), (5_100, 5_100, 100, 5_000, 0));
        });
    }

    #[test]
    fn a_reward_paid_although_reversed_is_owed_by_the_customer() {
        on_both(|place| {
            let events = vec![opened(), won("t1", 100), issued("t1", 100), reversed("t1", 100, false)];
            let paid = [requested("t1", 1, 100), credited("t1", 1, 100, true)];
            assert_eq!(balance(place, [events, paid.into()].concat()), (100, 100, 100, 100, -100));
        });
    }

    #[test]
    fn sums_that_do_not_fit_are_a_fault() {
        on_both(|place| {
            let log = TestLog::with_campaign();
            log.account("a", [opened(), won("t1", i64::MAX), won("t2", 1)]);
            let failed = place.store().follow(&Arc::new(log), 100);
            assert!(
                matches!(failed, Err(ProjectionError::Contradiction(Contradiction { projection: THIS, .. }))),
                "{failed:?}"
            );
        });
    }

    #[test]
    fn a_closed_account_stays_closed_when_it_is_reinstated() {
        on_both(|place| {
            let excluded = AccountEvent::AccountExcluded {
                excluded_at: at(1),
                kind: ledger_core::account::event::Exclusion::Staff,
                reason: "staff".into(),
            };
            let reinstated = AccountEvent::AccountReinstated { reinstated_at: at(2), reason: "left".into() };
            let closed = AccountEvent::AccountClosed { closed_at: at(2), reason: "moved".into() };
            let erased = AccountEvent::PersonalDataErased { erased_at: at(3) };
            assert_eq!(status(place, vec![opened()]), AccountStatus::Opened);
            assert_eq!(status(place, vec![opened(), excluded.clone()]), AccountStatus::Excluded);
            assert_eq!(
                status(place, vec![opened(), excluded.clone(), reinstated.clone()]),
                AccountStatus::Opened
            );
            assert_eq!(
                status(place, vec![opened(), excluded, closed.clone(), reinstated]),
                AccountStatus::Closed
            );
            assert_eq!(status(place, vec![opened(), closed, erased]), AccountStatus::Erased);
        });
    }

    #[test]
    fn an_unknown_account_is_none() {
        on_both(|place| {
            assert_eq!(place.after([opened()]).query(|conn| account(conn, &account_id("b"))), None);
        });
    }
}
