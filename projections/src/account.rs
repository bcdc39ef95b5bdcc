//! Reward accounts and what each is owed, per currency in minor units.
//!
//! Won, issued, credited and reversed only grow; what is outstanding follows from them.

use compact_str::CompactString;
use ledger_core::account::AccountEvent;
use ledger_core::ids::AccountId;
use ledger_core::log::decode::LedgerEvent;
use ledger_core::money::{Currency, Money};
use ledger_core::time::Timestamp;

use crate::connection::{Connection, Row, values};
use crate::error::ProjectionError;
use crate::projection::Projection;
use crate::record::Record;
use crate::registry::Fold;
use crate::table::{Rows, table};

const THIS: Projection = Projection::Account;

/// An account. Any of the times may be absent: an account can be excluded or erased before it is opened.
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

/// What holds for an account. The first that applies, in the order erased, closed, excluded, opened.
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
    /// Issued and neither paid nor taken back, in minor units. Below zero is what the customer owes: a
    /// reward paid and then reversed, or paid although reversed.
    pub fn outstanding_minor(&self) -> i64 {
        // Each is at least zero, so the first difference fits; a second that does not is below any real sum.
        (self.issued.minor() - self.credited.minor()).saturating_sub(self.reversed.minor())
    }
}

/// The account of this id.
pub fn account(conn: &Connection, id: &AccountId) -> Result<Option<AccountRow>, ProjectionError> {
    let found = conn.row(
        "SELECT account_id, enrolled_at, closed_at, excluded_at, erased_at FROM accounts WHERE account_id = $1",
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
         WHERE account_id = $1 ORDER BY currency",
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

table! {
    /// An account.
    Stored in "accounts", key 1, by (account_id: CompactString) {
        account_id: CompactString,
        enrolled_at: Option<Timestamp>,
        closed_at: Option<Timestamp>,
        excluded_at: Option<Timestamp>,
        erased_at: Option<Timestamp>,
    }
}

table! {
    /// A balance.
    Balance in "balances", key 2, by (account_id: CompactString, currency: Currency) {
        account_id: CompactString,
        currency: Currency,
        won_minor: i64,
        issued_minor: i64,
        credited_minor: i64,
        reversed_minor: i64,
    }
}

/// The accounts and balances of a page.
pub(crate) struct Accounts {
    accounts: Rows<Stored>,
    balances: Rows<Balance>,
}

/// What an event changes.
enum Change {
    /// One of the account's times.
    Set(fn(&mut Stored) -> &mut Option<Timestamp>, Option<Timestamp>),
    /// A balance.
    Add(fn(&mut Balance) -> &mut i64, Vec<Money>),
    Nothing,
}

fn change(event: &LedgerEvent) -> Change {
    let event = match event {
        LedgerEvent::Account(event) => event,
        // No event of another stream is about one account.
        LedgerEvent::Campaign(_) | LedgerEvent::System(_) => return Change::Nothing,
    };
    match event {
        AccountEvent::AccountOpened { enrolled_at } => {
            Change::Set(|a| &mut a.enrolled_at, Some(*enrolled_at))
        }
        AccountEvent::AccountClosed { closed_at, .. } => Change::Set(|a| &mut a.closed_at, Some(*closed_at)),
        AccountEvent::AccountExcluded { excluded_at, .. } => {
            Change::Set(|a| &mut a.excluded_at, Some(*excluded_at))
        }
        AccountEvent::AccountReinstated { .. } => Change::Set(|a| &mut a.excluded_at, None),
        AccountEvent::PersonalDataErased { erased_at } => Change::Set(|a| &mut a.erased_at, Some(*erased_at)),
        AccountEvent::TransactionEvaluated { draws, .. } => {
            Change::Add(|b| &mut b.won_minor, draws.iter().filter_map(|d| d.amount).collect())
        }
        AccountEvent::RewardIssued { amount, .. } => Change::Add(|b| &mut b.issued_minor, vec![*amount]),
        AccountEvent::RewardCredited { amount, .. } => Change::Add(|b| &mut b.credited_minor, vec![*amount]),
        AccountEvent::RewardReversed { amount, .. } => Change::Add(|b| &mut b.reversed_minor, vec![*amount]),
        AccountEvent::TransactionNoted { .. }
        | AccountEvent::TransactionDeferred { .. }
        | AccountEvent::TransactionLinked { .. }
        | AccountEvent::TransactionRemoved { .. }
        | AccountEvent::ReviewProposed { .. }
        | AccountEvent::TransactionReviewed { .. }
        | AccountEvent::CustomerNotified { .. }
        | AccountEvent::CreditRequested { .. }
        | AccountEvent::CreditFailed { .. } => Change::Nothing,
    }
}

impl Fold for Accounts {
    fn load(conn: &Connection, page: &[Record]) -> Result<Self, ProjectionError> {
        let (mut accounts, mut balances) = (vec![], vec![]);
        for record in page {
            let id = &record.stream_id;
            match change(&record.event) {
                Change::Set(..) => accounts.push((id.clone(),)),
                Change::Add(_, amounts) => {
                    balances.extend(amounts.iter().map(|amount| (id.clone(), amount.currency())));
                }
                Change::Nothing => {}
            }
        }
        Ok(Accounts { accounts: Rows::load(conn, accounts)?, balances: Rows::load(conn, balances)? })
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        let account_id = &record.stream_id;
        match change(&record.event) {
            Change::Set(column, at) => {
                let new = || Stored {
                    account_id: account_id.clone(),
                    enrolled_at: None,
                    closed_at: None,
                    excluded_at: None,
                    erased_at: None,
                };
                *column(self.accounts.slot((account_id.clone(),)).get_or_insert_with(new)) = at;
            }
            Change::Add(sum, amounts) => {
                for amount in amounts {
                    let (account_id, currency) = (account_id.clone(), amount.currency());
                    let slot = self.balances.slot((account_id.clone(), currency));
                    let balance = slot.get_or_insert(Balance {
                        account_id,
                        currency,
                        won_minor: 0,
                        issued_minor: 0,
                        credited_minor: 0,
                        reversed_minor: 0,
                    });
                    THIS.add(sum(balance), amount.minor(), record.position)?;
                }
            }
            Change::Nothing => {}
        }
        Ok(())
    }

    fn write(self, conn: &Connection) -> Result<(), ProjectionError> {
        self.accounts.write(conn)?;
        self.balances.write(conn)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::*;
    use crate::projection::Contradiction;

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
