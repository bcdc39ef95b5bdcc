//! What rules look at: a line, who was paid, and what the account remembers.

use chrono::{Datelike, NaiveDate, TimeDelta, Timelike};
use serde::{Deserialize, Serialize};

use super::condition::{Spending, Velocity};
use crate::money::{Currency, Money};
use crate::time::{HOUR_MICROS, Timestamp};
use crate::transaction::{BookedAt, Mcc};
use crate::zone::Clocks;

/// What an account remembers that rules ask for. A port of the campaign, so that it knows no
/// accounts.
pub trait History: Sync {
    /// Wins in the campaign on its local days `first` to `last`.
    fn won(&self, first: NaiveDate, last: NaiveDate) -> Won;

    /// Lines decided before this one that were booked after `after` and until `until`; those of
    /// them that are remembered.
    fn transactions(&self, after: Timestamp, until: Timestamp) -> u32;

    /// What purchases in `currency` decided before this one came to, in minor units, of those
    /// booked after `after` and until `until`; `None` where an amount cannot be opened.
    fn spent(&self, after: Timestamp, until: Timestamp, currency: Currency) -> Option<i64>;

    /// Booking times after `after` and before `before` of lines decided before this one.
    fn later(&self, after: Timestamp, before: Timestamp) -> Vec<Timestamp>;

    /// Whether a line that was booked after `after` was decided before this one and is not
    /// remembered.
    fn has_forgotten(&self, after: Timestamp) -> bool;

    /// Whether a purchase at this line's merchant has been decided before.
    fn knows_merchant(&self) -> bool;
}

/// Wins, and what they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Won {
    /// How many.
    pub wins: u32,
    /// Minor units.
    pub minor: i64,
}

impl Won {
    /// With more wins. Beyond what a number holds it stays there: every limit is reached.
    #[must_use]
    pub fn plus(self, wins: u32, minor: i64) -> Won {
        Won { wins: self.wins.saturating_add(wins), minor: self.minor.saturating_add(minor) }
    }
}

/// What rules look at: one line of one customer, as one campaign sees it.
pub struct Subject<'a> {
    /// When the bank booked it.
    pub booked: BookedAt,
    /// When the customer enrolled.
    pub enrolled_at: Timestamp,
    /// The clocks of the campaign's time zone.
    pub clocks: &'a Clocks,
    /// Whether a window of hours over midnight belongs to the weekday on which it began.
    pub nights_begin: bool,
    /// The line's amount.
    pub amount: Money,
    /// Whether that was spent: no credit, no refund.
    pub is_purchase: bool,
    /// Whether the amount is in the campaign's currency: bounds in another would compare pounds
    /// with yen.
    pub in_currency: bool,
    /// Who was paid.
    pub merchant: Option<MerchantFacts<'a>>,
    /// What went before.
    pub history: &'a dyn History,
}

/// Who was paid, as far as the line says.
#[derive(Clone, Copy, Default)]
pub struct MerchantFacts<'a> {
    /// The feed's id of the merchant.
    pub id: Option<&'a str>,
    /// Its category.
    pub mcc: Option<Mcc>,
    /// Its country, two letters.
    pub country: Option<&'a str>,
}

/// The booking time on the campaign's clocks.
#[derive(Clone, Copy)]
pub(super) struct Local {
    pub(super) day: NaiveDate,
    /// 0 is Monday.
    pub(super) weekday: usize,
    /// Where the bank says the time.
    pub(super) hour: Option<usize>,
}

impl Local {
    pub(super) fn of(subject: &Subject<'_>) -> Local {
        let BookedAt { at, time_known } = subject.booked;
        let day = subject.booked.day(subject.clocks);
        let hour = time_known.then(|| subject.clocks.local(at).hour() as usize);
        Local { day, weekday: day.weekday().num_days_from_monday() as usize, hour }
    }
}

impl Subject<'_> {
    pub(super) fn won(&self, local: Local, period: Period) -> Won {
        let day = local.day;
        // The ends of the calendar are no booking days, but a total function needs an answer there
        // too.
        let shifted = |days: i64| day.checked_add_signed(TimeDelta::days(days)).unwrap_or(day);
        let (before, after) = match period {
            Period::Day => (0, 0),
            Period::Week => (i64::from(day.weekday().num_days_from_monday()), 6),
            Period::Month => (i64::from(day.day0()), i64::from(day.num_days_in_month()) - 1),
        };
        let (first, last) = (shifted(-before), shifted(after - before));
        self.history.won(first, last)
    }

    /// Whole days; none for a line booked before enrolment.
    pub(super) fn age_days(&self) -> i64 {
        self.booked.days_since(self.enrolled_at, self.clocks)
    }

    /// In the hours up to its booking, this line included.
    pub(super) fn transactions(&self, hours: u32) -> u32 {
        self.transactions_until(self.booked.at, hours)
    }

    /// The same of purchases, in the line's currency and minor units; `None` where an amount cannot
    /// be opened.
    pub(super) fn spent(&self, hours: u32) -> Option<i64> {
        self.spent_until(self.booked.at, hours)
    }

    pub(super) fn transacts_at_most(&self, most: Velocity) -> bool {
        self.remembers(most.hours)
            && self.ends(most.hours).all(|end| self.transactions_until(end, most.hours) <= most.count)
    }

    /// `None` where an amount cannot be opened.
    pub(super) fn spends_at_most(&self, most: Spending) -> Option<bool> {
        if !self.in_currency || !self.is_purchase {
            return Some(true);
        }
        if !self.remembers(most.hours) {
            return Some(false);
        }
        for end in self.ends(most.hours) {
            if self.spent_until(end, most.hours)? > most.minor {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Whether nothing is forgotten that may lie within so many hours together with this line.
    fn remembers(&self, hours: u32) -> bool {
        !self.history.has_forgotten(before(self.booked.at, hours))
    }

    /// When those hours end in which this line lies: at its own booking, and at that of lines
    /// booked later that came before it. So no hours hold more than a rule allows, in whatever
    /// order their lines come.
    fn ends(&self, hours: u32) -> impl Iterator<Item = Timestamp> {
        let booked_at = self.booked.at;
        let next = booked_at.plus_micros(micros(hours));
        std::iter::once(booked_at).chain(self.history.later(booked_at, next))
    }

    fn transactions_until(&self, end: Timestamp, hours: u32) -> u32 {
        self.history.transactions(before(end, hours), end).saturating_add(1)
    }

    fn spent_until(&self, end: Timestamp, hours: u32) -> Option<i64> {
        let others = self.history.spent(before(end, hours), end, self.amount.currency())?;
        Some(if self.is_purchase { others.saturating_add(self.amount.minor()) } else { others })
    }
}

fn before(time: Timestamp, hours: u32) -> Timestamp {
    time.plus_micros(-micros(hours))
}

fn micros(hours: u32) -> i64 {
    i64::from(hours) * HOUR_MICROS
}

#[derive(Clone, Copy)]
pub(super) enum Period {
    Day,
    Week,
    Month,
}
