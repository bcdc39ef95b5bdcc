//! What a deployment decides: from the command line, else from the environment, else from a YAML
//! file, else a default. `rewardhub.example.yaml` shows every setting.
//!
//! A value that cannot be used is an error that names the setting and where it was set, and never
//! repeats an address with a password. The variable of `database.lock_timeout` is
//! `REWARDHUB_DATABASE_LOCK_TIMEOUT`, and so on.

mod file;
mod memory;
mod parse;
mod places;
mod profile;
mod sections;
mod variables;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::auth::Claims;
use api::cors::Origins;
use stores::postgres::{self, Address};

pub use file::File;
pub use memory::Memory;
use parse::{address, choice, duration, flag, folder, text, urls};

use crate::secret::Secret;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Bounds of the connections that come in there.
    pub connections: api::server::Limits,
    /// What the bearer of one token may cost.
    pub per_token: api::allowance::Limits,
    /// Web apps that may read answers in a browser.
    pub origins: Origins,
    /// The data folder: the root key, and all of an embedded ledger.
    pub data: PathBuf,
    /// Where the log is.
    pub log: LogPlace,
    /// Bounds of the database's sessions.
    pub database: postgres::DatabaseOptions,
    /// How long a standby waits for a silent writer.
    pub lease_ttl: Duration,
    /// Whether a first transaction opens an account, where that was decided.
    pub open_enrolment: Option<bool>,
    /// When the service counts as ready.
    pub ready: api::health::Bounds,
    /// Whose tokens are accepted; only a service needs to know.
    pub tokens: Option<Tokens>,
    /// What tokens' claims are called.
    pub claims: Claims,
    /// Servers of the public beacon, asked in turn; nobody is asked unless a campaign waits for it.
    pub beacon_urls: Vec<String>,
    /// Set where the profile is `production`: what in this configuration is not for production is
    /// refused wherever keys are opened.
    pub production: Option<Production>,
    /// How far the clock may be ahead of the time that has passed before nothing is recorded.
    pub clock_ahead_max: Duration,
    /// What the process may take.
    pub memory: Memory,
    /// How long requests and the writer may take to finish once told to stop.
    pub shutdown_grace: Duration,
}

/// Where the log is.
#[derive(Clone, Debug)]
pub enum LogPlace {
    /// In the data folder.
    Embedded,
    /// In a PostgreSQL database.
    Postgres(Box<Address>),
}

/// Whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// Those of the data folder's own issuer: whoever reads the folder can make them.
    Sandbox,
    /// Those that an issuer signs with the keys of a file.
    Issuer {
        /// `iss`.
        issuer: String,
        /// `aud`.
        audience: String,
        /// A JSON Web Key Set.
        jwks: PathBuf,
    },
}

/// The profile `production`: what it asks for beyond settings that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Production {
    /// Where it was set.
    source: String,
}

