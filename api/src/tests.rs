//! The router as a client meets it. The ledger behind the intake is a stub; tokens, log and read
//! models are real.

mod access;
mod accounts;
mod campaigns;
mod clock;
mod fuzz;
mod graphql;
mod hostile;
mod openapi;
mod pages;
mod positions;
mod switches;
mod web;

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, header};
use ledger_core::engine::{ClockAhead, CommandContext, Receipt, RowResult, SubmitError};
use ledger_core::ids::AccountId;
use ledger_core::keys::FileKeyProvider;
use ledger_core::log::{Position, WriterLease as _};
use ledger_core::steps::intake::{RowAnswer, Sources};
use ledger_core::time::Timestamp;
use ledger_core::transaction::{RowCode, RowError};
use parking_lot::Mutex;
use projections::Runner;
use serde_json::{Value, json};
use support::{History, ManualClock, SimulatedLog, stream};
use tower::ServiceExt;

use super::*;
use crate::auth::{SandboxIssuer, TokenRequest};
use crate::explorer::{PageToken, PageTokens};

/// Answers what it is told to, and remembers what it was given.
#[derive(Default)]
struct StubIntake {
    refuses: Mutex<Option<SubmitError>>,
    taken: Mutex<Vec<(usize, Sources)>>,
}

#[async_trait::async_trait]
impl TakeRows for StubIntake {
    async fn take(
        &self,
        rows: &[&[u8]],
        sources: &Sources,
        _: CommandContext,
    ) -> Result<Vec<RowAnswer>, SubmitError> {
        self.taken.lock().push((rows.len(), sources.clone()));
        if let Some(error) = self.refuses.lock().take() {
            return Err(error);
        }
        assert_ne!(rows.first(), Some(&&b"\"panic\""[..]), "a defect");
        let answer = |row: &&[u8]| RowAnswer {
            transaction_id: Some("t1".into()),
            outcome: if row.starts_with(b"{") {
                let position = Some(Position(7));
                Ok(Receipt { result: RowResult::Accepted, position, won: None })
            } else {
                Err(RowError::new(RowCode::Malformed, "", "expected an object"))
            },
        };
        Ok(rows.iter().map(answer).collect())
    }
}

struct House {
    router: Router,
    state: ApiState,
    intake: Arc<StubIntake>,
    time: Arc<clock::StubTime>,
    issuer: SandboxIssuer,
    log: Arc<SimulatedLog>,
    // The read models stand still as long as it lives; without it they count as stopped.
    runner: Option<Runner>,
    _folder: tempfile::TempDir,
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000)
}

async fn house(graphiql: bool) -> House {
    house_that_shows(graphiql, "read.db").await
}

/// The runner fills `read.db`; what is shown may be another file.
async fn house_that_shows(graphiql: bool, shown: &str) -> House {
    let folder = tempfile::tempdir().unwrap();
    let issuer = SandboxIssuer::open_or_create(folder.path()).unwrap();
    let log = Arc::new(SimulatedLog::new());
    let read = ReadStore::open(&folder.path().join("read.db")).unwrap();
    let (runner, progress) = Runner::new(Arc::clone(&log) as Arc<dyn EventLog>, read.clone()).unwrap();
    let read = if shown == "read.db" { read } else { ReadStore::open(&folder.path().join(shown)).unwrap() };
    let intake = Arc::new(StubIntake::default());
    let time = Arc::new(clock::StubTime::default());
    let provider = Arc::new(FileKeyProvider::open_or_create(&folder.path().join("root.key")).unwrap());
    let keys = folder.path().join("keys.db");
    let keyring = Arc::new(stores::keys::open(&keys, provider).await.unwrap());
    let token = |sub, scope, token: &str| PageToken { sub, scope, ttl: "an hour", token: token.into() };
    let page_tokens: MakeTokens = Arc::new(move || PageTokens {
        customer: token("cus_0001", "rewards:read", "customer-token"),
        staff: token("feed", "transactions:write audit:read", "staff-token"),
        explorer: token("cus_0001", "rewards:read audit:read", "page-token"),
    });
    let state = ApiState {
        verifier: Arc::new(Verifier::new(&issuer.jwks(), issuer.issuer(), crate::auth::AUDIENCE).unwrap()),
        allowances: Arc::new(crate::allowance::Allowances::new(crate::allowance::Limits::default())),
        clock: Arc::new(ManualClock::at(now())),
        intake: Arc::clone(&intake) as Arc<dyn TakeRows>,
        bodies: Bodies::new(16 << 20),
        campaigns: Arc::new(campaigns::InMemory::default()),
        accounts: Arc::new(accounts::InMemory::default()),
        time: Arc::clone(&time) as _,
        parked: Arc::new(crate::parked::NothingParked),
        switches: Arc::new(switches::InMemory::default()),
        writer_healthy: Arc::new(|| true),
        log: Arc::clone(&log) as Arc<dyn EventLog>,
        read,
        progress,
        ready: health::Bounds { lag_events_max: 1, lag_max: Duration::from_secs(5) },
        keyring,
        render_metrics: Arc::new(|| "up 1\n".into()),
        production: false,
        page_tokens: graphiql.then_some(page_tokens),
        demo: Arc::default(),
        origins: cors::Origins::default(),
    };
    House {
        router: router(state.clone()),
        state,
        intake,
        time,
        issuer,
        log,
        runner: Some(runner),
        _folder: folder,
    }
}

