//! How fast the read models are made anew, compared with the running ones and put in their place.

use std::time::Instant;

use anyhow::ensure;
use projections::rebuild::{Selection, rebuild};
use serde_json::{Value, json};

use crate::figures::{per_second, seconds};
use crate::full_node::FullNode;

pub(crate) async fn measure(full: &FullNode) -> anyhow::Result<Value> {
    let began = Instant::now();
    let reports = rebuild(&*full.node.engine.log, &full.node.read, Selection::All, |_, _| {}).await?;
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
