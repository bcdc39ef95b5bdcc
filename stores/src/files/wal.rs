//! Write-ahead logs: moved into their files soon after the last write, and at every orderly end.
//!
//! Only the connection that writes moves them. Two connections of which one writes and one
//! checkpoints at the same instant can damage a file (SQLite before 3.51.3, and ours is older).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, Weak};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, ffi};

use ledger_core::figures::figure;

/// Whoever has the one connection that writes a file.
pub trait Wal: Send + Sync {
    /// Does this on that connection; nothing where there is none yet.
    fn on_writer(&self, work: &dyn Fn(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()>;
}

impl Wal for Mutex<Connection> {
    fn on_writer(&self, work: &dyn Fn(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        work(&self.lock())
    }
}

/// Moves all of a write-ahead log into its file and cuts it to nothing. A reader that still needs
/// it is waited for, and is `SQLITE_BUSY` after that: then something is only in the write-ahead
/// log.
pub fn empty_wal(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let usual: u64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
    connection.busy_timeout(patience)?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(Duration::from_millis(usual))?;
    match emptied? {
        0 => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_BUSY),
            Some("somebody reads what is in the write-ahead log".into()),
        )),
    }
}

/// The end of a file's use by this process: its write-ahead log is emptied, and nothing is written
/// any more.
pub fn finish(path: &Path, patience: Duration) -> rusqlite::Result<()> {
    // Where nobody writes any more there may be nothing to do, and there need not be a file.
    if writer_of(path).is_none() && !std::fs::metadata(wal_of(path)).is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    on_writer(path, &|connection| {
        empty_wal(connection, patience)?;
        // What comes too late (a snapshot on a thread of its own) is refused instead of staying
        // behind.
        connection.pragma_update(None, "query_only", true)
    })
}

