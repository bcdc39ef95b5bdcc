//! Faults that repeat are told once, then counted once a minute, then told to be over: a log that
//! grows by a megabyte a second hides what else goes wrong.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// How often a fault that goes on is told of.
const EVERY: Duration = Duration::from_mins(1);
/// A fault that nobody has met for so long is over.
const QUIET: Duration = Duration::from_mins(1);
/// Faults that are told apart. Beyond it those of one kind are counted together.
const APART_MAX: usize = 1_000;

static FAULTS: Faults = Faults::new();

/// Tells of a fault that somebody has to look at. `what` is the sentence, `whose` names an account,
/// a campaign, a step; both together are one fault, whatever its cause is.
pub fn error(what: &'static str, whose: &str, cause: &(dyn Error + 'static)) {
    settle();
    if let Some(times) = FAULTS.occurred(what, whose, Instant::now()) {
        tracing::error!(whose, times, error = cause, "{what}");
    }
}

/// Tells of a fault that passes.
pub fn warn(what: &'static str, whose: &str, cause: &(dyn Error + 'static)) {
    settle();
    if let Some(times) = FAULTS.occurred(what, whose, Instant::now()) {
        tracing::warn!(whose, times, error = cause, "{what}");
    }
}

/// Faults of this kind are over, whoever they were about: what failed has worked. Cheap while there
/// are none.
pub fn over(what: &'static str) {
    if FAULTS.any.load(Ordering::Relaxed) {
        for (whose, times) in FAULTS.ended(what) {
            tracing::warn!(whose, times, "over: {what}");
        }
    }
}

/// Tells of faults that ended without anybody saying so. Called now and then.
pub fn settle() {
    for ((what, whose), times) in FAULTS.quiet(Instant::now()) {
        tracing::warn!(whose, times, "not met again for a minute: {what}");
    }
}

type Name = (&'static str, Box<str>);

/// The faults that go on.
struct Faults {
    any: AtomicBool,
    /// `None` until the first: a map is not made in a constant.
    on: Mutex<Option<HashMap<Name, Fault>>>,
}

struct Fault {
    times: u64,
    last: Instant,
    told: Instant,
}

impl Faults {
    const fn new() -> Faults {
        Faults { any: AtomicBool::new(false), on: Mutex::new(None) }
    }

    /// How often it has occurred by now, if that is to be told.
    fn occurred(&self, what: &'static str, whose: &str, now: Instant) -> Option<u64> {
        let mut faults = self.lock();
        let faults = faults.get_or_insert_default();
        let mut name: Name = (what, whose.into());
        if faults.len() >= APART_MAX && !faults.contains_key(&name) {
            name.1 = "many".into();
        }
        let Some(fault) = faults.get_mut(&name) else {
            faults.insert(name, Fault { times: 1, last: now, told: now });
            self.any.store(true, Ordering::Relaxed);
            return Some(1);
        };
        fault.times += 1;
        fault.last = now;
        if now.duration_since(fault.told) < EVERY {
            return None;
        }
        fault.told = now;
        Some(fault.times)
    }

    fn ended(&self, what: &'static str) -> Vec<(Box<str>, u64)> {
        let ended = self.take(|(kind, _), _| *kind == what);
        ended.into_iter().map(|((_, whose), times)| (whose, times)).collect()
    }

    fn quiet(&self, now: Instant) -> Vec<(Name, u64)> {
        self.take(|_, fault| now.duration_since(fault.last) >= QUIET)
    }

    fn take(&self, which: impl Fn(&Name, &Fault) -> bool) -> Vec<(Name, u64)> {
        let mut faults = self.lock();
        let Some(faults) = faults.as_mut() else { return vec![] };
        let taken = faults.extract_if(|name, fault| which(name, fault));
        let taken = taken.map(|(name, fault)| (name, fault.times)).collect();
        self.any.store(!faults.is_empty(), Ordering::Relaxed);
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Name, Fault>>> {
        self.on.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHAT: &str = "it failed";

    #[test]
    fn a_repeated_fault_is_told_once_counted_once_a_minute_and_told_to_be_over() {
        let (faults, start) = (Faults::new(), Instant::now());
        let mut told = vec![];
        for tenth in 0..1_300 {
            let now = start + Duration::from_millis(100 * tenth);
            told.extend(faults.occurred(WHAT, "anna", now));
            assert!(faults.quiet(now).is_empty());
        }
        assert_eq!(told, [1, 601, 1_201]);
        assert_eq!(faults.occurred(WHAT, "ben", start), Some(1), "another's fault is another");
        assert_eq!(faults.occurred("another", "anna", start), Some(1));
        let mut ended = faults.ended(WHAT);
        ended.sort();
        assert_eq!(ended, [("anna".into(), 1_300), ("ben".into(), 1)]);
        assert_eq!(faults.ended(WHAT), []);
        assert_eq!(faults.occurred(WHAT, "anna", start), Some(1), "it has come back");
    }

    #[test]
    fn a_fault_that_stays_away_for_a_minute_is_over() {
        let (faults, start) = (Faults::new(), Instant::now());
        assert!(faults.quiet(start).is_empty());
        faults.occurred(WHAT, "anna", start);
        assert!(faults.quiet(start + QUIET.saturating_sub(Duration::from_millis(1))).is_empty());
        assert_eq!(faults.quiet(start + QUIET), [((WHAT, "anna".into()), 1)]);
        assert!(faults.quiet(start + QUIET).is_empty());
    }

    #[test]
    fn a_thousand_faults_are_told_apart_and_the_rest_together() {
        let (faults, now) = (Faults::new(), Instant::now());
        let told = (0..APART_MAX + 500).filter_map(|n| faults.occurred(WHAT, &n.to_string(), now));
        assert_eq!(told.count(), APART_MAX + 1);
        let ended: HashMap<_, _> = faults.ended(WHAT).into_iter().collect();
        assert_eq!((ended.len(), ended["many"], ended["999"]), (APART_MAX + 1, 500, 1));
    }
}
