//! Whether the ten millionth transaction is as fast as the first: one log that grows, with
//! throughput, memory and bytes at each power of ten. Nothing else can take turns here, so each
//! figure is the median of several.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::figures::Samples;
use crate::ledger_load::LedgerLoad;
use crate::log_location::LogLocation;
use crate::machine::resident_bytes;

/// The first mark.
const FIRST: usize = 100_000;
const ACCOUNTS: u32 = 100_000;
/// Transactions taken between marks at a time.
const BLOCK: usize = 50_000;
/// Transactions of one measurement at a mark, and how many of them.
const MEASURED: usize = 20_000;
const MEASUREMENTS: usize = 5;
const CHUNK: usize = 1_000;

pub(crate) async fn measure(location: &LogLocation, upto: usize) -> anyhow::Result<Vec<Value>> {
    let mut marks = Vec::new();
    if upto < FIRST {
        return Ok(marks);
    }
    let mut load = LedgerLoad::open(location, ACCOUNTS).await?;
    let (mut taken, mut mark) = (0, FIRST);
    while mark <= upto {
        while taken < mark {
            let rows = load.rows(BLOCK.min(mark - taken))?;
            taken += rows.len();
            load.take(&rows, 5 * CHUNK).await?;
        }
        let mut speed = Samples::default();
        for _ in 0..MEASUREMENTS {
            let rows = load.rows(MEASURED)?;
            taken += rows.len();
            speed.push(rows.len(), load.take(&rows, CHUNK).await?.elapsed);
        }
        let bytes = load.log_bytes().await?;
        marks.push(json!({
            "transactions": mark,
            "per_second": speed.median().round(),
            "resident_mib": resident_bytes()? >> 20,
            "table_mib": bytes.table >> 20,
            "indexes_mib": bytes.indexes >> 20,
        }));
        mark = mark.checked_mul(10).context("too many transactions")?;
    }
    load.close().await?;
    Ok(marks)
}
