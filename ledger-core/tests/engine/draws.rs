//! The draw audit finds what was changed in a draw behind the ledger's back, also under a hash
//! chain made to fit.

use std::sync::Arc;

use audit::draws::{DrawAudit, Finding, OpenedLine, Report, Seeds};
use ledger_core::account::AccountEvent;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::draw::{Draw, PrizeTable};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::keys::Keys;
use ledger_core::log::StoredEvent;
use ledger_core::steps::reveal::Reveal;
use serde_json::{Value, json};
use stores::steps::StepTables;
use support::SimulatedLog;

use crate::check::sound;
use crate::tampering::{first, rehash};
use crate::world::{World, at, campaign_id, gbp, row, rows, terms, with};

/// Two days of draws, the first revealed: all prizes, masks when the budget runs out, funding, a
/// reversal.
pub(crate) struct History {
    pub(crate) world: World,
    pub(crate) events: Vec<StoredEvent>,
    keys: Keys,
}

pub(crate) async fn history() -> History {
    let world = World::seeded(5);
    let log = SimulatedLog::new();
    let node = world.start(Arc::new(log.reopen())).await;
    node.run(terms(|terms| terms["budget"]["minor"] = json!(6_000))).await;
    for chunk in rows(0..120).chunks(7) {
        node.take(chunk).await;
    }
    node.take(&rows(0..120).iter().map(|row| with(row, "status", "removed")).collect::<Vec<_>>()).await;
    node.campaign(&campaign_id(), CampaignCommandKind::Fund { amount: gbp(9_000), reference: "more".into() })
        .await;
    world.clock.set(at("2026-11-23T08:00:00Z"));
    let today = |n| with(&row(&format!("day-{n}"), "anna"), "booked_at", "2026-11-23T07:00:00Z");
    node.take(&(0..60).map(today).collect::<Vec<_>>()).await;
    world.clock.set(at("2026-11-25T00:00:00Z"));
    let log: Arc<dyn ledger_core::log::EventLog> = Arc::new(log.reopen());
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    assert_eq!(reveal.settle().await.unwrap(), 1);
    let events = log.read_after(ledger_core::log::Position(0), 10_000).await.unwrap();
    sound(&events, &*world.seeds);
    let keys = OpenedLine::keys(&world.keyring, &events).await.unwrap();
    History { world, events, keys }
}

impl History {
    pub(crate) fn audit(&self, events: &[StoredEvent], open_seeds: bool, disclose: bool) -> Report {
        let mut seeds = Seeds::default();
        for stored in events {
            seeds.take(stored);
        }
        if open_seeds {
            seeds.open(&*self.world.seeds).unwrap();
        }
        let mut audit = DrawAudit::new(seeds);
        if disclose {
            audit.disclose(self.keys.clone());
        }
        for stored in events {
            audit.take(stored);
        }
        audit.finish()
    }

    /// Changes the payload of event `n`, makes the chain fit, and gives what the audit finds.
    pub(crate) fn tampered(&self, n: usize, change: impl FnOnce(&mut Value)) -> Report {
        let mut events = self.events.clone();
        edit(&mut events[n], change);
        rehash(&mut events);
        self.audit(&events, false, false)
    }

    /// The first decided line of the revealed day whose draw is like this.
    fn draw(&self, like: impl Fn(&Draw) -> bool) -> (usize, Draw) {
        let found = self.events.iter().enumerate().find_map(|(n, stored)| match decode(stored).unwrap() {
            LedgerEvent::Account(AccountEvent::TransactionEvaluated { mut draws, .. }) => {
                let draw = draws.pop()?;
                (draw.epoch.to_string() == "2026-11-22" && like(&draw)).then_some((n, draw))
            }
            _ => None,
        });
        found.expect("the history has such a draw")
    }
}

