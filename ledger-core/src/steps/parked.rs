//! What people see and decide of items that steps have given up: the rows, and whatever of the log
//! their step has not followed yet. Events are the truth; the rows follow.

use std::sync::Arc;

use futures::TryStreamExt as _;
use tokio::sync::Mutex;

use crate::engine::{CommandContext, Ledger, SubmitError};
use crate::event::{LedgerEvent, decode};
use crate::log::{EventLog, LogError, Position, StreamId, follow};
use crate::system::{ParkedAction, SystemAnswer, SystemCommandKind, SystemEvent, SystemRejection};

use super::items::{Act, ItemRow, ItemState, Proposed};
use super::store::{StepStore, StepStoreError};

/// Items in one page, at most.
pub const PAGE_MAX: usize = 500;

/// The items of all steps.
#[derive(Clone)]
pub struct ParkedItems {
    step_store: Arc<dyn StepStore>,
    log: Arc<dyn EventLog>,
    resolving: Arc<Mutex<()>>,
}

/// Why nothing could be said or decided.
#[derive(Debug, thiserror::Error)]
pub enum ParkedError {
    /// No such item is waiting or parked.
    #[error("no item of this id is parked")]
    Unknown,
    /// It is tried again by itself.
    #[error("the item is not parked: its step tries it again by itself")]
    NotParked,
    /// Refused by the ledger.
    #[error(transparent)]
    Rejected(#[from] SystemRejection),
    /// The rows failed.
    #[error("the steps' items cannot be read")]
    Rows(#[from] StepStoreError),
    /// The log failed.
    #[error("the log cannot be read")]
    Log(#[from] LogError),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] SubmitError),
}

impl ParkedItems {
    /// Over these rows and this log.
    pub fn new(step_store: Arc<dyn StepStore>, log: Arc<dyn EventLog>) -> ParkedItems {
        ParkedItems { step_store, log, resolving: Arc::default() }
    }

    /// Up to `limit` parked items in the order of their ids, after one, and the id to go on after.
    pub async fn list(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<ItemRow>, Option<String>), ParkedError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut rows = self.step_store.parked(after, limit + 1).await?;
        let next = (rows.len() > limit).then(|| rows[limit - 1].id.clone());
        rows.truncate(limit);
        self.follow(&mut rows).await?;
        rows.retain(|row| row.state == ItemState::Parked);
        Ok((rows, next))
    }

    /// One item, parked or waiting.
    pub async fn show(&self, id: &str) -> Result<ItemRow, ParkedError> {
        let mut rows: Vec<ItemRow> = self.step_store.item(id).await?.into_iter().collect();
        self.follow(&mut rows).await?;
        rows.pop().ok_or(ParkedError::Unknown)
    }

    /// Says what is to become of a parked item. Answers once that is an event; the step follows it.
    pub async fn resolve(
        &self,
        ledger: &Ledger,
        id: &str,
        action: ParkedAction,
        reason: String,
        context: CommandContext,
    ) -> Result<SystemAnswer, ParkedError> {
        // Two people at once: the second is answered by what the first has made of it.
        let _one_at_a_time = self.resolving.lock().await;
        let row = self.show(id).await?;
        if row.state != ItemState::Parked {
            let same = row.act.is_some_and(|act| act.action == action);
            return if same { Ok(SystemAnswer::Unchanged) } else { Err(ParkedError::NotParked) };
        }
        let (item, step, attempt) = (row.id, row.step, row.about);
        let kind = SystemCommandKind::ResolveParked { item, step, action, attempt, reason };
        let (answer, _) = ledger.system(kind, context).await??;
        Ok(answer)
    }

    /// What the log says beyond the steps' cursors.
    async fn follow(&self, rows: &mut [ItemRow]) -> Result<(), ParkedError> {
        let mut after: Option<Position> = None;
        for row in rows.iter() {
            let reached = self.step_store.get(&row.step).await?;
            after = Some(after.map_or(reached, |after| after.min(reached)));
        }
        let Some(after) = after else { return Ok(()) };
        let system = StreamId::system();
        let mut events = follow(&*self.log, Some(&system), after);
        while let Some(stored) = events.try_next().await? {
            if let LedgerEvent::System(event) = decode(&stored)? {
                let later = |row: &&mut ItemRow| row.decided < stored.position.0;
                rows.iter_mut().filter(later).for_each(|row| row.of_a_person(&event));
            }
        }
        Ok(())
    }
}

impl ItemRow {
    fn of_a_person(&mut self, event: &SystemEvent) {
        match event {
            SystemEvent::ParkedItemResolved { item, action, attempt, reason, .. } if *item == self.id => {
                self.state = ItemState::Waiting;
                self.act = Some(Act { action: *action, about: *attempt, reason: reason.clone() });
                self.proposed = None;
            }
            SystemEvent::ParkedItemProposed { item, action, by, .. } if *item == self.id => {
                self.proposed = Some(Proposed { action: *action, by: by.clone() });
            }
            SystemEvent::ParkedItemResolved { .. }
            | SystemEvent::ParkedItemProposed { .. }
            | SystemEvent::LogRestored { .. }
            | SystemEvent::ClockAccepted { .. }
            | SystemEvent::ZoneTableChanged { .. }
            | SystemEvent::SwitchSet { .. } => {}
        }
    }
}
