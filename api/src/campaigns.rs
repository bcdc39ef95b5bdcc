//! `POST /v1/campaigns` drafts a campaign, `POST /v1/campaigns/{id}/{action}` does everything else
//! with it, `GET` shows what is public of it or will be: terms, odds, commitments.

mod view;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ledger_core::campaign::terms::Terms;
use ledger_core::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use ledger_core::engine::{CommandContext, Ledger, SubmitError};
use ledger_core::ids::CampaignId;
use ledger_core::operate::campaigns::command;
use ledger_core::text::without_values;
use serde_json::{Value, json};

pub use self::view::show;
use self::view::shown;
use crate::ApiState;
use crate::action::{GIVE_AGAIN, body, who};
use crate::auth::{Caller, Scope};
use crate::intake::unwritable;
use crate::observe::RequestId;
use crate::problem::{Path, Problem};

/// Commands campaigns, and says how they stand; the ledger as this module sees it. Contract: that
/// of [`Ledger::campaign`] and [`Ledger::campaigns`].
#[async_trait::async_trait]
pub trait CommandCampaigns: Send + Sync {
    /// Answers once what happened is durable.
    async fn command(
        &self,
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: CommandContext,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, SubmitError>;

    /// Never reads a history: whoever may ask could ask often.
    async fn states(&self, only: Option<CampaignId>) -> Result<Vec<(Campaign, u64)>, SubmitError>;
}

#[async_trait::async_trait]
impl CommandCampaigns for Ledger {
    async fn command(
        &self,
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: CommandContext,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, SubmitError> {
        self.campaign(campaign, kind, context).await
    }

    async fn states(&self, only: Option<CampaignId>) -> Result<Vec<(Campaign, u64)>, SubmitError> {
        self.campaigns(only).await
    }
}

/// What a token needs for an action. A seed is opened by who may not also write the campaign's
/// terms.
fn scope(action: &str) -> Scope {
    if action == "open-seed" { Scope::Ops } else { Scope::CampaignsWrite }
}

/// Drafts a campaign: the body is its terms.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Extension(id): Extension<RequestId>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let by = who(&caller, Scope::CampaignsWrite)?;
    let body = body(request).await?;
    if body.trim_ascii().is_empty() {
        let why = "the body is empty: send the campaign's terms as JSON";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why));
    }
    let terms: Terms = serde_json::from_slice(&body).map_err(|e| {
        let why = without_values(&e);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the terms cannot be read: {why}"))
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
    let by = who(&caller, scope(&action))?;
    let campaign = CampaignId::parse(&campaign).map_err(|_| no_such_campaign())?;
    let body = body(request).await?;
    // A draft has a path of its own.
    let action = if action == "create" { "" } else { &action };
    give(&state, &id, &by, campaign, command(action, &body)?).await
}

/// All campaigns, each as [`show`] has it.
pub(crate) async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Response, Problem> {
    may_read(&caller)?;
    let campaigns = states(&state, None).await?;
    Ok(Json(json!({ "campaigns": campaigns })).into_response())
}

/// One campaign.
pub(crate) async fn get(
    State(state): State<ApiState>,
    Path(campaign): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    may_read(&caller)?;
    let campaign = CampaignId::parse(&campaign).map_err(|_| no_such_campaign())?;
    let shown = states(&state, Some(campaign)).await?.pop().ok_or_else(no_such_campaign)?;
    Ok(Json(shown).into_response())
}

async fn states(state: &ApiState, only: Option<CampaignId>) -> Result<Vec<Value>, Problem> {
    let states = state.campaigns.states(only).await.map_err(|error| unwritable(&error, "ask again"))?;
    let now = state.clock.now();
    Ok(states.iter().filter_map(|(campaign, events)| shown(campaign, *events, now)).collect())
}

fn may_read(caller: &Caller) -> Result<(), Problem> {
    if !caller.has(Scope::AuditRead) {
        caller.require(Scope::CampaignsWrite)?;
    }
    Ok(())
}

async fn give(
    state: &ApiState,
    id: &RequestId,
    by: &str,
    campaign: CampaignId,
    kind: CampaignCommandKind,
) -> Result<Response, Problem> {
    let context = CommandContext::new(by, id.as_str(), id.as_str());
    let answer = state.campaigns.command(campaign.clone(), kind, context).await;
    let answer = answer.map_err(|error| unwritable(&error, GIVE_AGAIN))?;
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
        | CampaignRejection::PausedBefore
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
