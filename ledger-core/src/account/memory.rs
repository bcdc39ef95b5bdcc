//! What an account remembers of its decided lines for rules about repetition: when they were
//! booked, what was spent, where. Bounded, and from events alone.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::account::event::Line;
use crate::campaign::rules::VELOCITY_COUNT_MAX;
use crate::ids::MerchantTag;
use crate::keys::{AmountKey, SealedAmount};
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// How many decided lines an account remembers, those booked last: what a rule can count and add up
/// within some hours.
pub const BOOKED_MAX: usize = VELOCITY_COUNT_MAX as usize;

/// How many merchants an account remembers; the one not seen for longest is forgotten first, and
/// counts as new.
pub const MERCHANTS_MAX: usize = 256;

/// Of decided lines of any campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// In order of their booking times.
    pub(super) booked: VecDeque<Booked>,
    /// The latest booking time of those that are forgotten: what is asked of hours before it has no
    /// answer.
    pub(super) forgotten: Option<Timestamp>,
    /// Merchants of purchases, the latest last.
    pub(super) merchants: VecDeque<MerchantTag>,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Booked {
    pub(super) at: Timestamp,
    /// What a purchase cost; `None` for what was none, and in events of earlier releases.
    pub(super) spent: Option<SealedAmount>,
}

impl Memory {
    pub(super) fn remember(&mut self, line: &Line) {
        self.remember_booking(Booked { at: line.booked_at, spent: line.spent });
        if let Some(merchant) = line.merchant {
            self.remember_merchant(merchant);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.booked.capacity() * size_of::<Booked>() + self.merchants.capacity() * size_of::<MerchantTag>()
    }

    /// When something was booked is not personal.
    pub(super) fn erase(&mut self) {
        self.merchants.clear();
        self.booked.iter_mut().for_each(|line| line.spent = None);
    }

    fn remember_booking(&mut self, line: Booked) {
        if self.booked.len() == BOOKED_MAX {
            let first = self.booked.front().map(|first| first.at).filter(|first| *first <= line.at);
            self.forgotten = self.forgotten.max(Some(first.unwrap_or(line.at)));
            // Full of later ones: there is no place for it.
            if first.is_none() {
                return;
            }
            self.booked.pop_front();
        } else if self.booked.len() == self.booked.capacity() {
            // Most accounts have a line or two: no room for four.
            self.booked.reserve_exact(self.booked.len().max(1));
        }
        let place = self.upto(line.at);
        self.booked.insert(place, line);
    }

    fn remember_merchant(&mut self, merchant: MerchantTag) {
        if self.merchants.back() == Some(&merchant) {
            return;
        }
        if let Some(seen) = self.merchants.iter().position(|known| *known == merchant) {
            self.merchants.remove(seen);
        } else if self.merchants.len() == MERCHANTS_MAX {
            self.merchants.pop_front();
        }
        self.merchants.push_back(merchant);
    }

    /// How many were booked until `time`.
    fn upto(&self, time: Timestamp) -> usize {
        self.booked.partition_point(|line| line.at <= time)
    }

    /// Those booked after `after` and until `until`.
    fn between(&self, after: Timestamp, until: Timestamp) -> Range<usize> {
        let end = self.upto(until);
        self.upto(after).min(end)..end
    }

    pub(super) fn count(&self, after: Timestamp, until: Timestamp) -> usize {
        self.between(after, until).len()
    }

    /// Booking times after `after` and before `before`.
    pub(super) fn times(&self, after: Timestamp, before: Timestamp) -> Vec<Timestamp> {
        let later = self.booked.range(self.upto(after)..).map(|line| line.at);
        later.take_while(|at| *at < before).collect()
    }
}

/// What an account's purchases cost, opened as rules ask for it: each amount once, whatever asks
/// how often.
pub struct Opened<'a> {
    memory: &'a Memory,
    key: &'a AmountKey,
    amounts: OnceLock<Vec<OnceLock<Option<Money>>>>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(memory: &'a Memory, key: &'a AmountKey) -> Opened<'a> {
        Opened { memory, key, amounts: OnceLock::new() }
    }

    /// What purchases in this currency came to; `None` where one of them does not open.
    pub(super) fn spent(&self, after: Timestamp, until: Timestamp, currency: Currency) -> Option<i64> {
        let mut sum = 0_i64;
        for index in self.memory.between(after, until) {
            let Some(sealed) = &self.memory.booked[index].spent else { continue };
            let amount = self.amount(index, sealed)?;
            if amount.currency() == currency {
                sum = sum.saturating_add(amount.minor());
            }
        }
        Some(sum)
    }

    fn amount(&self, index: usize, sealed: &SealedAmount) -> Option<Money> {
        let amounts =
            self.amounts.get_or_init(|| self.memory.booked.iter().map(|_| OnceLock::new()).collect());
        *amounts[index].get_or_init(|| self.key.open(sealed))
    }
}
