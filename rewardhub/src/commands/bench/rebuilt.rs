//! How fast the read models are made anew, compared with the running ones and put in their place.

use std::time::Instant;

use anyhow::ensure;
use projections::rebuild::{Selection, rebuild};
use serde_json::{Value, json};

use super::figures::{per_second, seconds};
use super::served::Served;

pub(super) async fn measure(served: &Served) -> anyhow::Result<Value> {
    let began = Instant::now();
    let reports = rebuild(&*served.node.engine.log, &served.node.read, Selection::All, |_, _| {}).await?;
    let elapsed = began.elapsed();
    ensure!(reports.iter().all(|report| report.rows_changed == 0), "the read models were wrong: {reports:?}");
    let events = reports.iter().map(|report| report.events).max().unwrap_or_default();
    Ok(json!({
        "events": events,
        "rows": reports.iter().map(|report| report.rows).sum::<u64>(),
        "seconds": seconds(elapsed),
        "events_per_second": per_second(usize::try_from(events)?, elapsed),
    }))
}
