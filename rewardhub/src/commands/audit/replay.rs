//! `rewardhub audit replay`: state, balances and hashes recomputed from the log alone and compared with the
//! read models and the snapshots.

use std::time::Instant;

use ledger_core::audit::replay::Replay;
use ledger_core::engine::check_snapshots;
use ledger_core::log::LogError;
use projections::agree::{Disagreements, disagreements};
use projections::rebuild::{Selection, compare};
use serde_json::json;

use super::report;
use crate::commands::Ended;
use crate::config::Config;
use crate::stores::{existing_read_models, read_only_log};

pub(super) async fn run(config: &Config) -> anyhow::Result<Ended> {
    let log = read_only_log(config).await?;
    let began = Instant::now();
    let summary = match Replay::run(&*log, |_| {}).await {
        Ok(replay) => replay.finish(),
        // What cannot be read to its end is no fault of ours but what an audit is to find.
        Err(error @ LogError::Damaged(_)) => {
            let findings = json!({ "findings": [error.to_string()], "findings_total": 1 });
            return report(&json!({ "holds": false, "replay": findings }), false);
        }
        Err(error) => return Err(error.into()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let read = existing_read_models(config).await?;
    let read_models = match &read {
        Some(read) => compare(&*log, read, Selection::All, |_, _| {}).await?,
        None => vec![],
    };
    let differing: u64 = read_models.iter().map(|r| r.rows_changed).sum();
    let read_models: Vec<_> = read_models
        .iter()
        .map(|r| json!({ "projection": r.projection.as_str(), "position": r.events.to_string(), "rows": r.rows, "rows_differing": r.rows_changed }))
        .collect();
    // By other code than the read models' own.
    let disagreements = match &read {
        Some(read) => disagreements(&*log, read).await?,
        None => Disagreements::default(),
    };
    let (checked, findings) = check_snapshots(&*log).await?;
    let snapshots: Vec<String> = findings.iter().map(|f| format!("{} at {}", f.stream, f.sequence)).collect();
    let holds = summary.findings_total == 0
        && differing == 0
        && disagreements.findings_total == 0
        && findings.is_empty();
    let whole = json!({
        "holds": holds, "replay": summary, "read_models": read_models,
        "state": disagreements, "snapshots": { "checked": checked, "differing": snapshots }, "seconds": seconds,
    });
    report(&whole, holds)
}
