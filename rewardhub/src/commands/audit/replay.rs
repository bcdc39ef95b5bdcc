//! `rewardhub audit replay`: state, balances and hashes recomputed from the log alone and compared
//! with the read models and the snapshots.

use std::collections::BTreeMap;
use std::time::Instant;

use ::audit::replay::{FINDINGS_MAX, Replay};
use adapters::sandbox::rail::{Payment, read_books};
use ledger_core::engine::check_snapshots;
use ledger_core::log::{EventLog, Log, LogError, Position};
use ledger_core::steps::ports::{PayoutKey, PayoutStatus};
use ledger_core::time::Timestamp;
use projections::agree::{Disagreements, disagreements};
use projections::rebuild::{Selection, compare};
use serde_json::json;

use super::report;
use crate::commands::support::Ended;
use crate::config::{Config, LogPlace};
use crate::folder::Folder;
use crate::opened::{existing_read_models, read_only_log};

pub(super) async fn run(config: &Config) -> anyhow::Result<Ended> {
    let Log { events: log, snapshots, .. } = read_only_log(config).await?;
    let began = Instant::now();
    let (summary, rail) = match Replay::run(&*log, |_| {}).await {
        Ok(replay) => {
            let rail = compare_rail(config, &*log, &replay).await?;
            (replay.finish(), rail)
        }
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
        .map(|r| json!({ "projection": r.projection.as_str(), "position": Position(r.events).to_string(), "rows": r.rows, "rows_differing": r.rows_changed }))
        .collect();
    // By other code than the read models' own.
    let disagreements = match &read {
        Some(read) => disagreements::<Replay>(&*log, read).await?,
        None => Disagreements::default(),
    };
    let (checked, findings) = check_snapshots(&*log, &*snapshots).await?;
    let snapshots: Vec<String> = findings.iter().map(|f| format!("{} at {}", f.stream, f.sequence)).collect();
    let holds = summary.findings_total == 0
        && summary.overdue_total == 0
        && differing == 0
        && disagreements.findings_total == 0
        && findings.is_empty()
        && rail.is_empty();
    let whole = json!({
        "holds": holds, "replay": summary, "read_models": read_models,
        "state": disagreements,
        "rail": rail.iter().take(FINDINGS_MAX).collect::<Vec<_>>(), "rail_total": rail.len(),
        "snapshots": { "checked": checked, "differing": snapshots }, "seconds": seconds,
    });
    report(&whole, holds)
}

/// A payment that the log has not heard of for so long is more than a late confirmation.
const CONFIRMED_WITHIN_MICROS: i64 = 10 * 60 * 1_000_000;

/// The rail's books beside the log, both ways. Only those of a data folder are whole: beside a
/// database each process has a rail of its own.
async fn compare_rail(config: &Config, log: &dyn EventLog, replay: &Replay) -> anyhow::Result<Vec<String>> {
    let books = Folder::existing(&config.data).map(|folder| folder.rail());
    let (LogPlace::Embedded, Ok(books)) = (&config.log, books) else { return Ok(vec![]) };
    if !std::fs::metadata(&books).is_ok_and(|books| books.len() > 0) {
        return Ok(vec![]);
    }
    let last = log.head().await?.recorded_at.map_or(0, Timestamp::micros);
    let payments = tokio::task::spawn_blocking(move || read_books(&books)).await??;
    let mut paid: BTreeMap<PayoutKey, Payment> = payments
        .into_iter()
        .filter(|payment| matches!(payment.status, PayoutStatus::Paid(_)))
        .map(|payment| (payment.key, payment))
        .collect();
    let mut findings = Vec::new();
    for (key, account, amount) in replay.paid() {
        match paid.remove(&key) {
            None => findings.push(format!("{key} is credited, but the rail has not paid it")),
            Some(payment) if payment.amount != amount || payment.account_id.as_str() != account => {
                findings.push(format!("{key} is credited, but the rail has paid something else under it"));
            }
            Some(_) => {}
        }
    }
    for (key, payment) in paid {
        if payment.paid_at.is_some_and(|at| last - at.micros() > CONFIRMED_WITHIN_MICROS) {
            findings.push(format!("the rail has paid {key}, and the log does not know it"));
        }
    }
    findings.sort_unstable();
    Ok(findings)
}
