//! The YAML file as it is written: every value a text with its line, unknown keys refused.

use std::path::Path;

use ledger_core::text::without_values;
use serde::Deserialize;

use super::sections::{Beacon, Clock, Connections, Cors, Database, Memory, PerToken, Ready, Tokens, Value};
use super::{ConfigError, shown};

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub(super) listen: Value,
    pub(super) connections: Option<Connections>,
    pub(super) per_token: Option<PerToken>,
    pub(super) data: Value,
    pub(super) log: Value,
    pub(super) database: Option<Database>,
    pub(super) lease_ttl: Value,
    pub(super) enrolment: Value,
    pub(super) ready: Option<Ready>,
    pub(super) tokens: Option<Tokens>,
    pub(super) payout: Value,
    pub(super) beacon: Option<Beacon>,
    pub(super) cors: Option<Cors>,
    pub(super) clock: Option<Clock>,
    pub(super) memory: Option<Memory>,
    pub(super) profile: Value,
    pub(super) shutdown_grace: Value,
}

impl File {
    /// Reads a file; an error names file and line and shows nothing of the text around it, where a
    /// password may stand.
    pub fn read(path: &Path) -> Result<File, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: shown(path), why: error.to_string() })?;
        // Nothing but comments sets nothing.
        let read: Result<Option<File>, _> =
            serde_saphyr::from_str_with_options(&text, crate::campaign_file::flat());
        read.map(Option::unwrap_or_default).map_err(|error| {
            let line = error.location().map_or(String::new(), |at| format!(":{}", at.line()));
            let why = without_values(&error.without_snippet());
            let why = why.split(" at line ").next().unwrap_or(&why);
            let why = crate::campaign_file::in_our_words(why, "");
            ConfigError::Malformed { path: format!("{}{line}", shown(path)), why }
        })
    }
}
