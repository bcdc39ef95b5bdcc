//! Whether all that a ledger keeps belongs together, asked before anything is opened for writing:
//! see [`stores::belonging`].

use anyhow::{Context as _, bail};
use ledger_core::keys::Keyring;
use ledger_core::log::Position;
use stores::belonging::{
    self, Found, KeyPrint, LogFound, Misfits, StoreKind, has_asked_rail, misfits, survey_database,
    survey_file, survey_log, wrong_keys,
};
use stores::postgres::Database;

use crate::commands::Refused;
use crate::folder::Folder;

/// What people call the log of a folder.
pub const LOG_FILE: &str = "log.db";
const KEYS_FILE: &str = "keys.db";

/// All that is in a folder, and in what it does not fit.
pub struct Survey {
    /// The log.
    pub log: LogFound,
    /// The others.
    pub stores: Vec<Found>,
    /// What people call the log.
    log_name: &'static str,
}

impl Survey {
    /// Looks into a folder.
    pub fn of_folder(folder: &Folder) -> anyhow::Result<Survey> {
        let mut log = survey_log(&folder.log()).with_context(|| unreadable(&folder.log()))?;
        let wal = folder.path().join("log.db-wal");
        if log.absent && std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
            // SQLite would remove it.
            bail!(
                "log.db is missing or empty although log.db-wal is not: restore log.db; nothing has been changed"
            );
        }
        let files = [
            (folder.read(), StoreKind::ReadModels),
            (folder.steps(), StoreKind::Steps),
            (folder.keys(), StoreKind::Keys),
            (folder.rail(), StoreKind::Rail),
        ];
        let look = |(file, kind): &(std::path::PathBuf, StoreKind)| {
            survey_file(file, *kind).with_context(|| unreadable(file))
        };
        let stores = files.iter().map(look).collect::<anyhow::Result<Vec<_>>>()?;
        if stores.iter().any(|store| store.kind == StoreKind::Rail && store.holds.is_none()) {
            log.rail_asked = has_asked_rail(&folder.log()).with_context(|| unreadable(&folder.log()))?;
        }
        Ok(Survey { log, stores, log_name: LOG_FILE })
    }

    /// Looks into a database, and at the rail in the folder beside it.
    pub async fn of_database(database: &Database, folder: &Folder) -> anyhow::Result<Survey> {
        let (log, mut stores) = survey_database(database).await?;
        let rail =
            survey_file(&folder.rail(), StoreKind::Rail).with_context(|| unreadable(&folder.rail()))?;
        // On another machine there is none.
        stores.extend(Some(rail).filter(|rail| rail.holds.is_some()));
        Ok(Survey { log, stores, log_name: belonging::LOG })
    }

    /// Refuses what does not belong together.
    pub fn check(&self) -> Result<(), Misfits> {
        let misfits = misfits(self.log_name, &self.log, &self.stores);
        if misfits.is_empty() { Ok(()) } else { Err(Misfits(misfits)) }
    }

    /// How far the log had come when it was last noted beside the keys.
    pub fn keys_position(&self) -> Position {
        let keys = self.stores.iter().find(|store| store.kind == StoreKind::Keys);
        keys.and_then(|keys| keys.holds.as_ref()).map_or(Position(0), |holds| holds.position)
    }

    /// Refuses keys that lack some of the accounts' that were looked at.
    pub fn check_account_keys(&self, without: usize) -> Result<(), Misfits> {
        if without == 0 {
            return Ok(());
        }
        let (log, keys) = (self.log_name, self.keys_name());
        Err(Misfits(vec![format!(
            "{keys} lacks the keys of {without} accounts that {log} has written to: they are older than {log}; restore the \
             newest ones, keys are never made anew"
        )]))
    }

    /// Refuses books of a rail that lack some of the payments that were looked for.
    pub fn check_rail(&self, without: usize) -> Result<(), Misfits> {
        if without == 0 {
            return Ok(());
        }
        let log = self.log_name;
        Err(Misfits(vec![format!(
            "rail.db lacks {without} payments that {log} says were made: it is older than {log}; restore the newest one, \
             or the rail would not know whom it has paid"
        )]))
    }

    fn keys_name(&self) -> &'static str {
        if self.log_name == LOG_FILE { KEYS_FILE } else { belonging::KEYS }
    }

    /// Refuses keys other than the log was written with.
    pub fn check_keys(&self, keyring: &Keyring) -> Result<(), Misfits> {
        match wrong_keys(self.log_name, self.keys_name(), &self.log.keys, &key_prints(keyring)) {
            None => Ok(()),
            Some(wrong) => Err(Misfits(vec![wrong])),
        }
    }
}

/// What the keyring's own keys are recognised by.
pub fn key_prints(keyring: &Keyring) -> Vec<KeyPrint> {
    let fingerprints = keyring.fingerprints();
    vec![
        KeyPrint { name: "index".into(), fingerprint: fingerprints.index },
        KeyPrint { name: "draw".into(), fingerprint: fingerprints.draw },
    ]
}

/// A file and what SQLite keeps beside it.
fn remove(file: &std::path::Path) -> anyhow::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}{end}", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unreadable(file: &std::path::Path) -> String {
    format!("{} cannot be read: restore it; nothing has been changed", file.display())
}

impl Survey {
    /// What has seen more of the log than there is. Refuses whatever else does not fit: no
    /// declaration makes it fit.
    fn ahead(&self) -> anyhow::Result<Vec<&Found>> {
        let head = self.log.head;
        let is_ahead = |store: &&Found| store.holds.as_ref().is_some_and(|holds| holds.position > head);
        let mut set_back = self.stores.clone();
        for holds in set_back.iter_mut().filter_map(|store| store.holds.as_mut()) {
            holds.position = holds.position.min(head);
        }
        let rest = misfits(self.log_name, &self.log, &set_back);
        if !rest.is_empty() {
            return Err(Misfits(rest).into());
        }
        let ahead: Vec<&Found> = self.stores.iter().filter(is_ahead).collect();
        if ahead.is_empty() {
            return Err(Refused(format!(
                "nothing is ahead of {}: there is nothing to declare",
                self.log_name
            ))
            .into());
        }
        Ok(ahead)
    }

    /// Sets the files of a locked folder back to its log.
    pub fn set_back_folder(&self, folder: &Folder) -> anyhow::Result<()> {
        let ahead = self.ahead()?;
        let is_ahead = |kind| ahead.iter().any(|store| store.kind == kind);
        if is_ahead(StoreKind::ReadModels) {
            remove(&folder.read())?;
        }
        for (kind, file) in [(StoreKind::Keys, folder.keys()), (StoreKind::Rail, folder.rail())] {
            if is_ahead(kind) {
                belonging::no_further_than(&file, self.log.head)
                    .with_context(|| format!("cannot set {} back", file.display()))?;
            }
        }
        // The steps begin anew: what they had done for events that are still there may have been
        // recorded by events that are gone.
        remove(&folder.steps())
    }

    /// Sets the schemas of a database back to its log.
    pub async fn set_back_database(&self, database: &Database, folder: &Folder) -> anyhow::Result<()> {
        if self.ahead()?.iter().any(|store| store.kind == StoreKind::Rail) {
            belonging::no_further_than(&folder.rail(), self.log.head)?;
        }
        Ok(belonging::no_further_than_in(database, self.log.head).await?)
    }
}
