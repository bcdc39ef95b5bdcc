//! What our own audit and a second implementation in another language say of the same log: nothing, or the same fault.
//!
//! The log spans three days under a set clock, so that one of its epochs is revealed; then the real binary exports it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use adapters::sandbox::bank::Mix;
use adapters::sandbox::{Generator, GeneratorConfig};
use ledger_core::audit::chain::event_hash;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::draw::Seed;
use ledger_core::engine::{Context, Ledger, Parts, SeedVault, Settings};
use ledger_core::ids::CampaignId;
use ledger_core::log::sqlite::{SqliteLog, SqliteOptions};
use ledger_core::log::{EventLog, Position, StoredEvent};
use ledger_core::seal::{FileKeyProvider, Keyring, SealError, Sealed};
use ledger_core::steps::intake::{Intake, Sources};
use ledger_core::steps::reveal::Reveal;
use ledger_core::testing::ManualClock;
use ledger_core::time::{Clock as _, DAY_MICROS, Epoch, SECOND_MICROS, Timestamp};
use rewardhub_tests::{Home, Ran, text};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Midnight UTC of 2026-11-20.
const FIRST_DAY: Timestamp = Timestamp::from_micros(1_795_132_800 * SECOND_MICROS);
const LINES_A_DAY: usize = 2_000;

/// The same draws in every run, sealed as the real ones are.
struct FixedSeeds(Arc<Keyring>);

impl SeedVault for FixedSeeds {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        let byte = u8::try_from(epoch.opens_at().micros() / DAY_MICROS % 251).unwrap();
        let seed = Seed::new([byte; 32]);
        let sealed = self.0.seal_seed(campaign, epoch, &seed)?;
        Ok((seed, sealed))
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        self.0.open_seed(campaign, epoch, sealed)
    }
}

/// Three days: all prizes, every rule, masks when the budget runs out, lines taken back, two days revealed.
async fn three_days(home: &Home) {
    std::fs::create_dir(home.data()).unwrap();
    let provider = FileKeyProvider::open_or_create(&home.data().join("root.key")).unwrap();
    let keyring = Arc::new(Keyring::open(&home.data().join("keys.db"), Arc::new(provider)).unwrap());
    let log: Arc<dyn EventLog> =
        Arc::new(SqliteLog::open(&home.data().join("log.db"), &SqliteOptions::default()).unwrap());
    let clock = Arc::new(ManualClock::at(FIRST_DAY.plus_micros(60 * SECOND_MICROS)));
    let seeds = Arc::new(FixedSeeds(Arc::clone(&keyring)));
    let parts =
        Parts { log: Arc::clone(&log), clock: Arc::clone(&clock) as _, seeds: Arc::clone(&seeds) as _ };
    let settings = Settings { open_enrolment: true, ..Settings::default() };
    let (ledger, stopped) = Ledger::start(parts, settings).await.unwrap();
    let context = || Context::new("operator:anna", "", "test");
    let terms = json!({
        "campaign_id": "everyday", "name": "Everyday", "time_zone": "America/New_York",
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "rules": { "mcc_denied": ["5411", "5900-5999"], "amount_min_minor": 300, "amount_max_minor": 20000,
                   "wins_per_day": 2 },
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "big", "odds_ppb": 20_000_000, "prize": { "fixed": 2_000 } },
            { "name": "small", "odds_ppb": 100_000_000, "prize": { "fixed": 90 } },
            { "name": "share", "odds_ppb": 200_000_000, "prize": { "share_bps": 500, "max": 150 } },
        ] },
        "budget": { "minor": 15_000, "currency": "GBP" }, "grace_days": 0,
    });
    let terms = serde_json::from_value(terms).unwrap();
    for (by, kind) in [
        ("alice", CampaignCommandKind::Draft(Box::new(terms))),
        ("bob", CampaignCommandKind::Approve { version: None }),
        ("alice", CampaignCommandKind::Start),
    ] {
        let context = Context::new(by, "", "");
        ledger.campaign("everyday".parse().unwrap(), kind, context).await.unwrap().unwrap();
    }
    let intake = Intake::new(ledger.clone(), Arc::clone(&keyring), Arc::clone(&clock) as _, true);
    let mix = Mix { removed_ppm: 10_000, refund_ppm: 20_000, ..Mix::default() };
    let config =
        GeneratorConfig { seed: 7, customers: 40, source: "acme-bank".into(), run: "three".into(), mix };
    let mut bank = Generator::new(config).unwrap();
    for day in 0..3 {
        clock.set(FIRST_DAY.plus_micros(day * DAY_MICROS + 12 * 3_600 * SECOND_MICROS));
        if day == 2 {
            let pause = CampaignCommandKind::Pause { reason: "a storm".into() };
            ledger.campaign("everyday".parse().unwrap(), pause, context()).await.unwrap().unwrap();
        }
        for _ in 0..LINES_A_DAY / 100 {
            let rows: Vec<String> = (0..100).map(|_| bank.next(clock.now()).json).collect();
            let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
            intake.take(&rows, &Sources::All, context()).await.unwrap();
        }
    }
    let reveal = Reveal::new(ledger.clone(), Arc::clone(&log), seeds);
    assert_eq!(reveal.settle().await.unwrap(), 2);
    drop((reveal, intake, ledger));
    stopped.await.unwrap();
}

