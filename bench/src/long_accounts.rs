//! Accounts with very long histories: as fast as others once in memory, and there soon after a
//! restart, since a snapshot stands for all but the last of their events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::figures::{Cases, Samples, milliseconds, quantile};
use crate::ledger_load::LedgerLoad;
use crate::log_location::LogLocation;

/// How much is measured.
pub(crate) struct Sizes {
    pub(crate) accounts: u32,
    /// Of each account, more or less.
    pub(crate) events: usize,
    /// Accounts without history to compare with.
    pub(crate) others: u32,
    pub(crate) rounds: usize,
    /// In one round.
    pub(crate) transactions: usize,
    pub(crate) restarts: usize,
}

const CHUNK: usize = 1_000;

/// Adds a case; answers how long the first answers take.
pub(crate) async fn measure(
    location: &LogLocation,
    sizes: &Sizes,
    cases: &mut Cases,
) -> anyhow::Result<Value> {
    let mut load = LedgerLoad::open(location, sizes.others).await?;
    let mut bank = Bank::open("lon", sizes.accounts)?;
    load.enrol_with_history(&mut bank, sizes.events).await?;
    let (mut long, mut others) = (Samples::default(), Samples::default());
    for _ in 0..sizes.rounds {
        let rows = load.rows(sizes.transactions)?;
        others.push(rows.len(), load.take(&rows, CHUNK).await?.elapsed);
        let rows = bank.rows(sizes.transactions, load.engine.clock.now())?;
        long.push(rows.len(), load.take(&rows, CHUNK).await?.elapsed);
    }
    let Sizes { accounts, events, .. } = sizes;
    let name = format!("transactions by 1000, {accounts} accounts of {events} events, in memory");
    cases.compare(&name, &long, "the same, accounts without history", &others);
    let (load, first) = first_answers(load, &mut bank, sizes.restarts).await?;
    load.close().await?;
    Ok(json!({ "accounts": accounts, "events_each": events, "first_answer_after_restart": first }))
}

/// Of one line each, in this order after a start: the first one also pays for what every start
/// does.
#[derive(Default)]
struct FirstAnswers {
    without_history: Vec<Duration>,
    long: Vec<Duration>,
    /// In memory by now.
    long_again: Vec<Duration>,
}

async fn first_answers(
    mut load: LedgerLoad,
    bank: &mut Bank,
    restarts: usize,
) -> anyhow::Result<(LedgerLoad, Value)> {
    let mut first = FirstAnswers::default();
    for _ in 0..restarts {
        load = load.reopen().await?;
        let other = load.rows(1)?;
        first.without_history.push(load.take(&other, 1).await?.elapsed);
        for answers in [&mut first.long, &mut first.long_again] {
            // The first of every other line: of the same account each time.
            let row = bank.rows_half_hot(1, load.engine.clock.now())?;
            answers.push(load.take(&row, 1).await?.elapsed);
        }
    }
    let median = |times: &mut [Duration]| milliseconds(quantile(times, 500));
    let figures = json!({
        "without_history_ms": median(&mut first.without_history),
        "long_ms": median(&mut first.long),
        "long_again_ms": median(&mut first.long_again),
    });
    Ok((load, figures))
}
