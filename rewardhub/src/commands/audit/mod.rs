//! `rewardhub audit …`: what the log says, checked from the log alone. Works beside a running
//! sandbox, and reads only: what is written is that seeds are opened.

mod draws;
mod export;
mod fairness;
mod keys;
mod replay;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use ledger_core::ids::CampaignId;
use ledger_core::log::LogError;
use serde::Serialize;
use serde_json::json;
use stores::files;

use crate::commands::operate::check_by;
use crate::commands::support::{At, Ended, Usage};
use crate::config::{Config, LogPlace};
use crate::folder::Folder;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    check: Check,
}

/// Whether sealed seeds are opened, and who answers for it.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("answers").args(["by", "url"])))]
struct Opening {
    /// Open the seeds of epochs that draw and are not revealed yet; needs the keys. Who sees them
    /// can predict draws, so it is recorded in the ledger before any is opened.
    #[arg(long, requires_all = ["reason", "answers"])]
    open_seeds: bool,
    /// Why they are opened.
    #[arg(long, value_name = "TEXT", requires = "open_seeds")]
    reason: Option<String>,
    /// Who opens them, where nobody serves the ledger.
    #[arg(long, value_name = "NAME", requires = "open_seeds")]
    by: Option<String>,
    /// The service that has the ledger, which records it; who opens them is the `sub` of the token
    /// in `REWARDHUB_TOKEN`, which needs `ops`.
    #[arg(long, value_name = "URL", requires = "open_seeds")]
    url: Option<String>,
}

impl Opening {
    /// Refuses a name that no event may have, whether or not there is anything to open.
    fn check(&self) -> Result<(), Usage> {
        self.by.as_deref().map_or(Ok(()), check_by)
    }
}

#[derive(Subcommand)]
enum Check {
    /// Recompute state, balances and hashes from the log and compare them with the read models.
    Replay,
    /// Derive every draw again: terms in force, seeds, numbers, tiers, masks, prizes, budgets; each
    /// entry drawn once. Fails on a contradiction; `complete` says whether every number was
    /// derived.
    Draws {
        #[command(flatten)]
        seeds: Opening,
        /// Open sealed details to check share prizes too; needs the keys.
        #[arg(long)]
        disclose: bool,
    },
    /// Compare what was won with the odds: intervals, uniformity, evidence day by day. Fails on an
    /// alarm or a contradiction; `complete` says whether every number was derived.
    Fairness {
        /// Also write a page to read and sign.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Only this campaign.
        #[arg(long, value_name = "ID")]
        campaign: Option<CampaignId>,
        #[command(flatten)]
        seeds: Opening,
    },
    /// Write the audit bundle, with which others check all of it without our code.
    Export {
        /// A folder that does not exist yet.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Add what the rules look at of each transaction (no names, no bank accounts); needs the
        /// keys.
        #[arg(long)]
        disclose: bool,
        #[command(flatten)]
        seeds: Opening,
    },
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    if let Check::Draws { seeds, .. } | Check::Fairness { seeds, .. } | Check::Export { seeds, .. } =
        &arguments.check
    {
        seeds.check()?;
    }
    let config = arguments.at.config()?;
    let still = Still::of(&config);
    let writes = arguments.check.writes();
    if writes {
        files::expect_writers();
    }
    let ended = check(arguments.check, &config).await;
    if !writes && still.is_some() && still != Still::of(&config) {
        anyhow::bail!("the ledger was written to while it was read as one at rest: run it again");
    }
    ended
}

/// A folder's log that nobody writes: it is read without a trace beside it, which counts only if it
/// stayed so.
#[derive(PartialEq)]
struct Still(u64, Option<SystemTime>);

impl Still {
    fn of(config: &Config) -> Option<Still> {
        let (LogPlace::Embedded, Ok(folder)) = (&config.log, Folder::existing(&config.data)) else {
            return None;
        };
        let found = std::fs::metadata(folder.log()).ok()?;
        files::is_still(&folder.log()).then(|| Still(found.len(), found.modified().ok()))
    }
}

impl Check {
    /// Whether the ledger is written to on the way.
    fn writes(&self) -> bool {
        match self {
            Check::Replay => false,
            Check::Draws { seeds, .. } | Check::Fairness { seeds, .. } | Check::Export { seeds, .. } => {
                seeds.open_seeds
            }
        }
    }
}

async fn check(check: Check, config: &Config) -> anyhow::Result<Ended> {
    match check {
        Check::Replay => replay::run(config).await,
        Check::Draws { seeds, disclose } => draws::run(config, &seeds, disclose).await,
        Check::Fairness { html, campaign, seeds } => {
            fairness::run(config, html.as_deref(), campaign.as_ref(), &seeds).await
        }
        Check::Export { out, disclose, seeds } => export::run(config, &out, disclose, &seeds).await,
    }
}

/// Prints a report, and says by the exit code whether nothing contradicts it.
fn report(report: &impl Serialize, holds: bool) -> anyhow::Result<Ended> {
    // Reports are long: whoever reads only their beginning closes the pipe, which is no bug of
    // ours.
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(report)?)?;
    Ok(if holds { Ended::Fine } else { Ended::Failed })
}

/// A log that cannot be read to its end is no fault of ours but what an audit is to find.
fn unreadable(error: LogError) -> anyhow::Result<Ended> {
    match error {
        LogError::Damaged(_) => report(&json!({ "holds": false, "unreadable": error.to_string() }), false),
        error => Err(error.into()),
    }
}
