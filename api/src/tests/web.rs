//! What a web app in a browser meets: other origins, compressed answers, and the media types of
//! GraphQL over HTTP.

use super::*;
use crate::cors::Origins;

const APP: &str = "https://app.example";
const QUERY: &str = r#"{"query":"{ __typename }"}"#;

async fn open_to(origins: &str) -> House {
    let mut house = house(true).await;
    house.state.origins = Origins::parse(origins).unwrap();
    house.router = router(house.state.clone());
    house
}

fn from_origin(method: &str, path: &str, origin: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(header::ORIGIN, origin);
    request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").body(Body::empty()).unwrap()
}

fn allowed(response: &Response<Body>) -> Option<&str> {
    response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN)?.to_str().ok()
}

#[tokio::test]
async fn no_origin_is_let_in_unless_it_is_configured() {
    let closed = house(true).await;
    for path in ["/graphql", "/v1/transactions", "/v1/campaigns"] {
        let asked = closed.send(from_origin("OPTIONS", path, APP)).await;
        assert_eq!((asked.status().as_u16(), allowed(&asked)), (405, None), "{path}");
        assert_eq!(allowed(&closed.send(from_origin("POST", path, APP)).await), None);
    }
}

#[tokio::test]
async fn a_configured_origin_reads_what_apps_use_errors_too_and_nothing_else() {
    let house = open_to("https://app.example, http://localhost:5173").await;
    for path in ["/graphql", "/v1/transactions", "/v1/campaigns", "/v1/nowhere"] {
        let asked = house.send(from_origin("OPTIONS", path, APP)).await;
        assert_eq!((asked.status().as_u16(), allowed(&asked)), (200, Some(APP)), "{path}");
        let headers = asked.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
        assert!(headers.contains("authorization") && headers.contains("content-type"), "{headers}");
        assert!(!asked.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
        // Without a token: an app must be able to read why.
        let refused = house.send(from_origin("POST", path, APP)).await;
        assert!(refused.status().is_client_error());
        assert_eq!(allowed(&refused), Some(APP), "{path}");
        let exposed = refused.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        assert!(exposed.contains("www-authenticate") && exposed.contains("retry-after"), "{exposed}");
        for stranger in ["https://app.example.evil", "http://app.example", "https://evil.example", "null"] {
            let asked = house.send(from_origin("OPTIONS", path, stranger)).await;
            assert_eq!(allowed(&asked), None, "{stranger}");
            assert_eq!(allowed(&house.send(from_origin("POST", path, stranger)).await), None, "{stranger}");
        }
    }
    // The page of GraphiQL holds a token.
    for path in ["/graphql", "/", "/metrics", "/readyz", "/proof"] {
        assert_eq!(allowed(&house.send(from_origin("GET", path, APP)).await), None, "{path}");
    }
    let front = crate::front::Front::new(Arc::new(String::new), house.state.origins.clone());
    let waiting = front.router().oneshot(from_origin("POST", "/graphql", APP)).await.unwrap();
    assert_eq!((waiting.status().as_u16(), allowed(&waiting)), (503, Some(APP)));
}

#[tokio::test]
async fn an_answer_is_compressed_for_who_asks_for_it() {
    let house = house(false).await;
    let get = |encoding: &str, path: &str| {
        let request = Request::get(path).header(header::ACCEPT_ENCODING, encoding);
        house.send(request.body(Body::empty()).unwrap())
    };
    let plain = get("identity", "/openapi.json").await;
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    let plain = to_bytes(plain.into_body(), 1 << 20).await.unwrap();
    let packed = get("gzip, deflate, br", "/openapi.json").await;
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    assert!(packed.headers()[header::VARY].to_str().unwrap().contains("accept-encoding"));
    let packed = to_bytes(packed.into_body(), 1 << 20).await.unwrap();
    assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() * 3 < plain.len(), "{}", packed.len());
    let small = get("gzip", "/healthz").await;
    assert!(!small.headers().contains_key(header::CONTENT_ENCODING), "nothing is gained");

    let query = include_str!("introspection.graphql");
    let request = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT_ENCODING, "gzip")
        .header(header::AUTHORIZATION, house.token(Some("cus_1"), "rewards:read"))
        .body(Body::from(json!({ "query": query }).to_string()));
    assert_eq!(house.send(request.unwrap()).await.headers()[header::CONTENT_ENCODING], "gzip");
}

