use super::*;
use crate::support::ManualClock;

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const MAX: i64 = 60 * SECOND_MICROS;
const DAY: i64 = crate::time::DAY_MICROS;

fn watched() -> (Arc<ManualClock>, WatchedClock) {
    let source = Arc::new(ManualClock::at(NOW));
    let clock = WatchedClock::new(Arc::clone(&source) as _, Duration::from_mins(1));
    (source, clock)
}

fn says(clock: &WatchedClock, server: Timestamp) {
    clock.compare(clock.reading(), server);
}

#[test]
fn a_leap_up_to_the_bound_is_taken_and_one_beyond_waits() {
    for (leap, held) in [(MAX - 1, false), (MAX, false), (MAX + 1, true), (i64::MAX / 2, true)] {
        let (source, clock) = watched();
        source.leap(leap);
        assert_eq!(clock.read().is_err(), held, "{leap}");
        let expected = if held { NOW } else { NOW.plus_micros(leap) };
        assert_eq!(clock.now(), expected, "{leap}");
    }
}

#[test]
fn while_it_waits_time_goes_on_and_the_clock_that_comes_back_is_taken() {
    let (source, clock) = watched();
    source.leap(40 * DAY);
    source.advance(10 * SECOND_MICROS);
    assert_eq!(clock.read(), Err(ClockAhead { seconds: 40 * 86_400 }));
    assert_eq!(clock.now(), NOW.plus_micros(10 * SECOND_MICROS));
    source.leap(-40 * DAY);
    assert_eq!(clock.read(), Ok(NOW.plus_micros(10 * SECOND_MICROS)));
}

#[test]
fn steps_below_the_bound_add_up() {
    let (source, clock) = watched();
    source.leap(MAX);
    source.advance(SECOND_MICROS);
    assert!(clock.read().is_ok());
    source.leap(MAX / 2);
    assert!(clock.read().is_err());
    source.leap(-MAX / 2);
    // After ten times the step it is forgotten.
    for _ in 0..600 {
        source.advance(SECOND_MICROS);
        assert!(clock.read().is_ok());
    }
    source.leap(MAX);
    assert!(clock.read().is_ok());
}

#[test]
fn a_clock_that_creeps_is_never_held() {
    let (source, clock) = watched();
    for _ in 0..100_000 {
        source.advance(SECOND_MICROS);
        source.leap(SECOND_MICROS / 12);
        assert!(clock.read().is_ok(), "as fast as chrony makes it at most");
    }
}

#[test]
fn a_clock_that_is_set_back_goes_on_and_may_come_back() {
    let (source, clock) = watched();
    source.leap(-DAY);
    assert_eq!(clock.read(), Ok(NOW.plus_micros(-DAY)));
    source.advance(60 * SECOND_MICROS);
    source.leap(DAY);
    assert_eq!(clock.read(), Ok(NOW.plus_micros(60 * SECOND_MICROS)));
}

#[test]
fn a_person_accepts_a_leap_and_the_next_one_waits_again() {
    let (source, clock) = watched();
    source.leap(DAY);
    let before = clock.accept();
    assert_eq!(clock.read(), Ok(NOW.plus_micros(DAY)));
    clock.restore(before);
    assert!(clock.read().is_err(), "what could not be recorded is not accepted");
    clock.accept();
    source.leap(DAY);
    assert!(clock.read().is_err());
}

#[test]
fn a_leap_that_the_servers_clock_confirms_is_taken() {
    let (source, clock) = watched();
    source.leap(3 * 3_600 * SECOND_MICROS);
    assert!(clock.read().is_err());
    says(&clock, source.now().plus_micros(-SECOND_MICROS));
    assert_eq!(clock.read(), Ok(source.now()));
}

#[test]
fn a_clock_ahead_of_the_servers_waits_also_without_a_leap() {
    for (lead, held) in [(MAX, false), (MAX + 1, true)] {
        let (source, clock) = watched();
        says(&clock, NOW.plus_micros(-lead));
        assert_eq!(clock.read().is_err(), held, "{lead}");
        source.leap(-lead);
        assert_eq!(clock.read(), Ok(NOW.plus_micros(-lead)), "it has been set right");
    }
}

#[test]
fn a_servers_clock_that_is_ahead_confirms_nothing() {
    let (source, clock) = watched();
    says(&clock, NOW.plus_micros(40 * DAY));
    assert_eq!(clock.read(), Ok(NOW));
    source.leap(DAY);
    says(&clock, NOW.plus_micros(40 * DAY));
    assert!(clock.read().is_err());
}

#[test]
fn a_person_accepts_that_the_servers_clock_is_wrong() {
    let (source, clock) = watched();
    says(&clock, NOW.plus_micros(-DAY));
    assert!(clock.read().is_err());
    clock.accept();
    source.advance(SECOND_MICROS);
    says(&clock, source.now().plus_micros(-DAY));
    assert_eq!(clock.read(), Ok(source.now()));
    says(&clock, source.now().plus_micros(-2 * DAY));
    assert!(clock.read().is_err(), "that it is even more wrong has not been accepted");
}

#[test]
fn an_answer_of_the_server_that_took_long_says_nothing() {
    let (source, clock) = watched();
    let asked = clock.reading();
    source.advance(6 * SECOND_MICROS);
    clock.compare(asked, NOW.plus_micros(-DAY));
    assert!(clock.read().is_ok());
}
