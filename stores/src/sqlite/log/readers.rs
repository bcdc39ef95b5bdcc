//! A few read-only connections, handed out one reader at a time.

use std::path::{Path, PathBuf};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::{READER_WAIT, SqliteOptions, no_reader, open};
use ledger_core::log::LogError;

/// The pool. Connections are opened at the start and kept: later there may be no descriptor left.
pub(super) struct Readers {
    path: PathBuf,
    options: SqliteOptions,
    slots: Mutex<Slots>,
    returned: Condvar,
}

struct Slots {
    idle: Vec<Connection>,
    /// How many more may be opened.
    unopened: usize,
}

impl Readers {
    /// Opens the connections, at least the first, so that an unusable file is refused now. What
    /// cannot be opened yet is opened when it is needed.
    pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Readers, LogError> {
        let mut idle = vec![open::reader(path, options)?];
        let readers = options.readers.max(1);
        while idle.len() < readers
            && let Ok(another) = open::reader(path, options)
        {
            idle.push(another);
        }
        let unopened = readers - idle.len();
        Ok(Readers {
            path: path.to_owned(),
            options: options.clone(),
            slots: Mutex::new(Slots { idle, unopened }),
            returned: Condvar::new(),
        })
    }

    /// Runs `query` on a connection of its own; waits while all are in use, but not for ever.
    pub(super) fn with<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let taken = self.take()?;
        let mut loan = Loan { readers: self, connection: None };
        let connection = match taken {
            Some(idle) => idle,
            None => open::reader(&self.path, &self.options)?,
        };
        query(loan.connection.insert(connection))
    }

    /// An idle connection, or `None` for the right to open one more.
    fn take(&self) -> Result<Option<Connection>, LogError> {
        let none = |slots: &mut Slots| slots.idle.is_empty() && slots.unopened == 0;
        let mut slots = self.slots.lock();
        if self.returned.wait_while_for(&mut slots, none, READER_WAIT).timed_out() {
            return Err(no_reader());
        }
        let idle = slots.idle.pop();
        slots.unopened -= usize::from(idle.is_none());
        Ok(idle)
    }
}

/// Gives the slot back whatever happens: to be used again, or, if opening failed, to be opened
/// again.
struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut slots = self.readers.slots.lock();
        match self.connection.take() {
            Some(connection) => slots.idle.push(connection),
            None => slots.unopened += 1,
        }
        self.readers.returned.notify_one();
    }
}
