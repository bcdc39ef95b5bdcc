//! Whether the stores of a ledger belong together: the log has an id, every other store carries it,
//! and none of them has seen more of the log than there is.
//!
//! A backup put back in part, a file of another ledger, an emptied schema: taken as they are they
//! would decide again what was decided, or pay nobody ever. [`misfits`] names each by what it is;
//! nothing is changed by looking.

mod postgres;
mod sqlite;

use std::fmt;

pub use postgres::{
    KEYS, LOG, accounts_without_key_in, belongs_in_database, no_further_than_in, note_keys, survey_database,
};
pub use sqlite::{
    accounts_without_key, belongs_to, count_account_keys, has_asked_rail, no_further_than, survey_file,
    survey_log,
};

use ledger_core::log::Position;

/// Which ledger it is: 32 hex digits, made once with the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerId(String);

impl LedgerId {
    /// Takes what a table or a manifest holds.
    pub fn from_text(text: &str) -> Option<LedgerId> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        well_formed.then(|| LedgerId(text.into()))
    }

    /// As tables hold it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one of our own keys is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrint {
    /// Such as `index`.
    pub name: String,
    /// Tells nothing of the key.
    pub fingerprint: [u8; 16],
}

/// The log, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFound {
    /// There is nothing there, or nothing in it.
    pub absent: bool,
    /// Absent in a log from before ledgers had one.
    pub ledger: Option<LedgerId>,
    /// Its last event.
    pub head: Position,
    /// The keys it was written with.
    pub keys: Vec<KeyPrint>,
    /// The rail was asked, so it may have paid. Looked up where there is no rail.
    pub rail_asked: bool,
}

/// What a store is for, which decides what its absence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Made anew from the log.
    ReadModels,
    /// Losing it costs time: the aggregates say what is done.
    Steps,
    /// Irreplaceable.
    Keys,
    /// The sandbox rail's books: without them it does not know whom it has paid.
    Rail,
}

/// A store other than the log, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What people call it: `read.db`, `the schema keys`.
    pub name: String,
    /// What it is for.
    pub kind: StoreKind,
    /// `None`: there is nothing, or nothing in it.
    pub holds: Option<Holds>,
    /// Whether what is missing is laid out by whoever needs it.
    pub made_when_missing: bool,
}

/// What a store says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Which ledger it belongs to; absent in one from before.
    pub ledger: Option<LedgerId>,
    /// How much of the log it has seen.
    pub position: Position,
    /// Rows that came of events: account keys, payments.
    pub rows: bool,
    /// Our own keys are there.
    pub own_keys: bool,
}

/// Why stores are not taken as they are. One line for each.
#[derive(Debug, thiserror::Error)]
#[error("these do not belong together, and nothing has been changed: {}", .0.join("; "))]
pub struct Misfits(pub Vec<String>);

/// Compares all with the log. Empty: they belong together. `log_name` is what people call the log.
pub fn misfits(log_name: &str, log: &LogFound, stores: &[Found]) -> Vec<String> {
    if log.absent {
        return stores.iter().filter_map(|store| beside_no_log(log_name, store)).collect();
    }
    let mut misfits: Vec<String> = stores.iter().filter_map(|store| beside(log_name, log, store)).collect();
    let rail = stores.iter().find(|store| store.kind == StoreKind::Rail && store.holds.is_none());
    if let Some(rail) = rail.filter(|_| log.rail_asked) {
        misfits.push(format!(
            "{} is missing or empty although it was asked to pay: the rail would not know whom it has paid; restore it",
            rail.name
        ));
    }
    misfits
}

fn beside_no_log(log_name: &str, store: &Found) -> Option<String> {
    let Holds { ledger, position, rows, .. } = store.holds.as_ref()?;
    if *position > Position(0) {
        return Some(format!(
            "{log_name} is missing or empty although {} has seen its events up to {position}: restore {log_name}",
            store.name
        ));
    }
    (*rows || ledger.is_some()).then(|| {
        format!("{log_name} is missing or empty although {} belongs to one: restore {log_name}", store.name)
    })
}

fn beside(log_name: &str, log: &LogFound, store: &Found) -> Option<String> {
    let name = &store.name;
    let Some(Holds { ledger, position, own_keys, .. }) = &store.holds else {
        let used = log.head > Position(0) || !log.keys.is_empty();
        return match store.kind {
            StoreKind::Keys if used => Some(format!(
                "{name} is missing or empty although {log_name} has events sealed under its keys: restore it; keys \
                 are never made anew"
            )),
            _ if !store.made_when_missing => Some(format!("{name} is missing: restore it")),
            _ => None,
        };
    };
    if let Some(ledger) = ledger.as_ref().filter(|ledger| Some(*ledger) != log.ledger.as_ref()) {
        let ours = log.ledger.as_ref().map_or_else(|| "from before it had an id".into(), LedgerId::to_string);
        return Some(format!(
            "{name} belongs to another ledger ({ledger}) than {log_name} ({ours}): restore the one that belongs here"
        ));
    }
    if *position > log.head {
        return Some(format!(
            "{name} has seen events up to {position}, {log_name} ends at {}: restore the newer {log_name}, or a whole \
             backup with `rewardhub restore`",
            log.head
        ));
    }
    let used = log.head > Position(0) || !log.keys.is_empty();
    (store.kind == StoreKind::Keys && !own_keys && used).then(|| {
        format!("{name} has lost our own keys, under which {log_name} was written: restore it; keys are never made anew")
    })
}

/// Compares the keys that are there with those the log was written with.
pub fn wrong_keys(log_name: &str, keys_name: &str, noted: &[KeyPrint], there: &[KeyPrint]) -> Option<String> {
    let wrong = noted.iter().find(|key| !there.contains(key))?;
    Some(format!(
        "{keys_name} has another `{}` key than the one {log_name} was written with: restore the keys of this ledger",
        wrong.name
    ))
}

#[cfg(test)]
mod tests;
