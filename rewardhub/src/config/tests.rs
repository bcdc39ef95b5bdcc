//! Every setting from every source, and what a bad one is answered with.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;

use super::*;

fn load(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    let arguments = match file {
        Some(text) => {
            std::fs::write(&path, text).unwrap();
            Arguments { file: Some(path.clone()), ..Arguments::default() }
        }
        None => Arguments::default(),
    };
    let environment: HashMap<_, _> = environment.iter().copied().collect();
    let config = Config::from_sources(&arguments, |name| environment.get(name).map(OsString::from));
    config.map_err(|error| error.to_string().replace(&path.display().to_string(), "c.yaml"))
}

fn from_file(text: &str) -> Result<Config, String> {
    load(Some(text), &[])
}

#[test]
fn the_example_is_a_configuration_and_sets_every_setting() {
    let example = include_str!("../../../rewardhub.example.yaml");
    let config = from_file(example).unwrap();
    assert!(matches!(config.log, LogPlace::Postgres(_)));
    // Each setting that is asked for can be found in it, also those that are commented out.
    let asked = RefCell::new(BTreeSet::new());
    let listen = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Config::from_sources(&Arguments::default(), listen).unwrap();
    let mut shown = BTreeSet::from(["REWARDHUB_CONFIG".to_owned()]);
    let mut section = String::new();
    for line in example.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        let Some((key, _)) = line.split_once(':') else { continue };
        let name = key.trim_start_matches([' ', '#']).to_uppercase();
        if key == key.trim_start() {
            section = format!("{name}_");
            shown.insert(format!("REWARDHUB_{name}"));
        } else {
            shown.insert(format!("REWARDHUB_{section}{name}"));
        }
    }
    assert_eq!(asked.into_inner().difference(&shown).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn nothing_set_is_an_embedded_ledger_on_this_machine() {
    for file in [None, Some(""), Some("# nothing\n"), Some("database:\ntokens:\n")] {
        let config = load(file, &[]).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.data, PathBuf::from("./data"));
        assert!(matches!(config.log, LogPlace::Embedded));
        assert_eq!((config.open_enrolment, config.tokens), (None, None));
    }
}

#[test]
fn a_variable_goes_before_the_file() {
    let file = "listen: 127.0.0.1:1\ndatabase: { connections_max: 5, lock_timeout: 3s }\nenrolment: open\n";
    let variables = [("REWARDHUB_LISTEN", "127.0.0.1:2"), ("REWARDHUB_DATABASE_CONNECTIONS_MAX", "7")];
    let config = load(Some(file), &variables).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!((config.database.connections_max, config.database.lock_timeout.as_secs()), (7, 3));
    assert_eq!(config.open_enrolment, Some(true));
}

#[test]
fn the_log_is_chosen_by_its_address() {
    let config = from_file("log: sqlite:some/folder\n").unwrap();
    assert!(matches!(config.log, LogPlace::Embedded));
    assert_eq!(config.data, PathBuf::from("some/folder"));
    let config = from_file("data: keys\nlog: postgres://app:s3cret@127.0.0.1/rewards\n").unwrap();
    assert_eq!(config.data, PathBuf::from("keys"));
    assert!(!format!("{config:?}").contains("s3cret"));
    // A folder on the command line means the ledger in it; where another setting names another
    // ledger, nobody guesses.
    let arguments = Arguments { data: Some("here".into()), ..Arguments::default() };
    let alone = Config::from_sources(&arguments, |_| None).unwrap();
    assert!(matches!(alone.log, LogPlace::Embedded));
    let environment = |name: &str| (name == "REWARDHUB_LOG").then(|| "postgres://a@b/c".into());
    let refused = Config::from_sources(&arguments, environment).unwrap_err().to_string();
    assert!(refused.contains("b:5432/c") && refused.contains("--data here"), "{refused}");
}

#[test]
fn the_sandbox_issuer_stays_at_home() {
    assert_eq!(from_file("tokens: { jwks: sandbox }\n").unwrap().tokens, Some(Tokens::Sandbox));
    let outside = "listen: 0.0.0.0:80\ntokens:\n  jwks: sandbox\n";
    let refused = from_file(outside).unwrap_err();
    assert!(refused.starts_with("c.yaml:3: tokens.jwks: the built-in issuer"), "{refused}");
    assert!(from_file(&format!("{outside}  allow_sandbox_issuer: true\n")).is_ok());
}

