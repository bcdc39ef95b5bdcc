//! Faults that repeat are told once, then counted once a minute, then told to be over with how long
//! they went on: a log that grows by a megabyte a second hides what else goes wrong.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// How often a fault that goes on is told of.
const EVERY: Duration = Duration::from_mins(1);
/// A fault that nobody has met for so long is over.
const QUIET: Duration = Duration::from_mins(1);
/// What has failed works again once it has not failed for so long.
const STEADY: Duration = Duration::from_secs(3);
/// So often in a row an outside system fails before anybody is told: one answer that does not come
/// is no outage.
const IN_A_ROW: u32 = 10;
/// Faults that are told apart. Beyond it those of one kind are counted together.
const APART_MAX: usize = 1_000;

static FAULTS: Faults = Faults::new();

/// Tells of a fault that somebody has to look at. `what` is the sentence, `whose` names an account,
/// a campaign, a step; both together are one fault, whatever its cause is.
pub fn error(what: &'static str, whose: &str, cause: &(dyn Error + 'static)) {
    settle();
    if let Some(Told { times, seconds }) = FAULTS.occurred(what, whose, 1, Instant::now()) {
        tracing::error!(whose, times, seconds, error = cause, "{what}");
    }
}

/// Tells of a fault that passes.
pub fn warn(what: &'static str, whose: &str, cause: &(dyn Error + 'static)) {
    warn_from(1, what, whose, cause);
}

/// Tells of an outside system that fails, from the tenth time in a row on.
pub fn outage(what: &'static str, whose: &str, cause: &(dyn Error + 'static)) {
    warn_from(IN_A_ROW, what, whose, cause);
}

fn warn_from(in_a_row: u32, what: &'static str, whose: &str, cause: &(dyn Error + 'static)) {
    settle();
    if let Some(Told { times, seconds }) = FAULTS.occurred(what, whose, in_a_row, Instant::now()) {
        tracing::warn!(whose, times, seconds, error = cause, "{what}");
    }
}

/// Faults of this kind are over, whoever they were about: what failed has worked. Cheap while there
/// are none.
pub fn over(what: &'static str) {
    worked(|(kind, _)| *kind == what);
}

/// The same about one of them.
pub fn over_for(what: &'static str, whose: &str) {
    worked(|(kind, who)| *kind == what && **who == *whose);
}

fn worked(which: impl Fn(&Name) -> bool) {
    if FAULTS.any.load(Ordering::Relaxed) {
        FAULTS.worked(which, Instant::now());
    }
}

/// Tells of faults that have ended. Called now and then.
pub fn settle() {
    if !FAULTS.any.load(Ordering::Relaxed) {
        return;
    }
    for ((what, whose), Told { times, seconds }, how) in FAULTS.settled(Instant::now()) {
        tracing::warn!(whose, times, seconds, "{how}: {what}");
    }
}

type Name = (&'static str, Box<str>);

/// What is told of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    /// How often it has occurred.
    times: u64,
    /// How long it has gone on.
    seconds: u64,
}

/// The faults that go on.
struct Faults {
    any: AtomicBool,
    /// `None` until the first: a map is not made in a constant.
    on: Mutex<Option<HashMap<Name, Fault>>>,
}

struct Fault {
    since: Instant,
    last: Instant,
    times: u64,
    in_a_row: u32,
    /// Since when it has worked again.
    worked: Option<Instant>,
    told: Option<Instant>,
    /// It was told of, and not yet told to be over.
    open: bool,
}

impl Fault {
    fn new(now: Instant) -> Fault {
        Fault { since: now, last: now, times: 0, in_a_row: 0, worked: None, told: None, open: false }
    }

    fn until(&self, end: Instant) -> Told {
        Told { times: self.times, seconds: end.saturating_duration_since(self.since).as_secs() }
    }
}

impl Faults {
    const fn new() -> Faults {
        Faults { any: AtomicBool::new(false), on: Mutex::new(None) }
    }

