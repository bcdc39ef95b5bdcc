//! What may be asked of `/graphql`, and how it says no.

use super::*;

#[tokio::test]
async fn queries_need_a_scope() {
    let house = house(false);
    let customer = house.token(Some("cus_1"), "rewards:read");
    let feed = house.token(Some("acme"), "transactions:write");
    let account = "{ rewardAccount { id } }";
    assert_eq!(code(&house.query(None, account).await), "UNAUTHENTICATED");
    assert_eq!(code(&house.query(Some(&feed), account).await), "FORBIDDEN");
    assert_eq!(house.query(Some(&customer), account).await, json!({ "data": { "rewardAccount": null } }));
    for auditors in ["{ trialBalance { position } }", "{ eventHistory { edges { cursor } } }"] {
        assert_eq!(code(&house.query(Some(&customer), auditors).await), "FORBIDDEN");
        assert_eq!(code(&house.query(None, auditors).await), "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_has_a_code() {
    let house = house(false);
    let auditor = house.token(None, "audit:read");
    for query in [
        "{ campaigns(first: 101) { edges { cursor } } }",
        "{ campaigns(first: -1) { edges { cursor } } }",
        "{ campaigns(after: \"x\") { edges { cursor } } }",
        "{ eventHistory(afterPosition: \"7\") { edges { cursor } } }",
        "{ eventHistory(accountId: \"a\", campaignId: \"b\") { edges { cursor } } }",
        "{ rewardAccount(accountId: \"a\", minPosition: \"1:1\") { id } }",
        "{ rewardAccount { id } }",
        "{ moon }",
        "{",
        "{ campaigns(first: 100) { nodes { epochs(first: 100) { nodes { epoch draws } } } } }",
    ] {
        assert_eq!(code(&house.query(Some(&auditor), query).await), "BAD_USER_INPUT", "{query}");
    }
}

/// Anybody may send it, and it would keep a thread busy for hours.
#[tokio::test]
async fn fragments_that_multiply_are_refused_before_they_do() {
    let house = house(false);
    let spreads = |name: &str| format!("...{name} ").repeat(100);
    let query = format!(
        "{{ {} }} fragment A on Query {{ {} }} fragment B on Query {{ {} }} fragment C on Query {{ {} }} \
         fragment D on Query {{ {} }} fragment E on Query {{ __typename }}",
        spreads("A"),
        spreads("B"),
        spreads("C"),
        spreads("D"),
        spreads("E")
    );
    let answer = house.query(None, &query).await;
    assert_eq!(code(&answer), "BAD_USER_INPUT");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("more than 10000"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_not_reached_in_time_is_said_so() {
    let house = house(false);
    let auditor = house.token(None, "audit:read");
    let query = "{ rewardAccount(accountId: \"a\", minPosition: \"0:9\") { id } }";
    assert_eq!(code(&house.query(Some(&auditor), query).await), "POSITION_NOT_REACHED");
}

#[tokio::test]
async fn the_history_is_paged_and_told_without_what_is_sealed() {
    let house = house(false);
    let payload = br#"{"TestHappened":{"details":"c2VhbGVk","r":1}}"#.to_vec();
    let mut history = History { payload, ..History::default() };
    let account = stream("cus_1");
    let events = vec![history.event(&account), history.event(&stream("cus_2")), history.event(&account)];
    let head = house.log.lease("test", None).await.unwrap();
    house.log.append(&history.batch(head.epoch, events)).await.unwrap();

    let auditor = house.token(None, "audit:read");
    let query = "{ eventHistory(accountId: \"cus_1\", first: 1) {
        edges { node { position stream version payload } } pageInfo { hasNextPage } } }";
    let page = &house.query(Some(&auditor), query).await["data"]["eventHistory"];
    let event = json!({ "position": "0:1", "stream": "account:cus_1", "version": 1,
        "payload": { "TestHappened": { "r": 1 } } });
    assert_eq!(page["edges"], json!([{ "node": event }]));
    assert_eq!(page["pageInfo"]["hasNextPage"], true);
    let rest = "{ eventHistory(afterPosition: \"0:1\") { nodes { position } pageInfo { hasNextPage } } }";
    let rest = &house.query(Some(&auditor), rest).await["data"]["eventHistory"];
    assert_eq!(rest["nodes"], json!([{ "position": "0:2" }, { "position": "0:3" }]));
    assert_eq!(rest["pageInfo"]["hasNextPage"], false);

    house.log.faults().fail_reads(1);
    let fault = house.query(Some(&auditor), query).await;
    assert_eq!(
        (code(&fault), &fault["errors"][0]["message"]),
        ("INTERNAL", &json!("an internal fault occurred"))
    );
}

#[tokio::test]
async fn a_browser_gets_graphiql_only_where_it_is_turned_on() {
    let browse = || {
        let request = Request::get("/graphql").header(header::ACCEPT, "text/html,*/*");
        request.body(Body::empty()).unwrap()
    };
    let page = house(true).send(browse()).await;
    assert_eq!(page.status(), 200);
    assert!(text(page).await.contains("Bearer page-token"));
    assert_eq!(house(false).send(browse()).await.status(), 406);
}

#[tokio::test]
async fn get_is_for_queries() {
    let house = house(false);
    let response = house.send(get_request("/graphql?query=%7B__typename%7D&operationName=")).await;
    assert_eq!(response.status(), 200);
    let response = house.send(get_request("/graphql?query=mutation%7Bx%7D")).await;
    assert_eq!(response.status(), 405);
    assert_eq!(house.send(get_request("/graphql")).await.status(), 400);
}

#[tokio::test]
async fn a_tool_may_ask_for_the_schema() {
    // Seven levels of `ofType`, as GraphiQL asks.
    let types = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
                 ofType { kind name ofType { kind name ofType { kind name } } } } } } }";
    let query =
        format!("{{ __schema {{ types {{ name fields {{ name args {{ type {{ {types} }} }} }} }} }} }}");
    let answer = house(false).query(None, &query).await;
    assert_eq!(code(&answer), "none", "{answer}");
}
