//! Seeds and details, opened where the auditor may see them.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::audit::draws::Seeds;
use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use ledger_core::campaign::CampaignEvent;
use ledger_core::engine::KeyringSeeds;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::CampaignId;
use ledger_core::keys::Keyring;
use ledger_core::log::{EventLog, Position, StreamId, follow};
use ledger_core::operate::campaigns::opening_purpose;
use ledger_core::time::Epoch;
use serde_json::json;

use super::Opening;
use crate::commands::operate::{Noun, Operator, Request, Service};
use crate::config::Config;
use crate::opened::existing_keyring;

/// The keys, where something sealed is to be opened.
pub(super) async fn keyring(config: &Config, needed: bool) -> anyhow::Result<Option<Arc<Keyring>>> {
    if !needed {
        return Ok(None);
    }
    let opened = existing_keyring(config).await.context("opening what is sealed needs the keys")?;
    Ok(Some(Arc::new(opened)))
}

/// The revealed seeds, and the sealed ones where they are to be opened; names those. That and why
/// is a fact of the ledger before the first is opened: whoever sees a seed can foresee draws.
pub(super) async fn seeds(
    config: &Config,
    log: &dyn EventLog,
    keyring: Option<&Arc<Keyring>>,
    opening: &Opening,
) -> anyhow::Result<(Seeds, Vec<(CampaignId, Epoch)>)> {
    let mut seeds = Seeds::of(log).await?;
    let (true, Some(keyring), Some(reason)) = (opening.open_seeds, keyring, &opening.reason) else {
        return Ok((seeds, vec![]));
    };
    // What opens from here on stays sealed: it is not among them.
    let sealed: Vec<(CampaignId, Epoch)> = seeds.sealed().cloned().collect();
    if !sealed.is_empty() {
        let before = log.head().await?.position;
        record(config, &sealed, opening, reason).await?;
        // Read back: the service may have another ledger than the one that is audited.
        let missing = unrecorded(log, before, &sealed, &opening_purpose(reason)).await?;
        if let Some((campaign, epoch)) = missing.first() {
            bail!(
                "the ledger does not say that the seed of {campaign}, {epoch}, is opened: was it recorded in another? \
                 Nothing was opened"
            );
        }
    }
    let opened = seeds.open(&KeyringSeeds::new(Arc::clone(keyring)))?;
    Ok((seeds, opened))
}

/// As the ledger's writer, or through the service that is.
async fn record(
    config: &Config,
    sealed: &[(CampaignId, Epoch)],
    opening: &Opening,
    reason: &str,
) -> anyhow::Result<()> {
    let operator = match (&opening.url, &opening.by) {
        (Some(url), _) => Operator::Service(Service::new(url, "ops")?),
        (None, Some(by)) => Operator::open(config, "audit", by).await?,
        (None, None) => bail!("who opens the seeds?"),
    };
    let mut recorded = Ok(());
    for (campaign, epoch) in sealed {
        let (id, body) = (campaign.as_str().into(), json!({ "epoch": epoch, "reason": reason }));
        let request = Request { noun: Noun::Campaigns, id, action: "open-seed", body };
        recorded = operator.give(&request).await.map(drop);
        if recorded.is_err() {
            break;
        }
    }
    operator.stop().await?;
    recorded.context("recording that seeds are opened; none has been")
}

/// Those that no event after `before` names as opened for this purpose.
async fn unrecorded(
    log: &dyn EventLog,
    before: Position,
    sealed: &[(CampaignId, Epoch)],
    purpose: &str,
) -> anyhow::Result<Vec<(CampaignId, Epoch)>> {
    let mut missing = sealed.to_vec();
    let campaigns: BTreeSet<&CampaignId> = sealed.iter().map(|(campaign, _)| campaign).collect();
    for campaign in campaigns {
        let stream = StreamId::campaign(campaign);
        let mut events = follow(log, Some(&stream), before);
        while let Some(stored) = events.try_next().await? {
            if let LedgerEvent::Campaign(CampaignEvent::SeedOpened { epoch, purpose: said, .. }) =
                decode(&stored)?
                && said == purpose
            {
                missing.retain(|(c, e)| (c, e) != (campaign, &epoch));
            }
        }
    }
    Ok(missing)
}
