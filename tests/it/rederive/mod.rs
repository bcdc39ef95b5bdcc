//! What our own audit and a second implementation in another language say of the same log: nothing,
//! or the same fault.
//!
//! A log spans some days under a set clock, so that its epochs are revealed; then the real binary
//! exports it.

mod beacon;
mod dates;
mod histories;
mod hours;
mod names;
mod qualification;
mod reviews;
mod tampered;
mod world;
mod zones;

use std::path::Path;
use std::process::Command;

use rewardhub_tests::{Home, Ran, process, text};
use serde_json::{Value, json};

use histories::three_days;

fn rederive(arguments: &[&str]) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("rederive/rederive.py");
    finished(Command::new("python3").arg("-B").arg(script).args(arguments))
}

/// However long it takes: a hundred thousand lines do on a busy machine.
fn finished(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{error}: {command:?}; scripts/test installs what the tests need");
    });
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The report is the last line; findings stand before it.
fn last(ran: &Ran) -> Value {
    serde_json::from_str(ran.stdout.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn audit(home: &Home, arguments: &[&str]) -> Ran {
    finished(process::command().arg("audit").args(arguments).env("REWARDHUB_DATA", home.data()))
}

const OPEN_SEEDS: &[&str] = &["--open-seeds", "--by", "anna", "--reason", "the yearly audit"];

fn export(home: &Home, name: &str, options: &[&str]) -> String {
    let out = home.file(name);
    audit(home, &[&["export", "--out", text(&out)], options].concat()).expect_code(0);
    text(&out).to_owned()
}

#[test]
fn the_published_vectors_hold_in_another_language() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/concepts/draw-1.vectors.json");
    let report = last(&rederive(&["vectors", text(&vectors)]).expect_code(0));
    assert!(report["draws"].as_u64().unwrap() > 20, "{report}");
    rederive(&["vectors"]).expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_implementations_derive_every_draw_again() {
    let home = Home::new();
    three_days(&home).await;

    let ours = home.run(&["audit", "draws"]).expect_code(0).json();
    let bundle = export(&home, "public", &[]);
    let theirs = last(&rederive(&["check", &bundle]).expect_code(0));
    let draws = ours["draws"].as_u64().unwrap();
    assert!(draws > 500, "{ours:#}");
    assert_eq!((&ours["rederived"], &ours["waiting_for_reveal"]), (&json!(draws), &json!(0)));
    for count in ["events", "draws", "rederived", "waiting_for_reveal", "shares_checked", "shares_bounded"] {
        assert_eq!(ours[count], theirs[count], "{count}");
    }

    // The same log gives the same bytes, and nothing is overwritten.
    let again = export(&home, "again", &[]);
    let manifest = |bundle: &str| std::fs::read(Path::new(bundle).join("manifest.json")).unwrap();
    assert_eq!(manifest(&again), manifest(text(&home.file("public"))));
    let refused = home.run(&["audit", "export", "--out", &again]).expect_code(1);
    assert!(refused.stderr.contains("never overwrites"), "{}", refused.stderr);

    // With keys: shares and qualification too, and nothing personal that no rule looks at.
    let ours = home.run(&[&["audit", "draws", "--disclose"], OPEN_SEEDS].concat()).expect_code(0).json();
    let bundle = export(&home, "disclosed", &[&["--disclose"], OPEN_SEEDS].concat());
    let seeds = format!("{bundle}/seeds.ndjson");
    let theirs = last(&rederive(&["check", &bundle, "--seeds", &seeds]).expect_code(0));
    assert_eq!(ours["shares_checked"], theirs["shares_checked"]);
    assert!(ours["shares_checked"].as_u64().unwrap() > 20 && theirs["lines_with_details"] == theirs["lines"]);
    assert_eq!((&theirs["rules_unknown"], &theirs["lines_without_amount"]), (&json!(0), &json!(0)));
    let details = std::fs::read_to_string(format!("{bundle}/details.ndjson")).unwrap();
    assert!(!details.contains("GB") || details.contains("GBP"), "amounts have a currency");
    for word in ["description", "from_account", "name"] {
        assert!(!details.contains(word), "{word} is disclosed");
    }
    let left = std::fs::read_dir(home.data().parent().unwrap()).unwrap();
    let half = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".half-"));
    assert_eq!(half.count(), 0, "no half bundle is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_was_touched_is_found() {
    let home = Home::new();
    three_days(&home).await;
    let bundle = export(&home, "bundle", &[]);
    let file = Path::new(&bundle).join("events.ndjson");
    let whole = std::fs::read_to_string(&file).unwrap();
    let touched: Vec<&str> =
        whole.lines().enumerate().filter(|(n, _)| *n != 99).map(|(_, line)| line).collect();
    std::fs::write(&file, touched.join("\n") + "\n").unwrap();
    let theirs = rederive(&["check", &bundle]).expect_code(1);
    for words in ["at events.ndjson: sha256", "at 0:101: position: expected 100", "manifest.json: events"] {
        assert!(theirs.stdout.contains(words), "{words}: {}", theirs.stdout);
    }
    std::fs::write(&file, whole.replace("a storm", "a stork")).unwrap();
    let theirs = rederive(&["check", &bundle]).expect_code(1);
    assert!(theirs.stdout.contains(": hash: expected "), "{}", theirs.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_no_half_bundle() {
    let home = Home::new();
    three_days(&home).await;
    let mut milliseconds = 20;
    let out = loop {
        let out = home.file(&format!("killed-{milliseconds}"));
        let mut command = process::command();
        command.args(["audit", "export", "--disclose", "--out", text(&out)]).arg("--data").arg(home.data());
        let mut running = process::spawn(command);
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        running.signal("KILL");
        running.wait();
        running.finish();
        if out.exists() {
            break out;
        }
        milliseconds += milliseconds / 2;
    };
    // What has the bundle's name is whole; what the kills left has another.
    rederive(&["check", text(&out)]).expect_code(0);
    let entries = std::fs::read_dir(home.data().parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert!(names.filter(|name| name.starts_with(".killed-")).count() > 0, "no kill came while it wrote");
}

#[tokio::test(flavor = "multi_thread")]
async fn fairness_is_reported_for_people_to_sign() {
    let home = Home::new();
    three_days(&home).await;
    let html = home.file("fairness.html");
    let report =
        home.run(&[&["audit", "fairness", "--html", text(&html)], OPEN_SEEDS].concat()).expect_code(0).json();
    assert_eq!((&report["holds"], &report["waiting_for_reveal"]), (&json!(true), &json!(0)));
    assert_eq!(report["rederived"], report["draws"]);
    let campaign = &report["campaigns"]["everyday"];
    let tables = campaign["tables"].as_object().unwrap();
    let [table] = &tables.values().collect::<Vec<_>>()[..] else { panic!("{tables:?}") };
    let sum = |field: &str| {
        table["tiers"].as_array().unwrap().iter().map(|t| t[field].as_u64().unwrap()).sum::<u64>()
    };
    assert!(sum("by_number") > sum("won") && sum("won") > 50 && sum("masked") > 0, "{table:#}");
    assert!(!table["masks"].as_array().unwrap().is_empty());
    let winners = campaign["winners"].as_array().unwrap();
    assert!(winners.len() as u64 <= sum("won") && !winners.is_empty());
    let days = campaign["days"].as_array().unwrap();
    assert_eq!(
        days.iter().map(|d| d["day"].as_str().unwrap()).collect::<Vec<_>>(),
        ["2026-11-20", "2026-11-21"]
    );
    let incidents = report["incidents"].as_array().unwrap();
    let paused = incidents.iter().find(|i| i["event"] == "CampaignPaused").unwrap();
    assert_eq!((&paused["actor"], &paused["reason"]), (&json!("operator:anna"), &json!("a storm")));

    // The campaign started a minute after midnight, so the first of its two days was committed to
    // late.
    let late = campaign["committed_late"].as_array().unwrap();
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(
        (&late[0]["epoch"], &late[0]["opens_at"]),
        (&json!("2026-11-20"), &json!("2026-11-20T00:00:00Z"))
    );
    assert_eq!(
        (&late[0]["committed_at"], &late[0]["booked_before"]),
        (&json!("2026-11-20T00:01:00Z"), &json!(0))
    );
    assert_eq!(late[0]["draws"], days[0]["draws"]);
    assert_eq!(campaign["draws_without_beacon"], report["draws"]);
    let funded = incidents.iter().find(|i| i["event"] == "BudgetFunded").unwrap();
    assert_eq!(funded["details"]["amount"], "GBP 150.00");

    let page = std::fs::read_to_string(&html).unwrap();
    for words in [
        "<svg",
        "Statement of the independent auditor",
        "operator:anna",
        "Signature",
        "except on 1 day named here",
        "Everyday (everyday), 20 November 2026: committed to at 20 November 2026, 00:01:00 UTC, 0 h 1 min after the day",
        "only the operator knew the seed",
        "GBP 150.00",
        "from 20 November 2026 to 21 November 2026",
        "Everyday (everyday): ",
    ] {
        assert!(page.contains(words), "{words} is not on the page");
    }
    let row = campaign["winners"][0]["entry_id"].as_str().unwrap();
    assert!(!page.contains(row), "winners are counted by day and prize");
    assert!(!page.contains("anywhere") && page.len() < 60_000, "{}", page.len());
    for outside in ["http:", "https:", "<script", "src=", "@import"] {
        assert!(!page.contains(outside), "the page reaches out: {outside}");
    }
    home.run(&["audit", "fairness", "--campaign", "unknown"]).expect_code(1);
}
