//! `rewardhub rebuild NAME`: a read model built anew from the log, compared with the running one, put in its
//! place.

use ledger_core::log::sqlite::SqliteLog;
use projections::ReadStore;
use projections::rebuild::{RebuildReport, Selection, rebuild};
use serde_json::json;

use crate::commands::{Data, Ended};
use crate::folder::Folder;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    data: Data,
    /// account, rewards, transactions, campaigns, `trial_balance`, or all.
    #[arg(value_name = "PROJECTION")]
    name: String,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let folder = Folder::existing(&arguments.data.path)?;
    let _lock = folder.lock("rebuild")?;
    let selection: Selection = arguments.name.parse()?;
    let log = SqliteLog::open_read_only(&folder.log())?;
    let read = ReadStore::open(&folder.read())?;
    let reports = rebuild(&log, &read, selection, |_, _| {}).await?;
    for RebuildReport { projection, events, rows, rows_changed } in reports {
        println!(
            "{}",
            json!({ "projection": projection.as_str(), "events": events, "rows": rows, "rows_changed": rows_changed })
        );
    }
    Ok(Ended::Fine)
}
