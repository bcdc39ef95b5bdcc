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
mod support;
mod switch;
mod token;

use clap::Subcommand;
use clap::builder::{Resettable, StyledStr};

pub use ingest::into_ledger;
use support::block_on;
pub use support::{Ended, Refused, Usage};

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
    /// Draft, revise, approve, schedule, start, pause, fund or end campaigns; list, check, diff or
    /// show them; halt a day.
    Campaign(campaign::Arguments),
    /// Open, close, exclude, reinstate or show customers' accounts; release or dismiss what is held.
    Account(account::Arguments),
    /// Show or accept the clock of a running service.
    Clock(clock::Arguments),
    /// Show what steps have given up, and decide what becomes of it.
    Parked(parked::Arguments),
    /// Halt draws, payouts, notifications or polling, and let them go on.
    Switch(switch::Arguments),
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

/// Help as a terminal shows it: our comments are written for the reference, which is Markdown.
pub fn plain(command: clap::Command) -> clap::Command {
    fn said(text: Option<&StyledStr>) -> Resettable<StyledStr> {
        let plain = text.map(|text| text.to_string().replace(['`', '<', '>'], "").into());
        plain.map_or(Resettable::Reset, Resettable::Value)
    }
    let (about, long) = (said(command.get_about()), said(command.get_long_about()));
    let command = command.mut_args(|arg| {
        let (help, long) = (said(arg.get_help()), said(arg.get_long_help()));
        arg.help(help).long_help(long)
    });
    command.about(about).long_about(long).mut_subcommands(plain)
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
            Command::Switch(arguments) => block_on(switch::run(arguments)),
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
