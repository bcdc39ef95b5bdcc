//! `GET /v1/clock` shows whether the ledger trusts its clock; `POST /v1/clock/accept` says that it
//! may.

use axum::extract::{Request, State};
use axum::{Extension, Json};
use ledger_core::engine::{ClockState, CommandContext, Ledger, SubmitError};
use ledger_core::operate::{ActionError, Reason, read};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ApiState;
use crate::action::{GIVE_AGAIN, body, who};
use crate::auth::{Caller, Scope};
use crate::intake::unwritable;
use crate::observe::RequestId;
use crate::problem::Problem;

/// Knows the time; the ledger as this module sees it.
#[async_trait::async_trait]
pub trait KeepTime: Send + Sync {
    /// What the clock shows and should show.
    fn state(&self) -> ClockState;

    /// A person says that the clock is right. False if nobody doubted it; nothing is recorded then.
    async fn accept(&self, reason: String, context: CommandContext) -> Result<bool, SubmitError>;
}

#[async_trait::async_trait]
impl KeepTime for Ledger {
    fn state(&self) -> ClockState {
        self.clock().state()
    }

    async fn accept(&self, reason: String, context: CommandContext) -> Result<bool, SubmitError> {
        self.accept_clock(reason, context).await
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    reason: Reason,
}

/// What the clock shows.
pub(crate) async fn get(State(state): State<ApiState>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.require(Scope::Ops)?;
    let ClockState { shows, expected, ahead } = state.time.state();
    Ok(Json(json!({
        "in_order": ahead.is_none(),
        "shows": shows,
        "expected": expected,
        "ahead_seconds": ahead.map(|ahead| ahead.seconds),
    })))
}

/// Why the clock is accepted.
pub(crate) fn reason(body: &[u8]) -> Result<String, ActionError> {
    let Accept { reason: Reason(reason) } = read("accept", body)?;
    Ok(reason)
}

/// Accepts it.
pub(crate) async fn accept(
    State(state): State<ApiState>,
    Extension(id): Extension<RequestId>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let by = who(&caller, Scope::Ops)?;
    let body = body(request).await?;
    let reason = reason(&body)?;
    let context = CommandContext::new(&by, id.as_str(), id.as_str());
    let accepted = state.time.accept(reason, context).await;
    let accepted = accepted.map_err(|error| unwritable(&error, GIVE_AGAIN))?;
    Ok(Json(json!({ "result": if accepted { "done" } else { "unchanged" } })))
}
