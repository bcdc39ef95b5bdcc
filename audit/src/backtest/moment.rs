//! What rules about wins may ask besides, as it was when a transaction came: each seed asks it
//! again with wins of its own.

use chrono::{Datelike as _, NaiveDate};
use compact_str::CompactString;

use ledger_core::account::RewardAccount;
use ledger_core::account::command::{Offer, PreparedTransaction};
use ledger_core::campaign::rules::{History, MerchantFacts, Subject, Won};
use ledger_core::campaign::terms::Terms;
use ledger_core::money::{Currency, Money};
use ledger_core::time::{HOUR_MICROS, Timestamp};
use ledger_core::transaction::{BookedAt, Mcc};
use ledger_core::zone::Clocks;

/// What rules about wins may ask of a line besides, as it was when the line came.
pub(super) struct Moment {
    booked: BookedAt,
    clocks: Clocks,
    enrolled_at: Timestamp,
    amount: Money,
    is_purchase: bool,
    in_currency: bool,
    merchant: Option<Merchant>,
    /// Lines before it within each of [`WINDOWS`].
    transactions: [u32; 3],
    /// What purchases in the line's currency came to within the same, where a rule about wins asks
    /// that too.
    spent: [Option<i64>; 3],
    knows_merchant: bool,
}

struct Merchant {
    id: Option<CompactString>,
    mcc: Option<Mcc>,
    country: Option<CompactString>,
}

/// The windows that expressions know, in hours.
const WINDOWS: [i64; 3] = [1, 24, 168];

impl Moment {
    pub(super) fn of(account: &RewardAccount, transaction: &PreparedTransaction, offer: &Offer) -> Moment {
        let terms = &*offer.terms;
        let PreparedTransaction { line, facts, .. } = transaction;
        let opened = account.opened(transaction);
        let past = account.past(&terms.campaign_id, line, &opened);
        let (until, amount) = (line.booked_at, *facts.amount.expose());
        let after = |hours: i64| until.plus_micros(-hours * HOUR_MICROS);
        // Opened for those who ask alone.
        let asked = terms.rules.compiled().wins_and_spending_matter();
        let spent =
            |hours: i64| if asked { past.spent(after(hours), until, amount.currency()) } else { None };
        let text = |text: Option<&str>| text.map(CompactString::from);
        Moment {
            booked: line.booked(),
            clocks: offer.clocks().clone(),
            enrolled_at: account.enrolled_at().unwrap_or(line.booked_at),
            amount,
            is_purchase: facts.is_purchase(),
            in_currency: facts.in_currency_of(terms),
            merchant: facts.merchant().map(|m| Merchant {
                id: text(m.id),
                mcc: m.mcc,
                country: text(m.country),
            }),
            transactions: WINDOWS.map(|hours| past.transactions(after(hours), until)),
            spent: WINDOWS.map(spent),
            knows_merchant: past.knows_merchant(),
        }
    }

    pub(super) fn subject<'a>(&'a self, terms: &Terms, history: &'a Simulated<'a>) -> Subject<'a> {
        Subject {
            booked: self.booked,
            enrolled_at: self.enrolled_at,
            clocks: &self.clocks,
            nights_begin: terms.nights_begin(),
            amount: self.amount,
            is_purchase: self.is_purchase,
            in_currency: self.in_currency,
            merchant: self.merchant.as_ref().map(|merchant| MerchantFacts {
                id: merchant.id.as_deref(),
                mcc: merchant.mcc,
                country: merchant.country.as_deref(),
            }),
            history,
        }
    }
}

/// The past as it is, but for the wins of this seed.
pub(super) struct Simulated<'a> {
    pub(super) moment: &'a Moment,
    pub(super) wins: &'a [(NaiveDate, i64)],
}

impl History for Simulated<'_> {
    fn won(&self, first: NaiveDate, last: NaiveDate) -> Won {
        let wins = self.wins.iter().filter(|(day, _)| (first..=last).contains(day));
        wins.fold(Won::default(), |sum, (_, minor)| sum.plus(1, *minor))
    }

    fn transactions(&self, after: Timestamp, until: Timestamp) -> u32 {
        window(after, until).map_or(0, |window| self.moment.transactions[window])
    }

    fn spent(&self, after: Timestamp, until: Timestamp, _: Currency) -> Option<i64> {
        self.moment.spent[window(after, until)?]
    }

    /// Asked by rules that do not look at wins alone.
    fn later(&self, _: Timestamp, _: Timestamp) -> Vec<Timestamp> {
        vec![]
    }

    fn has_forgotten(&self, _: Timestamp) -> bool {
        false
    }

    fn knows_merchant(&self) -> bool {
        self.moment.knows_merchant
    }
}

/// Which of [`WINDOWS`] it is.
fn window(after: Timestamp, until: Timestamp) -> Option<usize> {
    WINDOWS.iter().position(|hours| until.micros() - after.micros() == hours * HOUR_MICROS)
}

/// A day of the campaign's calendar, counted from the common era.
pub(super) fn local_day(booked: BookedAt, clocks: &Clocks) -> i32 {
    booked.day(clocks).num_days_from_ce()
}
