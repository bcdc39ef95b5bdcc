//! GraphQL over HTTP: POST with JSON by whoever has a token, and a page for people where it is turned on.
//!
//! A stranger's bytes are not parsed at all. A text is parsed once [`text`] has found it small and
//! flat. The library looks at a document once [`size`] has found that it does not multiply. A
//! [`Budget`] counts the answer while it is made.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use async_graphql::parser::types::{BaseType, ExecutableDocument};
use async_graphql::{Name, Request, Response as Answer, ServerError, Value, Variables};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ApiSchema;
use super::budget::{ANSWER_BYTES_MAX, Budget};
use super::error::ErrorCode;
use super::load::Loaders;
use super::{size, text};
use crate::ApiState;
use crate::auth::{Caller, Scope};
use crate::explorer;
use crate::intake::{media_type, read_body};
use crate::problem::Problem;

/// The media type of GraphQL over HTTP, whose statuses say whether a query was executed.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
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
    let json =
        matches!(media_type(request.headers()).as_deref(), Some("application/json" | GRAPHQL_RESPONSE));
    if !json {
        return Err(Problem::unsupported_media_type("application/json"));
    }
    let own = wants_own_type(request.headers());
    let body = read_body(request, BODY_BYTES_MAX).await?;
    let request = read(&body)?;
    Ok(answer(&state, &schema, caller, request, own).await)
}

/// Whether `Accept` prefers GraphQL's own media type to plain JSON, which is what everybody else gets.
fn wants_own_type(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = accepted.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next()?.to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // Of 1000. What cannot be read is not wanted.
        let quality = quality.map_or(Some(1_000), thousandths).unwrap_or(0);
        (quality > 0).then_some((media_type, quality))
    });
    let mut best: Option<(bool, u32)> = None;
    for (media_type, quality) in ranges {
        let own = media_type == GRAPHQL_RESPONSE;
        let json = matches!(media_type.as_str(), "application/json" | "application/*" | "*/*");
        // Of two that are wanted alike the first one counts.
        if (own || json) && best.is_none_or(|(_, known)| quality > known) {
            best = Some((own, quality));
        }
    }
    best.is_some_and(|(own, _)| own)
}

/// A quality such as `0.9` (RFC 9110, 12.4.2).
fn thousandths(quality: &str) -> Option<u32> {
    let (whole, rest) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
    let rest: u32 = digits.then(|| format!("{rest:0<3}"))?.parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1_000),
        _ => None,
    }
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
    explorer::graphiql(&state, &headers)
}

/// An answer on the wire; `data` is left out where nothing was executed.
#[derive(Serialize)]
struct Answered {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
}

/// What went wrong stands in `errors`, each with a code. It is 200, or 503 where part of it may be answered later. What was
/// not executed is 400 in GraphQL's own media type.
async fn answer(
    state: &ApiState,
    schema: &ApiSchema,
    caller: Caller,
    request: Request,
    own_type: bool,
) -> Response {
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
    // What goes wrong with a field says which one it was.
    let refused = answer.data == Value::Null
        && !answer.errors.is_empty()
        && answer.errors.iter().all(|error| error.path.is_empty());
    let status = if answer.errors.iter().any(|error| code(error) == unavailable) {
        StatusCode::SERVICE_UNAVAILABLE
    } else if refused && own_type {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let answered = Answered { data: (!refused).then_some(answer.data), errors: answer.errors };
    let mut response = (status, Json(answered)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if own_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(GRAPHQL_RESPONSE));
    }
    response
}

/// A request whose document has been parsed and measured, and what its answer may take.
fn prepare(
    state: &ApiState,
    caller: &Caller,
    mut request: Request,
) -> Result<(Request, Arc<Budget>), Box<Answer>> {
    let bad = |error: &dyn std::error::Error| Box::new(refusal(ErrorCode::BadUserInput, &error.to_string()));
    text::check(&request.query).map_err(|error| bad(&error))?;
    let (operation, given) = (request.operation_name.clone(), request.variables.clone());
    let document = request.parsed_query().map_err(|error| Box::new(Answer::from_errors(vec![error])))?;
    let measured = size::measure(document).map_err(|error| bad(&error))?;
    if let Some(name) = untyped(document) {
        return Err(bad(&Untyped(name)));
    }
    if let Some(name) = lacking(document, operation.as_deref(), &given) {
        return Err(bad(&Lacking(name)));
    }
    if measured.introspects && state.production && !caller.has(Scope::Ops) {
        return Err(Box::new(refusal(ErrorCode::Forbidden, "the schema is shown to the scope ops only")));
    }
    Ok((request, Arc::new(Budget::new(measured))))
}

/// A variable that must have a value and has none; the library would only look once a field uses it.
#[derive(Debug, thiserror::Error)]
#[error("the variable ${0} needs a value")]
struct Lacking(Name);

/// A variable of a type that no argument has; the library panics where such a one has a default.
#[derive(Debug, thiserror::Error)]
#[error("the variable ${0} is of no type that can be sent")]
struct Untyped(Name);

/// Names of the types that can be sent.
static SENT: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let sdl = super::sdl();
    let named = sdl.lines().filter_map(|line| {
        let (kind, rest) = line.split_once(' ')?;
        let name = rest.split([' ', '{', '@']).next()?;
        matches!(kind, "scalar" | "enum" | "input").then(|| name.to_owned())
    });
    named.chain(["ID", "String", "Int", "Float", "Boolean"].map(str::to_owned)).collect()
});

fn untyped(document: &ExecutableDocument) -> Option<Name> {
    let defined = document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions);
    let mut untyped = defined.map(|variable| &variable.node).filter(|variable| {
        let mut base = &variable.var_type.node.base;
        // A query is flat: this ends soon.
        while let BaseType::List(inner) = base {
            base = &inner.base;
        }
        matches!(base, BaseType::Named(name) if !SENT.contains(name.as_str()))
    });
    untyped.next().map(|variable| variable.name.node.clone())
}

fn lacking(document: &ExecutableDocument, operation: Option<&str>, given: &Variables) -> Option<Name> {
    let (_, operation) = document
        .operations
        .iter()
        .find(|(name, _)| operation.is_none_or(|wanted| name.is_some_and(|name| name.as_str() == wanted)))?;
    let defined = &operation.node.variable_definitions;
    let mut lacking = defined.iter().map(|variable| &variable.node).filter(|variable| {
        let name = &variable.name.node;
        let default = variable.default_value.as_ref().filter(|_| !given.contains_key(name));
        !variable.var_type.node.nullable
            && default.is_none()
            && given.get(name).is_none_or(|value| *value == Value::Null)
    });
    lacking.next().map(|variable| variable.name.node.clone())
}

fn refusal(code: ErrorCode, message: &str) -> Answer {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code.as_str());
    Answer::from_errors(vec![error])
}
