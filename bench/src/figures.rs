//! Medians, ratios and how they are shown.

#![expect(clippy::float_arithmetic, reason = "speeds and ratios are measured, not money")]

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::ledger_load::IN_FLIGHT;

/// One case's speed, round by round, per second.
#[derive(Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more round.
    pub(crate) fn push(&mut self, count: usize, elapsed: Duration) {
        let count = u32::try_from(count).map_or(f64::MAX, f64::from);
        self.0.push(count / elapsed.as_secs_f64());
    }

    /// A speed that somebody else measured.
    pub(crate) fn once(per_second: u32) -> Samples {
        Samples(vec![f64::from(per_second)])
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Round by round where both took part in every round, else of the medians.
    fn ratio(&self, other: &Samples) -> f64 {
        if self.0.len() == other.0.len() {
            median(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
        } else {
            self.median() / other.median()
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The cases in order.
#[derive(Default)]
pub(crate) struct Cases(pub(crate) Vec<Case>);

/// One case beside what it is measured against.
#[derive(Serialize)]
pub(crate) struct Case {
    name: String,
    per_second: f64,
    against: String,
    against_per_second: f64,
    ratio: f64,
}

impl Cases {
    pub(crate) fn compare(&mut self, name: &str, ours: &Samples, against: &str, other: &Samples) {
        self.0.push(Case {
            name: name.into(),
            per_second: ours.median().round(),
            against: against.into(),
            against_per_second: other.median().round(),
            ratio: hundredths(ours.ratio(other)),
        });
    }
}

/// The value that `per_mille` of the values do not exceed.
pub(crate) fn quantile(values: &mut [Duration], per_mille: usize) -> Duration {
    values.sort_unstable();
    let place = (values.len() * per_mille).div_ceil(1_000).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

/// How long requests took while a fixed number of them was under way, by their size.
pub(crate) fn closed_loop<'a>(by: impl Iterator<Item = (usize, &'a mut Vec<Duration>)>) -> Value {
    let chunks = by.map(|(chunk, latencies)| {
        let (p50, p99) = (quantile(latencies, 500), quantile(latencies, 990));
        json!({ "chunk": chunk, "p50_ms": milliseconds(p50), "p99_ms": milliseconds(p99) })
    });
    json!({ "in_flight": IN_FLIGHT, "chunks": chunks.collect::<Vec<_>>() })
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    hundredths(duration.as_secs_f64() * 1_000.0)
}

/// Microseconds for each of `count`.
pub(crate) fn micros_each(elapsed: Duration, count: usize) -> f64 {
    let count = u32::try_from(count).map_or(f64::MAX, f64::from);
    hundredths(elapsed.as_secs_f64() * 1_000_000.0 / count)
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// As a speed by itself.
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    let count = u32::try_from(count).map_or(f64::MAX, f64::from);
    (count / elapsed.as_secs_f64()).round()
}

pub(crate) fn seconds(duration: Duration) -> f64 {
    hundredths(duration.as_secs_f64())
}

/// The report as a table.
pub(crate) fn print(report: &Value) {
    println!("{}\n", report["machine"].as_str().unwrap_or_default());
    println!("{:<58} {:>10}   {:<58} {:>10} {:>7}", "case", "per second", "against", "per second", "ratio");
    for case in report["cases"].as_array().into_iter().flatten() {
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| case[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:<58} {:>10.0}   {:<58} {:>10.0} {:>6.2}x",
            text("name"),
            number("per_second"),
            text("against"),
            number("against_per_second"),
            number("ratio")
        );
    }
    let told = ["machine", "cases"];
    for (part, value) in report.as_object().into_iter().flatten() {
        if !told.contains(&part.as_str()) && !value.is_null() {
            println!("\n{part}: {value:#}");
        }
    }
}
