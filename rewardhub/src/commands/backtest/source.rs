//! Where past transactions come from: a file, or the ledger's own log.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use ::audit::backtest::PastLine;
use ::audit::draws::OpenedLine;
use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::Line;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{AccountId, TransactionKey};
use ledger_core::keys::Details;
use ledger_core::log::{Position, StreamType, pages};
use ledger_core::system::SystemEvent;
use ledger_core::time::{Clock as _, SystemClock, Timestamp};
use ledger_core::transaction::wire::parse_row;
use ledger_core::transaction::{Status, Transaction};
use ledger_core::zone::{ZoneTable, ZoneTableChange};
use serde::Serialize;

use crate::commands::ingest::lines::Lines;
use crate::commands::support::Refused;
use crate::config::Config;
use crate::opened::{existing_keyring, read_only_log};

/// Past transactions in memory.
pub(super) struct Past {
    pub(super) origin: Origin,
    lines: Kept,
}

enum Kept {
    Read(Vec<Transaction>),
    Recorded(Vec<Recorded>),
}

struct Recorded {
    account_id: AccountId,
    line: Line,
    details: Details,
    enrolled_at: Option<Timestamp>,
    excluded: bool,
    zones: Arc<ZoneTable>,
}

/// Which ones.
#[derive(Clone, Default, Serialize)]
pub(super) struct Origin {
    /// `file` or `log`.
    from: &'static str,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// Rows or decided lines.
    read: u64,
    /// Rows that are no transactions; the first of them are told on stderr.
    pub(super) rejected: u64,
    /// Lines whose customer has been erased, or that belong to another's account.
    unreadable: u64,
    /// Lines that the bank took back: they are left out.
    pub(super) taken_back: u64,
}

/// Rejected rows told one by one.
const TOLD_MAX: u64 = 10;

impl Past {
    /// All of them, in order.
    pub(super) fn lines(&self) -> Box<dyn Iterator<Item = PastLine> + '_> {
        match &self.lines {
            Kept::Read(transactions) => Box::new(transactions.iter().map(PastLine::read)),
            Kept::Recorded(lines) => Box::new(lines.iter().map(|recorded| {
                let Recorded { account_id, line, details, enrolled_at, excluded, zones } = recorded;
                let (enrolled_at, excluded, zones) = (*enrolled_at, *excluded, Arc::clone(zones));
                let line = PastLine::recorded(account_id, line.clone(), details);
                PastLine { enrolled_at, excluded, zones, ..line }
            })),
        }
    }
}

/// Transactions from NDJSON. A row that is none is told with its line and passed over.
pub(super) fn file(path: &Path) -> anyhow::Result<Past> {
    let now = SystemClock.now();
    let mut lines = Lines::transactions(path)?;
    let mut origin = Origin { from: "file", file: Some(name(path)), ..Origin::default() };
    let mut transactions = vec![];
    while let Some(chunk) = lines.next_chunk()? {
        for (row, number) in chunk.rows.iter().zip(&chunk.lines) {
            origin.read += 1;
            match parse_row(row, now) {
                Ok(transaction) => transactions.push(transaction),
                Err(rejected) => {
                    origin.rejected += 1;
                    if origin.rejected <= TOLD_MAX {
                        let error = rejected.error;
                        let place =
                            if error.field.is_empty() { String::new() } else { format!("{}: ", error.field) };
                        eprintln!("line {number}: {place}{}", error.message);
                    }
                }
            }
        }
    }
    if transactions.is_empty() {
        let format = "one JSON object a line is needed, as POST /v1/transactions takes it";
        return Err(Refused(format!("{}: no transactions: {format}", path.display())).into());
    }
    let is_removal = |transaction: &Transaction| transaction.status == Status::Removed;
    let removed: HashSet<_> = transactions.iter().filter(|t| is_removal(t)).map(key).collect();
    let all = transactions.len();
    transactions.retain(|t| is_removal(t) || t.status != Status::Booked || !removed.contains(&key(t)));
    origin.taken_back = (all - transactions.len()) as u64;
    Ok(Past { origin, lines: Kept::Read(transactions) })
}

/// Of a file, for whoever has the page alone.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn key(transaction: &Transaction) -> TransactionKey {
    TransactionKey::of(&transaction.source, &transaction.transaction_id)
}

/// Booked lines that the ledger has decided, with their details opened.
pub(super) async fn log(config: &Config) -> anyhow::Result<Past> {
    let keyring =
        existing_keyring(config).await.context("past transactions are sealed: their keys are needed")?;
    let log = read_only_log(config).await?.events;
    let mut origin = Origin { from: "log", ..Origin::default() };
    let (mut lines, mut enrolled, mut excluded) = (vec![], HashMap::new(), HashSet::new());
    let mut zones = Arc::<ZoneTable>::default();
    // A line that was decided and taken back is never decided again.
    let mut taken_back = HashSet::new();
    let mut pages = pages(&*log, None, Position(0));
    while let Some(page) = pages.try_next().await? {
        let keys = OpenedLine::keys(&keyring, &page).await?;
        for stored in &page {
            if stored.stream.stream_type == StreamType::Campaign {
                continue;
            }
            let event = match decode(stored)? {
                LedgerEvent::Account(event) => event,
                LedgerEvent::System(SystemEvent::ZoneTableChanged { version, zones: changed }) => {
                    Arc::make_mut(&mut zones).change(ZoneTableChange { version, zones: changed });
                    continue;
                }
                LedgerEvent::Campaign(_) | LedgerEvent::System(_) => continue,
            };
            let account_id = AccountId::parse(&stored.stream.id)?;
            match event {
                AccountEvent::AccountOpened { enrolled_at } => drop(enrolled.insert(account_id, enrolled_at)),
                AccountEvent::AccountExcluded { .. } => drop(excluded.insert(account_id)),
                AccountEvent::AccountReinstated { .. } => drop(excluded.remove(&account_id)),
                AccountEvent::TransactionEvaluated { line, .. } => {
                    origin.read += 1;
                    match OpenedLine::open(&keys, &account_id, &line)? {
                        Some(OpenedLine { details, .. }) => {
                            let enrolled_at = enrolled.get(&account_id).copied();
                            let excluded = excluded.contains(&account_id);
                            let zones = Arc::clone(&zones);
                            lines.push(Recorded { account_id, line, details, enrolled_at, excluded, zones });
                        }
                        None => origin.unreadable += 1,
                    }
                }
                AccountEvent::TransactionRemoved { source, transaction_id, undecided: false, .. } => {
                    taken_back.insert(TransactionKey::of(&source, &transaction_id));
                }
                _ => {}
            }
        }
    }
    let all = lines.len();
    lines.retain(|Recorded { line, .. }| {
        !taken_back.contains(&TransactionKey::of(&line.source, &line.transaction_id))
    });
    origin.taken_back = (all - lines.len()) as u64;
    if lines.is_empty() {
        bail!("the log has no transactions that can be opened");
    }
    Ok(Past { origin, lines: Kept::Recorded(lines) })
}
