//! `rewardhub`: see `rewardhub help`. Exit codes: 0 fine, 1 a check failed, rows were rejected or a
//! command was refused, 2 wrong usage, 3 a fault.

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use rewardhub::commands::{Command, Ended, Refused, Usage, plain};
use rewardhub::config::ConfigError;

/// An event-sourced reward ledger: bank transactions in, surprise rewards out, every fact
/// auditable.
#[derive(Parser)]
#[command(name = "rewardhub", version = version(), about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Zones change without a release of ours being told: which table this build has is part of what it
/// is.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        format!("{} (time zones {})", env!("CARGO_PKG_VERSION"), ledger_core::zone::version())
    });
    &VERSION
}

/// What a shell says of a program that wrote to nobody: 128 and SIGPIPE.
const NOBODY_READS: u8 = 141;

fn main() -> ExitCode {
    end_with_the_reader();
    let matches = plain(Arguments::command()).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match arguments.command.run() {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::from(NOBODY_READS),
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

/// Not one that a service closed: that is a cause of something else.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// `rewardhub … | head`: a reader who has seen enough is no panic.
fn end_with_the_reader() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_closed = |said: &str| said.starts_with("failed printing to stdout: Broken pipe");
        if panic.payload_as_str().is_some_and(is_closed) {
            std::process::exit(NOBODY_READS.into());
        }
        tell(panic);
    }));
}
