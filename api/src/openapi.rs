//! `GET /openapi.json`: the REST part in OpenAPI 3.1, written by hand in `api/openapi.json`. A test
//! holds it to the routes.

use axum::http::header;
use axum::response::IntoResponse;

/// The document.
pub const DOCUMENT: &str = include_str!("../openapi.json");

pub(crate) async fn get() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
