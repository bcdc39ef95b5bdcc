//! What commands have in common: which ledger they are about, how they end, and how they are told
//! to stop.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// Where the data is.
#[derive(clap::Args)]
pub(super) struct Data {
    /// The data folder.
    #[arg(
        long = "data",
        global = true,
        value_name = "DIR",
        default_value = "./data",
        env = "REWARDHUB_DATA"
    )]
    pub(super) path: PathBuf,
}

/// Which ledger a command is about.
#[derive(Default, clap::Args)]
pub(super) struct At {
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
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let At { data, log, config } = self;
        Config::load(&config::Arguments { file: config.clone(), data: data.clone(), log: log.clone() })
    }

    /// The same for a command that does not lay out a ledger: a misspelt folder is not taken for a
    /// new one.
    pub(super) fn of_existing(&self) -> anyhow::Result<Config> {
        let config = self.config()?;
        if matches!(config.log, LogPlace::Embedded) {
            Folder::existing(&config.data).map_err(|error| {
                Refused(format!("{error}; `campaign create`, `account open` and `sandbox` lay one out"))
            })?;
        }
        Ok(config)
    }
}

/// Where a command does its work: on a ledger that no one else writes, or through a service.
#[derive(Default, clap::Args)]
pub(super) struct Target {
    #[command(flatten)]
    pub(super) at: At,
    /// A running service, such as <http://127.0.0.1:8080>; who asks it is the `sub` of the token in
    /// `REWARDHUB_TOKEN`.
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["data", "log", "config"])]
    pub(super) url: Option<String>,
}

/// How long what still runs when a command has ended may go on.
const LEFTOVERS: Duration = Duration::from_secs(1);

pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(future);
    runtime.shutdown_timeout(LEFTOVERS);
    ended
}

/// How far something long has come: one line on stderr, written over some times a second, and only
/// where that is a terminal.
pub(super) struct Progress {
    unit: &'static str,
    began: Instant,
    tick: AtomicU64,
}

impl Progress {
    const TICK_MS: u64 = 200;

    pub(super) fn new(unit: &'static str) -> Progress {
        Progress { unit, began: Instant::now(), tick: AtomicU64::new(0) }
    }

    pub(super) fn show(&self, done: u64, total: Option<u64>) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let tick = elapsed / Self::TICK_MS;
        if self.tick.swap(tick, Ordering::Relaxed) == tick || !std::io::stderr().is_terminal() {
            return;
        }
        let unit = self.unit;
        let line = match total {
            Some(total) if done > 0 => {
                let left = elapsed / 1_000 * total.saturating_sub(done) / done;
                format!("{done} of {total} {unit}, {left} s left")
            }
            _ => format!("{done} {unit}"),
        };
        let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.tick.load(Ordering::Relaxed) > 0 && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

/// One line for whoever started a service. Nobody reading it is no reason to stop.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Does it until it is interrupted, and then not to its end.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let interrupted = interrupted();
    tokio::select! {
        done = work => done,
        () = interrupted => Err(Refused("stopped before it was done".into()).into()),
    }
}

/// Ctrl-C, or the signal with which service managers stop a process. Either is caught from the call
/// on, whether or not anybody waits yet.
pub(super) fn interrupted() -> impl Future<Output = ()> {
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
