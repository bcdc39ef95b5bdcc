//! `rewardhub backup`: a consistent copy of an embedded ledger, also of a running one.

use std::path::PathBuf;

use crate::backup::back_up;
use crate::commands::support::{At, Ended, Usage, unless_interrupted};
use crate::config::LogPlace;
use crate::folder::Folder;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// A folder that does not exist yet, or is empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let config = arguments.at.config()?;
    if let LogPlace::Postgres(_) = config.log {
        let why = "a ledger on PostgreSQL is backed up by PostgreSQL's own means, all schemas at once, and its root.key \
                   by hand; after a restore: `rewardhub restore --declare`";
        return Err(Usage(why.into()).into());
    }
    let folder = Folder::existing(&config.data)?;
    let manifest = unless_interrupted(back_up(&folder, &arguments.to)).await?;
    println!("{}", serde_json::to_string_pretty(&manifest)?);
    eprintln!(
        "{}/keys opens all personal details together with its root.key: keep it apart from the rest",
        arguments.to.display()
    );
    Ok(Ended::Fine)
}
