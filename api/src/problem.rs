//! Refusals of a whole request, as RFC 9457 problem+json. A problem says what the caller can do about it; it
//! never repeats what was sent, and never tells why a token was refused.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger_core::words::WordsError;
use serde::Serialize;

/// What [`axum::extract::Path`] takes out of a path, refused as a problem.
pub(crate) struct Path<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    axum::extract::Path<T>: FromRequestParts<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        // Bytes that are no text name nothing.
        path.map(|axum::extract::Path(path)| Path(path))
            .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
    }
}

/// What [`axum::extract::Query`] takes out of an address, refused as a problem.
pub(crate) struct Query<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    axum::extract::Query<T>: FromRequestParts<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(query)| Query(query))
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the query string cannot be read"))
    }
}

/// One problem. `type` is always `about:blank`, so the title is the status in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    retry_after_seconds: Option<u32>,
    challenge: Option<&'static str>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// A problem with this status; `detail` is a sentence for the developer at the other end.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), retry_after_seconds: None, challenge: None }
    }

    /// 401: no token, or none that we accept.
    pub fn unauthenticated() -> Problem {
        Problem {
            challenge: Some(r#"Bearer realm="rewardhub""#),
            ..Problem::new(StatusCode::UNAUTHORIZED, "a valid bearer token is required")
        }
    }

    /// 401: a token was sent and is refused.
    pub fn invalid_token() -> Problem {
        Problem {
            challenge: Some(r#"Bearer realm="rewardhub", error="invalid_token""#),
            ..Problem::unauthenticated()
        }
    }

    /// 403: the token is good, and lacks a scope.
    pub fn missing_scope(scope: &str) -> Problem {
        Problem {
            challenge: Some(r#"Bearer realm="rewardhub", error="insufficient_scope""#),
            ..Problem::new(StatusCode::FORBIDDEN, format!("the token lacks the scope {scope}"))
        }
    }

    /// 403: the token is good, and does not say who acts.
    pub fn nameless_token() -> Problem {
        Problem {
            challenge: Some(r#"Bearer realm="rewardhub", error="insufficient_scope""#),
            ..Problem::new(StatusCode::FORBIDDEN, "the token names nobody: it has no sub")
        }
    }

    /// 403: the token names somebody by a name that no event may have.
    pub fn unusable_name(error: WordsError) -> Problem {
        Problem {
            challenge: Some(r#"Bearer realm="rewardhub", error="insufficient_scope""#),
            ..Problem::new(StatusCode::FORBIDDEN, format!("the token's sub {error}"))
        }
    }

    /// 415.
    pub fn unsupported_media_type(expected: &str) -> Problem {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the body must be {expected}, not compressed"),
        )
    }

    /// 413.
    pub fn too_large(bytes_max: usize) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body must be at most {bytes_max} bytes"))
    }

    /// 500: our fault. The cause is in our log, under the request's id.
    pub fn internal() -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "an internal fault occurred")
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Problem {
        Problem { retry_after_seconds: Some(seconds), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
