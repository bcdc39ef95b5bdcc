//! Garbage shaped like what we read, through the router: GraphQL, rows, terms, tokens, cursors,
//! paths. Whatever it is, nothing panics, nothing overflows its stack, and the answer is well
//! formed and bounded.
//!
//! `PROPTEST_CASES` says how many cases each test tries; `scripts/fuzz` goes on for hours.

#![expect(clippy::format_collect, reason = "no speed is asked of a test")]

mod graphql;
mod json;

use ledger_core::transaction::wire::{BodyFormat, parse_row, split_body};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use self::graphql::{name, texts};
use self::json::{bodies, jsons, tokens, words};
use super::*;

/// The budget of a GraphQL answer, and what is around it. Rows are answered with some hundred bytes
/// each.
const ANSWER_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Tries many inputs against one house.
fn fuzz<S: Strategy>(inputs: S, mut check: impl FnMut(&Runtime, &House, S::Value) -> Result<(), String>)
where
    S::Value: Clone,
{
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let house = runtime.block_on(async { house(false).await });
    let check = std::cell::RefCell::new(&mut check);
    let tried = TestRunner::new(config)
        .run(&inputs, |input| (check.borrow_mut())(&runtime, &house, input).map_err(TestCaseError::fail));
    tried.unwrap_or_else(|failed| panic!("{failed}"));
}

impl House {
    /// The status and the body, which must be JSON and bounded, and no fault of ours.
    async fn answered(&self, request: Request<Body>) -> Result<(u16, Value), String> {
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.map_err(|e| e.to_string())?;
        let body = serde_json::from_slice(&body).map_err(|e| format!("{status}: {e}"))?;
        if status >= 500 { Err(format!("{status}: {body}")) } else { Ok((status, body)) }
    }

    async fn posted(
        &self,
        path: &str,
        scope: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Value), String> {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, self.token(Some("fuzz"), scope))
            .header(header::CONTENT_TYPE, kind);
        self.answered(request.body(body.into()).unwrap()).await
    }

    /// A GraphQL answer with data or errors, of which none is our fault.
    async fn asked(&self, body: &Value) -> Result<(), String> {
        let scope = "rewards:read audit:read campaigns:write ops";
        let (status, answer) =
            self.posted("/graphql", scope, "application/json", body.to_string().into_bytes()).await?;
        if status == 400 || status == 413 {
            return Ok(());
        }
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        if status != 200 || (errors.is_empty() && answer["data"].is_null()) {
            return Err(format!("{status}: {answer}"));
        }
        match errors.iter().find(|error| error["extensions"]["code"] == "INTERNAL") {
            Some(fault) => Err(fault.to_string()),
            None => Ok(()),
        }
    }
}

#[test]
fn any_text_as_a_query_has_an_answer() {
    let variables = prop::option::of(jsons());
    fuzz((texts(), variables, prop::option::of(name())), |runtime, house, (query, variables, operation)| {
        let body = json!({ "query": query, "variables": variables, "operationName": operation });
        runtime.block_on(house.asked(&body))
    });
}

#[test]
fn any_body_has_an_answer_wherever_it_is_sent() {
    let targets = select(vec![
        ("/graphql", "rewards:read"),
        ("/v1/transactions", "transactions:write"),
        ("/v1/campaigns", "campaigns:write"),
        ("/v1/campaigns/autumn/revise", "campaigns:write"),
        ("/v1/campaigns/autumn/fund", "campaigns:write"),
        ("/v1/campaigns/autumn/open-seed", "ops"),
        ("/v1/accounts/cus_1/exclude", "ops"),
        ("/v1/accounts/cus_1/release", "ops"),
    ]);
    let kinds = select(vec!["application/json", "application/x-ndjson"]);
    fuzz((targets, kinds, bodies()), |runtime, house, ((path, scope), kind, body)| {
        for format in [BodyFormat::Json, BodyFormat::Ndjson] {
            for row in split_body(&body, format).unwrap_or_default() {
                let _ = parse_row(row, now());
            }
        }
        // What the stub takes for a defect is not ours.
        if body.starts_with(b"\"panic\"") {
            return Ok(());
        }
        runtime.block_on(house.posted(path, scope, kind, body)).map(|_| ())
    });
}

#[test]
fn any_token_is_refused() {
    fuzz(tokens(), |runtime, house, token| {
        for (method, path) in [("POST", "/graphql"), ("GET", "/v1/campaigns"), ("POST", "/v1/transactions")] {
            let request =
                Request::builder().method(method).uri(path).header(header::AUTHORIZATION, &token[..]);
            let (status, _) = runtime.block_on(house.answered(request.body("{}".into()).unwrap()))?;
            if status != 401 {
                return Err(format!("{path} answers {status}"));
            }
        }
        Ok(())
    });
}

#[test]
fn any_word_as_an_id_a_cursor_or_a_position_has_an_answer() {
    const QUERY: &str = "query($v: String, $at: String, $id: ID!) { node(id: $id) { id } campaign(campaignId: $id) { id } \
        campaigns(after: $v) { nodes { epochs(after: $v) { nodes { epoch } } } } \
        rewardAccount(accountId: $id, minPosition: $at) { transactions(after: $v) { nodes { id } } rewards(after: $v) { nodes { id } } } \
        eventHistory(accountId: $id, afterPosition: $v) { nodes { version } } trialBalance(asOf: $at) { position } \
        drawProof(source: $id, transactionId: $id) { seed } }";
    fuzz((words(), words()), |runtime, house, (word, id)| {
        // One that could come is waited for.
        let at = Some(&word).filter(|word| word.parse::<Position>().is_err());
        runtime.block_on(
            house.asked(&json!({ "query": QUERY, "variables": { "v": word, "at": at, "id": id } })),
        )?;
        let encoded = word.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        for path in
            ["/v1/campaigns/", "/v1/accounts/", "/v1/held?first=", "/v1/held?after=", "/graphql?query=", "/"]
        {
            let request = Request::get(format!("{path}{encoded}"))
                .header(header::AUTHORIZATION, house.token(Some("olga"), "audit:read ops"));
            let response = runtime.block_on(house.send(request.body(Body::empty()).unwrap()));
            let (status, kind) = (response.status(), response.headers().get(header::CONTENT_TYPE));
            let problem = kind.is_some_and(|kind| kind == "application/problem+json");
            if status.is_server_error() || status.is_client_error() && !problem {
                return Err(format!("{path}: {status}"));
            }
        }
        Ok(())
    });
}
