//! Many accounts at once: one id per line. A bad line is told by its number and takes no neighbour
//! along.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use ledger_core::ids::AccountId;
use ledger_core::transaction::wire::parse_account_id;
use serde::Serialize;
use serde_json::json;

use crate::commands::ingest::lines::Lines;
use crate::commands::operate::{Busy, Noun, Operator, Request, Said};
use crate::commands::support::{Ended, Refused};

/// Commands under way at once: the writer decides a batch of them in one append.
const UNDER_WAY: usize = 1_000;
/// The same over HTTP, where each is a request.
const REQUESTS_UNDER_WAY: usize = 64;
/// How long to wait before saying it again, and how often.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 120;

/// What came of a list.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    read: u64,
    opened: u64,
    unchanged: u64,
    rejected: u64,
    seconds: f64,
}

/// Opens every account of a file.
pub(super) async fn open(said: &Said, file: &Path, as_json: bool) -> anyhow::Result<Ended> {
    let lines = Lines::open(file)?;
    let operator = said.first_operator("account", "ops").await?;
    let began = Instant::now();
    let summary = open_all(&operator, lines).await;
    operator.stop().await?;
    let summary = Summary { seconds: began.elapsed().as_secs_f64(), ..summary? };
    if as_json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        let Summary { read, opened, unchanged, rejected, seconds } = &summary;
        println!(
            "{read} read: {opened} opened, {unchanged} open already, {rejected} rejected in {seconds:.1} s"
        );
    }
    Ok(if summary.rejected == 0 { Ended::Fine } else { Ended::Failed })
}

async fn open_all(operator: &Operator, mut lines: Lines) -> anyhow::Result<Summary> {
    let under_way = match operator {
        Operator::Ledger { .. } => UNDER_WAY,
        Operator::Service(_) => REQUESTS_UNDER_WAY,
    };
    let mut summary = Summary::default();
    while let Some(chunk) = lines.next_chunk()? {
        let ids = chunk.rows.iter().filter_map(|row| parse(row).ok());
        operator.make_keys(ids.collect()).await?;
        let rows = chunk.lines.iter().zip(chunk.rows.iter());
        let mut answers =
            futures::stream::iter(rows.map(async |(line, row)| (*line, open_one(operator, row).await)))
                .buffered(under_way);
        while let Some((line, answer)) = answers.next().await {
            summary.read += 1;
            match answer {
                Ok(true) => summary.opened += 1,
                Ok(false) => summary.unchanged += 1,
                Err(error) if error.is::<Refused>() => {
                    summary.rejected += 1;
                    eprintln!("line {line}: {error:#}");
                }
                Err(error) => {
                    return Err(error.context(format!("from line {line} on nothing is known; run it again")));
                }
            }
        }
    }
    Ok(summary)
}

/// Whether it was not open before.
async fn open_one(operator: &Operator, row: &[u8]) -> anyhow::Result<bool> {
    // Here and not by a service: what may be a name or a card number gets into no address.
    let id = parse(row).map_err(Refused)?;
    let request = Request { noun: Noun::Accounts, id: id.as_str().into(), action: "open", body: json!({}) };
    let mut tried = 0;
    loop {
        match operator.give(&request).await {
            Err(error) if error.is::<Busy>() && tried < RETRIES => {
                tried += 1;
                tokio::time::sleep(RETRY).await;
            }
            answer => return Ok(answer? == "done"),
        }
    }
}

fn parse(row: &[u8]) -> Result<AccountId, String> {
    let id = std::str::from_utf8(row).map_err(|_| "is not UTF-8")?;
    parse_account_id(id.trim()).map_err(|error| error.message.into())
}
