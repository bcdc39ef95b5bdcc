//! What accounts in memory weigh: the process's resident size before and after opening many.

use std::sync::Arc;

use ledger_core::engine::EngineSettings;
use ledger_core::ids::AccountId;
use serde_json::{Value, json};
use stores::sqlite::log::{SqliteLog, SqliteOptions};

use crate::bare_ledger::BareLedger;
use crate::ledger_load::open_accounts;
use crate::machine::resident_bytes;
use rewardhub::folder::Folder;

pub(crate) async fn measure(accounts: usize) -> anyhow::Result<Value> {
    let temporary = tempfile::tempdir()?;
    let folder = Folder::create(temporary.path())?;
    // A small page cache, so that what is weighed is the engine's memory.
    let log = SqliteLog::open(&folder.log(), &SqliteOptions { cache_mib: 8, ..SqliteOptions::default() })?;
    let settings = EngineSettings { accounts_max: accounts, ..EngineSettings::default() };
    let bare = BareLedger::start(Arc::new(log).into(), &folder, settings).await?;

    let before = resident_bytes()?;
    let ids = (0..accounts).map(|n| AccountId::parse(&format!("cus_{n:012}")).expect("printable and short"));
    open_accounts(&bare.ledger, ids).await?;
    let after = resident_bytes()?;
    bare.stop().await?;
    let each = after.saturating_sub(before) / accounts.max(1) as u64;
    Ok(json!({ "accounts": accounts, "bytes_per_account": each, "resident_mib": after / (1024 * 1024) }))
}
