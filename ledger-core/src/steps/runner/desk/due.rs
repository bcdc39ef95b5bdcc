//! Rows that are due: read from the table, their items found in the log again.

use std::collections::VecDeque;

use super::{CHANGES_MAX, Desk, Job, Lane, Meta, UNREADABLE};
use crate::event::decode;
use crate::faults;
use crate::log::{EventLog, LogError, Position, StoredEvent};
use crate::steps::items::ItemRow;
use crate::steps::runner::{NO_LOG, NO_ROWS, StepError};
use crate::steps::step::{Ended, Step};
use crate::steps::store::StepStore;

/// Events read at once to find those of rows that are due: rows of one day stand together.
const NEAR: u64 = 256;
/// When to look again after a fault, in microseconds.
const LATER: i64 = 1_000_000;

impl<Item> Desk<Item> {
    /// Whether rows may be due that are not in hand.
    pub(in crate::steps::runner) fn wants_due(&self) -> bool {
        self.due.is_empty() && self.changes.len() < CHANGES_MAX && self.soonest <= self.clock.now()
    }

    /// Takes rows that are due in hand, and finds their items in the log.
    pub(in crate::steps::runner) async fn load_due<S: Step<Item = Item>>(
        &mut self,
        step: &S,
        log: &dyn EventLog,
        step_store: &dyn StepStore,
    ) -> Result<(), StepError> {
        let wanted = self.limits.again * self.limits.batch;
        let limit = wanted + self.live.len() + self.unsaved.len();
        let now = self.clock.now();
        // Asked again, at the earliest, when one may be due.
        self.soonest = now.saturating_add(LATER);
        let rows = match step_store.waiting(self.step, limit).await {
            Ok(rows) => rows,
            Err(error) => {
                faults::warn(NO_ROWS, "", &error);
                return Ok(());
            }
        };
        let all = rows.len() < limit;
        let is_due = |row: &ItemRow| row.next_at <= now || self.is_absurd(row.next_at, now);
        let first_later = rows.iter().find(|row| !is_due(row)).map(|row| row.next_at);
        let mut rows: Vec<ItemRow> = rows
            .into_iter()
            .filter(|row| is_due(row) && !self.live.contains(&row.id) && !self.unsaved.contains(&row.id))
            .take(wanted)
            .collect();
        self.soonest = match first_later {
            _ if rows.len() == wanted => now,
            Some(later) => later,
            None if all => i64::MAX,
            None => now,
        };
        rows.sort_by_key(|row| row.position);
        if let Err(error) = self.find_items(step, log, rows).await {
            self.soonest = now.saturating_add(LATER);
            if !error.transient() {
                return Err(StepError::Log { step: self.step, source: error });
            }
            faults::warn(NO_LOG, "", &error);
        }
        Ok(())
    }

    /// A pause that no policy makes: the clock was wrong when the row was written.
    fn is_absurd(&self, next_at: i64, now: i64) -> bool {
        let longest = i64::try_from(self.limits.backoff.longest.as_micros()).unwrap_or(i64::MAX);
        next_at.saturating_sub(now) > longest.saturating_mul(2)
    }

    async fn find_items<S: Step<Item = Item>>(
        &mut self,
        step: &S,
        log: &dyn EventLog,
        rows: Vec<ItemRow>,
    ) -> Result<(), LogError> {
        let last = rows.last().map_or(0, |row| row.position);
        let mut page: VecDeque<StoredEvent> = VecDeque::new();
        for row in rows {
            while page.front().is_some_and(|stored| stored.position.0 < row.position) {
                page.pop_front();
            }
            if page.front().is_none_or(|stored| stored.position.0 != row.position) {
                // Rows of one day stand together.
                let near = (last - row.position + 1).min(NEAR);
                let near = usize::try_from(near).unwrap_or(1);
                page = log.read_after(Position(row.position - 1), near).await?.into();
            }
            let stored = page.front().filter(|stored| stored.position.0 == row.position);
            self.find_item(step, stored, row);
        }
        Ok(())
    }

    fn find_item<S: Step<Item = Item>>(&mut self, step: &S, stored: Option<&StoredEvent>, row: ItemRow) {
        let wakes = self.wakes;
        let Some(stored) = stored else {
            let reason = "the log has no such event: these rows belong to another ledger";
            return self.ended(Meta::of_row(row), Ended::parked(reason), wakes);
        };
        let event = match decode(stored) {
            Ok(event) => event,
            Err(error) => return self.ended(Meta::of_row(row), Ended::parked(error.to_string()), wakes),
        };
        let mut items = step.items(stored, event);
        if row.key == UNREADABLE {
            // It can be read now: each of its items is due.
            let now = self.clock.now();
            for item in &items {
                let meta = Meta::of(self.step, stored, step.key(item));
                let again = Meta { lane: Lane::Again, ..meta };
                self.ended(again, Ended::again("its event could not be read before"), wakes);
            }
            self.soonest = self.soonest.min(now);
            return self.ended(Meta::of_row(row), Ended::Done, wakes);
        }
        match items.iter().position(|item| step.key(item) == row.key) {
            Some(index) => {
                let (item, meta) = (items.swap_remove(index), Meta::of_row(row));
                self.live.insert(meta.id.clone());
                self.due.push_back(Job { meta, item });
            }
            None => self.ended(Meta::of_row(row), Ended::parked("its event makes no such work"), wakes),
        }
    }
}
