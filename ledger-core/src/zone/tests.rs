//! Zones by three tables: this build's, one in a log, that of the first releases.

use super::*;

const NOON: &str = "2026-11-30T12:00:00Z";

fn at(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).unwrap()
}

fn zone(name: &str) -> Zone {
    Zone::named(name)
}

fn one(version: &str, name: &str, offset: i32, transitions: &[(i64, i32)]) -> ZoneTableChange {
    let transitions = Arc::new(Transitions { offset, transitions: transitions.to_vec() });
    ZoneTableChange { version: version.into(), zones: [(name.into(), transitions)].into() }
}

/// By the IANA's table 2026f; the first releases had the one of March 2025.
#[test]
fn thirteen_zones_are_as_their_governments_have_set_them_since_march_2025() {
    let hours = |clocks: Option<Clocks>| {
        let local = clocks.unwrap().local(at(NOON));
        (local - at(NOON).to_utc().naive_utc()).num_hours()
    };
    let mut wrong_before = 0;
    for (name, now) in [
        ("Africa/Casablanca", 0),
        ("Africa/El_Aaiun", 0),
        ("America/Edmonton", -6),
        ("America/Havana", -4),
        ("America/Inuvik", -6),
        ("America/Rainy_River", -5),
        ("America/Vancouver", -7),
        ("America/Winnipeg", -5),
        ("America/Yellowknife", -6),
        ("Canada/Central", -5),
        ("Canada/Mountain", -6),
        ("Canada/Pacific", -7),
        ("Cuba", -4),
        ("Europe/London", 0),
        ("America/New_York", -5),
        ("Asia/Kathmandu", 5),
        ("Pacific/Kiritimati", 14),
        ("UTC", 0),
    ] {
        assert_eq!(hours(ZoneTable::new().clocks_to_be(&zone(name))), now, "{name}");
        wrong_before += u32::from(hours(ZoneTable::new().clocks(&zone(name))) != now);
    }
    assert_eq!(wrong_before, 13);
}

#[test]
fn a_build_knows_which_table_it_has() {
    let (year, letter) = version().split_at(4);
    assert!(year.parse::<u32>().unwrap() >= 2026 && letter.chars().all(|c| c.is_ascii_lowercase()), "{year}");
}

#[test]
fn a_zone_is_known_under_its_own_spelling_and_keeps_its_name_under_any() {
    for (name, known) in [
        ("Europe/London", true),
        ("UTC", true),
        ("EST5EDT", true),
        ("europe/london", false),
        ("Factory", false),
        ("Mars/Olympus", false),
        ("../Europe/London", false),
        ("", false),
    ] {
        let zone: Zone = serde_json::from_value(name.into()).unwrap();
        assert_eq!((zone.is_known(), built_in(&zone).is_some()), (known, known), "{name}");
        assert_eq!(serde_json::to_value(&zone).unwrap(), name);
    }
    for old in chrono_tz::TZ_VARIANTS {
        assert!(zone(old.name()).is_known(), "{old}");
    }
}

#[test]
fn clocks_change_at_the_second_and_keep_their_ends() {
    let change = at("2026-11-22T00:00:00Z");
    let seconds = change.micros() / SECOND_MICROS;
    let mut table = ZoneTable::new();
    table.change(one("x", "Mars/Olympus", 3_600, &[(seconds, -7_200), (seconds + 86_400, 1_234)]));
    let clocks = table.clocks(&zone("Mars/Olympus")).unwrap();
    let offset = |at: Timestamp| (clocks.local(at) - at.to_utc().naive_utc()).num_seconds();
    assert_eq!(offset(Timestamp::from_micros(0)), 3_600);
    assert_eq!((offset(change.plus_micros(-1)), offset(change)), (3_600, -7_200));
    assert_eq!(clocks.day(change).to_string(), "2026-11-21");
    assert_eq!((offset(at("2026-11-23T00:00:00Z")), offset(at("9999-12-31T23:59:59Z"))), (1_234, 1_234));
}

