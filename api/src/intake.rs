//! `POST /v1/transactions`: one object, an array, or NDJSON; answered row by row once all rows are
//! durable.
//!
//! The request as a whole is refused only when it cannot be read (400, 413, 415) or taken (429,
//! 503); what is wrong with a row is that row's answer.

use axum::Extension;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use ledger_core::engine::{CommandContext, SubmitError};
use ledger_core::faults;
use ledger_core::ids::AccountId;
use ledger_core::steps::intake::{Intake, RowAnswer, Sources};
use ledger_core::text::check_person;
use ledger_core::transaction::RowError;
use ledger_core::transaction::wire::{BODY_BYTES_MAX, BodyError, BodyFormat, split_body};
use serde::Serialize;

use crate::ApiState;
use crate::auth::{Caller, Scope};
use crate::observe::RequestId;
use crate::problem::Problem;

/// Where they are taken.
pub(crate) const PATH: &str = "/v1/transactions";

/// Takes rows; the door of the ledger as this crate sees it. Contract: that of [`Intake::take`]. A
/// trait, since tests need one that refuses and panics at will.
#[async_trait::async_trait]
pub trait TakeRows: Send + Sync {
    /// One answer per row, in order, once all are durable.
    async fn take(
        &self,
        rows: &[&[u8]],
        sources: &Sources,
        context: CommandContext,
    ) -> Result<Vec<RowAnswer>, SubmitError>;
}

#[async_trait::async_trait]
impl TakeRows for Intake {
    async fn take(
        &self,
        rows: &[&[u8]],
        sources: &Sources,
        context: CommandContext,
    ) -> Result<Vec<RowAnswer>, SubmitError> {
        Intake::take(self, rows, sources, context).await
    }
}

#[derive(Serialize)]
struct Answer {
    results: Vec<RowReport>,
}

/// One row's answer on the wire.
#[derive(Serialize)]
struct RowReport {
    row: usize,
    transaction_id: Option<String>,
    result: &'static str,
    position: Option<String>,
    error: Option<RowError>,
}

/// The handler. Reads the body only after it knows who sends it and in which format.
pub async fn post_transactions(
    State(state): State<ApiState>,
    Extension(id): Extension<RequestId>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let feed = caller.require(Scope::TransactionsWrite)?;
    let name = feed.subject.as_ref().map_or("unnamed", AccountId::as_str);
    check_person(name).map_err(Problem::unusable_name)?;
    let format = format(request.headers())?;
    let body = state.bodies.read(request, BODY_BYTES_MAX).await?;
    if format == BodyFormat::Json && body.bytes.trim_ascii().is_empty() {
        return Err(Problem::empty_body("one transaction or an array of them"));
    }
    let rows = split_body(&body.bytes, format).map_err(unreadable)?;

    let context = CommandContext::new(&format!("feed:{name}"), id.as_str(), id.as_str());
    let answers = state.intake.take(&rows, &feed.sources, context).await.map_err(|error| {
        unwritable(&error, "part of this request may have been taken, send all of it again")
    })?;
    faults::over(NOT_TAKEN);
    let results = (1..).zip(answers).map(|(row, answer)| report(row, answer)).collect();
    Ok(Json(Answer { results }).into_response())
}

/// `row` counts the request's rows from 1; a blank line of NDJSON is none.
fn report(row: usize, answer: RowAnswer) -> RowReport {
    let (result, position, error) = match answer.outcome {
        Ok(receipt) => (receipt.result.as_str(), receipt.position, None),
        Err(error) => ("rejected", None, Some(error)),
    };
    RowReport {
        row,
        transaction_id: answer.transaction_id,
        result,
        position: position.map(|position| position.to_string()),
        error,
    }
}

/// Parameters such as `charset` do not matter: JSON is UTF-8.
fn format(headers: &HeaderMap) -> Result<BodyFormat, Problem> {
    match media_type(headers).as_deref() {
        Some("application/json") => Ok(BodyFormat::Json),
        Some("application/x-ndjson") => Ok(BodyFormat::Ndjson),
        _ => Err(Problem::unsupported_media_type("application/json or application/x-ndjson")),
    }
}

/// The media type of an uncompressed body, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let encoded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!encoded).then(|| essence.to_ascii_lowercase())
}

/// The whole body, refused if it is longer than `bytes_max`. What is too long by little is read to
/// its end all the same: a client that is still sending would see a broken connection instead of
/// the answer.
pub(crate) async fn read_body(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    read_parts(request, bytes_max, |_| Ok(())).await
}

/// The same, where each part has to be admitted.
pub(crate) async fn read_parts(
    request: Request,
    bytes_max: usize,
    mut admit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let passed_over_max = (4 * bytes_max) as u64;
    let stated = request.headers().get(header::CONTENT_LENGTH);
    let stated = stated.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > passed_over_max) {
        return Err(Problem::too_large(bytes_max));
    }
    let stated = usize::try_from(stated.unwrap_or(0)).unwrap_or(0);
    let (mut body, mut read) = (Vec::with_capacity(stated.min(bytes_max)), 0_u64);
    let mut parts = request.into_body().into_data_stream();
    while let Some(part) = parts.next().await {
        let part =
            part.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body ended before it was complete"))?;
        read += part.len() as u64;
        if read > passed_over_max {
            break;
        }
        if read <= bytes_max as u64 {
            admit(part.len())?;
            body.extend_from_slice(&part);
        }
    }
    if read > bytes_max as u64 { Err(Problem::too_large(bytes_max)) } else { Ok(body.into()) }
}

fn unreadable(error: BodyError) -> Problem {
    let status = match error {
        BodyError::TooLarge | BodyError::TooManyRows => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Malformed { .. } => StatusCode::BAD_REQUEST,
    };
    Problem::new(status, error.to_string())
}

const NOT_TAKEN: &str = "requests could not be taken";

/// The ledger could not write; `advice` says what may have been done and what to do now.
pub(crate) fn unwritable(error: &SubmitError, advice: &str) -> Problem {
    match error {
        SubmitError::Full => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many transactions are waiting; nothing of this request was taken",
        )
        .retry_after(1),
        SubmitError::AccountUnavailable => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).retry_after(60)
        }
        SubmitError::Clock(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the ledger's clock may be wrong; nothing is taken until it is right or accepted",
        )
        .retry_after(10),
        SubmitError::Unavailable | SubmitError::NotWriter => {
            // The cause is told where it was met; a feed is only told to come back.
            faults::warn(NOT_TAKEN, "", error);
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the ledger cannot write just now; {advice}"),
            )
            .retry_after(2)
        }
    }
}