fn rederive(arguments: &[&str]) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("rederive/rederive.py");
    let output = Command::new("python3").arg("-B").arg(script).args(arguments).output();
    let output = output.expect(
        "python3 is missing: the second implementation of draw-1 is in Python; scripts/test installs it",
    );
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

const OPEN_SEEDS: &[&str] = &["--open-seeds", "--by", "anna", "--reason", "the yearly audit"];

fn export(home: &Home, name: &str, options: &[&str]) -> String {
    let out = home.file(name);
    home.run(&[&["audit", "export", "--out", text(&out)], options].concat()).expect_code(0);
    text(&out).to_owned()
}

/// Changes events as somebody with the file in his hands could, and makes every hash after them fit.
async fn tamper(home: &Home, change: impl FnOnce(&mut Vec<StoredEvent>)) {
    let path = home.data().join("log.db");
    let mut events =
        SqliteLog::open_read_only(&path).unwrap().read_after(Position(0), usize::MAX >> 1).await.unwrap();
    let before = events.clone();
    change(&mut events);
    let mut tips = std::collections::HashMap::new();
    for event in &mut events {
        event.hash = event_hash(event, tips.get(&event.stream));
        tips.insert(event.stream.clone(), event.hash);
    }
    let log = Connection::open(&path).unwrap();
    log.execute_batch("DROP TRIGGER IF EXISTS events_are_never_changed; BEGIN").unwrap();
    for event in events.iter().zip(&before).filter(|(now, then)| now != then).map(|(event, _)| event) {
        let payload = std::str::from_utf8(&event.payload).unwrap();
        let position = i64::try_from(event.position.0).unwrap();
        log.execute(
            "UPDATE events SET payload = ?1, hash = ?2 WHERE position = ?3",
            (payload, &event.hash.0[..], position),
        )
        .unwrap();
    }
    log.execute_batch("COMMIT").unwrap();
}

fn edit(event: &mut StoredEvent, change: impl FnOnce(&mut Value)) {
    let mut payload: Value = serde_json::from_slice(&event.payload).unwrap();
    change(&mut payload);
    event.payload = serde_json::to_vec(&payload).unwrap();
}

fn payload(event: &StoredEvent) -> Value {
    serde_json::from_slice(&event.payload).unwrap()
}

#[test]
fn the_published_vectors_hold_in_another_language() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ledger-core/testdata/draw-1.vectors.json");
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
    let refused = home.run(&["audit", "export", "--out", &again]).expect_code(3);
    assert!(refused.stderr.contains("never overwrites"), "{}", refused.stderr);

    // With keys: shares and qualification too, and nothing personal that no rule looks at.
    let ours = home.run(&[&["audit", "draws", "--disclose"], OPEN_SEEDS].concat()).expect_code(0).json();
    let bundle = export(&home, "disclosed", &[&["--disclose"], OPEN_SEEDS].concat());
    let seeds = format!("{bundle}/seeds.ndjson");
    let theirs = last(&rederive(&["check", &bundle, "--seeds", &seeds]).expect_code(0));
    assert_eq!(ours["shares_checked"], theirs["shares_checked"]);
    assert!(ours["shares_checked"].as_u64().unwrap() > 20 && theirs["lines_with_details"] == theirs["lines"]);
    assert_eq!(theirs["rules_unknown"], 0);
    let details = std::fs::read_to_string(format!("{bundle}/details.ndjson")).unwrap();
    assert!(!details.contains("GB") || details.contains("GBP"), "amounts have a currency");
    for word in ["description", "from_account", "name"] {
        assert!(!details.contains(word), "{word} is disclosed");
    }
    let left = std::fs::read_dir(home.data().parent().unwrap()).unwrap();
    let half = left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".half-"));
    assert_eq!(half.count(), 0, "no half bundle is left");
}

