//! `GET /v1/parked` and `/v1/parked/{id}`: items that steps have given up. `POST
//! /v1/parked/{id}/{action}` says what becomes of one; what costs or saves money takes two people.

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use ledger_core::engine::{CommandContext, Ledger};
use ledger_core::faults;
use ledger_core::log::Position;
use ledger_core::operate::parked::command;
use ledger_core::steps::items::ItemRow;
use ledger_core::steps::parked::{PAGE_MAX, ParkedError, ParkedItems};
use ledger_core::system::{ParkedAction, SystemAnswer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ApiState;
use crate::action::{GIVE_AGAIN, body, unreadable_log, who};
use crate::auth::{Caller, Scope};
use crate::intake::unwritable;
use crate::observe::RequestId;
use crate::problem::{Path, Problem, Query};

/// Items in a page unless asked for otherwise.
const FIRST: usize = 100;

/// Parked items; the steps as this module sees them. Contract: that of [`ParkedItems`].
#[async_trait]
pub trait ManageParked: Send + Sync {
    /// A page in the order of ids, and the id to go on after.
    async fn list(&self, after: &str, limit: usize) -> Result<(Vec<ItemRow>, Option<String>), ParkedError>;
    /// One item, parked or waiting.
    async fn show(&self, id: &str) -> Result<ItemRow, ParkedError>;
    /// Answers once what was decided is durable.
    async fn resolve(
        &self,
        id: &str,
        action: ParkedAction,
        reason: String,
        context: CommandContext,
    ) -> Result<SystemAnswer, ParkedError>;
}

/// The items of a running ledger.
pub struct Parked {
    /// The rows.
    pub items: ParkedItems,
    /// Where what people decide becomes an event.
    pub ledger: Ledger,
}

#[async_trait]
impl ManageParked for Parked {
    async fn list(&self, after: &str, limit: usize) -> Result<(Vec<ItemRow>, Option<String>), ParkedError> {
        self.items.list(after, limit).await
    }

    async fn show(&self, id: &str) -> Result<ItemRow, ParkedError> {
        self.items.show(id).await
    }

    async fn resolve(
        &self,
        id: &str,
        action: ParkedAction,
        reason: String,
        context: CommandContext,
    ) -> Result<SystemAnswer, ParkedError> {
        self.items.resolve(&self.ledger, id, action, reason, context).await
    }
}

/// Which of them.
#[derive(Deserialize)]
pub(crate) struct Asked {
    first: Option<usize>,
    after: Option<String>,
}

/// A page of parked items.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(Asked { first, after }): Query<Asked>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.require(Scope::Ops)?;
    let first = first.unwrap_or(FIRST);
    if !(1..=PAGE_MAX).contains(&first) {
        let detail = format!("first: must be 1 to {PAGE_MAX}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let page = state.parked.list(&after.unwrap_or_default(), first).await.map_err(problem)?;
    Ok(Json(page_to_json(&page)))
}

/// One of them.
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    caller.require(Scope::Ops)?;
    Ok(Json(item_to_json(&state.parked.show(&id).await.map_err(problem)?)))
}

/// Says what becomes of one.
pub(crate) async fn act(
    State(state): State<ApiState>,
    Extension(request_id): Extension<RequestId>,
    Path((id, action)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let by = who(&caller, Scope::Ops)?;
    let (action, reason) = command(&action, &body(request).await?)?;
    let context = CommandContext::new(&by, request_id.as_str(), request_id.as_str());
    let answer = state.parked.resolve(&id, action, reason, context).await.map_err(problem)?;
    Ok(Json(json!({ "id": id, "result": answer.as_str() })))
}

/// A page as it is answered over HTTP and on the command line.
pub fn page_to_json((rows, next): &(Vec<ItemRow>, Option<String>)) -> Value {
    json!({ "parked": rows.iter().map(item_to_json).collect::<Vec<_>>(), "next": next })
}

/// One item likewise.
pub fn item_to_json(row: &ItemRow) -> Value {
    let act = row.act.as_ref().map(|act| act.action.as_str());
    let proposal = row.proposed.as_ref();
    let proposal = proposal.map(|proposed| json!({ "action": proposed.action.as_str(), "by": proposed.by }));
    json!({
        "id": row.id, "step": row.step, "state": row.state.as_str(), "account_id": row.account,
        "position": Position(row.position).to_string(), "reason": row.reason, "attempts": row.attempts,
        "payment_attempt": row.about, "since": row.since(), "next_at": row.next_at(),
        "action": act, "proposal": proposal,
    })
}

fn problem(error: ParkedError) -> Problem {
    match error {
        ParkedError::Unknown => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
        ParkedError::NotParked | ParkedError::Rejected(_) => {
            Problem::new(StatusCode::CONFLICT, error.to_string())
        }
        ParkedError::Log(error) => unreadable_log(&error),
        ParkedError::Ledger(error) => unwritable(&error, GIVE_AGAIN),
        ParkedError::Rows(error) => {
            faults::warn("parked items cannot be read just now", "", &error);
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "parked items cannot be read just now")
                .retry_after(2)
        }
    }
}

/// What a state without steps answers, for tests of everything else.
#[cfg(test)]
pub(crate) struct NothingParked;

#[cfg(test)]
#[async_trait]
impl ManageParked for NothingParked {
    async fn list(&self, _: &str, _: usize) -> Result<(Vec<ItemRow>, Option<String>), ParkedError> {
        Ok((vec![], None))
    }

    async fn show(&self, _: &str) -> Result<ItemRow, ParkedError> {
        Err(ParkedError::Unknown)
    }

    async fn resolve(
        &self,
        _: &str,
        _: ParkedAction,
        _: String,
        _: CommandContext,
    ) -> Result<SystemAnswer, ParkedError> {
        Err(ParkedError::Unknown)
    }
}
