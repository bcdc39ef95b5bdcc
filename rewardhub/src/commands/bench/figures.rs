//! Medians, ratios and how they are shown.

#![expect(clippy::float_arithmetic, reason = "speeds and ratios are measured, not money")]

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// One case's speed, round by round, per second.
#[derive(Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn push(&mut self, count: usize, elapsed: Duration) {
        let count = u32::try_from(count).map_or(f64::MAX, f64::from);
        self.0.push(count / elapsed.as_secs_f64());
    }

    fn median(&self) -> f64 {
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
pub(super) struct Cases(pub(super) Vec<Case>);

/// One case beside what it is measured against.
#[derive(Serialize)]
pub(super) struct Case {
    name: String,
    per_second: f64,
    against: String,
    against_per_second: f64,
    ratio: f64,
}

impl Cases {
    pub(super) fn compare(&mut self, name: &str, ours: &Samples, against: &str, other: &Samples) {
        self.0.push(Case {
            name: name.into(),
            per_second: ours.median().round(),
            against: against.into(),
            against_per_second: other.median().round(),
            ratio: hundredths(ours.ratio(other)),
        });
    }
}

/// The value that `percent` of the values do not exceed.
pub(super) fn quantile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    hundredths(duration.as_secs_f64() * 1_000.0)
}

/// Microseconds for each of `count`.
pub(super) fn micros_each(elapsed: Duration, count: usize) -> f64 {
    let count = u32::try_from(count).map_or(f64::MAX, f64::from);
    hundredths(elapsed.as_secs_f64() * 1_000_000.0 / count)
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Processor, cores, system.
pub(super) fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(": ").map(|(_, name)| name.to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.into());
    format!("{model}, {cores} cores, {}", std::env::consts::OS)
}

/// The report as a table.
pub(super) fn print(report: &Value) {
    println!("{}\n", report["machine"].as_str().unwrap_or_default());
    println!("{:<40} {:>10}   {:<45} {:>10} {:>7}", "case", "per second", "against", "per second", "ratio");
    for case in report["cases"].as_array().into_iter().flatten() {
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| case[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "{:<40} {:>10.0}   {:<45} {:>10.0} {:>6.2}x",
            text("name"),
            number("per_second"),
            text("against"),
            number("against_per_second"),
            number("ratio")
        );
    }
    for part in ["latency", "stages_us_per_transaction", "memory", "log_bytes_per_event"] {
        println!("\n{part}: {:#}", report[part]);
    }
}