/// The check that fails, which draw is changed, and how.
type Case<'a> = (&'a str, &'a dyn Fn(&Value) -> bool, fn(&mut Value));

#[tokio::test(flavor = "multi_thread")]
async fn both_implementations_find_what_a_chain_made_to_fit_would_hide() {
    let home = Home::new();
    three_days(&home).await;
    let drawn = |event: &StoredEvent, like: &dyn Fn(&Value) -> bool| {
        let payload = payload(event);
        let draw = &payload["TransactionEvaluated"]["draws"][0];
        !draw.is_null() && like(draw)
    };
    let lost = |draw: &Value| draw["tier"].is_null();
    let won = |draw: &Value| draw["tier"] == 0;
    let share = |draw: &Value| draw["tier"] == 2;
    let cases: [Case<'_>; 7] = [
        ("r", &lost, |draw| draw["r"] = json!(draw["r"].as_u64().unwrap() - 1)),
        ("tier", &won, |draw| draw["tier"] = json!(1)),
        ("amount", &won, |draw| draw["amount"]["minor"] = json!(2_001)),
        ("amount", &share, |draw| {
            draw["amount"]["minor"] = json!(draw["amount"]["minor"].as_u64().unwrap() - 1)
        }),
        ("tier_mask", &lost, |draw| draw["tier_mask"] = json!(7)),
        ("budget_left_minor", &lost, |draw| draw["budget_left_minor"] = json!(1_000_000)),
        ("drawn_once", &lost, |_| {}),
    ];
    for (n, (check, like, change)) in cases.into_iter().enumerate() {
        let mut undo = Vec::new();
        let mut position = String::new();
        tamper(&home, |events| {
            let mut of_kind = (0..events.len()).filter(|n| drawn(&events[*n], like));
            let first = of_kind.next().unwrap();
            let at = if check == "drawn_once" { of_kind.next().unwrap() } else { first };
            drop(of_kind);
            undo = events.clone();
            position = events[at].position.to_string();
            if check == "drawn_once" {
                // One line's decision in the place of another's.
                events[at].payload = events[first].payload.clone();
            }
            edit(&mut events[at], |event| change(&mut event["TransactionEvaluated"]["draws"][0]));
        })
        .await;
        let ours = home.run(&["audit", "draws", "--disclose"]).expect_code(1).json();
        let found = ours["findings"].as_array().unwrap();
        assert!(
            found.iter().any(|f| f["check"] == check && f["position"] == position.as_str()),
            "{check} at {position}: {ours:#}"
        );
        let bundle = export(&home, &format!("tampered-{n}"), &["--disclose"]);
        let theirs = rederive(&["check", &bundle]).expect_code(1);
        let named = |line: &str| {
            line.contains(&format!("at {position},")) && line.contains(&format!(": {check}: expected "))
        };
        assert!(theirs.stdout.lines().any(named), "{check} at {position}: {}", theirs.stdout);
        tamper(&home, |events| *events = undo).await;
    }
    // Declined for a reason that is none: only the details, or another rule of the log, can tell.
    let mut position = String::new();
    tamper(&home, |events| {
        let at = (0..events.len()).rfind(|n| drawn(&events[*n], &lost)).unwrap();
        position = events[at].position.to_string();
        edit(&mut events[at], |event| {
            let decided = event["TransactionEvaluated"].as_object_mut().unwrap();
            decided.remove("draws");
            decided["outcome"] = json!("declined");
            decided["considered"][0]["failed"] = json!(["mcc_denied"]);
        });
    })
    .await;
    let bundle = export(&home, "declined", &["--disclose"]);
    let theirs = rederive(&["check", &bundle]).expect_code(1);
    let named = |line: &str| line.contains(&format!("at {position},")) && line.contains("failed rules");
    assert!(theirs.stdout.lines().any(named), "{position}: {}", theirs.stdout);
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
        let mut command = rewardhub_tests::process::command();
        command.args(["audit", "export", "--disclose", "--out", text(&out)]).arg("--data").arg(home.data());
        let mut running = rewardhub_tests::process::spawn(command);
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

    let page = std::fs::read_to_string(&html).unwrap();
    for words in ["<svg", "Statement of the independent auditor", "operator:anna", "Signature", "Winners"] {
        assert!(page.contains(words), "{words} is not on the page");
    }
    for outside in ["http:", "https:", "<script", "src=", "@import"] {
        assert!(!page.contains(outside), "the page reaches out: {outside}");
    }
    home.run(&["audit", "fairness", "--campaign", "unknown"]).expect_code(3);
}
