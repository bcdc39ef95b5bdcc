//! The brief's day: 100,000 transactions, as `rewardhub ingest` takes them from an NDJSON file (in
//! memory by then) to durable decisions, with what they cost in processor time and on the disk.

use std::io::Write as _;
use std::time::Instant;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::figures::{micros_each, per_second, seconds};
use crate::ledger_load::LedgerLoad;
use crate::log_location::LogLocation;
use crate::machine::{own_time, time_of_all};
use rewardhub::commands::into_ledger;

const TRANSACTIONS: usize = 100_000;

pub(crate) async fn measure(location: &LogLocation, load: &mut LedgerLoad) -> anyhow::Result<Value> {
    let mut file = tempfile::NamedTempFile::new()?;
    for row in load.rows(TRANSACTIONS)? {
        file.write_all(&row)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    let server = match location {
        LogLocation::Postgres(server) if server.private() => server.processes().await?,
        LogLocation::Postgres(_) | LogLocation::Sqlite => vec![],
    };

    let bytes_before = load.log_bytes().await?;
    let (own_before, server_before) = (own_time()?, time_of_all(&server));
    let began = Instant::now();
    let accepted = into_ledger(file.path(), load.engine.intake.clone()).await?;
    let elapsed = began.elapsed();
    let own = own_time()?.saturating_sub(own_before);
    let theirs = time_of_all(&server).saturating_sub(server_before);
    let bytes = load.log_bytes().await?;
    ensure!(accepted == TRANSACTIONS as u64, "{accepted} of {TRANSACTIONS} transactions were accepted");

    Ok(json!({
        "transactions": TRANSACTIONS,
        "seconds": seconds(elapsed),
        "per_second": per_second(TRANSACTIONS, elapsed),
        "cpu_us_per_transaction": {
            "ours": micros_each(own, TRANSACTIONS),
            "server": (!server.is_empty()).then(|| micros_each(theirs, TRANSACTIONS)),
        },
        "log_bytes_per_transaction": bytes.each(bytes_before, TRANSACTIONS),
    }))
}
