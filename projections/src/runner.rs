//! The runner carries the log into the read models, batch by batch.
//!
//! A batch is read, decoded once and applied to every projection that has not seen it. Rows and
//! cursors are committed together, so a kill at any instruction loses and repeats nothing. A hole
//! in the log, damage or a contradiction stops the runner with an error. Passing faults are tried
//! again with growing pauses.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ledger_core::faults;
use ledger_core::figures::figure;
use ledger_core::log::{EventLog, Position};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cursor::{self, Cursors, lowest};
use crate::error::ProjectionError;
use crate::fold::Record;
use crate::models;
use crate::store::ReadStore;

/// Events in one transaction at most.
pub const BATCH_EVENTS: usize = 2_000;
const NOT_UPDATED: &str = "the read models cannot be updated just now";
/// How long the log is left alone when no hint comes.
const POLL: Duration = Duration::from_millis(200);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often it is measured how far the read models are behind, whatever the runner is doing.
const MEASURE: Duration = Duration::from_secs(1);

/// Fills the read models of one store. A second one on the same store does no harm, and nothing
/// twice: who writes goes on from the cursors that the store has then.
pub struct Runner {
    log: Arc<dyn EventLog>,
    store: ReadStore,
    position: watch::Sender<Position>,
    cursors: Arc<Mutex<Cursors>>,
    /// The events after this position, decoded while those before them were written.
    ahead: Mutex<Option<(Position, Vec<Record>)>>,
    batch_events: usize,
}

/// How far the runner is; for reads that wait until it has come far enough.
#[derive(Clone, Debug)]
pub struct Progress(watch::Receiver<Position>);

/// Why a wait ended before the position was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Time is up.
    #[error("the read models are only at {0}")]
    Behind(Position),
    /// The runner has stopped.
    #[error("the read models are not being updated")]
    Stopped,
}

impl Progress {
    /// Up to where every projection has seen the log.
    pub fn position(&self) -> Position {
        *self.0.borrow()
    }

    /// Whether the runner is there to move on.
    pub fn is_running(&self) -> bool {
        self.0.has_changed().is_ok()
    }

    /// Waits until every projection has seen `position`; answers how far they are.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<Position, WaitError> {
        let mut receiver = self.0.clone();
        let reached = tokio::time::timeout(timeout, receiver.wait_for(|at| *at >= position)).await;
        match reached {
            Ok(Ok(at)) => Ok(*at),
            Ok(Err(_)) => Err(WaitError::Stopped),
            Err(_) => Err(WaitError::Behind(self.position())),
        }
    }
}

impl Runner {
    /// A runner that goes on where the store's cursors are.
    pub fn new(log: Arc<dyn EventLog>, store: ReadStore) -> Result<(Runner, Progress), ProjectionError> {
        let cursors = store.query(cursor::cursors)?;
        let (position, receiver) = watch::channel(lowest(&cursors));
        let cursors = Arc::new(Mutex::new(cursors));
        Ok((
            Runner { log, store, position, cursors, ahead: Mutex::default(), batch_events: BATCH_EVENTS },
            Progress(receiver),
        ))
    }

    /// With another bound on the events of one transaction than [`BATCH_EVENTS`].
    #[must_use]
    pub fn with_batch(self, batch_events: usize) -> Runner {
        Runner { batch_events: batch_events.max(1), ..self }
    }

    /// [`run`](Runner::run) on a thread of its own, since it blocks. `handle` runs the log's reads.
    pub fn spawn(
        self,
        handle: Handle,
        head: watch::Receiver<Position>,
        stop: watch::Receiver<bool>,
    ) -> std::io::Result<JoinHandle<Result<(), ProjectionError>>> {
        let run = move || ledger_core::own_thread::block_on(&handle, self.run(head, stop));
        std::thread::Builder::new().name("projections".into()).spawn(run)
    }

