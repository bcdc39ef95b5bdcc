//! The histories that are audited.

use adapters::sandbox::bank::Mix;
use ledger_core::account::CommandKind;
use ledger_core::account::event::Exclusion;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::money::{Currency, Money};
use ledger_core::time::{DAY_MICROS, Epoch, Timestamp};
use rewardhub_tests::Home;
use serde_json::{Value, json};

use super::world::{FIRST_DAY, MINUTE_MICROS, World};

const LINES_A_DAY: usize = 2_000;

/// Three days under the short form of rules: all prizes, masks when the budget runs out, lines
/// taken back, two days revealed.
pub(crate) async fn three_days(home: &Home) {
    let mix = Mix { removed_ppm: 10_000, refund_ppm: 20_000, ..Mix::default() };
    let mut world = World::open(home, FIRST_DAY.plus_micros(MINUTE_MICROS), 40, mix).await;
    world
        .start(json!({
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
        }))
        .await;
    for day in 0..3 {
        let noon = FIRST_DAY.plus_micros(day * DAY_MICROS + 12 * 60 * MINUTE_MICROS);
        world.clock.set(noon);
        if day == 2 {
            let pause = CampaignCommandKind::Pause { reason: "a storm".into() };
            world.ask("operator:anna", "everyday", pause).await;
        }
        world.lines(LINES_A_DAY, noon, noon).await;
    }
    assert_eq!(world.settle().await, 2);
    world.close().await;
}

/// Four days, Friday to Monday, of a campaign that takes a line for itself and of one that is
/// stackable, all of them revealed: named rules of every kind, a budget that runs out and is funded
/// again, inventories that sell out, a revision, a halt with and one without resumption, lines
/// booked ahead, exclusion, pause and end.
///
/// With a third one, lines that the first does not admit are also asked of that.
pub(crate) async fn two_campaigns(home: &Home, lines_a_day: usize, third: bool) {
    let mix = Mix { repeat_ppm: 5_000, pending_ppm: 10_000, malformed_ppm: 500, ..Mix::default() };
    let customers = u32::try_from(lines_a_day / 10).unwrap();
    let mut world = World::open(home, FIRST_DAY.plus_micros(MINUTE_MICROS), customers, mix).await;
    world.start(everyday(lines_a_day)).await;
    world.start(bonus(lines_a_day)).await;
    if third {
        world.start(rest()).await;
    }
    let day = |day: i64| FIRST_DAY.plus_micros(day * DAY_MICROS);
    let epoch = |n: i64| Epoch::of(day(n));

    // Friday: what is revised in the evening counts at once, but for the prizes: three days have
    // been committed to.
    morning_to_evening(&mut world, day(0), lines_a_day).await;
    let exclude = CommandKind::Exclude { kind: Exclusion::Staff, reason: "works here".into() };
    world.account(3, exclude).await;
    world.revise(revised(lines_a_day)).await;
    let tomorrow = day(1).plus_micros(10 * MINUTE_MICROS);
    world.lines(lines_a_day / 50, tomorrow, tomorrow.plus_micros(60 * MINUTE_MICROS)).await;

    // Saturday: halted and resumed; money that counts from the next day on.
    world.clock.set(day(1).plus_micros(90 * MINUTE_MICROS));
    world.resume().await;
    let halt = |epoch| CampaignCommandKind::HaltEpoch { epoch, reason: "odd wins".into() };
    world.ask("carol", "everyday", halt(epoch(1))).await;
    let midnight = day(1).plus_micros(MINUTE_MICROS);
    world.lines(lines_a_day / 50, midnight, midnight.plus_micros(60 * MINUTE_MICROS)).await;
    for by in ["carol", "dave"] {
        let resume = CampaignCommandKind::ResumeEpoch { epoch: epoch(1), reason: "by chance".into() };
        world.ask(by, "everyday", resume).await;
    }
    world.resume().await;
    let amount = Money::new(minor(lines_a_day) * 12, Currency::from_code("GBP").unwrap()).unwrap();
    world.ask("alice", "everyday", CampaignCommandKind::Fund { amount, reference: "po-17".into() }).await;
    world.ask("dave", "everyday", CampaignCommandKind::ApproveFunding { reference: "po-17".into() }).await;
    morning_to_evening(&mut world, day(1), lines_a_day).await;

    // Sunday: halted for good, as far as the second campaign goes.
    world.clock.set(day(2).plus_micros(MINUTE_MICROS));
    world.settle().await;
    morning_to_evening(&mut world, day(2), lines_a_day).await;
    world.ask("carol", "bonus", halt(epoch(2))).await;
    world.lines(lines_a_day / 50, day(2), day(2).plus_micros(60 * MINUTE_MICROS)).await;

    // Monday: the revised prizes; at its end the first pauses and the second is over.
    morning_to_evening(&mut world, day(3), lines_a_day).await;
    world.ask("alice", "everyday", CampaignCommandKind::Pause { reason: "a storm".into() }).await;
    world.ask("alice", "bonus", CampaignCommandKind::End).await;
    world.lines(lines_a_day / 50, day(3), day(3).plus_micros(60 * MINUTE_MICROS)).await;
    // Tuesday the second hears that its last day is gone.
    world.clock.set(day(4).plus_micros(MINUTE_MICROS));
    world.lines(lines_a_day / 50, day(4), day(4).plus_micros(MINUTE_MICROS)).await;
    world.clock.set(day(5).plus_micros(MINUTE_MICROS));
    world.settle().await;
    // Its last day is counted: it is over, and named no more.
    world.lines(lines_a_day / 50, day(3), day(3).plus_micros(MINUTE_MICROS)).await;
    world.resume().await;
    world.close().await;
}

