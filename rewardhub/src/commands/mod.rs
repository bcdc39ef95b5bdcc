//! One file per command.

mod account;
mod audit;
mod backtest;
mod backup;
mod campaign;
mod clock;
mod explain;
mod ingest;
mod migrate;
mod operate;
mod parked;
mod proof;
mod rebuild;
mod restore;
mod sandbox;
mod serve;
mod token;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

pub use ingest::into_ledger;

use crate::config::{self, Config, ConfigError, LogPlace};
use crate::folder::Folder;
use crate::secret::Secret;

/// How a command ended, when it was not by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is well: exit code 0.
    Fine,
    /// A check failed or rows were rejected: exit code 1.
    Failed,
}

/// Asked for something that is refused, and nothing has changed: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub(crate) String);

/// Asked for in a way that cannot be meant: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub(crate) String);

/// What `rewardhub` can do.
#[derive(Subcommand)]
pub enum Command {
    /// Everything on one machine with nothing to install: ledger, simulated bank, payout rail, API.
    Sandbox(sandbox::Arguments),
    /// The service, on a data folder or a PostgreSQL database; stands by while another process
    /// serves it.
    Serve(serve::Arguments),
    /// Lay out the schema of a PostgreSQL database, or bring it up to date.
    Migrate(migrate::Arguments),
    /// Take transactions in from NDJSON.
    Ingest(ingest::Arguments),
    /// Create, approve, start, pause, resume, fund, end or show a campaign.
    Campaign(campaign::Arguments),
    /// Open, close, exclude, reinstate or show customers' accounts.
    Account(account::Arguments),
    /// Show or accept the clock of a running service.
    Clock(clock::Arguments),
    /// Show what steps have given up, and decide what becomes of it.
    Parked(parked::Arguments),
    /// What a campaign would have cost over past transactions, under many seeds.
    Backtest(backtest::Arguments),
    /// Check the ledger from its log alone. Exit code 0 only if all holds.
    Audit(audit::Arguments),
    /// Say why a transaction won or did not, for the customer and for staff.
    Explain(explain::Arguments),
    /// Print the proof of a transaction's draws, or write the page that recomputes it in a browser.
    Proof(proof::Arguments),
    /// Build a read model anew from the log.
    Rebuild(rebuild::Arguments),
    /// Copy an embedded ledger, also a running one, to a folder with its keys apart.
    Backup(backup::Arguments),
    /// Lay a backup out in an empty folder, or only look at it; declare that a database was
    /// restored.
    Restore(restore::Arguments),
    /// Print a token of the sandbox's own issuer.
    Token(token::Arguments),
}

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<Ended> {
        let _last_words =
            crate::telemetry::logs(if matches!(self, Command::Serve(_)) { "info" } else { "warn" })?;
        match self {
            Command::Token(arguments) => token::run(&arguments),
            Command::Sandbox(arguments) => block_on(sandbox::run(arguments)),
            Command::Serve(arguments) => block_on(serve::run(arguments)),
            Command::Migrate(arguments) => block_on(migrate::run(arguments)),
            Command::Ingest(arguments) => block_on(ingest::run(arguments)),
            Command::Campaign(arguments) => block_on(campaign::run(arguments)),
            Command::Account(arguments) => block_on(account::run(arguments)),
            Command::Clock(arguments) => block_on(clock::run(arguments)),
            Command::Parked(arguments) => block_on(parked::run(arguments)),
            Command::Backtest(arguments) => block_on(backtest::run(arguments)),
            Command::Audit(arguments) => block_on(audit::run(arguments)),
            Command::Explain(arguments) => block_on(explain::run(arguments)),
            Command::Proof(arguments) => block_on(proof::run(arguments)),
            Command::Rebuild(arguments) => block_on(rebuild::run(arguments)),
            Command::Backup(arguments) => block_on(backup::run(arguments)),
            Command::Restore(arguments) => block_on(restore::run(arguments)),
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

/// Which ledger a command is about.
#[derive(Default, clap::Args)]
struct At {
    /// The data folder [env: `REWARDHUB_DATA`] [default: ./data].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// `sqlite:FOLDER` or <postgres://…>; a password belongs into the environment instead [env:
    /// `REWARDHUB_LOG`].
    #[arg(long, global = true, value_name = "URL")]
    log: Option<Secret>,
    /// A configuration file; rewardhub.example.yaml shows all settings [env: `REWARDHUB_CONFIG`].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl At {
    fn config(&self) -> Result<Config, ConfigError> {
        let At { data, log, config } = self;
        Config::load(&config::Arguments { file: config.clone(), data: data.clone(), log: log.clone() })
    }

    /// The same for a command that does not lay out a ledger: a misspelt folder is not taken for a
    /// new one.
    fn of_existing(&self) -> anyhow::Result<Config> {
        let config = self.config()?;
        if matches!(config.log, LogPlace::Embedded) {
            Folder::existing(&config.data).map_err(|error| {
                Refused(format!("{error}; `campaign create`, `account open` and `sandbox` lay one out"))
            })?;
        }
        Ok(config)
    }
}

/// How long what still runs when a command has ended may go on.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(future);
    runtime.shutdown_timeout(LEFTOVERS);
    ended
}

/// One line for whoever started a service. Nobody reading it is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Does it until it is interrupted, and then not to its end.
async fn unless_interrupted<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let interrupted = interrupted();
    tokio::select! {
        done = work => done,
        () = interrupted => Err(Refused("stopped before it was done".into()).into()),
    }
}

/// Ctrl-C, or the signal with which service managers stop a process. Either is caught from the call
/// on, whether or not anybody waits yet.
fn interrupted() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let asked = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)))
    };
    async move {
        #[cfg(unix)]
        if let Ok((mut interrupt, mut terminate)) = asked {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
