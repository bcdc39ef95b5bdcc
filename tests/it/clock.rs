//! The clock of a running process leaps, as libfaketime makes it; the monotonic one goes on.

use std::path::PathBuf;

use rewardhub_tests::rows::{now, purchase};
use rewardhub_tests::{Home, PATIENCE, Sandbox, eventually};
use serde_json::{Value, json};

/// Debian's package `faketime`.
fn library() -> PathBuf {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|arch| format!("/usr/lib/{arch}/faketime"));
    let found = places.map(|place| PathBuf::from(place).join("libfaketimeMT.so.1"));
    let found = found.into_iter().find(|path| path.is_file());
    found.expect("libfaketime is installed: scripts/test does it")
}

struct Leaping {
    home: Home,
    service: Sandbox,
}

impl Leaping {
    fn start() -> Leaping {
        let home = Home::new();
        let offset = home.file("offset");
        std::fs::write(&offset, "+0").unwrap();
        let (library, offset) = (library().display().to_string(), offset.display().to_string());
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &offset),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let service = Sandbox::start_with(&home.data(), &["--rate", "0"], &environment);
        Leaping { home, service }
    }

    /// From now on the clock is this far ahead, such as `+40d`.
    fn leap(&self, offset: &str) {
        std::fs::write(self.home.file("offset"), offset).unwrap();
    }

    fn clock(&self) -> Value {
        self.service.get("/readyz").body["checks"]["clock"].take()
    }

    fn in_order(&self) {
        eventually("the clock to be in order", PATIENCE, || (self.clock() == "ok").then_some(()));
    }

    fn ahead(&self) {
        eventually("the clock to be ahead", PATIENCE, || {
            self.clock().as_str().is_some_and(|said| said.starts_with("the clock is ")).then_some(())
        });
    }

    /// What the command says, and its exit code.
    fn command(&self, arguments: &[&str]) -> (i32, String) {
        let arguments = [&["clock"], arguments, &["--url", self.service.url()]].concat();
        let ran = self.home.run_as(&self.service.person("alice", "ops"), &arguments);
        (ran.code, ran.stdout + &ran.stderr)
    }
}

fn row(id: &str) -> Value {
    let mut row = purchase(id, "cus_1");
    row["booked_at"] = now().to_string().into();
    row
}

#[test]
fn a_running_ledger_waits_for_a_clock_that_leaps_until_it_is_back_or_accepted() {
    let leaping = Leaping::start();
    let (service, feed) = (&leaping.service, leaping.service.feed());
    let auditor = service.auditor();
    let result = |id: &str| service.send(&feed, &[row(id)])[0]["result"].clone();
    assert_eq!(result("before"), "accepted");

    leaping.leap("+40d");
    leaping.ahead();
    let refused = service.post(&feed, "application/json", row("meanwhile").to_string());
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("10")), "{refused:?}");
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(service.get("/readyz").status, 503);
    service.graphql(&auditor, "{ trialBalance { position } }", json!({}));
    let (code, shown) = leaping.command(&["show"]);
    assert_eq!(code, 0, "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["in_order"], false);
    let metrics = service.get("/metrics").body.as_str().unwrap().to_owned();
    assert!(metrics.lines().any(|line| line == "rewardhub_clock_held 1"), "{metrics}");

    leaping.leap("+0");
    leaping.in_order();
    assert_eq!(result("meanwhile"), "accepted", "never too late");
    assert_eq!(
        leaping.command(&["accept", "--reason", "nothing is wrong"]).1,
        "clock: in order, nothing waits for it\n"
    );

    leaping.leap("+10m");
    leaping.ahead();
    assert_eq!(
        leaping.command(&["accept", "--reason", "it was late before"]),
        (0, "clock: accepted\n".into())
    );
    leaping.in_order();
    assert_eq!(result("after"), "accepted");
    let said = service.said();
    assert_eq!(said.matches("the clock has leapt ahead").count(), 2, "once for each: {said}");
    leaping.service.stop();

    let log = rusqlite::Connection::open(leaping.home.data().join("log.db")).unwrap();
    let sql = "SELECT count(*), max(json_extract(CAST(payload AS TEXT), '$.ClockAccepted.by')) FROM events \
               WHERE event_type = 'ClockAccepted'";
    let accepted: (i64, String) = log.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(accepted, (1, "operator:alice".into()));
}

#[test]
fn the_clock_of_no_service_is_nobodys_to_accept() {
    let home = Home::new();
    let ran = home.run(&["clock", "accept", "--reason", "because"]).expect_code(2);
    assert!(ran.stderr.contains("--url"), "{}", ran.stderr);
}
