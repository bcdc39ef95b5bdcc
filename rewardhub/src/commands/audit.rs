//! `rewardhub audit replay`: state, balances and hashes recomputed from the log alone and compared with the
//! read models. Reads only; works beside a running sandbox.

use std::time::Instant;

use clap::Subcommand;
use ledger_core::audit::replay::Replay;
use ledger_core::log::LogError;
use ledger_core::log::sqlite::SqliteLog;
use projections::ReadStore;
use projections::rebuild::{Selection, compare};
use serde_json::json;

use crate::commands::{Data, Ended};
use crate::folder::Folder;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    check: Check,
}

#[derive(Subcommand)]
enum Check {
    /// Recompute state, balances and hashes from the log and compare them with the read models.
    Replay {
        #[command(flatten)]
        data: Data,
    },
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Check::Replay { data } = arguments.check;
    let folder = Folder::existing(&data.path)?;
    let log = SqliteLog::open_read_only(&folder.log())?;
    let began = Instant::now();
    let summary = match Replay::run(&log, |_| {}).await {
        Ok(replay) => replay.finish(),
        // What cannot be read to its end is no fault of ours but what an audit is to find.
        Err(error @ LogError::Damaged(_)) => {
            let report =
                json!({ "holds": false, "replay": { "findings": [error.to_string()], "findings_total": 1 } });
            println!("{}", serde_json::to_string_pretty(&report)?);
            return Ok(Ended::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let read_models = if folder.read().is_file() {
        let read = ReadStore::open_read_only(&folder.read())?;
        compare(&log, &read, Selection::All, |_, _| {}).await?
    } else {
        vec![]
    };
    let differing: u64 = read_models.iter().map(|r| r.rows_changed).sum();
    let read_models: Vec<_> = read_models
        .iter()
        .map(|r| json!({ "projection": r.projection.as_str(), "position": r.events.to_string(), "rows": r.rows, "rows_differing": r.rows_changed }))
        .collect();
    let holds = summary.findings_total == 0 && differing == 0;
    let report = json!({ "holds": holds, "replay": summary, "read_models": read_models, "seconds": seconds });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(if holds { Ended::Fine } else { Ended::Failed })
}
