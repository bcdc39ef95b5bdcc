//! Writes a golden log: a history with every kind of event, as the release at hand records it.
//! Later builds read it (`tests/it/golden.rs`). To add one for a release, run at that release:
//!
//! `GOLDEN=DIR cargo test -p ledger-core --all-features --test engine golden -- --ignored`

use std::path::Path;
use std::sync::Arc;

use ledger_core::account::CommandKind;
use ledger_core::account::event::{Exclusion, Verdict};
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::engine::{CommandContext, EngineSettings};
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::log::{EventLog, Position, StoredEvent};
use ledger_core::money::{Currency, Money};
use ledger_core::steps::reveal::Reveal;
use ledger_core::system::{ParkedAction, Switch, SystemCommandKind};
use serde_json::{Value, json};
use stores::sqlite::log::{SqliteLog, SqliteOptions};
use stores::steps::StepTables;

use crate::check::wins;
use crate::world::{Node, World, at, context, row, terms, with};

const CURRENCIES: [&str; 5] = ["JPY", "KWD", "CLF", "XCG", "ZWG"];

#[tokio::test(start_paused = true)]
#[ignore = "writes files; run by hand at a release"]
async fn a_golden_log_is_written() {
    let folder = std::env::var("GOLDEN").unwrap();
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let world = World::new();
    world.clock.set(at("2026-11-21T12:00:00Z"));
    let path = world.folder.path().join("log.db");
    let store = Arc::new(SqliteLog::open(&path, &SqliteOptions::default()).unwrap());
    let log: Arc<dyn EventLog> = Arc::clone(&store) as _;
    let node =
        world.start_with(store, EngineSettings { snapshot_every: 20, ..EngineSettings::default() }).await;
    campaigns(&node).await;
    lines(&node).await;
    rewards(&node, &*log).await;
    reviews(&node).await;
    days(&world, &node, &log).await;
    system(&node).await;
    node.stop().await;
    write(folder, &path, &events(&*log).await);
}

async fn events(log: &dyn EventLog) -> Vec<StoredEvent> {
    log.read_after(Position(0), 100_000).await.unwrap()
}

fn id(text: &str) -> CampaignId {
    text.parse().unwrap()
}

async fn campaigns(node: &Node) {
    let every = |change: fn(&mut Value)| {
        terms(|terms| {
            terms["prize_table"]["tiers"][0]["odds_ppb"] = json!(400_000_000);
            change(terms);
        })
    };
    // Everything that people do with a campaign.
    let first = every(|terms| terms["campaign_id"] = "staged".into());
    let staged = id("staged");
    let as_by = |by, kind| node.campaign_by(by, &staged, kind);
    as_by("alice", CampaignCommandKind::Draft(Box::new(first.clone()))).await.unwrap();
    let second = every(|terms| {
        terms["campaign_id"] = "staged".into();
        terms["funding_limit_minor"] = json!(1_000);
        terms["stackable"] = json!(true);
        terms["inventory"] = json!({ "big": 1 });
        terms["rules"] = json!([
            { "code": "no_casino", "customer": "Not here.", "mcc_denied": ["7995", "7800-7802"] },
            { "code": "home", "countries_allowed": ["GB"], "missing": "pass" },
            { "code": "small", "cel": "amount_minor < 1000000 && mcc != '4829'" },
        ]);
    });
    as_by("alice", CampaignCommandKind::Revise(Box::new(second))).await.unwrap();
    as_by("bob", CampaignCommandKind::Approve { version: Some(2) }).await.unwrap();
    as_by("bob", CampaignCommandKind::Schedule { start_at: at("2026-12-01T00:00:00Z") }).await.unwrap();
    as_by("alice", CampaignCommandKind::Start).await.unwrap();
    as_by("alice", CampaignCommandKind::Pause { reason: "lunch".into() }).await.unwrap();
    as_by("alice", CampaignCommandKind::Resume).await.unwrap();
    let gbp = Money::new(5_000, Currency::from_code("GBP").unwrap()).unwrap();
    let fund = CampaignCommandKind::Fund { amount: gbp, reference: "more".into() };
    as_by("alice", fund).await.unwrap();
    as_by("bob", CampaignCommandKind::ApproveFunding { reference: "more".into() }).await.unwrap();
    // One that runs out, and one for each odd currency.
    node.run(every(|terms| {
        terms["campaign_id"] = "short".into();
        terms["precedence"] = json!(-1);
        terms["budget"]["minor"] = json!(3_000);
    }))
    .await;
    node.run(every(|_| {})).await;
    for currency in CURRENCIES {
        node.run(terms(|terms| {
            terms["campaign_id"] = format!("in {currency} é/{}", currency.len()).into();
            terms["time_zone"] = "Asia/Kolkata".into();
            terms["prize_table"]["currency"] = currency.into();
            terms["budget"]["currency"] = currency.into();
        }))
        .await;
    }
}

