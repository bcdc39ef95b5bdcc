//! What explanations are looked up in, read from the log: the terms under which a line was decided,
//! the tables it was drawn from.

use std::collections::HashSet;

use futures::TryStreamExt as _;

use crate::account::explain::{Recorded, Reference};
use crate::campaign::CampaignEvent;
use crate::event::{LedgerEvent, decode};
use crate::ids::{CampaignId, Digest};
use crate::log::{EventLog, LogError, Position, StreamId, follow};

/// Adds what `reference` lacks to explain `recorded`. Reads each campaign's stream no further than
/// it must: old terms stand at its beginning.
pub async fn complete(
    log: &dyn EventLog,
    recorded: &Recorded<'_>,
    reference: &mut Reference,
) -> Result<(), LogError> {
    let versions = recorded.considered.iter().map(|c| (c.campaign_id.clone(), c.campaign_version));
    let drawn = recorded.draws.iter().map(|d| (d.campaign_id.clone(), d.campaign_version));
    let tables = recorded.draws.iter().map(|d| (d.campaign_id.clone(), d.table_hash));
    let mut versions: HashSet<(CampaignId, u32)> =
        versions.chain(drawn).filter(|wanted| !reference.terms.contains_key(wanted)).collect();
    let mut tables: HashSet<(CampaignId, Digest)> =
        tables.filter(|wanted| !reference.tables.contains_key(wanted)).collect();
    let campaigns = versions.iter().map(|(id, _)| id).chain(tables.iter().map(|(id, _)| id));
    let campaigns: HashSet<CampaignId> = campaigns.cloned().collect();
    for id in campaigns {
        let stream = StreamId::campaign(&id);
        let mut events = follow(log, Some(&stream), Position(0));
        let wanted = |versions: &HashSet<(CampaignId, u32)>, tables: &HashSet<(CampaignId, Digest)>| {
            versions.iter().any(|(campaign, _)| *campaign == id)
                || tables.iter().any(|(campaign, _)| *campaign == id)
        };
        while wanted(&versions, &tables) {
            let Some(stored) = events.try_next().await? else { break };
            match decode(&stored)? {
                LedgerEvent::Campaign(
                    CampaignEvent::CampaignDrafted { version, terms, .. }
                    | CampaignEvent::CampaignRevised { version, terms, .. },
                ) => {
                    versions.remove(&(id.clone(), version));
                    reference.terms.insert((id.clone(), version), terms);
                }
                LedgerEvent::Campaign(CampaignEvent::EpochScheduled { prize_table, table_hash, .. })
                    if tables.remove(&(id.clone(), table_hash)) =>
                {
                    reference.tables.insert((id.clone(), table_hash), prize_table);
                }
                _ => {}
            }
        }
    }
    Ok(())
}
