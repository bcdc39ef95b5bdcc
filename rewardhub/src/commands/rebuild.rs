//! `rewardhub rebuild NAME`: read models brought up to the log's end, then one built anew from the
//! log, compared with the running one, put in its place.

use std::sync::Arc;

use projections::rebuild::{RebuildReport, Selection, rebuild};
use projections::{Runner, UnknownProjection};
use serde_json::json;

use crate::commands::support::{At, Ended, Usage, unless_interrupted};
use crate::config::{Config, LogPlace};
use crate::folder::Folder;
use crate::identity::Survey;
use crate::opened::{READERS_PATIENCE, read_models, read_only_log};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// account, rewards, transactions, campaigns, `trial_balance`, or all.
    #[arg(value_name = "PROJECTION")]
    name: String,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let config = arguments.at.config()?;
    let selection: Selection =
        arguments.name.parse().map_err(|error: UnknownProjection| Usage(error.to_string()))?;
    // Beside a database: a running service waits while the rows are replaced.
    let LogPlace::Embedded = config.log else {
        return unless_interrupted(rebuild_read_models(&config, selection)).await;
    };
    let folder = Folder::existing(&config.data)?;
    let _lock = folder.lock("rebuild")?;
    Survey::of_folder(&folder)?.check()?;
    let ended = unless_interrupted(rebuild_read_models(&config, selection)).await;
    folder.finish_all(READERS_PATIENCE)?;
    ended
}

async fn rebuild_read_models(config: &Config, selection: Selection) -> anyhow::Result<Ended> {
    let log = read_only_log(config).await?.events;
    let store = read_models(config).await?;
    // What no service has put into them yet is, so that afterwards they have all of the log.
    let head = log.head().await?.position;
    let (runner, progress) = Runner::new(Arc::clone(&log), store.clone())?;
    while progress.position() < head && runner.step().await? > 0 {}
    let reports = rebuild(&*log, &store, selection, |_, _| {}).await?;
    for RebuildReport { projection, events, rows, rows_changed } in reports {
        println!(
            "{}",
            json!({ "projection": projection.as_str(), "events": events, "rows": rows, "rows_changed": rows_changed })
        );
    }
    Ok(Ended::Fine)
}
