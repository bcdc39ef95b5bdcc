//! Requests that are made to do harm. Each ended the process, took its memory or held its threads
//! before.

#![expect(clippy::format_collect, reason = "no speed is asked of a test")]

use std::fmt::Write as _;
use std::time::Instant;

use super::*;

/// What an answer may take: the budget, and what every answer has around it.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024 + 1024;
/// Far more than any of them needs, also in a debug build on a busy machine.
const QUICK: Duration = Duration::from_secs(5);

/// By name, with what says no to it.
fn attacks() -> Vec<(&'static str, String, &'static str)> {
    let nest = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let mut attacks = vec![];
    for n in [1_718, 2_000, 3_000, 5_000, 8_000] {
        attacks.push(("lists", format!("{{node(id:{}){{id}}}}", nest("[", "]", n)), "brackets"));
        attacks.push(("open lists", format!("{{node(id:{}", "[".repeat(n)), "brackets"));
        attacks.push((
            "objects",
            format!("{{node(id:{}1{}){{id}}}}", "{a:".repeat(n), "}".repeat(n)),
            "brackets",
        ));
        attacks.push((
            "defaults",
            format!("query($a:ID={}){{node(id:$a){{id}}}}", nest("[", "]", n)),
            "brackets",
        ));
        attacks.push((
            "directives",
            format!("{{node(id:1) @skip(if:{}){{id}}}}", nest("[", "]", n)),
            "brackets",
        ));
        attacks.push(("types", format!("query($a:{}ID{}){{a}}", "[".repeat(n), "]".repeat(n)), "brackets"));
        attacks.push(("selections", format!("{}{}", "{a".repeat(n), "}".repeat(n)), "brackets"));
        attacks.push(("inline", format!("{{{}a{}}}", "...{".repeat(n), "}".repeat(n)), "brackets"));
        attacks.push((
            "after a block string",
            format!("{{node(id:[\"\"\"\"\"\" \"\"{}", "[".repeat(n)),
            "brackets",
        ));
        attacks.push(("in an open block string", format!("{{node(id:[\"\"\"\"{}", "[".repeat(n)), "string"));
    }
    let mut unused = "{__typename}".to_owned();
    let mut chain = "{__typename}".to_owned();
    for n in 0..6_000 {
        write!(unused, "fragment F{n} on Query{{__typename}}").unwrap();
        write!(chain, "fragment F{n} on Query{{...F{}}}", n + 1).unwrap();
    }
    attacks.push(("unused fragments", unused, "bytes"));
    attacks.push(("a chain of unused fragments", chain, "bytes"));
    for (name, n) in [("short chain", 600), ("shorter chain", 190)] {
        let fragments = (0..n).map(|n| format!("fragment F{n} on Query{{...F{}}}", n + 1));
        let query =
            format!("{{__typename}}{}fragment F{n} on Query{{__typename}}", fragments.collect::<String>());
        attacks.push((name, query, if n > 200 { "fragments" } else { "within each other" }));
    }
    let circle = "{__typename}fragment A on Query{...B}fragment B on Query{...A}";
    attacks.push(("a circle of unused fragments", circle.into(), "circles"));
    attacks.push(("possible types", possible_types("name"), "bytes"));
    attacks.push(("possible types, wide", possible_types("name description kind"), "bytes"));
    let fields = multiplied("{__schema{types{...F0}}}", 4, "fields{type{ofType{", "}}}", "name");
    attacks.push(("fields of types of fields", fields, "bytes"));
    let schemas = (0..300).map(|n| format!("a{n}:__schema{{types{{name description}}}}"));
    attacks.push(("aliases of the schema", format!("{{{}}}", schemas.collect::<String>()), "bytes"));
    let names = (0..1_500).map(|n| format!("a{n}:__typename ")).collect::<String>();
    attacks.push(("aliases of type names", format!("{{__schema{{types{{{names}}}}}}}"), "bytes"));
    let names = (0..70).map(|n| format!("{}{n}:__typename ", "a".repeat(120))).collect::<String>();
    let names =
        format!("{{__schema{{types{{fields{{...F type{{...F}}}}}}}}}}fragment F on __Field{{{names}}}");
    attacks.push(("long aliases of type names", names.replace("type{...F}", "type{name}"), "bytes"));
    attacks.push(("tokens", format!("{{{}}}", "a ".repeat(20_000)), "tokens"));
    attacks.push(("a long name", format!("{{{}:__typename}}", "a".repeat(60_000)), "name"));
    attacks
}

/// 833 bytes that came to 268 MB: types of interfaces of types.
fn possible_types(leaf: &str) -> String {
    multiplied("{__type(name:\"Node\"){...F0}}", 6, "possibleTypes{interfaces{", "}}", leaf)
}

