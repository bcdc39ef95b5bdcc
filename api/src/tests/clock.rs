//! A clock that may be wrong: what is still answered, what is said, and how a person accepts it.

use ledger_core::engine::ClockState;

use super::*;
use crate::clock::KeepTime;

/// In order, or ahead by so many seconds; remembers why it was accepted.
#[derive(Default)]
pub(super) struct StubTime {
    pub(super) ahead: Mutex<Option<i64>>,
    accepted: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl KeepTime for StubTime {
    fn state(&self) -> ClockState {
        let ahead = self.ahead.lock().map(|seconds| ClockAhead { seconds });
        let shows = now().plus_micros(ahead.map_or(0, |ahead| ahead.seconds * 1_000_000));
        ClockState { shows, expected: now(), ahead }
    }

    async fn accept(&self, reason: String, _: CommandContext) -> Result<bool, SubmitError> {
        self.accepted.lock().push(reason);
        Ok(self.ahead.lock().take().is_some())
    }
}

fn asked(method: &str, path: &str, token: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, token);
    request.header(header::CONTENT_TYPE, "application/json").body(body.to_owned().into()).unwrap()
}

#[tokio::test]
async fn readiness_says_in_words_that_the_clock_is_ahead_and_the_process_lives() {
    let house = house(false).await;
    let ready = async || read(house.send(get_request("/readyz")).await).await;
    assert_eq!(ready().await["checks"]["clock"], "ok");
    *house.time.ahead.lock() = Some(3_456_000);
    let response = house.send(get_request("/readyz")).await;
    assert_eq!(response.status(), 503);
    let said = read(response).await["checks"]["clock"].as_str().unwrap().to_owned();
    assert!(said.starts_with("the clock is 3456000 s ahead of the time that has passed"), "{said}");
    assert_eq!(house.send(get_request("/healthz")).await.status(), 200);
    *house.time.ahead.lock() = None;
    assert_eq!(ready().await["checks"]["clock"], "ok");
}

#[tokio::test]
async fn a_person_sees_the_clock_and_accepts_it_with_a_reason() {
    let house = house(false).await;
    let token = house.token(Some("alice"), "ops");
    *house.time.ahead.lock() = Some(7_200);
    let shown = read(house.send(asked("GET", "/v1/clock", &token, "")).await).await;
    assert_eq!(shown["in_order"], false);
    assert_eq!(shown["ahead_seconds"], 7_200);
    assert_eq!(shown["expected"], serde_json::to_value(now()).unwrap());

    for (body, status) in [("{}", 422), (r#"{"reason":""}"#, 422), (r#"{"reason":"x","by":"bob"}"#, 422)] {
        let response = house.send(asked("POST", "/v1/clock/accept", &token, body)).await;
        assert_eq!(response.status(), status, "{body}");
    }
    let reason = r#"{"reason":"the laptop slept"}"#;
    for result in ["done", "unchanged"] {
        let response = house.send(asked("POST", "/v1/clock/accept", &token, reason)).await;
        assert_eq!(read(response).await["result"], result);
    }
    assert_eq!(*house.time.accepted.lock(), ["the laptop slept", "the laptop slept"]);
}

#[tokio::test]
async fn only_operators_with_a_name_touch_the_clock() {
    let house = house(false).await;
    let nameless = house.token(None, "ops");
    let others = house.token(Some("alice"), "audit:read transactions:write rewards:read campaigns:write");
    let reason = r#"{"reason":"because"}"#;
    for (method, path, body) in [("GET", "/v1/clock", ""), ("POST", "/v1/clock/accept", reason)] {
        assert_eq!(house.send(asked(method, path, &others, body)).await.status(), 403);
    }
    assert_eq!(house.send(asked("POST", "/v1/clock/accept", &nameless, reason)).await.status(), 403);
    assert!(house.time.accepted.lock().is_empty());
}

/// Nobody knows the time: reading goes on, and the operator who makes a token to accept the clock
/// is heard.
#[tokio::test]
async fn while_the_clock_is_ahead_a_token_is_good_by_either_time() {
    let house = house(false).await;
    let made_at = |micros: i64| {
        let request =
            TokenRequest { sub: Some("alice"), sources: &[], scope: "ops", ttl: Duration::from_mins(1) };
        format!("Bearer {}", house.issuer.issue(&request, now().plus_micros(micros)).unwrap())
    };
    let hour = 3_600_000_000;
    let shown = async |token: &str| house.send(asked("GET", "/v1/clock", token, "")).await.status().as_u16();
    assert_eq!((shown(&made_at(0)).await, shown(&made_at(hour)).await), (200, 401));
    *house.time.ahead.lock() = Some(3_600);
    assert_eq!((shown(&made_at(0)).await, shown(&made_at(hour)).await), (200, 200));
    assert_eq!((shown(&made_at(2 * hour)).await, shown(&made_at(-hour)).await), (401, 401));
}