pub(crate) fn edit(stored: &mut StoredEvent, change: impl FnOnce(&mut Value)) {
    let before = stored.payload.clone();
    let mut payload: Value = serde_json::from_slice(&before).unwrap();
    change(&mut payload);
    stored.payload = serde_json::to_vec(&payload).unwrap();
    assert_ne!(payload, serde_json::from_slice::<Value>(&before).unwrap(), "nothing was changed");
}

fn of_draw(payload: &mut Value) -> &mut Value {
    &mut payload["TransactionEvaluated"]["draws"][0]
}

/// That this check failed for this draw at this event.
fn named(report: &Report, n: usize, draw: &Draw, check: &str) -> Finding {
    let place = format!("0:{}", n + 1);
    let found = report
        .findings
        .iter()
        .find(|f| f.check == check && f.position == place && f.entry_id == Some(draw.entry_id));
    found.unwrap_or_else(|| panic!("{check} at {place} is not in {:#?}", report.findings)).clone()
}

pub(crate) fn checks(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.check).collect()
}

#[tokio::test(start_paused = true)]
async fn an_honest_log_holds_and_tells_how_far_it_was_derived_again() {
    let history = history().await;
    let report = history.audit(&history.events, false, false);
    assert_eq!((report.holds, report.complete, checks(&report)), (true, false, vec![]));
    let counts = report.counts;
    assert_eq!((counts.draws, counts.rederived, counts.waiting_for_reveal), (180, 120, 60));
    assert!(counts.shares_bounded > 0 && counts.shares_checked == 0);
    let summary = &report.campaigns[&campaign_id()];
    assert!(summary.returned_minor > 0 && summary.funded_minor == 15_000, "{summary:?}");

    let report = history.audit(&history.events, true, true);
    assert!(report.holds && report.complete, "{:#?}", report.findings);
    assert_eq!((report.counts.rederived, report.counts.waiting_for_reveal), (180, 0));
    assert!(report.counts.shares_checked > 0 && report.counts.shares_bounded == 0);
}

#[tokio::test(start_paused = true)]
async fn each_changed_field_of_a_draw_is_named_under_a_chain_made_to_fit() {
    let history = history().await;

    let (n, lost) = history.draw(|draw| draw.tier.is_none() && draw.tier_mask == 0);
    let report = history.tampered(n, |event| of_draw(event)["r"] = json!(lost.r + 1));
    let finding = named(&report, n, &lost, "r");
    assert_eq!((finding.expected, finding.found), (lost.r.to_string(), (lost.r + 1).to_string()));
    assert_eq!(checks(&report), ["r"], "the field that was changed and no other");

    let report = history.tampered(n, |event| of_draw(event)["rejections"] = json!(1));
    named(&report, n, &lost, "rejections");
    let report = history.tampered(n, |event| of_draw(event)["tier_mask"] = json!(1));
    named(&report, n, &lost, "tier_mask");
    let report =
        history.tampered(n, |event| of_draw(event)["budget_left_minor"] = json!(lost.budget_left_minor - 1));
    named(&report, n, &lost, "budget_left_minor");
    let report = history.tampered(n, |event| of_draw(event)["epoch"] = json!("2026-11-23"));
    named(&report, n, &lost, "epoch");
    let report = history.tampered(n, |event| of_draw(event)["day"] = json!("2026-11-23"));
    named(&report, n, &lost, "day");
    let report = history.tampered(n, |event| of_draw(event)["campaign_version"] = json!(2));
    named(&report, n, &lost, "campaign_version");
    let report = history.tampered(n, |event| of_draw(event)["table_hash"] = json!("00".repeat(32)));
    named(&report, n, &lost, "table_hash");
    // Another line's name: the id no longer fits the line, and its number no longer the id.
    let report =
        history.tampered(n, |event| event["TransactionEvaluated"]["line"]["transaction_id"] = json!("tx-x"));
    named(&report, n, &lost, "entry_id");

    let (n, won) = history.draw(|draw| draw.tier == Some(0));
    let report = history.tampered(n, |event| of_draw(event)["amount"]["minor"] = json!(701));
    assert_eq!(named(&report, n, &won, "amount").expected, "GBP 7.00");
    let report = history.tampered(n, |event| of_draw(event)["tier"] = json!(1));
    named(&report, n, &won, "tier");
    let report = history.tampered(n, |event| {
        of_draw(event).as_object_mut().unwrap().retain(|field, _| field != "tier" && field != "amount");
        event["TransactionEvaluated"]["outcome"] = json!("lost");
    });
    assert_eq!(named(&report, n, &won, "tier").found, "none");
}

