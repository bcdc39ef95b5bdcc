//! The SQLite log keeps the contract, and what only a file can promise.

use tempfile::TempDir;

use super::*;
use ledger_core::log::Log;
use support::contract::{self, Place};
use support::{History, stream};

const FILE: &str = "log.db";

/// A folder of its own.
struct Fresh(TempDir);

#[async_trait]
impl Place for Fresh {
    async fn open(&self) -> Log {
        Arc::new(open(&self.0)).into()
    }
}

fn open(folder: &TempDir) -> SqliteLog {
    SqliteLog::open(&folder.path().join(FILE), &SqliteOptions::default()).unwrap()
}

fn raw(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join(FILE)).unwrap()
}

/// A log with two events of account a.
async fn written(folder: &TempDir) -> (SqliteLog, Vec<StoredEvent>) {
    let log = open(folder);
    let term = log.lease("test", None).await.unwrap().term;
    let mut history = History::default();
    let events = vec![history.event(&stream("a")), history.keyed(&stream("a"), 1)];
    log.append(&history.batch(term, events.clone())).await.unwrap();
    (log, events)
}

/// The whole chain of an error's texts.
fn chain(error: &LogError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sqlite_log_keeps_the_contract() {
    contract::holds(async || Fresh(TempDir::new().unwrap())).await;
}

#[tokio::test]
async fn the_file_itself_refuses_to_change_or_remove_events() {
    let folder = TempDir::new().unwrap();
    let (log, events) = written(&folder).await;
    for (statement, refusal) in [
        ("UPDATE events SET payload = '{}' WHERE position = 1", "events are never changed"),
        ("UPDATE events SET position = 7 WHERE position = 2", "events are never changed"),
        ("DELETE FROM events WHERE position = 2", "events are never removed"),
        ("DELETE FROM events", "events are never removed"),
        ("DELETE FROM head", "the head is never removed"),
    ] {
        let refused = raw(&folder).execute_batch(statement).unwrap_err();
        assert!(refused.to_string().contains(refusal), "{statement}: {refused}");
    }
    assert_eq!(log.read_after(Position(0), 9).await.unwrap(), events);
}

#[tokio::test]
async fn a_row_that_is_no_event_is_refused_by_the_file() {
    let folder = TempDir::new().unwrap();
    let (_log, _) = written(&folder).await;
    let row = |values: &str| {
        let columns = "position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                       metadata, recorded_at, transaction_key, hash";
        raw(&folder).execute_batch(&format!("INSERT INTO events ({columns}) VALUES ({values})"))
    };
    for bad in [
        "3, 'person', 'b', 1, 'E', '1', '{}', '{}', 0, NULL, zeroblob(32)",
        "3, 'account', 'b', 0, 'E', '1', '{}', '{}', 0, NULL, zeroblob(32)",
        "3, 'account', 'b', 1, 'E', '1', '{}', '{}', 0, zeroblob(15), zeroblob(32)",
        "3, 'account', 'b', 1, 'E', '1', '{}', '{}', 0, NULL, zeroblob(31)",
        "3, 'account', 'b', 1, 'E', '1', '{}', '{}', 'soon', NULL, zeroblob(32)",
        "3, 'account', 'b', 1, 'E', '1', NULL, '{}', 0, NULL, zeroblob(32)",
    ] {
        assert!(row(bad).is_err(), "{bad}");
    }
    assert!(row("3, 'account', 'b', 1, 'E', '1', '{}', '{}', 0, zeroblob(16), zeroblob(32)").is_ok());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    drop(written(&folder).await);
    raw(&folder).execute_batch("PRAGMA user_version = 6").unwrap();
    for opened in [
        SqliteLog::open(&folder.path().join(FILE), &SqliteOptions::default()),
        SqliteLog::open_read_only(&folder.path().join(FILE)),
    ] {
        let refused = chain(&opened.err().unwrap());
        assert!(refused.contains("version 6; this program knows up to 5"), "{refused}");
    }
    let version = raw(&folder).query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(version, 6);
}

#[tokio::test]
async fn an_older_file_is_brought_up_to_date() {
    let folder = TempDir::new().unwrap();
    raw(&folder).execute_batch(include_str!("../../../../migrations/sqlite/log.sql")).unwrap();
    let (_log, _) = written(&folder).await;
    let rows = raw(&folder).query_row("SELECT count(*) FROM snapshots", [], |row| row.get::<_, i64>(0));
    assert_eq!(rows.unwrap(), 0);
}

/// Earlier ones may corrupt a write-ahead log that is reset while another connection writes.
#[test]
fn sqlite_is_newer_than_the_fault_of_its_write_ahead_log() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

#[test]
fn somebody_elses_file_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE);
    raw(&folder).execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteLog::open(&path, &SqliteOptions::default()).err().unwrap();
    assert!(chain(&refused).contains("not an event log"), "{}", chain(&refused));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::write(&path, "not a database at all, but long enough to look at".repeat(100)).unwrap();
    let refused = SqliteLog::open(&path, &SqliteOptions::default()).err().unwrap();
    assert!(matches!(refused, LogError::Damaged(_)), "{refused:?}");
}