impl House {
    fn token(&self, sub: Option<&str>, scope: &str) -> String {
        let request = TokenRequest { sub, sources: &["acme".into()], scope, ttl: Duration::from_mins(1) };
        format!("Bearer {}", self.issuer.issue(&request, now()).unwrap())
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn post(&self, token: &str, content_type: &str, body: impl Into<Body>) -> Response<Body> {
        let request = Request::post("/v1/transactions")
            .header(header::AUTHORIZATION, token)
            .header(header::CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn feed(&self, content_type: &str, body: impl Into<Body>) -> Response<Body> {
        self.post(&self.token(Some("acme-feed"), "transactions:write"), content_type, body).await
    }

    /// From now on the profile is `production`.
    fn in_production(&mut self) {
        self.state.production = true;
        self.router = router(self.state.clone());
    }

    async fn graphql(&self, token: Option<&str>, body: String) -> Response<Body> {
        let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn query(&self, token: Option<&str>, query: &str) -> Value {
        let response = self.graphql(token, json!({ "query": query }).to_string()).await;
        assert_eq!(response.status(), 200);
        read(response).await
    }
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn read(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
}

fn get_request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_row_is_answered_in_order_and_in_the_words_of_the_interface() {
    let house = house(false).await;
    let response = house.feed("application/json; charset=utf-8", "[{}, 7]").await;
    assert_eq!(response.status(), 200);
    let expected = json!({ "results": [
        { "row": 1, "transaction_id": "t1", "result": "accepted", "position": "0:7", "error": null },
        { "row": 2, "transaction_id": "t1", "result": "rejected", "position": null,
          "error": { "code": "malformed", "field": "", "message": "expected an object" } },
    ]});
    assert_eq!(read(response).await, expected);
    let lines = house.feed("application/x-ndjson", "{}\n\n{}\n{}\n").await;
    let lines = read(lines).await["results"].take();
    let rows: Vec<_> = lines.as_array().unwrap().iter().map(|result| result["row"].clone()).collect();
    assert_eq!(rows, [1, 2, 3], "a blank line is no row");
    let taken = house.intake.taken.lock();
    let acme = Sources::Only(std::iter::once("acme".parse().unwrap()).collect());
    assert_eq!(*taken, [(2, acme.clone()), (3, acme)]);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_as_a_whole_without_repeating_it() {
    let house = house(false).await;
    for (content_type, body, status) in [
        ("application/json", "[{},\n secret".to_owned(), 400),
        ("text/plain", "{}".to_owned(), 415),
        ("application/json", format!("[{}]", vec!["{}"; 5_001].join(",")), 413),
        ("application/json", " ".repeat(5 * 1024 * 1024 + 1), 413),
    ] {
        let response = house.feed(content_type, body).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let problem = read(response).await;
        assert_eq!(problem["status"], status);
        assert!(!problem.to_string().contains("secret"));
    }
    let malformed = read(house.feed("application/json", "[{},\n x]").await).await;
    assert!(malformed["detail"].as_str().unwrap().contains("line 2, column 2"), "{malformed}");
    assert!(house.intake.taken.lock().is_empty());
}

#[tokio::test]
async fn a_busy_ledger_says_when_to_come_back() {
    let house = house(false).await;
    for (error, status, seconds) in [
        (SubmitError::Full, 429, "1"),
        (SubmitError::Unavailable, 503, "2"),
        (SubmitError::Clock(ClockAhead { seconds: 61 }), 503, "10"),
        (SubmitError::NotWriter, 503, "2"),
        (SubmitError::AccountUnavailable, 503, "60"),
    ] {
        *house.intake.refuses.lock() = Some(error);
        let response = house.feed("application/json", "{}").await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::RETRY_AFTER], seconds);
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_and_not_the_end() {
    let house = house(false).await;
    let response = house.feed("application/json", "\"panic\"").await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(read(response).await["detail"], "an internal fault occurred");
    assert_eq!(house.feed("application/json", "{}").await.status(), 200);
}

#[tokio::test]
async fn a_good_request_id_is_echoed_and_a_bad_one_replaced() {
    let house = house(false).await;
    let id = |given: &'static str| {
        let request = Request::get("/healthz").header("x-request-id", given).body(Body::empty()).unwrap();
        let response = house.send(request);
        async { response.await.headers()["x-request-id"].to_str().unwrap().to_owned() }
    };
    assert_eq!(id("abc-1").await, "abc-1");
    let fresh = id(" ").await;
    assert!(fresh.len() == 32 && fresh.bytes().all(|b| b.is_ascii_hexdigit()), "{fresh}");
    assert_ne!(id("").await, fresh);
    let long: &'static str = "12345678901234567890123456789012345678901234567890123456789012345";
    assert_eq!(id(&long[..64]).await, &long[..64]);
    for bad in
        [long, "4111111111111111", "card-4111111111111111", "4111.1111.1111.1111", "<script>", "a b", "a/b"]
    {
        assert_ne!(id(bad).await, bad);
    }
}

#[tokio::test]
async fn answers_are_not_stored_and_not_sniffed() {
    let house = house(false).await;
    for path in ["/healthz", "/nowhere", "/graphql"] {
        let response = house.send(get_request(path)).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    assert_eq!(house.send(get_request("/nowhere")).await.status(), 404);
    assert_eq!(house.send(get_request("/v1/transactions")).await.status(), 405);
}

#[tokio::test]
async fn we_are_ready_while_log_and_read_models_are() {
    let mut house = house(false).await;
    assert_eq!(text(house.send(get_request("/healthz")).await).await, "ok");
    assert_eq!(text(house.send(get_request("/metrics")).await).await, "up 1\n");
    assert_eq!(house.send(get_request("/readyz")).await.status(), 200);

    house.log.faults().fail_reads(1);
    let response = house.send(get_request("/readyz")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(read(response).await["checks"]["log"], "cannot be read");

    house.runner = None;
    let response = house.send(get_request("/readyz")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(read(response).await["checks"]["projections"], "stopped");
}

#[tokio::test]
async fn read_models_that_are_behind_by_too_much_or_for_too_long_are_not_ready() {
    // (events behind, recorded how many seconds ago, what the check says)
    for (events, seconds, says) in
        [(0, 0, "ok"), (1, 4, "ok"), (2, 0, "too many events behind"), (1, 6, "behind for too long")]
    {
        let house = house(false).await;
        let mut history =
            History { recorded_at: now().plus_micros(-seconds * 1_000_000), ..History::default() };
        for _ in 0..events {
            let event = history.event(&stream("a"));
            let term = house.log.lease("test", None).await.unwrap().term;
            house.log.append(&history.batch(term, vec![event])).await.unwrap();
        }
        let response = house.send(get_request("/readyz")).await;
        assert_eq!(response.status(), if says == "ok" { 200 } else { 503 });
        let checks = read(response).await["checks"].take();
        assert_eq!(checks["projections"], says, "{checks}");
        assert_eq!((&checks["lag_events"], &checks["lag_ms"]), (&json!(events), &json!(seconds * 1_000)));
    }
}

#[tokio::test]
async fn a_front_says_what_it_waits_for_until_there_is_something_to_serve() {
    use crate::front::{Front, Waiting};
    let front = Front::new(Arc::new(|| "up 1\n".into()), Origins::default());
    let send = |path: &str| front.router().oneshot(get_request(path));
    for (waiting, state) in [(None, "starting"), (Some(Waiting::Standby), "standby")] {
        if let Some(why) = waiting {
            front.wait(why);
        }
        assert_eq!(send("/healthz").await.unwrap().status(), 200);
        assert_eq!(text(send("/metrics").await.unwrap()).await, "up 1\n");
        let response = send("/readyz").await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(read(response).await, json!({ "ready": false, "state": state }));
        for path in ["/graphql", "/v1/transactions", "/nowhere"] {
            let response = send(path).await.unwrap();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
    }
    let house = house(false).await;
    front.serve(house.router.clone());
    assert_eq!(send("/readyz").await.unwrap().status(), 200);
    assert_eq!(send("/nowhere").await.unwrap().status(), 404);
}
