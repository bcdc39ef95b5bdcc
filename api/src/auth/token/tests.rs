//! Tokens that must not pass, each wrong in one way.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use serde_json::{Value, json};

use ledger_core::steps::intake::Sources;

use super::*;
use crate::auth::{SandboxIssuer, Scope, TokenRequest};

const NOW: i64 = 1_795_000_000;

struct Desk {
    issuer: SandboxIssuer,
    verifier: Verifier,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn verify(&self, token: &str) -> Result<Identity, TokenRefused> {
        self.verifier.verify(token, at(NOW))
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND_MICROS)
}

fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let issuer = SandboxIssuer::open_or_create(folder.path()).unwrap();
    let verifier = Verifier::new(&issuer.jwks(), issuer.issuer(), AUDIENCE).unwrap();
    Desk { issuer, verifier, _folder: folder }
}

fn request(ttl: u64) -> TokenRequest<'static> {
    TokenRequest {
        sub: Some("cus_0001"),
        sources: &[],
        scope: "rewards:read transactions:write moon:fly",
        ttl: Duration::from_secs(ttl),
    }
}

fn issue(desk: &Desk, now: i64, ttl: u64) -> String {
    desk.issuer.issue(&request(ttl), at(now)).unwrap()
}

/// The token with its header or its claims changed, and the signature left as it was.
fn tampered(token: &str, part: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(String::from).collect();
    let mut value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    change(&mut value);
    parts[part] = URL_SAFE_NO_PAD.encode(value.to_string());
    parts.join(".")
}

/// A token that the desk's own key signs, with claims as they are given.
fn signed(desk: &Desk, header: &Value, claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = desk.issuer.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn kid(desk: &Desk) -> String {
    desk.issuer.jwks().keys[0].common.key_id.clone().unwrap()
}

fn claims() -> Value {
    json!({ "iss": "rewardhub-sandbox", "aud": "rewardhub", "exp": NOW + 60 })
}

#[test]
fn a_token_says_who_may_do_what() {
    let desk = desk();
    let identity = desk.verify(&issue(&desk, NOW, 60)).unwrap();
    assert_eq!(identity.subject.unwrap().as_str(), "cus_0001");
    assert!(identity.scopes.contains(Scope::RewardsRead));
    assert!(identity.scopes.contains(Scope::TransactionsWrite));
    assert!(!identity.scopes.contains(Scope::AuditRead), "an unknown scope gives nothing");
    assert_eq!(identity.sources, Sources::Only(BTreeSet::new()));
}

#[test]
fn a_token_lists_its_sources_and_a_star_means_all() {
    let desk = desk();
    let sources = |sources: &[&str]| {
        let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
        let token = desk.issuer.issue(&TokenRequest { sources: &sources, ..request(60) }, at(NOW)).unwrap();
        desk.verify(&token).unwrap().sources
    };
    let acme = BTreeSet::from(["acme-bank".parse().unwrap()]);
    assert_eq!(sources(&["acme-bank", " no source "]), Sources::Only(acme));
    assert_eq!(sources(&["acme-bank", "*"]), Sources::All);
}

#[test]
fn time_is_checked_with_thirty_seconds_of_leeway() {
    let desk = desk();
    let verify = |now, ttl| desk.verify(&issue(&desk, now, ttl)).map(|_| ());
    assert_eq!(verify(NOW - 60, 31), Ok(()));
    assert_eq!(verify(NOW - 60, 30), Err(TokenRefused::Expired));
    assert_eq!(verify(NOW + 30, 60), Ok(()));
    assert_eq!(verify(NOW + 31, 60), Err(TokenRefused::NotYetValid));
}

#[test]
fn a_token_that_was_tampered_with_is_refused() {
    let desk = desk();
    let token = issue(&desk, NOW, 60);
    let wider = tampered(&token, 1, |claims| claims["scope"] = "audit:read".into());
    assert_eq!(desk.verify(&wider), Err(TokenRefused::WrongSignature));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    let other = format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(desk.verify(&other), Err(TokenRefused::WrongSignature));
    assert_eq!(desk.verify(&format!("{message}.")), Err(TokenRefused::WrongSignature));
}

#[test]
fn the_key_fixes_the_algorithm() {
    let desk = desk();
    let AlgorithmParameters::OctetKeyPair(public) = desk.issuer.jwks().keys[0].algorithm.clone() else {
        panic!("the sandbox signs with Ed25519")
    };
    // The classic: a MAC keyed with the public key, which everybody has.
    let public = URL_SAFE_NO_PAD.decode(public.x).unwrap();
    for alg in ["HS256", "HS512"] {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": kid(&desk) });
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims().to_string())
        );
        let kind = if alg == "HS256" { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA512 };
        let mac = hmac::sign(&hmac::Key::new(kind, &public), message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref()));
        assert_eq!(desk.verify(&token), Err(TokenRefused::WrongAlgorithm));
    }
    let none = tampered(&issue(&desk, NOW, 60), 0, |header| header["alg"] = "none".into());
    assert_eq!(desk.verify(&none), Err(TokenRefused::Malformed));
    let unsigned = none.rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(desk.verify(&unsigned), Err(TokenRefused::Malformed));
}

