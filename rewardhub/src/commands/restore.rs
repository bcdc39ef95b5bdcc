//! `rewardhub restore`: a backup laid out in an empty folder; or, after PostgreSQL was restored by its own means, the
//! declaration that its log is behind what the other schemas have seen. Either is recorded in the log.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ledger_core::ids::Digest;
use ledger_core::log::Position;
use ledger_core::system::SystemCommandKind;
use serde_json::json;

use crate::backup::Manifest;
use crate::commands::operate::{check_by, context};
use crate::commands::{At, Ended, Refused, Usage};
use crate::config::{Config, LogPlace};
use crate::folder::Folder;
use crate::identity::Survey;
use crate::node::Engine;
use crate::stores::{self, READERS_PATIENCE};

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
    /// The log was restored by other means and is behind the rest: set cursors and read models back to it.
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
        Some(from) if arguments.check => check(from),
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

fn check(from: &Path) -> anyhow::Result<Ended> {
    let (manifest, wrong) = Manifest::verified(from)?;
    let whole = json!({ "holds": wrong.is_empty(), "manifest": manifest, "wrong": wrong });
    println!("{}", serde_json::to_string_pretty(&whole)?);
    Ok(if wrong.is_empty() { Ended::Fine } else { Ended::Failed })
}

async fn restore(config: &Config, from: &Path, arguments: &Arguments) -> anyhow::Result<Ended> {
    let (manifest, wrong) = Manifest::verified(from)?;
    if !wrong.is_empty() {
        return Err(Refused(format!("{} is not laid out: {}", from.display(), wrong.join("; "))).into());
    }
    if std::fs::read_dir(&config.data).is_ok_and(|mut entries| entries.next().is_some()) {
        let full = format!("{} is not empty: a restore overwrites nothing", config.data.display());
        return Err(Refused(full).into());
    }
    let folder = Folder::create(&config.data)?;
    {
        let _lock = folder.lock("restore")?;
        manifest.lay_out(from, &folder)?;
    }
    if !folder.root_key().is_file() {
        println!("laid out up to {}; now put root.key beside keys.db", manifest.position);
        return Ok(Ended::Fine);
    }
    let position = manifest.position.parse::<Position>().map(|position| position.0).ok();
    let reason = arguments.reason.clone().unwrap_or_else(|| "restored from a backup".into());
    record(config, position, manifest.head_hash, reason, arguments.by.as_deref().unwrap_or("operator"))
        .await?;
    println!(
        "restored up to {} of ledger {}; the read models are made anew from it",
        manifest.position, manifest.ledger
    );
    Ok(Ended::Fine)
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
            let (database, folder) = (stores::database(config)?, Folder::create(&config.data)?);
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
