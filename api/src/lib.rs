//! What the outside talks to: `POST /v1/transactions` for feeds, `/graphql` for apps and auditors,
//! and the pages that a load balancer and Prometheus read.
//!
//! [`server`] lets connections in and bounds them. [`front`] answers while there is no ledger to
//! serve. [`router`] puts the rest together; [`observe`] wraps it with request ids, spans,
//! counters, security headers, panics and time-outs.
//!
//! [`auth`] says who calls, [`allowance`] what he may cost, [`cors`] from which web apps, and
//! [`problem`] how a request is refused. [`intake`] takes transactions in. [`campaigns`],
//! [`accounts`] and [`parked`] take commands, with [`action`] in common; [`switches`] halts
//! things, [`clock`] shows and accepts the time. [`graphql`] answers queries from the read models. [`health`] says whether we
//! can serve, [`openapi`] describes the REST part. [`proof`] and [`explorer`] are pages for people.

pub mod accounts;
pub mod action;
pub mod allowance;
pub mod auth;
pub mod bodies;
pub mod campaigns;
pub mod clock;
pub mod cors;
pub mod explorer;
pub mod front;
pub mod graphql;
pub mod health;
pub mod intake;
pub mod observe;
pub mod openapi;
pub mod parked;
pub mod problem;
pub mod proof;
pub mod server;
pub mod switches;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use ledger_core::ids::{Source, TransactionId};
use ledger_core::keys::Keyring;
use ledger_core::log::EventLog;
use ledger_core::time::Clock;
use projections::ReadStore;
use projections::runner::Progress;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::compression::{CompressionLayer, CompressionLevel};

use crate::accounts::CommandAccounts;
use crate::allowance::Allowances;
use crate::auth::Verifier;
use crate::bodies::Bodies;
use crate::campaigns::CommandCampaigns;
use crate::clock::KeepTime;
use crate::cors::Origins;
use crate::explorer::MakeTokens;
use crate::graphql::ApiSchema;
use crate::intake::TakeRows;
use crate::parked::ManageParked;
use crate::problem::Problem;
use crate::switches::KeepSwitches;

/// What the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// What a token's bearer may cost.
    pub allowances: Arc<Allowances>,
    /// Tells the time to the verifier.
    pub clock: Arc<dyn Clock>,
    /// Where transactions go; in a running service the ledger's
    /// [`Intake`](ledger_core::steps::intake::Intake).
    pub intake: Arc<dyn TakeRows>,
    /// Room for the bodies of requests that bring transactions.
    pub bodies: Bodies,
    /// Where commands to campaigns go; in a running service the ledger.
    pub campaigns: Arc<dyn CommandCampaigns>,
    /// Where commands to accounts go; in a running service the same intake.
    pub accounts: Arc<dyn CommandAccounts>,
    /// Whether the clock is in order; in a running service the ledger.
    pub time: Arc<dyn KeepTime>,
    /// What steps have given up; in a running service [`parked::Parked`].
    pub parked: Arc<dyn ManageParked>,
    /// What people have halted; in a running service the ledger.
    pub switches: Arc<dyn KeepSwitches>,
    /// Whether the writer's last append went well.
    pub writer_healthy: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The log, for the event history and for readiness.
    pub log: Arc<dyn EventLog>,
    /// The read models.
    pub read: ReadStore,
    /// How far the read models are.
    pub progress: Progress,
    /// How far they may be behind.
    pub ready: health::Bounds,
    /// Opens personal details for their owner.
    pub keyring: Arc<Keyring>,
    /// The metrics in Prometheus' text format.
    pub render_metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The profile `production`: the schema is shown to the scope `ops` only, and there is no page
    /// of GraphiQL.
    pub production: bool,
    /// Makes the tokens that pages come with. Anyone who can reach the pages gets them: for
    /// sandboxes only.
    pub page_tokens: Option<MakeTokens>,
    /// A sandbox's purchases of a day that is drawn and revealed; anyone may see their proofs.
    pub demo: Arc<[(Source, TransactionId)]>,
    /// Web apps that may read answers.
    pub origins: Origins,
}

/// Bytes from which on an answer is compressed for whoever asks for it.
const COMPRESSED_FROM: u16 = 1_024;

/// All routes.
pub fn router(state: ApiState) -> Router {
    let schema: ApiSchema = graphql::schema(&state);
    let origins = state.origins.clone();
    let pages = Router::new()
        .route("/", get(explorer::first))
        .route("/explorer/{file}", get(explorer::file))
        .route("/proof", get(proof::get))
        .route("/proof/demo", get(proof::demo));
    let (mut counted, mut others) = (Router::new(), pages);
    for (path, methods) in rest() {
        if path == intake::PATH || !path.starts_with("/v1/") {
            others = others.route(path, methods);
        } else {
            counted = counted.route(path, methods);
        }
    }
    let graphql = get(graphql::http::get).post(graphql::http::post).layer(axum::Extension(schema));
    let cost = axum::middleware::from_fn_with_state(state.clone(), allowance::limit);
    let routes = counted
        .route("/graphql", graphql)
        .route_layer(cost)
        .merge(others)
        .with_state(state)
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not know the method")
        });
    observed(routes, &origins)
}

/// The REST part: what `openapi.json` describes, no more and no less.
fn rest() -> [(&'static str, MethodRouter<ApiState>); 18] {
    [
        (intake::PATH, post(intake::post_transactions)),
        ("/v1/campaigns", get(campaigns::list).post(campaigns::create)),
        ("/v1/campaigns/{id}", get(campaigns::get)),
        ("/v1/campaigns/{id}/{action}", post(campaigns::act)),
        ("/v1/accounts/{id}", get(accounts::get)),
        ("/v1/accounts/{id}/{action}", post(accounts::act)),
        ("/v1/held", get(accounts::list_held)),
        ("/v1/clock", get(clock::get)),
        ("/v1/clock/accept", post(clock::accept)),
        ("/v1/parked", get(parked::list)),
        ("/v1/parked/{id}", get(parked::get)),
        ("/v1/parked/{id}/{action}", post(parked::act)),
        ("/v1/switches", get(switches::list)),
        ("/v1/switches/{what}/{action}", post(switches::act)),
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/openapi.json", get(openapi::get)),
    ]
}

/// Puts around routes what every answer gets.
fn observed(routes: Router, origins: &Origins) -> Router {
    let routes = routes
        .layer(axum::middleware::from_fn(observe::limit_time))
        .layer(CatchPanicLayer::custom(observe::panicked));
    let worth = SizeAbove::new(COMPRESSED_FROM);
    let compressed = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth);
    origins.around(routes).layer(compressed).layer(axum::middleware::from_fn(observe::observe))
}

#[cfg(test)]
mod tests;
