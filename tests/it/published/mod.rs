//! Suites that others have published, run against a sandbox.
//!
//! Their versions are pinned here and they are installed into a temporary folder, by npm from the
//! registry that is set up.

use std::path::{Path, PathBuf};
use std::process::Command;

use rewardhub_tests::rows::{ndjson, statement};
use rewardhub_tests::{Home, PATIENCE, Sandbox, eventually, text};
use serde_json::Value;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("it/published")
}

fn run(command: &mut Command) -> String {
    let ended = command.output().unwrap_or_else(|error| panic!("scripts/test installs {command:?}: {error}"));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}{complaints}");
    said
}

/// A temporary folder with our scripts and what they need.
fn npm_packages() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["package.json", "package-lock.json", "audits.mjs", "look.mjs"] {
        std::fs::copy(here().join(file), folder.path().join(file)).unwrap();
    }
    let mut npm = Command::new("npm");
    run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder.path()));
    folder
}

/// All that the specification says MUST or SHOULD be. What MAY be is queries by GET, which we do
/// not take: a link would run one with whatever token the browser has at hand.
#[test]
fn graphql_https_audits_of_a_server_are_met() {
    let folder = npm_packages();
    let home = Home::new();
    let sandbox = home.serve();
    let (url, token) = (format!("{}/graphql", sandbox.url()), sandbox.customer("cus_1"));
    let mut node = Command::new("node");
    let said = run(node.args(["audits.mjs", &url, &token]).current_dir(folder.path()));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said["audits"].as_u64() > Some(50), "{said}");
    let unmet = said["unmet"].as_array().unwrap().iter().map(|unmet| unmet.as_str().unwrap());
    let unmet: Vec<&str> = unmet.filter(|unmet| unmet.contains("MUST") || unmet.contains("SHOULD")).collect();
    assert!(unmet.is_empty(), "{unmet:#?}");
    sandbox.stop();
}

/// What the description allows is taken, what it forbids is refused, and every answer is as it
/// says.
#[test]
fn schemathesis_finds_nothing_in_the_rest_part() {
    let folder = tempfile::tempdir().unwrap();
    let venv = folder.path().join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let mut pip = Command::new(venv.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--no-deps", "-r"]).arg(here().join("requirements.txt")));

    let home = Home::new();
    let sandbox = home.serve();
    let scopes = "rewards:read transactions:write audit:read campaigns:write ops";
    let token = sandbox.token(&["--scope", scopes, "--sub", "alice", "--source", "*"]);
    let mut st = Command::new(venv.join("bin/st"));
    st.current_dir(folder.path()).arg("--config-file").arg(here().join("schemathesis.toml"));
    st.arg("run").arg(format!("{}/openapi.json", sandbox.url()));
    st.arg("-H").arg(format!("Authorization: Bearer {token}"));
    st.args([
        "--max-examples",
        "20",
        "--seed",
        "1",
        "--phases",
        "examples,coverage,fuzzing",
        "--workers",
        "1",
    ]);
    run(&mut st);
    sandbox.stop();
}

/// The pages that people sign, frame and begin with, on a phone, a tablet and a desk, in light and
/// dark. With
/// `REWARDHUB_TEST_PICTURES` the pictures are kept in that folder.
#[test]
fn axe_finds_nothing_serious_on_any_page_and_none_is_wider_than_its_screen() {
    let folder = npm_packages();
    let home = Home::new();
    let sandbox = Sandbox::start_with(&home.data(), &["--rate", "0", "--demo-day"], &[]);
    let url = sandbox.url().to_owned();
    eventually("the proof of the demo day", PATIENCE, || {
        (sandbox.get("/proof/demo").status == 200).then_some(())
    });

    let [fairness, backtest, empty] =
        ["fairness.html", "backtest.html", "empty.html"].map(|name| home.file(name));
    home.run(&["audit", "fairness", "--html", text(&fairness)]).expect_code(0);
    home.run(&["audit", "fairness", "--campaign", "everyday-surprise", "--html", text(&empty)])
        .expect_code(0);
    let past = home.write("past.ndjson", ndjson(&statement(2_000, 50, 3, 0)));
    let example = here().join("../../../campaign.example.yaml");
    let dearer = std::fs::read_to_string(&example).unwrap().replace("fixed: 500 ", "fixed: 900 ");
    let dearer = home
        .write("dearer.yaml", dearer.replace("Everyday Surprise", "A <b>dearer</b> & longer-named campaign"));
    let terms = ["--campaign", text(&example), "--against", text(&dearer), "--as-if-from", "2026-01-01"];
    let past = ["backtest", "--seeds", "40", "--transactions", text(&past), "--html", text(&backtest)];
    home.run(&[&past[..], &terms].concat()).expect_code(0);

    let pictures = std::env::var("REWARDHUB_TEST_PICTURES").unwrap_or_else(|_| text(folder.path()).into());
    let file = |path: &Path| format!("file://{}", text(path));
    let pages = [
        ("first", format!("{url}/")),
        ("proof", format!("{url}/proof/demo")),
        ("paste", format!("{url}/proof")),
        ("fairness", file(&fairness)),
        ("no-draws", file(&empty)),
        ("backtest", file(&backtest)),
    ];
    let mut node = Command::new("node");
    node.current_dir(folder.path()).arg("look.mjs").arg(pictures);
    node.args(pages.iter().map(|(name, url)| format!("{name}={url}")));
    let said: Value = serde_json::from_str(&run(&mut node)).unwrap();
    assert_eq!(
        (&said["found"], &said["looked"]),
        (&serde_json::json!([]), &serde_json::json!(36)),
        "{said:#}"
    );
    sandbox.stop();
}