    /// What there is to tell, if it has failed so often in a row and a line is due.
    fn occurred(&self, what: &'static str, whose: &str, in_a_row: u32, now: Instant) -> Option<Told> {
        let mut faults = self.lock();
        let faults = faults.get_or_insert_default();
        let mut name: Name = (what, whose.into());
        if faults.len() >= APART_MAX && !faults.contains_key(&name) {
            name.1 = "many".into();
        }
        self.any.store(true, Ordering::Relaxed);
        let fault = faults.entry(name).or_insert_with(|| Fault::new(now));
        if fault.times == 0 {
            fault.since = now;
        }
        fault.times += 1;
        fault.in_a_row = fault.in_a_row.saturating_add(1);
        (fault.last, fault.worked) = (now, None);
        // What comes and goes is told of no more often than what stays.
        let due = fault.told.is_none_or(|told| now.saturating_duration_since(told) >= EVERY);
        if fault.in_a_row < in_a_row || !due {
            return None;
        }
        (fault.told, fault.open) = (Some(now), true);
        Some(fault.until(now))
    }

    fn worked(&self, which: impl Fn(&Name) -> bool, now: Instant) {
        for (name, fault) in self.lock().iter_mut().flatten() {
            if which(name) {
                fault.in_a_row = 0;
                fault.worked.get_or_insert(now);
            }
        }
    }

