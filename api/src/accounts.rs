//! `POST /v1/accounts/{account_id}/{action}` opens, closes, excludes and reinstates customers, and
//! reviews their held lines; `GET` shows what staff may see of one. Amounts, merchants and names
//! are in neither.

mod held;
mod view;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ledger_core::account::{AccountAnswer, CommandKind, Rejection};
use ledger_core::engine::{CommandContext, SubmitError};
use ledger_core::ids::AccountId;
use ledger_core::log::LogError;
use ledger_core::operate::accounts::{command, result};
use ledger_core::steps::intake::Intake;
use ledger_core::transaction::wire::parse_account_id;
use serde_json::json;

pub use self::held::held_to_json;
pub(crate) use self::held::list as list_held;
pub use self::view::show;
use crate::ApiState;
use crate::action::{GIVE_AGAIN, body, unreadable_log, who};
use crate::auth::{Caller, Scope};
use crate::intake::unwritable;
use crate::observe::RequestId;
use crate::problem::{Path, Problem};

/// Commands accounts; the ledger as this module sees it. Contract: that of [`Intake::account`].
#[async_trait::async_trait]
pub trait CommandAccounts: Send + Sync {
    /// Answers once what happened is durable.
    async fn command(
        &self,
        account: AccountId,
        kind: CommandKind,
        context: CommandContext,
    ) -> Result<Result<AccountAnswer, Rejection>, SubmitError>;
}

#[async_trait::async_trait]
impl CommandAccounts for Intake {
    async fn command(
        &self,
        account: AccountId,
        kind: CommandKind,
        context: CommandContext,
    ) -> Result<Result<AccountAnswer, Rejection>, SubmitError> {
        Intake::account(self, account, kind, context).await
    }
}

/// Does something with an account.
pub(crate) async fn act(
    State(state): State<ApiState>,
    Extension(id): Extension<RequestId>,
    Path((account, action)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let by = who(&caller, Scope::Ops)?;
    let body = body(request).await?;
    let kind = command(&action, &body)?;
    let account = parse_account_id(&account).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{}: {}", error.field, error.message))
    })?;
    let context = CommandContext::new(&by, id.as_str(), id.as_str());
    let answer = state.accounts.command(account.clone(), kind, context).await;
    let answer = answer.map_err(|error| unwritable(&error, GIVE_AGAIN))?;
    match answer {
        Ok(answer) => Ok(Json(json!({ "account_id": account, "result": result(&answer) })).into_response()),
        Err(rejection) => Err(Problem::new(status(&rejection), rejection.to_string())),
    }
}

/// What staff may see of an account.
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(account): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    may_look(&caller)?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, Rejection::AccountUnknown.to_string());
    let account = AccountId::parse(&account).map_err(|_| unknown())?;
    let shown = show(&*state.log, &account).await.map_err(|error| {
        let problem = unreadable_log(&error);
        let damaged = matches!(error, LogError::Damaged(_));
        if damaged { unwritable(&SubmitError::AccountUnavailable, "") } else { problem }
    })?;
    Ok(Json(shown.ok_or_else(unknown)?).into_response())
}

/// Auditors and operators.
fn may_look(caller: &Caller) -> Result<(), Problem> {
    if !caller.has(Scope::AuditRead) {
        caller.require(Scope::Ops)?;
    }
    Ok(())
}

fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::AccountUnknown => StatusCode::NOT_FOUND,
        Rejection::SecondPersonNeeded { .. } => StatusCode::FORBIDDEN,
        Rejection::AccountUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::AccountClosed
        | Rejection::AccountErased
        | Rejection::Conflict
        | Rejection::UnknownReward(_)
        | Rejection::NotIssued(_)
        | Rejection::UnknownAttempt { .. }
        | Rejection::AlreadyCredited { .. }
        | Rejection::NotHeld(_)
        | Rejection::DecidedBefore(_)
        | Rejection::KnownOtherwise(_)
        | Rejection::SealedElsewhere(_) => StatusCode::CONFLICT,
    }
}
