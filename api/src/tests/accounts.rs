//! Accounts over HTTP. The rules are the real ones, in memory; the engine is not here.

use std::collections::HashMap;

use ledger_core::account::{AccountAnswer, CommandKind, Rejection, RewardAccount};
use ledger_core::aggregate::Decides as _;

use super::*;
use crate::accounts::CommandAccounts;

/// Accounts without a log.
#[derive(Default)]
pub(super) struct InMemory(Mutex<HashMap<AccountId, RewardAccount>>);

#[async_trait::async_trait]
impl CommandAccounts for InMemory {
    async fn command(
        &self,
        account: AccountId,
        kind: CommandKind,
        context: CommandContext,
    ) -> Result<Result<AccountAnswer, Rejection>, SubmitError> {
        use cqrs_es::Aggregate as _;
        assert_eq!(&*context.actor(), "operator:olga", "the token's sub is who did it");
        let mut held = self.0.lock();
        let state = held.entry(account).or_default();
        Ok(state.decide(now(), &context.actor(), &kind).map(|(events, answer)| {
            for event in events {
                state.apply(event);
            }
            answer
        }))
    }
}

impl House {
    async fn act(&self, path: &str, body: Value) -> (u16, Value) {
        let request = Request::post(format!("/v1/accounts/{path}"))
            .header(header::AUTHORIZATION, self.token(Some("olga"), "ops"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }))
            .unwrap();
        let response = self.send(request).await;
        (response.status().as_u16(), read(response).await)
    }
}

#[tokio::test]
async fn an_account_is_opened_excluded_reinstated_and_closed() {
    let house = house(false).await;
    let because = |reason: &str| json!({ "reason": reason });
    let exclude = |kind: &str| json!({ "kind": kind, "reason": "works here" });
    for (action, body, word) in [
        ("open", Value::Null, "done"),
        ("open", json!({}), "unchanged"),
        ("exclude", exclude("staff"), "done"),
        ("exclude", exclude("staff"), "unchanged"),
        ("exclude", exclude("self_excluded"), "done"),
        ("reinstate", because("left"), "done"),
        ("reinstate", because("left"), "unchanged"),
        ("close", because("moved"), "done"),
        ("close", because("moved"), "unchanged"),
    ] {
        let answer = house.act(&format!("cus_1/{action}"), body).await;
        assert_eq!(answer, (200, json!({ "account_id": "cus_1", "result": word })), "{action}");
    }
    let (status, problem) = house.act("cus_1/open", Value::Null).await;
    assert_eq!((status, problem["detail"].as_str()), (409, Some("the account is closed")));
    let (_, answer) = house.act("a%2Fb%3F/open", Value::Null).await;
    assert_eq!(answer["account_id"], "a/b?", "an id may hold any printable character");
}

#[tokio::test]
async fn what_is_refused_of_an_account_says_why() {
    let house = house(false).await;
    let card = json!({ "kind": "staff", "reason": "card 4929420573595709" });
    for (path, body, expected, says) in [
        ("cus_1/close", json!({ "reason": "left" }), 404, "there is no such account"),
        ("cus_1/erase", json!({}), 404, "there is no such action"),
        ("cus_1/exclude", json!({ "reason": "left" }), 422, "missing field `kind`"),
        ("cus_1/exclude", json!({ "kind": "boss", "reason": "x" }), 422, "unknown variant, expected one of"),
        ("cus_1/exclude", card, 422, "must not hold a card number"),
        ("cus_1/close", Value::Null, 422, "missing field `reason`"),
        ("cus_1/close", json!({ "reason": " " }), 422, "1 to 500 printable characters"),
        ("cus_1/open", json!({ "reason": "x" }), 422, "unknown field, there are no fields"),
        ("jo@example.com/open", Value::Null, 422, "account_id: must be a pseudonym"),
        ("4929420573595709/open", Value::Null, 422, "account_id: must not hold a card number"),
    ] {
        let (status, problem) = house.act(path, body).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == expected && detail.contains(says), "{path}: {status} {detail}");
        assert!(!detail.contains("4929") && !detail.contains("jo@"), "{detail}");
    }
}

#[tokio::test]
async fn only_a_named_operator_commands_accounts() {
    let house = house(false).await;
    let send = async |method: &str, path: &str, token: String| {
        let request = Request::builder().method(method).uri(format!("/v1/accounts/{path}"));
        let request = request.header(header::AUTHORIZATION, &token).body(Body::empty()).unwrap();
        house.send(request).await.status().as_u16()
    };
    let others = "transactions:write audit:read campaigns:write rewards:read privacy:erase";
    assert_eq!(send("POST", "cus_1/open", house.token(Some("olga"), others)).await, 403);
    assert_eq!(send("POST", "cus_1/open", house.token(None, "ops")).await, 403);
    assert_eq!(send("POST", "cus_1/open", "Bearer nonsense".into()).await, 401);
    assert_eq!(send("POST", "cus_1/open", house.token(Some("olga"), "ops")).await, 200);
    // To look takes less: a token that names nobody, or an auditor's.
    assert_eq!(send("GET", "cus_1", house.token(None, "ops")).await, 404);
    assert_eq!(send("GET", "cus_1", house.token(None, "audit:read")).await, 404);
    assert_eq!(send("GET", "cus_1", house.token(Some("cus_1"), "rewards:read campaigns:write")).await, 403);
}

#[tokio::test]
async fn only_a_named_operator_or_auditor_lists_held_lines_page_by_page() {
    let house = house(false).await;
    let list = async |query: &str, token: String| {
        let request = Request::get(format!("/v1/held{query}")).header(header::AUTHORIZATION, &token);
        let response = house.send(request.body(Body::empty()).unwrap()).await;
        (response.status().as_u16(), read(response).await)
    };
    for scope in ["ops", "audit:read"] {
        assert_eq!(list("", house.token(None, scope)).await, (200, json!({ "held": [], "next": null })));
    }
    assert_eq!(list("", house.token(Some("cus_1"), "rewards:read campaigns:write")).await.0, 403);
    for wrong in ["?first=0", "?first=101", "?after=x"] {
        assert_eq!(list(wrong, house.token(None, "ops")).await.0, 422, "{wrong}");
    }
}

#[tokio::test]
async fn a_review_names_its_line_and_needs_a_reason() {
    let house = house(false).await;
    house.act("cus_1/open", Value::Null).await;
    let line = json!({ "source": "acme-bank", "transaction_id": "t1", "reason": "the bank's mistake" });
    for action in ["release", "dismiss"] {
        let (status, problem) = house.act(&format!("cus_1/{action}"), line.clone()).await;
        assert_eq!((status, problem["detail"].as_str()), (409, Some("transaction t1 is not held")));
        let (status, problem) = house.act(&format!("cus_1/{action}"), json!({ "reason": "x" })).await;
        assert!(status == 422 && problem["detail"].as_str().unwrap().contains("missing field `source`"));
    }
    assert_eq!(house.act("nobody/release", line).await.0, 404);
}
