//! A customer's proof, checked by the JavaScript of the page: against draw-1's vectors, for draws
//! of the real binary before and after the reveal, and falsified in each of its parts.
//!
//! The clock of the ledger is set to the time of a recorded round of the public beacon; the real
//! binary then serves the same folder today, long after that day's grace.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::beacon::{BeaconSpec, QUICKNET_CHAIN};
use ledger_core::engine::{CommandContext, EngineSettings, KeyringSeeds, Ledger, LedgerParts};
use ledger_core::ids::BeaconSignature;
use ledger_core::steps::intake::{Intake, Sources};
use ledger_core::time::{Clock, Epoch, SECOND_MICROS, Timestamp};
use rewardhub::folder::Folder;
use rewardhub::opened::Stores;
use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, PATIENCE, eventually, text};
use serde_json::{Value, json};
use support::ManualClock;

const ROUND: u64 = 32_281_667;
const LINES: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// Runs node to its end; gives its exit code and what it printed.
fn node(arguments: &[&Path], input: &str) -> (i32, String) {
    let mut node = Command::new("node")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is needed to check the proof page: scripts/test installs it");
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = node.wait_with_output().unwrap();
    (ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap())
}

/// The steps of each proof by name: ok, differs, waits, late or unused.
fn verify(proofs: &Value) -> Vec<Vec<(String, String)>> {
    let (code, printed) = node(&[&root().join("api/src/proof/proof.js")], &proofs.to_string());
    let steps: Vec<Vec<Value>> = serde_json::from_str(&printed).unwrap();
    let word = |step: &Value, name| step[name].as_str().unwrap().to_owned();
    let of_proof = |steps: &Vec<Value>| steps.iter().map(|s| (word(s, "name"), word(s, "state"))).collect();
    let steps: Vec<Vec<_>> = steps.iter().map(of_proof).collect();
    assert_eq!(code, i32::from(steps.iter().flatten().any(|(_, state)| state == "differs")), "{steps:?}");
    steps
}

/// The names of the steps in this state.
fn named<'a>(steps: &'a [(String, String)], state: &str) -> Vec<&'a str> {
    steps.iter().filter(|(_, s)| s == state).map(|(name, _)| name.as_str()).collect()
}

fn recorded() -> Value {
    let file = include_str!("../../ledger-core/testdata/quicknet-rounds.json");
    let file: Value = serde_json::from_str(file).unwrap();
    file["rounds"].as_array().unwrap().iter().find(|round| round["round"] == ROUND).unwrap().clone()
}

fn round_time() -> Timestamp {
    BeaconSpec::Quicknet { round: ROUND }.appears_at().unwrap()
}

fn terms() -> Terms {
    let table = json!({ "currency": "GBP", "tiers": [
        { "name": "fünfer", "odds_ppb": 400_000_000, "prize": { "fixed": 500 } },
        { "name": "share", "odds_ppb": 300_000_000, "prize": { "share_bps": 500, "max": 50 } },
    ] });
    let terms = json!({
        "campaign_id": "public", "name": "Public", "time_zone": "Europe/London", "eligible_from": "campaign_start",
        "starts_at": "2026-09-01T00:00:00Z", "ends_at": "2026-09-18T00:00:00Z", "prize_table": table,
        "budget": { "minor": 10_000_000, "currency": "GBP" }, "grace_days": 1, "beacon": "drand:quicknet",
    });
    serde_json::from_value(terms).unwrap()
}

