//! After an orderly end each file alone holds all that was written.

use rewardhub_tests::rows::{ndjson, purchase};
use rewardhub_tests::{Home, Sandbox, eventually, process, text};
use rusqlite::Connection;

use super::world::{DATABASES, SOON, home, home_with_campaign, wal_bytes, win, with_wins};

/// Nothing is left in a write-ahead log.
fn assert_whole(home: &Home, after: &str) {
    for name in DATABASES {
        assert_eq!(wal_bytes(&home.data().join(name)), 0, "{name} after {after}");
    }
}

/// Another folder with nothing but what README names: the files themselves.
fn copied(home: &Home) -> Home {
    let copy = super::world::home();
    std::fs::create_dir_all(copy.data()).unwrap();
    for name in ["log.db", "keys.db", "root.key", "rail.db"] {
        let copied = std::fs::copy(home.data().join(name), copy.data().join(name));
        // Commands alone pay nobody.
        assert!(copied.is_ok() || name == "rail.db", "{name}");
    }
    copy
}

#[test]
fn after_an_orderly_stop_of_a_service_its_files_alone_are_the_whole_ledger() {
    for signal in ["TERM", "INT"] {
        let home = home_with_campaign();
        let service = with_wins(&home, "a", 30);
        service.stop_by(signal).expect_code(0);
        assert_whole(&home, signal);
        let copy = copied(&home);
        assert_eq!(copy.replayed(), home.replayed());
        let service = copy.listen(&[]);
        service.ready(SOON);
        let again = service.send(&service.feed(), &[purchase("a-7", "cus_a_7")]);
        assert_eq!(again[0]["result"], "duplicate", "{again:?}");
        service.stop();
    }
}

#[test]
fn after_an_orderly_stop_of_a_sandbox_its_files_alone_are_the_whole_ledger() {
    let home = home();
    let sandbox = Sandbox::start_with(&home.data(), &["--rate", "200/s", "--customers", "50"], &[]);
    eventually("some simulated lines", SOON, || sandbox.said().contains("read models").then_some(()));
    sandbox.stop();
    assert_whole(&home, "a sandbox");
}

#[test]
fn after_every_command_that_writes_the_files_alone_are_the_whole_ledger() {
    let home = home();
    home.start_campaign("sure", &rewardhub_tests::rows::campaign("sure", 1_000_000_000, 250, 1_000_000));
    assert_whole(&home, "campaign");
    home.run(&["campaign", "approve", "sure", "--version", "9", "--by", "nobody"]).expect_code(1);
    assert_whole(&home, "a campaign command that was refused");
    home.run(&["account", "open", "cus_1"]).expect_code(0);
    assert_whole(&home, "account");
    let file = home.write("rows.ndjson", ndjson(&[purchase("t1", "cus_1"), purchase("t2", "cus_2")]));
    home.run(&["ingest", text(&file)]).expect_code(0);
    assert_whole(&home, "ingest");
    home.run(&["rebuild", "all"]).expect_code(0);
    assert_whole(&home, "rebuild");
    home.run(&["migrate"]).expect_code(0);
    assert_eq!(copied(&home).replayed(), home.replayed());
}

/// A service manager stops what takes long.
#[test]
fn a_rebuild_and_a_backup_that_are_told_to_stop_leave_whole_files_and_nothing_half() {
    let home = home();
    home.start_campaign("sure", &rewardhub_tests::rows::campaign("sure", 1_000_000_000, 250, 100_000_000));
    let rows: Vec<_> = (0..8_000).map(|n| purchase(&format!("t{n}"), &format!("cus_{}", n % 500))).collect();
    let file = home.write("rows.ndjson", ndjson(&rows));
    home.run(&["ingest", text(&file)]).expect_code(0);
    let backup = home.file("backup");
    let half = || {
        let names = std::fs::read_dir(backup.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains("backup")).count()
    };
    for (arguments, began) in [
        (&["rebuild", "all"][..], &(|| wal_bytes(&home.data().join("read.db")) > 0) as &dyn Fn() -> bool),
        (&["backup", "--to", text(&backup)], &|| half() > 0),
    ] {
        let mut command = process::command();
        command.args(arguments).arg("--data").arg(home.data());
        let mut running = process::spawn(command);
        eventually(arguments[0], SOON, || began().then_some(()));
        running.signal("TERM");
        let (code, said) = (running.wait(), running.stderr.text());
        assert_eq!((code, said.contains("stopped before it was done")), (1, true), "{arguments:?}: {said}");
        assert_whole(&home, arguments[0]);
    }
    assert_eq!(half(), 0, "half a backup is left");
    home.run(&["rebuild", "all"]).expect_code(0);
    home.assert_read_models_hold();
}

#[test]
fn keys_are_in_their_file_within_seconds_and_the_log_soon_after_the_last_line() {
    let home = home_with_campaign();
    let service = with_wins(&home, "a", 5);
    for name in DATABASES {
        eventually(name, SOON, || (wal_bytes(&home.data().join(name)) == 0).then_some(()));
    }
    let keys = |home: &Home| {
        // As a copy of the file alone would be read.
        let file = home.file("keys.copy");
        std::fs::copy(home.data().join("keys.db"), &file).unwrap();
        let copy = Connection::open(file).unwrap();
        copy.query_row("SELECT count(*) FROM account_keys", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(keys(&home), 5);
    win(&service, "b", 3);
    eventually("new keys in their file", SOON, || (keys(&home) == 8).then_some(()));
    service.kill();
}

#[test]
fn a_reader_that_never_ends_makes_the_stop_a_fault_and_is_seen_on_a_gauge_before() {
    let home = home_with_campaign();
    let service = with_wins(&home, "a", 2);
    let log = home.data().join("log.db");
    eventually("the log to be whole", SOON, || (wal_bytes(&log) == 0).then_some(()));
    let reader = Connection::open(&log).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap();
    win(&service, "b", 2);
    eventually("the gauge to tell", SOON, || {
        let metrics = service.get("/metrics").body.as_str().unwrap_or_default().to_owned();
        let bytes = metrics
            .lines()
            .find_map(|line| line.strip_prefix("rewardhub_wal_bytes{file=\"log.db\"} "))?
            .parse::<f64>();
        (bytes.unwrap() > 0.0).then_some(())
    });
    let ended = service.stop_by("TERM").expect_code(3);
    assert!(ended.stderr.contains("log.db itself: keep"), "{}", ended.stderr);
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    // Nothing is lost, and the next stop makes it whole.
    let service = home.listen(&[]);
    service.ready(SOON);
    service.stop();
    assert_whole(&home, "the next stop");
    assert_eq!(home.replayed()["transactions"], 4);
}