/// A setting that cannot be used: exit code 2.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        why: String,
    },
    /// The file is no configuration: unknown keys, wrong structure.
    #[error("{path}: {why}")]
    Malformed {
        /// File and line.
        path: String,
        /// What is wrong, without the text around it.
        why: String,
    },
    /// Nothing, where something is needed.
    #[error("{setting} is not set: {why}")]
    Missing {
        /// Such as `tokens.jwks`.
        setting: &'static str,
        /// What it is needed for.
        why: String,
    },
    /// It looks like a setting and is none: a misspelt one would be without effect.
    #[error("{0}: there is no such setting; rewardhub.example.yaml shows all")]
    UnknownVariable(String),
    /// One value.
    #[error("{source_of_value}: {setting}: {why}")]
    Setting {
        /// Such as `database.lock_timeout`.
        setting: &'static str,
        /// Such as `rewardhub.yaml:7` or `REWARDHUB_LISTEN`.
        source_of_value: String,
        /// What is wrong.
        why: String,
    },
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--log`.
    pub log: Option<Secret>,
}

const HOUR: Duration = Duration::from_hours(1);

impl Config {
    /// Reads what applies to this process.
    pub fn load(arguments: &Arguments) -> Result<Config, ConfigError> {
        let asked = RefCell::new(BTreeSet::from(variables::OTHERS.map(str::to_owned)));
        let config = Config::from_sources(arguments, |name| {
            asked.borrow_mut().insert(name.to_owned());
            std::env::var_os(name)
        })?;
        let set = std::env::vars_os().map(|(name, _)| name);
        match variables::unknown(set, &asked.into_inner()).into_iter().next() {
            Some(variable) => Err(ConfigError::UnknownVariable(variable)),
            None => Ok(config),
        }
    }

    /// The same with another environment.
    pub fn from_sources(
        arguments: &Arguments,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Config, ConfigError> {
        let path = arguments.file.clone().or_else(|| environment("REWARDHUB_CONFIG").map(PathBuf::from));
        let (name, file) = match &path {
            Some(path) => (path.display().to_string(), File::read(path)?),
            None => (String::new(), File::default()),
        };
        let sources = Sources { file: name, environment: &environment };
        sources.config(arguments, file)
    }
}

/// A value and where it comes from.
struct Given {
    setting: &'static str,
    source: String,
    text: Secret,
}

impl Given {
    fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        parse(self.text.expose()).map_err(|why| self.refused(why))
    }

    fn refused(&self, why: impl Into<String>) -> ConfigError {
        ConfigError::Setting { setting: self.setting, source_of_value: self.source.clone(), why: why.into() }
    }
}

struct Sources<'a> {
    file: String,
    environment: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Sources<'_> {
    /// What is set for a setting, by the environment before the file.
    fn find(&self, setting: &'static str, in_file: sections::Value) -> Result<Option<Given>, ConfigError> {
        let variable = format!("REWARDHUB_{}", setting.replace('.', "_").to_uppercase());
        if let Some(value) = (self.environment)(&variable) {
            let text = value.into_string();
            let given = |text| Given { setting, source: variable, text };
            return match text {
                Ok(text) => Ok(Some(given(text.into()))),
                Err(_) => Err(given(String::new().into()).refused("is not UTF-8")),
            };
        }
        Ok(in_file.map(|value| Given {
            setting,
            source: format!("{}:{}", self.file, value.referenced.line()),
            text: value.value.into(),
        }))
    }

    /// Such a setting's value, or its default.
    fn value<T>(
        &self,
        setting: &'static str,
        in_file: sections::Value,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: T,
    ) -> Result<T, ConfigError> {
        self.find(setting, in_file)?.map_or(Ok(default), |given| given.parse(parse))
    }

    fn config(&self, arguments: &Arguments, file: File) -> Result<Config, ConfigError> {
        let (data, log) = self.places(arguments, file.data, file.log)?;
        let listen = self.value("listen", file.listen, address, ([127, 0, 0, 1], 8080).into())?;
        let ttl = |text: &str| duration(text, Duration::from_secs(2), HOUR);
        let enrolment = |text: &str| choice(text, &[("listed", Some(false)), ("open", Some(true))]);
        let grace = |text: &str| duration(text, Duration::ZERO, HOUR);
        let ahead = |text: &str| duration(text, Duration::from_secs(1), HOUR);
        self.value("payout", file.payout, |text| choice(text, &[("sandbox", ())]), ())?;
        let profile = self.find("profile", file.profile)?;
        let production = match &profile {
            Some(given)
                if given.parse(|text| choice(text, &[("standard", false), ("production", true)]))? =>
            {
                Some(Production { source: given.source.clone() })
            }
            _ => None,
        };
        let (beacon, cors) = (file.beacon.unwrap_or_default(), file.cors.unwrap_or_default());
        let (clock, mut memory) = (file.clock.unwrap_or_default(), file.memory.unwrap_or_default());
        let public = adapters::drand::PUBLIC.map(str::to_owned).to_vec();
        let mut tokens = file.tokens.unwrap_or_default();
        let claims = tokens.read(self, Claims::default())?;
        let max = self.value("memory.max", memory.max.clone(), memory::max, Memory::default().max)?;
        Ok(Config {
            lease_ttl: self.value("lease_ttl", file.lease_ttl, ttl, Duration::from_secs(10))?,
            open_enrolment: self.value("enrolment", file.enrolment, enrolment, None)?,
            shutdown_grace: self.value(
                "shutdown_grace",
                file.shutdown_grace,
                grace,
                Duration::from_secs(20),
            )?,
            origins: self.value("cors.origins", cors.origins, Origins::parse, Origins::default())?,
            beacon_urls: self.value("beacon.urls", beacon.urls, urls, public)?,
            clock_ahead_max: self.value("clock.ahead_max", clock.ahead_max, ahead, Duration::from_mins(1))?,
            connections: file.connections.unwrap_or_default().read(self, api::server::Limits::default())?,
            per_token: file.per_token.unwrap_or_default().read(self, api::allowance::Limits::default())?,
            database: file.database.unwrap_or_default().read(self, postgres::DatabaseOptions::default())?,
            ready: file.ready.unwrap_or_default().read(self, api::health::Bounds::default())?,
            memory: memory.read(self, Memory::of(max))?,
            tokens: self.tokens(tokens, &claims, listen)?,
            claims,
            production,
            listen,
            data,
            log,
        })
    }

    fn tokens(
        &self,
        file: sections::Tokens,
        claims: &Claims,
        listen: SocketAddr,
    ) -> Result<Option<Tokens>, ConfigError> {
        let issuer = self.find("tokens.issuer", file.issuer)?;
        let audience = self.value("tokens.audience", file.audience, text, api::auth::AUDIENCE.to_owned())?;
        let anywhere = self.value("tokens.allow_sandbox_issuer", file.allow_sandbox_issuer, flag, false)?;
        let Some(jwks) = self.find("tokens.jwks", file.jwks)? else {
            return match issuer {
                Some(issuer) => Err(issuer.refused("needs tokens.jwks, the issuer's keys")),
                None => Ok(None),
            };
        };
        match (jwks.text.expose(), issuer) {
            ("sandbox", None) if *claims != Claims::default() => {
                Err(jwks.refused("the built-in issuer's claims have names of their own"))
            }
            ("sandbox", None) if anywhere || listen.ip().is_loopback() => Ok(Some(Tokens::Sandbox)),
            ("sandbox", None) => Err(jwks.refused(
                "the built-in issuer is for this machine only: listen on loopback, or set \
                 tokens.allow_sandbox_issuer to true",
            )),
            ("sandbox", Some(issuer)) => Err(issuer.refused("the built-in issuer has a name of its own")),
            (text, _) if text.contains("://") => {
                Err(jwks.refused("must be a file: keys are not fetched from an address yet"))
            }
            (_, None) => Err(jwks.refused("needs tokens.issuer, whose keys these are")),
            (_, Some(issuer)) => {
                let (issuer, jwks) = (issuer.parse(text)?, jwks.parse(folder)?);
                Ok(Some(Tokens::Issuer { issuer, audience, jwks }))
            }
        }
    }
}

/// Where a file's settings are counted from, for a message.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
