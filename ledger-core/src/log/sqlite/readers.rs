//! A few read-only connections, handed out one reader at a time.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use super::{SqliteOptions, lock, open};
use crate::log::LogError;

/// The pool. Connections are opened when first needed and kept.
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
    /// Opens the first connection, so that an unusable file is refused now.
    pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Readers, LogError> {
        let first = open::reader(path, options)?;
        let slots = Slots { idle: vec![first], unopened: options.readers.max(1) - 1 };
        Ok(Readers {
            path: path.to_owned(),
            options: options.clone(),
            slots: Mutex::new(slots),
            returned: Condvar::new(),
        })
    }

    /// Runs `query` on a connection of its own; waits while all are in use.
    pub(super) fn with<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let mut loan = Loan { readers: self, connection: None };
        let connection = match self.take() {
            Some(idle) => idle,
            None => open::reader(&self.path, &self.options)?,
        };
        query(loan.connection.insert(connection))
    }

    /// An idle connection, or `None` for the right to open one more.
    fn take(&self) -> Option<Connection> {
        let mut slots = lock(&self.slots);
        loop {
            if let Some(idle) = slots.idle.pop() {
                return Some(idle);
            }
            if slots.unopened > 0 {
                slots.unopened -= 1;
                return None;
            }
            slots = self.returned.wait(slots).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Gives the slot back whatever happens: to be used again, or, if opening failed, to be opened again.
struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut slots = lock(&self.readers.slots);
        match self.connection.take() {
            Some(connection) => slots.idle.push(connection),
            None => slots.unopened += 1,
        }
        self.readers.returned.notify_one();
    }
}
