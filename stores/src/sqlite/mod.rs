//! What every file of SQLite has in common: which of its faults pass by themselves.

pub(crate) mod keys;
pub mod log;

use std::error::Error;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

/// Whether the same call may succeed later, though nobody does anything. A file that cannot be
/// opened is among them: it is one that was open before, and what is missing is a descriptor.
pub fn passes(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::SystemIoFailure
        )
    )
}

/// Whether a file could not be opened. At the start of a process that does not pass: the file is
/// missing, or not ours.
pub fn cannot_open(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<rusqlite::Error>();
    error.is_some_and(|error| error.sqlite_error_code() == Some(ErrorCode::CannotOpen))
}

/// Gives a file its write-ahead log. SQLite does not wait for others here, whatever its busy
/// time-out: we do.
pub fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if tries < WAL_TRIES && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                tries += 1;
                std::thread::sleep(WAL_PAUSE);
            }
            done => return done,
        }
    }
}

const WAL_TRIES: u32 = 500;
const WAL_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;
    use std::path::Path;

    use ledger_core::keys::SealError;
    use ledger_core::log::LogError;
    use ledger_core::steps::store::StepStoreError;

    fn failed(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_file_for_which_no_descriptor_is_left_is_opened_again_whoever_needs_it() {
        for (code, transient) in [
            (ffi::SQLITE_CANTOPEN, true),
            (ffi::SQLITE_BUSY, true),
            (ffi::SQLITE_LOCKED, true),
            (ffi::SQLITE_FULL, true),
            (ffi::SQLITE_IOERR, true),
            (ffi::SQLITE_NOMEM, true),
            (ffi::SQLITE_CORRUPT, false),
            (ffi::SQLITE_CONSTRAINT, false),
            (ffi::SQLITE_READONLY, false),
        ] {
            assert_eq!(passes(&failed(code)), transient, "{code}");
            let log: LogError = crate::sqlite::log::store("read")(failed(code));
            assert_eq!(log.transient(), transient, "the log: {code}");
            assert_eq!(
                StepStoreError::from(crate::steps::Failed::from(failed(code))).transient(),
                transient,
                "checkpoints: {code}"
            );
            let keys: SealError = crate::sqlite::keys::fault("reading", Path::new("keys.db"))(failed(code));
            assert_eq!(keys.transient(), transient, "keys: {code}");
        }
    }

    #[test]
    fn a_file_gets_its_write_ahead_log_once_others_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        let letting_go = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.execute_batch("COMMIT").unwrap();
        });
        use_wal(&Connection::open(&path).unwrap()).unwrap();
        letting_go.join().unwrap();
    }
}
