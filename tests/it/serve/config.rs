//! Settings that cannot be used: exit code 2, the setting and its source named, no secret shown.

use std::time::Duration;

use api::auth::{SandboxIssuer, TokenRequest};
use ledger_core::time::{Clock as _, SystemClock};
use rewardhub_tests::rows::purchase;
use rewardhub_tests::{Home, text};

use super::world::{SOON, World};

#[test]
fn what_cannot_be_used_is_named_with_its_source() {
    let home = Home::new();
    let yaml = |content: &str| text(&home.write("c.yaml", content)).to_owned();
    for (content, says) in [
        ("tokens: { jwks: sandbox }\nlisten: here\n", "c.yaml:2: listen: must be an address"),
        ("tokens: { jwks: sandbox }\nlisten: 0.0.0.0:0\n", "c.yaml:1: tokens.jwks: the built-in issuer"),
        ("lease_ttl: 1ms\n", "c.yaml:1: lease_ttl: must be a time from 2s"),
        ("listen: 127.0.0.1:0\n", "tokens.jwks is not set"),
        ("log: postgres://app:s3cret@127.0.0.1\n", "c.yaml:1: log: not an address of the form"),
        ("log: postgres://app:s3cret@127.0.0.1/x\nlogg: 1\n", "c.yaml:2: "),
        (
            "tokens: { jwks: sandbox }\nlisten: 127.0.0.1:0\nprofile: production\n",
            "c.yaml:3: profile: production is refused\n  data: the root key is a file",
        ),
        ("tokens:\n  issuer: i\n  jwks: https://i/keys\n", "c.yaml:3: tokens.jwks: must be a file"),
    ] {
        let refused = home.run(&["serve", "--config", &yaml(content)]).expect_code(2);
        assert!(refused.stderr.contains(says), "{content}: {}", refused.stderr);
        assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    let refused = home.run(&["serve", "--config", "/no/such.yaml"]).expect_code(2);
    assert!(refused.stderr.contains("cannot read the configuration /no/such.yaml"), "{}", refused.stderr);
    let home = Home::with(&[("REWARDHUB_LOG", "postgres://app:s3cret@127.0.0.1/x?sslmode=allow")]);
    for command in [&["serve"][..], &["migrate"], &["campaign", "show", "x"], &["audit", "replay"]] {
        let refused = home.run(command).expect_code(2);
        assert!(refused.stderr.contains("REWARDHUB_LOG: log: sslmode=allow"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
    }
}

#[test]
fn no_secret_is_shown_by_help_or_failures() {
    let home = Home::with(&[
        ("REWARDHUB_LOG", "postgres://app:s3cret@127.0.0.1:1/x"),
        ("REWARDHUB_TOKENS_JWKS", "sandbox"),
    ]);
    for command in [&["serve", "--help"][..], &["migrate", "--help"], &["campaign", "--help"], &["help"]] {
        let shown = home.run(command).expect_code(0);
        assert!(!(shown.stdout + &shown.stderr).contains("s3cret"), "{command:?}");
    }
    // Nobody is there.
    for command in [&["migrate"][..], &["campaign", "show", "x"], &["audit", "replay"]] {
        let failed = home.run(command).expect_code(3);
        assert!(!failed.stderr.contains("s3cret") && !failed.stderr.contains("app"), "{}", failed.stderr);
    }
    let bad = home.run(&["migrate", "--log", "postgres://app:s3cret@127.0.0.1"]).expect_code(2);
    assert!(
        bad.stderr.contains("--log: log: not an address") && !bad.stderr.contains("s3cret"),
        "{}",
        bad.stderr
    );
}

#[test]
fn who_is_refused_at_the_start_leaves_no_issuer_of_tokens_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_LISTEN", &address)]);
    let refused = home.run(&["serve"]).expect_code(3);
    assert!(refused.stderr.contains("cannot listen on") && !home.data().exists(), "{}", refused.stderr);
    // A database without our schemas.
    let world = World::empty();
    let home = world.place();
    let refused = home.run(&["serve", "--config", text(&home.write("c.yaml", "listen: 127.0.0.1:0\n"))]);
    assert!(refused.code == 3 && refused.stderr.contains("rewardhub migrate"), "{refused:?}");
    assert!(!home.data().join("sandbox-issuer.p8").exists());
}

#[test]
fn a_key_set_that_is_none_is_refused() {
    let home = Home::new();
    let keys = home.write("keys.json", "{ \"keys\": 7 }");
    let config = format!("listen: 127.0.0.1:0\ntokens: {{ issuer: i, jwks: '{}' }}\n", text(&keys));
    let config = home.write("c.yaml", config);
    let refused = home.run(&["serve", "--config", text(&config)]).expect_code(3);
    assert!(refused.stderr.contains("keys.json: not a JSON Web Key Set"), "{}", refused.stderr);
}

#[test]
fn tokens_of_an_issuer_outside_are_checked_by_its_key_set() {
    let (home, elsewhere) = (Home::new(), tempfile::tempdir().unwrap());
    let issuer = SandboxIssuer::open_or_create(elsewhere.path()).unwrap();
    let keys = home.write("keys.json", serde_json::to_string(&issuer.jwks()).unwrap());
    let config =
        format!("enrolment: open\ntokens: {{ issuer: {}, jwks: '{}' }}\n", issuer.issuer(), text(&keys));
    let config = home.write("c.yaml", config);
    let sources = ["*".to_owned()];
    let request = TokenRequest {
        sub: Some("feed-1"),
        sources: &sources,
        scope: "transactions:write",
        ttl: Duration::from_mins(5),
    };
    let token = issuer.issue(&request, SystemClock.now()).unwrap();
    let ours = SandboxIssuer::open_or_create(home.file("").as_path()).unwrap();
    let forged = ours.issue(&request, SystemClock.now()).unwrap();

    let service = home.listen(&[("REWARDHUB_CONFIG", text(&config))]);
    service.ready(SOON);
    let row = serde_json::to_vec(&purchase("t1", "cus_1")).unwrap();
    assert_eq!(service.post(&forged, "application/json", row.clone()).status, 401);
    assert_eq!(service.post(&token, "application/json", row).rows()[0]["result"], "accepted");
    service.stop_by("TERM").expect_code(0);

    let other = [("REWARDHUB_CONFIG", text(&config)), ("REWARDHUB_TOKENS_AUDIENCE", "somebody-else")];
    let service = home.listen(&other);
    service.ready(SOON);
    assert_eq!(service.post(&token, "application/json", "{}").status, 401);
}
