//! What machines ask about us: `/healthz` (the process lives), `/readyz` (it can serve), `/metrics`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger_core::log::{LogError, Position};
use serde::Serialize;

use crate::ApiState;

/// How many events the read models may be behind the log.
const LAG_EVENTS_MAX: u64 = 10_000;
/// How long the log may take to say where it stands.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// 200 as long as the process can answer at all.
pub async fn alive() -> &'static str {
    "ok"
}

/// The state of what we depend on.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    writer: &'static str,
    log: &'static str,
    projections: &'static str,
    lag_events: Option<u64>,
}

/// 200 if transactions can be taken and reads are fresh enough, else 503.
pub async fn ready(State(state): State<ApiState>) -> Response {
    let head = tokio::time::timeout(LOG_PATIENCE, state.log.head()).await;
    let head = head.map(|head| head.map(|head| head.position));
    let writer = if (state.writer_healthy)() { "ok" } else { "cannot write" };
    let (log, position) = judge_log(head);
    let (projections, lag_events) = judge_projections(&state, position);
    let ready = [writer, log, projections].iter().all(|check| *check == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks = Checks { writer, log, projections, lag_events };
    (status, Json(Readiness { ready, checks })).into_response()
}

fn judge_log(
    head: Result<Result<Position, LogError>, tokio::time::error::Elapsed>,
) -> (&'static str, Option<Position>) {
    match head {
        Ok(Ok(position)) => ("ok", Some(position)),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the log cannot be read");
            ("cannot be read", None)
        }
        Err(_) => ("does not answer", None),
    }
}

fn judge_projections(state: &ApiState, head: Option<Position>) -> (&'static str, Option<u64>) {
    if !state.progress.is_running() {
        return ("stopped", None);
    }
    let lag = head.map(|head| head.0.saturating_sub(state.progress.position().0));
    let late = lag.is_some_and(|lag| lag > LAG_EVENTS_MAX);
    (if late { "behind" } else { "ok" }, lag)
}

/// Prometheus' text format.
pub async fn metrics(State(state): State<ApiState>) -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], (state.render_metrics)()).into_response()
}