#[tokio::test(start_paused = true)]
async fn a_masked_prize_that_is_paid_all_the_same_is_found() {
    let history = history().await;
    let (n, masked) =
        history.draw(|draw| draw.tier.is_none() && draw.r < 100_000_000 && draw.tier_mask & 1 != 0);
    let report = history.tampered(n, |event| {
        let draw = of_draw(event);
        (draw["tier_mask"], draw["tier"]) = (json!(0), json!(0));
        draw["amount"] = json!({ "minor": 700, "currency": "GBP" });
        event["TransactionEvaluated"]["outcome"] = json!("won");
    });
    named(&report, n, &masked, "tier_mask");
    named(&report, n, &masked, "tier");
    named(&report, n, &masked, "budget");
}

#[tokio::test(start_paused = true)]
async fn other_odds_break_the_table_hash_or_the_commitment() {
    let history = history().await;
    let n = first(&history.events, "EpochScheduled");
    let dearer = |event: &mut Value| {
        event["EpochScheduled"]["prize_table"]["tiers"][0]["odds_ppb"] = json!(99_999_999);
    };
    let report = history.tampered(n, dearer);
    assert!(report.findings.iter().any(|f| f.check == "table_hash" && f.position == format!("0:{}", n + 1)));

    // The hash made to fit everywhere, also in the terms and in every draw: the commitment still
    // stands against it.
    let mut events = history.events.clone();
    let mut payload: Value = serde_json::from_slice(&events[n].payload).unwrap();
    let honest = payload["EpochScheduled"]["table_hash"].as_str().unwrap().to_owned();
    dearer(&mut payload);
    let table: PrizeTable = serde_json::from_value(payload["EpochScheduled"]["prize_table"].clone()).unwrap();
    for stored in &mut events {
        let text = String::from_utf8(stored.payload.clone()).unwrap();
        let text = text.replace(&honest, &table.hash().to_string());
        stored.payload = text.replace("\"odds_ppb\":100000000", "\"odds_ppb\":99999999").into_bytes();
    }
    rehash(&mut events);
    let report = history.audit(&events, false, false);
    assert_eq!(checks(&report), ["commitment"], "{:#?}", report.findings);
    assert_eq!(report.findings[0].position, format!("0:{}", n + 1));
}

#[tokio::test(start_paused = true)]
async fn a_draw_left_out_and_one_drawn_twice_are_found() {
    let history = history().await;
    let (n, lost) = history.draw(|draw| draw.tier.is_none());
    let mut events = history.events.clone();
    events.remove(n);
    rehash(&mut events);
    let report = history.audit(&events, false, false);
    let closed = first(&events, "EpochClosed");
    for (check, expected, found) in [("epoch_draws", Some("119"), Some("120")), ("epoch_root", None, None)] {
        let finding = report.findings.iter().find(|f| f.check == check).unwrap();
        assert_eq!(finding.position, format!("0:{}", closed + 1));
        assert!(expected.is_none_or(|e| finding.expected == e) && found.is_none_or(|f| finding.found == f));
    }

    let mut events = history.events.clone();
    let mut again = events[n].clone();
    again.transaction_key = None;
    events.insert(n + 1, again);
    rehash(&mut events);
    let report = history.audit(&events, false, false);
    named(&report, n + 1, &lost, "drawn_once");

    // Declined without a reason instead of drawn.
    let report = history.tampered(n, |event| {
        let evaluated = event["TransactionEvaluated"].as_object_mut().unwrap();
        evaluated.remove("draws");
        evaluated["outcome"] = json!("declined");
    });
    named(&report, n, &lost, "drawn");
}

