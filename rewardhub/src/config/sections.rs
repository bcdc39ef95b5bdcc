//! The sections of the file. A setting that fills a field of what it configures is one line here:
//! its name, the field, and how its text is read within which bounds. The field's default is that
//! of its type.

use std::time::Duration;

use api::auth::Claims;
use api::{allowance, health, server};
use serde::Deserialize;
use serde_saphyr::Spanned;
use stores::postgres;

use super::memory::{self, size};
use super::parse::{choice, claim, claims, duration, flag, number, text};
use super::{ConfigError, HOUR, Sources};

/// One value and its line.
pub(super) type Value = Option<Spanned<String>>;

macro_rules! section {
    ($section:literal, $file:ident { $($key:ident),* $(,)? }) => {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $file { $(pub(super) $key: Value),* }
    };
    ($section:literal, $file:ident => $of:ty: $read:ident { $($key:ident => $field:ident: $parse:expr,)* }
        $(besides { $($other:ident),* })?) => {
        section!($section, $file { $($key,)* $($($other),*)? });

        impl $file {
            /// What is not set stays as it is.
            pub(super) fn read(&mut self, sources: &Sources<'_>, mut $read: $of) -> Result<$of, ConfigError> {
                $($read.$field =
                    sources.value(concat!($section, ".", stringify!($key)), self.$key.take(), $parse, $read.$field)?;)*
                Ok($read)
            }
        }
    };
}

section!("connections", Connections => server::Limits: read {
    max => connections_max: |text| number(text, server::Limits::CONNECTIONS_MIN, 1_000_000),
    header_timeout => header: |text| duration(text, Duration::from_millis(100), HOUR),
    idle_timeout => idle: |text| duration(text, Duration::from_millis(100), HOUR),
    write_timeout => write: |text| duration(text, Duration::from_millis(100), HOUR),
});

section!("per_token", PerToken => allowance::Limits: read {
    cost_per_second => cost_per_second: |text| number(text, 1, 1_000_000_000),
    cost_burst => cost_burst: |text| number(text, 1, 1_000_000_000),
    at_once => at_once: |text| number(text, 1, 100_000),
});

section!("database", Database => postgres::DatabaseOptions: read {
    connections_max => connections_max: |text| number(text, 2, 1_000),
    connect_timeout => connect_timeout: short,
    statement_timeout => statement_timeout: short,
    lock_timeout => lock_timeout: short,
    full_page_writes => pages_are_whole: |text| choice(text, &[("required", false), ("optional", true)]),
});

section!("ready", Ready => health::Bounds: read {
    lag_max_events => lag_events_max: |text| number(text, 0, u64::MAX),
    lag_max => lag_max: short,
});

section!("memory", Memory => memory::Memory: read {
    max => max: memory::max,
    accounts => accounts: |text| size(text, memory::MIB, read.max),
    transaction_keys => transaction_keys: |text| size(text, memory::MIB, read.max),
    account_keys => account_keys: |text| size(text, memory::MIB, read.max),
    filter => filter: |text| size(text, memory::MIB, read.max),
    queue => queue: |text| size(text, memory::QUEUE_LEAST, read.max),
    bodies => bodies: |text| size(text, memory::BODIES_LEAST, read.max),
    pages => pages: |text| size(text, memory::MIB, read.max),
    map_files => map_files: flag,
});

section!("beacon", Beacon { urls });
section!("clock", Clock { ahead_max });
section!("cors", Cors { origins });
section!("tokens", Tokens => Claims: read {
    account_claim => account: claim,
    scope_claim => scope: claims,
    scope_prefix => scope_prefix: text,
    audience_claim => audience: claim,
    sources_claim => sources: claim,
} besides { issuer, audience, jwks, allow_sandbox_issuer });

fn short(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(10), HOUR)
}
