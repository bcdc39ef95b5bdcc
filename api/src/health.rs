//! What machines ask about us: `/healthz` (the process lives), `/readyz` (it can serve),
//! `/metrics`.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger_core::log::LogError;
use ledger_core::system::Switch;
use serde::Serialize;

use crate::ApiState;

/// How far the read models may be behind the log for the service to count as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In events.
    pub lag_events_max: u64,
    /// In time: the age of the oldest event that they have not seen.
    pub lag_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { lag_events_max: 10_000, lag_max: Duration::from_secs(30) }
    }
}

/// How long the log may take to say where it stands.
const LOG_PATIENCE: Duration = Duration::from_millis(400);

/// 200 as long as the process can answer at all.
pub async fn alive() -> &'static str {
    "ok"
}

/// The state of what we depend on.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    state: &'static str,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    writer: &'static str,
    log: &'static str,
    clock: Cow<'static, str>,
    projections: &'static str,
    lag_events: Option<u64>,
    lag_ms: Option<u64>,
    /// What people have halted; that is no fault.
    halted: Vec<&'static str>,
}

/// 200 if transactions can be taken and reads are fresh enough, else 503. A check that is not `ok`
/// says what is wrong.
pub async fn ready(State(state): State<ApiState>) -> Response {
    let lag = tokio::time::timeout(LOG_PATIENCE, measure(&state)).await;
    let writer = if (state.writer_healthy)() { "ok" } else { "cannot write" };
    let (log, lag) = judge_log(lag);
    let projections = judge_projections(&state, lag);
    let clock = state.time.state().ahead.map_or(Cow::from("ok"), |ahead| ahead.to_string().into());
    let ready = [writer, log, projections, &*clock].iter().all(|check| *check == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let lag_ms = lag.map(|lag| u64::try_from(lag.lasted.as_millis()).unwrap_or(u64::MAX));
    let (lag_events, switches) = (lag.map(|lag| lag.events), state.switches.state());
    let halted =
        Switch::ALL.into_iter().filter(|what| switches.is_halted(*what)).map(Switch::as_str).collect();
    let checks = Checks { writer, log, clock, projections, lag_events, lag_ms, halted };
    (status, Json(Readiness { ready, state: "serving", checks })).into_response()
}

/// How far the read models are behind the log.
#[derive(Clone, Copy, Default)]
struct Lag {
    events: u64,
    /// Since the oldest event that they have not seen was recorded.
    lasted: Duration,
}

async fn measure(state: &ApiState) -> Result<Lag, LogError> {
    let head = state.log.head().await?.position;
    let at = state.progress.position();
    let events = head.0.saturating_sub(at.0);
    if events == 0 {
        return Ok(Lag::default());
    }
    let oldest = state.log.read_after(at, 1).await?;
    let since = oldest.first().map_or(0, |event| state.clock.now().micros() - event.recorded_at.micros());
    Ok(Lag { events, lasted: Duration::from_micros(u64::try_from(since).unwrap_or(0)) })
}

fn judge_log(lag: Result<Result<Lag, LogError>, tokio::time::error::Elapsed>) -> (&'static str, Option<Lag>) {
    match lag {
        Ok(Ok(lag)) => ("ok", Some(lag)),
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the log cannot be read");
            ("cannot be read", None)
        }
        Err(_) => ("does not answer", None),
    }
}

fn judge_projections(state: &ApiState, lag: Option<Lag>) -> &'static str {
    let Bounds { lag_events_max, lag_max } = state.ready;
    match lag {
        _ if !state.progress.is_running() => "stopped",
        Some(lag) if lag.events > lag_events_max => "too many events behind",
        Some(lag) if lag.lasted > lag_max => "behind for too long",
        Some(_) => "ok",
        None => "unknown",
    }
}

/// What Prometheus reads.
pub(crate) const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prometheus' text format.
pub async fn metrics(State(state): State<ApiState>) -> Response {
    let content_type = HeaderValue::from_static(METRICS_TYPE);
    ([(header::CONTENT_TYPE, content_type)], (state.render_metrics)()).into_response()
}
