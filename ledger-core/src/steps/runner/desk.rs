//! What a step has in hand: items just read, rows that are due, and what is to be written with the
//! next move of its cursor.

mod due;
mod monotonic;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{NO_ROWS, gauge};
use crate::faults;
use crate::log::{LogError, Position, StoredEvent};
use crate::steps::items::{Act, Change, ItemRow, ItemState, Proposed};
use crate::steps::step::{Ended, Limits, Wakes};
use crate::steps::store::StepStore;
use crate::system::ParkedAction;
use monotonic::Monotonic;

/// Changes that wait to be written; beyond it nothing new is begun.
const CHANGES_MAX: usize = 2_000;
/// Changes that are written before the next tick.
const CHANGES_MANY: usize = 1_000;
/// The key of an event that could not be read: none of its items is known.
const UNREADABLE: &str = "event";
/// The longest reason of a row, in characters.
const REASON_MAX: usize = 500;

/// Which share of the tries an item belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Just read.
    Fresh,
    /// Has a row.
    Again,
}

/// An item in hand.
pub(super) struct Job<Item> {
    pub(super) meta: Meta,
    pub(super) item: Item,
}

/// What is known of an item beside itself.
pub(super) struct Meta {
    id: String,
    position: Position,
    account: String,
    key: String,
    pub(super) attempts: u32,
    since: Option<i64>,
    wakes: String,
    about: Option<u32>,
    pub(super) act: Option<Act>,
    decided: u64,
    lane: Lane,
}

/// Everything in hand.
pub(super) struct Desk<Item> {
    step: &'static str,
    limits: Limits,
    read: Position,
    saved: Position,
    fresh: VecDeque<Job<Item>>,
    due: VecDeque<Job<Item>>,
    /// Ids in one of the queues or being tried.
    live: HashSet<String>,
    /// What was decided about items while they were in hand.
    acts: HashMap<String, (Act, Position)>,
    /// Items read after the cursor that are neither done nor written, by place.
    under_way: BTreeMap<Position, usize>,
    changes: Vec<Change>,
    /// Ids whose rows are about to change.
    unsaved: HashSet<String>,
    /// Places of items that are rows once the changes are written.
    settling: Vec<Position>,
    flush_due: bool,
    /// When the first waiting row that is not in hand is due.
    soonest: i64,
    /// Wakes read so far: a try that began before one may have missed what it tells.
    wakes: u64,
    clock: Monotonic,
}

impl<Item> Desk<Item> {
    pub(super) fn new(step: &'static str, limits: Limits, saved: Position) -> Desk<Item> {
        Desk {
            step,
            limits,
            read: saved,
            saved,
            fresh: VecDeque::new(),
            due: VecDeque::new(),
            live: HashSet::new(),
            acts: HashMap::new(),
            under_way: BTreeMap::new(),
            changes: vec![],
            unsaved: HashSet::new(),
            settling: vec![],
            flush_due: false,
            soonest: i64::MIN,
            wakes: 0,
            clock: Monotonic::start(),
        }
    }