/// A day's lines, booked around the clock; the last come a minute before midnight.
async fn morning_to_evening(world: &mut World, day: Timestamp, lines: usize) {
    for part in 1..=3 {
        let (first, last) = (480 * (part - 1) + if part == 1 { 120 } else { 0 }, 480 * part - 1);
        world.clock.set(day.plus_micros(last * MINUTE_MICROS));
        let upto = |minutes: i64| day.plus_micros(minutes * MINUTE_MICROS);
        world.lines(lines / 3, upto(first), upto(last)).await;
    }
}

fn minor(lines: usize) -> i64 {
    i64::try_from(lines).unwrap()
}

fn everyday(lines_a_day: usize) -> Value {
    json!({
        "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London", "precedence": 5,
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "rules": [
            { "code": "no_betting", "mcc_denied": ["6010-6012", "7995"], "missing": "decline" },
            { "code": "not_there", "countries_denied": ["US", "JP"] },
            { "code": "too_small", "amount_min_minor": 150 },
            { "code": "too_large", "amount_max_minor": 30_000 },
            { "code": "not_our_canteen", "merchants_denied": merchants(7) },
            { "code": "one_a_day", "wins_per_day": 1 },
            { "code": "enough_today", "won_minor_per_day": 300 },
            { "code": "too_fast", "transactions_max": { "count": 14, "hours": 24 } },
            { "code": "too_much", "spent_max": { "minor": 40_000, "hours": 24 } },
            { "code": "dear_news", "cel": "mcc != '5994' || amount_minor >= 300" },
        ],
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "big", "odds_ppb": 10_000_000, "prize": { "fixed": 500 } },
            { "name": "small", "odds_ppb": 50_000_000, "prize": { "fixed": 90 } },
            { "name": "share", "odds_ppb": 100_000_000, "prize": { "share_bps": 300, "max": 60 } },
        ] },
        "inventory": { "big": lines_a_day / 100 },
        "budget": { "minor": lines_a_day * 8, "currency": "GBP" }, "funding_limit_minor": 100, "grace_days": 1,
    })
}

fn revised(lines_a_day: usize) -> Value {
    let mut terms = everyday(lines_a_day);
    terms["rules"][2] = json!({ "code": "too_small", "amount_min_minor": 250 });
    terms["rules"][6] = json!({ "code": "enough_today", "won_minor_per_day": 80 });
    terms["prize_table"]["tiers"][0]["odds_ppb"] = json!(20_000_000);
    terms["prize_table"]["tiers"][2]["prize"] = json!({ "share_bps": 400, "max": 70 });
    // Of a tier that was won before anybody limited it: those wins count.
    terms["inventory"] = json!({ "big": lines_a_day / 100, "small": lines_a_day / 20 });
    terms
}

fn bonus(lines_a_day: usize) -> Value {
    json!({
        "campaign_id": "bonus", "name": "Bonus", "time_zone": "America/New_York", "stackable": true,
        "starts_at": "2026-11-20T12:00:00Z", "ends_at": "2026-11-23T22:00:00Z",
        "rules": [
            { "code": "waking_hours", "hours": ["6-12", "13-2"] },
            { "code": "not_on_sunday", "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat"] },
            { "code": "new_here", "first_purchase_at_merchant": true, "missing": "pass" },
            { "code": "partners", "merchants_allowed": (1..20).filter(|n| n % 7 != 0).flat_map(merchants).collect::<Vec<_>>() },
            { "code": "shops", "mcc_allowed": ["1000-5812", "5814-9999"], "missing": "pass" },
            { "code": "in_europe", "countries_allowed": ["GB", "IE", "FR", "ES"] },
            { "code": "known", "account_age_days_min": 1 },
            { "code": "two_a_week", "wins_per_week": 2 },
            { "code": "two_a_month", "wins_per_month": 2 },
            { "code": "enough_this_week", "won_minor_per_week": 150 },
            { "code": "enough_this_month", "won_minor_per_month": 180 },
        ],
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "tenth", "odds_ppb": 300_000_000, "prize": { "share_bps": 1_000, "max": 200 } },
            { "name": "penny", "odds_ppb": 300_000_000, "prize": { "fixed": 1 } },
        ] },
        "inventory": { "tenth": lines_a_day / 20 },
        "budget": { "minor": lines_a_day * 20, "currency": "GBP" }, "grace_days": 0,
    })
}

fn rest() -> Value {
    json!({
        "campaign_id": "a-rest", "name": "Rest", "time_zone": "Asia/Tokyo", "precedence": 9,
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "one", "odds_ppb": 100_000_000, "prize": { "fixed": 5 } },
        ] },
        "budget": { "minor": 100_000, "currency": "GBP" }, "grace_days": 0,
    })
}

/// Every merchant whose number ends alike.
fn merchants(of_twenty: usize) -> Vec<String> {
    (0..150).map(|n| format!("m_{:04}", n * 20 + of_twenty)).collect()
}
