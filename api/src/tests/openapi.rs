//! The document that describes the REST part says what the router does.

use std::collections::BTreeSet;

use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::transaction::wire::parse_row;

use super::*;
use crate::openapi::DOCUMENT;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

fn described() -> BTreeSet<(String, &'static str)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, methods)| {
        let methods: Vec<_> = methods.as_object().unwrap().keys().collect();
        assert!(methods.iter().all(|method| METHODS.contains(&method.as_str())), "{path}: {methods:?}");
        METHODS
            .into_iter()
            .filter(move |m| methods.iter().any(|method| method == m))
            .map(|m| (path.clone(), m))
    });
    methods.collect()
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let house = house(false).await;
    let mut routed = BTreeSet::new();
    for (template, _) in rest() {
        let actions = match template {
            "/v1/campaigns/{id}/{action}" => ledger_core::operate::campaigns::ACTIONS.to_vec(),
            "/v1/accounts/{id}/{action}" => ledger_core::operate::accounts::ACTIONS.to_vec(),
            "/v1/switches/{what}/{action}" => ledger_core::operate::switches::ACTIONS.to_vec(),
            "/v1/parked/{id}/{action}" => ledger_core::operate::parked::ACTIONS.to_vec(),
            _ => vec![""],
        };
        for path in actions.iter().map(|action| template.replace("{action}", action)) {
            for method in METHODS {
                let request = Request::builder().method(method.to_uppercase().as_str());
                let request = request.uri(path.replace("{id}", "x")).body(Body::empty()).unwrap();
                if house.send(request).await.status() != StatusCode::METHOD_NOT_ALLOWED {
                    routed.insert((path.clone(), method));
                }
            }
        }
    }
    assert_eq!(routed, described());
}

#[tokio::test]
async fn the_document_is_served_as_it_is_checked_in() {
    let response = house(false).await.send(get_request("/openapi.json")).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(text(response).await, DOCUMENT);
}

/// Every operation with a body shows one that is understood.
#[test]
fn every_example_is_understood() {
    let document = document();
    let (mut seen, later) = (0, now().plus_micros(30 * ledger_core::time::DAY_MICROS));
    for (path, methods) in document["paths"].as_object().unwrap() {
        let content = &methods["post"]["requestBody"]["content"]["application/json"];
        let Some(examples) = content["examples"].as_object() else { continue };
        for example in examples.values().map(|example| &example["value"]) {
            let body = example.to_string();
            match path.split('/').collect::<Vec<_>>()[..] {
                ["", "v1", "transactions"] => {
                    for row in example.as_array().unwrap_or(&vec![example.clone()]) {
                        parse_row(row.to_string().as_bytes(), later).unwrap();
                    }
                }
                ["", "v1", "campaigns"] => {
                    let terms: Terms = serde_json::from_str(&body).unwrap();
                    terms.validate().unwrap();
                }
                ["", "v1", "campaigns", _, action] => {
                    let command = ledger_core::operate::campaigns::command(action, body.as_bytes()).unwrap();
                    if let CampaignCommandKind::Revise(terms) = command {
                        terms.validate().unwrap();
                    }
                }
                ["", "v1", "accounts", _, action] => {
                    ledger_core::operate::accounts::command(action, body.as_bytes()).unwrap();
                }
                ["", "v1", "clock", "accept"] => {
                    crate::clock::reason(body.as_bytes()).unwrap();
                }
                ["", "v1", "switches", _, action] => {
                    ledger_core::operate::switches::command("draws", action, body.as_bytes()).unwrap();
                }
                ["", "v1", "parked", _, action] => {
                    ledger_core::operate::parked::command(action, body.as_bytes()).unwrap();
                }
                _ => panic!("{path} has a body"),
            }
            seen += 1;
        }
    }
    let posts = described().iter().filter(|(_, method)| *method == "post").count();
    assert_eq!(seen, posts + 1, "one for each, two for transactions");
}

/// What is named by reference is there, and the scopes are those that tokens have.
#[test]
fn references_and_scopes_exist() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref") {
                    let pointer = reference.as_str().unwrap().trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{reference} is nowhere");
                }
                for scope in fields.get("bearer").and_then(Value::as_array).into_iter().flatten() {
                    let known = crate::auth::Scope::ALL.map(crate::auth::Scope::as_str);
                    assert!(known.contains(&scope.as_str().unwrap()), "{scope} is no scope");
                }
                fields.values().for_each(|value| walk(document, value));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(document, value)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
    assert_eq!(document["openapi"], "3.1.0");
}

/// A client's functions are named after operations.
#[test]
fn operations_are_named_as_functions_a_verb_and_what_it_is_done_to() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            let words = 1 + name.bytes().filter(u8::is_ascii_uppercase).count();
            let plain = name.bytes().all(|byte| byte.is_ascii_alphabetic());
            assert!(
                plain && name.starts_with(|c: char| c.is_ascii_lowercase()) && words >= 2,
                "{path}: {name}"
            );
            assert!(names.insert(name), "{name} twice");
        }
    }
}
