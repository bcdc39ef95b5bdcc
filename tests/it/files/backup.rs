//! A backup of a running ledger, laid out elsewhere; and what is no backup.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, eventually, text};
use serde_json::Value;

use super::world::{SOON, World, home, home_with_campaign, win, with_wins};

fn restored(backup: &Path) -> Home {
    let home = home();
    home.run(&["restore", "--from", text(backup), "--reason", "the disk died", "--by", "olga"])
        .expect_code(0);
    home
}

/// The restores that the log tells of.
fn restores(home: &Home) -> Vec<Value> {
    let log = rusqlite::Connection::open(home.data().join("log.db")).unwrap();
    let mut select = log.prepare("SELECT payload FROM events WHERE event_type = 'LogRestored'").unwrap();
    let payloads = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    payloads.map(|payload| serde_json::from_str(&payload.unwrap()).unwrap()).collect()
}

#[test]
fn a_backup_of_a_running_ledger_restores_to_the_same_ledger_that_pays_nobody_twice() {
    let home = home_with_campaign();
    let service = with_wins(&home, "a", 20);
    let backup = home.file("backup");
    let manifest = home.run(&["backup", "--to", text(&backup)]).expect_code(0).json();
    let check = home.run(&["restore", "--from", text(&backup), "--check"]).expect_code(0).json();
    assert_eq!((&check["holds"], &check["manifest"]), (&Value::Bool(true), &manifest));
    assert_eq!(manifest["account_keys"], 20);
    // It goes on meanwhile, and after it.
    win(&service, "b", 3);
    service.stop();

    let copy = restored(&backup);
    let told = &restores(&copy)[0]["LogRestored"];
    assert_eq!((&told["reason"], &told["by"]), (&"the disk died".into(), &"operator:olga".into()), "{told}");
    let replayed = copy.replayed();
    let paid = |home: &Home| {
        let rail = rusqlite::Connection::open(home.data().join("rail.db")).unwrap();
        rail.query_row("SELECT count(*) FROM payments", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((&replayed["transactions"], paid(&copy)), (&20.into(), 20));
    let service = copy.listen(&[]);
    service.ready(SOON);
    let feed = service.feed();
    assert_eq!(service.send(&feed, &[purchase("a-3", "cus_a_3")])[0]["result"], "duplicate");
    assert_eq!(service.send(&feed, &[purchase("b-1", "cus_b_1")])[0]["result"], "accepted");
    service.settle(SOON);
    service.trial_balance();
    service.stop();
    assert_eq!(paid(&copy), 21);
    copy.assert_read_models_hold();
}

#[test]
fn backups_and_data_folders_are_their_owners_alone() {
    let home = home_with_campaign();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(home.data().join("log.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let service = with_wins(&home, "a", 2);
    let backup = home.file("backup");
    home.run(&["backup", "--to", text(&backup)]).expect_code(0);
    let loose = |folder: &Path| {
        let mut loose = vec![];
        for path in
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).chain([folder.into()])
        {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                loose.push(format!("{} {mode:o}", path.display()));
            }
        }
        loose
    };
    for folder in [home.data(), backup.clone(), backup.join("keys")] {
        assert_eq!(loose(&folder), [] as [String; 0]);
    }
    service.stop();
}

#[test]
fn what_is_no_whole_backup_is_told_and_not_laid_out() {
    let home = home_with_campaign();
    with_wins(&home, "a", 3).stop();
    let backup = home.file("backup");
    let made = || {
        let _ = std::fs::remove_dir_all(&backup);
        home.run(&["backup", "--to", text(&backup)]).expect_code(0);
    };
    made();
    // Nothing is overwritten.
    let again = home.run(&["backup", "--to", text(&backup)]);
    assert!(again.code != 0 && again.stderr.contains("is not empty"), "{again:?}");
    let full = home.run(&["restore", "--from", text(&backup)]).expect_code(1);
    assert!(full.stderr.contains("is not empty"), "{full:?}");
    for (file, word) in [("log.db", "log.db"), ("keys/keys.db", "keys/keys.db"), ("steps.db", "steps.db")] {
        for change in ["cut", "changed", "missing"] {
            made();
            let path = backup.join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            match change {
                "cut" => bytes.truncate(bytes.len() / 2),
                _ => bytes[200] ^= 1,
            }
            std::fs::write(&path, bytes).unwrap();
            if change == "missing" {
                std::fs::remove_file(&path).unwrap();
            }
            let check = home.run(&["restore", "--from", text(&backup), "--check"]).expect_code(1).json();
            assert!(check["wrong"].to_string().contains(word), "{file} {change}: {check}");
            let fresh = super::world::home();
            fresh.run(&["restore", "--from", text(&backup)]).expect_code(1);
            assert!(!fresh.data().exists(), "{file} {change}: something was laid out");
        }
    }
    // What the manifest itself leaves out or says otherwise.
    let refused = |change: &dyn Fn(&mut Value), words: &str| {
        made();
        let path = backup.join("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        for file in ["rail.db", "keys/root.key"] {
            if manifest["files"].get(file).is_none() {
                std::fs::remove_file(backup.join(file)).unwrap();
            }
        }
        std::fs::write(&path, manifest.to_string()).unwrap();
        let check = home.run(&["restore", "--from", text(&backup), "--check"]).expect_code(1).json();
        assert!(check["wrong"].to_string().contains(words), "{words}: {check}");
        let fresh = super::world::home();
        let ran = fresh.run(&["restore", "--from", text(&backup)]).expect_code(1);
        assert!(ran.stderr.contains(words) && !fresh.data().exists(), "{words}: {ran:?}");
    };
    let without = |file: &'static str| {
        move |manifest: &mut Value| drop(manifest["files"].as_object_mut().unwrap().remove(file))
    };
    refused(&without("rail.db"), "rail.db is missing or empty although it was asked to pay");
    refused(&without("keys/root.key"), "keys/root.key is not in the backup");
    refused(&|manifest| manifest["head_hash"] = "00".repeat(32).into(), "another event");
    refused(&|manifest| manifest["recorded_at"] = "2020-01-01T00:00:00Z".into(), "another event");
    refused(&|manifest| manifest["account_keys"] = 7.into(), "the manifest says 7");
    refused(&|manifest| manifest["position"] = "0:1".into(), "the manifest says 0:1");
    for manifest in [&b""[..], b"{", b"[]", b"\xff"] {
        std::fs::write(backup.join("manifest.json"), manifest).unwrap();
        let ran = home.run(&["restore", "--from", text(&backup), "--check"]).expect_code(1);
        assert!(ran.stderr.contains("manifest.json is no manifest"), "{ran:?}");
    }
    std::fs::remove_file(backup.join("manifest.json")).unwrap();
    home.run(&["restore", "--from", text(&backup), "--check"]).expect_code(1);
}

#[test]
fn a_restore_that_fails_leaves_nothing_behind_and_may_be_tried_again() {
    let home = home_with_campaign();
    with_wins(&home, "a", 3).stop();
    let backup = home.file("backup");
    home.run(&["backup", "--to", text(&backup)]).expect_code(0);
    // The files are whole, and the key is not theirs.
    let right = std::fs::read(backup.join("keys/root.key")).unwrap();
    let mut wrong = right.clone();
    wrong[3] ^= 1;
    let path = backup.join("manifest.json");
    let told = std::fs::read_to_string(&path).unwrap();
    let sum = || stores::files::sum_of(&backup.join("keys/root.key")).unwrap().1.to_string();
    let sum_of_right = sum();
    std::fs::write(backup.join("keys/root.key"), &wrong).unwrap();
    std::fs::write(&path, told.replace(&sum_of_right, &sum())).unwrap();
    let fresh = super::world::home();
    assert_ne!(fresh.run(&["restore", "--from", text(&backup)]).code, 0);
    assert_eq!(std::fs::read_dir(fresh.data()).unwrap().count(), 0);

    std::fs::write(backup.join("keys/root.key"), &right).unwrap();
    std::fs::write(&path, told).unwrap();
    fresh.run(&["restore", "--from", text(&backup)]).expect_code(0);
    assert_eq!(fresh.replayed()["transactions"], 3);
}

#[test]
fn an_older_log_is_declared_by_a_person_and_then_goes_on() {
    let home = home_with_campaign();
    with_wins(&home, "a", 4).stop();
    // Decided, and no step has done anything about it yet.
    let file = home.write("rows.ndjson", rewardhub_tests::rows::ndjson(&[purchase("c", "cus_c")]));
    home.run(&["ingest", text(&file)]).expect_code(0);
    let log = std::fs::read(home.data().join("log.db")).unwrap();
    with_wins(&home, "b", 4).stop();
    let declare = ["restore", "--declare", "--reason", "an older log", "--by", "olga"];
    let nothing = home.run(&declare).expect_code(1);
    assert!(nothing.stderr.contains("nothing to declare"), "{nothing:?}");
    std::fs::write(home.data().join("log.db"), log).unwrap();
    home.run(&["account", "open", "cus_new"]).expect_code(3);
    home.run(&declare).expect_code(0);
    assert_eq!(restores(&home).len(), 1);
    // Its wins come again and are paid, under keys that the rail has not seen.
    let service = with_wins(&home, "b", 4);
    service.trial_balance();
    service.stop();
    home.assert_read_models_hold();
    let replayed = home.replayed();
    assert_eq!(replayed["transactions"], 9, "{replayed}");
    let log = rusqlite::Connection::open(home.data().join("log.db")).unwrap();
    let paid = "SELECT count(*) FROM events WHERE event_type = 'RewardCredited'";
    assert_eq!(
        log.query_row(paid, [], |row| row.get::<_, i64>(0)).unwrap(),
        9,
        "also what was decided before"
    );
}

#[test]
fn a_restored_database_is_declared_by_a_person_and_then_goes_on() {
    let world = World::empty();
    let home = world.place();
    home.run(&["migrate"]).expect_code(0);
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    let service = home.listen(&[]);
    service.ready(SOON);
    service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    let count = |event: &str| {
        world.number(&format!("SELECT count(*) FROM ledger.events WHERE event_type = '{event}'"))
    };
    eventually("a reward to be paid", SOON, || (count("RewardCredited") == 1).then_some(()));
    service.settled(SOON);
    service.stop();
    // The win is there, what the steps did about it is gone.
    let head = world.number("SELECT min(position) - 1 FROM ledger.events WHERE event_type = 'RewardIssued'");
    world.execute(&format!(
        "ALTER TABLE ledger.events DISABLE TRIGGER ALL; DELETE FROM ledger.events WHERE position > {head}; \
         ALTER TABLE ledger.events ENABLE TRIGGER ALL; UPDATE ledger.head SET position = {head}, \
         recorded_at = (SELECT max(recorded_at) FROM ledger.events)"
    ));
    home.run(&["account", "open", "cus_new"]).expect_code(3);
    home.run(&["restore", "--declare", "--reason", "from the dump of monday", "--by", "olga"]).expect_code(0);
    assert_eq!((count("LogRestored"), count("RewardIssued")), (1, 0));
    let service = home.listen(&[]);
    service.ready(SOON);
    assert_eq!(service.send(&service.feed(), &[purchase("t1", "cus_1")])[0]["result"], "duplicate");
    eventually("the reward to be issued and paid again", SOON, || {
        (count("RewardCredited") == 1).then_some(())
    });
    assert_eq!(count("RewardIssued"), 1);
    service.settled(SOON);
    service.trial_balance();
    service.stop();
    home.assert_read_models_hold();
}

#[test]
fn two_settings_that_name_two_ledgers_are_refused_before_anything_is_made() {
    let home = home();
    let other = home.file("other");
    let config = home.write("rewardhub.yaml", format!("data: {}\n", home.file("third").display()));
    for (name, value) in [
        ("REWARDHUB_LOG", "postgres://somebody:s3cret@127.0.0.1:1/ledger"),
        ("REWARDHUB_LOG", "sqlite:/nowhere/else"),
        ("REWARDHUB_CONFIG", text(&config)),
    ] {
        let confused = Home::with(&[(name, value)]);
        for command in [["audit", "replay"], ["account", "open"], ["campaign", "approve"]] {
            let arguments: &[&str] = match command[0] {
                "account" => &["account", "open", "cus_1", "--data", text(&other)],
                "campaign" => {
                    &["campaign", "approve", "c", "--version", "1", "--by", "bob", "--data", text(&other)]
                }
                _ => &["audit", "replay", "--data", text(&other)],
            };
            let ran = confused.run(arguments).expect_code(2);
            assert!(ran.stderr.contains("names the") && ran.stderr.contains(text(&other)), "{name}: {ran:?}");
            assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        }
    }
    assert!(!other.exists());
}