/// A folder in which a campaign's day has committed to the recorded round; lines wait, and are
/// drawn if it is opened.
async fn prepare(home: &Home, open: bool) {
    let folder = Folder::create(&home.data()).unwrap();
    let stores = Stores::embedded(&folder, folder.lock("test").unwrap()).await.unwrap();
    let clock = Arc::new(ManualClock::at(round_time().plus_micros(-30 * SECOND_MICROS)));
    let parts = LedgerParts {
        log: stores.log.clone(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        seeds: Arc::new(KeyringSeeds::new(Arc::clone(&stores.keyring))),
    };
    let settings = EngineSettings { open_enrolment: true, ..EngineSettings::default() };
    let (ledger, stopped) = Ledger::start(parts, settings).await.unwrap();
    let campaign = terms().campaign_id;
    let command = async |by, kind| {
        ledger.campaign(campaign.clone(), kind, CommandContext::new(by, "", "")).await.unwrap().unwrap();
    };
    command("alice", CampaignCommandKind::Draft(Box::new(terms()))).await;
    command("bob", CampaignCommandKind::Approve { version: None }).await;
    command("alice", CampaignCommandKind::Start).await;
    clock.set(round_time());
    if open {
        let signature: BeaconSignature = serde_json::from_value(recorded()["signature"].clone()).unwrap();
        let epoch = Epoch::of(round_time());
        command("test", CampaignCommandKind::OpenEpoch { epoch, signature: Some(signature) }).await;
    }
    let intake = Intake::new(ledger.clone(), Arc::clone(&stores.keyring), clock as _, true);
    let rows: Vec<Vec<u8>> = (0..LINES).map(|n| line(n).to_string().into_bytes()).collect();
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let answers = intake.take(&rows, &Sources::All, CommandContext::new("test", "", "")).await.unwrap();
    assert!(answers.iter().all(|answer| answer.outcome.is_ok()), "{:?}", answers[0]);
    drop((intake, ledger));
    stopped.await.unwrap();
}

fn line(n: usize) -> Value {
    let mut row = purchase(&format!("t{n}"), "cus_1");
    row["booked_at"] = round_time().to_string().into();
    row
}

#[test]
fn the_page_computes_the_vectors_of_draw_1() {
    let paths =
        ["tests/data/proof/vectors.js", "api/src/proof/proof.js", "docs/concepts/draw-1.vectors.json"];
    let paths = paths.map(|path| root().join(path));
    let (code, said) = node(&paths.each_ref().map(PathBuf::as_path), "");
    assert_eq!((code, said.as_str()), (0, "checked 24 12\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revealed_draw_with_a_beacon_is_recomputed_and_each_falsification_is_named() {
    let home = Home::new();
    prepare(&home, true).await;
    tokio::task::spawn_blocking(move || check(&home)).await.unwrap();
}

fn check(home: &Home) {
    let service = home.listen(&[("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    service.ready(PATIENCE);
    let proofs = |id: &str| home.run(&["proof", "acme-bank", id]).expect_code(0).json();
    let revealed = eventually("the reveal", PATIENCE, || {
        Some(proofs("t0")).filter(|proofs| !proofs[0]["seed"].is_null())
    });
    // GraphQL says the same, and the whole of its answer can be checked as well.
    let variables = json!({ "source": "acme-bank", "transactionId": "t0" });
    let answer = service.ask(&service.customer("cus_1"), api::proof::QUERY, variables);
    assert_eq!(answer["data"]["drawProof"], revealed);
    assert_eq!(verify(&answer), verify(&revealed));

    let all: Vec<Value> = (0..LINES).map(|n| proofs(&format!("t{n}"))[0].take()).collect();
    for steps in verify(&json!(all)) {
        // The campaign began in the middle of that day.
        assert_eq!((named(&steps, "ok").len(), named(&steps, "late")), (7, vec!["commitment"]), "{steps:?}");
    }
    let mut hidden = all.clone();
    for proof in &mut hidden {
        proof["seed"] = Value::Null;
    }
    for steps in verify(&json!(hidden)) {
        assert_eq!(named(&steps, "waits"), ["commitment", "r"]);
        assert_eq!(named(&steps, "differs"), [""; 0]);
    }
    let won = |tier: Value| all.iter().find(|proof| proof["draw"]["tier"] == tier).unwrap();
    let (fixed, share, lost) = (won("fünfer".into()), won("share".into()), won(Value::Null));
    falsify(fixed, share, lost);

    // The page with a proof in it, as a file and as the service hands it out.
    let file = home.file("proof.html");
    home.run(&["proof", "acme-bank", "t0", "--html", text(&file)]).expect_code(0);
    let (code, shown) =
        node(&[&root().join("tests/data/proof/page.js")], &std::fs::read_to_string(&file).unwrap());
    assert_eq!(code, 0, "{shown}");
    let t0 = &all[0]["draw"];
    let result = match t0["tier"].as_str() {
        Some("fünfer") => "You won £5 (fünfer) in Public.",
        Some(_) => "(share) in Public.",
        None => "You did not win in Public.",
    };
    let of_a_share = "All of it but the amount can be recomputed. The prize is a share of the purchase: its amount can be \
                 recomputed by who knows the purchase.";
    let verdict = if t0["tier"] == "share" { of_a_share } else { "All of it can be recomputed." };
    let verdict = format!("{verdict} Its seed was committed to after the day had begun.");
    for words in [
        result,
        &verdict,
        "17 September 2026",
        "t0 of acme-bank",
        "after the day had begun: purchases made earlier that day were known by then, the public randomness was not.",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("as promised") && !shown.contains("before the day began"), "{shown}");
    let page = api::proof::page(Some(&json!([share])));
    let (_, shown) = node(&[&root().join("tests/data/proof/page.js")], &page);
    assert!(shown.contains("All of it but the amount can be recomputed. The prize is a share"), "{shown}");
    let mut early = revealed.clone();
    early[0]["committedAt"] = "2026-09-16T23:59:59.999999Z".into();
    let page = api::proof::page(Some(&early));
    let (_, shown) = node(&[&root().join("tests/data/proof/page.js")], &page);
    assert!(shown.contains("as promised") && shown.contains("before the day began"), "{shown}");
    assert_eq!(named(&verify(&early)[0], "ok").len(), 8);
    early[0]["committedAt"] = early[0]["opensAt"].clone();
    assert_eq!(named(&verify(&early)[0], "late"), ["commitment"]);
    let served = reqwest::blocking::get(format!("{}/proof", service.url())).unwrap();
    let policy = served.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = served.text().unwrap();
    assert_eq!(home.run(&["proof", "--page"]).expect_code(0).stdout, page);
    home.run(&["proof", "acme-bank", "nobody"]).expect_code(1);
    home.run(&["proof", "acme-bank"]).expect_code(2);
    service.stop();
}

fn falsify(fixed: &Value, share: &Value, lost: &Value) {
    let flip = |value: &Value| {
        let text = value.as_str().unwrap();
        let other = if text.starts_with('0') { "1" } else { "0" };
        json!(format!("{other}{}", &text[1..]))
    };
    let seed = flip(&fixed["seed"]);
    let commitment = flip(&fixed["commitment"]);
    let r = fixed["draw"]["r"].as_u64().unwrap();
    let cases: [(&Value, &str, Value, &[&str]); 17] = [
        (fixed, "/draw/r", json!((r + 1) % 1_000_000_000), &["r"]),
        (fixed, "/draw/tier", json!("share"), &["tier", "amount"]),
        (fixed, "/draw/tier", Value::Null, &["tier", "amount"]),
        (lost, "/draw/tier", json!("fünfer"), &["tier", "amount"]),
        (fixed, "/tierMask", json!("1"), &["tier"]),
        (fixed, "/tierMask", json!("4"), &["tier"]),
        (fixed, "/prizeTable/tiers/0/odds_ppb", json!(400_000_001), &["table"]),
        (fixed, "/tableHash", flip(&fixed["tableHash"]), &["table", "commitment"]),
        (fixed, "/seed", seed, &["commitment", "r"]),
        (fixed, "/commitment", commitment, &["commitment"]),
        (fixed, "/draw/amount/minor", json!("501"), &["amount"]),
        (share, "/draw/amount/minor", json!("51"), &["amount"]),
        (fixed, "/draw/amount/currency", json!("EUR"), &["amount"]),
        (fixed, "/beaconSignature", flip(&fixed["beaconSignature"]), &["beacon"]),
        (fixed, "/beacon", flip(&fixed["beacon"]), &["beacon", "r"]),
        (fixed, "/transactionId", json!("t999"), &["entry"]),
        (fixed, "/rejections", json!(1), &["r"]),
    ];
    let falsified = cases.iter().map(|(proof, field, value, _)| {
        let mut proof = (*proof).clone();
        let place = proof.pointer_mut(field).unwrap();
        assert_ne!(place, value, "{field}");
        *place = value.clone();
        proof
    });
    let falsified: Vec<Value> = falsified.collect();
    for (steps, (_, field, _, expected)) in verify(&json!(falsified)).iter().zip(&cases) {
        assert_eq!(named(steps, "differs"), *expected, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_asks_the_servers_it_is_told_and_opens_the_day() {
    let home = Home::new();
    prepare(&home, false).await;
    let drand = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let urls = format!("http://127.0.0.1:1,http://{}", drand.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = drand.accept().unwrap();
        let mut request = vec![0; 4_096];
        let length = stream.read(&mut request).unwrap();
        let body = recorded().to_string();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned()
    });
    tokio::task::spawn_blocking(move || {
        let service = home.listen(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_BEACON_URLS", &urls)]);
        service.ready(PATIENCE);
        let query = "{ eventHistory(campaignId: \"public\", first: 100) { nodes { type payload } } }";
        let opened = eventually("the opening", PATIENCE, || {
            let history = service.graphql(&service.auditor(), query, json!({}));
            let nodes = history["eventHistory"]["nodes"].as_array().unwrap().clone();
            nodes.into_iter().find(|event| event["type"] == "EpochOpened")
        });
        let opened = &opened["payload"]["EpochOpened"];
        assert_eq!(opened["beacon_signature"], recorded()["signature"]);
        assert_eq!(opened["beacon"], recorded()["randomness"]);
        service.stop();
    })
    .await
    .unwrap();
    assert_eq!(asked.join().unwrap(), format!("GET /{QUICKNET_CHAIN}/public/{ROUND} HTTP/1.1"));
}

/// Every ledger's first day is one of these, and no sandbox has a beacon.
#[test]
fn a_late_commitment_and_a_draw_without_public_randomness_are_called_so() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 123_456, 1_000_000));
    let service = home.serve();
    service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    service.settled(PATIENCE);
    let variables = json!({ "source": "acme-bank", "transactionId": "t1" });
    let answer = service.graphql(&service.customer("cus_1"), api::proof::QUERY, variables);
    let proof = &answer["drawProof"][0];
    let day = proof["draw"]["epoch"].as_str().unwrap().to_owned();
    assert_eq!(proof["opensAt"], format!("{day}T00:00:00Z"));
    assert!(proof["committedAt"].as_str() > proof["opensAt"].as_str(), "{proof}");
    let committed = "{ campaign(campaignId: \"sure\") { epochs { nodes { epoch commitment committedAt revealsAt } } } \
                     eventHistory(campaignId: \"sure\", first: 100) { nodes { position type recordedAt payload } } }";
    let committed = service.graphql(&service.auditor(), committed, json!({}));
    let nodes = |of: &Value| of["nodes"].as_array().unwrap().clone();
    let epochs = nodes(&committed["campaign"]["epochs"]);
    let epoch = epochs.iter().find(|epoch| epoch["epoch"] == day).unwrap();
    for field in ["commitment", "committedAt", "revealsAt"] {
        assert_eq!(epoch[field], proof[field], "{field}");
    }
    let events = nodes(&committed["eventHistory"]);
    let event = events.iter().find(|event| event["position"] == proof["commitmentPosition"]).unwrap();
    assert_eq!((&event["type"], &event["recordedAt"]), (&json!("EpochScheduled"), &proof["committedAt"]));
    assert_eq!(event["payload"]["EpochScheduled"]["commitment"], proof["commitment"]);

    let steps = &verify(&answer["drawProof"])[0];
    assert_eq!((named(steps, "unused"), named(steps, "waits")), (vec!["beacon"], vec!["commitment", "r"]));
    let page = api::proof::page(Some(&answer["drawProof"]));
    let (_, shown) = node(&[&root().join("tests/data/proof/page.js")], &page);
    for words in [
        "You won £1,234.56 (prize) in Of the tests.",
        "This campaign uses no public randomness: only the operator knew the seed.",
        "Its seed was committed to after the day had begun.",
        "This waits for the reveal of the day's seed, from ",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    for words in ["as promised", "before the day began", "the beacon the day was committed to"] {
        assert!(!shown.contains(words), "{words}: {shown}");
    }
    service.stop();
}