/// Does this on the one connection of this process that writes the file; where it is not open, on
/// one for the moment.
pub fn on_writer(path: &Path, work: &dyn Fn(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    if let Some(writer) = writer_of(path) {
        return writer.on_writer(work);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    work(&Connection::open_with_flags(path, flags)?)
}

/// Whether this process has the file open for writing.
pub fn is_written_here(path: &Path) -> bool {
    writer_of(path).is_some()
}

fn writer_of(path: &Path) -> Option<Arc<dyn Wal>> {
    KEPT.lock().iter().filter(|kept| kept.path == path).find_map(|kept| kept.writer.upgrade())
}

/// Looks after a file's write-ahead log for as long as its writer lives: it is emptied when it has
/// more than `bytes_max`, and when nothing has been written for some seconds. 0 empties it within
/// seconds, whatever happens.
pub fn keep(path: &Path, bytes_max: u64, writer: Weak<dyn Wal>) {
    static KEEPER: Once = Once::new();
    KEPT.lock().push(Kept { path: path.into(), bytes_max, writer, state: State::default() });
    KEEPER.call_once(|| {
        let started = std::thread::Builder::new().name("wal-keeper".into()).spawn(keep_all);
        if let Err(error) = started {
            tracing::error!(error = &error as &dyn std::error::Error, "nobody empties the write-ahead logs");
        }
    });
}

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());
const TICK: Duration = Duration::from_secs(1);
/// Nothing written for so long: what is in the write-ahead log can go into the file without being
/// in the way.
const IDLE: Duration = Duration::from_secs(3);
/// How long somebody may keep a long write-ahead log from being emptied before it is told, and how
/// often then.
const TELL_AFTER: Duration = Duration::from_secs(30);
/// Waiting holds the writer up, so it is short: the next try comes in a second.
const PATIENCE: Duration = Duration::from_millis(20);

struct Kept {
    path: PathBuf,
    bytes_max: u64,
    writer: Weak<dyn Wal>,
    state: State,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Length and time of the last write when they last changed, and when we saw it.
    seen: Option<(u64, SystemTime, Instant)>,
    /// Since when it has been too long.
    long_since: Option<Instant>,
    told: Option<Instant>,
}

fn keep_all() {
    loop {
        std::thread::sleep(TICK);
        let mut due = Vec::new();
        KEPT.lock().retain_mut(|kept| {
            let Some(writer) = kept.writer.upgrade() else { return false };
            if kept.is_due() {
                due.push((kept.path.clone(), writer));
            }
            true
        });
        // Without the list's lock: a writer may be at work for a while.
        for (path, writer) in due {
            let emptied = writer.on_writer(&|connection| empty_wal(connection, PATIENCE));
            for kept in KEPT.lock().iter_mut().filter(|kept| kept.path == path) {
                kept.tell(emptied.as_ref().err());
            }
        }
    }
}

impl Kept {
    fn is_due(&mut self) -> bool {
        let wal = std::fs::metadata(wal_of(&self.path)).ok();
        let found = wal.and_then(|wal| Some((wal.len(), wal.modified().ok()?)));
        let bytes = found.map_or(0, |(bytes, _)| bytes);
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        metrics::gauge!("rewardhub_wal_bytes", "file" => file).set(figure(bytes));
        let now = Instant::now();
        let state = &mut self.state;
        if bytes <= self.bytes_max {
            state.long_since = None;
        } else {
            state.long_since.get_or_insert(now);
        }
        let Some((bytes, written)) = found.filter(|(bytes, _)| *bytes > 0) else { return false };
        match state.seen {
            Some((b, w, since)) if (b, w) == (bytes, written) => {
                bytes > self.bytes_max || now.duration_since(since) >= IDLE
            }
            _ => {
                state.seen = Some((bytes, written, now));
                bytes > self.bytes_max
            }
        }
    }

    fn tell(&mut self, error: Option<&rusqlite::Error>) {
        let state = &mut self.state;
        let file = self.path.display();
        let Some(error) = error else {
            if state.told.take().is_some() {
                tracing::info!(%file, "its write-ahead log is in the file again");
            }
            return;
        };
        let Some(since) = state.long_since.filter(|since| since.elapsed() >= TELL_AFTER) else { return };
        if state.told.is_none_or(|told| told.elapsed() >= TELL_AFTER) {
            state.told = Some(Instant::now());
            let bytes = state.seen.map_or(0, |(bytes, ..)| bytes);
            tracing::warn!(
                %file,
                bytes,
                seconds = since.elapsed().as_secs(),
                error = error as &dyn std::error::Error,
                "its write-ahead log cannot be emptied and grows: does another process keep it open for reading?"
            );
        }
    }
}

fn wal_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// One of the files that SQLite puts beside a database.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path) -> Arc<Mutex<Connection>> {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
            .unwrap();
        Arc::new(Mutex::new(connection))
    }

    fn wal_bytes(path: &Path) -> u64 {
        std::fs::metadata(wal_of(path)).map_or(0, |wal| wal.len())
    }

    #[test]
    fn a_reader_that_needs_the_write_ahead_log_makes_emptying_it_an_error_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let writer = written(&path);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        writer.lock().execute_batch("INSERT INTO t VALUES (2)").unwrap();
        let busy = empty_wal(&writer.lock(), Duration::ZERO).unwrap_err();
        assert_eq!(busy.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy), "{busy}");
        reader.execute_batch("COMMIT").unwrap();
        empty_wal(&writer.lock(), Duration::ZERO).unwrap();
        assert_eq!(wal_bytes(&path), 0);
    }

    #[test]
    fn a_kept_file_has_all_of_it_within_seconds_while_its_writer_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let writer = written(&path);
        let weak: Weak<Mutex<Connection>> = Arc::downgrade(&writer);
        keep(&path, 0, weak);
        assert!(wal_bytes(&path) > 0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while wal_bytes(&path) > 0 {
            assert!(Instant::now() < deadline, "it is never emptied");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn a_finished_file_holds_all_and_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let writer = written(&path);
        let weak: Weak<Mutex<Connection>> = Arc::downgrade(&writer);
        keep(&path, 1 << 30, weak);
        finish(&path, Duration::ZERO).unwrap();
        assert_eq!(wal_bytes(&path), 0);
        assert!(writer.lock().execute_batch("INSERT INTO t VALUES (2)").is_err());

        // Whose last connection only read, so that SQLite left the write-ahead log behind.
        let path = folder.path().join("other.db");
        let (writer, reader) =
            (written(&path), Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY));
        let reader = reader.unwrap();
        reader.query_row("SELECT * FROM t", [], |_| Ok(())).unwrap();
        drop(writer);
        drop(reader);
        assert!(wal_bytes(&path) > 0);
        finish(&path, Duration::ZERO).unwrap();
        assert_eq!(wal_bytes(&path), 0);
    }
}
