//! Variables of the environment that look like settings and are none.

use std::collections::BTreeSet;
use std::ffi::OsString;

/// Variables that are no settings, or are not asked for where the command line says it.
pub(super) const OTHERS: [&str; 5] =
    ["REWARDHUB_CONFIG", "REWARDHUB_DATA", "REWARDHUB_LOG", "REWARDHUB_LOG_LEVEL", "REWARDHUB_TOKEN"];

/// What looks like a setting and is none.
pub(super) fn unknown(names: impl Iterator<Item = OsString>, asked: &BTreeSet<String>) -> Vec<String> {
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| name.starts_with("REWARDHUB_") && !asked.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_of() {
        let names = ["REWARDHUB_LSTEN", "REWARDHUB_LISTEN", "REWARDHUB_TOKEN", "PATH", "REWARDHUBS"];
        let mut asked = BTreeSet::from(OTHERS.map(str::to_owned));
        asked.insert("REWARDHUB_LISTEN".into());
        assert_eq!(unknown(names.into_iter().map(Into::into), &asked), ["REWARDHUB_LSTEN"]);
    }
}
