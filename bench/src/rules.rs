//! What a campaign's rules cost for one transaction: twenty typed ones, and five expressions
//! besides. All rules pass, so each is evaluated. The account remembers as much as it can.

use std::hint::black_box;
use std::time::Instant;

use chrono::NaiveDate;
use ledger_core::campaign::rules::{CompiledRules, History, MerchantFacts, Rule, Rules, Subject, Won};
use ledger_core::keys::{AmountKey, SealedAmount};
use ledger_core::money::{Currency, Money};
use ledger_core::time::Timestamp;
use ledger_core::transaction::{BookedAt, Mcc};
use ledger_core::zone::{Clocks, Zone, ZoneTable};
use serde_json::{Value, json};

use crate::figures::micros_each;

const ROUNDS: usize = 100_000;

/// Microseconds for one transaction, by what is asked of it.
pub(crate) fn measure() -> anyhow::Result<[(&'static str, f64); 3]> {
    let all = [typed(), expressions()].concat();
    // What costs most by far: 55 sealed amounts are opened, which an account does once for all its
    // rules.
    let week = vec![named(0, json!({ "spent_max": { "minor": 1_000_000, "hours": 168 } }))];
    Ok([
        ("20 rules", micros(&rules(typed())?)?),
        ("20 rules and 5 expressions", micros(&rules(all)?)?),
        ("spent in a busy week", micros(&rules(week)?)?),
    ])
}

fn rules(rules: Vec<Value>) -> anyhow::Result<Vec<Rule>> {
    let rules: Rules = serde_json::from_value(rules.into())?;
    Ok(rules.named().into_owned())
}

/// Twenty rules of different kinds. None of them declines.
fn typed() -> Vec<Value> {
    let merchants = |from: usize| (from..from + 1_000).map(|n| format!("m_{n}")).collect::<Vec<_>>();
    let conditions = [
        json!({ "merchants_allowed": merchants(0) }),
        json!({ "merchants_denied": merchants(5_000) }),
        json!({ "mcc_allowed": ["5000-5999", "7000-7999"] }),
        json!({ "mcc_denied": ["4829", "6010-6012", "6051", "6211", "7800-7802", "7995", "9754"] }),
        json!({ "countries_allowed": ["GB", "IE", "FR", "DE"] }),
        json!({ "countries_denied": ["US", "CA"] }),
        json!({ "amount_min_minor": 100 }),
        json!({ "amount_max_minor": 1_000_000 }),
        json!({ "first_purchase_at_merchant": true }),
        json!({ "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] }),
        json!({ "hours": ["0-24"] }),
        json!({ "wins_per_day": 100 }),
        json!({ "wins_per_week": 100 }),
        json!({ "wins_per_month": 100 }),
        json!({ "won_minor_per_day": 1_000_000 }),
        json!({ "won_minor_per_week": 1_000_000 }),
        json!({ "won_minor_per_month": 1_000_000 }),
        json!({ "account_age_days_min": 10 }),
        json!({ "transactions_max": { "count": 64, "hours": 168 } }),
        json!({ "spent_max": { "minor": 1_000_000, "hours": 24 } }),
    ];
    conditions.into_iter().enumerate().map(|(index, condition)| named(index, condition)).collect()
}

fn expressions() -> Vec<Value> {
    let expressions = [
        "amount_minor >= 300 && currency == 'GBP'",
        "mcc == '5814' ? amount_minor > 200 : amount_minor > 500",
        "country in ['GB', 'IE', 'FR'] || merchant_id.startsWith('m_')",
        "wins_this_week < 5 && transactions_last_day <= 64 && spent_minor_last_day < 1000000",
        "weekday <= 7 && hour >= 0 && account_age_days >= 10",
    ];
    expressions
        .iter()
        .enumerate()
        .map(|(index, source)| named(100 + index, json!({ "cel": source })))
        .collect()
}

fn named(index: usize, mut condition: Value) -> Value {
    condition["code"] = format!("rule_{index}").into();
    condition
}

fn micros(rules: &[Rule]) -> anyhow::Result<f64> {
    let compiled = CompiledRules::new(rules);
    let day = 86_400_000_000;
    let booked_at = Timestamp::from_micros(20_000 * day);
    let currency = Currency::from_code("GBP").ok_or_else(|| anyhow::anyhow!("no such currency"))?;
    // Eight a day, so that no window holds more than its rule admits.
    let amounts = AmountKey::new(&[7; 32]);
    let purchase = |n: i64| Ok((booked_at.plus_micros(-n * day / 8), amounts.seal(Money::new(n, currency)?)));
    let booked = (1..=64).rev().map(purchase).collect::<anyhow::Result<_>>()?;
    let past = Past { booked, amounts };
    let clocks = ZoneTable::new().clocks_to_be(&Zone::named("Europe/London")).unwrap_or(Clocks::UTC);
    let subject = Subject {
        booked: BookedAt { at: booked_at, time_known: true },
        enrolled_at: booked_at.plus_micros(-40 * day),
        clocks: &clocks,
        nights_begin: true,
        amount: Money::new(1_250, currency)?,
        is_purchase: true,
        in_currency: true,
        merchant: Some(MerchantFacts { id: Some("m_42"), mcc: Mcc::parse("5814"), country: Some("GB") }),
        history: &past,
    };
    let mut failed = Vec::new();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        compiled.check(black_box(&subject), &mut failed);
    }
    let elapsed = began.elapsed();
    anyhow::ensure!(failed.is_empty(), "rules that were to pass failed: {:?}", failed.first());
    Ok(micros_each(elapsed, ROUNDS))
}

/// An account with as many purchases as one remembers, and no wins.
struct Past {
    booked: Vec<(Timestamp, SealedAmount)>,
    amounts: AmountKey,
}

impl Past {
    fn booked(&self, after: Timestamp, until: Timestamp) -> &[(Timestamp, SealedAmount)] {
        let upto = |time: Timestamp| self.booked.partition_point(|(booked_at, _)| *booked_at <= time);
        &self.booked[upto(after)..upto(until)]
    }
}

impl History for Past {
    fn won(&self, _: NaiveDate, _: NaiveDate) -> Won {
        Won::default()
    }

    fn transactions(&self, after: Timestamp, until: Timestamp) -> u32 {
        u32::try_from(self.booked(after, until).len()).unwrap_or(u32::MAX)
    }

    fn spent(&self, after: Timestamp, until: Timestamp, _: Currency) -> Option<i64> {
        let opened = self.booked(after, until).iter().map(|(_, sealed)| self.amounts.open(sealed));
        opened.map(|amount| Some(amount?.minor())).sum()
    }

    fn later(&self, _: Timestamp, _: Timestamp) -> Vec<Timestamp> {
        vec![]
    }

    fn has_forgotten(&self, _: Timestamp) -> bool {
        false
    }

    fn knows_merchant(&self) -> bool {
        false
    }
}
