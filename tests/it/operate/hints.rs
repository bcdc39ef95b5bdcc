//! What a newcomer is told where he would otherwise wonder.

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, text};
use serde_json::{Value, json};

fn purchases(home: &Home) -> std::path::PathBuf {
    let rows: Vec<Value> = (0..5).map(|n| purchase(&format!("t{n}"), "cus_a")).collect();
    home.write("rows.ndjson", ndjson(&rows))
}

/// Nobody has served this folder, so nothing has filled its read models.
#[test]
fn rebuild_fills_the_read_models_of_a_folder_that_only_commands_have_used() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    home.run(&["ingest", text(&purchases(&home))]).expect_code(0);
    let unfilled = home.run(&["proof", "acme-bank", "t1"]).expect_code(3);
    assert!(unfilled.stderr.contains("there are no read models yet"), "{}", unfilled.stderr);
    let rebuilt = home.run(&["rebuild", "transactions"]).expect_code(0).json();
    assert_eq!((&rebuilt["rows"], &rebuilt["rows_changed"]), (&json!(5), &json!(0)));
    let proof = home.run(&["proof", "acme-bank", "t1"]).expect_code(0).json();
    assert_eq!(proof[0]["draw"]["tier"], "prize");
    home.replayed();
    home.assert_read_models_hold();
    let unknown = home.run(&["rebuild", "transaction"]).expect_code(2);
    assert!(unknown.stderr.contains("transaction"), "{}", unknown.stderr);
}

#[test]
fn lines_that_cannot_win_are_not_taken_without_a_word() {
    let home = Home::new();
    let file = purchases(&home);
    let typo = home.run(&["ingest", text(&file)]).expect_code(1);
    assert!(typo.stderr.contains("is no data folder") && !home.data().exists(), "{}", typo.stderr);
    home.run(&["account", "open", "cus_1"]).expect_code(0);
    let none = home.run(&["ingest", text(&file)]).expect_code(2);
    assert!(none.stderr.contains("this ledger has no campaign"), "{}", none.stderr);
    assert_eq!(home.replayed()["transactions"], 0, "nothing was taken");
    let meant = home.run(&["ingest", text(&file), "--without-campaign", "--json"]).expect_code(0).json();
    assert_eq!(meant["accepted"], 5);
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let ran = home.run(&["ingest", text(&file)]).expect_code(0);
    assert_eq!(ran.stderr, "");
}

/// Of all that write, only what begins a ledger lays one out.
#[test]
fn a_mistyped_folder_is_not_taken_for_a_new_ledger() {
    let home = Home::new();
    for command in [
        &["campaign", "approve", "sure", "--version", "1", "--by", "bob"][..],
        &["campaign", "start", "sure"],
        &["campaign", "pause", "sure", "--reason", "a storm"],
        &["campaign", "list"],
        &["account", "close", "cus_1", "--reason", "gone"],
        &["parked", "retry", "x", "--reason", "again"],
    ] {
        let refused = home.run(command);
        assert_ne!(refused.code, 0, "{command:?}");
        assert!(!home.data().join("log.db").exists(), "{command:?} laid a ledger out: {}", refused.stderr);
    }
}

#[test]
fn a_variable_that_is_no_setting_is_refused_by_name() {
    let run = |name: &str| Home::with(&[(name, "x")]).run(&["campaign", "list"]);
    let refused = run("REWARDHUB_LSTEN").expect_code(2);
    assert!(refused.stderr.contains("REWARDHUB_LSTEN: there is no such setting"), "{}", refused.stderr);
    for name in ["REWARDHUB_TEST_SPEED", "REWARDHUB_SERVICE_HOST", "REWARDHUB_PORT_8080_TCP"] {
        assert!(run(name).stderr.contains("is no data folder"), "{name}");
    }
}

