//! Runs a step. It reads the log after its cursor and tries few items at once. The cursor moves up
//! to the oldest item that is still under way. After a kill at any moment the step sees some items
//! again and misses none.
//!
//! An item that a try does not end becomes a row (see [`super::items`]), and the cursor goes on
//! without it. Rows that are due are read from the table and tried again beside what is new, in a
//! share of their own. What a person decides about a row is an event, which comes by here like any
//! other.

mod desk;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::SubmitError;
use crate::event::{LedgerEvent, decode};
use crate::faults;
use crate::figures::figure;
use crate::log::{EventLog, LogError, Position, StoredEvent, StreamType};
use crate::system::SystemEvent;

use super::backoff::Backoff;
use super::items::Act;
use super::step::Step;
use super::store::{StepStore, StepStoreError};
use desk::Desk;
use tasks::Tasks;

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
    /// Its cursor cannot be kept.
    #[error("step {step} cannot keep its cursor")]
    Cursor {
        /// Which step.
        step: &'static str,
        /// The cause.
        #[source]
        source: StepStoreError,
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

/// What all steps share can be away for all of them: it is one fault.
const NO_LOG: &str = "steps cannot read the log just now";
const NO_ROWS: &str = "steps cannot read or keep their cursors and items just now";

const PAGE: usize = 1_000;
const POLL: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(250);
/// Ticks between two counts of a step's rows.
const COUNT_EVERY: u32 = 20;

/// Runs `step` until `stop` says so or nobody is left to say it. `head` wakes it when the log
/// grows.
pub async fn run<S: Step>(
    step: Arc<S>,
    log: Arc<dyn EventLog>,
    step_store: Arc<dyn StepStore>,
    mut head: watch::Receiver<Position>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), StepError> {
    let name = step.name();
    let saved = tokio::select! {
        saved = read_cursor(&*step_store, name) => saved?,
        () = told(stop.clone()) => return Ok(()),
    };
    tokio::select! {
        checked = check_cursor(&*log, name, saved) => checked?,
        () = told(stop.clone()) => return Ok(()),
    }
    let mut desk = Desk::new(name, step.limits(), saved);
    let mut tasks = Tasks::new(step.limits());
    let mut tick = tokio::time::interval(TICK);
    let (mut more, mut ticks) = (true, 0_u32);
    let mut running = !*stop.borrow();
    while running {
        if more && desk.has_room() {
            let events = tokio::select! {
                events = read_page(&*log, desk.read(), name) => events?,
                // A log that cannot be read does not keep us.
                () = told(stop.clone()) => vec![],
            };
            more = events.len() == PAGE;
            for stored in &events {
                take(&*step, &mut desk, stored)?;
            }
        }
        let halted = step.is_halted();
        if !halted && desk.wants_due() {
            tokio::select! {
                loaded = desk.load_due(&*step, &*log, &*step_store) => loaded?,
                () = told(stop.clone()) => {}
            }
        }
        if !halted {
            tasks.start(&step, &mut desk);
        }
        let hungry = more && desk.has_room();
        tokio::select! {
            Some(finished) = tasks.join_next() => tasks.finish(finished, &mut desk)?,
            () = std::future::ready(()), if hungry => {}
            _ = tick.tick() => {
                ticks = ticks.wrapping_add(1);
                tasks.cut_off(&desk);
                desk.flush_soon();
            }
            changed = head.changed(), if !more => {
                changed.map_err(|_| StepError::NotWriter { step: name })?;
                more = true;
            }
            () = tokio::time::sleep(POLL), if !more => more = true,
            changed = stop.changed() => running = changed.is_ok(),
        }
        running &= !*stop.borrow();
        if desk.is_flush_due() || !running {
            desk.flush(&*step_store).await;
        }
        if ticks % COUNT_EVERY == 1 {
            ticks += 1;
            desk.count(&*step_store).await;
        }
        gauge("rewardhub_step_under_way", name, tasks.len() as u64);
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

/// What the next event of the log means for this step.
fn take<S: Step>(step: &S, desk: &mut Desk<S::Item>, stored: &StoredEvent) -> Result<(), StepError> {
    let name = step.name();
    if stored.position != desk.read().next() {
        let source = LogError::Damaged(format!("{} follows {}", stored.position, desk.read()));
        return Err(StepError::Log { step: name, source });
    }
    desk.has_read(stored.position);
    if stored.stream.stream_type == StreamType::System {
        if let Ok(event) = decode(stored) {
            if let Some(wakes) = step.wakes(&event) {
                desk.wake(wakes);
            }
            if let LedgerEvent::System(event) = event {
                of_a_person(event, stored.position, desk);
            }
        }
    } else if step.reads(&stored.event_type) {
        match decode(stored) {
            Ok(event) => {
                if let Some(wakes) = step.wakes(&event) {
                    desk.wake(wakes);
                }
                for item in step.items(stored, event) {
                    desk.fresh(stored, step.key(&item), step.waits_for(&item), item);
                }
            }
            // One damaged event keeps nobody else back.
            Err(error) => desk.unreadable(stored, &error),
        }
    }
    Ok(())
}

fn of_a_person<Item>(event: SystemEvent, at: Position, desk: &mut Desk<Item>) {
    match event {
        SystemEvent::ParkedItemResolved { item, step, action, attempt, reason, .. } => {
            desk.resolved(&step, item, Act { action, about: attempt, reason }, at);
        }
        SystemEvent::ParkedItemProposed { item, step, action, by, .. } => {
            desk.proposed(&step, item, action, by);
        }
        SystemEvent::LogRestored { .. }
        | SystemEvent::ClockAccepted { .. }
        | SystemEvent::ZoneTableChanged { .. }
        | SystemEvent::SwitchSet { .. } => {}
    }
}

/// Ends when `stop` says so or nobody is left to say it.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn gauge(metric: &'static str, step: &'static str, value: u64) {
    metrics::gauge!(metric, "step" => step).set(figure(value));
}

async fn read_cursor(step_store: &dyn StepStore, step: &'static str) -> Result<Position, StepError> {
    for tries in 1.. {
        match step_store.get(step).await {
            Ok(position) => {
                faults::over(NO_ROWS);
                return Ok(position);
            }
            Err(error) if error.transient() => {
                faults::warn(NO_ROWS, "", &error);
                tokio::time::sleep(Backoff::STORE.pause(tries)).await;
            }
            Err(source) => return Err(StepError::Cursor { step, source }),
        }
    }
    unreachable!("it is tried for ever")
}

async fn read_page(
    log: &dyn EventLog,
    after: Position,
    step: &'static str,
) -> Result<Vec<StoredEvent>, StepError> {
    for tries in 1.. {
        match log.read_after(after, PAGE).await {
            Ok(events) => {
                faults::over(NO_LOG);
                return Ok(events);
            }
            Err(error) if error.transient() => {
                faults::warn(NO_LOG, "", &error);
                tokio::time::sleep(Backoff::STORE.pause(tries)).await;
            }
            Err(source) => return Err(StepError::Log { step, source }),
        }
    }
    unreachable!("it is tried for ever")
}

/// Repeats a command until the ledger can take it. What one account alone cannot take is told, and
/// tried again later.
pub(super) async fn persist<T, F>(mut command: impl FnMut() -> F) -> Result<T, SubmitError>
where
    F: Future<Output = Result<T, SubmitError>>,
{
    for tries in 1.. {
        match command().await {
            Err(SubmitError::Full | SubmitError::Unavailable | SubmitError::Clock(_)) => {
                tokio::time::sleep(Backoff::STORE.pause(tries)).await;
            }
            other => return other,
        }
    }
    unreachable!("it is tried for ever")
}
