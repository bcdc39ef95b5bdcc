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

/// Kubernetes sets these for each service whose name begins with `rewardhub`: `…_SERVICE_HOST`,
/// `…_SERVICE_PORT_HTTP`, `…_PORT`, `…_PORT_8080_TCP_ADDR`. No setting of ours is called so.
fn is_of_an_orchestrator(name: &str) -> bool {
    let of_a_port = |(_, rest): (&str, &str)| rest.starts_with(|digit: char| digit.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.split_once("_PORT_").is_some_and(of_a_port)
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
            "REWARDHUB_DB_SERVICE_HOST",
            "REWARDHUB_DB_PORT_5432_TCP",
            "REWARDHUB_DB_PORT",
            "REWARDHUB_PORTé",
        ];
        let mut asked = BTreeSet::from(OTHERS.map(str::to_owned));
        asked.insert("REWARDHUB_LISTEN".into());
        assert_eq!(
            unknown(names.into_iter().map(Into::into), &asked),
            ["REWARDHUB_LSTEN", "REWARDHUB_PORTS", "REWARDHUB_PORTé"]
        );
    }
}
