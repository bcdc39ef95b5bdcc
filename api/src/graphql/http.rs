//! GraphQL over HTTP: POST with JSON, GET for queries only, and GraphiQL for people where it is turned on.

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response as Answer, ServerError, Variables};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::ApiSchema;
use super::error::ErrorCode;
use super::load::Loaders;
use super::size::{SELECTIONS_MAX, is_bounded};
use crate::ApiState;
use crate::auth::Caller;
use crate::intake::{media_type, read_body};
use crate::problem::Problem;

/// The page. async-graphql's own is a template whose engine takes longer to build than all our handlers.
const GRAPHIQL: &str = include_str!("graphiql.html");
/// The longest request.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// `POST /graphql`: one request as JSON. Batches are refused: aliases do the same, within the limits.
pub async fn post(
    State(state): State<ApiState>,
    Extension(schema): Extension<ApiSchema>,
    caller: Caller,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let json = matches!(
        media_type(request.headers()).as_deref(),
        Some("application/json" | "application/graphql-response+json")
    );
    if !json {
        return Err(Problem::unsupported_media_type("application/json"));
    }
    let body = read_body(request, BODY_BYTES_MAX).await?;
    let request: Request = serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is no GraphQL request in JSON: line {line}, column {column}"),
        )
    })?;
    Ok(answer(&state, &schema, caller, request).await)
}

/// A query in a URL.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlQuery {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
}

/// `GET /graphql`: a query, or GraphiQL for a browser.
pub async fn get(
    State(state): State<ApiState>,
    Extension(schema): Extension<ApiSchema>,
    caller: Caller,
    headers: HeaderMap,
    url: Result<Query<UrlQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Query(url) = url.map_err(|_| bad("the query string cannot be read"))?;
    let Some(query) = url.query else {
        return page(&state, &headers);
    };
    let variables = url.variables.as_deref().filter(|text| !text.is_empty());
    let variables = variables.map(serde_json::from_str::<serde_json::Value>).transpose();
    let variables = variables.map_err(|_| bad("variables is no JSON"))?.unwrap_or_default();
    let mut request = Request::new(query).variables(Variables::from_json(variables));
    request.operation_name = url.operation_name;
    if changes_something(&mut request) {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "GET is for queries only"));
    }
    Ok(answer(&state, &schema, caller, request).await)
}

/// A document that cannot be read changes nothing; the schema will say what is wrong with it.
fn changes_something(request: &mut Request) -> bool {
    request.parsed_query().is_ok_and(|document| {
        let mut operations = document.operations.iter();
        operations.any(|(_, operation)| operation.node.ty != OperationType::Query)
    })
}

fn page(state: &ApiState, headers: &HeaderMap) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let browser = accept.is_some_and(|accept| accept.contains("text/html"));
    match &state.graphiql_token {
        // A page of another site that got this address under its own name (DNS rebinding) gets no token.
        Some(_) if browser && !is_loopback(headers) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this page comes with a token and is served to this machine only; send a query with POST",
        )),
        Some(token) if browser => {
            // A token's characters mean nothing in a JavaScript string.
            let authorization = format!("Bearer {}", token());
            Ok(Html(GRAPHIQL.replace("{{authorization}}", &authorization)).into_response())
        }
        None if browser => Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "there is no page here; send a query as JSON with POST",
        )),
        _ => Err(Problem::new(StatusCode::BAD_REQUEST, "the parameter query is missing")),
    }
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

/// Whatever comes out, it is 200: what went wrong stands in `errors`, each with a code.
async fn answer(state: &ApiState, schema: &ApiSchema, caller: Caller, mut request: Request) -> Response {
    let mut answer = if request.parsed_query().is_ok_and(|document| !is_bounded(document)) {
        let message = format!("the query comes to more than {SELECTIONS_MAX} fields and fragments");
        Answer::from_errors(vec![ServerError::new(message, None)])
    } else {
        schema.execute(request.data(caller).data(Loaders::new(state))).await
    };
    for error in &mut answer.errors {
        let extensions = error.extensions.get_or_insert_default();
        // Our own errors have their code; the rest are the library's about the query itself.
        if extensions.get("code").is_none() {
            extensions.set("code", ErrorCode::BadUserInput.as_str());
        }
    }
    Json(answer).into_response()
}