#[tokio::test]
async fn an_answer_to_a_query_has_the_media_type_that_is_wanted_most() {
    let house = house(false).await;
    let token = house.token(Some("cus_1"), "rewards:read");
    let (json, graphql) = ("application/json", "application/graphql-response+json");
    for (accept, media_type) in [
        (None, json),
        (Some("*/*"), json),
        (Some("text/html, */*;q=0.1"), json),
        (Some("application/*"), json),
        (Some("text/plain"), json),
        (Some("application/json"), json),
        (Some("application/graphql-response+json"), graphql),
        (Some("Application/GraphQL-Response+JSON; charset=utf-8"), graphql),
        (Some("application/graphql-response+json, application/json"), graphql),
        (Some("application/json, application/graphql-response+json"), json),
        (Some("application/json;q=0.9, application/graphql-response+json"), graphql),
        (Some("application/json, application/graphql-response+json;q=0.9"), json),
        (Some("application/graphql-response+json;q=0, */*"), json),
        (Some("application/graphql-response+json;q=x"), json),
    ] {
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, &token);
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        let answer = house.send(request.body(Body::from(QUERY)).unwrap()).await;
        assert_eq!(answer.status(), 200);
        let said = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!(said.split(';').next(), Some(media_type), "{accept:?}");
        assert!(answer.headers()[header::VARY].to_str().unwrap().contains("accept"));
    }
}

/// GraphQL over HTTP: what was not executed is 400 and has no `data`; what was is 200, whatever it
/// came to.
#[tokio::test]
async fn a_query_that_is_not_executed_is_a_bad_request_where_the_media_type_is_graphqls_own() {
    let house = house(false).await;
    let token = house.token(Some("cus_1"), "rewards:read");
    for (body, status) in [
        (json!({ "query": "{ __typename }" }), 200),
        (json!({ "query": "{ rewardAccount { id } }" }), 200),
        (json!({ "query": "{ trialBalance { position } }" }), 200),
        (json!({ "query": "{" }), 400),
        (json!({ "query": "{ moon }" }), 400),
        (json!({ "query": "{ campaigns(first: \"x\") { edges { cursor } } }" }), 400),
        (json!({ "query": "query A { __typename } query B { __typename }" }), 400),
        (json!({ "query": "query A { __typename }", "operationName": "B" }), 400),
        (
            json!({ "query": "query Q($id: ID!) { rewardAccount(accountId: $id) { id } }", "variables": { "id": null } }),
            400,
        ),
        // The library panics at defaults of types it does not know.
        (json!({ "query": "query ($a: [query]! = -0) { __typename }" }), 400),
        (json!({ "query": "query ($a: Reward = {}) { __typename }" }), 400),
        (json!({ "query": "query ($a: [[Moon!]] = []) { __typename }" }), 400),
        (json!({ "query": "query Q($id: ID!) { rewardAccount(accountId: $id) { id } }" }), 400),
        (json!({ "query": "query Q($id: ID! = \"a\") { rewardAccount(accountId: $id) { id } }" }), 200),
        (
            json!({ "query": "query Q($id: ID!) { rewardAccount(accountId: $id) { id } }", "variables": { "id": "a" } }),
            200,
        ),
        (
            json!({ "query": "query A($id: ID!) { rewardAccount(accountId: $id) { id } } query B { __typename }", "operationName": "B" }),
            200,
        ),
    ] {
        for (accept, status) in [("application/graphql-response+json", status), ("application/json", 200)] {
            let request = Request::post("/graphql")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, accept)
                .header(header::AUTHORIZATION, &token);
            let answer = house.send(request.body(Body::from(body.to_string())).unwrap()).await;
            let said = answer.status();
            let answer = read(answer).await;
            assert_eq!(said, status, "{accept} {body}: {answer}");
            if accept != "application/json" {
                assert_eq!(answer.get("data").is_some(), status == 200, "{body}: {answer}");
            }
        }
    }
}
