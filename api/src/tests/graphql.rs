//! What may be asked of `/graphql`, and how it says no.

use super::*;

#[tokio::test]
async fn queries_need_a_scope() {
    let house = house(false).await;
    let customer = house.token(Some("cus_1"), "rewards:read");
    let feed = house.token(Some("acme"), "transactions:write");
    let account = "{ rewardAccount { id } }";
    assert_eq!(code(&house.query(Some(&feed), account).await), "FORBIDDEN");
    assert_eq!(house.query(Some(&customer), account).await, json!({ "data": { "rewardAccount": null } }));
    for auditors in ["{ trialBalance { position } }", "{ eventHistory { edges { cursor } } }"] {
        assert_eq!(code(&house.query(Some(&customer), auditors).await), "FORBIDDEN");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_has_a_code() {
    let house = house(false).await;
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

/// Below, on and above each bound.
#[tokio::test]
async fn a_query_that_asks_for_too_much_hears_for_how_much_and_what_the_bound_is() {
    let house = house(false).await;
    let auditor = house.token(None, "audit:read");
    let said = async |query: &str| {
        let answer = house.query(Some(&auditor), query).await;
        answer["errors"][0]["message"].as_str().map(str::to_owned)
    };
    let wide = (0..98).map(|n| format!("a{n}: id ")).collect::<Vec<_>>().concat();
    let fields = |rows: usize, more: &str| {
        format!(
            "{{ a: campaigns(first: 100) {{ nodes {{ {wide} }} }} b: campaigns(first: {rows}) {{ nodes {{ id }} }} {more} }}"
        )
    };
    assert_eq!((said(&fields(48, "")).await, said(&fields(49, "")).await), (None, None), "9998 and 10000");
    let above = said(&fields(49, "c: campaigns(first: 0) { nodes { id } }")).await.unwrap();
    assert!(above.contains("10001 fields") && above.contains("at most 10000"), "{above}");
    let deep = |levels: usize| {
        let types = levels - 3;
        format!("{{ __schema {{ types {{ {} name {} }} }} }}", "ofType { ".repeat(types), "}".repeat(types))
    };
    assert_eq!((said(&deep(14)).await, said(&deep(15)).await), (None, None));
    let above = said(&deep(16)).await.unwrap();
    assert!(above.contains("16 fields within each other") && above.contains("at most 15"), "{above}");
}

/// It would keep a thread busy for hours.
#[tokio::test]
async fn fragments_that_multiply_are_refused_before_they_do() {
    let house = house(false).await;
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
    let answer = house.query(Some(&house.token(Some("cus_1"), "rewards:read")), &query).await;
    assert_eq!(code(&answer), "BAD_USER_INPUT");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("more than 10000"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_not_reached_in_time_is_said_so() {
    let house = house(false).await;
    let auditor = house.token(None, "audit:read");
    let query = "{ rewardAccount(accountId: \"a\", minPosition: \"0:9\") { id } }";
    assert_eq!(code(&house.query(Some(&auditor), query).await), "POSITION_NOT_REACHED");
}

#[tokio::test]
async fn the_history_is_paged_and_told_without_what_is_sealed() {
    let house = house(false).await;
    let line = |sealed: &[(&str, &str)]| {
        let mut line = json!({ "source": "acme", "transaction_id": "t1", "booked_at": "2026-11-18T11:06:40Z",
            "fingerprint": "07070707070707070707070707070707" });
        for (name, sealed) in sealed {
            line[*name] = json!(sealed);
        }
        json!({ "TransactionNoted": { "line": line } })
    };
    let sealed = [("details", "c2VhbGVk"), ("spent", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
    let payload = line(&sealed).to_string().into_bytes();
    let mut history = History { payload, ..History::default() };
    let account = stream("cus_1");
    let events = vec![history.event(&account), history.event(&stream("cus_2")), history.event(&account)];
    let head = house.log.lease("test", None).await.unwrap();
    house.log.append(&history.batch(head.term, events)).await.unwrap();

    let auditor = house.token(None, "audit:read");
    let query = "{ eventHistory(accountId: \"cus_1\", first: 1) {
        edges { node { position stream version payload } } pageInfo { hasNextPage } } }";
    let page = &house.query(Some(&auditor), query).await["data"]["eventHistory"];
    let event = json!({ "position": "0:1", "stream": "account:cus_1", "version": 1,
        "payload": line(&[]) });
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
async fn a_request_is_one_object_with_a_query_and_flat_variables() {
    let house = house(false).await;
    let token = house.token(Some("cus_1"), "rewards:read");
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (body, detail) in [
        ("[{\"query\":\"{__typename}\"}]".to_owned(), "lists of queries"),
        ("[\"{__typename}\"]".to_owned(), "lists of queries"),
        ("{".to_owned(), "line 1, column 1"),
        ("{\"query\":7}".to_owned(), "line 1, column 10"),
        ("{}".to_owned(), "line 1, column 2"),
        (format!("{{\"query\":\"{{a}}\",\"x\":{}", nested(100_000)), "no GraphQL request"),
        ("{\"query\":\"{a}\",\"variables\":[]}".to_owned(), "variables: must be an object"),
        (
            format!("{{\"query\":\"{{a}}\",\"variables\":{{\"v\":{}}}}}", nested(16)),
            "variables: at most 16 levels",
        ),
        (
            format!("{{\"query\":\"{{a}}\",\"variables\":{{\"v\":\"{}\"}}}}", "a".repeat(16_384)),
            "variables: at most 16384",
        ),
        (
            format!("{{\"query\":\"{{a}}\",\"operationName\":\"{}\"}}", "a".repeat(129)),
            "operationName: at most 128",
        ),
    ] {
        let response = house.graphql(Some(&token), body.clone()).await;
        assert_eq!(response.status(), 400, "{body:.80}");
        let problem = read(response).await;
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{body:.80}: {problem}");
    }
    for body in [
        format!(
            "{{\"query\":\"query A {{__typename}}\",\"variables\":{{\"v\":{}}},\"operationName\":\"A\"}}",
            nested(15)
        ),
        "{\"query\":\"{__typename}\",\"variables\":null,\"operationName\":\"\",\"extensions\":{\"a\":[]}}"
            .to_owned(),
    ] {
        let answer = read(house.graphql(Some(&token), body.clone()).await).await;
        assert_eq!(answer, json!({ "data": { "__typename": "Query" } }), "{body}");
    }
}

#[tokio::test]
async fn a_tool_may_ask_for_the_schema_and_in_production_only_operators() {
    let query = include_str!("introspection.graphql");
    let mut house = house(false).await;
    let (customer, ops) = (house.token(Some("cus_1"), "rewards:read"), house.token(Some("olga"), "ops"));
    for token in [&customer, &ops] {
        let answer = house.query(Some(token), query).await;
        assert_eq!(code(&answer), "none", "{answer}");
        assert!(answer["data"]["__schema"]["types"].as_array().unwrap().len() > 40);
    }
    house.in_production();
    let answer = house.query(Some(&ops), query).await;
    assert_eq!(code(&answer), "none", "{answer}");
    for query in [
        query,
        "{ __type(name: \"Node\") { name } }",
        "{ __typename ...F } fragment F on Query { s: __schema { description } }",
    ] {
        let answer = house.query(Some(&customer), query).await;
        assert_eq!((code(&answer), &answer["data"]), ("FORBIDDEN", &Value::Null), "{query}");
    }
    assert_eq!(
        house.query(Some(&customer), "{ __typename }").await,
        json!({ "data": { "__typename": "Query" } })
    );
}
