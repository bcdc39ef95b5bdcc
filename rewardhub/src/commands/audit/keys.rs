//! Seeds and details, opened where the auditor may see them.

use std::sync::Arc;

use anyhow::Context as _;
use ledger_core::account::event::Line;
use ledger_core::audit::draws::Seeds;
use ledger_core::engine::KeyringSeeds;
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::log::EventLog;
use ledger_core::seal::{Details, Keyring, SealError};
use ledger_core::time::Epoch;

use crate::config::Config;
use crate::stores::existing_keyring;

/// The keys, where something sealed is to be opened.
pub(super) fn keyring(config: &Config, needed: bool) -> anyhow::Result<Option<Arc<Keyring>>> {
    let opened = needed.then(|| existing_keyring(config)).transpose();
    Ok(opened.context("opening what is sealed needs the keys")?.map(Arc::new))
}

/// The revealed seeds, and with keys the others too; names those that were opened.
pub(super) async fn seeds(
    log: &dyn EventLog,
    keyring: Option<&Arc<Keyring>>,
) -> anyhow::Result<(Seeds, Vec<(CampaignId, Epoch)>)> {
    let mut seeds = Seeds::of(log).await?;
    let opened = match keyring {
        Some(keyring) => seeds.open(&KeyringSeeds::new(Arc::clone(keyring)))?,
        None => vec![],
    };
    Ok((seeds, opened))
}

/// A line's details; `None` once they are erased, or where the line has none of its own.
pub(super) fn details(
    keyring: &Keyring,
    account: &AccountId,
    line: &Line,
) -> Result<Option<Details>, SealError> {
    match &line.details {
        Some(sealed) => keyring.open_details(account, &line.source, &line.transaction_id, sealed),
        None => Ok(None),
    }
}