    pub(super) fn step(&self) -> &'static str {
        self.step
    }

    pub(super) fn read(&self) -> Position {
        self.read
    }

    pub(super) fn has_read(&mut self, position: Position) {
        self.read = position;
    }

    pub(super) fn wakes(&self) -> u64 {
        self.wakes
    }

    /// Whether another page may be read.
    pub(super) fn has_room(&self) -> bool {
        self.fresh.len() < self.limits.fresh * self.limits.batch && self.changes.len() < CHANGES_MANY
    }

    /// Whether items wait for a place in this lane.
    pub(super) fn waits(&self, lane: Lane) -> bool {
        match lane {
            Lane::Fresh => !self.fresh.is_empty(),
            Lane::Again => !self.due.is_empty() || self.soonest <= self.clock.now(),
        }
    }

    /// The next items to be tried together.
    pub(super) fn next(&mut self, lane: Lane, batch: usize) -> Vec<Job<Item>> {
        if self.changes.len() >= CHANGES_MAX {
            return vec![];
        }
        let queue = match lane {
            Lane::Fresh => &mut self.fresh,
            Lane::Again => &mut self.due,
        };
        let count = queue.len().min(batch);
        queue.drain(..count).collect()
    }

    /// An item that has just been read. What has to wait becomes a row at once.
    pub(super) fn fresh(&mut self, stored: &StoredEvent, key: String, waits_for: Option<String>, item: Item) {
        let meta = Meta::of(self.step, stored, key);
        *self.under_way.entry(stored.position).or_insert(0) += 1;
        self.live.insert(meta.id.clone());
        match waits_for {
            None => self.fresh.push_back(Job { meta, item }),
            Some(wakes) => {
                let (meta, wakes_read) = (Meta { wakes, ..meta }, self.wakes);
                self.ended(meta, Ended::again("its day is not open yet"), wakes_read);
            }
        }
    }

    /// An event that cannot be understood: a person looks at it.
    pub(super) fn unreadable(&mut self, stored: &StoredEvent, error: &LogError) {
        let meta = Meta::of(self.step, stored, UNREADABLE.into());
        *self.under_way.entry(stored.position).or_insert(0) += 1;
        let wakes = self.wakes;
        self.ended(meta, Ended::parked(error.to_string()), wakes);
    }

    /// Whoever waits for this is due.
    pub(super) fn wake(&mut self, wakes: Wakes) {
        self.wakes += 1;
        let wakes = match wakes {
            Wakes::Those(wakes) => Some(wakes),
            Wakes::All => None,
        };
        let now = self.clock.now();
        self.changes.push(Change::Wake { wakes, now });
        self.flush_due = true;
    }

    /// A person has decided about an item of this step.
    pub(super) fn resolved(&mut self, step: &str, id: String, act: Act, at: Position) {
        if step != self.step {
            return;
        }
        if self.live.contains(&id) {
            self.acts.insert(id, (act, at));
        } else {
            let (now, decided) = (self.clock.now(), at.0);
            self.changes.push(Change::Act { id, act, decided, now });
            self.flush_due = true;
        }
    }

    /// A person has proposed something about an item of this step.
    pub(super) fn proposed(&mut self, step: &str, id: String, action: ParkedAction, by: String) {
        if step == self.step {
            self.changes.push(Change::Propose { id, proposed: Proposed { action, by } });
            self.flush_due = true;
        }
    }

    /// How an item ended. `wakes`: how many wakes had been read when its try began.
    pub(super) fn ended(&mut self, meta: Meta, ended: Ended, wakes: u64) {
        let now = self.clock.now();
        self.live.remove(&meta.id);
        let act = self.acts.remove(&meta.id);
        let Meta {
            id,
            position,
            account,
            key,
            attempts,
            since,
            wakes: waits_for,
            about,
            act: given,
            decided,
            lane,
        } = meta;
        let missed_a_wake = wakes != self.wakes;
        let mut row = ItemRow {
            id,
            step: self.step.into(),
            position: position.0,
            account,
            key,
            state: ItemState::Waiting,
            attempts: attempts.saturating_add(1),
            next_at: now,
            reason: String::new(),
            since: since.unwrap_or(now),
            wakes: waits_for,
            about,
            act: given,
            proposed: None,
            decided,
        };
        match ended {
            Ended::Done => {
                match lane {
                    Lane::Fresh => self.settled(position),
                    Lane::Again => {
                        self.unsaved.insert(row.id.clone());
                        self.changes.push(Change::Remove(row.id));
                    }
                }
                return;
            }
            Ended::Again { reason } => {
                row.reason = plain(&reason);
                if !missed_a_wake {
                    let pause = self.limits.backoff.pause(row.attempts);
                    row.next_at += i64::try_from(pause.as_micros()).unwrap_or(i64::MAX / 2);
                }
            }
            Ended::Parked { reason, about } => {
                row.reason = plain(&reason);
                (row.state, row.about, row.act) = (ItemState::Parked, about, None);
                tracing::error!(step = self.step, item = row.id, reason = row.reason, "an item is parked");
                metrics::counter!("rewardhub_step_parked_total", "step" => self.step).increment(1);
            }
        }
        if let Some((act, at)) = act {
            (row.state, row.act, row.attempts, row.next_at) = (ItemState::Waiting, Some(act), 0, now);
            row.decided = at.0;
        }
        if lane == Lane::Fresh {
            self.settling.push(position);
        }
        self.put(row);
    }

    fn put(&mut self, row: ItemRow) {
        self.unsaved.insert(row.id.clone());
        self.changes.push(Change::Put(Box::new(row)));
        self.flush_due |= self.changes.len() >= CHANGES_MANY;
    }

    fn settled(&mut self, position: Position) {
        if let Some(left) = self.under_way.get_mut(&position) {
            *left -= 1;
            if *left == 0 {
                self.under_way.remove(&position);
            }
        }
    }

    pub(super) fn flush_soon(&mut self) {
        self.flush_due = true;
    }

    pub(super) fn is_flush_due(&self) -> bool {
        self.flush_due
    }

    /// Writes rows and cursor. What cannot be written is tried again; until then nothing new is
    /// begun beyond a bound.
    pub(super) async fn flush(&mut self, step_store: &dyn StepStore) {
        self.flush_due = false;
        let settling = std::mem::take(&mut self.settling);
        for position in &settling {
            self.settled(*position);
        }
        let done = self.under_way.first_key_value().map_or(self.read, |(oldest, _)| Position(oldest.0 - 1));
        if self.changes.is_empty() && done == self.saved {
            return;
        }
        match step_store.commit(self.step, done, &self.changes).await {
            Ok(()) => {
                faults::over(NO_ROWS);
                self.saved = done;
                self.unsaved.clear();
                for change in self.changes.drain(..) {
                    let due = match change {
                        Change::Put(row) if row.state == ItemState::Waiting => row.next_at,
                        Change::Wake { now, .. } | Change::Act { now, .. } => now,
                        Change::Put(_) | Change::Remove(_) | Change::Propose { .. } => continue,
                    };
                    self.soonest = self.soonest.min(due);
                }
            }
            // It costs time at the next start, nothing else.
            Err(error) => {
                faults::warn(NO_ROWS, "", &error);
                for position in &settling {
                    *self.under_way.entry(*position).or_insert(0) += 1;
                }
                self.settling.extend(settling);
            }
        }
        gauge("rewardhub_step_position", self.step, self.saved.0);
    }

    /// Tells how many items are not done.
    pub(super) async fn count(&self, step_store: &dyn StepStore) {
        if let Ok(counts) = step_store.count_items(self.step).await {
            gauge("rewardhub_step_waiting", self.step, counts.waiting);
            gauge("rewardhub_step_parked", self.step, counts.parked);
        }
    }
}

impl Meta {
    fn of(step: &str, stored: &StoredEvent, key: String) -> Meta {
        Meta {
            id: format!("{step}:{}:{key}", stored.position),
            position: stored.position,
            account: stored.stream.id.to_string(),
            key,
            attempts: 0,
            since: None,
            wakes: String::new(),
            about: None,
            act: None,
            decided: 0,
            lane: Lane::Fresh,
        }
    }

    fn of_row(row: ItemRow) -> Meta {
        Meta {
            id: row.id,
            position: Position(row.position),
            account: row.account,
            key: row.key,
            attempts: row.attempts,
            since: Some(row.since),
            wakes: row.wakes,
            about: row.about,
            act: row.act,
            decided: row.decided,
            lane: Lane::Again,
        }
    }
}

/// A reason that may stand anywhere: printable, bounded, without what looks like a card number.
fn plain(reason: &str) -> String {
    let short: String =
        reason.chars().take(REASON_MAX).map(|c| if crate::text::is_printable(c) { c } else { ' ' }).collect();
    if crate::text::check_reason(&short).is_ok() { short } else { "a reason that cannot be shown".into() }
}
