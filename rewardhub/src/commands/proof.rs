//! `rewardhub proof`: what a customer needs to check his draw without us, as JSON or as a page that
//! recomputes it in the browser. Works beside a running ledger.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use ledger_core::ids::{Source, TransactionId};
use serde_json::Value;

use crate::commands::support::{At, Ended};
use crate::opened::existing_read_models;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// Who fed the transaction.
    #[arg(required_unless_present = "page", requires = "transaction_id")]
    source: Option<Source>,
    /// Its id within its source.
    transaction_id: Option<TransactionId>,
    /// Also write the page with the proof in it, for the customer's browser.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the page alone; a proof can be pasted into it.
    #[arg(long, conflicts_with_all = ["source", "html"])]
    page: bool,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let (Some(source), Some(transaction_id)) = (arguments.source, arguments.transaction_id) else {
        print!("{}", api::proof::page(None));
        return Ok(Ended::Fine);
    };
    let config = arguments.at.config()?;
    let Some(read) = existing_read_models(&config).await? else {
        bail!("there are no read models yet: start `sandbox` or `serve` on this ledger first");
    };
    let Some(proofs) = api::proof::proofs(&read, source, transaction_id).await? else {
        eprintln!("there is no such transaction");
        return Ok(Ended::Failed);
    };
    let proofs = Value::Array(proofs);
    println!("{proofs:#}");
    if let Some(path) = arguments.html {
        std::fs::write(&path, api::proof::page(Some(&proofs)))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Ended::Fine)
}