    /// Faults that are over, with what is told of them and in which words.
    fn settled(&self, now: Instant) -> Vec<(Name, Told, &'static str)> {
        let long = |since: Instant, least| now.saturating_duration_since(since) >= least;
        let mut settled = vec![];
        let mut faults = self.lock();
        let Some(faults) = faults.as_mut() else { return settled };
        faults.retain(|name, fault| {
            let worked = fault.worked.filter(|worked| long(*worked, STEADY));
            let quiet = long(fault.last, QUIET);
            if worked.is_none() && !quiet {
                return true;
            }
            if std::mem::take(&mut fault.open) {
                let how = if worked.is_some() { "over" } else { "not met again for a minute" };
                settled.push((name.clone(), fault.until(worked.unwrap_or(fault.last)), how));
            }
            (fault.times, fault.in_a_row) = (0, 0);
            // Remembered as long as it may not be told of again.
            fault.told.is_some_and(|told| !long(told, EVERY))
        });
        self.any.store(!faults.is_empty(), Ordering::Relaxed);
        settled
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<Name, Fault>>> {
        self.on.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHAT: &str = "it failed";

    fn told(times: u64, seconds: u64) -> Option<Told> {
        Some(Told { times, seconds })
    }

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    /// Which kinds are over, how.
    fn over(faults: &Faults, now: Instant) -> Vec<(String, Told, &'static str)> {
        let settled = faults.settled(now).into_iter();
        let mut settled: Vec<_> =
            settled.map(|((what, whose), told, how)| (format!("{what} {whose}"), told, how)).collect();
        settled.sort_by(|a, b| a.0.cmp(&b.0));
        settled
    }

    #[test]
    fn a_repeated_fault_is_told_once_counted_once_a_minute_and_told_to_be_over() {
        let (faults, start) = (Faults::new(), Instant::now());
        let mut lines = vec![];
        for tenth in 0..1_300 {
            let now = at(start, 100 * tenth);
            lines.extend(faults.occurred(WHAT, "anna", 1, now));
            assert_eq!(over(&faults, now), []);
        }
        assert_eq!(
            lines.into_iter().map(Some).collect::<Vec<_>>(),
            [told(1, 0), told(601, 60), told(1_201, 120)]
        );
        assert_eq!(faults.occurred(WHAT, "ben", 1, at(start, 130_000)), told(1, 0), "another's is another");
        assert_eq!(faults.occurred("another", "anna", 1, at(start, 130_000)), told(1, 0));
        faults.worked(|(what, _)| *what == WHAT, at(start, 131_000));
        assert_eq!(over(&faults, at(start, 133_999)), [], "it may fail again at once");
        let ended = over(&faults, at(start, 134_000));
        let lasted = |times, seconds| Told { times, seconds };
        let expected = [
            ("it failed anna".into(), lasted(1_300, 131), "over"),
            ("it failed ben".into(), lasted(1, 1), "over"),
        ];
        assert_eq!(ended, expected);
        assert_eq!(over(&faults, at(start, 135_000)), [], "once");
    }

    #[test]
    fn what_comes_and_goes_is_told_of_once_a_minute() {
        let (faults, start) = (Faults::new(), Instant::now());
        let (mut lines, mut ends) = (0, 0);
        // Five seconds away, five seconds there, for four minutes.
        for second in 0..240 {
            let now = at(start, 1_000 * second);
            if second % 10 < 5 {
                lines += usize::from(faults.occurred(WHAT, "", 1, now).is_some());
            } else {
                faults.worked(|_| true, now);
            }
            ends += faults.settled(now).len();
        }
        assert_eq!((lines, ends), (4, 4));
        assert_eq!(faults.occurred(WHAT, "", 1, at(start, 241_000)), told(1, 0), "it counts from anew");
    }

    #[test]
    fn one_that_fails_for_a_moment_is_not_over_for_working_once_between() {
        let (faults, start) = (Faults::new(), Instant::now());
        assert_eq!(faults.occurred(WHAT, "", 1, start), told(1, 0));
        faults.worked(|_| true, at(start, 1_000));
        faults.occurred(WHAT, "", 1, at(start, 2_000));
        assert_eq!(over(&faults, at(start, 10_000)), []);
    }

    #[test]
    fn an_outage_is_told_from_the_tenth_failure_in_a_row() {
        let (faults, start) = (Faults::new(), Instant::now());
        let fails = |n: u64| faults.occurred(WHAT, "", IN_A_ROW, at(start, n));
        assert!((1..10).all(|n| fails(n).is_none()));
        faults.worked(|_| true, at(start, 10));
        assert!((11..20).all(|n| fails(n).is_none()), "it worked in between");
        assert_eq!(fails(20), told(19, 0));
        faults.worked(|_| true, at(start, 30));
        assert_eq!(over(&faults, at(start, 5_000)).len(), 1);
        // What was never told of is never told to be over.
        assert!(fails(100_000).is_none());
        assert_eq!(over(&faults, at(start, 300_000)), []);
        assert!(!faults.any.load(Ordering::Relaxed));
    }

    #[test]
    fn a_fault_that_stays_away_for_a_minute_is_over() {
        let (faults, start) = (Faults::new(), Instant::now());
        assert_eq!(over(&faults, start), []);
        faults.occurred(WHAT, "anna", 1, start);
        assert_eq!(over(&faults, start + QUIET.saturating_sub(Duration::from_millis(1))), []);
        let lasted = Told { times: 1, seconds: 0 };
        assert_eq!(
            over(&faults, start + QUIET),
            [("it failed anna".into(), lasted, "not met again for a minute")]
        );
        assert_eq!(over(&faults, start + QUIET), []);
        assert!(!faults.any.load(Ordering::Relaxed));
    }

    #[test]
    fn a_thousand_faults_are_told_apart_and_the_rest_together() {
        let (faults, now) = (Faults::new(), Instant::now());
        let lines = (0..APART_MAX + 500).filter_map(|n| faults.occurred(WHAT, &n.to_string(), 1, now));
        assert_eq!(lines.count(), APART_MAX + 1);
        let ended = over(&faults, now + QUIET);
        let times = |whose: &str| {
            let found = ended.iter().find(|(name, _, _)| name == &format!("{WHAT} {whose}"));
            found.map(|(_, told, _)| told.times)
        };
        assert_eq!((ended.len(), times("many"), times("999")), (APART_MAX + 1, Some(500), Some(1)));
    }
}
