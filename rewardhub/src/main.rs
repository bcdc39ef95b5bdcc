//! `rewardhub`: see `rewardhub help`. Exit codes: 0 fine, 1 a check failed, rows were rejected or a
//! command was refused, 2 wrong usage, 3 a fault.

use std::process::ExitCode;

use clap::Parser;
use rewardhub::commands::{Command, Ended, Refused, Usage};
use rewardhub::config::ConfigError;

/// An event-sourced reward ledger: bank transactions in, surprise rewards out, every fact auditable.
#[derive(Parser)]
#[command(name = "rewardhub", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command.run() {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("rewardhub: {error:#}");
            ExitCode::from(match () {
                () if error.is::<Refused>() => 1,
                () if error.is::<ConfigError>() || error.is::<Usage>() => 2,
                () => 3,
            })
        }
    }
}
