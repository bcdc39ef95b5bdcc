//! `rewardhub restore`: a backup laid out in an empty folder; or, after PostgreSQL was restored by
//! its own means, the declaration that its log is behind what the other schemas have seen. Either
//! is recorded in the log.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ledger_core::ids::Digest;
use ledger_core::log::Position;
use ledger_core::system::SystemCommandKind;
use serde_json::json;

use crate::backup::Manifest;
use crate::commands::operate::{check_by, context};
use crate::commands::support::{At, Ended, Refused, Usage, unless_interrupted};
use crate::config::{Config, LogPlace};
use crate::folder::{Folder, Lock};
use crate::identity::Survey;
use crate::node::Engine;
use crate::opened::{self, READERS_PATIENCE};

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["from", "declare"])))]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// A backup by `rewardhub backup`; it is laid out in the data folder, which must be empty.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Only say what is in the backup, and whether all of it is.
    #[arg(long, requires = "from", conflicts_with_all = ["reason", "by"])]
    check: bool,
    /// The log was restored by other means and is behind the rest: set cursors and read models back
    /// to it.
    #[arg(long, requires_all = ["reason", "by"])]
    declare: bool,
    /// Why; recorded.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who does it; recorded.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    if let Some(by) = &arguments.by {
        check_by(by)?;
    }
    match &arguments.from {
        Some(from) if arguments.check => check(from).await,
        Some(from) => {
            let config = arguments.at.config()?;
            if let LogPlace::Postgres(_) = config.log {
                return Err(
                    Usage("a backup is laid out in a data folder: name it with --data alone".into()).into()
                );
            }
            restore(&config, from, &arguments).await
        }
        None => declare(&arguments.at.config()?, &arguments).await,
    }
}

async fn check(from: &Path) -> anyhow::Result<Ended> {
    let (manifest, wrong) = Manifest::verified(from).await?;
    let whole = json!({ "holds": wrong.is_empty(), "manifest": manifest, "wrong": wrong });
    println!("{}", serde_json::to_string_pretty(&whole)?);
    Ok(if wrong.is_empty() { Ended::Fine } else { Ended::Failed })
}

async fn restore(config: &Config, from: &Path, arguments: &Arguments) -> anyhow::Result<Ended> {
    let (manifest, wrong) = Manifest::verified(from).await?;
    if !wrong.is_empty() {
        return Err(Refused(format!("{} is not laid out: {}", from.display(), wrong.join("; "))).into());
    }
    let is_full = |but: &str| {
        let entries = std::fs::read_dir(&config.data).into_iter().flatten().filter_map(Result::ok);
        entries.filter(|entry| entry.file_name() != but).count() > 0
    };
    let full = || Refused(format!("{} is not empty: a restore overwrites nothing", config.data.display()));
    if is_full("") {
        return Err(full().into());
    }
    let folder = Folder::create(&config.data)?;
    let lock = folder.lock("restore")?;
    // Another restore may have been quicker.
    if is_full("lock") {
        return Err(full().into());
    }
    let position = manifest.position.parse::<Position>().map(|position| position.0).ok();
    let reason = arguments.reason.clone().unwrap_or_else(|| "restored from a backup".into());
    let by = arguments.by.as_deref().unwrap_or("operator");
    if let Err(error) = manifest.lay_out(from, &folder) {
        empty(&folder, &lock)?;
        return Err(error);
    }
    drop(lock);
    if let Err(error) = unless_interrupted(record(config, position, manifest.head_hash, reason, by)).await {
        empty(&folder, &folder.lock("restore")?)?;
        return Err(error);
    }
    println!(
        "restored up to {} of ledger {}; the read models are made anew from it",
        manifest.position, manifest.ledger
    );
    Ok(Ended::Fine)
}

/// A restore that fails leaves the folder as empty as it was.
fn empty(folder: &Folder, _held: &Lock) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder.path())? {
        let path = entry?.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

async fn declare(config: &Config, arguments: &Arguments) -> anyhow::Result<Ended> {
    let (Some(reason), Some(by)) = (arguments.reason.clone(), arguments.by.as_deref()) else {
        bail!("clap asks for both");
    };
    let survey = match config.log {
        LogPlace::Embedded => {
            let folder = Folder::existing(&config.data)?;
            let _lock = folder.lock("restore")?;
            let survey = Survey::of_folder(&folder)?;
            survey.set_back_folder(&folder)?;
            folder.finish_all(READERS_PATIENCE)?;
            survey
        }
        LogPlace::Postgres(_) => {
            let (database, folder) = (opened::database(config)?, Folder::create(&config.data)?);
            let survey = Survey::of_database(&database, &folder).await?;
            survey.set_back_database(&database, &folder).await?;
            survey
        }
    };
    record(config, Some(survey.log.head.0), None, reason, by).await?;
    println!("the log ends at {}; read models are set back to it, steps begin anew", survey.log.head);
    Ok(Ended::Fine)
}

/// As the ledger's writer.
async fn record(
    config: &Config,
    from_position: Option<u64>,
    head: Option<Digest>,
    reason: String,
    by: &str,
) -> anyhow::Result<()> {
    let engine = Engine::open(config, "restore").await?;
    let kind = SystemCommandKind::RecordRestore { reason, from_position, head };
    let recorded = engine.ledger.system(kind, context(by)).await;
    engine.stop().await?;
    recorded?.map_err(|rejection| Refused(rejection.to_string()))?;
    Ok(())
}
