//! Around every request: an id, a span, counters, security headers, an end to panics and to
//! waiting.
//!
//! Nothing here looks at bodies, queries or tokens. Routes are named by their pattern, so that no
//! id from a path gets into a metric.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ledger_core::text::pan::contains_pan;
use tracing::Instrument;

use crate::problem::Problem;

/// How long a request may take. Of what a feed has sent, some may have been taken by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The request's id, from the caller or ours; echoed in the answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request; the events it leads to carry it as `correlation_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Both ways to make one allow only visible ASCII.
        self.0.to_str().unwrap_or_default()
    }

    /// The caller's own id if it may stand in events and log lines for ever, else a fresh random
    /// one.
    fn of(headers: &HeaderMap) -> RequestId {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        let valid = match (given.next(), given.next()) {
            (Some(id), None) => Some(id).filter(|id| id.to_str().is_ok_and(may_stay)),
            _ => None,
        };
        RequestId(valid.cloned().unwrap_or_else(fresh_id))
    }
}

/// The longest id that is taken from a caller.
const REQUEST_ID_MAX: usize = 64;

/// Whether a caller's id says nothing but itself.
fn may_stay(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=REQUEST_ID_MAX).contains(&id.len())
        && id.bytes().all(plain)
        && !contains_pan(id)
        && !contains_pan(&id.replace(['.', '_', '-'], ""))
}

fn fresh_id() -> HeaderValue {
    loop {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
        let hex = format!("{:032x}", u128::from_be_bytes(bytes));
        // One in some thousands looks like a card number.
        if may_stay(&hex) {
            return HeaderValue::try_from(hex).expect("hex is a header value");
        }
    }
}

/// A request that we make ourselves, on behalf of one that has been observed.
#[derive(Clone, Copy)]
pub(crate) struct Unobserved;

/// The outermost layer.
pub async fn observe(mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Unobserved>().is_some() {
        return next.run(request).await;
    }
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = known(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".into(), |path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "request",
        http.method = method,
        http.route = route,
        http.status = tracing::field::Empty,
        request.id = id.as_str(),
        duration_ms = tracing::field::Empty,
    );
    request.extensions_mut().insert(id.clone());

    let mut response = next.run(request).instrument(span.clone()).await;

    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status()) {
        // Who is told to come back is told when.
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    let elapsed = started.elapsed();
    let status = response.status();
    span.record("http.status", status.as_u16());
    span.record("duration_ms", u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    span.in_scope(|| tracing::debug!("answered"));
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.as_u16().to_string())];
    metrics::counter!("rewardhub_http_requests_total", &labels).increment(1);
    metrics::histogram!("rewardhub_http_request_seconds", &labels).record(elapsed.as_secs_f64());
    harden(response.headers_mut(), id);
    response
}

/// Methods are text of the caller's choice; a metric's label must not be.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn harden(headers: &mut HeaderMap, id: RequestId) {
    headers.insert(X_REQUEST_ID, id.0);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Ends a request that takes too long. Its commands may still become durable.
pub async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the request took too long; part of it may have been taken, send all of it again",
        )
        .retry_after(2)
        .into_response(),
    }
}

/// What a panic becomes. Its message may hold anything, so it goes nowhere; the panic hook has
/// printed where.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    metrics::counter!("rewardhub_http_panics_total").increment(1);
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        RequestId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_callers_request_id_is_kept_only_if_it_says_nothing_but_itself() {
        let longest = "x".repeat(REQUEST_ID_MAX);
        for kept in ["a", "7f3c-01.B_2", "0123456789", &longest] {
            assert_eq!(id_of(&[kept]), kept);
        }
        let too_long = "x".repeat(REQUEST_ID_MAX + 1);
        for replaced in [
            "",
            &too_long,
            "a b",
            "a/b",
            "a\"b",
            "müller",
            "mary@example.com",
            "4111111111111111",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111",
            "4111_1111_1111_1111",
            "id-4111111111111111-x",
            "378282246310005",
        ] {
            let id = id_of(&[replaced]);
            assert!(id != replaced && id.len() == 32 && may_stay(&id), "{replaced}: {id}");
        }
        assert_eq!(id_of(&["one", "two"]).len(), 32, "whose it is nobody can say");
    }
}
