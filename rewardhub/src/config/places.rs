//! Which ledger it is: two settings that name two are refused.

use std::path::{Path, PathBuf};

use super::parse::{self, folder, log};
use super::sections::Value;
use super::{Arguments, ConfigError, Given, LogPlace, Sources};

impl Sources<'_> {
    /// The data folder and the log, which may name each other.
    pub(super) fn places(
        &self,
        arguments: &Arguments,
        data: Value,
        log_in_file: Value,
    ) -> Result<(PathBuf, LogPlace), ConfigError> {
        let data = match &arguments.data {
            Some(path) => {
                // A file that the environment names, and that names another folder.
                if let (Some(value), None) = (data, &arguments.file) {
                    let source = format!("{}:{}", self.file, value.referenced.line());
                    let given = Given { setting: "data", source, text: value.value.into() };
                    let other = given.parse(folder)?;
                    if !same_folder(&other, path) {
                        let why = format!(
                            "names the ledger in {}, but --data names the one in {}: leave one away",
                            other.display(),
                            path.display()
                        );
                        return Err(given.refused(why));
                    }
                }
                Some((path.clone(), "--data".to_owned()))
            }
            None => match self.find("data", data)? {
                Some(given) => Some((given.parse(folder)?, given.source)),
                None => None,
            },
        };
        let given = if let Some(text) = &arguments.log {
            Some(Given { setting: "log", source: "--log".into(), text: text.clone() })
        } else {
            let given = self.find("log", log_in_file)?;
            // A folder alone on the command line means the ledger in it.
            if let (Some(given), Some(folder), None) = (&given, &arguments.data, &arguments.file)
                && let parse::Log::Postgres(address) = given.parse(log)?
            {
                let why = format!(
                    "names the ledger in {address}, but --data {} names the one in that folder: leave one away, or say \
                     --log as well",
                    folder.display()
                );
                return Err(given.refused(why));
            }
            given
        };
        let default = || data.as_ref().map_or_else(|| PathBuf::from("./data"), |(path, _)| path.clone());
        let Some(given) = given else { return Ok((default(), LogPlace::Embedded)) };
        match given.parse(log)? {
            parse::Log::Postgres(address) => Ok((default(), LogPlace::Postgres(address))),
            parse::Log::Sqlite(None) => Ok((default(), LogPlace::Embedded)),
            parse::Log::Sqlite(Some(path)) => match &data {
                Some((other, source)) if !same_folder(other, &path) => Err(given.refused(format!(
                    "names the folder {}, but {source} says that the data are in {}",
                    path.display(),
                    other.display()
                ))),
                _ => Ok((path, LogPlace::Embedded)),
            },
        }
    }
}

/// Whether two paths name one folder, however they are spelt.
fn same_folder(one: &Path, other: &Path) -> bool {
    let plain = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    one == other || plain(one).is_ok_and(|one| plain(other).is_ok_and(|other| one == other))
}
