//! Which ledger the log is, and the keys it was written with.

use rusqlite::{Connection, params};

use super::{SqliteLog, rows, store};
use crate::belonging::{KeyPrint, LedgerId};
use ledger_core::log::LogError;

impl SqliteLog {
    /// Its id.
    pub fn ledger_id(&self) -> Result<LedgerId, LogError> {
        let id = self.inner.query(|connection| {
            let id = connection.query_row("SELECT id FROM ledger", [], |row| row.get::<_, String>(0));
            id.map_err(store("read the ledger's id"))
        })?;
        LedgerId::from_text(&id).ok_or_else(|| LogError::Damaged("its id is not one".into()))
    }

    /// Notes the keys that are not noted yet.
    pub fn note_keys(&self, keys: &[KeyPrint]) -> Result<(), LogError> {
        const NOTE: &str =
            "INSERT OR IGNORE INTO key_fingerprints (name, fingerprint, position) VALUES (?1, ?2, ?3)";
        let failed = || store("note the keys");
        let mut connection = self.writer()?;
        let transaction = connection.transaction().map_err(failed())?;
        let head = rows::read_head(&transaction)?.position;
        for key in keys {
            let values = params![key.name, key.fingerprint.as_slice(), head.0];
            transaction.execute(NOTE, values).map_err(failed())?;
        }
        transaction.commit().map_err(failed())
    }
}

/// The keys that are noted.
pub(crate) fn key_prints(connection: &Connection) -> rusqlite::Result<Vec<KeyPrint>> {
    let mut select = connection.prepare("SELECT name, fingerprint FROM key_fingerprints ORDER BY name")?;
    let keys = select.query_map([], |row| Ok(KeyPrint { name: row.get(0)?, fingerprint: row.get(1)? }))?;
    keys.collect()
}
