//! A sandbox's life: it starts from nothing, serves, stops when told, goes on where it was.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rewardhub_tests::rows::purchase;
use rewardhub_tests::{Home, Sandbox, process, sandbox, text};
use serde_json::{Value, json};

const ACCOUNT: &str = "query($id: ID, $min: String) { rewardAccount(accountId: $id, minPosition: $min) \
    { accountId position transactions(first: 50) { nodes { transactionId } } } }";

fn transactions(sandbox: &Sandbox, token: &str, min_position: &Value) -> Vec<String> {
    let account = sandbox.graphql(token, ACCOUNT, json!({ "min": min_position }))["rewardAccount"].take();
    let nodes = account["transactions"]["nodes"].as_array().unwrap_or_else(|| panic!("{account}")).clone();
    nodes.iter().map(|node| node["transactionId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn from_an_empty_folder_to_a_visible_transaction_and_on_after_a_restart() {
    let home = Home::new();
    let sandbox = home.serve();
    assert_eq!(sandbox.get("/healthz").status, 200);
    let (feed, customer) = (sandbox.feed(), sandbox.customer("cus_0001"));

    let sent = sandbox.send(&feed, &[purchase("t1", "cus_0001")]);
    assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    assert_eq!(sent[0]["error"], Value::Null);
    let position = &sent[0]["position"];
    assert!(position.as_str().unwrap().starts_with("0:"), "{position}");
    assert_eq!(transactions(&sandbox, &customer, position), ["t1"]);
    let books = sandbox.trial_balance();
    assert!(sandbox.stop().stderr.is_empty());

    let sandbox = home.serve();
    assert_eq!(transactions(&sandbox, &customer, position), ["t1"], "the old token still holds");
    let again = sandbox.send(&feed, &[purchase("t1", "cus_0001"), purchase("t2", "cus_0001")]);
    assert_eq!((&again[0]["result"], &again[0]["position"]), (&json!("duplicate"), position));
    assert_eq!(again[1]["result"], "accepted");
    assert_eq!(transactions(&sandbox, &customer, &again[1]["position"]), ["t2", "t1"], "newest first");
    assert_eq!(sandbox.trial_balance()["difference"], books["difference"]);
    assert_eq!(sandbox.get("/readyz").status, 200);
    sandbox.stop();
}

#[test]
fn a_position_that_does_not_come_is_an_error_and_no_endless_wait() {
    let home = Home::new();
    let sandbox = home.serve();
    let asked = Instant::now();
    let answer = sandbox.ask(&sandbox.customer("cus_0001"), ACCOUNT, json!({ "min": "0:1000000" }));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "POSITION_NOT_REACHED", "{answer}");
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    let answer = sandbox.ask(&sandbox.customer("cus_0001"), ACCOUNT, json!({ "min": "7" }));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
}

#[test]
fn signals_end_it_cleanly() {
    let home = Home::new();
    for signal in ["INT", "TERM"] {
        let ended = home.serve().stop_by(signal).expect_code(0);
        assert!(ended.stdout.contains("log at "), "the last line of counts: {}", ended.stdout);
        assert!(ended.stdout.ends_with("\nstopping\nstopped\n"), "{}", ended.stdout);
        assert_eq!(ended.stderr, "", "SIG{signal}");
    }
    // A busy one as well.
    let sandbox = Sandbox::start_with(&home.data(), &["--rate", "200/s", "--customers", "20"], &[]);
    std::thread::sleep(Duration::from_millis(700));
    let ended = sandbox.stop_by("TERM").expect_code(0);
    assert!(!ended.stdout.contains("accepted 0 "), "it had taken something: {}", ended.stdout);
    home.replayed();
    home.assert_read_models_hold();
}

#[test]
fn it_ends_by_itself_when_its_time_is_over() {
    let home = Home::new();
    let began = Instant::now();
    let mut sandbox = Sandbox::start_with(&home.data(), &["--rate", "50", "--for", "2s"], &[]);
    sandbox.end().expect_code(0);
    assert!(began.elapsed() >= Duration::from_secs(2));
    home.replayed();
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let home = Home::new();
    let first = home.serve();
    let data = home.data();
    let file = home.write("empty.ndjson", "");
    for arguments in [
        &["sandbox", "--rate", "0", "--listen", "127.0.0.1:0", "--for", "1s"][..],
        &["ingest", text(&file)],
        &["rebuild", "all"],
        &["campaign", "pause", "everyday-surprise", "--reason", "checks"],
    ] {
        let refused = home.run(arguments).expect_code(3);
        let message = format!("the data folder {} is in use by rewardhub sandbox", data.display());
        assert!(refused.stderr.contains(&message), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(&first.id().to_string()), "the holder: {}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    // Reading and tokens work beside it, and the first one has not noticed anything.
    home.replayed();
    home.run(&["campaign", "show", "everyday-surprise"]).expect_code(0);
    assert_eq!(first.get("/readyz").status, 200);
    first.stop();
}

#[test]
fn a_taken_address_is_a_fault_that_is_told() {
    let (home, other) = (Home::new(), Home::new());
    let first = home.serve();
    let address = first.url().trim_start_matches("http://");
    let refused = other.run(&["sandbox", "--rate", "0", "--listen", address]).expect_code(3);
    assert!(refused.stderr.contains(&format!("cannot listen on {address}")), "{}", refused.stderr);
}

#[test]
fn a_kill_during_start_up_leaves_a_folder_that_starts() {
    let home = Home::new();
    for millis in [0, 5, 10, 20, 40, 80, 160] {
        let mut running = sandbox::spawn(&home.data(), &["--rate", "0"], &[]);
        std::thread::sleep(Duration::from_millis(millis));
        running.kill();
    }
    let sandbox = home.serve();
    let sent = sandbox.send(&sandbox.feed(), &[purchase("t1", "cus_0001")]);
    assert_eq!(sent[0]["result"], "accepted");
    sandbox.trial_balance();
    sandbox.stop();
    home.replayed();
    home.assert_read_models_hold();
}

#[test]
fn runs_that_cannot_be_read_begin_anew_and_bring_no_old_ids() {
    let home = Home::new();
    let run = || {
        let mut sandbox = Sandbox::start_with(&home.data(), &["--rate", "100", "--for", "1s"], &[]);
        sandbox.end().expect_code(0);
    };
    run();
    let runs = home.data().join("runs");
    for lost in ["", "many\n"] {
        std::fs::write(&runs, lost).unwrap();
        let before = home.replayed()["transactions"].as_u64().unwrap();
        run();
        assert!(home.replayed()["transactions"].as_u64().unwrap() > before, "{lost:?}");
    }
    assert_eq!(runs.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn settings_that_a_sandbox_does_not_have_are_refused_and_not_passed_over() {
    let home = Home::new();
    for (variable, value) in
        [("REWARDHUB_LOG", "postgres://127.0.0.1:1/ledger"), ("REWARDHUB_CONFIG", "c.yaml")]
    {
        let mut running = sandbox::spawn(&home.data(), &[], &[(variable, value)]);
        let code = running.wait();
        assert_eq!((code, running.stderr.text().contains(variable)), (2, true), "{}", running.stderr.text());
    }
    assert!(!home.data().exists());
}

#[test]
fn a_misspelt_level_is_refused_and_does_not_silence_everything() {
    let home = Home::new();
    for (level, code) in
        [("information", 2), ("info,ledger_core", 2), ("info,ledger_core=debug", 0), ("off", 0), ("WARN", 0)]
    {
        let arguments = ["--rate", "0", "--for", "1s"];
        let mut running = sandbox::spawn(&home.data(), &arguments, &[("REWARDHUB_LOG_LEVEL", level)]);
        assert_eq!(running.wait(), code, "{level}: {}", running.stderr.text());
    }
}

/// `rewardhub … | head` and the like.
#[test]
fn a_reader_that_has_seen_enough_makes_nobody_panic() {
    let home = Home::new();
    home.serve().stop();
    for (arguments, code) in [
        (&["campaign", "show", "everyday-surprise"][..], 141),
        (&["audit", "replay"], 141),
        (&["sandbox", "--rate", "0", "--for", "1s", "--listen", "127.0.0.1:0"], 0),
    ] {
        let mut command = process::command();
        command.args(arguments).arg("--data").arg(home.data());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(
            (ended.status.code(), said.contains("panicked")),
            (Some(code), false),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["sandbx"],
        &["sandbox", "--rate", "fast"],
        &["sandbox", "--rate", "1000000"],
        &["sandbox", "--customers", "0"],
        &["sandbox", "--for", "soon"],
        &["sandbox", "--listen", "nowhere"],
        &["ingest"],
        &["ingest", "-", "--data", "d", "--url", "http://127.0.0.1:1"],
        &["campaign", "start"],
        &["token", "--ttl", "-1h"],
        &["clock", "show"],
    ] {
        let mut command = process::command();
        command.args(arguments);
        let ran = process::run(command, b"");
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}