/// Today's booking time, which the clock has reached.
fn today(id: &str, account: &str) -> Value {
    with(&row(id, account), "booked_at", "2026-11-21T11:00:00Z")
}

async fn lines(node: &Node) {
    for n in 0..24 {
        node.one(&today(&format!("tx-{n}"), &format!("cus-{}", n % 4))).await.unwrap();
    }
    for (n, id) in ["TX/3 é", "日本語", "..", "a b", &"x".repeat(128), "%2F?#", "नमस्ते"].iter().enumerate()
    {
        let currency = CURRENCIES[n % CURRENCIES.len()];
        let line = with(&today(id, "cüs/1 ✓"), "amount", json!({ "minor": "1250", "currency": currency }));
        node.one(&line).await.unwrap();
    }
    // What lacks a merchant, a refund, a credit, a casino: declined, each by its code.
    node.one(&with(&today("no merchant", "cus-1"), "merchant", Value::Null)).await.unwrap();
    node.one(&with(&today("refund", "cus-1"), "refund_of", "tx-1")).await.unwrap();
    let credit = with(&today("credit", "cus-1"), "direction", "credit");
    node.one(&with(&credit, "to_account", "DE89370400440532013000")).await.unwrap();
    node.one(&with(&today("casino", "cus-2"), "merchant", json!({ "id": "c", "mcc": "7995" })))
        .await
        .unwrap();
    // Pending, booked under another name, removed, booked again; one name beside another.
    node.one(&with(&today("p-1", "cus-1"), "status", "pending")).await.unwrap();
    node.one(&with(&today("b-1", "cus-1"), "pending_transaction_id", "p-1")).await.unwrap();
    node.one(&with(&today("p-1", "cus-1"), "status", "removed")).await.unwrap();
    node.one(&with(&today("other", "cus-0"), "pending_transaction_id", "tx-0")).await.unwrap();
    node.one(&with(&today("other", "cus-0"), "status", "removed")).await.unwrap();
    node.one(&today("tx-0", "cus-0")).await.unwrap();
    node.one(&with(&today("tx-5", "cus-1"), "status", "removed")).await.unwrap();
    node.one(&with(&today("p-2", "cus-1"), "status", "pending")).await.unwrap();
    node.one(&with(&today("p-2", "cus-1"), "status", "removed")).await.unwrap();
    node.one(&today("p-2", "cus-1")).await.unwrap();
    node.one(&with(&today("unseen", "cus-1"), "status", "removed")).await.unwrap();
    node.one(&today("unseen", "cus-1")).await.unwrap();
    node.one(&with(&today("tx-4", "carla"), "account_id", "carla")).await.unwrap();
    // The bank gives no time; booked ahead, with and without one: waits for its day.
    node.one(&with(&today("date", "cus-1"), "booked_at", "2026-11-21")).await.unwrap();
    node.one(&with(&today("date ahead", "cus-1"), "booked_at", "2026-11-22")).await.unwrap();
    node.one(&with(&today("ahead", "cus-2"), "booked_at", "2026-11-22T09:00:00Z")).await.unwrap();
    let account =
        |id: &str, kind| node.ledger.account(id.parse().unwrap(), kind, CommandContext::new("alice", "", ""));
    let reason = || "asked for".to_owned();
    node.intake.make_keys(vec!["excluded".parse().unwrap()]).await.unwrap();
    account("excluded", CommandKind::Open).await.unwrap().unwrap();
    for kind in [Exclusion::SelfExcluded, Exclusion::Staff] {
        account("excluded", CommandKind::Exclude { kind, reason: reason() }).await.unwrap().unwrap();
    }
    node.one(&today("kept out", "excluded")).await.unwrap();
    account("excluded", CommandKind::Reinstate { reason: reason() }).await.unwrap().unwrap();
    account("excluded", CommandKind::Close { reason: reason() }).await.unwrap().unwrap();
}

/// Every way that a win may go.
async fn rewards(node: &Node, log: &dyn EventLog) {
    let all = events(log).await;
    let won = all.iter().flat_map(|stored| {
        let account: AccountId = stored.stream.id.parse().unwrap();
        wins(std::slice::from_ref(stored)).into_keys().map(move |entry| (account.clone(), entry))
    });
    for (n, (account, entry_id)) in won.enumerate() {
        let reference = format!("pay {n}/é").parse().unwrap();
        let paid = |attempt| CommandKind::ConfirmCredit { entry_id, attempt, payout_reference: reference };
        let refused = CommandKind::FailCredit { entry_id, attempt: 1, reason: "closed".into() };
        let back = || CommandKind::ReverseReward { entry_id, reason: "an error".into() };
        let request = || CommandKind::RequestCredit { entry_id };
        let issued = [CommandKind::IssueReward { entry_id }, CommandKind::RecordNotification { entry_id }];
        let then = match n % 6 {
            0 => vec![request(), paid(1)],
            1 => vec![request(), refused, request(), paid(2)],
            2 => vec![request(), refused],
            3 => vec![request(), back(), paid(1)],
            4 => vec![request(), paid(1), back()],
            _ => vec![],
        };
        for kind in issued.into_iter().chain(then) {
            // One that the bank took back is settled already.
            let _ = node.ledger.account(account.clone(), kind, context()).await.unwrap();
        }
    }
}

