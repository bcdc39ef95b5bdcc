use ledger_core::ids::IdError;
use std::collections::{HashMap, HashSet};

use ledger_core::ids;
use ledger_core::money::Currency;
use ledger_core::time::DAY_MICROS;
use serde_json::Value;

use super::people::remainder_97;
use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

fn bank(seed: u64, run: &str) -> Generator {
    Generator::new(config(seed, run)).unwrap()
}

fn config(seed: u64, run: &str) -> GeneratorConfig {
    GeneratorConfig {
        seed,
        customers: 500,
        source: "sandbox-bank".to_owned(),
        run: run.to_owned(),
        mix: Mix::default(),
    }
}

fn lines(generator: &mut Generator, count: i64) -> Vec<Generated> {
    (0..count).map(|n| generator.next(NOW.plus_micros(n * 10_000))).collect()
}

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The rules of the wire that need nothing but the row; the first one broken.
fn fault(json: &str, now: Timestamp) -> Option<&'static str> {
    let Ok(row) = serde_json::from_str::<Value>(json) else {
        return Some("json");
    };
    let id = |field| ids::check_id(text(&row, field)).is_ok();
    let id_or_null = |field| row.pointer(field).is_none_or(Value::is_null) || id(field);
    let booked_at: Option<Timestamp> =
        row.get("booked_at").and_then(|t| serde_json::from_value(t.clone()).ok());
    let mcc = row.pointer("/merchant/mcc").and_then(Value::as_str);
    let country = row.pointer("/merchant/country").and_then(Value::as_str);
    let iban = |field| {
        let iban = text(&row, field);
        iban.len() == 22 && remainder_97(&format!("{}{}", &iban[4..], &iban[..4])) == 1
    };
    [
        ("size", json.len() <= 8 * 1024),
        ("source", id("/source")),
        ("transaction_id", id("/transaction_id")),
        ("account_id", id("/account_id") && !text(&row, "/account_id").contains('@')),
        ("status", ["pending", "booked", "removed"].contains(&text(&row, "/status"))),
        ("direction", ["debit", "credit"].contains(&text(&row, "/direction"))),
        ("booked_at", booked_at.is_some_and(|t| t <= now.plus_micros(DAY_MICROS))),
        ("amount.minor", text(&row, "/amount/minor").parse::<i64>().is_ok_and(|minor| minor > 0)),
        ("amount.currency", Currency::from_code(text(&row, "/amount/currency")).is_some()),
        ("from_account", iban("/from_account")),
        ("to_account", iban("/to_account")),
        ("description", text(&row, "/description").chars().count() <= 500),
        ("pan", !text(&row, "/description").contains("4111")),
        ("mcc", mcc.is_none_or(|mcc| mcc.len() == 4 && mcc.bytes().all(|b| b.is_ascii_digit()))),
        ("country", country.is_none_or(|c| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase()))),
        ("pending_transaction_id", id_or_null("/pending_transaction_id")),
        ("refund_of", id_or_null("/refund_of")),
    ]
    .into_iter()
    .find_map(|(rule, kept)| (!kept).then_some(rule))
}

#[test]
fn every_line_keeps_the_rules_of_the_wire_unless_it_is_malformed() {
    let now = NOW.plus_micros(DAY_MICROS / 4);
    let mut faults = HashSet::new();
    for line in lines(&mut bank(1, "r1"), 20_000) {
        let fault = fault(&line.json, now);
        assert_eq!(
            fault.is_some(),
            line.kind == Kind::Malformed,
            "{fault:?} in {:?}: {}",
            line.kind,
            line.json
        );
        faults.extend(fault);
    }
    assert!(faults.len() >= 10, "malformed in one way only: {faults:?}");
}

#[test]
fn the_same_seed_makes_the_same_lines_and_another_makes_others() {
    let json =
        |seed| -> Vec<String> { lines(&mut bank(seed, "r1"), 3_000).into_iter().map(|l| l.json).collect() };
    assert!(json(1) == json(1));
    assert!(json(1) != json(2));
}

#[test]
fn the_clock_moves_booking_times_and_nothing_else() {
    let without_time = |now: Timestamp| -> Vec<Value> {
        let mut generator = bank(1, "r1");
        let rows = (0..2_000).map(|_| generator.next(now)).filter(|line| line.kind != Kind::Malformed);
        rows.map(|line| {
            let mut row: Value = serde_json::from_str(&line.json).unwrap();
            row.as_object_mut().unwrap().remove("booked_at");
            row
        })
        .collect()
    };
    assert!(without_time(NOW) == without_time(NOW.plus_micros(5 * DAY_MICROS)));
}

#[test]
fn another_run_has_the_same_purchases_under_other_ids() {
    let ids = |run| -> HashSet<String> {
        let rows = lines(&mut bank(1, run), 2_000).into_iter().filter(|line| line.kind != Kind::Malformed);
        rows.map(|line| text(&serde_json::from_str(&line.json).unwrap(), "/transaction_id").to_owned())
            .collect()
    };
    assert!(ids("r1").is_disjoint(&ids("r2")));
    let amounts = |run| -> Vec<String> {
        let rows = lines(&mut bank(1, run), 100).into_iter().filter(|line| line.kind == Kind::Booked);
        rows.map(|line| text(&serde_json::from_str(&line.json).unwrap(), "/amount/minor").to_owned())
            .collect()
    };
    assert_eq!(amounts("r1"), amounts("r2"));
}