/// Fragments each of which has the next one three times.
fn multiplied(query: &str, levels: usize, open: &str, close: &str, leaf: &str) -> String {
    let mut query = query.to_owned();
    for n in 0..levels {
        let each = |alias| format!("{alias}:{open}...F{}{close}", n + 1);
        write!(query, "fragment F{n} on __Type{{{}}}", ["a", "b", "c"].map(each).join(" ")).unwrap();
    }
    query + &format!("fragment F{levels} on __Type{{{leaf}}}")
}

#[tokio::test]
async fn a_stranger_is_refused_before_anything_is_parsed() {
    let mut house = house(false).await;
    house.in_production();
    let bodies = attacks().into_iter().map(|(_, query, _)| json!({ "query": query }).to_string());
    let others =
        [String::new(), "[".repeat(100_000), "{".to_owned(), "{\"query\":\"{__typename}\"}".to_owned()];
    for body in bodies.chain(others) {
        for (token, challenge) in [
            (None, r#"Bearer realm="rewardhub""#),
            (
                Some("Bearer a.b.c"),
                r#"Bearer realm="rewardhub", error="invalid_token", error_description="the token is not accepted""#,
            ),
        ] {
            let response = house.graphql(token, body.clone()).await;
            assert_eq!(response.status(), 401);
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], challenge);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
    }
    for (name, query, _) in attacks() {
        let query = query.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        // A link may be at most some 64 KiB.
        if query.len() < 60_000 {
            let response = house.send(get_request(&format!("/graphql?query={query}"))).await;
            assert_eq!(response.status(), 405, "{name}");
        }
    }
}

#[tokio::test]
async fn with_a_token_each_is_an_error_and_quick() {
    let house = house(false).await;
    let token = house.token(Some("cus_1"), "rewards:read");
    for (name, query, says) in attacks() {
        let started = Instant::now();
        let response = house.graphql(Some(&token), json!({ "query": query }).to_string()).await;
        let (status, body) = (response.status(), text(response).await);
        assert_eq!(status, 200, "{name}: {body:.200}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code(&answer), &answer["data"]), ("BAD_USER_INPUT", &Value::Null), "{name}: {body:.200}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(says), "{name}: {message}");
        assert!(body.len() < 2_000 && started.elapsed() < QUICK, "{name}: {:?}", started.elapsed());
    }
}

/// The library checks a document without a pause, and makes answers without one where nothing has
/// to be read.
#[tokio::test]
async fn no_query_keeps_the_thread_that_others_wait_for() {
    let house = house(false).await;
    let token = house.token(None, "audit:read");
    let types = "...{".repeat(25) + &"name ".repeat(1_500) + &"}".repeat(25);
    let spreads = (0..190).map(|n| format!("fragment F{n} on Query{{__typename}}")).collect::<String>();
    for query in [
        include_str!("introspection.graphql").to_owned(),
        possible_types("name"),
        format!("{{__schema{{types{{{types}}}}}}}"),
        format!("{{{}}}{spreads}", (0..190).map(|n| format!("...F{n} ")).collect::<String>().repeat(9)),
    ] {
        let ticking = tokio::spawn(async {
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                longest = longest.max(last.elapsed());
                last = Instant::now();
                LONGEST
                    .store(u64::try_from(longest.as_millis()).unwrap(), std::sync::atomic::Ordering::Relaxed);
            }
        });
        house.query(Some(&token), &query).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        ticking.abort();
        let longest = LONGEST.load(std::sync::atomic::Ordering::Relaxed);
        assert!(longest < 1_000, "{longest} ms: {query:.100}");
    }
}

static LONGEST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[tokio::test]
async fn an_answer_has_its_bytes_counted_while_it_is_made() {
    let house = house(false).await;
    let reason = "x".repeat(100_000);
    let payload = json!({ "AccountClosed": { "closed_at": "2026-11-18T11:06:41Z", "reason": reason } });
    let mut history = History { payload: payload.to_string().into_bytes(), ..History::default() };
    let events = (0..30).map(|n| history.event(&stream(&format!("cus_{n}")))).collect();
    let head = house.log.lease("test", None).await.unwrap();
    house.log.append(&history.batch(head.term, events)).await.unwrap();
    let token = house.token(None, "audit:read");
    let pages = |pages: usize, first: usize| {
        let page = |n| format!("p{n}: eventHistory(first: {first}) {{ nodes {{ payload }} }} ");
        format!("{{ {} }}", (0..pages).map(page).collect::<String>())
    };
    for (query, fits) in [
        (pages(1, 15), true),
        (pages(1, 30), false),
        (pages(10, 1), true),
        (pages(50, 1), false),
        (pages(90, 30), false),
    ] {
        let response = house.graphql(Some(&token), json!({ "query": query }).to_string()).await;
        let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(code(&answer) == "none", fits, "{query:.60}: {:.200}", answer.to_string());
    }
}
