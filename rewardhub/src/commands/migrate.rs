//! `rewardhub migrate`: the schema of a PostgreSQL database, laid out or brought up to date. Safe
//! to repeat.

use std::time::Duration;

use anyhow::Context as _;
use stores::postgres::{self, Database, DatabaseOptions};

use crate::commands::support::{At, Ended};
use crate::config::LogPlace;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// The role a running service logs in as; is granted what it needs and nothing else.
    #[arg(long, value_name = "ROLE")]
    runtime_role: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let config = arguments.at.config()?;
    let LogPlace::Postgres(address) = config.log else {
        println!("nothing to do: the files of a data folder migrate themselves when they are opened");
        return Ok(Ended::Fine);
    };
    // A migration may take as long as it takes; it still waits for no lock longer than others.
    let options = DatabaseOptions { statement_timeout: Duration::ZERO, ..config.database };
    let database = Database::new(*address, &options);
    let place = database.address().to_string();
    let mut client = database.connect().await.with_context(|| format!("cannot connect to {place}"))?;
    let applied = postgres::migrate(&mut client, arguments.runtime_role.as_deref()).await?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("nothing to do: {place} is up to date");
    }
    if let Some(role) = arguments.runtime_role {
        println!("granted to {role} what a running service needs");
    }
    Ok(Ended::Fine)
}
