//! Reading a file that nobody writes, without a trace beside it.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OpenFlags};

use super::wal::beside;

/// Whether nobody is writing the file now and all of it is in it. It may be otherwise a moment
/// later: who reads it as still looks again at the end.
pub fn is_still(path: &Path) -> bool {
    let bytes = |end| std::fs::metadata(beside(path, end)).map(|file| file.len());
    let whole = bytes("-wal").is_ok_and(|bytes| bytes == 0) || bytes("-wal").is_err();
    // Whoever writes a data folder has its lock; in a folder without one SQLite's own index tells.
    !WRITERS_EXPECTED.load(Ordering::Relaxed)
        && whole
        && match File::open(path.with_file_name("lock")) {
            Ok(lock) => lock.try_lock_shared().is_ok(),
            Err(_) => bytes("-shm").is_err(),
        }
}

/// From now on no file counts as still in this process: it will write itself.
pub fn expect_writers() {
    WRITERS_EXPECTED.store(true, Ordering::Relaxed);
}

static WRITERS_EXPECTED: AtomicBool = AtomicBool::new(false);

/// Opens a file for reading only. Of a still one nothing is locked and nothing is made beside it.
pub fn open_read_only(path: &Path, still: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !still {
        return Connection::open_with_flags(path, flags);
    }
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
}
