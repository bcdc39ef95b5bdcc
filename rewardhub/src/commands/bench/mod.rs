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

use std::time::Duration;

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
    transactions: 20_000,
    plain: 2_000,
    stage_rows: 10_000,
    cold_rounds: 1,
    memory_accounts: 50_000,
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

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Log::Sqlite = arguments.log;
    let sizes = if arguments.quick { &QUICK } else { &FULL };
    // First, before other cases leave the allocator with pages of their own.
    let memory = memory::measure(sizes.memory_accounts).await?;
    let mut ours = Ours::open(sizes.accounts).await?;
    let mut speeds = rounds(&mut ours, sizes).await?;
    let cold = cold(&mut ours, sizes).await?;
    let replay = replay::measure(&ours.engine.log).await?;
    let bytes = ours.log_bytes()? / ours.position().0;
    let stages = stages::measure(&mut ours, sizes.stage_rows).await?;

    let mut cases = Cases::default();
    for (chunk, by) in CHUNKS.into_iter().zip(&speeds.by) {
        let name = format!("transactions by {chunk}");
        cases.compare(&name, &by.new, "cqrs-es with sqlite-es, 8 tasks", &speeds.plain);
        cases.compare(&name, &by.new, &format!("bare inserts of the same events by {chunk}"), &by.bare);
        cases.compare(&format!("repeats by {chunk}"), &by.repeats, &name, &by.new);
    }
    let warm = &speeds.by[0].new;
    cases.compare("transactions by 1000, cold accounts", &cold, "transactions by 1000", warm);
    cases.compare("replay: links, state, balances", &replay.checked, "reading the log", &replay.read);
    cases.compare("replay: state only", &replay.state, "reading the log", &replay.read);

    let latencies = CHUNKS.into_iter().zip(&mut speeds.by).map(|(chunk, by)| {
        let (p50, p99) = (quantile(&mut by.latencies, 50), quantile(&mut by.latencies, 99));
        json!({ "chunk": chunk, "p50_ms": milliseconds(p50), "p99_ms": milliseconds(p99) })
    });
    let report = json!({
        "machine": machine(),
        "cases": cases.0,
        "latency": { "in_flight": ours::IN_FLIGHT, "chunks": latencies.collect::<Vec<_>>() },
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

/// What took turns.
#[derive(Default)]
struct Speeds {
    /// One for each of [`CHUNKS`].
    by: [By; 2],
    /// Plain cqrs-es.
    plain: Samples,
}

#[derive(Default)]
struct By {
    new: Samples,
    repeats: Samples,
    bare: Samples,
    latencies: Vec<Duration>,
}

async fn rounds(ours: &mut Ours, sizes: &Sizes) -> anyhow::Result<Speeds> {
    let plain = Plain::open().await?;
    let mut raw = [Raw::open(CHUNKS[0])?, Raw::open(CHUNKS[1])?];
    let mut speeds = Speeds::default();
    for round in 0..=sizes.rounds {
        // The turn moves on, so that no case always follows the same one.
        for case in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
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
            let by = &mut speeds.by[case];
            by.new.push(rows.len(), taken.elapsed);
            by.repeats.push(rows.len(), repeated.elapsed);
            by.bare.push(events.len(), inserted);
            by.latencies.extend(taken.chunks);
            if case == 0 {
                let few = &events[..events.len().min(sizes.plain)];
                speeds.plain.push(few.len(), plain.execute(few).await?);
            }
        }
    }
    Ok(speeds)
}

/// With no account in memory.
async fn cold(ours: &mut Ours, sizes: &Sizes) -> anyhow::Result<Samples> {
    let mut cold = Samples::default();
    for _ in 0..sizes.cold_rounds {
        ours.reopen().await?;
        let rows = ours.rows(sizes.transactions);
        cold.push(rows.len(), ours.take(&rows, CHUNKS[0]).await?.elapsed);
    }
    Ok(cold)
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
