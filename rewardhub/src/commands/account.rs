//! `rewardhub account …` enrols and closes customers, keeps them out of draws or lets them in
//! again, and reviews their held transactions. It works over HTTP, or on a ledger that no one else
//! writes.

mod list;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use ledger_core::ids::{AccountId, Source, TransactionId};
use ledger_core::log::Position;
use ledger_core::transaction::wire::parse_account_id;
use projections::PAGE_ROWS_MAX;
use projections::transactions;
use serde_json::{Value, json};

use crate::commands::operate::{Noun, Request, Said, Service};
use crate::commands::support::{Ended, Refused, Target};
use crate::opened::{existing_read_models, read_only_log};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    said: Said,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Enrol a customer, or a list of them. Needed before his first transaction where `enrolment`
    /// is `listed`.
    Open {
        /// The account: a pseudonym.
        #[arg(value_parser = account, required_unless_present = "file", conflicts_with = "file")]
        id: Option<AccountId>,
        /// One id per line instead; `-` for standard input. Safe to repeat.
        #[arg(long, value_name = "FILE|-")]
        file: Option<PathBuf>,
        /// Print the summary of a list as JSON.
        #[arg(long, requires = "file")]
        json: bool,
    },
    /// Take nothing new for good; what is owed is still paid.
    Close {
        /// The account.
        #[arg(value_parser = account)]
        id: AccountId,
        /// Why; kept for ever, so no personal details.
        #[arg(long)]
        reason: String,
    },
    /// Keep a customer out of all draws.
    Exclude {
        /// The account.
        #[arg(value_parser = account)]
        id: AccountId,
        /// Why, in one word.
        #[arg(long, value_parser = PossibleValuesParser::new(["staff", "self_excluded", "opted_out", "other"]))]
        kind: String,
        /// Why; kept for ever, so no personal details.
        #[arg(long)]
        reason: String,
    },
    /// Let an excluded customer into draws again.
    Reinstate {
        /// The account.
        #[arg(value_parser = account)]
        id: AccountId,
        /// Why; kept for ever, so no personal details.
        #[arg(long)]
        reason: String,
    },
    /// Let a held transaction be decided: the bank took it back and booked it again. One person
    /// proposes it, another agrees. Within the grace of its booking day, or it is declined as too
    /// late.
    Release(Review),
    /// Keep a held transaction from being decided, for good. One person proposes it, another
    /// agrees.
    Dismiss(Review),
    /// Print the transactions that wait for people, of all accounts, oldest first, one JSON
    /// object a line. Works beside a running sandbox.
    Held,
    /// Print how an account stands as JSON: enrolment, exclusion, counts, held transactions;
    /// nothing personal. Works beside a running sandbox.
    Show {
        /// The account.
        id: AccountId,
    },
}

/// Of which transaction, and why.
#[derive(clap::Args)]
struct Review {
    /// The account.
    #[arg(value_parser = account)]
    id: AccountId,
    /// Who fed the transaction.
    #[arg(long)]
    source: Source,
    /// Its id there.
    #[arg(long, value_name = "ID")]
    transaction: TransactionId,
    /// Why; kept for ever, so no personal details.
    #[arg(long)]
    reason: String,
}

impl Review {
    fn body(self) -> (AccountId, Value) {
        let Review { id, source, transaction, reason } = self;
        (id, json!({ "source": source, "transaction_id": transaction, "reason": reason }))
    }
}

fn account(text: &str) -> Result<AccountId, String> {
    parse_account_id(text).map_err(|error| error.message.into())
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { said, action } = arguments;
    let (id, action, body) = match action {
        Action::Open { id: Some(id), .. } => (id, "open", json!({})),
        Action::Open { id: None, file: Some(file), json } => return list::open(&said, &file, json).await,
        Action::Open { id: None, file: None, .. } => return Ok(Ended::Fine),
        Action::Close { id, reason } => (id, "close", json!({ "reason": reason })),
        Action::Exclude { id, kind, reason } => (id, "exclude", json!({ "kind": kind, "reason": reason })),
        Action::Reinstate { id, reason } => (id, "reinstate", json!({ "reason": reason })),
        Action::Release(review) => {
            let (id, body) = review.body();
            (id, "release", body)
        }
        Action::Dismiss(review) => {
            let (id, body) = review.body();
            (id, "dismiss", body)
        }
        Action::Held => return held(&said.target).await,
        Action::Show { id } => {
            println!("{}", serde_json::to_string_pretty(&shown(&said.target, &id).await?)?);
            return Ok(Ended::Fine);
        }
    };
    let request = Request { noun: Noun::Accounts, id: id.as_str().into(), action, body };
    let operator = match action {
        "open" => said.first_operator("account", "ops").await?,
        _ => said.operator("account", "ops").await?,
    };
    operator.give_and_tell(&request).await?;
    Ok(Ended::Fine)
}

/// Page by page: there may be many after a bank's mistake.
async fn held(target: &Target) -> anyhow::Result<Ended> {
    let service = target.url.as_ref().map(|url| Service::new(url, "ops or audit:read")).transpose()?;
    let read = match service {
        Some(_) => None,
        None => existing_read_models(&target.at.config()?).await?,
    };
    let (mut after, mut waiting) = (None::<Position>, 0);
    loop {
        let page = match (&service, &read) {
            (Some(service), _) => {
                let after = after.map(|after| ("after", after.to_string()));
                service.get_with(&["held"], after.as_slice()).await?
            }
            (None, Some(read)) => {
                let page = move |conn: &_| transactions::held(conn, after, PAGE_ROWS_MAX);
                api::accounts::held_to_json(&read.read(page).await?)
            }
            (None, None) => return Err(Refused("nothing has filled the read models yet".into()).into()),
        };
        for line in page["held"].as_array().context("the service's answer has no transactions")? {
            println!("{line}");
            waiting += 1;
        }
        let Some(next) = page["next"].as_str() else { break };
        after = Some(next.parse().map_err(|_| anyhow!("{next} is no position"))?);
    }
    if waiting == 0 {
        eprintln!("nothing waits for a person");
    }
    Ok(Ended::Fine)
}

async fn shown(target: &Target, id: &AccountId) -> anyhow::Result<Value> {
    if let Some(url) = &target.url {
        return Service::new(url, "ops or audit:read")?.get(&["accounts", id.as_str()]).await;
    }
    let log = read_only_log(&target.at.config()?).await?.events;
    let shown = api::accounts::show(&*log, id).await?;
    Ok(shown.ok_or_else(|| Refused(format!("there is no account {id}")))?)
}
