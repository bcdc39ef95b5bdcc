//! The embedded log beside sqlite-es and bare SQLite, all with `synchronous=FULL`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::figures::{Cases, Samples, closed_loop};
use crate::ledger_load::LedgerLoad;
use crate::log_location::LogLocation;
use crate::machine::machine;
use crate::plain::Plain;
use crate::raw::RawSqlite;
use crate::{Arguments, CHUNKS, memory, read, replay, stages};

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
const REPLAYS: usize = 3;

pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Value> {
    let sizes = if arguments.quick { &QUICK } else { &FULL };
    // First, before other cases leave the allocator with pages of their own.
    let memory = memory::measure(sizes.memory_accounts).await?;
    let mut load = LedgerLoad::open(&LogLocation::Sqlite, sizes.accounts).await?;
    let mut speeds = rounds(&mut load, sizes).await?;
    let (mut load, cold) = cold(load, sizes).await?;
    let replay = replay::measure(&load.engine.log, REPLAYS).await?;
    let bytes = load.log_bytes().await?.table / load.position().0;
    let stages = stages::measure(&LogLocation::Sqlite, &mut load, sizes.stage_rows).await?;
    load.close().await?;

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

    let latencies = CHUNKS.into_iter().zip(speeds.by.iter_mut().map(|by| &mut by.latencies));
    Ok(json!({
        "machine": machine(),
        "cases": cases.0,
        "latency": closed_loop(latencies),
        "stages_us_per_transaction": stages,
        "memory": memory,
        "log_bytes_per_event": bytes,
    }))
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

async fn rounds(load: &mut LedgerLoad, sizes: &Sizes) -> anyhow::Result<Speeds> {
    let mut plain = Plain::sqlite().await?;
    let mut raw = [RawSqlite::open(CHUNKS[0])?, RawSqlite::open(CHUNKS[1])?];
    let mut speeds = Speeds::default();
    for round in 0..=sizes.rounds {
        // The turn moves on, so that no case always follows the same one.
        for case in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let rows = load.rows(sizes.transactions)?;
            let before = load.position();
            let taken = load.take(&rows, CHUNKS[case]).await?;
            let repeated = load.take(&rows, CHUNKS[case]).await?;
            let events = read(&*load.engine.log, before).await?;
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
async fn cold(mut load: LedgerLoad, sizes: &Sizes) -> anyhow::Result<(LedgerLoad, Samples)> {
    let mut cold = Samples::default();
    for _ in 0..sizes.cold_rounds {
        load = load.reopen().await?;
        let rows = load.rows(sizes.transactions)?;
        cold.push(rows.len(), load.take(&rows, CHUNKS[0]).await?.elapsed);
    }
    Ok((load, cold))
}
