//! `GET /v1/held`: lines that wait for people, whoever's they are, from the read models.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ledger_core::faults;
use ledger_core::log::Position;
use projections::transactions::{TransactionRow, held};
use projections::{PAGE_ROWS_MAX, Page};
use serde::Deserialize;
use serde_json::{Value, json};

use super::may_look;
use crate::ApiState;
use crate::auth::Caller;
use crate::problem::{Problem, Query};

/// Which of them.
#[derive(Deserialize)]
pub(crate) struct Asked {
    first: Option<usize>,
    after: Option<String>,
}

/// A page of held lines, oldest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(Asked { first, after }): Query<Asked>,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    may_look(&caller)?;
    let wrong = |detail: &'static str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let first = first.unwrap_or(PAGE_ROWS_MAX);
    if !(1..=PAGE_ROWS_MAX).contains(&first) {
        return Err(wrong("first: must be 1 to 100"));
    }
    let after = after.map(|token| token.parse::<Position>()).transpose();
    let after = after.map_err(|_| wrong("after: is no position of this ledger"))?;
    let page = state.read.read(move |conn| held(conn, after, first)).await.map_err(|error| {
        faults::warn("held transactions cannot be read just now", "", &error);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the read models cannot be read just now")
            .retry_after(2)
    })?;
    Ok(Json(held_to_json(&page)))
}

/// As it is answered over HTTP and on the command line.
pub fn held_to_json(page: &Page<TransactionRow>) -> Value {
    let held = page.rows.iter().map(|row| {
        json!({
            "account_id": row.account_id, "source": row.source, "transaction_id": row.transaction_id,
            "booked_at": row.booked_at, "held_since": row.recorded_at, "position": row.position.to_string(),
            "decided_before": row.outcome.is_some(), "proposal": row.proposal,
        })
    });
    let next = page.rows.last().filter(|_| page.has_more).map(|row| row.position.to_string());
    json!({ "held": held.collect::<Vec<_>>(), "next": next })
}
