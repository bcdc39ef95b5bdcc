//! Tries under way: few, in two lanes, each with an end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::StepError;
use super::desk::{Desk, Job, Lane, Meta};
use crate::engine::SubmitError;
use crate::faults;
use crate::steps::step::{Ended, Limits, Step, Try};

const NO_ANSWER: &str = "tries of a step get no answer in time and are cut off";

/// A try that takes longer is cut off: what became of it is asked about later.
const LONGEST_TRY: Duration = Duration::from_mins(1);
/// While others wait for its place, a first try has so long, the next ones twice as long each, up
/// to the second bound.
const PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE_MAX: Duration = Duration::from_secs(10);

pub(super) type Finished = Result<(Id, Result<Vec<Ended>, SubmitError>), JoinError>;

/// Tries under way.
pub(super) struct Tasks {
    limits: Limits,
    set: JoinSet<Result<Vec<Ended>, SubmitError>>,
    running: HashMap<Id, Running>,
}

struct Running {
    metas: Vec<Meta>,
    lane: Lane,
    began: Instant,
    patience: Duration,
    /// How many wakes had been read when it began.
    wakes: u64,
    handle: AbortHandle,
}

impl Tasks {
    pub(super) fn new(limits: Limits) -> Tasks {
        Tasks { limits, set: JoinSet::new(), running: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    /// The next try that ends; never, while none is under way.
    pub(super) async fn join_next(&mut self) -> Option<Finished> {
        self.set.join_next_with_id().await
    }

    /// Starts what there is room for.
    pub(super) fn start<S: Step>(&mut self, step: &Arc<S>, desk: &mut Desk<S::Item>) {
        for lane in [Lane::Again, Lane::Fresh] {
            while self.under_way(lane) < self.room(lane) {
                let jobs = desk.next(lane, self.limits.batch);
                if jobs.is_empty() {
                    break;
                }
                self.spawn(step, lane, desk.wakes(), jobs);
            }
        }
    }

    fn spawn<S: Step>(&mut self, step: &Arc<S>, lane: Lane, wakes: u64, jobs: Vec<Job<S::Item>>) {
        let (metas, items): (Vec<Meta>, Vec<S::Item>) =
            jobs.into_iter().map(|job| (job.meta, job.item)).unzip();
        let acts = metas.iter().map(|meta| meta.act.clone());
        let tries = items.into_iter().zip(acts).map(|(item, act)| Try { item, act }).collect();
        let attempts = metas.iter().map(|meta| meta.attempts).max().unwrap_or(0);
        let patience = PATIENCE.saturating_mul(1 << attempts.min(10)).min(PATIENCE_MAX);
        let step = Arc::clone(step);
        let handle = self.set.spawn(async move { step.attempt(tries).await });
        let running = Running { metas, lane, began: Instant::now(), patience, wakes, handle };
        self.running.insert(running.handle.id(), running);
    }

    /// Ends tries that take too long.
    pub(super) fn cut_off<Item>(&self, desk: &Desk<Item>) {
        for running in self.running.values() {
            let crowded = self.under_way(running.lane) >= self.room(running.lane) && desk.waits(running.lane);
            let limit = if crowded { running.patience } else { LONGEST_TRY };
            if running.began.elapsed() >= limit {
                running.handle.abort();
            }
        }
    }

    /// Tells the desk how the items of a try ended.
    pub(super) fn finish<Item>(
        &mut self,
        finished: Finished,
        desk: &mut Desk<Item>,
    ) -> Result<(), StepError> {
        let (id, ended) = match finished {
            Ok((id, Ok(ended))) => {
                faults::over_for(NO_ANSWER, desk.step());
                (id, ended)
            }
            Ok((_, Err(SubmitError::NotWriter))) => {
                return Err(StepError::NotWriter { step: desk.step() });
            }
            // The ledger goes on with all other accounts, and so does the step.
            Ok((id, Err(error))) => (id, vec![Ended::again(error.to_string())]),
            Err(error) => {
                if error.is_cancelled() {
                    faults::outage(NO_ANSWER, desk.step(), &error);
                }
                (error.id(), vec![of_join_error(&error)])
            }
        };
        let Some(Running { metas, wakes, began, .. }) = self.running.remove(&id) else { return Ok(()) };
        // A try that was cut off, or failed, ended for all its items alike.
        let same = ended.first().cloned().filter(|_| ended.len() != metas.len());
        let same = same.or_else(|| ended.is_empty().then(|| Ended::again("the step did not say")));
        let mut ended = ended.into_iter();
        for meta in metas {
            let how = same.clone().or_else(|| ended.next());
            let how = how.unwrap_or_else(|| Ended::again("the step did not say"));
            desk.ended(meta, how, wakes);
        }
        metrics::histogram!("rewardhub_step_try_seconds", "step" => desk.step())
            .record(began.elapsed().as_secs_f64());
        Ok(())
    }

    fn under_way(&self, lane: Lane) -> usize {
        self.running.values().filter(|running| running.lane == lane).count()
    }

    fn room(&self, lane: Lane) -> usize {
        match lane {
            Lane::Fresh => self.limits.fresh,
            Lane::Again => self.limits.again,
        }
    }
}

/// A panic is a defect of this program: a person looks at the item, and the others go on.
fn of_join_error(error: &JoinError) -> Ended {
    if error.is_panic() {
        tracing::error!("a panic while an item was tried; the item is parked");
        Ended::parked("a defect of this program (a panic): see its error output")
    } else {
        Ended::again("no answer in time")
    }
}