#[tokio::test]
async fn an_audit_reads_beside_a_running_writer_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE);
    assert!(SqliteLog::open_read_only(&path).is_err(), "nothing is created");
    assert!(!path.exists());

    let (running, events) = written(&folder).await;
    let audit = SqliteLog::open_read_only(&path).unwrap();
    assert_eq!(audit.read_after(Position(0), 9).await.unwrap(), events);
    assert_eq!(audit.load_streams(&[(stream("a"), 0)], 9).await.unwrap(), events);
    assert!(audit.lease("audit", None).await.is_err());
    let batch = History::default().batch(1, Vec::new());
    assert!(matches!(audit.append(&batch).await, Err(AppendError::Unknown(_))));
    assert_eq!(running.head().await.unwrap().term, 1);

    drop(running);
    let audit = SqliteLog::open_read_only(&path).unwrap();
    assert_eq!(audit.read_after(Position(0), 9).await.unwrap(), events, "after a clean end, too");
}

#[test]
fn readers_work_outside_a_runtime() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder);
    #[expect(clippy::disallowed_methods, reason = "there is no runtime, that is the point")]
    let head = futures::executor::block_on(log.head());
    assert_eq!(head.unwrap(), Head::default());
}

#[tokio::test]
async fn a_head_that_is_gone_is_damage_and_no_other_writer() {
    let folder = TempDir::new().unwrap();
    let (log, _) = written(&folder).await;
    raw(&folder).execute_batch("DROP TRIGGER head_is_never_removed; DELETE FROM head").unwrap();
    for held in [None, Some(1)] {
        let lease = log.lease("test", held).await;
        assert!(matches!(lease, Err(LogError::Damaged(_))), "{lease:?}");
    }
}

#[tokio::test]
async fn a_hole_is_an_alarm() {
    let folder = TempDir::new().unwrap();
    let (log, _) = written(&folder).await;
    raw(&folder)
        .execute_batch("DROP TRIGGER events_are_never_removed; DELETE FROM events WHERE position = 1")
        .unwrap();
    assert!(matches!(log.read_after(Position(0), 9).await, Err(LogError::Damaged(_))));
    let stream = log.read_stream_after(&stream("a"), Position(0), 9).await;
    assert!(matches!(stream, Err(LogError::Damaged(_))), "{stream:?}");
}

#[tokio::test]
async fn a_busy_log_is_a_passing_failure_and_works_again() {
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions { busy_timeout: Duration::from_millis(10), ..SqliteOptions::default() };
    let log = SqliteLog::open(&folder.path().join(FILE), &options).unwrap();
    let term = log.lease("test", None).await.unwrap().term;
    let mut history = History::default();
    let event = history.event(&stream("a"));
    let batch = history.batch(term, vec![event]);

    let other = raw(&folder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = log.append(&batch).await;
    assert!(matches!(busy, Err(AppendError::Unknown(ref e)) if e.transient()), "{busy:?}");
    assert!(log.lease("test", Some(term)).await.is_err_and(|e| e.transient()));
    other.execute_batch("ROLLBACK").unwrap();
    log.append(&batch).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_leaves_the_log_as_it_was() {
    let folder = TempDir::new().unwrap();
    let (log, events) = written(&folder).await;
    let limit = |pages: &str| {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        log.writer().unwrap().query_row(&pragma, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    limit("1");
    let mut history = History::default();
    for event in &events {
        history.event(&event.stream);
    }
    let many: Vec<_> = (0..500).map(|n| history.keyed(&stream("b"), 100 + n)).collect();
    let batch = history.batch(1, many);
    let full = log.append(&batch).await;
    assert!(matches!(full, Err(AppendError::Unknown(ref e)) if e.transient()), "{full:?}");
    assert_eq!(log.read_after(Position(0), 999).await.unwrap(), events);

    limit("1073741823");
    let head = log.lease("test", Some(1)).await.unwrap();
    assert_eq!(head.position, Position(2));
    let retry = Batch { expected: head, ..batch };
    log.append(&retry).await.unwrap();
    assert_eq!(log.head().await.unwrap(), retry.head_after());
}
