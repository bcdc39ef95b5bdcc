//! GraphQL over HTTP: POST with JSON by whoever has a token, and a page for people where it is turned on.
//!
//! A stranger's bytes are not parsed at all. A text is parsed once [`text`] has found it small and flat, a document is
//! looked at by the library once [`size`] has found that it does not multiply, and what is made of it is counted by its
//! [`Budget`] while it is made.

use std::sync::Arc;

use async_graphql::{Request, Response as Answer, ServerError, Variables};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ApiSchema;
use super::budget::{ANSWER_BYTES_MAX, Budget};
use super::error::ErrorCode;
use super::load::Loaders;
use super::{size, text};
use crate::ApiState;
use crate::auth::{Caller, Scope};
use crate::intake::{media_type, read_body};
use crate::problem::Problem;

/// The page. async-graphql's own is a template whose engine takes longer to build than all our handlers.
const GRAPHIQL: &str = include_str!("graphiql.html");
/// The longest request.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The longest variables, in JSON: a library's error repeats one as often as it is used.
const VARIABLES_BYTES_MAX: usize = 16 * 1024;
/// Errors in an answer, and characters of each.
const ERRORS_MAX: usize = 100;
const ERROR_CHARS_MAX: usize = 500;

/// `POST /graphql`: one request as JSON. Batches are refused: aliases do the same, within the limits.
pub async fn post(
    State(state): State<ApiState>,
    Extension(schema): Extension<ApiSchema>,
    caller: Caller,
    request: HttpRequest,
) -> Result<Response, Problem> {
    caller.identity()?;
    let json = matches!(
        media_type(request.headers()).as_deref(),
        Some("application/json" | "application/graphql-response+json")
    );
    if !json {
        return Err(Problem::unsupported_media_type("application/json"));
    }
    let body = read_body(request, BODY_BYTES_MAX).await?;
    let request = read(&body)?;
    Ok(answer(&state, &schema, caller, request).await)
}

/// A request in JSON; what else is in it is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'b> {
    query: String,
    operation_name: Option<String>,
    #[serde(borrow)]
    variables: Option<&'b RawValue>,
}

fn read(body: &[u8]) -> Result<Request, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    if body.trim_ascii().is_empty() {
        return Err(Problem::empty_body(r#"{"query":"…"} as JSON"#));
    }
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(bad("a request is one object; lists of queries are not taken".into()));
    }
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        bad(format!("the body is no GraphQL request in JSON: line {line}, column {column}"))
    })?;
    if asked.operation_name.as_ref().is_some_and(|name| name.len() > text::NAME_BYTES_MAX) {
        return Err(bad(format!("operationName: at most {} bytes", text::NAME_BYTES_MAX)));
    }
    let variables = asked.variables.map_or("null", RawValue::get);
    if variables.len() > VARIABLES_BYTES_MAX {
        return Err(bad(format!("variables: at most {VARIABLES_BYTES_MAX} bytes")));
    }
    if !text::is_flat(variables) {
        return Err(bad(format!("variables: at most {} levels", text::VARIABLES_DEPTH_MAX)));
    }
    let variables: Variables =
        serde_json::from_str(variables).map_err(|_| bad("variables: must be an object".into()))?;
    let mut request = Request::new(asked.query).variables(variables);
    request.operation_name = asked.operation_name.filter(|name| !name.is_empty());
    Ok(request)
}

/// `GET /graphql`: the page, whatever else is in the address.
pub async fn get(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    page(&state, &headers)
}

fn page(state: &ApiState, headers: &HeaderMap) -> Result<Response, Problem> {
    if state.production {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "there is no page here; send a query as JSON with POST",
        ));
    }
    // A token's characters mean nothing in a JavaScript string.
    let authorization = match &state.graphiql_token {
        // A page of another site that got this address under its own name (DNS rebinding) gets no token.
        Some(_) if !is_loopback(headers) => {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "this page comes with a token and is served to this machine only; send a query with POST",
            ));
        }
        Some(token) => format!("Bearer {}", token()),
        None => String::new(),
    };
    Ok(Html(GRAPHIQL.replace("{{authorization}}", &authorization)).into_response())
}

/// Whether the request names this machine. HTTP/1.0 clients may name nobody; browsers always do.
fn is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    name == "localhost"
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What went wrong stands in `errors`, each with a code. It is 200, or 503 where part of it may be answered later.
async fn answer(state: &ApiState, schema: &ApiSchema, caller: Caller, request: Request) -> Response {
    let mut answer = match prepare(state, &caller, request) {
        Ok((request, budget)) => {
            let request = request.data(caller).data(Arc::clone(&budget)).data(Loaders::new(state));
            tokio::select! {
                biased;
                () = budget.over() => refusal(ErrorCode::BadUserInput, &format!(
                    "the answer would have more than {ANSWER_BYTES_MAX} bytes; ask for fewer rows or fields"
                )),
                answer = schema.execute(request) => answer,
            }
        }
        Err(refused) => *refused,
    };
    answer.errors.truncate(ERRORS_MAX);
    for error in &mut answer.errors {
        if let Some((end, _)) = error.message.char_indices().nth(ERROR_CHARS_MAX) {
            error.message.truncate(end);
        }
        let extensions = error.extensions.get_or_insert_default();
        // Our own errors have their code; the rest are the library's about the query itself.
        if extensions.get("code").is_none() {
            extensions.set("code", ErrorCode::BadUserInput.as_str());
        }
    }
    let code = |error: &ServerError| error.extensions.as_ref()?.get("code").cloned();
    let unavailable = Some(ErrorCode::Unavailable.as_str().into());
    let status = if answer.errors.iter().any(|error| code(error) == unavailable) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (status, Json(answer)).into_response()
}

/// A request whose document has been parsed and measured, and what its answer may take.
fn prepare(
    state: &ApiState,
    caller: &Caller,
    mut request: Request,
) -> Result<(Request, Arc<Budget>), Box<Answer>> {
    let bad = |error: &dyn std::error::Error| Box::new(refusal(ErrorCode::BadUserInput, &error.to_string()));
    text::check(&request.query).map_err(|error| bad(&error))?;
    let document = request.parsed_query().map_err(|error| Box::new(Answer::from_errors(vec![error])))?;
    let measured = size::measure(document).map_err(|error| bad(&error))?;
    if measured.introspects && state.production && !caller.has(Scope::Ops) {
        return Err(Box::new(refusal(ErrorCode::Forbidden, "the schema is shown to the scope ops only")));
    }
    Ok((request, Arc::new(Budget::new(measured))))
}

fn refusal(code: ErrorCode, message: &str) -> Answer {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code.as_str());
    Answer::from_errors(vec![error])
}
