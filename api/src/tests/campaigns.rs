//! Campaigns over HTTP. The rules are the real ones, in memory; the engine is not here.

use ledger_core::aggregate::Decides as _;
use ledger_core::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use ledger_core::ids::CampaignId;

use super::*;
use crate::campaigns::CommandCampaigns;

/// One campaign without a log.
#[derive(Default)]
pub(super) struct InMemory(Mutex<(Campaign, Vec<String>)>);

#[async_trait::async_trait]
impl CommandCampaigns for InMemory {
    async fn command(
        &self,
        _: CampaignId,
        kind: CampaignCommandKind,
        context: CommandContext,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, SubmitError> {
        use cqrs_es::Aggregate as _;
        let by = context.actor();
        let mut held = self.0.lock();
        let decided = held.0.decide(now(), &by, &kind).map(|(events, answer)| {
            for event in events {
                held.0.apply(event);
            }
            answer
        });
        held.1.push(by.to_string());
        Ok(decided)
    }

    async fn states(&self, only: Option<CampaignId>) -> Result<Vec<(Campaign, u64)>, SubmitError> {
        let campaign = self.0.lock().0.clone();
        let asked = only.is_none_or(|id| campaign.terms().is_some_and(|(terms, _)| terms.campaign_id == id));
        Ok(if asked { vec![(campaign, 1)] } else { vec![] })
    }
}

fn terms() -> Value {
    json!({
        "campaign_id": "autumn", "name": "Autumn", "time_zone": "Europe/London",
        "starts_at": "2026-01-01T00:00:00Z",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "fiver", "odds_ppb": 1_000_000, "prize": { "fixed": 500 } },
        ] },
        "budget": { "minor": 100_000, "currency": "GBP" },
        "funding_limit_minor": 1_000,
    })
}

impl House {
    /// The status and the answer of a POST by this person.
    async fn command(&self, who: &str, path: &str, body: Value) -> (u16, Value) {
        let token = self.token(Some(who), "campaigns:write");
        let request = Request::post(format!("/v1/campaigns{path}"))
            .header(header::AUTHORIZATION, &token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }))
            .unwrap();
        let response = self.send(request).await;
        (response.status().as_u16(), read(response).await)
    }
}

fn result(word: &str) -> (u16, Value) {
    (200, json!({ "campaign_id": "autumn", "result": word }))
}

#[tokio::test]
async fn a_campaign_lives_from_its_draft_to_its_end() {
    let house = house(false).await;
    let halt = json!({ "epoch": "2026-11-22", "reason": "odd" });
    let amount = json!({ "minor": 1_001, "currency": "GBP" });
    let fund = json!({ "amount": amount, "reference": "po-1" });
    let mut revised = terms();
    revised["name"] = json!("Late autumn");
    let steps = [
        ("alice", "", terms(), "done"),
        ("alice", "", terms(), "unchanged"),
        ("bob", "/autumn/approve", json!({ "version": 1 }), "done"),
        ("alice", "/autumn/schedule", json!({ "start_at": "2099-01-01T00:00:00Z" }), "done"),
        ("alice", "/autumn/start", Value::Null, "done"),
        ("alice", "/autumn/pause", json!({ "reason": "checks" }), "done"),
        ("alice", "/autumn/resume", json!({}), "done"),
        ("alice", "/autumn/revise", revised, "done"),
        ("bob", "/autumn/approve", json!({ "version": 2 }), "done"),
        ("alice", "/autumn/fund", fund.clone(), "proposed"),
        ("bob", "/autumn/approve-funding", json!({ "reference": "po-1" }), "done"),
        ("alice", "/autumn/fund", fund, "unchanged"),
        ("alice", "/autumn/end", Value::Null, "done"),
    ];
    for (who, path, body, word) in steps {
        assert_eq!(house.command(who, path, body).await, result(word), "{path} by {who}");
    }
    let (status, problem) = house.command("alice", "/autumn/halt-epoch", halt).await;
    assert_eq!((status, problem["detail"].as_str()), (409, Some("epoch 2026-11-22 is not scheduled")));
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let house = house(false).await;
    let detail = async |who, path, body| {
        let (status, problem) = house.command(who, path, body).await;
        (status, problem["detail"].as_str().unwrap_or_default().to_owned())
    };
    let unknown = (404, "there is no such campaign".to_owned());
    assert_eq!(detail("alice", "/autumn/start", Value::Null).await, unknown);
    let mut broken = terms();
    broken["prize_table"]["tiers"][0]["odds_ppb"] = json!(0);
    let odds = (422, "prize_table.tiers[0].odds_ppb: must be 1 to 1000000000".to_owned());
    assert_eq!(detail("alice", "", broken).await, odds);
    let mut unreadable = terms();
    unreadable["grace"] = json!(1);
    let (status, text) = detail("alice", "", unreadable).await;
    assert!(status == 422 && text.contains("unknown field, expected"), "{status} {text}");
    house.command("alice", "", terms()).await;
    let own = "version 1 was written by alice; somebody else has to approve it";
    assert_eq!(detail("alice", "/autumn/approve", json!({ "version": 1 })).await, (403, own.to_owned()));
    // Whoever does not say which version he has read might sign another one.
    for body in [Value::Null, json!({})] {
        let (status, text) = detail("bob", "/autumn/approve", body).await;
        assert!(status == 422 && text.contains("missing field `version`"), "{status} {text}");
    }
    let (status, text) = detail("bob", "/autumn/approve", json!({ "versoin": 1 })).await;
    assert!(status == 422 && text.contains("unknown field, expected"), "{status} {text}");
    let missing = (404, "there is no such action".to_owned());
    assert_eq!(detail("bob", "/autumn/destroy", Value::Null).await, missing);
    assert_eq!(detail("bob", "/autumn/create", terms()).await, missing);
    let early = (409, "the campaign has not been approved".to_owned());
    assert_eq!(detail("bob", "/autumn/start", Value::Null).await, early);
}

