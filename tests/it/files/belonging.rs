//! Files that do not belong together are refused by name, and nothing is changed.

use std::collections::BTreeMap;
use std::path::Path;

use rewardhub_tests::{Home, eventually};

use super::world::{DATABASES, SOON, home_with_campaign, wal_bytes, win, with_wins};

/// All files of a folder with their content, but for what SQLite keeps for readers and who holds
/// the lock.
fn content(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap());
    files
        .filter_map(|file| {
            let name = file.file_name().into_string().unwrap();
            let passing = name == "lock" || name.ends_with("-shm") || name.ends_with("-wal");
            (!passing).then(|| (name, std::fs::read(file.path()).unwrap()))
        })
        .collect()
}

fn put(home: &Home, files: &BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(home.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (name, bytes) in files {
        std::fs::write(home.data().join(name), bytes).unwrap();
        if name.contains("key") {
            owner_only(&home.data().join(name));
        }
    }
}

fn owner_only(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Refused by `serve` and by a command that writes, in words that have these, and left as it was.
fn refused(home: &Home, case: &str, words: &[&str]) {
    let before = content(home);
    for ran in [home.run(&["serve"]), home.run(&["account", "open", "cus_new"])] {
        assert_eq!(ran.code, 3, "{case}: {ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{case}: no `{word}` in {}", ran.stderr);
        }
    }
    assert!(content(home) == before, "{case}: something was changed");
}

/// A folder at three moments: the first wins, more wins, and another ledger's files.
struct Moments {
    home: Home,
    older: BTreeMap<String, Vec<u8>>,
    newer: BTreeMap<String, Vec<u8>>,
    foreign: BTreeMap<String, Vec<u8>>,
}

impl Moments {
    fn new() -> Moments {
        let home = home_with_campaign();
        with_wins(&home, "a", 4).stop();
        let older = content(&home);
        let service = with_wins(&home, "b", 4);
        win(&service, "c", 4);
        service.stop();
        let newer = content(&home);
        let other = home_with_campaign();
        with_wins(&other, "x", 20).stop();
        Moments { home, older, newer, foreign: content(&other) }
    }

    /// The newer files, of which these are replaced or (`None`) deleted.
    fn with(&self, changes: &[(&str, Option<&[u8]>)]) -> &Home {
        let mut files = self.newer.clone();
        for (name, bytes) in changes {
            match bytes {
                Some(bytes) => files.insert((*name).into(), bytes.to_vec()),
                None => files.remove(*name),
            };
        }
        put(&self.home, &files);
        &self.home
    }
}

#[test]
fn an_empty_older_or_missing_log_beside_newer_files_is_refused_by_name() {
    let moments = Moments::new();
    let old = moments.older["log.db"].as_slice();
    refused(moments.with(&[("log.db", Some(b""))]), "emptied", &["log.db is missing or empty", "read.db"]);
    refused(moments.with(&[("log.db", None)]), "deleted", &["log.db is missing"]);
    refused(
        moments.with(&[("log.db", Some(old))]),
        "older",
        &["read.db has seen events up to", "log.db ends at"],
    );
    // Whatever is left that knows better is enough.
    for left in ["read.db", "steps.db", "keys.db", "rail.db"] {
        let mut changes = vec![("log.db", Some(old))];
        changes.extend(DATABASES.iter().filter(|name| **name != left && **name != "log.db").map(|name| {
            let older = moments.older[*name].as_slice();
            (*name, Some(older))
        }));
        refused(moments.with(&changes), left, &[&format!("{left} has seen events up to")]);
    }
    let rest = [("read.db", None), ("steps.db", None), ("rail.db", None)];
    let changes: Vec<_> = [("log.db", None)].into_iter().chain(rest).collect();
    refused(moments.with(&changes), "all but the keys deleted", &["log.db is missing", "keys.db"]);
    let changes: Vec<_> = [("log.db", Some(b"".as_slice()))].into_iter().chain(rest).collect();
    refused(moments.with(&changes), "all but the keys emptied", &["log.db is missing or empty", "keys.db"]);
}

#[test]
fn a_file_of_another_ledger_is_refused_by_name() {
    let moments = Moments::new();
    for name in ["read.db", "steps.db", "rail.db"] {
        let foreign = moments.foreign[name].as_slice();
        refused(
            moments.with(&[(name, Some(foreign))]),
            name,
            &[&format!("{name} belongs to another ledger")],
        );
    }
    let foreign = |name: &'static str| (name, Some(moments.foreign[name].as_slice()));
    refused(moments.with(&[foreign("log.db")]), "log.db", &["belongs to another ledger"]);
    refused(
        moments.with(&[foreign("keys.db"), foreign("root.key")]),
        "keys.db and its root key",
        &["keys.db belongs to another ledger"],
    );
    refused(moments.with(&[foreign("keys.db")]), "keys.db", &["keys.db"]);
    refused(moments.with(&[foreign("root.key")]), "root.key", &["another root key"]);
}

#[test]
fn keys_that_are_emptied_missing_made_anew_or_older_are_refused() {
    let moments = Moments::new();
    refused(moments.with(&[("keys.db", Some(b""))]), "emptied", &["keys.db is missing or empty"]);
    refused(moments.with(&[("keys.db", None)]), "deleted", &["keys.db is missing"]);
    let old = moments.older["keys.db"].as_slice();
    refused(moments.with(&[("keys.db", Some(old))]), "older", &["keys.db lacks the keys of", "older"]);
    refused(moments.with(&[("root.key", None)]), "no root key", &["root.key is missing"]);
    // Rows taken out by hand.
    for (table, words) in
        [("named_keys", "has lost our own keys"), ("account_keys", "keys.db lacks the keys of")]
    {
        let home = moments.with(&[]);
        let keys = rusqlite::Connection::open(home.data().join("keys.db")).unwrap();
        let sql =
            format!("PRAGMA journal_mode = DELETE; DROP TRIGGER account_keys_keep_rows; DELETE FROM {table}");
        keys.execute_batch(&sql).unwrap();
        drop(keys);
        refused(home, table, &[words]);
    }
    // All that comes of events is there, and our own keys are another ledger's.
    let home = moments.with(&[("root.key", Some(moments.foreign["root.key"].as_slice()))]);
    let other = home.write("other.db", &moments.foreign["keys.db"]);
    let keys = rusqlite::Connection::open(home.data().join("keys.db")).unwrap();
    let sql = "DELETE FROM named_keys; INSERT INTO named_keys SELECT * FROM other.named_keys; DETACH other";
    keys.execute("ATTACH ?1 AS other", [rewardhub_tests::text(&other)]).unwrap();
    keys.execute_batch(sql).unwrap();
    drop(keys);
    refused(home, "of another ledger", &["keys.db has another `"]);
}

#[test]
fn a_rail_that_lost_its_books_is_refused_and_lost_read_models_and_cursors_are_made_again() {
    let moments = Moments::new();
    refused(moments.with(&[("rail.db", None)]), "deleted", &["rail.db is missing"]);
    refused(moments.with(&[("rail.db", Some(b""))]), "emptied", &["rail.db is missing or empty"]);
    let without_cursors = [("rail.db", None), ("steps.db", None), ("read.db", None)];
    refused(moments.with(&without_cursors), "deleted with the cursors", &["rail.db is missing"]);
    let older = moments.older["rail.db"].as_slice();
    refused(moments.with(&[("rail.db", Some(older))]), "older", &["rail.db lacks", "is older than log.db"]);
    for name in ["read.db", "steps.db"] {
        for bytes in [None, Some(b"".as_slice()), Some(moments.older[name].as_slice())] {
            let home = moments.with(&[(name, bytes)]);
            let before = home.replayed()["events"].clone();
            let service = home.listen(&[]);
            service.ready(SOON);
            service.settle(SOON);
            service.trial_balance();
            service.stop();
            assert_eq!(home.replayed()["events"], before, "{name}: nothing is issued, told or paid again");
            home.assert_read_models_hold();
        }
    }
}

#[test]
fn a_lost_cut_or_damaged_write_ahead_log_beside_newer_files_is_refused() {
    let home = home_with_campaign();
    with_wins(&home, "a", 3).stop();
    // A reader keeps the write-ahead log from being emptied; then the machine goes down.
    let reader = rusqlite::Connection::open(home.data().join("log.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap();
    let service = with_wins(&home, "b", 10);
    for name in ["read.db", "steps.db", "keys.db"] {
        eventually(name, SOON, || (wal_bytes(&home.data().join(name)) == 0).then_some(()));
    }
    service.kill();
    drop(service);
    let files = content(&home);
    let wal = std::fs::read(home.data().join("log.db-wal")).unwrap();
    drop(reader);
    assert!(wal.len() > 20_000, "{}", wal.len());
    let mut damaged = wal.clone();
    let middle = wal.len() / 2;
    damaged[middle..middle + 64].fill(0x5a);
    for (case, wal) in [("lost", &[][..]), ("cut", &wal[..wal.len() / 3]), ("damaged", &damaged)] {
        put(&home, &files);
        std::fs::write(home.data().join("log.db-wal"), wal).unwrap();
        refused(&home, case, &["has seen events up to"]);
        let now = std::fs::read(home.data().join("log.db-wal")).unwrap_or_default();
        assert!(now == wal, "{case}: the write-ahead log was changed");
    }
}
