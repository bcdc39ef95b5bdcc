//! `rewardhub parked …`: what steps have given up, and what a person decides about it, on a ledger
//! that no one else writes or over HTTP.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use ledger_core::steps::parked::{PAGE_MAX, ParkedItems};
use serde_json::{Value, json};

use crate::commands::operate::{Noun, Request, Said, Service, of_parked};
use crate::commands::support::{Ended, Target};
use crate::opened::{existing_step_store, read_only_log};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    said: Said,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print them, one JSON object a line, in the order of their ids. Works beside a running
    /// sandbox.
    List,
    /// Print one as JSON, also while it waits to be tried again. Works beside a running sandbox.
    Show {
        /// The item.
        id: String,
    },
    /// Let its step try again. A payment whose outcome is unknown is only asked about.
    Retry(Decision),
    /// Let nobody try again. A reward that was to be paid is reversed: one person proposes it,
    /// another agrees.
    Drop(Decision),
    /// Count an attempt to pay as refused: a new one follows. One person proposes it, another
    /// agrees.
    Fail(Decision),
}

/// About which item, and why.
#[derive(clap::Args)]
struct Decision {
    /// The item.
    id: String,
    /// Why; kept for ever, so no personal details.
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { said, action } = arguments;
    let (action, Decision { id, reason }) = match action {
        Action::List => return list(&said.target).await,
        Action::Show { id } => {
            println!("{}", serde_json::to_string_pretty(&show(&said.target, &id).await?)?);
            return Ok(Ended::Fine);
        }
        Action::Retry(decision) => ("retry", decision),
        Action::Drop(decision) => ("drop", decision),
        Action::Fail(decision) => ("fail", decision),
    };
    let request = Request { noun: Noun::Parked, id, action, body: json!({ "reason": reason }) };
    said.operator("parked", "ops").await?.give_and_tell(&request).await?;
    Ok(Ended::Fine)
}

/// Page by page: there may be many after a day without the rail.
async fn list(target: &Target) -> anyhow::Result<Ended> {
    let service = target.url.as_ref().map(|url| Service::new(url, "ops")).transpose()?;
    let items = if service.is_some() { None } else { Some(items(target).await?) };
    let mut after = String::new();
    loop {
        let page = match (&service, &items) {
            (Some(service), _) => {
                let query = [("after", after.clone()), ("first", PAGE_MAX.to_string())];
                service.get_with(&["parked"], &query).await?
            }
            (None, Some(items)) => api::parked::page_to_json(&items.list(&after, PAGE_MAX).await?),
            (None, None) => return Ok(Ended::Fine),
        };
        for item in page["parked"].as_array().context("the service's answer has no items")? {
            println!("{item}");
        }
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(Ended::Fine),
        }
    }
}

async fn show(target: &Target, id: &str) -> anyhow::Result<Value> {
    if let Some(url) = &target.url {
        return Service::new(url, "ops")?.get(&["parked", id]).await;
    }
    let row = items(target).await?.show(id).await;
    Ok(api::parked::item_to_json(&row.map_err(of_parked)?))
}

async fn items(target: &Target) -> anyhow::Result<ParkedItems> {
    let config = target.at.config()?;
    let log = read_only_log(&config).await?.events;
    Ok(ParkedItems::new(Arc::new(existing_step_store(&config)?), log))
}