#[test]
fn kinds_come_as_often_as_the_mix_says() {
    let mut counts: HashMap<Kind, u32> = HashMap::new();
    for line in lines(&mut bank(3, "r1"), 100_000) {
        *counts.entry(line.kind).or_default() += 1;
    }
    let expect =
        |kind, range: std::ops::Range<u32>| assert!(range.contains(&counts[&kind]), "{kind:?}: {counts:?}");
    expect(Kind::Repeat, 4_000..5_500);
    expect(Kind::Pending, 6_500..8_500);
    expect(Kind::BookedAfterPending, 6_000..8_200);
    expect(Kind::OutOfOrder, 4_000..5_500);
    expect(Kind::Malformed, 350..650);
    expect(Kind::Refund, 350..650);
    expect(Kind::Credit, 750..1_150);
    expect(Kind::Removed, 400..800);
    expect(Kind::Booked, 70_000..80_000);
}

#[test]
fn a_plain_mix_is_nothing_but_purchases_booked_just_now() {
    let mut generator = Generator::new(GeneratorConfig { mix: Mix::plain(), ..config(1, "r1") }).unwrap();
    for line in lines(&mut generator, 2_000) {
        assert_eq!(line.kind, Kind::Booked);
    }
}

#[test]
fn an_id_is_booked_with_one_content_only() {
    let mut booked: HashMap<String, String> = HashMap::new();
    for line in lines(&mut bank(4, "r1"), 15_000).into_iter().filter(|line| line.kind != Kind::Malformed) {
        let row: Value = serde_json::from_str(&line.json).unwrap();
        if text(&row, "/status") != "booked" {
            continue;
        }
        let before = booked.insert(text(&row, "/transaction_id").to_owned(), line.json.clone());
        match line.kind {
            Kind::Repeat => assert_eq!(before, Some(line.json)),
            kind => assert_eq!(before, None, "{kind:?}"),
        }
    }
}

#[test]
fn later_lines_refer_to_earlier_ones() {
    let mut seen: HashMap<String, Value> = HashMap::new();
    let mut new_ids = 0;
    for line in lines(&mut bank(5, "r1"), 15_000).into_iter().filter(|line| line.kind != Kind::Malformed) {
        let row: Value = serde_json::from_str(&line.json).unwrap();
        let earlier = match line.kind {
            Kind::BookedAfterPending if row["pending_transaction_id"].is_null() => Some("/transaction_id"),
            Kind::BookedAfterPending => {
                new_ids += 1;
                Some("/pending_transaction_id")
            }
            Kind::Removed => Some("/transaction_id"),
            Kind::Refund => Some("/refund_of"),
            _ => None,
        };
        if let Some(field) = earlier {
            let earlier = &seen[text(&row, field)];
            assert_eq!(earlier["account_id"], row["account_id"], "{:?}", line.kind);
            assert_eq!(earlier["amount"]["currency"], row["amount"]["currency"]);
            if line.kind == Kind::Refund {
                assert_eq!(earlier["from_account"], row["to_account"]);
                assert_eq!(earlier["to_account"], row["from_account"]);
            }
        }
        seen.insert(text(&row, "/transaction_id").to_owned(), row);
    }
    assert!(new_ids > 300, "some banks reissue ids on booking: {new_ids}");
}

#[test]
fn purchases_look_like_everyday_life() {
    let mut codes: HashMap<String, u32> = HashMap::new();
    let (mut british, mut shops, mut small) = (0_u32, 0_u32, 0_u32);
    for line in lines(&mut bank(6, "r1"), 50_000).into_iter().filter(|line| line.kind == Kind::Booked) {
        let row: Value = serde_json::from_str(&line.json).unwrap();
        if row["merchant"].is_null() {
            continue;
        }
        shops += 1;
        british += u32::from(text(&row, "/merchant/country") == "GB");
        small += u32::from(text(&row, "/amount/minor").parse::<u64>().unwrap() < 5_000);
        *codes.entry(text(&row, "/merchant/mcc").to_owned()).or_default() += 1;
    }
    assert!(british > shops / 10 * 8, "{british} of {shops} in Britain");
    assert!(small > shops / 10 * 7, "{small} of {shops} under fifty pounds");
    assert!(codes["5411"] > shops / 10, "groceries: {}", codes["5411"]);
    assert!(codes["7995"] > 0 && codes["6011"] > 0, "betting and cash occur");
    assert!(codes.len() > 150, "the long tail: {} categories", codes.len());
}

#[test]
fn a_bank_refuses_a_configuration_it_cannot_keep() {
    let refusal = |change: fn(&mut GeneratorConfig)| {
        let mut config = config(1, "r1");
        change(&mut config);
        Generator::new(config).err()
    };
    assert!(matches!(refusal(|c| c.customers = 0), Some(GeneratorError::NoCustomers)));
    assert!(matches!(refusal(|c| c.source = " ".to_owned()), Some(GeneratorError::Source(IdError::Blank))));
    assert!(matches!(refusal(|c| c.run = String::new()), Some(GeneratorError::Run(IdError::Blank))));
    assert!(matches!(refusal(|c| c.run = "r".repeat(65)), Some(GeneratorError::RunTooLong)));
    assert!(refusal(|_| ()).is_none());
}