async fn reviews(node: &Node) {
    node.review(&today("p-2", "cus-1"), Verdict::Released).await.unwrap();
    node.review(&today("unseen", "cus-1"), Verdict::Dismissed).await.unwrap();
    let line = today("tx-0", "cus-0");
    let dismiss = CommandKind::Review {
        source: "bank".parse().unwrap(),
        transaction_id: "tx-0".parse().unwrap(),
        verdict: Verdict::Dismissed,
        reason: "looked at".into(),
    };
    let account = line["account_id"].as_str().unwrap().parse().unwrap();
    node.ledger.account(account, dismiss, CommandContext::new("alice", "", "")).await.unwrap().unwrap();
}

/// A day halted and resumed, one halted for good, days closed and revealed, a campaign at its end.
async fn days(world: &World, node: &Node, log: &Arc<dyn EventLog>) {
    let everyday = id("everyday");
    let epoch = || "2026-11-21".parse().unwrap();
    let halt = || CampaignCommandKind::HaltEpoch { epoch: epoch(), reason: "odd".into() };
    node.campaign_by("alice", &everyday, halt()).await.unwrap();
    node.one(&today("while halted", "cus-3")).await.unwrap();
    for by in ["alice", "bob"] {
        let resume = CampaignCommandKind::ResumeEpoch { epoch: epoch(), reason: "checked".into() };
        node.campaign_by(by, &everyday, resume).await.unwrap();
    }
    node.campaign_by("alice", &id("staged"), halt()).await.unwrap();
    node.campaign_by("alice", &id("short"), CampaignCommandKind::End).await.unwrap();
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    for day in ["2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z", "2026-11-25T12:00:00Z"] {
        world.clock.set(at(day));
        node.ledger.tick().await.unwrap();
        node.one(&with(&row(&format!("on {day}"), "cus-1"), "booked_at", day)).await.unwrap();
        reveal.settle().await.unwrap();
    }
}

/// What people do to the ledger as a whole.
async fn system(node: &Node) {
    let reason = || "looked at".to_owned();
    let parked = |action| SystemCommandKind::ResolveParked {
        item: "item-1".into(),
        step: "credit".into(),
        action,
        attempt: Some(1),
        reason: reason(),
    };
    for (by, kind) in [
        ("alice", parked(ParkedAction::Drop)),
        ("bob", parked(ParkedAction::Drop)),
        ("alice", parked(ParkedAction::Retry)),
        ("alice", SystemCommandKind::RecordRestore { reason: reason(), from_position: Some(7), head: None }),
        (
            "alice",
            SystemCommandKind::AcceptClock { reason: reason(), clock_at: Some(at("2026-11-25T12:00:00Z")) },
        ),
        ("alice", SystemCommandKind::SetSwitch { what: Switch::Draws, halted: true, reason: reason() }),
        ("alice", SystemCommandKind::SetSwitch { what: Switch::Draws, halted: false, reason: reason() }),
    ] {
        node.ledger.system(kind, CommandContext::new(by, "", "")).await.unwrap().unwrap();
    }
}

/// The log as SQLite has it, and as lines of JSON for any store. No key: nothing sealed is opened
/// again.
fn write(folder: &Path, log: &Path, events: &[StoredEvent]) {
    let to = folder.join("log.db");
    let copy = rusqlite::Connection::open(log).unwrap();
    copy.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
    let lines: Vec<String> = events.iter().map(line).collect();
    std::fs::write(folder.join("log.jsonl"), lines.join("\n") + "\n").unwrap();
}

fn line(stored: &StoredEvent) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    json!({
        "position": stored.position.0, "stream_type": stored.stream.stream_type.as_str(), "stream_id": stored.stream.id,
        "sequence": stored.sequence, "event_type": stored.event_type, "event_version": stored.event_version,
        "payload": text(&stored.payload), "metadata": text(&stored.metadata),
        "recorded_at": stored.recorded_at.micros(), "transaction_key": stored.transaction_key,
        "hash": hex::encode(stored.hash.0),
    })
    .to_string()
}
