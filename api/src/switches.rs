//! `GET /v1/switches` shows what is halted; `POST /v1/switches/{what}/{action}` halts it or lets it
//! go on.

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use futures::TryStreamExt as _;
use ledger_core::engine::{CommandContext, Ledger, SubmitError};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::log::{EventLog, LogError, Position, StreamId, follow};
use ledger_core::operate::switches::command;
use ledger_core::system::{Switch, System, SystemAnswer, SystemCommandKind, SystemEvent, SystemRejection};
use serde_json::{Value, json};

use crate::ApiState;
use crate::action::{GIVE_AGAIN, body, who};
use crate::auth::{Caller, Scope};
use crate::intake::unwritable;
use crate::observe::RequestId;
use crate::problem::{Path, Problem};

/// Switches; the ledger as this module sees it.
#[async_trait]
pub trait KeepSwitches: Send + Sync {
    /// How they are set.
    fn state(&self) -> System;

    /// Answers once that is durable.
    async fn set(
        &self,
        kind: SystemCommandKind,
        context: CommandContext,
    ) -> Result<Result<SystemAnswer, SystemRejection>, SubmitError>;
}

#[async_trait]
impl KeepSwitches for Ledger {
    fn state(&self) -> System {
        self.system_state().borrow().clone()
    }

    async fn set(
        &self,
        kind: SystemCommandKind,
        context: CommandContext,
    ) -> Result<Result<SystemAnswer, SystemRejection>, SubmitError> {
        Ok(self.system(kind, context).await?.map(|(answer, _)| answer))
    }
}

/// All of them.
pub(crate) async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.require(Scope::Ops)?;
    Ok(Json(to_json(&state.switches.state())))
}

/// Sets one.
pub(crate) async fn act(
    State(state): State<ApiState>,
    Extension(request_id): Extension<RequestId>,
    Path((what, action)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let by = who(&caller, Scope::Ops)?;
    let kind = command(&what, &action, &body(request).await?)?;
    let context = CommandContext::new(&by, request_id.as_str(), request_id.as_str());
    let answer = state.switches.set(kind, context).await.map_err(|error| unwritable(&error, GIVE_AGAIN))?;
    let answer = answer.map_err(|rejection| Problem::new(StatusCode::CONFLICT, rejection.to_string()))?;
    Ok(Json(json!({ "what": what, "result": answer.as_str() })))
}

/// As they are answered over HTTP and on the command line.
pub fn to_json(system: &System) -> Value {
    let switch = |what: Switch| {
        let set = system.switch(what);
        json!({
            "what": what.as_str(),
            "halted": system.is_halted(what),
            "reason": set.map(|set| &set.reason),
            "by": set.map(|set| &set.by),
        })
    };
    json!({ "switches": Switch::ALL.map(switch) })
}

/// What people have set, as this log says; for who has no ledger to ask.
pub async fn read(log: &dyn EventLog) -> Result<System, LogError> {
    let (stream, mut system) = (StreamId::system(), System::default());
    let mut events = follow(log, Some(&stream), Position(0));
    while let Some(stored) = events.try_next().await? {
        if let LedgerEvent::System(event @ SystemEvent::SwitchSet { .. }) = decode(&stored)? {
            cqrs_es::Aggregate::apply(&mut system, event);
        }
    }
    Ok(system)
}
