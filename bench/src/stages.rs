//! Where the time of one transaction goes: each stage alone, on one thread, over the same rows.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::Aggregate as _;
use ledger_core::account::command::{
    CommandKind, EpochOffer, EvaluateTransaction, Facts, Offer, PreparedTransaction, Standing,
};
use ledger_core::account::event::Line;
use ledger_core::account::{AccountEvent, RewardAccount};
use ledger_core::aggregate::Decides as _;
use ledger_core::draw::{self, Seed};
use ledger_core::ids::{Digest, TransactionKey};
use ledger_core::keys::{Details, FINGERPRINT_VERSION, SealError};
use ledger_core::log::chain::event_hash;
use ledger_core::log::{Batch, Head, Position, StoredEvent};
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::transaction::{Personal, Transaction, wire};
use ledger_core::zone::ZoneTable;
use serde_json::{Map, Value, json};

use crate::CHUNKS;
use crate::figures::micros_each;
use crate::ledger_load::{LedgerLoad, terms};
use crate::log_location::LogLocation;
use rewardhub::folder::Folder;

pub(crate) async fn measure(
    location: &LogLocation,
    load: &mut LedgerLoad,
    count: usize,
) -> anyhow::Result<Value> {
    let rows = load.rows(count)?;
    let (keyring, now) = (Arc::clone(&load.engine.keyring), load.engine.clock.now());
    let mut stages = Stages { count, figures: Map::new() };

    let parsed =
        stages.time("parse", || rows.iter().map(|row| wire::parse_row(row, now)).collect::<Vec<_>>());
    let parsed: Vec<Transaction> = parsed.into_iter().collect::<Result<_, _>>()?;
    let log = load.engine.ledger.log();
    let accounts = |some: &[Transaction]| some.iter().map(|t| t.account_id.clone()).collect();
    let keys = keyring.ensure(accounts(&parsed), log, now).await?;
    let began = Instant::now();
    for some in parsed.chunks(1_000) {
        black_box(keyring.ensure(accounts(some), log, now).await?);
    }
    stages.took("keys", began);
    let fingerprints = stages.time("fingerprint", || {
        let fingerprint = |t| {
            let terms = keyring.terms(t);
            (terms.fingerprint(), Some(terms))
        };
        parsed.iter().map(fingerprint).collect::<Vec<_>>()
    });
    let sealed = stages.time("seal", || {
        let seal = |t: &Transaction| {
            let key = keys.of(&t.account_id)?;
            let (details, amounts) = (Details::of(t), key.amounts());
            Ok((key.seal_details(&t.source, &t.transaction_id, &details)?, details.spent(&amounts), amounts))
        };
        parsed.iter().map(seal).collect::<Result<Vec<_>, SealError>>()
    })?;
    let keys = stages.time("transaction key", || {
        parsed.iter().map(|t| TransactionKey::of(&t.source, &t.transaction_id)).collect::<Vec<_>>()
    });
    let mut prepared = Vec::with_capacity(count);
    for (((transaction, (fingerprint, terms)), (details, spent, amounts)), key) in
        parsed.into_iter().zip(fingerprints).zip(sealed).zip(keys)
    {
        let line = Line {
            source: transaction.source.clone(),
            transaction_id: transaction.transaction_id.clone(),
            booked_at: transaction.booked_at,
            time_known: transaction.time_known,
            fingerprint,
            fingerprint_version: FINGERPRINT_VERSION,
            details: Some(details),
            pending_transaction_id: None,
            merchant: None,
            spent,
        };
        prepared.push(Arc::new(PreparedTransaction {
            account_id: transaction.account_id.clone(),
            key,
            status: transaction.status,
            line,
            facts: facts(&transaction),
            amounts,
            terms,
        }));
    }

    let commands = commands(prepared)?;
    let mut account = RewardAccount::default();
    account.apply(AccountEvent::AccountOpened { enrolled_at: now });
    let decided =
        stages.time("decide", || commands.iter().map(|c| account.decide(now, "", c)).collect::<Vec<_>>());
    let mut events = Vec::with_capacity(count);
    for decision in decided {
        events.extend(decision?.0);
    }
    black_box(stages.time("serialise", || events.iter().map(serde_json::to_vec).collect::<Vec<_>>()));

    stages.figures.extend(crate::rules::measure()?.map(|(name, micros)| (name.to_owned(), json!(micros))));

    // The newest ones: the log begins with the accounts that were opened, whose events are far
    // smaller.
    let after = Position(load.position().0.saturating_sub(count as u64));
    let mut stored = load.engine.log.read_after(after, count).await?;
    stages.count = stored.len();
    black_box(
        stages.time("hash", || stored.iter().map(|e| event_hash(e, Some(&e.hash))).collect::<Vec<_>>()),
    );
    // Into an empty log; an event's hash does not cover its position.
    for (event, position) in stored.iter_mut().zip(1..) {
        event.position = Position(position);
    }
    for chunk in CHUNKS {
        let elapsed = append(location, &stored, chunk).await?;
        stages.figures.insert(format!("append by {chunk}"), json!(micros_each(elapsed, stored.len())));
    }
    Ok(Value::Object(stages.figures))
}

