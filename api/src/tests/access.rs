//! Who is let in, and what a client that is not is told to do about it.

use super::*;

/// Every way to ask, with what is answered to whom.
async fn asked(house: &House, authorization: &[&str]) -> Vec<Response<Body>> {
    let mut answers = Vec::new();
    for (method, path, body) in [
        ("POST", "/v1/transactions", "{}"),
        ("GET", "/v1/campaigns", ""),
        ("POST", "/v1/campaigns/x/start", "{}"),
        ("GET", "/v1/accounts/x", ""),
        ("GET", "/v1/held", ""),
        ("GET", "/v1/clock", ""),
        ("GET", "/v1/parked", ""),
        ("POST", "/graphql", r#"{"query":"{__typename}"}"#),
    ] {
        let mut request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        for value in authorization {
            request = request.header(header::AUTHORIZATION, *value);
        }
        answers.push(house.send(request.body(Body::from(body)).unwrap()).await);
    }
    answers
}

#[tokio::test]
async fn a_missing_an_expired_and_a_wrong_token_are_told_apart_alike_over_rest_and_graphql() {
    let house = house(false).await;
    let issued = |seconds: i64| {
        let request =
            TokenRequest { sub: Some("cus_1"), sources: &[], scope: "ops", ttl: Duration::from_mins(1) };
        format!("Bearer {}", house.issuer.issue(&request, now().plus_micros(seconds * 1_000_000)).unwrap())
    };
    let (expired, early) = (issued(-100), issued(100));
    let forged = issued(0) + "A";
    let (none, refused) =
        ("Bearer realm=\"rewardhub\"", "Bearer realm=\"rewardhub\", error=\"invalid_token\"");
    for (sent, code, description) in [
        (&[][..], "token_missing", None),
        (&["Basic bWFyeTpzZWNyZXQ="], "token_missing", None),
        (&["Bearer"], "token_missing", None),
        (&["Bearer "], "token_missing", None),
        (&[expired.as_str()], "token_expired", Some("the token has expired")),
        (&[early.as_str()], "token_invalid", Some("the token is not accepted")),
        (&[forged.as_str()], "token_invalid", Some("the token is not accepted")),
        (&["Bearer a.b.c"], "token_invalid", Some("the token is not accepted")),
        (&["bearer secret"], "token_invalid", Some("the token is not accepted")),
        (&[expired.as_str(), expired.as_str()], "token_invalid", Some("the token is not accepted")),
    ] {
        let challenge = match description {
            Some(description) => format!("{refused}, error_description=\"{description}\""),
            None => none.to_owned(),
        };
        for answer in asked(&house, sent).await {
            assert_eq!(answer.status(), 401, "{sent:?}");
            assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], challenge, "{sent:?}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
            let problem = read(answer).await;
            assert_eq!(problem["code"], code, "{sent:?}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert_eq!(
                description.unwrap_or("no bearer token was sent: Authorization: Bearer TOKEN"),
                detail
            );
        }
    }
    assert!(house.intake.taken.lock().is_empty());
}

#[tokio::test]
async fn only_a_token_with_the_scope_may_write() {
    let house = house(false).await;
    let reader = house.token(Some("cus_1"), "rewards:read");
    let refused = house.post(&reader, "application/json", "{}").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(
        refused.headers()[header::WWW_AUTHENTICATE],
        "Bearer realm=\"rewardhub\", error=\"insufficient_scope\""
    );
    assert_eq!(read(refused).await["code"], "insufficient_scope");
    assert!(house.intake.taken.lock().is_empty());
}

#[tokio::test]
async fn an_empty_body_is_said_to_be_empty_in_one_sentence() {
    let house = house(false).await;
    let token = house.token(Some("alice"), "transactions:write campaigns:write ops");
    for (path, status, detail) in [
        ("/v1/transactions", 400, "the body is empty: send one transaction or an array of them"),
        ("/graphql", 400, r#"the body is empty: send {"query":"…"} as JSON"#),
        ("/v1/campaigns", 422, "the body is empty: send the campaign's terms as JSON"),
        ("/v1/campaigns/x/fund", 422, "the body of fund cannot be read: it is empty, and missing field"),
        ("/v1/accounts/x/close", 422, "the body of close cannot be read: it is empty, and missing field"),
    ] {
        for body in ["", " \r\n\t"] {
            let request = Request::post(path)
                .header(header::AUTHORIZATION, &token)
                .header(header::CONTENT_TYPE, "application/json");
            let answer = house.send(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status(), status, "{path}");
            let problem = read(answer).await;
            assert!(problem["detail"].as_str().unwrap().starts_with(detail), "{path}: {problem}");
        }
    }
}
