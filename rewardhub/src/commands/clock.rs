//! `rewardhub clock`: what a running service thinks of its clock, and a person's word that it is
//! right.

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use crate::commands::operate::Service;
use crate::commands::support::{Ended, Usage};

#[derive(clap::Args)]
pub struct Arguments {
    /// The running service, such as <http://127.0.0.1:8080>; who accepts its clock is the `sub` of
    /// the token in `REWARDHUB_TOKEN`.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print as JSON what the clock shows, what it should show, and whether the service waits for
    /// it.
    Show,
    /// Say that a clock which has leapt ahead is right. It cannot be taken back.
    Accept {
        /// Why; kept for ever, so no personal details.
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn run(Arguments { url, action }: Arguments) -> anyhow::Result<Ended> {
    let Some(url) = url else {
        let why = "only a running service waits for its clock: name it with --url (a start takes the clock as it is)";
        return Err(Usage(why.into()).into());
    };
    let service = Service::new(&url, "ops")?;
    match action {
        Action::Show => {
            println!("{}", serde_json::to_string_pretty(&service.get(&["clock"]).await?)?);
        }
        Action::Accept { reason } => {
            let answer = service.post(&["clock", "accept"], &json!({ "reason": reason })).await?;
            match answer["result"].as_str().context("the service's answer has no result")? {
                "done" => println!("clock: accepted"),
                _ => println!("clock: in order, nothing waits for it"),
            }
        }
    }
    Ok(Ended::Fine)
}
