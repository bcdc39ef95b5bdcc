//! `rewardhub bench`: how fast the ledger is beside plain cqrs-es on SQLite and beside SQLite alone, in one run.
//!
//! Every case is durable (`synchronous=FULL`) on temporary folders (`TMPDIR` says where), with accounts opened
//! beforehand and no steps or projections running. The cases take turns round by round, since machines drift;
//! shown are medians of the rounds and the median of their ratios.

mod figures;
mod memory;
mod ours;
mod plain;
mod raw;
mod replay;
mod stages;

use ledger_core::log::{EventLog, Position, StoredEvent};
use serde_json::json;

use crate::commands::Ended;
use figures::{Cases, Samples, machine, milliseconds, quantile};
use ours::Ours;
use plain::Plain;
use raw::Raw;

#[derive(clap::Args)]
pub struct Arguments {
    /// End within a minute.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// The log to measure.
    #[arg(long, value_enum, default_value_t = Log::Sqlite)]
    log: Log,
}

/// Logs that can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Log {
    /// The embedded log.
    Sqlite,
}

/// How much is measured.
struct Sizes {
    accounts: u32,
    rounds: usize,
    /// Transactions of one case in one round.
    transactions: usize,
    /// The same for plain cqrs-es, which takes longer.
    plain: usize,
    stage_rows: usize,
    cold_rounds: usize,
    memory_accounts: usize,
}

const QUICK: Sizes = Sizes {
    accounts: 20_000,
    rounds: 3,
    transactions: 40_000,
    plain: 3_000,
    stage_rows: 10_000,
    cold_rounds: 1,
    memory_accounts: 100_000,
};
const FULL: Sizes = Sizes {
    accounts: 100_000,
    rounds: 7,
    transactions: 60_000,
    plain: 8_000,
    stage_rows: 20_000,
    cold_rounds: 3,
    memory_accounts: 1_000_000,
};

/// Sizes of a request, and of the raw limit's batches.
const CHUNKS: [usize; 2] = [1_000, 5_000];

pub async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Log::Sqlite = arguments.log;
    let sizes = if arguments.quick { &QUICK } else { &FULL };
    // First, before other cases leave the allocator with pages of their own.
    let memory = memory::measure(sizes.memory_accounts).await?;

    let mut ours = Ours::open(sizes.accounts).await?;
    let plain = Plain::open().await?;
    let mut raw = [Raw::open(CHUNKS[0])?, Raw::open(CHUNKS[1])?];
    let [mut new, mut again] = [[Samples::default(), Samples::default()], [Samples::default(), Samples::default()]];
    let mut limit = [Samples::default(), Samples::default()];
    let (mut simple, mut cold) = (Samples::default(), Samples::default());
    let mut latencies = [vec![], vec![]];

    for round in 0..=sizes.rounds {
        // The turn moves on, so that no case always follows the same one.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for case in order {
            let rows = ours.rows(sizes.transactions);
            let before = ours.position();
            let taken = ours.take(&rows, CHUNKS[case]).await?;
            let repeated = ours.take(&rows, CHUNKS[case]).await?;
            let events = read(&*ours.engine.log, before).await?;
            let inserted = raw[case].insert(&events)?;
            // Round 0 warms up.
            if round == 0 {
                continue;
            }
            new[case].push(rows.len(), taken.elapsed);
            again[case].push(rows.len(), repeated.elapsed);
            limit[case].push(events.len(), inserted);
            latencies[case].extend(taken.chunks);
            if case == 0 {
                let few = &events[..events.len().min(sizes.plain)];
                simple.push(few.len(), plain.execute(few).await?);
            }
        }
    }
    for _ in 0..sizes.cold_rounds {
        ours.reopen().await?;
        let rows = ours.rows(sizes.transactions);
        cold.push(rows.len(), ours.take(&rows, CHUNKS[0]).await?.elapsed);
    }

    let replay = replay::measure(&ours.engine.log).await?;
    let bytes = ours.log_bytes()? / ours.position().0;
    let stages = stages::measure(&mut ours, sizes.stage_rows).await?;

    let mut cases = Cases::default();
    for (case, chunk) in CHUNKS.into_iter().enumerate() {
        let name = format!("transactions by {chunk}");
        cases.compare(&name, &new[case], "cqrs-es with sqlite-es, 8 tasks", &simple);
        cases.compare(&name, &new[case], &format!("bare inserts of the same events by {chunk}"), &limit[case]);
        cases.compare(&format!("repeats by {chunk}"), &again[case], &name, &new[case]);
    }
    cases.compare("transactions by 1000, cold accounts", &cold, "transactions by 1000", &new[0]);
    cases.compare("replay: links, state, balances", &replay.checked, "reading the log", &replay.read);
    cases.compare("replay: state only", &replay.state, "reading the log", &replay.read);

    let latencies: Vec<_> = CHUNKS
        .into_iter()
        .zip(&mut latencies)
        .map(|(chunk, all)| json!({ "chunk": chunk, "p50_ms": milliseconds(quantile(all, 50)), "p99_ms": milliseconds(quantile(all, 99)) }))
        .collect();
    let report = json!({
        "machine": machine(),
        "cases": cases.0,
        "latency": { "in_flight": ours::IN_FLIGHT, "chunks": latencies },
        "stages_us_per_transaction": stages,
        "memory": memory,
        "log_bytes_per_event": bytes,
    });
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        figures::print(&report);
    }
    ours.close().await?;
    Ok(Ended::Fine)
}

const PAGE: usize = 10_000;

/// All events after `position`.
async fn read(log: &dyn EventLog, mut position: Position) -> anyhow::Result<Vec<StoredEvent>> {
    let mut events = Vec::new();
    loop {
        let page = log.read_after(position, PAGE).await?;
        let Some(last) = page.last() else { return Ok(events) };
        position = last.position;
        events.extend(page);
    }
}