#[test]
fn a_token_must_name_a_key_of_the_set() {
    let desk = desk();
    let header = |kid: Option<&str>| json!({ "alg": "EdDSA", "kid": kid });
    let verify = |header: &Value| desk.verify(&signed(&desk, header, &claims())).map(|_| ());
    assert_eq!(verify(&header(Some(&kid(&desk)))), Ok(()));
    assert_eq!(verify(&header(None)), Err(TokenRefused::UnknownKey));
    assert_eq!(verify(&header(Some("another"))), Err(TokenRefused::UnknownKey));
    let stranger = self::desk();
    assert_eq!(desk.verify(&issue(&stranger, NOW, 60)), Err(TokenRefused::UnknownKey));
}

#[test]
fn a_header_that_demands_an_extension_is_refused() {
    let desk = desk();
    let header = json!({ "alg": "EdDSA", "kid": kid(&desk), "crit": ["b64"], "b64": false });
    assert_eq!(desk.verify(&signed(&desk, &header, &claims())), Err(TokenRefused::Malformed));
}

#[test]
fn issuer_audience_and_expiry_are_required_and_checked() {
    let desk = desk();
    let header = json!({ "alg": "EdDSA", "kid": kid(&desk) });
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        desk.verify(&signed(&desk, &header, &claims)).map(|_| ())
    };
    assert_eq!(with("aud", json!(["other", "rewardhub"])), Ok(()));
    let (issuer, audience, claims) =
        (TokenRefused::WrongIssuer, TokenRefused::WrongAudience, TokenRefused::WrongClaims);
    for (name, value, refused) in [
        ("iss", json!("somebody-else"), issuer),
        ("iss", Value::Null, claims),
        ("iss", json!(["rewardhub-sandbox"]), claims),
        ("iss", json!(["somebody-else", "rewardhub-sandbox"]), claims),
        ("iss", json!({ "name": "rewardhub-sandbox" }), claims),
        ("aud", json!("another-service"), audience),
        ("aud", Value::Null, claims),
        ("exp", Value::Null, claims),
        ("exp", json!("tomorrow"), claims),
        ("sub", json!("two\nlines"), claims),
        ("aud", json!([]), audience),
        ("aud", json!({ "rewardhub": 1 }), claims),
        ("sub", json!(7), claims),
        ("sources", json!(7), claims),
        ("sources", json!(["acme-bank", 7]), claims),
        ("scope", json!(7), claims),
        ("scope", json!([["rewards:read"]]), claims),
        ("scope", json!({ "rewards:read": true }), claims),
    ] {
        assert_eq!(with(name, value.clone()), Err(refused), "{name} {value}");
    }
}

