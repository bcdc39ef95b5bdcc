//! What the door answers by itself: that we live, whether we can serve, our metrics; and that there
//! is no room.
//!
//! Each answer takes less than a second, whatever the service is busy with or waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::StreamExt as _;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::answered;
use crate::cors::Origins;
use crate::front::RenderMetrics;
use crate::health::METRICS_TYPE;
use crate::observe::Unobserved;
use crate::observed;
use crate::problem::Problem;

/// How long the service may take to say whether it is ready, from when somebody asks.
const PATIENCE: Duration = Duration::from_millis(600);
/// For so long after a service that did not answer nobody asks it again.
const PAUSE: Duration = Duration::from_millis(500);
/// The service's runtime shows this often that it runs.
const BEAT: Duration = Duration::from_millis(250);
/// A runtime that has not run for so long will not run again.
const STANDS_STILL: Duration = Duration::from_mins(1);
/// So much of a refused request is read, and for so long: a client that still sends would see a
/// broken connection in place of the answer.
const PASSED_OVER_MAX: usize = 8 * 1024 * 1024;
const PASSED_OVER_FOR: Duration = Duration::from_secs(1);

pub(super) struct Health {
    /// Those of the service.
    routes: Router,
    service: Handle,
    started: Instant,
    /// When the service's runtime last ran, in milliseconds since `started`.
    beat: Arc<AtomicU64>,
    render_metrics: RenderMetrics,
    last: Mutex<Option<Asked>>,
}

/// An answer to whether the service is ready.
#[derive(Clone)]
struct Asked {
    began: Instant,
    ended: Instant,
    /// `None`: there was none in time.
    answer: Option<(StatusCode, axum::body::Bytes)>,
}

impl Health {
    pub(super) fn start(routes: Router, render_metrics: RenderMetrics, service: &Handle) -> Arc<Health> {
        let health = Arc::new(Health {
            routes,
            service: service.clone(),
            started: Instant::now(),
            beat: Arc::default(),
            render_metrics,
            last: Mutex::default(),
        });
        let (beat, started) = (Arc::downgrade(&health.beat), health.started);
        service.spawn(async move {
            while let Some(beat) = beat.upgrade() {
                beat.store(millis(started.elapsed()), Ordering::Relaxed);
                tokio::time::sleep(BEAT).await;
            }
        });
        health
    }

    /// What is answered at the door.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        let routes = Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .fallback(no_room)
            .method_not_allowed_fallback(no_room)
            .with_state(Arc::clone(self));
        observed(routes, &Origins::default())
    }

    /// Whether the service is ready, as it said after `arrived`. Whoever waits shares one question.
    async fn ask(&self, arrived: Instant) -> Asked {
        let mut last = self.last.lock().await;
        if let Some(asked) = last.as_ref()
            && (asked.began >= arrived || asked.answer.is_none() && asked.ended.elapsed() < PAUSE)
        {
            return asked.clone();
        }
        let began = Instant::now();
        let routes = self.routes.clone();
        let asked = self.service.spawn(async move {
            let mut request = Request::get("/readyz").body(Body::empty()).ok()?;
            request.extensions_mut().insert(Unobserved);
            let response = answered(routes.oneshot(request).await);
            let (parts, body) = response.into_parts();
            Some((parts.status, to_bytes(body, 64 * 1024).await.ok()?))
        });
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok().and_then(Result::ok).flatten();
        let asked = Asked { began, ended: Instant::now(), answer };
        *last = Some(asked.clone());
        asked
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// 200 as long as the service's runtime runs.
async fn alive(State(health): State<Arc<Health>>) -> Response {
    let beat = Duration::from_millis(health.beat.load(Ordering::Relaxed));
    if health.started.elapsed().saturating_sub(beat) < STANDS_STILL {
        "ok".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the service stands still").into_response()
    }
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let asked = tokio::time::timeout(PATIENCE, health.ask(Instant::now())).await;
    let Some((status, body)) = asked.ok().and_then(|asked| asked.answer) else {
        let body = Json(json!({ "ready": false, "state": "the service does not answer" }));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    };
    (status, json, body).into_response()
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    let content_type: [(HeaderName, HeaderValue); 1] =
        [(header::CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE))];
    (content_type, (health.render_metrics)()).into_response()
}

async fn no_room(request: Request) -> Problem {
    metrics::counter!("rewardhub_http_connections_closed_total", "reason" => "no room").increment(1);
    let mut body = request.into_body().into_data_stream();
    let passed_over = async {
        let mut left = PASSED_OVER_MAX;
        while let Some(Ok(part)) = body.next().await {
            let Some(rest) = left.checked_sub(part.len()) else { break };
            left = rest;
        }
    };
    // Either way the client has been given its chance.
    let _ = tokio::time::timeout(PASSED_OVER_FOR, passed_over).await;
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "this process takes no more connections just now; nothing of this request was taken",
    )
    .retry_after(1)
}
