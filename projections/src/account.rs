//! Reward accounts and what each is owed, per currency in minor units.
//!
//! Won, issued, credited and reversed only grow; what is outstanding follows from them.

use ledger_core::account::AccountEvent;
use ledger_core::ids::AccountId;
use ledger_core::money::{Currency, Money};
use ledger_core::time::Timestamp;

use crate::column::Column as _;
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::fold::{Event, Fold, Record};
use crate::projection::Projection;
use crate::table::{Rows, TableRow as _, TableRows, table};

const THIS: Projection = Projection::Account;

table! {
    /// An account. Any of the times may be absent: an account can be excluded or erased before it
    /// is opened.
    pub AccountRow in "accounts", key 1, by (account_id: AccountId) {
        /// Its pseudonym.
        account_id: AccountId,
        /// Since when it takes part.
        enrolled_at: Option<Timestamp>,
        /// Since when it accepts nothing new.
        closed_at: Option<Timestamp>,
        /// Since when it enters no draw; absent after it was reinstated.
        excluded_at: Option<Timestamp>,
        /// When its personal details were destroyed.
        erased_at: Option<Timestamp>,
    }
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

table! {
    /// Running totals of one account in one currency, in minor units.
    pub BalanceRow in "balances", key 2, by (account_id: AccountId, currency: Currency) {
        /// Whose.
        account_id: AccountId,
        /// Of all amounts.
        currency: Currency,
        /// Decided.
        won_minor: i64,
        /// Booked as a liability.
        issued_minor: i64,
        /// Paid.
        credited_minor: i64,
        /// Taken back, paid or not.
        reversed_minor: i64,
    }
}

impl BalanceRow {
    /// Issued and neither paid nor taken back, in minor units. Below zero is what the customer
    /// owes: a reward paid and then reversed, or paid although reversed.
    pub fn outstanding_minor(&self) -> i64 {
        // Each is at least zero, so the first difference fits; a second that does not is below any
        // real sum.
        (self.issued_minor - self.credited_minor).saturating_sub(self.reversed_minor)
    }
}

/// The account of this id.
pub fn account(conn: &Connection, id: &AccountId) -> Result<Option<AccountRow>, ProjectionError> {
    AccountRow::find(conn, "WHERE account_id = $1", &values![id])
}

/// An account's balances, by currency code. None before its first win.
pub fn balances(conn: &Connection, id: &AccountId) -> Result<Vec<BalanceRow>, ProjectionError> {
    BalanceRow::select(conn, "WHERE account_id = $1 ORDER BY currency", &values![id])
}

/// The accounts and balances of a page.
#[derive(Default)]
pub(crate) struct Accounts {
    accounts: Rows<AccountRow>,
    balances: Rows<BalanceRow>,
}

impl Fold for Accounts {
    fn tables(&mut self) -> Vec<&mut dyn TableRows> {
        vec![&mut self.accounts, &mut self.balances]
    }

    fn name(&mut self, record: &Record) {
        let Event::Account(id, event) = &record.event else { return };
        match event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                let won = draws.iter().filter_map(|draw| draw.amount);
                won.for_each(|won| self.balances.name((id.clone(), won.currency())));
            }
            AccountEvent::RewardIssued { amount, .. }
            | AccountEvent::RewardCredited { amount, .. }
            | AccountEvent::RewardReversed { amount, .. } => {
                self.balances.name((id.clone(), amount.currency()));
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::PersonalDataErased { .. } => self.accounts.name(id.clone()),
            _ => {}
        }
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        // No event of another stream is about one account.
        let Event::Account(id, event) = &record.event else { return Ok(()) };
        match event {
            AccountEvent::AccountOpened { enrolled_at } => self.account(id)?.enrolled_at = Some(*enrolled_at),
            AccountEvent::AccountClosed { closed_at, .. } => self.account(id)?.closed_at = Some(*closed_at),
            AccountEvent::AccountExcluded { excluded_at, .. } => {
                self.account(id)?.excluded_at = Some(*excluded_at);
            }
            AccountEvent::AccountReinstated { .. } => self.account(id)?.excluded_at = None,
            AccountEvent::PersonalDataErased { erased_at } => self.account(id)?.erased_at = Some(*erased_at),
            AccountEvent::TransactionEvaluated { draws, .. } => {
                for won in draws.iter().filter_map(|draw| draw.amount) {
                    self.add(record, id, won, |balance| &mut balance.won_minor)?;
                }
            }
            AccountEvent::RewardIssued { amount, .. } => {
                self.add(record, id, *amount, |balance| &mut balance.issued_minor)?;
            }
            AccountEvent::RewardCredited { amount, .. } => {
                self.add(record, id, *amount, |balance| &mut balance.credited_minor)?;
            }
            AccountEvent::RewardReversed { amount, .. } => {
                self.add(record, id, *amount, |balance| &mut balance.reversed_minor)?;
            }
            AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. } => {}
        }
        Ok(())
    }
}

impl Accounts {
    fn account(&mut self, id: &AccountId) -> Result<&mut AccountRow, ProjectionError> {
        let new = || AccountRow {
            account_id: id.clone(),
            enrolled_at: None,
            closed_at: None,
            excluded_at: None,
            erased_at: None,
        };
        Ok(self.accounts.slot(id)?.get_or_insert_with(new))
    }

    fn add(
        &mut self,
        record: &Record,
        id: &AccountId,
        amount: Money,
        total: impl FnOnce(&mut BalanceRow) -> &mut i64,
    ) -> Result<(), ProjectionError> {
        let (account_id, currency) = (id.clone(), amount.currency());
        let slot = self.balances.slot(&(account_id.clone(), currency))?;
        let balance = slot.get_or_insert(BalanceRow {
            account_id,
            currency,
            won_minor: 0,
            issued_minor: 0,
            credited_minor: 0,
            reversed_minor: 0,
        });
        Ok(THIS.add(total(balance), amount.minor(), record.position)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Contradiction;
    use crate::fixtures::*;

    fn balance(place: &Place, events: Vec<AccountEvent>) -> (i64, i64, i64, i64, i64) {
        let balances = place.after(events).query(|conn| balances(conn, &account_id("a")));
        let [b] = &balances[..] else { panic!("one currency: {balances:?}") };
        (b.won_minor, b.issued_minor, b.credited_minor, b.reversed_minor, b.outstanding_minor())
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
