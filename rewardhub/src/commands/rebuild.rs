//! `rewardhub rebuild NAME`: a read model built anew from the log, compared with the running one, put in its
//! place.

use std::sync::Arc;

use ledger_core::log::EventLog;
use ledger_core::log::sqlite::SqliteLog;
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

pub async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let folder = Folder::existing(&arguments.data.path)?;
    let _lock = folder.lock("rebuild")?;
    let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open_read_only(&folder.log())?);
    for report in projections::rebuild(&log, &folder.read(), &arguments.name).await? {
        let projections::RebuildReport { projection, events, rows, rows_changed } = report;
        println!(
            "{}",
            json!({ "projection": projection.as_str(), "events": events, "rows": rows, "rows_changed": rows_changed })
        );
    }
    Ok(Ended::Fine)
}
