//! From text to value. A refusal says what is expected.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use stores::postgres::Address;

/// What `log` may name.
pub(super) enum Log {
    /// `sqlite:`, perhaps with its folder.
    Sqlite(Option<PathBuf>),
    /// `postgres://…`.
    Postgres(Box<Address>),
}

/// Never repeats the text: a password may stand in it.
pub(super) fn log(text: &str) -> Result<Log, String> {
    match text.strip_prefix("sqlite:") {
        Some("") => Ok(Log::Sqlite(None)),
        Some(path) => Ok(Log::Sqlite(Some(path.into()))),
        None if text.starts_with("postgres") => {
            let address: Result<Address, _> = text.parse();
            address.map(|address| Log::Postgres(Box::new(address))).map_err(|error| error.to_string())
        }
        None => Err("must be sqlite:FOLDER or postgres://user:password@host:port/database".into()),
    }
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("must be an address and a port such as 127.0.0.1:8080, not {text:?}"))
}

pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let shown = humantime::format_duration;
    let expected = || format!("must be a time from {} to {}, not {text:?}", shown(least), shown(most));
    let duration = humantime::parse_duration(text).map_err(|_| expected())?;
    if (least..=most).contains(&duration) { Ok(duration) } else { Err(expected()) }
}

pub(super) fn number<T>(text: &str, least: T, most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let parsed = text.parse().ok().filter(|number| (least..=most).contains(number));
    parsed.ok_or_else(|| format!("must be a number from {least} to {most}, not {text:?}"))
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    choice(text, &[("true", true), ("false", false)])
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text);
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    found.map(|(_, value)| *value).ok_or_else(|| format!("must be {}, not {text:?}", names.join(" or ")))
}

pub(super) fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(text.into()) }
}

/// The name of a token's claim.
pub(super) fn claim(name: &str) -> Result<String, String> {
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if is_name { Ok(name.into()) } else { Err("must be the name of a claim, such as sub".into()) }
}

/// Names of claims separated by commas.
pub(super) fn claims(names: &str) -> Result<Vec<String>, String> {
    let names: Result<Vec<String>, String> = names.split(',').map(claim).collect();
    names.map_err(|_| "must be the name of a claim, such as scope, or several, such as scp, roles".into())
}

/// A path that is named at all.
pub(super) fn folder(path: &str) -> Result<PathBuf, String> {
    text(path).map(PathBuf::from)
}

/// Addresses separated by commas. `http` will do where signatures say whether an answer is right.
pub(super) fn urls(list: &str) -> Result<Vec<String>, String> {
    let urls: Vec<String> = list.split(',').map(|url| url.trim().to_owned()).collect();
    let is_url = |url: &String| {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['@', ' ', '?', '#']))
    };
    if urls.iter().all(is_url) {
        Ok(urls)
    } else {
        Err("must be addresses such as https://api.drand.sh, separated by commas, without passwords".into())
    }
}
