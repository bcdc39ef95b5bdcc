//! What people have halted: shown, set by who may, and no fault.

use cqrs_es::Aggregate as _;
use ledger_core::aggregate::Decides as _;
use ledger_core::system::{System, SystemAnswer, SystemCommandKind, SystemRejection};

use super::*;
use crate::switches::KeepSwitches;

/// Switches without a ledger.
#[derive(Default)]
pub(super) struct InMemory(Mutex<System>);

#[async_trait::async_trait]
impl KeepSwitches for InMemory {
    fn state(&self) -> System {
        self.0.lock().clone()
    }

    async fn set(
        &self,
        kind: SystemCommandKind,
        context: CommandContext,
    ) -> Result<Result<SystemAnswer, SystemRejection>, SubmitError> {
        let mut system = self.0.lock();
        let decided = system.decide(now(), &context.actor(), &kind);
        Ok(decided.map(|(events, answer)| {
            for event in events {
                system.apply(event);
            }
            answer
        }))
    }
}

fn asked(method: &str, path: &str, token: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, token);
    request.header(header::CONTENT_TYPE, "application/json").body(body.to_owned().into()).unwrap()
}

#[tokio::test]
async fn an_operator_halts_and_resumes_each_by_itself_and_readiness_only_says_so() {
    let house = house(false).await;
    let token = house.token(Some("alice"), "ops");
    let set = async |path: &str| {
        let reason = r#"{"reason":"the rail is odd"}"#;
        let response = house.send(asked("POST", &format!("/v1/switches/{path}"), &token, reason)).await;
        assert_eq!(response.status(), 200, "{path}");
        read(response).await["result"].take()
    };
    let halted = async || {
        let response = house.send(get_request("/readyz")).await;
        assert_eq!(response.status(), 200);
        read(response).await["checks"]["halted"].take()
    };
    assert_eq!(halted().await, json!([]));
    assert_eq!(set("payouts/halt").await, "done");
    assert_eq!(set("polling/halt").await, "done");
    assert_eq!(set("payouts/halt").await, "unchanged");
    assert_eq!(halted().await, json!(["payouts", "polling"]));
    let shown = read(house.send(asked("GET", "/v1/switches", &token, "")).await).await;
    let never = json!({ "what": "draws", "halted": false, "reason": null, "by": null });
    let payouts =
        json!({ "what": "payouts", "halted": true, "reason": "the rail is odd", "by": "operator:alice" });
    assert_eq!((&shown["switches"][0], &shown["switches"][1]), (&never, &payouts));
    assert_eq!(shown["switches"].as_array().unwrap().len(), 4);
    assert_eq!(set("payouts/resume").await, "done");
    assert_eq!(halted().await, json!(["polling"]));
}

#[tokio::test]
async fn what_is_no_switch_or_no_action_or_has_no_reason_changes_nothing() {
    let house = house(false).await;
    let token = house.token(Some("alice"), "ops");
    let reason = r#"{"reason":"because"}"#;
    for (path, body, status) in [
        ("draw/halt", reason, 404),
        ("DRAWS/halt", reason, 404),
        ("draws/stop", reason, 404),
        ("draws/halt", "{}", 422),
        ("draws/halt", "", 422),
        ("draws/halt", r#"{"reason":""}"#, 422),
        ("draws/halt", r#"{"reason":"x","by":"bob"}"#, 422),
    ] {
        let response = house.send(asked("POST", &format!("/v1/switches/{path}"), &token, body)).await;
        assert_eq!(response.status(), status, "{path} {body}");
    }
    let others = house.token(Some("alice"), "audit:read transactions:write rewards:read campaigns:write");
    let nameless = house.token(None, "ops");
    for token in [&others, &nameless] {
        let response = house.send(asked("POST", "/v1/switches/draws/halt", token, reason)).await;
        assert_eq!(response.status(), 403);
    }
    assert_eq!(house.send(asked("GET", "/v1/switches", &others, "")).await.status(), 403);
    assert_eq!(house.state.switches.state(), System::default());
}