/// What some providers send, each with the names that are configured for it.
#[test]
fn claims_have_the_names_that_the_identity_provider_gives_them() {
    let names = |names: &[(&str, &str)]| {
        let mut claims = Claims::default();
        for (claim, name) in names {
            let name = (*name).to_owned();
            match *claim {
                "account" => claims.account = name,
                "scope" => claims.scope = name.split(", ").map(str::to_owned).collect(),
                "prefix" => claims.scope_prefix = name,
                "audience" => claims.audience = name,
                _ => claims.sources = name,
            }
        }
        claims
    };
    let said = |claims: Claims, said: Value| {
        let desk = desk();
        let desk = Desk { verifier: desk.verifier.with_claims(claims), ..desk };
        let mut token = json!({ "iss": "rewardhub-sandbox", "exp": NOW + 60 });
        token.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        desk.verify(&signed(&desk, &json!({ "alg": "EdDSA", "kid": kid(&desk) }), &token))
    };
    let customer = |identity: Identity| {
        let account = identity.account.map(|account| account.to_string());
        (account, identity.subject.map(|sub| sub.to_string()), identity.scopes.contains(Scope::RewardsRead))
    };
    let both = |account: &str, sub: &str| (Some(account.to_owned()), Some(sub.to_owned()), true);

    // A list of scopes, as Okta has it.
    let okta = json!({ "aud": "rewardhub", "sub": "cus_1", "scp": ["rewards:read", "openid"] });
    assert_eq!(customer(said(names(&[("scope", "scp")]), okta).unwrap()), both("cus_1", "cus_1"));
    // Words of users, and a list of what applications may do, as Entra ID has them.
    let entra = || names(&[("scope", "scp, roles"), ("account", "customer_id")]);
    let user =
        json!({ "aud": "rewardhub", "sub": "Xy_9", "customer_id": "cus_1", "scp": "openid rewards:read" });
    assert_eq!(customer(said(entra(), user).unwrap()), both("cus_1", "Xy_9"));
    let feed = json!({ "aud": "rewardhub", "sub": "app", "roles": ["transactions:write"], "sources": "acme-bank b" });
    let feed = said(entra(), feed).unwrap();
    let sources = BTreeSet::from(["acme-bank".parse().unwrap(), "b".parse().unwrap()]);
    assert_eq!((feed.account, feed.sources), (None, Sources::Only(sources)));
    assert!(feed.scopes.contains(Scope::TransactionsWrite));
    // Names with a prefix, no `aud`, as Cognito has it.
    let cognito = || names(&[("prefix", "https://rewards/"), ("audience", "client_id")]);
    let scope = "https://rewards/rewards:read ops https://other/audit:read";
    let token = json!({ "client_id": "rewardhub", "sub": "cus_1", "scope": scope });
    let identity = said(cognito(), token).unwrap();
    assert!(!identity.scopes.contains(Scope::Ops) && !identity.scopes.contains(Scope::AuditRead));
    assert_eq!(customer(identity), both("cus_1", "cus_1"));
    let foreign = json!({ "client_id": "another", "aud": "rewardhub", "scope": scope });
    assert_eq!(said(cognito(), foreign), Err(TokenRefused::WrongAudience));

    // Nobody has the account that another claim names.
    let without = json!({ "aud": "rewardhub", "sub": "cus_2", "scp": "rewards:read" });
    assert_eq!(customer(said(entra(), without).unwrap()), (None, Some("cus_2".into()), true));
    let odd =
        json!({ "aud": "rewardhub", "sub": "two\nlines", "customer_id": "cus_1", "scp": "rewards:read" });
    assert_eq!(customer(said(entra(), odd).unwrap()), (Some("cus_1".into()), None, true));
    let odd = json!({ "aud": "rewardhub", "customer_id": 17 });
    assert_eq!(said(entra(), odd), Err(TokenRefused::WrongClaims));
}

#[test]
fn what_is_no_token_is_malformed() {
    let desk = desk();
    for text in ["", ".", "..", "a.b.c", "Bearer", "e30.e30.", "\u{1f600}.x.y"] {
        assert_eq!(desk.verify(text), Err(TokenRefused::Malformed), "{text:?}");
    }
}

#[test]
fn a_key_set_without_a_usable_key_is_refused() {
    let symmetric = json!({ "keys": [{ "kty": "oct", "kid": "1", "alg": "HS256", "k": "c2VjcmV0" }] });
    let nameless = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let encryption = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "enc",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let contradicting = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "alg": "HS256",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    for keys in [json!({ "keys": [] }), symmetric, nameless, encryption, contradicting] {
        let keys: JwkSet = serde_json::from_value(keys).unwrap();
        assert!(matches!(Verifier::new(&keys, "i", AUDIENCE), Err(KeySetError::Empty)));
    }
}
