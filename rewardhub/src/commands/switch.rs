//! `rewardhub switch …`: halt draws, payouts, notifications or polling, and let them go on; on a
//! ledger that no one else writes or over HTTP.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use ledger_core::system::Switch;
use serde_json::{Value, json};

use crate::commands::operate::{Noun, Request, Said, Service};
use crate::commands::support::{Ended, Target};
use crate::opened::read_only_log;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    said: Said,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print as JSON what is halted, why and by whom. Works beside a running sandbox.
    Show,
    /// Halt it from now on; it is also halted after a restart.
    Halt(Setting),
    /// Let it go on, at once.
    Resume(Setting),
}

/// Which switch, and why.
#[derive(clap::Args)]
struct Setting {
    /// draws, payouts, notifications or polling.
    #[arg(value_parser = words(), hide_possible_values = true)]
    what: String,
    /// Why; kept for ever, so no personal details.
    #[arg(long)]
    reason: String,
}

fn words() -> PossibleValuesParser {
    PossibleValuesParser::new(Switch::ALL.map(Switch::as_str))
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { said, action } = arguments;
    let (action, Setting { what: id, reason }) = match action {
        Action::Show => {
            println!("{}", serde_json::to_string_pretty(&show(&said.target).await?)?);
            return Ok(Ended::Fine);
        }
        Action::Halt(setting) => ("halt", setting),
        Action::Resume(setting) => ("resume", setting),
    };
    let request = Request { noun: Noun::Switches, id, action, body: json!({ "reason": reason }) };
    said.operator("switch", "ops").await?.give_and_tell(&request).await?;
    Ok(Ended::Fine)
}

async fn show(target: &Target) -> anyhow::Result<Value> {
    if let Some(url) = &target.url {
        return Service::new(url, "ops")?.get(&["switches"]).await;
    }
    let log = read_only_log(&target.at.config()?).await?.events;
    Ok(api::switches::to_json(&api::switches::read(&*log).await?))
}
