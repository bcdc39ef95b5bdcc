//! The YAML file as it is written: every value a text with its line, unknown keys refused.

use std::path::Path;

use ledger_core::text::without_values;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{ConfigError, shown};

/// One value and its line.
pub(super) type Value = Option<Spanned<String>>;

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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Connections {
    pub(super) max: Value,
    pub(super) header_timeout: Value,
    pub(super) idle_timeout: Value,
    pub(super) write_timeout: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PerToken {
    pub(super) cost_per_second: Value,
    pub(super) cost_burst: Value,
    pub(super) at_once: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Database {
    pub(super) connections_max: Value,
    pub(super) connect_timeout: Value,
    pub(super) statement_timeout: Value,
    pub(super) lock_timeout: Value,
    pub(super) full_page_writes: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ready {
    pub(super) lag_max_events: Value,
    pub(super) lag_max: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Beacon {
    pub(super) urls: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cors {
    pub(super) origins: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Clock {
    pub(super) ahead_max: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Memory {
    pub(super) max: Value,
    pub(super) accounts: Value,
    pub(super) transaction_keys: Value,
    pub(super) account_keys: Value,
    pub(super) filter: Value,
    pub(super) queue: Value,
    pub(super) bodies: Value,
    pub(super) pages: Value,
    pub(super) map_files: Value,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tokens {
    pub(super) issuer: Value,
    pub(super) audience: Value,
    pub(super) jwks: Value,
    pub(super) allow_sandbox_issuer: Value,
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
            ConfigError::Malformed { path: format!("{}{line}", shown(path)), why }
        })
    }
}
