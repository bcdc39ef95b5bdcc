//! What is answered from the first moment on: while there is no ledger to serve, that we live and
//! what we wait for; then whatever the router of the ledger answers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::RwLock;
use serde_json::json;
use tower::ServiceExt as _;

use crate::cors::Origins;
use crate::problem::Problem;
use crate::{health, observed};

/// Why there is nothing to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The ledger is being opened.
    Starting,
    /// Another process is the writer; this one takes over when it is gone.
    Standby,
    /// The database cannot be reached.
    Database,
    /// Another process has taken over from this one, which is about to end.
    Fenced,
    /// The process is about to end.
    Stopping,
}

impl Waiting {
    /// A word for `/readyz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Waiting::Starting => "starting",
            Waiting::Standby => "standby",
            Waiting::Database => "the database cannot be reached",
            Waiting::Fenced => "another process has taken over",
            Waiting::Stopping => "stopping",
        }
    }
}

/// Renders the metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// A router whose routes can be changed while it serves. Clones share them.
#[derive(Clone)]
pub struct Front {
    now: Arc<RwLock<Router>>,
    render_metrics: RenderMetrics,
    origins: Origins,
}

impl Front {
    /// One that is starting. Web apps of these origins may read that.
    pub fn new(render_metrics: RenderMetrics, origins: Origins) -> Front {
        let now = waiting(Waiting::Starting, Arc::clone(&render_metrics), &origins);
        Front { now: Arc::new(RwLock::new(now)), render_metrics, origins }
    }

    /// What to serve.
    pub fn router(&self) -> Router {
        Router::new().fallback(pass_on).with_state(self.clone())
    }

    /// From now on tells callers to come back later.
    pub fn wait(&self, why: Waiting) {
        self.serve(waiting(why, Arc::clone(&self.render_metrics), &self.origins));
    }

    /// From now on these routes answer.
    pub fn serve(&self, router: Router) {
        *self.now.write() = router;
    }
}

async fn pass_on(State(front): State<Front>, request: Request) -> Response {
    let router = front.now.read().clone();
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn waiting(why: Waiting, render_metrics: RenderMetrics, origins: &Origins) -> Router {
    let ready = move || async move {
        let body = json!({ "ready": false, "state": why.as_str() });
        (StatusCode::SERVICE_UNAVAILABLE, Json(body))
    };
    let metrics = move || async move {
        let content_type = HeaderValue::from_static(health::METRICS_TYPE);
        ([(header::CONTENT_TYPE, content_type)], render_metrics()).into_response()
    };
    let later = async || {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this process does not serve just now").retry_after(1)
    };
    let routes = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(later)
        .method_not_allowed_fallback(later);
    observed(routes, origins)
}
