//! What accounts in memory weigh: the process's resident size before and after opening many.

use std::sync::Arc;

use anyhow::Context as _;
use ledger_core::engine::{KeyringSeeds, Ledger, Parts, Settings};
use ledger_core::ids::AccountId;
use ledger_core::log::sqlite::{SqliteLog, SqliteOptions};
use ledger_core::seal::{FileKeyProvider, Keyring};
use ledger_core::time::SystemClock;
use serde_json::{Value, json};

use super::ours::open_accounts;
use crate::folder::Folder;

pub(super) async fn measure(accounts: usize) -> anyhow::Result<Value> {
    let temporary = tempfile::tempdir()?;
    let folder = Folder::create(temporary.path())?;
    // A small page cache, so that what is weighed is the engine's memory.
    let log = SqliteLog::open(&folder.log(), &SqliteOptions { cache_mib: 8, ..SqliteOptions::default() })?;
    let provider = FileKeyProvider::open_or_create(&folder.root_key())?;
    let keyring = Arc::new(Keyring::open(&folder.keys(), Arc::new(provider))?);
    let seeds = Arc::new(KeyringSeeds::new(keyring));
    let settings = Settings { accounts_max: accounts, ..Settings::default() };
    let (ledger, stopped) =
        Ledger::start(Parts { log: Arc::new(log), clock: Arc::new(SystemClock), seeds }, settings).await?;

    let before = resident_bytes()?;
    let ids = (0..accounts).map(|n| AccountId::parse(&format!("cus_{n:012}")).expect("printable and short"));
    open_accounts(&ledger, ids).await?;
    let after = resident_bytes()?;
    drop(ledger);
    stopped.await.context("the writer's thread died")?;
    let each = after.saturating_sub(before) / accounts.max(1) as u64;
    Ok(json!({ "accounts": accounts, "bytes_per_account": each, "resident_mib": after / (1024 * 1024) }))
}

fn resident_bytes() -> anyhow::Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("the resident size is Linux's to tell")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
