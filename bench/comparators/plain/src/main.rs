//! What the same decision costs with plain cqrs-es and a store of its ecosystem, used as its
//! documentation shows: one command, one event with our payload, one commit; the whole stream is
//! read for each command.
//!
//! `plain-cqrs sqlite FILE`, or `plain-cqrs postgres` in the empty database at
//! `BENCH_DATABASE_URL`. Each line of its input is a JSON array of `[account, event]`: one command
//! for each. It answers with a line of JSON.

mod postgres;
mod sqlite;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore};
use cqrs_es::{Aggregate, AggregateError, CqrsFramework};
use ledger_core::account::AccountEvent;

const TASKS: usize = 8;

/// An account that takes every decision as given.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Account {
    decided: u64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountEvent;
    type Event = AccountEvent;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        command: AccountEvent,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        sink.write(command, self).await;
        Ok(())
    }

    fn apply(&mut self, _: AccountEvent) {
        self.decided += 1;
    }
}

type Cqrs<R> = Arc<CqrsFramework<Account, PersistedEventStore<R, Account>>>;
type Commands = Vec<(String, AccountEvent)>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sqlite", file] => serve(&sqlite::open(file.as_ref()).await?).await,
        ["postgres"] => {
            let url =
                std::env::var("BENCH_DATABASE_URL").context("set BENCH_DATABASE_URL to an empty database")?;
            serve(&postgres::open(&url).await?).await
        }
        _ => bail!("usage: plain-cqrs sqlite FILE, or plain-cqrs postgres"),
    }
}

async fn serve<R>(cqrs: &Cqrs<R>) -> anyhow::Result<()>
where
    R: PersistedEventRepository + Send + Sync + 'static,
{
    for line in std::io::stdin().lines() {
        let elapsed = execute(cqrs, serde_json::from_str(&line?)?).await?;
        let answer = serde_json::json!({ "nanoseconds": u64::try_from(elapsed.as_nanos())? });
        let mut out = std::io::stdout();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// An account's commands are one task's, as far as that can be.
async fn execute<R>(cqrs: &Cqrs<R>, commands: Commands) -> anyhow::Result<Duration>
where
    R: PersistedEventRepository + Send + Sync + 'static,
{
    let mut accounts: BTreeMap<String, Commands> = BTreeMap::new();
    for (account, event) in commands {
        accounts.entry(account.clone()).or_default().push((account, event));
    }
    let commands: Commands = accounts.into_values().flatten().collect();
    let began = Instant::now();
    let tasks: Vec<_> = commands
        .chunks(commands.len().div_ceil(TASKS).max(1))
        .map(|some| tokio::spawn(execute_all(Arc::clone(cqrs), some.to_vec())))
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(began.elapsed())
}

async fn execute_all<R: PersistedEventRepository>(cqrs: Cqrs<R>, commands: Commands) -> anyhow::Result<()> {
    let metadata = HashMap::from([("actor", "bench"), ("correlation_id", "bench"), ("causation_id", "")]);
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    for (account, command) in commands {
        // Two tasks may meet on one account: then one of them tries again, as its documentation
        // asks.
        let mut tries = 0;
        loop {
            match cqrs.execute_with_metadata(&account, command.clone(), metadata.clone()).await {
                Ok(()) => break,
                Err(AggregateError::AggregateConflict) if tries < 100 => tries += 1,
                Err(AggregateError::AggregateConflict) => bail!("two tasks never come past each other"),
                Err(error) => return Err(error).context("plain cqrs-es"),
            }
        }
    }
    Ok(())
}