#[tokio::test]
async fn what_operators_say_is_printable_bounded_and_no_card_number() {
    let house = house(false).await;
    let ops = house.token(Some("olga"), "campaigns:write ops");
    let post = async |action: &str, body: Value| {
        let request = Request::post(format!("/v1/campaigns/autumn/{action}"))
            .header(header::AUTHORIZATION, &ops)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = house.send(request).await;
        let (status, problem) = (response.status().as_u16(), read(response).await);
        (status, problem["detail"].as_str().unwrap_or_default().to_owned())
    };
    let long = "a".repeat(1_000_000);
    for action in ["pause", "halt-epoch", "resume-epoch", "open-seed"] {
        for (reason, said) in [
            ("lost 4111 1111 1111 1111", "must not hold a card number"),
            ("", "1 to 500 printable"),
            ("a\0b", "must not hold U+0000"),
            ("a\u{202e}b", "must not hold U+202E"),
            ("a\u{fe0f}b", "must not hold U+FE0F"),
            ("a\nb", "must not hold U+000A"),
            (&long[..501], "1 to 500 printable"),
            (&long[..], "1 to 500 printable"),
        ] {
            let mut body = json!({ "reason": reason });
            if action != "pause" {
                body["epoch"] = json!("2026-11-22");
            }
            let (status, detail) = post(action, body).await;
            assert!(status == 422 && detail.contains(said), "{action} {said}: {status} {detail}");
            assert!(!detail.contains("4111"), "{detail}");
        }
    }
    house.command("alice", "", terms()).await;
    house.command("bob", "/autumn/approve", json!({ "version": 1 })).await;
    house.command("alice", "/autumn/start", Value::Null).await;
    let amount = json!({ "minor": 1_001, "currency": "GBP" });
    for (action, body) in [
        ("fund", json!({ "amount": amount, "reference": "4111111111111111" })),
        ("approve-funding", json!({ "reference": "4111111111111111" })),
    ] {
        assert_eq!(post(action, body).await, (422, "reference: must not hold a card number".to_owned()));
    }
    assert_eq!(post("pause", json!({})).await.0, 422, "a pause has a reason");
}

#[tokio::test]
async fn nobody_acts_by_a_name_that_could_be_taken_for_another() {
    let house = house(false).await;
    for (name, said) in [
        ("alice\u{fe0f}", "the token's sub must not hold U+FE0F, which does not show"),
        ("4111 1111 1111 1111", "the token's sub must not hold a card number"),
    ] {
        let (status, problem) = house.command(name, "", terms()).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 403 && detail.starts_with(said), "{name:?}: {status} {detail}");
        // Nor does a feed: its name stands in the events of its lines.
        let request = Request::post("/v1/transactions")
            .header(header::AUTHORIZATION, house.token(Some(name), "transactions:write"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from("[]"))
            .unwrap();
        assert_eq!(house.send(request).await.status().as_u16(), 403, "{name:?}");
    }
}

#[tokio::test]
async fn only_a_named_person_with_the_scope_may_command() {
    let house = house(false).await;
    let send = async |token: String| {
        let request = Request::post("/v1/campaigns/autumn/start")
            .header(header::AUTHORIZATION, &token)
            .body(Body::empty())
            .unwrap();
        house.send(request).await.status().as_u16()
    };
    assert_eq!(send(house.token(Some("alice"), "transactions:write audit:read ops")).await, 403);
    assert_eq!(send(house.token(None, "campaigns:write")).await, 403);
    assert_eq!(send("Bearer nonsense".into()).await, 401);
    // Opening a seed is for operators, not for who writes terms; reading is for auditors too.
    let with = async |method: &str, path: &str, scope: &str, body: &str| {
        let request = Request::builder().method(method).uri(format!("/v1/campaigns{path}"));
        let request = request.header(header::AUTHORIZATION, house.token(Some("olga"), scope));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        house.send(request.body(Body::from(body.to_owned())).unwrap()).await.status().as_u16()
    };
    let seed = r#"{ "epoch": "2026-11-22", "reason": "odd wins" }"#;
    assert_eq!(with("POST", "/autumn/open-seed", "campaigns:write audit:read", seed).await, 403);
    assert_eq!(with("POST", "/autumn/open-seed", "ops", seed).await, 404);
    assert_eq!(with("POST", "/autumn/start", "ops", "").await, 403);
    for (path, found) in [("", 200), ("/autumn", 404)] {
        assert_eq!(with("GET", path, "audit:read", "").await, found);
        assert_eq!(with("GET", path, "campaigns:write", "").await, found);
        assert_eq!(with("GET", path, "ops rewards:read transactions:write", "").await, 403);
    }
    assert_eq!(send(house.token(Some("alice"), "campaigns:write")).await, 404);
}