struct Stages {
    count: usize,
    figures: Map<String, Value>,
}

impl Stages {
    fn time<T>(&mut self, name: &str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = black_box(work());
        self.took(name, began);
        result
    }

    fn took(&mut self, name: &str, began: Instant) {
        self.figures.insert(name.into(), json!(micros_each(began.elapsed(), self.count)));
    }
}

fn facts(transaction: &Transaction) -> Facts {
    let merchant = transaction.merchant.as_ref();
    Facts {
        amount: transaction.amount.clone(),
        direction: transaction.direction,
        has_merchant: merchant.is_some(),
        merchant_id: merchant
            .and_then(|m| m.id.as_ref())
            .map(|id| Personal::new(id.expose().as_str().into())),
        mcc: merchant.and_then(|m| m.mcc.clone()),
        country: None,
        refund: transaction.refund_of.is_some(),
    }
}

/// Each line with the example campaign's open epoch, so that it is drawn.
fn commands(prepared: Vec<Arc<PreparedTransaction>>) -> anyhow::Result<Vec<CommandKind>> {
    let terms = Arc::new(terms()?);
    let table = Arc::new(terms.prize_table.clone());
    let day = prepared.first().map_or(Timestamp::default(), |t| t.line.booked_at);
    let key = draw::epoch_key(&Seed::new([7; 32]), &Digest([0; 32]), &terms.campaign_id, Epoch::of(day));
    let table_hash = table.hash();
    let command = |transaction| {
        let epoch = EpochOffer::Open {
            key: key.clone(),
            table: Arc::clone(&table),
            table_hash,
            budget_left_minor: terms.budget.minor(),
            sold_out: 0,
        };
        let clocks = ZoneTable::new().clocks_to_be(&terms.time_zone);
        let (terms, standing) = (Arc::clone(&terms), Standing::Active);
        let offer = Offer { terms, version: 1, clocks, standing, epoch };
        CommandKind::EvaluateTransaction(EvaluateTransaction {
            transaction,
            known: None,
            pending_known: None,
            open_unknown: true,
            offers: vec![offer],
            halted: false,
            resume: false,
        })
    };
    Ok(prepared.into_iter().map(command).collect())
}

/// The log's own append of events that are ready.
async fn append(location: &LogLocation, events: &[StoredEvent], chunk: usize) -> anyhow::Result<Duration> {
    let temporary = tempfile::tempdir()?;
    let log = location.place().await?.log(&Folder::create(temporary.path())?).await?;
    let mut head: Head = log.lease.lease("bench", None).await?;
    let mut elapsed = Duration::ZERO;
    for some in events.chunks(chunk) {
        let batch = Batch { expected: head, events: some.to_vec() };
        let began = Instant::now();
        log.events.append(&batch).await?;
        elapsed += began.elapsed();
        head = batch.head_after();
    }
    Ok(elapsed)
}