#[test]
fn claims_of_tokens_are_called_as_the_issuer_calls_them() {
    assert_eq!(from_file("").unwrap().claims, Claims::default());
    let named = "tokens: { issuer: i, jwks: k, account_claim: 'https://app/customer', scope_claim: 'scp, roles', \
                 scope_prefix: rewards/, audience_claim: client_id, sources_claim: feeds }\n";
    let config = load(Some(named), &[("REWARDHUB_TOKENS_SOURCES_CLAIM", "mine")]).unwrap();
    let claims = Claims {
        account: "https://app/customer".into(),
        scope: vec!["scp".into(), "roles".into()],
        scope_prefix: "rewards/".into(),
        audience: "client_id".into(),
        sources: "mine".into(),
    };
    assert_eq!(config.claims, claims);
}

#[test]
fn a_bad_value_is_named_with_its_source() {
    let cases = [
        (
            "listen: nowhere\n",
            "c.yaml:1: listen: must be an address and a port such as 127.0.0.1:8080, not \"nowhere\"",
        ),
        ("\n\nlease_ttl: soon\n", "c.yaml:3: lease_ttl: must be a time from 2s to 1h, not \"soon\""),
        ("lease_ttl: 100ms\n", "c.yaml:1: lease_ttl: must be a time from 2s to 1h, not \"100ms\""),
        ("enrolment: all\n", "c.yaml:1: enrolment: must be listed or open, not \"all\""),
        ("profile: prod\n", "c.yaml:1: profile: must be standard or production, not \"prod\""),
        ("beacon: { urls: api.drand.sh }\n", "c.yaml:1: beacon.urls: must be addresses such as"),
        ("beacon: { urls: 'https://u:s3cret@h' }\n", "c.yaml:1: beacon.urls: must be addresses such as"),
        ("beacon:\n  urls: ''\n", "c.yaml:2: beacon.urls: must be addresses such as"),
        ("payout: real\n", "c.yaml:1: payout: must be sandbox, not \"real\""),
        (
            "database:\n  connections_max: 0\n",
            "c.yaml:2: database.connections_max: must be a number from 2 to 1000, not \"0\"",
        ),
        ("ready: { lag_max_events: -1 }\n", "c.yaml:1: ready.lag_max_events: must be a number from 0 to"),
        ("tokens: { jwks: 'https://issuer/keys' }\n", "c.yaml:1: tokens.jwks: must be a file"),
        ("tokens: { jwks: keys.json }\n", "c.yaml:1: tokens.jwks: needs tokens.issuer"),
        ("tokens: { issuer: me }\n", "c.yaml:1: tokens.issuer: needs tokens.jwks"),
        (
            "tokens: { jwks: sandbox, account_claim: customer }\n",
            "c.yaml:1: tokens.jwks: the built-in issuer's claims have names of their own",
        ),
        ("tokens: { account_claim: 'a b' }\n", "c.yaml:1: tokens.account_claim: must be the name of a claim"),
        ("tokens:\n  scope_claim: 'scp,'\n", "c.yaml:2: tokens.scope_claim: must be the name of a claim"),
        ("tokens: { scope_claims: scp }\n", "c.yaml:1: "),
        (
            "tokens: { issuer: me, jwks: k, allow_sandbox_issuer: 2 }\n",
            "c.yaml:1: tokens.allow_sandbox_issuer: must be true or false",
        ),
        (
            "data: a\nlog: sqlite:b\n",
            "c.yaml:2: log: names the folder b, but c.yaml:1 says that the data are in a",
        ),
        ("log: mysql://u:s3cret@h/x\n", "c.yaml:1: log: must be sqlite:FOLDER or postgres://"),
        ("log: postgres://u:s3cret@h/x?sslmode=prefer\n", "c.yaml:1: log: sslmode=prefer is not supported"),
        ("log: postgres://u:s3cret@h\n", "c.yaml:1: log: not an address of the form"),
        ("listen: 127.0.0.1:1\nlisten_on: x\n", "c.yaml:2: "),
        ("log: postgres://u:s3cret@h/x\nfoo: 1\n", "c.yaml:2: "),
        ("log: [s3cret]\n", "c.yaml:1: "),
        ("log: 's3cret\n", "c.yaml:"),
        ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "c.yaml:2: this setting is given twice"),
        ("connections: 5\n", "c.yaml:1: expected settings, each as `name: value`"),
        ("listen: [s3cret]\n", "c.yaml:1: expected one value, no list"),
    ];
    for (file, expected) in cases {
        let refused = from_file(file).unwrap_err();
        assert!(refused.starts_with(expected), "{file:?}: {refused}");
        assert!(!refused.contains("s3cret"), "{file:?}: {refused}");
    }
    let refused = load(None, &[("REWARDHUB_READY_LAG_MAX", "x")]).unwrap_err();
    assert!(refused.starts_with("REWARDHUB_READY_LAG_MAX: ready.lag_max: must be a time"), "{refused}");
    let refused = load(None, &[("REWARDHUB_LOG", "s3cret")]).unwrap_err();
    assert!(refused.starts_with("REWARDHUB_LOG: log: must be") && !refused.contains("s3cret"), "{refused}");
    let missing = load(None, &[("REWARDHUB_CONFIG", "/no/such.yaml")]).unwrap_err();
    assert!(missing.starts_with("cannot read the configuration /no/such.yaml"), "{missing}");
}

