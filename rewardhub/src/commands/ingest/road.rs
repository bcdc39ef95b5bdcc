//! Where rows go: the ledger of a data folder, or a running service.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use ledger_core::engine::{CommandContext, RowResult, SubmitError};
use ledger_core::faults;
use ledger_core::money::Money;
use ledger_core::steps::intake::{Intake, Prepared, RowAnswer, Sources};
use ledger_core::transaction::{RowCode, RowError};
use serde::Deserialize;

use super::{RETRIES, RETRY};
use crate::commands::support::Usage;

/// What became of one row.
pub(super) enum RowOutcome {
    Accepted(Option<Money>),
    Duplicate,
    Deferred,
    Linked,
    Held,
    Rejected { transaction_id: Option<String>, error: RowError },
}

pub(super) enum Road {
    Ledger(Intake),
    Http(Http),
}

#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Road {
    pub(super) fn http(url: &str) -> anyhow::Result<Road> {
        let token = std::env::var("REWARDHUB_TOKEN")
            .map_err(|_| Usage("set REWARDHUB_TOKEN to a token with transactions:write".into()))?;
        let url = format!("{}/v1/transactions", url.trim_end_matches('/'));
        Ok(Road::Http(Http { client: reqwest::Client::new(), url, token }))
    }

    /// What can be done before it is a chunk's turn.
    pub(super) fn prepare(
        &self,
        rows: Arc<Vec<Vec<u8>>>,
    ) -> futures::future::BoxFuture<'static, anyhow::Result<Ready>> {
        match self {
            Road::Ledger(intake) => Box::pin(prepare(intake.clone(), rows)),
            Road::Http(_) => Box::pin(async move { Ok(Ready::Body(rows.join(&b'\n'))) }),
        }
    }

    /// Sends one chunk until it is answered as a whole; every row may be sent again at any time.
    pub(super) async fn send(&self, ready: Ready) -> anyhow::Result<Vec<RowOutcome>> {
        match (self, ready) {
            (Road::Ledger(intake), Ready::Prepared(rows)) => take(intake, rows).await,
            (Road::Http(http), Ready::Body(body)) => http.post(body).await,
            (Road::Ledger(_), Ready::Body(_)) | (Road::Http(_), Ready::Prepared(_)) => {
                bail!("a chunk was prepared for another road")
            }
        }
    }
}

/// A chunk that can be sent.
pub(super) enum Ready {
    Prepared(Prepared),
    Body(Vec<u8>),
}

async fn prepare(intake: Intake, rows: Arc<Vec<Vec<u8>>>) -> anyhow::Result<Ready> {
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let prepared = persist(|| intake.prepare(&rows, &Sources::All)).await?;
    Ok(Ready::Prepared(prepared))
}

async fn take(intake: &Intake, rows: Prepared) -> anyhow::Result<Vec<RowOutcome>> {
    let context = CommandContext::new("operator:ingest", "", "file");
    let answers = persist(|| intake.submit(rows.clone(), context.clone())).await?;
    Ok(answers.into_iter().map(outcome).collect())
}

/// Repeats what the ledger cannot take just now.
async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, SubmitError>>,
{
    for _ in 0..RETRIES {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(
                SubmitError::Full
                | SubmitError::Unavailable
                | SubmitError::AccountUnavailable
                | SubmitError::Clock(_),
            ) => tokio::time::sleep(RETRY).await,
            Err(error @ SubmitError::NotWriter) => return Err(error.into()),
        }
    }
    bail!("the ledger takes nothing")
}

fn outcome(answer: RowAnswer) -> RowOutcome {
    match answer.outcome {
        Err(error) => RowOutcome::Rejected { transaction_id: answer.transaction_id, error },
        Ok(receipt) => match receipt.result {
            RowResult::Accepted => RowOutcome::Accepted(receipt.won),
            RowResult::Duplicate => RowOutcome::Duplicate,
            RowResult::Deferred => RowOutcome::Deferred,
            RowResult::Linked => RowOutcome::Linked,
            RowResult::Held => RowOutcome::Held,
        },
    }
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    transaction_id: Option<String>,
    result: String,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: RowCode,
    field: String,
    message: String,
}

impl Http {
    async fn post(&self, body: Vec<u8>) -> anyhow::Result<Vec<RowOutcome>> {
        for _ in 0..RETRIES {
            let request = self.client.post(&self.url).bearer_auth(&self.token);
            let request = request.header("content-type", "application/x-ndjson").body(body.clone());
            match request.send().await {
                Ok(response) if response.status().is_success() => {
                    let answer: Answer =
                        response.json().await.context("the service's answer cannot be read")?;
                    return answer.results.into_iter().map(Row::outcome).collect();
                }
                Ok(response) if matches!(response.status().as_u16(), 429 | 503) => {}
                Ok(response) if matches!(response.status().as_u16(), 401 | 403) => {
                    let status = response.status();
                    let refused = format!(
                        "{} answers {status}: REWARDHUB_TOKEN needs a token that is good now, with \
                         transactions:write and the rows' source",
                        self.url
                    );
                    return Err(Usage(refused).into());
                }
                Ok(response) => {
                    let status = response.status();
                    let problem = response.text().await.unwrap_or_default();
                    bail!("{} answers {status}: {problem}", self.url)
                }
                Err(error) if error.is_connect() || error.is_timeout() || error.is_request() => {
                    faults::warn("the service cannot be reached; trying again", "", &error);
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(RETRY).await;
        }
        bail!("{} takes nothing", self.url)
    }
}

impl Row {
    fn outcome(self) -> anyhow::Result<RowOutcome> {
        Ok(match (self.result.as_str(), self.error) {
            ("accepted", _) => RowOutcome::Accepted(None),
            ("duplicate", _) => RowOutcome::Duplicate,
            ("deferred", _) => RowOutcome::Deferred,
            ("linked", _) => RowOutcome::Linked,
            ("held", _) => RowOutcome::Held,
            ("rejected", Some(fault)) => {
                let error =
                    RowError { code: fault.code, field: fault.field.into(), message: fault.message.into() };
                RowOutcome::Rejected { transaction_id: self.transaction_id, error }
            }
            (other, _) => bail!("the service answers a row with {other:?}"),
        })
    }
}
