//! One file per command.

mod audit;
#[cfg(feature = "bench")]
mod bench;
mod campaign;
mod ingest;
mod rebuild;
mod sandbox;
mod token;

use std::path::PathBuf;

use clap::Subcommand;

/// How a command ended, when it was not by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is well: exit code 0.
    Fine,
    /// A check failed or rows were rejected: exit code 1.
    Failed,
}

/// What `rewardhub` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Everything on one machine with nothing to install: ledger, simulated bank, payout rail, API.
    Sandbox(sandbox::Arguments),
    /// Take transactions in from NDJSON.
    Ingest(ingest::Arguments),
    /// Create, approve, start, pause, resume, fund, end or show a campaign.
    Campaign(campaign::Arguments),
    /// Check the ledger from its log alone. Exit code 0 only if all holds.
    Audit(audit::Arguments),
    /// Build a read model anew from the log.
    Rebuild(rebuild::Arguments),
    /// Print a token of the sandbox's own issuer.
    Token(token::Arguments),
    /// Measure speed beside the plain crates and the raw limit, in one run.
    #[cfg(feature = "bench")]
    Bench(bench::Arguments),
}

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<Ended> {
        crate::telemetry::logs()?;
        match self {
            Command::Token(arguments) => token::run(&arguments),
            Command::Sandbox(arguments) => block_on(sandbox::run(arguments)),
            Command::Ingest(arguments) => block_on(ingest::run(arguments)),
            Command::Campaign(arguments) => block_on(campaign::run(arguments)),
            Command::Audit(arguments) => block_on(audit::run(arguments)),
            Command::Rebuild(arguments) => block_on(rebuild::run(arguments)),
            #[cfg(feature = "bench")]
            Command::Bench(arguments) => block_on(bench::run(arguments)),
        }
    }
}

/// Where the data is.
#[derive(clap::Args)]
struct Data {
    /// The data folder.
    #[arg(
        long = "data",
        global = true,
        value_name = "DIR",
        default_value = "./data",
        env = "REWARDHUB_DATA"
    )]
    path: PathBuf,
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}