#[test]
fn years_of_changes_are_bounded() {
    for name in ["Europe/London", "Africa/Casablanca", "America/St_Johns", "Antarctica/Troll"] {
        let Transitions { transitions, .. } = built_in(&zone(name)).unwrap();
        assert!((1..=400).contains(&transitions.len()), "{name}: {}", transitions.len());
        assert!(transitions.is_sorted_by(|a, b| a.0 < b.0), "{name}");
        assert!(transitions.windows(2).all(|pair| pair[0].1 != pair[1].1), "{name}");
        let ends = (transitions[0].0, transitions[transitions.len() - 1].0);
        assert!(ends.0 >= SECONDS.start && ends.1 < SECONDS.end, "{name}");
    }
    assert_eq!(at("2000-01-01T00:00:00Z").micros() / SECOND_MICROS, SECONDS.start);
    assert_eq!(at("2100-01-01T00:00:00Z").micros() / SECOND_MICROS, SECONDS.end);
}

/// Also where clocks change a minute after midnight, by half an hour, or not on the hour.
#[test]
fn the_first_releases_table_is_the_same_written_out() {
    for name in ["America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Pyongyang", "UTC"] {
        let (written, live) = (Clocks::Of(Arc::new(legacy(&zone(name)).unwrap())), Clocks::Legacy);
        let live = live(name.parse().unwrap());
        let Clocks::Of(transitions) = &written else { unreachable!("it is made so") };
        let odd = (0..60_000).map(|n| SECONDS.start + n * 52_361);
        let around = transitions.transitions.iter().flat_map(|(from, _)| [from - 1, *from, from + 1]);
        for seconds in odd.chain(around) {
            let at = Timestamp::from_micros(seconds * SECOND_MICROS);
            assert_eq!(written.local(at), live.local(at), "{name} {at}");
        }
    }
}

#[test]
fn a_log_decides_by_what_it_has_recorded_and_by_the_first_table_before() {
    let (vancouver, lost) = (zone("America/Vancouver"), zone("Mars/Olympus"));
    let night = at("2026-11-12T07:30:00Z");
    let day = |table: &ZoneTable| table.clocks(&vancouver).unwrap().day(night).to_string();
    let mut table = ZoneTable::new();
    assert_eq!(day(&table), "2026-11-11");
    assert!(table.clocks(&lost).is_none() && table.clocks_to_be(&lost).is_none());
    table.change(table.outdated([&vancouver]).unwrap());
    assert_eq!(day(&table), "2026-11-12");
    let read: ZoneTable = serde_json::from_value(serde_json::to_value(&table).unwrap()).unwrap();
    assert_eq!(read, table);
}

#[test]
fn what_is_in_use_is_recorded_once_and_again_when_the_table_moves_on() {
    let (london, tokyo, lost) = (zone("Europe/London"), zone("Asia/Tokyo"), zone("Mars/Olympus"));
    let names = |change: Option<ZoneTableChange>| {
        change.map(|change| change.zones.keys().map(ToString::to_string).collect::<Vec<_>>())
    };
    let mut table = ZoneTable::new();
    assert_eq!(names(table.outdated([])), None);
    assert_eq!(names(table.outdated([&lost])), None);
    assert_eq!(names(table.outdated([&london, &lost, &london])), Some(vec!["Europe/London".into()]));
    table.change(table.outdated([&london]).unwrap());
    assert_eq!(names(table.outdated([&london, &lost])), None);
    assert_eq!(names(table.lacking([&london, &lost])), None);
    assert_eq!(names(table.lacking([&london, &tokyo])), Some(vec!["Asia/Tokyo".into()]));

    // Another content under the same version is put right, and all of a version before this one.
    table.change(one(version(), "Europe/London", 0, &[]));
    table.change(table.lacking([&tokyo]).unwrap());
    assert_eq!(names(table.outdated([&london, &tokyo])), Some(vec!["Europe/London".into()]));
    let mut table = ZoneTable::new();
    table.change(one("2025b", "Europe/London", 0, &built_in(&london).unwrap().transitions));
    assert_eq!(names(table.lacking([&london])), None);
    assert_eq!(names(table.outdated([&london])), Some(vec!["Europe/London".into()]));

    // A newer build has been here: what it recorded stays, what it did not is added.
    table.change(one("2999a", "Europe/London", 0, &[]));
    assert_eq!(names(table.outdated([&london])), None);
    assert_eq!(names(table.outdated([&london, &tokyo])), Some(vec!["Asia/Tokyo".into()]));
    table.change(table.outdated([&tokyo]).unwrap());
    assert_eq!(names(table.outdated([&london, &tokyo])), None);
}
