//! `./scripts/bench`: how fast the ledger is beside the plain crates and beside the database alone,
//! in one run.
//!
//! Every case is durable, with accounts opened beforehand and, but for the part `beside`, no steps
//! or projections running. The cases take turns round by round, since machines drift; shown are
//! medians of the rounds and the median of their ratios. Temporary files are where `TMPDIR` says.

mod bank;
mod bare_ledger;
mod brief_day;
mod brief_load;
mod cala;
mod figures;
mod full_node;
mod growth;
mod ledger_load;
mod log_location;
mod long_accounts;
mod machine;
mod memory;
mod open_loop;
mod plain;
mod postgres;
mod raw;
mod rebuilt;
mod replay;
mod rules;
mod server;
mod side_effects;
mod speeds;
mod sqlite;
mod stages;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use ledger_core::log::{EventLog, Position, StoredEvent};

/// Measure speed beside the plain crates and the raw limit, in one run.
#[derive(clap::Parser)]
#[command(name = "bench")]
struct Arguments {
    /// End within a minute.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Measure this part alone, of those on PostgreSQL; may be given several times.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// The log to measure.
    #[arg(long, value_enum, default_value_t = Log::Sqlite)]
    log: Log,
    /// A PostgreSQL where databases may be made; without it a private one is started from the
    /// installed binaries.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The program of `bench/comparators/cala`, to be measured too.
    #[arg(long, value_name = "PATH")]
    cala: Option<PathBuf>,
    /// Transactions in one log, at 10^5 and each power of ten up to which throughput and memory are
    /// shown; 0 for none [default: 1000000, with --quick 0].
    #[arg(long, value_name = "N")]
    growth: Option<usize>,
    /// Requests of one line in a second, on a schedule; may be given several times.
    #[arg(long, value_name = "N", default_values_t = [1_000])]
    rate: Vec<u32>,
}

/// Logs that can be measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Log {
    /// The embedded log.
    Sqlite,
    /// A database of its own.
    Postgres,
}

/// What can be measured by itself on PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Throughput beside postgres-es and bare inserts, with histories, repeats and a cold cache.
    Speeds,
    /// History read, replayed and checked.
    Replay,
    /// Single requests on a schedule.
    Latency,
    /// The brief's load and its spike; without this flag not with --quick.
    Brief,
    /// The brief's day from a file.
    Day,
    /// Where the time of one transaction goes.
    Stages,
    /// With steps and projections running on the same database, and what that takes on the disk.
    Beside,
    /// The read models made anew.
    Rebuild,
    /// Accounts with very long histories.
    Long,
    /// One log that grows.
    Growth,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        if self.only.is_empty() { part != Part::Brief || !self.quick } else { self.only.contains(&part) }
    }
}

/// Sizes of a request, and of the raw limit's batches.
const CHUNKS: [usize; 2] = [1_000, 5_000];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _last_words = rewardhub::telemetry::logs("warn")?;
    let arguments = Arguments::parse();
    if !arguments.only.is_empty() && arguments.log != Log::Postgres {
        Arguments::command()
            .error(ErrorKind::ArgumentConflict, "--only names parts of --log postgres")
            .exit();
    }
    let report = match arguments.log {
        Log::Sqlite => sqlite::measure(&arguments).await?,
        Log::Postgres => postgres::run(&arguments).await?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        figures::print(&report);
    }
    Ok(())
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