#[test]
fn one_folder_may_be_spelt_in_two_ways() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
    let at = |name: &str| format!("{}/{name}", folder.path().display());
    for (data, log, same) in [
        (at("real"), at("real/"), true),
        (at("real/../link"), at("real"), true),
        (at("new"), at("./new"), true),
        ("here".into(), format!("{}/here", std::env::current_dir().unwrap().display()), true),
        (at("real"), at("other"), false),
    ] {
        let read = from_file(&format!("data: {data}\nlog: sqlite:{log}\n"));
        assert_eq!(read.is_ok(), same, "{data} {log}: {read:?}");
    }
}

#[test]
fn the_beacon_is_asked_at_public_servers_unless_others_are_named() {
    assert_eq!(from_file("").unwrap().beacon_urls, ["https://api.drand.sh", "https://drand.cloudflare.com"]);
    let ours = load(None, &[("REWARDHUB_BEACON_URLS", "http://10.0.0.7:8080/drand, https://b")]).unwrap();
    assert_eq!(ours.beacon_urls, ["http://10.0.0.7:8080/drand", "https://b"]);
}

#[test]
fn production_refuses_what_is_for_one_machine_and_says_all_of_it() {
    for standard in ["", "profile: standard\n"] {
        assert_eq!(from_file(standard).unwrap().check_profile(), Ok(()));
    }
    let refused =
        |file, variables: &[_]| load(Some(file), variables).unwrap().check_profile().unwrap_err().to_string();
    let all = refused("tokens: { jwks: sandbox }\nprofile: production\n", &[]);
    assert!(all.contains(".yaml:2: profile: production is refused"), "{all}");
    for setting in
        ["data: the root key is a file", "payout: the sandbox rail", "tokens.jwks: whoever can read"]
    {
        assert!(all.contains(&format!("\n  {setting}")), "{setting}: {all}");
    }
    let variable = [("REWARDHUB_PROFILE", "production")];
    let fewer = refused("profile: standard\ntokens: { issuer: i, jwks: k }\n", &variable);
    assert!(fewer.starts_with("REWARDHUB_PROFILE: profile: ") && !fewer.contains("tokens"), "{fewer}");
}

#[test]
fn the_memory_is_shared_out_from_its_maximum_and_each_part_can_be_set() {
    assert_eq!(load(None, &[]).unwrap().memory, Memory::default());
    let config = load(Some("memory: { max: 512MiB, accounts: 100MiB }"), &[]).unwrap();
    assert_eq!(config.memory, Memory { accounts: 100 << 20, ..Memory::of(512 << 20) });
    assert!(!config.memory.map_files && Memory::default().map_files);
    let variables = [("REWARDHUB_MEMORY_MAX", "1GiB"), ("REWARDHUB_MEMORY_MAP_FILES", "true")];
    let config = load(Some("memory: { max: 512MiB }"), &variables).unwrap();
    assert_eq!(config.memory, Memory { map_files: true, ..Memory::of(1 << 30) });
    for (file, why) in [
        (
            "memory: { max: 255MiB }",
            "c.yaml:1: memory.max: must be a size from 256MiB to 1024GiB, not \"255MiB\"",
        ),
        (
            "memory: { bodies: 5MiB }",
            "c.yaml:1: memory.bodies: must be a size from 6MiB to 4GiB, not \"5MiB\"",
        ),
        (
            "memory: { max: 512MiB, filter: 513MiB }",
            "c.yaml:1: memory.filter: must be a size from 1MiB to 512MiB, not \"513MiB\"",
        ),
    ] {
        assert_eq!(from_file(file).unwrap_err(), why);
    }
}

#[test]
fn the_clocks_bound_is_a_second_to_an_hour() {
    assert_eq!(load(None, &[]).unwrap().clock_ahead_max, Duration::from_mins(1));
    let config = load(None, &[("REWARDHUB_CLOCK_AHEAD_MAX", "1h")]).unwrap();
    assert_eq!(config.clock_ahead_max, Duration::from_hours(1));
    for text in ["999ms", "61m", "soon"] {
        assert!(
            from_file(&format!("clock: {{ ahead_max: {text} }}")).unwrap_err().contains("clock.ahead_max")
        );
    }
}