#[tokio::test(start_paused = true)]
async fn the_books_of_budget_and_epoch_are_derived_too() {
    let history = history().await;
    let changes: [(&str, &str, &str); 7] = [
        ("BudgetFunded", "/BudgetFunded/amount/minor", "funded_minor"),
        ("BudgetSpent", "/BudgetSpent/spent_minor", "spent_minor"),
        ("EpochOpened", "/EpochOpened/budget_cap_minor", "budget_cap_minor"),
        ("EpochClosed", "/EpochClosed/draws", "epoch_draws"),
        ("EpochClosed", "/EpochClosed/wins/1", "epoch_wins"),
        ("EpochClosed", "/EpochClosed/paid_minor", "epoch_paid_minor"),
        ("RewardIssued", "/RewardIssued/amount/minor", "amount"),
    ];
    for (event_type, field, check) in changes {
        let n = first(&history.events, event_type);
        let report = history.tampered(n, |event| {
            let value = event.pointer_mut(field).unwrap();
            *value = json!(value.as_i64().unwrap() + 1);
        });
        let place = format!("0:{}", n + 1);
        assert!(
            report.findings.iter().any(|f| f.check == check && f.position == place),
            "{field}: {check} at {place} is not in {:#?}",
            report.findings
        );
    }
    let n = first(&history.events, "EpochRevealed");
    let report = history.tampered(n, |event| event["EpochRevealed"]["seed"] = json!("07".repeat(32)));
    assert!(checks(&report).contains(&"commitment"));
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_was_won_and_is_paid_once() {
    let history = history().await;
    let n = first(&history.events, "RewardIssued");
    let mut events = history.events.clone();
    events.insert(n + 1, events[n].clone());
    rehash(&mut events);
    let report = history.audit(&events, false, false);
    assert_eq!(
        (checks(&report), report.findings[0].position.clone()),
        (vec!["issued_once"], format!("0:{}", n + 2))
    );

    // A loser's reward, complete with its posting.
    let (_, lost) = history.draw(|draw| draw.tier.is_none());
    let report = history.tampered(n, |event| event["RewardIssued"]["entry_id"] = json!(lost.entry_id));
    assert_eq!(named(&report, n, &lost, "won").found, "RewardIssued");
}

#[tokio::test(start_paused = true)]
async fn a_day_not_yet_revealed_is_checked_with_its_seed_opened() {
    let history = history().await;
    let n = history.events.iter().rposition(|e| &*e.event_type == "TransactionEvaluated").unwrap();
    let mut events = history.events.clone();
    // A number of the same tier: only the seed can tell.
    edit(&mut events[n], |event| {
        let r = of_draw(event)["r"].as_u64().unwrap();
        of_draw(event)["r"] = json!(if r == 999_999_999 { r - 1 } else { r + 1 });
    });
    rehash(&mut events);
    assert!(history.audit(&events, false, false).holds, "it waits for its reveal");
    let report = history.audit(&events, true, false);
    assert!(checks(&report).contains(&"r") && report.findings[0].position == format!("0:{}", n + 1));
}

#[tokio::test(start_paused = true)]
async fn a_share_is_checked_against_disclosed_details() {
    let history = history().await;
    let (n, share) = history.draw(|draw| draw.tier == Some(2));
    // 5 % of 12.50 is 62, at most 50: pay 49.
    assert_eq!(share.amount, Some(gbp(50)));
    let mut events = history.events.clone();
    edit(&mut events[n], |event| of_draw(event)["amount"]["minor"] = json!(49));
    rehash(&mut events);
    named(&history.audit(&events, false, true), n, &share, "amount");
    edit(&mut events[n], |event| of_draw(event)["amount"]["minor"] = json!(51));
    rehash(&mut events);
    named(&history.audit(&events, false, false), n, &share, "amount");
}
