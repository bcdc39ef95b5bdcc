//! The history itself, without what is sealed. Auditors only.

use std::sync::Arc;

use async_graphql::{Context, Error, ID, Json, Object, SimpleObject};
use ledger_core::event::decode;
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::keys::open_part;
use ledger_core::log::{LogError, Position, StoredEvent, StreamId};
use projections::Page;
use serde_json::Value;

use super::access::{self, state};
use super::budget::Budget;
use super::error::{bad_input, fault};
use super::page::{self, PageOf, connection};
use super::scalars::{DateTime, int};

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
            events.push(Event::of(stored)?);
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

/// Events read at a time: terms with long lists make one a megabyte.
const READ_AT_ONCE: usize = 10;

/// One event more than the page is to have tells whether another page follows. A query that asks
/// for several histories gets one after the other. Each counts against the budget before the next
/// is read.
async fn history(
    ctx: &Context<'_>,
    stream: Option<StreamId>,
    after: Position,
    first: usize,
) -> Result<Page<StoredEvent>, LogError> {
    let (log, budget) = (&state(ctx).log, ctx.data_unchecked::<Arc<Budget>>());
    let _turn = budget.turn().await;
    let (mut rows, mut after) = (Vec::new(), after);
    while rows.len() <= first {
        let wanted = (first + 1 - rows.len()).min(READ_AT_ONCE);
        let page = match &stream {
            Some(stream) => log.read_stream_after(stream, after, wanted).await?,
            None => log.read_after(after, wanted).await?,
        };
        budget.charge(page.iter().map(|stored| stored.payload.len()).sum()).await;
        after = page.last().map_or(after, |last| last.position);
        let at_end = page.len() < wanted;
        rows.extend(page);
        if at_end {
            break;
        }
    }
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
    version: i32,
    /// Such as `TransactionEvaluated`.
    r#type: String,
    /// When we recorded it.
    recorded_at: DateTime,
    /// What it says, without what is sealed.
    payload: Json<Value>,
    /// The link of the stream's chain, and the leaf of the tree.
    hash: String,
}

impl Event {
    fn of(stored: &StoredEvent) -> Result<Event, Error> {
        let payload = decode(stored).map_err(|error| fault(&error))?;
        let payload = open_part(&payload).map_err(|error| fault(&error))?;
        Ok(Event {
            position: stored.position.to_string(),
            stream: stored.stream.to_string(),
            version: int(stored.sequence)?,
            r#type: stored.event_type.to_string(),
            recorded_at: stored.recorded_at.into(),
            payload: Json(payload),
            hash: stored.hash.to_string(),
        })
    }
}
