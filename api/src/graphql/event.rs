//! The history itself, without what is sealed. Auditors only.

use async_graphql::{Context, Error, ID, Json, Object, SimpleObject};
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::log::{LogError, Position, StoredEvent, StreamId};
use projections::Page;
use serde_json::Value;

use super::access::{self, state};
use super::error::{bad_input, fault};
use super::page::{self, PageOf, connection};
use super::scalars::DateTime;

/// Queries about events.
#[derive(Default)]
pub(super) struct EventQuery;

#[Object]
impl EventQuery {
    /// Events in order, of one account or campaign or of all. Needs `audit:read`.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn event_history(
        &self,
        ctx: &Context<'_>,
        account_id: Option<ID>,
        campaign_id: Option<ID>,
        after_position: Option<String>,
        first: Option<i32>,
    ) -> Result<PageOf<Event>, Error> {
        access::auditor(ctx)?;
        let first = page::first(first)?;
        let after = after_position.map(|token| access::position("afterPosition", &token)).transpose()?;
        let after = after.unwrap_or_default();
        let stream = stream(account_id.as_ref(), campaign_id.as_ref())?;
        let page = history(ctx, stream, after, first).await.map_err(|error| fault(&error))?;
        let mut events = Vec::with_capacity(page.rows.len());
        for stored in &page.rows {
            events.push(Event::of(stored).map_err(|error| fault(&error))?);
        }
        let page = Page { rows: events, has_more: page.has_more };
        let has_previous = after > Position::default();
        Ok(connection(page, has_previous, |event| event.position.clone(), |event| event))
    }
}

fn stream(account: Option<&ID>, campaign: Option<&ID>) -> Result<Option<StreamId>, Error> {
    match (account, campaign) {
        (None, None) => Ok(None),
        (Some(id), None) => match AccountId::parse(id) {
            Ok(id) => Ok(Some(StreamId::account(&id))),
            Err(_) => Err(bad_input("accountId is no id")),
        },
        (None, Some(id)) => match CampaignId::parse(id) {
            Ok(id) => Ok(Some(StreamId::campaign(&id))),
            Err(_) => Err(bad_input("campaignId is no id")),
        },
        (Some(_), Some(_)) => Err(bad_input("accountId and campaignId exclude each other")),
    }
}

/// One event more than the page is to have tells whether another page follows.
async fn history(
    ctx: &Context<'_>,
    stream: Option<StreamId>,
    after: Position,
    first: usize,
) -> Result<Page<StoredEvent>, LogError> {
    let log = &state(ctx).log;
    let mut rows = match stream {
        Some(stream) => log.read_stream_after(&stream, after, first + 1).await?,
        None => log.read_after(after, first + 1).await?,
    };
    let has_more = rows.len() > first;
    rows.truncate(first);
    Ok(Page { rows, has_more })
}

/// One immutable fact.
#[derive(SimpleObject)]
pub(super) struct Event {
    /// Its place in the log.
    position: String,
    /// Such as `account:cus_0001`.
    stream: String,
    /// Its place in the stream, from 1.
    version: u64,
    /// Such as `TransactionEvaluated`.
    r#type: String,
    /// When we recorded it.
    recorded_at: DateTime,
    /// As the log has it, without what is sealed.
    payload: Json<Value>,
    /// The link of the stream's chain, and the leaf of the tree.
    hash: String,
}

impl Event {
    fn of(stored: &StoredEvent) -> Result<Event, serde_json::Error> {
        let mut payload = serde_json::from_slice(&stored.payload)?;
        without_sealed(&mut payload);
        Ok(Event {
            position: stored.position.to_string(),
            stream: stored.stream.to_string(),
            version: stored.sequence,
            r#type: stored.event_type.to_string(),
            recorded_at: stored.recorded_at.into(),
            payload: Json(payload),
            hash: stored.hash.to_string(),
        })
    }
}

/// Takes out sealed details and seeds wherever they stand.
fn without_sealed(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("details");
            fields.remove("sealed_seed");
            fields.values_mut().for_each(without_sealed);
        }
        Value::Array(values) => values.iter_mut().for_each(without_sealed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_sealed_is_absent_wherever_it_stands() {
        let mut payload = json!({ "TransactionEvaluated": {
            "line": { "source": "acme", "details": "c2VhbGVk" },
            "draws": [{ "r": 7, "details": 1 }],
            "sealed_seed": "c2VlZA",
        }});
        without_sealed(&mut payload);
        let rest = json!({ "TransactionEvaluated": { "line": { "source": "acme" }, "draws": [{ "r": 7 }] } });
        assert_eq!(payload, rest);
    }
}
