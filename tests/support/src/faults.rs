//! What can go wrong between a writer and its log, as a list of things about to happen.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

/// What happens to one append of a [`super::SimulatedLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Unknown`, and it has not landed and never will.
    FailBeforeCommit,
    /// `Unknown`, though it has landed.
    FailAfterCommit,
    /// `Unknown`, while the statement is still running: it lands when the next lease waits for it,
    /// and a head read before that does not show it.
    LandLate,
    /// All is well, after a while.
    Delay(Duration),
    /// It lands at once; after a while the writer gives up waiting for the answer: `Unknown`.
    LoseReply(Duration),
    /// Another process takes the lease just before: `Fenced`.
    Fence,
    /// The process dies before anything is written: `Unknown`, and the handle is dead.
    CrashBeforeCommit,
    /// The process dies before it learns that the batch has landed: `Unknown`, and the handle is
    /// dead.
    CrashAfterCommit,
}

/// The faults to come, shared by all handles of a log.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    /// One entry for each append to come; `None` lets it pass.
    appends: VecDeque<Option<Fault>>,
    forgetful: usize,
    failing_leases: usize,
    failing_reads: usize,
    hidden_keys: bool,
}

impl Faults {
    /// The next append that has no fault yet gets this one.
    pub fn push(&self, fault: Fault) {
        self.after(0, fault);
    }

    /// Lets `appends` more appends pass before this one.
    pub fn after(&self, appends: usize, fault: Fault) {
        let mut plan = self.plan();
        plan.appends.extend(std::iter::repeat_n(None, appends));
        plan.appends.push_back(Some(fault));
    }

    /// The next `times` calls of `find_transactions` find nothing, so that an append of a known key
    /// ends as `Duplicate`.
    pub fn forget_keys(&self, times: usize) {
        self.plan().forgetful += times;
    }

    /// From now on `transaction_keys` finds nothing.
    pub fn hide_keys(&self) {
        self.plan().hidden_keys = true;
    }

    /// The next `times` calls of `lease` fail for the moment.
    pub fn fail_leases(&self, times: usize) {
        self.plan().failing_leases += times;
    }

    /// The next `times` reads of any kind fail for the moment.
    pub fn fail_reads(&self, times: usize) {
        self.plan().failing_reads += times;
    }

    pub(super) fn next_append(&self) -> Option<Fault> {
        self.plan().appends.pop_front().flatten()
    }

    pub(super) fn forgets_keys(&self) -> bool {
        take_one(&mut self.plan().forgetful)
    }

    pub(super) fn hides_keys(&self) -> bool {
        self.plan().hidden_keys
    }

    pub(super) fn fails_lease(&self) -> bool {
        take_one(&mut self.plan().failing_leases)
    }

    pub(super) fn fails_read(&self) -> bool {
        take_one(&mut self.plan().failing_reads)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock()
    }
}

fn take_one(count: &mut usize) -> bool {
    let any = *count > 0;
    *count -= usize::from(any);
    any
}
