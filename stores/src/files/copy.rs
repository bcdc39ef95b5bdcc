//! A consistent copy of a file that somebody may be writing.

use std::fs::{File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::{Connection, OpenFlags};

use ledger_core::ids::Digest;

/// How long to wait for whoever writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a file was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Reading one or writing the other.
    #[error("SQLite could not copy it")]
    Sqlite(#[from] rusqlite::Error),
    /// The copy could not be made durable.
    #[error("the copy could not be made durable")]
    Io(#[from] std::io::Error),
}

/// Copies all that is in a file at one moment, whoever writes meanwhile. Nothing of what was
/// overwritten or destroyed in it is in the copy. `to` must not exist; it is its owner's alone, and
/// on the disk when this returns.
pub fn copy_database(from: &Path, to: &Path) -> Result<(), CopyError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    let copy = File::open(to)?;
    copy.set_permissions(Permissions::from_mode(0o600))?;
    copy.sync_all()?;
    Ok(())
}

/// A file's length and SHA-256.
pub fn sum_of(path: &Path) -> std::io::Result<(u64, Digest)> {
    let mut file = File::open(path)?;
    let mut hash = Context::new(&SHA256);
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let hash = hash.finish();
            return Ok((bytes, Digest(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}
