//! How many two-entry transactions cala-ledger posts in a second, durable, in the empty database at
//! `BENCH_DATABASE_URL`.
//!
//! One at a time from 8 tasks (`post_transaction`) and by 500 in one database transaction
//! (`post_transactions`), between random pairs of 2,000 accounts. Prints one line of JSON.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use cala_ledger::account::NewAccount;
use cala_ledger::job::{JobSvcConfig, Jobs};
use cala_ledger::journal::NewJournal;
use cala_ledger::posting::PostingInput;
use cala_ledger::tx_template::{
    NewParamDefinition, NewTxTemplate, NewTxTemplateEntry, NewTxTemplateTransaction, ParamDataType, Params,
    TxTemplateId,
};
use cala_ledger::{AccountId, CalaLedger, CalaLedgerConfig, JournalId, TransactionId};
use rust_decimal::Decimal;

const TASKS: usize = 8;
const ACCOUNTS: usize = 2_000;
/// A call may lock 1,000 balances; each transaction touches two.
const BATCH: usize = 500;
const TEMPLATE: &str = "PAYMENT";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("BENCH_DATABASE_URL").context("set BENCH_DATABASE_URL to an empty database")?;
    let seconds = std::env::args().nth(1).context("usage: cala-bench SECONDS")?.parse()?;
    let bench = Arc::new(Bench::open(&url).await?);

    bench.singles(Duration::from_secs(1)).await?;
    let singles = bench.singles(Duration::from_secs(seconds)).await?;
    let batches = bench.batches(Duration::from_secs(seconds)).await?;
    let line = serde_json::json!({
        "version": "0.33.3",
        "tasks": TASKS,
        "per_second": singles,
        "batch": BATCH,
        "batched_per_second": batches,
    });
    println!("{line}");
    Ok(())
}

struct Bench {
    cala: CalaLedger,
    journal: JournalId,
    accounts: Vec<AccountId>,
}

impl Bench {
    async fn open(url: &str) -> anyhow::Result<Bench> {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(10).connect(url).await?;
        let config = CalaLedgerConfig::builder().pool(pool.clone()).exec_migrations(true).build()?;
        // The migrations of its jobs come with the ledger's own, which need the jobs only to be
        // given.
        let mut jobs = Jobs::init(JobSvcConfig::builder().pool(pool).build()?).await?;
        let cala = CalaLedger::init(config, &mut jobs).await?;

        let journal = JournalId::new();
        cala.journals().create(NewJournal::builder().id(journal).name("Bench").build()).await?;
        cala.tx_templates().create(template()?).await?;
        let mut accounts = Vec::with_capacity(ACCOUNTS);
        for n in 0..ACCOUNTS {
            let (id, code) = (AccountId::new(), format!("account-{n}"));
            cala.accounts()
                .create(NewAccount::builder().id(id).name(code.clone()).code(code).build())
                .await?;
            accounts.push(id);
        }
        Ok(Bench { cala, journal, accounts })
    }

    /// One after another, in each of the tasks.
    async fn singles(self: &Arc<Self>, during: Duration) -> anyhow::Result<u64> {
        let began = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let bench = Arc::clone(self);
                tokio::spawn(async move {
                    let (mut posted, mut dice) = (0_u64, Dice::new(task));
                    while began.elapsed() < during {
                        let params = bench.params(&mut dice);
                        bench.cala.post_transaction(TransactionId::new(), TEMPLATE, params).await?;
                        posted += 1;
                    }
                    anyhow::Ok(posted)
                })
            })
            .collect();
        let mut posted = 0;
        for task in tasks {
            posted += task.await??;
        }
        rate(posted, began.elapsed())
    }

    /// A batch after another.
    async fn batches(&self, during: Duration) -> anyhow::Result<u64> {
        let (began, mut posted, mut dice) = (Instant::now(), 0, Dice::new(TASKS));
        while began.elapsed() < during {
            let batch = (0..BATCH)
                .map(|_| PostingInput::new(TransactionId::new(), TEMPLATE, self.params(&mut dice)))
                .collect();
            posted += self.cala.post_transactions(batch).await?.len() as u64;
        }
        rate(posted, began.elapsed())
    }

    fn params(&self, dice: &mut Dice) -> Params {
        let from = dice.below(self.accounts.len());
        let to = (from + 1 + dice.below(self.accounts.len() - 1)) % self.accounts.len();
        let mut params = Params::new();
        params.insert("journal_id", self.journal);
        params.insert("from", self.accounts[from]);
        params.insert("to", self.accounts[to]);
        params.insert("units", Decimal::new(1_234, 2));
        params
    }
}

fn template() -> anyhow::Result<NewTxTemplate> {
    let parameter = |name: &str, kind| NewParamDefinition::builder().name(name).r#type(kind).build();
    let entry = |name: &str, account: &str, direction: &str| {
        NewTxTemplateEntry::builder()
            .entry_type(format!("'{name}'"))
            .account_id(account)
            .layer("SETTLED")
            .direction(direction)
            .units("params.units")
            .currency("'GBP'")
            .build()
    };
    Ok(NewTxTemplate::builder()
        .id(TxTemplateId::new())
        .code(TEMPLATE)
        .params(vec![
            parameter("journal_id", ParamDataType::Uuid)?,
            parameter("from", ParamDataType::Uuid)?,
            parameter("to", ParamDataType::Uuid)?,
            parameter("units", ParamDataType::Decimal)?,
        ])
        .transaction(
            NewTxTemplateTransaction::builder()
                .effective("date()")
                .journal_id("params.journal_id")
                .build()?,
        )
        .entries(vec![
            entry("PAYMENT_DR", "params.from", "DEBIT")?,
            entry("PAYMENT_CR", "params.to", "CREDIT")?,
        ])
        .build())
}

fn rate(posted: u64, elapsed: Duration) -> anyhow::Result<u64> {
    let millis = u64::try_from(elapsed.as_millis())?;
    ensure!(posted > 0 && millis > 0, "nothing was posted");
    Ok(posted * 1_000 / millis)
}

/// xorshift64: which accounts, the same in every run.
struct Dice(u64);

impl Dice {
    fn new(task: usize) -> Dice {
        Dice(0x9E37_79B9_7F4A_7C15 ^ (task as u64 + 1))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }
}
