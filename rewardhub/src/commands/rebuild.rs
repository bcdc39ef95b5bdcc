//! `rewardhub rebuild NAME`: a read model built anew from the log, compared with the running one, put in its
//! place.

use projections::rebuild::{RebuildReport, Selection, rebuild};
use serde_json::json;

use crate::commands::{At, Ended};
use crate::config::LogPlace;
use crate::folder::Folder;
use crate::stores::{read_models, read_only_log};

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
    let selection: Selection = arguments.name.parse()?;
    let _lock = match config.log {
        LogPlace::Embedded => Some(Folder::existing(&config.data)?.lock("rebuild")?),
        // A running service waits while the rows are replaced.
        LogPlace::Postgres(_) => None,
    };
    let log = read_only_log(&config).await?;
    let reports = rebuild(&*log, &read_models(&config).await?, selection, |_, _| {}).await?;
    for RebuildReport { projection, events, rows, rows_changed } in reports {
        println!(
            "{}",
            json!({ "projection": projection.as_str(), "events": events, "rows": rows, "rows_changed": rows_changed })
        );
    }
    Ok(Ended::Fine)
}
