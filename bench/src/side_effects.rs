//! What steps and projections cost the sender of a transaction, and how far behind him they are:
//! the same lines into a ledger where they run and into one where they do not, in turns, each with
//! a database of its own.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use ledger_core::log::Position;
use serde_json::{Value, json};

use crate::bank::Bank;
use crate::figures::{Cases, Samples, quantile, seconds};
use crate::full_node::{FullNode, Written};
use crate::ledger_load::take;
use crate::log_location::Bytes;
use crate::server::Server;

/// How much is measured.
pub(crate) struct Sizes {
    pub(crate) accounts: u32,
    pub(crate) rounds: usize,
    /// In one round.
    pub(crate) transactions: usize,
}

/// Both ledgers, and the bank that feeds them.
pub(crate) struct SideEffects {
    bank: Bank,
    without: Written,
    pub(crate) with: FullNode,
}

const CHUNK: usize = 1_000;
/// How long nothing may happen until steps and projections count as done.
const QUIET: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_mins(10);

/// How long after the last receipt.
struct Behind {
    /// All transactions were in the read models.
    projected: Duration,
    /// All rewards were paid too, and that was in the read models.
    done: Duration,
}

impl SideEffects {
    pub(crate) async fn open(server: &Server, sizes: &Sizes) -> anyhow::Result<SideEffects> {
        let bank = Bank::open("cus", sizes.accounts)?;
        let without = Written::open(server, &bank).await?;
        let with = Written::open(server, &bank).await?.serve().await?;
        let measured = SideEffects { bank, without, with };
        measured.settle().await?;
        Ok(measured)
    }

    /// Adds a case; answers the rest.
    pub(crate) async fn measure(&mut self, sizes: &Sizes, cases: &mut Cases) -> anyhow::Result<Value> {
        let (log, tables) = self.bytes().await?;
        let events_before = self.head().0;
        let (mut with, mut without) = (Samples::default(), Samples::default());
        let (mut projected, mut done) = (vec![], vec![]);
        for round in 0..sizes.rounds {
            let rows = self.rows(sizes.transactions)?;
            for served in if round % 2 == 0 { [false, true] } else { [true, false] } {
                if served {
                    with.push(rows.len(), take(&self.with.node.engine.intake, &rows, CHUNK).await?.elapsed);
                    let behind = self.settle().await?;
                    projected.push(behind.projected);
                    done.push(behind.done);
                } else {
                    without.push(rows.len(), take(&self.without.engine.intake, &rows, CHUNK).await?.elapsed);
                }
            }
        }
        let name = "transactions by 1000, projections and steps beside";
        cases.compare(name, &with, "the same without", &without);
        let transactions = sizes.rounds * sizes.transactions;
        let (log_after, tables_after) = self.bytes().await?;
        Ok(json!({
            "transactions": transactions,
            "events": self.head().0 - events_before,
            "seconds_until_projected": seconds(quantile(&mut projected, 500)),
            "seconds_until_rewards_paid": seconds(quantile(&mut done, 500)),
            "bytes_per_transaction": {
                "log": log_after.each(log, transactions),
                "read_models": tables_after.each(tables, transactions),
            },
        }))
    }

    /// So many lines in the ledger with read models, nothing measured.
    pub(crate) async fn fill(&mut self, transactions: usize) -> anyhow::Result<()> {
        let rows = self.rows(transactions)?;
        take(&self.with.node.engine.intake, &rows, CHUNK).await?;
        self.settle().await?;
        Ok(())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.with.close().await?;
        self.without.close().await
    }

    fn rows(&mut self, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        self.bank.rows(count, self.with.node.engine.clock.now())
    }

    fn head(&self) -> Position {
        *self.with.node.engine.ledger.head().borrow()
    }

    /// Waits for the projections, and until neither they nor a step has anything left to do.
    async fn settle(&self) -> anyhow::Result<Behind> {
        let (began, progress) = (Instant::now(), &self.with.node.progress);
        let taken = self.head();
        progress.wait_for(taken, PATIENCE).await.context("the read models do not catch up")?;
        let projected = began.elapsed();
        let (mut at, mut last_change) = ((taken, progress.position()), Instant::now());
        while last_change.elapsed() < QUIET || at.0 != at.1 {
            tokio::time::sleep(LOOK).await;
            let now = (self.head(), progress.position());
            if now != at {
                (at, last_change) = (now, Instant::now());
            }
        }
        Ok(Behind { projected, done: last_change - began })
    }

    /// Of the log's events and of the read models.
    async fn bytes(&self) -> anyhow::Result<(Bytes, Bytes)> {
        let database = &self.with.database;
        Ok((
            Bytes::in_postgres(database, "ledger.events").await?,
            Bytes::in_postgres(database, "read_models.%").await?,
        ))
    }
}
