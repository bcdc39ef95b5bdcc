//! `POST /v1/campaigns` drafts a campaign, `POST /v1/campaigns/{id}/{action}` does everything else with it.
//!
//! Whoever holds the token is who did it: where two people are needed, two tokens with different `sub` are.

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ledger_core::campaign::terms::Terms;
use ledger_core::campaign::{CampaignAnswer, CampaignCommandKind, CampaignRejection};
use ledger_core::engine::{Context, Ledger, SubmitError};
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::money::Money;
use ledger_core::time::{Epoch, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::ApiState;
use crate::auth::{Caller, Scope};
use crate::intake::{media_type, read_body, unwritable};
use crate::observe::RequestId;
use crate::problem::Problem;

/// Commands campaigns; the ledger as this module sees it. Contract: that of [`Ledger::campaign`].
#[async_trait::async_trait]
pub trait CommandCampaigns: Send + Sync {
    /// Answers once what happened is durable.
    async fn command(
        &self,
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: Context,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, SubmitError>;
}

#[async_trait::async_trait]
impl CommandCampaigns for Ledger {
    async fn command(
        &self,
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: Context,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, SubmitError> {
        self.campaign(campaign, kind, context).await
    }
}

/// The most that a body may have: terms with long lists of merchants.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What a command needs beside the campaign, as the body of its request.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// No such action.
    #[error("there is no action {0:?}")]
    Unknown(String),
    /// A body that does not fit.
    #[error("the body of {action} cannot be read: {cause}")]
    Body {
        /// Of which action.
        action: String,
        /// Where, and what is expected.
        cause: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    version: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    start_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fund {
    amount: Money,
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveFunding {
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfEpoch {
    epoch: Epoch,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The command that an action and its body are. An empty body is `{}`.
pub fn command(action: &str, body: &[u8]) -> Result<CampaignCommandKind, ActionError> {
    fn read<T: DeserializeOwned>(action: &str, body: &[u8]) -> Result<T, ActionError> {
        let body = if body.is_empty() { b"{}" } else { body };
        serde_json::from_slice(body)
            .map_err(|e| ActionError::Body { action: action.into(), cause: e.to_string() })
    }
    Ok(match action {
        "create" => CampaignCommandKind::Draft(read(action, body)?),
        "revise" => CampaignCommandKind::Revise(read(action, body)?),
        "approve" => {
            let Approve { version } = read(action, body)?;
            CampaignCommandKind::Approve { version }
        }
        "schedule" => {
            let Schedule { start_at } = read(action, body)?;
            CampaignCommandKind::Schedule { start_at }
        }
        "pause" => {
            let Pause { reason } = read(action, body)?;
            CampaignCommandKind::Pause { reason }
        }
        "fund" => {
            let Fund { amount, reference } = read(action, body)?;
            CampaignCommandKind::Fund { amount, reference }
        }
        "approve-funding" => {
            let ApproveFunding { reference } = read(action, body)?;
            CampaignCommandKind::ApproveFunding { reference }
        }
        "halt-epoch" => {
            let OfEpoch { epoch, reason } = read(action, body)?;
            CampaignCommandKind::HaltEpoch { epoch, reason }
        }
        "resume-epoch" => {
            let OfEpoch { epoch, reason } = read(action, body)?;
            CampaignCommandKind::ResumeEpoch { epoch, reason }
        }
        "start" | "resume" | "end" => {
            let Nothing {} = read(action, body)?;
            match action {
                "start" => CampaignCommandKind::Start,
                "resume" => CampaignCommandKind::Resume,
                _ => CampaignCommandKind::End,
            }
        }
        other => return Err(ActionError::Unknown(other.into())),
    })
}

/// Drafts a campaign: the body is its terms.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Extension(id): Extension<RequestId>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let by = who(&caller)?;
    let body = body(request).await?;
    let terms: Terms = serde_json::from_slice(&body).map_err(|e| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the terms cannot be read: {e}"))
    })?;
    let campaign = terms.campaign_id.clone();
    give(&state, &id, &by, campaign, CampaignCommandKind::Draft(Box::new(terms))).await
}

/// Does something with a campaign.
pub(crate) async fn act(
    State(state): State<ApiState>,
    Extension(id): Extension<RequestId>,
    Path((campaign, action)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let by = who(&caller)?;
    let campaign = CampaignId::parse(&campaign).map_err(|_| no_such_campaign())?;
    let body = body(request).await?;
    let kind = match command(&action, &body) {
        // A draft has a path of its own.
        Ok(CampaignCommandKind::Draft(_)) | Err(ActionError::Unknown(_)) => {
            return Err(Problem::new(StatusCode::NOT_FOUND, "a campaign has no such action"));
        }
        Ok(kind) => kind,
        Err(error @ ActionError::Body { .. }) => {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()));
        }
    };
    give(&state, &id, &by, campaign, kind).await
}

/// Who acts. A token that names nobody cannot be one of two people.
fn who(caller: &Caller) -> Result<String, Problem> {
    let identity = caller.require(Scope::CampaignsWrite)?;
    let subject = identity.subject.as_ref().map(AccountId::as_str);
    let subject = subject
        .ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "the token names nobody: it has no sub"))?;
    Ok(format!("operator:{subject}"))
}

async fn body(request: Request) -> Result<Bytes, Problem> {
    let typed = |headers: &HeaderMap| media_type(headers).as_deref() == Some("application/json");
    let is_json = typed(request.headers());
    let body = read_body(request, BODY_BYTES_MAX).await?;
    if body.is_empty() || is_json {
        Ok(body)
    } else {
        Err(Problem::unsupported_media_type("application/json"))
    }
}

async fn give(
    state: &ApiState,
    id: &RequestId,
    by: &str,
    campaign: CampaignId,
    kind: CampaignCommandKind,
) -> Result<Response, Problem> {
    let context = Context::new(by, id.as_str(), id.as_str());
    let answer = state.campaigns.command(campaign.clone(), kind, context).await;
    let answer =
        answer.map_err(|error| unwritable(&error, "the command may have been taken, give it again"))?;
    match answer {
        Ok(answer) => Ok(Json(json!({ "campaign_id": campaign, "result": answer.as_str() })).into_response()),
        Err(rejection) => Err(Problem::new(status(&rejection), rejection.to_string())),
    }
}

fn no_such_campaign() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, CampaignRejection::Unknown.to_string())
}

fn status(rejection: &CampaignRejection) -> StatusCode {
    match rejection {
        CampaignRejection::Unknown | CampaignRejection::UnknownFunding(_) => StatusCode::NOT_FOUND,
        CampaignRejection::Terms(_) | CampaignRejection::Budget(_) => StatusCode::UNPROCESSABLE_ENTITY,
        CampaignRejection::AuthorCannotApprove { .. } | CampaignRejection::SecondPersonNeeded { .. } => {
            StatusCode::FORBIDDEN
        }
        CampaignRejection::ExistsWithDifferentTerms
        | CampaignRejection::NotTheLatest { .. }
        | CampaignRejection::FundingExistsWithOtherAmount(_)
        | CampaignRejection::NotApproved
        | CampaignRejection::Started
        | CampaignRejection::NotStarted
        | CampaignRejection::Ended
        | CampaignRejection::WindowOver(_)
        | CampaignRejection::OverBudget { .. }
        | CampaignRejection::OverInventory { .. }
        | CampaignRejection::Beacon { .. }
        | CampaignRejection::EpochState { .. } => StatusCode::CONFLICT,
    }
}
