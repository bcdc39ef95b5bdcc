//! A campaign as people see it: terms, odds, budget, what waits for a second person, and every
//! day's commitment. How commitments and tables are published ahead; no sealed seed is in it.

use std::collections::BTreeMap;

use cqrs_es::Aggregate as _;
use futures::TryStreamExt as _;
use ledger_core::campaign::Campaign;
use ledger_core::campaign::in_force::InForce;
use ledger_core::campaign::state::Standing;
use ledger_core::draw::PrizeTable;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::CampaignId;
use ledger_core::log::{EventLog, LogError, Position, StreamId, follow};
use ledger_core::time::Timestamp;
use projections::campaigns::CampaignStatus as Status;
use serde_json::{Value, json};

use crate::graphql::campaign::CampaignStatus;

/// One campaign as it is now, from its whole stream, for who has no writer to ask; `None` where
/// there is none of this id.
pub async fn show(log: &dyn EventLog, id: &CampaignId, now: Timestamp) -> Result<Option<Value>, LogError> {
    let stream = StreamId::campaign(id);
    let (mut campaign, mut events) = (Campaign::default(), 0);
    let mut read = follow(log, Some(&stream), Position(0));
    while let Some(stored) = read.try_next().await? {
        events = stored.sequence;
        if let LedgerEvent::Campaign(event) = decode(&stored)? {
            campaign.apply(event);
        }
    }
    Ok(shown(&campaign, events, now))
}

pub(super) fn shown(campaign: &Campaign, events: u64, now: Timestamp) -> Option<Value> {
    let (terms, version) = campaign.terms()?;
    let InForce { table, day, next } = campaign.in_force(now)?;
    let by_events = match campaign.standing() {
        None if campaign.starts_itself_at().is_some() => Status::Scheduled,
        None if campaign.is_approved() => Status::Approved,
        None => Status::Draft,
        Some(Standing::Active) => Status::Active,
        Some(Standing::Paused) => Status::Paused,
        Some(Standing::Ended) => Status::Ended,
    };
    let standing = CampaignStatus::at(by_events, terms, now).as_str();
    let fundings: Vec<_> = campaign
        .fundings()
        .filter_map(|(reference, funding)| {
            let by = funding.waits_for_other_than.as_ref()?;
            Some(json!({ "reference": reference, "amount": funding.amount, "proposed_by": by }))
        })
        .collect();
    let revision = campaign.revision().map(|r| json!({ "version": r.version, "terms": r.terms, "by": r.by }));
    let next = next.map(|(from, table)| {
        json!({ "from": from, "odds": odds(&table), "table_hash": table.hash(), "prize_table": table })
    });
    // Each day keeps the limits that it was committed to with.
    let limits = day.and_then(|day| campaign.epoch(day)).map_or(&terms.inventory, |day| &day.inventory);
    let (epochs, tables) = epochs(campaign);
    Some(json!({
        "campaign_id": terms.campaign_id, "terms": terms, "version": version, "standing": standing, "events": events,
        "starts_itself_at": campaign.starts_itself_at(), "revision": revision, "fundings_proposed": fundings,
        "odds": odds(&table), "next": next,
        "expected_cost_per_draw_ppb_minor": table.expected_cost_ppb().to_string(),
        "funded_minor": campaign.funded_minor(), "spent_minor": campaign.spent_minor(),
        "budget_alerted_percent": campaign.alerted_percent(), "inventory": inventory(campaign, limits),
        "epochs": epochs, "prize_tables": tables,
    }))
}

/// Of any prize, and of each.
fn odds(table: &PrizeTable) -> Value {
    let tiers = table.tiers.iter().map(|tier| json!({ "name": tier.name, "odds": tier.odds_text() }));
    json!({ "any": table.odds_text(), "tiers": tiers.collect::<Vec<_>>() })
}

/// What there is today of each limited tier and what is left, by its name.
fn inventory(campaign: &Campaign, limits: &BTreeMap<String, u64>) -> Value {
    let left = |(name, most): (&String, &u64)| {
        let won = campaign.tier_wins().get(name).copied().unwrap_or(0);
        (name.clone(), json!({ "most": most, "won": won, "left": most.saturating_sub(won) }))
    };
    Value::Object(limits.iter().map(left).collect())
}

/// Days, oldest first, and the tables they draw from, by hash.
fn epochs(campaign: &Campaign) -> (Vec<Value>, BTreeMap<String, &PrizeTable>) {
    let mut tables = BTreeMap::new();
    let epochs = campaign.epochs().map(|(epoch, state)| {
        tables.insert(state.table_hash.to_string(), &*state.prize_table);
        json!({
            "epoch": epoch.to_string(), "phase": state.phase.as_str(), "opens_at": epoch.opens_at(), "reveals_at": state.seals_at,
            "commitment": state.commitment, "table_hash": state.table_hash, "beacon_spec": state.beacon_spec,
            "inventory": state.inventory,
        })
    });
    let epochs = epochs.collect();
    (epochs, tables)
}

#[cfg(test)]
mod tests {
    use ledger_core::aggregate::Decides as _;
    use ledger_core::campaign::CampaignCommandKind;
    use ledger_core::campaign::terms::Terms;

    use super::*;

    #[test]
    fn a_campaigns_standing_is_told_in_graphqls_words_by_events_and_by_time() {
        let at = |time: &str| -> Timestamp { serde_json::from_value(time.into()).unwrap() };
        let terms: Terms = serde_json::from_value(json!({
            "campaign_id": "c1", "name": "Coffee", "time_zone": "UTC", "starts_at": "2026-11-01T00:00:00Z",
            "ends_at": "2026-11-10T12:00:00Z", "grace_days": 2, "budget": { "minor": 500, "currency": "GBP" },
            "prize_table": { "currency": "GBP", "tiers": [
                { "name": "fiver", "odds_ppb": 1, "prize": { "fixed": 500 } },
            ] },
        }))
        .unwrap();
        let (mut campaign, day) = (Campaign::default(), at("2026-11-01T00:00:00Z"));
        let mut does = |by: &str, kind: CampaignCommandKind| {
            for event in campaign.decide(day, by, &kind).unwrap().0 {
                campaign.apply(event);
            }
            let status =
                |now: &str| shown(&campaign, 1, at(now)).unwrap()["standing"].as_str().unwrap().to_owned();
            [status("2026-11-10T11:59:59Z"), status("2026-11-10T12:00:00Z"), status("2026-11-13T00:00:00Z")]
        };
        let start_at = at("2026-11-02T00:00:00Z");
        for (by, kind, expected) in [
            ("alice", CampaignCommandKind::Draft(Box::new(terms)), ["draft"; 3]),
            ("bob", CampaignCommandKind::Approve { version: None }, ["approved"; 3]),
            ("bob", CampaignCommandKind::Schedule { start_at }, ["scheduled"; 3]),
            ("bob", CampaignCommandKind::Start, ["active", "closing", "ended"]),
            ("bob", CampaignCommandKind::Pause { reason: "look".into() }, ["paused", "paused", "ended"]),
            ("bob", CampaignCommandKind::End, ["ended"; 3]),
        ] {
            assert_eq!(does(by, kind), expected);
        }
    }
}
