//! Refusals of a whole request, as RFC 9457 problem+json. A problem says what the caller can do
//! about it; it never repeats what was sent. Of a token it says whether to log in, to refresh, or
//! to look at the issuer's settings; which check it failed is for our metrics.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger_core::text::WordsError;
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
    access: Option<Access>,
}

/// What is wrong with who asks, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    /// `code` in the body.
    code: &'static str,
    /// `WWW-Authenticate` (RFC 6750, 3).
    challenge: &'static str,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    detail: &'a str,
}

impl Problem {
    /// A problem with this status; `detail` is a sentence for the developer at the other end.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), retry_after_seconds: None, access: None }
    }

    /// 401: no bearer token was sent. RFC 6750 wants no error code in the header then.
    pub fn token_missing() -> Problem {
        Problem::unauthenticated(
            Access { code: "token_missing", challenge: r#"Bearer realm="rewardhub""# },
            "no bearer token was sent: Authorization: Bearer TOKEN",
        )
    }

    /// 401: the token was good until its time was over.
    pub fn token_expired() -> Problem {
        Problem::unauthenticated(
            Access {
                code: "token_expired",
                challenge: concat!(
                    r#"Bearer realm="rewardhub", error="invalid_token", "#,
                    r#"error_description="the token has expired""#
                ),
            },
            "the token has expired",
        )
    }

    /// 401: the token that was sent is not good here, or not yet.
    pub fn token_invalid() -> Problem {
        Problem::unauthenticated(
            Access {
                code: "token_invalid",
                challenge: concat!(
                    r#"Bearer realm="rewardhub", error="invalid_token", "#,
                    r#"error_description="the token is not accepted""#
                ),
            },
            "the token is not accepted",
        )
    }

    fn unauthenticated(access: Access, detail: &str) -> Problem {
        Problem { access: Some(access), ..Problem::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 403: the token is good, and lacks a scope.
    pub fn missing_scope(scope: &str) -> Problem {
        Problem::insufficient(format!("the token lacks the scope {scope}"))
    }

    /// 403: the token is good, and does not say who acts.
    pub fn nameless_token() -> Problem {
        Problem::insufficient("the token names nobody: it has no sub")
    }

    /// 403: the token names somebody by a name that no event may have.
    pub fn unusable_name(error: WordsError) -> Problem {
        Problem::insufficient(format!("the token's sub {error}"))
    }

    fn insufficient(detail: impl Into<String>) -> Problem {
        let access = Access {
            code: "insufficient_scope",
            challenge: r#"Bearer realm="rewardhub", error="insufficient_scope""#,
        };
        Problem { access: Some(access), ..Problem::new(StatusCode::FORBIDDEN, detail) }
    }

    /// 400: nothing was sent where something is needed.
    pub fn empty_body(expected: &str) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body is empty: send {expected}"))
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
            code: self.access.map(|access| access.code),
            detail: &self.detail,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(access) = self.access {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(access.challenge));
        }
        response
    }
}