    /// Follows the log until `stop` becomes true (or its sender is gone) or something is wrong for
    /// good. `head` is a hint that there is more to read; without it the log is polled.
    pub async fn run(
        self,
        mut head: watch::Receiver<Position>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ProjectionError> {
        // Ends with this.
        let mut measuring = JoinSet::new();
        measuring.spawn(keep_measuring(Arc::clone(&self.log), Arc::clone(&self.cursors)));
        let mut checked = false;
        let mut pause = PAUSE_MIN;
        while !*stop.borrow() {
            // A hint given from here on may be about events that this step does not see.
            head.mark_unchanged();
            // A page that was read before now may lack what such hints were about.
            let ahead = self.ahead.lock().is_some();
            let wait = match self.checked_step(&mut checked).await {
                Ok(read) => {
                    pause = PAUSE_MIN;
                    faults::over(NOT_UPDATED);
                    if ahead || read == self.batch_events { Wait::No } else { Wait::Hint }
                }
                Err(error) if error.transient() => {
                    faults::warn(NOT_UPDATED, "", &error);
                    let this_pause = pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                    Wait::For(this_pause)
                }
                Err(error) => return Err(error),
            };
            let waiting = async {
                match wait {
                    Wait::No => {}
                    Wait::Hint => hinted(&mut head).await,
                    Wait::For(pause) => tokio::time::sleep(pause).await,
                }
            };
            tokio::select! {
                () = waiting => {}
                stopped = stop.wait_for(|stop| *stop) => {
                    // An error means that whoever could stop us is gone.
                    drop(stopped);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The first one after the log and the tables have been found to belong together.
    async fn checked_step(&self, checked: &mut bool) -> Result<usize, ProjectionError> {
        if !*checked {
            self.check_head().await?;
            *checked = true;
        }
        self.step().await
    }

    /// Reads and applies one batch; answers how many events it had. 0 at the end of the log.
    pub async fn step(&self) -> Result<usize, ProjectionError> {
        let after = self.store.query(cursor::position)?;
        let ahead = self.ahead.lock().take().filter(|(at, _)| *at == after);
        let records = match ahead {
            Some((_, records)) => records,
            None => Record::decode_after(after, &self.log.read_after(after, self.batch_events).await?)?,
        };
        let last = records.last().map_or(after, |record| record.position);
        // What is wrong with the next page is met again with it.
        let next = if records.len() == self.batch_events {
            self.log.read_after(last, self.batch_events).await.unwrap_or_default()
        } else {
            vec![]
        };
        let page = || {
            self.store.write(|conn| {
                let mut cursors = cursor::cursors(conn)?;
                for (projection, cursor) in &mut cursors {
                    *cursor = models::apply(conn, *projection, *cursor, &records)?;
                }
                Ok(cursors)
            })
        };
        let (cursors, next) = Record::decode_beside(last, &next, page);
        *self.ahead.lock() = next.ok().filter(|next| !next.is_empty()).map(|next| (last, next));
        let cursors = cursors?;
        self.position.send_replace(lowest(&cursors));
        *self.cursors.lock() = cursors;
        Ok(records.len())
    }

    /// Tables that have seen more than the log has belong to another history.
    async fn check_head(&self) -> Result<(), ProjectionError> {
        let cursors = self.store.query(cursor::cursors)?;
        let cursor = cursors.iter().map(|(_, at)| *at).max().unwrap_or_default();
        let head = self.log.head().await?.position;
        if cursor > head { Err(ProjectionError::Ahead { cursor, head }) } else { Ok(()) }
    }
}

/// Waits for a new hint, or until the log is to be polled.
async fn hinted(head: &mut watch::Receiver<Position>) {
    let hint = async {
        if head.changed().await.is_err() {
            // The sender is gone and says nothing any more; the poll goes on.
            std::future::pending::<()>().await;
        }
    };
    tokio::time::timeout(POLL, hint).await.unwrap_or(());
}

enum Wait {
    No,
    Hint,
    For(Duration),
}

/// Beside the runner, which may be stuck: that is when it matters.
async fn keep_measuring(log: Arc<dyn EventLog>, cursors: Arc<Mutex<Cursors>>) {
    loop {
        // While the log cannot be read it has not moved on for anybody.
        if let Ok(head) = log.head().await {
            measure(&cursors.lock(), head.position);
        }
        tokio::time::sleep(MEASURE).await;
    }
}

fn measure(cursors: &Cursors, head: Position) {
    for (projection, at) in cursors {
        let name = projection.as_str();
        metrics::gauge!("rewardhub_projection_position", "projection" => name).set(figure(at.0));
        metrics::gauge!("rewardhub_projection_lag_events", "projection" => name)
            .set(figure(head.0.saturating_sub(at.0)));
    }
}

#[cfg(test)]
mod tests;