#[test]
fn logs_have_no_colour_where_they_go_to_no_terminal_and_are_json_on_request() {
    let typo = |format: &[(&str, &str)]| {
        let home = Home::with(format);
        home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
        std::fs::write(home.data().join("runs"), "").unwrap();
        home.run(&["sandbox", "--rate", "0", "--listen", "127.0.0.1:0", "--for", "1s"]).expect_code(0).stderr
    };
    let text = typo(&[]);
    assert!(text.contains("WARN") && !text.contains('\u{1b}'), "{text}");
    let json = typo(&[("REWARDHUB_LOG_FORMAT", "json")]);
    let line: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "WARN", "{line}");
    let wrong = Home::with(&[("REWARDHUB_LOG_FORMAT", "xml")]).run(&["campaign", "list"]).expect_code(2);
    assert!(wrong.stderr.contains("REWARDHUB_LOG_FORMAT=xml must be text or json"), "{}", wrong.stderr);
}

#[test]
fn a_token_that_opens_nothing_is_told_of() {
    let home = Home::new();
    home.serve().stop();
    let refused = home.run(&["token", "--scope", "rewards:raed", "--sub", "cus_a"]).expect_code(2);
    let told = "\"rewards:raed\" is none of rewards:read, ";
    assert!(refused.stderr.contains(told) && refused.stdout.is_empty(), "{refused:?}");
    for (arguments, missing) in [
        (&["--scope", "transactions:write"][..], "--source"),
        (&["--scope", "audit:read campaigns:write"], "--sub"),
        (&["--scope", "ops"], "--sub"),
        (&[], "--sub"),
    ] {
        let told = home.run(&[&["token"], arguments].concat()).expect_code(0).stderr;
        assert!(
            told.contains(&format!("without {missing} this token opens nothing")),
            "{arguments:?}: {told}"
        );
    }
    assert_eq!(home.run(&["token", "--scope", "audit:read"]).expect_code(0).stderr, "");
    let sandbox = home.serve();
    let file = purchases(&home);
    let wrong = home.run_as(&sandbox.customer("cus_a"), &["ingest", text(&file), "--url", sandbox.url()]);
    assert!(wrong.code == 2 && wrong.stderr.contains("transactions:write"), "{wrong:?}");
}

#[test]
fn a_backtest_in_which_nothing_could_win_says_why() {
    let home = Home::new();
    let late =
        campaign("late", CERTAIN, 250, 1_000_000).replace("2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let late = home.write("late.yaml", late);
    let file = purchases(&home);
    let page = home.file("page.html");
    let asked = ["backtest", "--campaign", text(&late), "--transactions", text(&file), "--seeds", "2"];
    let told = home.run(&[&asked[..], &["--html", text(&page)]].concat()).expect_code(0).stderr;
    for words in ["none of 5 transactions is admitted", "before_campaign 5", "--as-if-from"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Nothing entered the draw.") && !page.contains("<svg"), "{page}");
    // The flag that is named helps, and the window stays as long as it is.
    let moved = home.run(&[&asked[..], &["--as-if-from", "2026-01-01"]].concat()).expect_code(0).json();
    assert_eq!(moved["campaigns"][0]["wins"]["p50"], 5, "{moved}");
    let short = late_until(&home, "2099-01-02T00:00:00Z");
    let asked = ["backtest", "--campaign", text(&short), "--transactions", text(&file), "--seeds", "2"];
    let moved = home.run(&[&asked[..], &["--as-if-from", "2026-01-01"]].concat()).expect_code(0).json();
    assert_eq!(moved["campaigns"][0]["admitted"], 0, "a day long, at New Year: {moved}");
}

fn late_until(home: &Home, end: &str) -> std::path::PathBuf {
    let terms = campaign("late", CERTAIN, 250, 1_000_000);
    let terms = terms.replace("2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z") + &format!("ends_at: {end}\n");
    home.write("short.yaml", terms)
}

#[test]
fn times_and_days_say_how_they_are_written() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let told = |arguments: &[&str]| {
        let ran = home.run(&[&["campaign"], arguments].concat());
        assert!([1, 2].contains(&ran.code), "{ran:?}");
        ran.stderr
    };
    for time in ["tomorrow", "2026-12-01"] {
        let told = told(&["schedule", "sure", time]);
        assert!(told.contains("such as 2026-12-01T00:00:00Z"), "{told}");
    }
    let told = told(&["halt-epoch", "sure", "today", "--reason", "odd"]);
    assert!(told.contains("such as 2026-12-01"), "{told}");
}
