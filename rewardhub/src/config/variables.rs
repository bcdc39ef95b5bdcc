//! Variables of the environment that look like settings and are none.

use std::collections::BTreeSet;
use std::ffi::OsString;

/// Variables that are no settings, or are not asked for where the command line says it.
pub(super) const OTHERS: [&str; 6] = [
    "REWARDHUB_CONFIG",
    "REWARDHUB_DATA",
    "REWARDHUB_LOG",
    "REWARDHUB_LOG_FORMAT",
    "REWARDHUB_LOG_LEVEL",
    "REWARDHUB_TOKEN",
];

/// What looks like a setting and is none.
pub(super) fn unknown(names: impl Iterator<Item = OsString>, asked: &BTreeSet<String>) -> Vec<String> {
    let names = names.filter_map(|name| name.into_string().ok());
    let names = names.filter(|name| name.starts_with("REWARDHUB_") && !asked.contains(name));
    names.filter(|name| !name.starts_with(TESTS) && !is_of_an_orchestrator(name)).collect()
}

/// What tests tell each other.
const TESTS: &str = "REWARDHUB_TEST_";

/// Kubernetes sets these for a service called `rewardhub`: `…_SERVICE_HOST`, `…_SERVICE_PORT_HTTP`, `…_PORT_8080_TCP_ADDR`.
fn is_of_an_orchestrator(name: &str) -> bool {
    let name = name.trim_start_matches("REWARDHUB_");
    let after_port = name.strip_prefix("PORT");
    name == "SERVICE_HOST"
        || name.starts_with("SERVICE_PORT")
        || after_port.is_some_and(|rest| {
            rest.is_empty() || rest[1..].starts_with(|digit: char| digit.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_no_setting() {
        let names = [
            "REWARDHUB_LSTEN",
            "REWARDHUB_PORTS",
            "REWARDHUB_LISTEN",
            "REWARDHUB_TOKEN",
            "PATH",
            "REWARDHUBS",
            "REWARDHUB_TEST_SPEED",
            "REWARDHUB_SERVICE_HOST",
            "REWARDHUB_SERVICE_PORT_HTTP",
            "REWARDHUB_PORT",
            "REWARDHUB_PORT_8080_TCP_ADDR",
        ];
        let mut asked = BTreeSet::from(OTHERS.map(str::to_owned));
        asked.insert("REWARDHUB_LISTEN".into());
        assert_eq!(
            unknown(names.into_iter().map(Into::into), &asked),
            ["REWARDHUB_LSTEN", "REWARDHUB_PORTS"]
        );
    }
}
