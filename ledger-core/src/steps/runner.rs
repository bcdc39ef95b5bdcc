//! Runs a step: reads the log after its checkpoint, works on many items at once, and moves the checkpoint up
//! to the oldest item that is not done. A kill at any moment makes it see some items again, never miss one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::SubmitError;
use crate::figures::figure;
use crate::log::decode::{LedgerEvent, decode};
use crate::log::{EventLog, LogError, Position, StoredEvent};

use super::checkpoints::{CheckpointError, Checkpoints};

/// A reader of the log that gives commands or causes effects.
pub trait Step: Send + Sync + 'static {
    /// What one event makes it do.
    type Item: Send + 'static;

    /// Names its checkpoint.
    fn name(&self) -> &'static str;

    /// How many items may be under way at once; reading pauses at this number.
    fn concurrency(&self) -> usize {
        512
    }

    /// The work an event makes, if any.
    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Self::Item>;

    /// Works on one item until it is done. Must be safe to repeat. Errs only when this process is no longer
    /// the writer.
    fn perform(&self, item: Self::Item) -> impl Future<Output = Result<(), SubmitError>> + Send;
}

/// Why a step stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The log breaks its promises.
    #[error("step {step} cannot read the log")]
    Log {
        /// Which step.
        step: &'static str,
        /// The cause.
        #[source]
        source: LogError,
    },
    /// Its checkpoint cannot be kept.
    #[error("step {step} cannot keep its checkpoint")]
    Checkpoint {
        /// Which step.
        step: &'static str,
        /// The cause.
        #[source]
        source: CheckpointError,
    },
    /// It has seen events that are not in the log.
    #[error("step {step} has seen events up to {cursor}, the log ends at {head}")]
    Ahead {
        /// Which step.
        step: &'static str,
        /// How far it says it has come.
        cursor: Position,
        /// Where the log ends.
        head: Position,
    },
    /// This process is not the writer any more.
    #[error("step {step} stops: another process writes the log")]
    NotWriter {
        /// Which step.
        step: &'static str,
    },
}

const PAGE: usize = 1_000;
const POLL: Duration = Duration::from_millis(200);
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

/// Runs `step` until `stop` says so or nobody is left to say it. `head` wakes it when the log grows.
pub async fn run<S: Step>(
    step: Arc<S>,
    log: Arc<dyn EventLog>,
    checkpoints: Arc<Checkpoints>,
    mut head: watch::Receiver<Position>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), StepError> {
    let name = step.name();
    let mut saved = tokio::select! {
        saved = read_checkpoint(&checkpoints, name) => saved?,
        () = told(stop.clone()) => return Ok(()),
    };
    tokio::select! {
        checked = check_cursor(&*log, name, saved) => checked?,
        () = told(stop.clone()) => return Ok(()),
    }
    let mut read = saved;
    let mut under_way: BTreeMap<Position, usize> = BTreeMap::new();
    let mut tasks: JoinSet<(Position, Result<(), SubmitError>)> = JoinSet::new();
    let mut save = tokio::time::interval(CHECKPOINT_EVERY);
    let (mut more, mut save_due) = (true, false);
    let mut running = !*stop.borrow();
    while running {
        if more && tasks.len() < step.concurrency() {
            let events = tokio::select! {
                events = read_page(&*log, read, name) => events?,
                // A log that cannot be read does not keep us.
                () = told(stop.clone()) => vec![],
            };
            more = events.len() == PAGE;
            for stored in events {
                if stored.position != read.next() {
                    let source = LogError::Damaged(format!("{} follows {read}", stored.position));
                    return Err(StepError::Log { step: name, source });
                }
                read = stored.position;
                let event = decode(&stored).map_err(|source| StepError::Log { step: name, source })?;
                for item in step.items(&stored, event) {
                    *under_way.entry(stored.position).or_insert(0) += 1;
                    let (step, position) = (Arc::clone(&step), stored.position);
                    tasks.spawn(async move { (position, step.perform(item).await) });
                }
            }
        }
        metrics::gauge!("step_under_way", "step" => name).set(figure(tasks.len() as u64));
        let room = tasks.len() < step.concurrency();
        tokio::select! {
            Some(finished) = tasks.join_next() => {
                // A panic is a bug in the step: stop it rather than pass over an item.
                let (position, result) = finished.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
                result.map_err(|_| StepError::NotWriter { step: name })?;
                if let Some(left) = under_way.get_mut(&position) {
                    *left -= 1;
                    if *left == 0 {
                        under_way.remove(&position);
                    }
                }
            }
            () = std::future::ready(()), if more && room => {}
            _ = save.tick() => save_due = true,
            changed = head.changed(), if !more => {
                changed.map_err(|_| StepError::NotWriter { step: name })?;
                more = true;
            }
            () = tokio::time::sleep(POLL), if !more => more = true,
            changed = stop.changed() => running = changed.is_ok(),
        }
        running &= !*stop.borrow();
        let done = under_way.first_key_value().map_or(read, |(oldest, _)| Position(oldest.0 - 1));
        if done > saved && (save_due || !running) {
            // A checkpoint that cannot be kept costs time at the next start, nothing else.
            match checkpoints.set(name, done).await {
                Ok(()) => saved = done,
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    step = name,
                    "a checkpoint cannot be kept just now"
                ),
            }
            metrics::gauge!("step_position", "step" => name).set(figure(saved.0));
        }
        save_due = false;
    }
    Ok(())
}

/// A step that has seen more than the log has would pass over what comes next, for ever and unseen.
async fn check_cursor(log: &dyn EventLog, step: &'static str, cursor: Position) -> Result<(), StepError> {
    loop {
        match log.head().await {
            Ok(head) if cursor > head.position => {
                return Err(StepError::Ahead { step, cursor, head: head.position });
            }
            Ok(_) => return Ok(()),
            Err(error) if error.transient() => tokio::time::sleep(POLL).await,
            Err(source) => return Err(StepError::Log { step, source }),
        }
    }
}

/// Ends when `stop` says so or nobody is left to say it.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn read_checkpoint(checkpoints: &Checkpoints, step: &'static str) -> Result<Position, StepError> {
    loop {
        match checkpoints.get(step).await {
            Ok(position) => return Ok(position),
            Err(error) if error.transient() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    step,
                    "the checkpoint cannot be read just now"
                );
                tokio::time::sleep(POLL).await;
            }
            Err(source) => return Err(StepError::Checkpoint { step, source }),
        }
    }
}

async fn read_page(
    log: &dyn EventLog,
    after: Position,
    step: &'static str,
) -> Result<Vec<StoredEvent>, StepError> {
    loop {
        match log.read_after(after, PAGE).await {
            Ok(events) => return Ok(events),
            Err(error) if error.transient() => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    step,
                    "the log cannot be read just now"
                );
                tokio::time::sleep(POLL).await;
            }
            Err(source) => return Err(StepError::Log { step, source }),
        }
    }
}

/// Repeats a command until the ledger can take it.
pub(super) async fn persist<T, F>(mut command: impl FnMut() -> F) -> Result<T, SubmitError>
where
    F: Future<Output = Result<T, SubmitError>>,
{
    let mut pause = Duration::from_millis(50);
    loop {
        match command().await {
            Err(
                SubmitError::Full
                | SubmitError::Unavailable
                | SubmitError::AccountUnavailable
                | SubmitError::Clock(_),
            ) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            other => return other,
        }
    }
}
