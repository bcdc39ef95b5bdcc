//! Latency under a given load: requests of one line on a schedule that waits for no answer. A
//! request's time counts from when it was due, not from when it was sent, so a stall is felt by all
//! that were due during it.
//!
//! The disk is at rest before each case. What earlier cases wrote without waiting is still on its
//! way to the disk then, and while it is, one `fdatasync` of the log in some thousands takes a
//! tenth of a second; the case would measure those before it. So `sync` is called first, which ends
//! when nothing is left to be written.

#![expect(clippy::float_arithmetic, reason = "a schedule is seconds and rates, not money")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ledger_core::engine::{CommandContext, SubmitError};
use ledger_core::steps::intake::Sources;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::figures::{milliseconds, quantile, seconds};
use crate::ledger_load::LedgerLoad;

/// A load that grows evenly and then stays.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Ramp {
    pub(crate) from_rate: u32,
    pub(crate) to_rate: u32,
    pub(crate) over_seconds: u32,
    pub(crate) hold_seconds: u32,
}

/// The same rate all the time.
pub(crate) async fn steady(load: &mut LedgerLoad, rate: u32, during: u32) -> anyhow::Result<Value> {
    let ramp = Ramp { from_rate: rate, to_rate: rate, over_seconds: 0, hold_seconds: during };
    let mut result = run(load, &ramp).await?;
    result["rate"] = rate.into();
    result["seconds"] = during.into();
    Ok(result)
}

/// A rate that grows.
pub(crate) async fn ramp(load: &mut LedgerLoad, ramp: Ramp) -> anyhow::Result<Value> {
    let mut result = run(load, &ramp).await?;
    result["ramp"] = serde_json::to_value(ramp)?;
    Ok(result)
}

impl Ramp {
    fn count(&self) -> usize {
        let growing = (self.from_rate + self.to_rate) * self.over_seconds / 2;
        (growing + self.to_rate * self.hold_seconds) as usize
    }

    /// When the `n`-th request is due.
    fn due(&self, n: usize) -> Duration {
        let [from, to, over] = [self.from_rate, self.to_rate, self.over_seconds].map(f64::from);
        let n = u32::try_from(n).map_or(f64::MAX, f64::from);
        let growing = (from + to) * over / 2.0;
        Duration::from_secs_f64(if n < growing {
            // Requests due by t are from·t + slope·t²/2, solved for t.
            let slope = (to - from) / over;
            if slope == 0.0 { n / from } else { ((from * from + 2.0 * slope * n).sqrt() - from) / slope }
        } else {
            over + (n - growing) / to
        })
    }
}

/// How one request ended.
enum End {
    Answered(Duration),
    /// Honest back-pressure.
    Refused,
    Failed,
}

async fn run(load: &mut LedgerLoad, ramp: &Ramp) -> anyhow::Result<Value> {
    let rows = load.rows(ramp.count())?;
    rest().await?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let (ended, mut ends) = mpsc::unbounded_channel();
    let (began, mut backlog_max) = (Instant::now(), 0);
    for (n, row) in rows.into_iter().enumerate() {
        let due = began + ramp.due(n);
        if due > Instant::now() {
            // Tokio's timers tick in milliseconds: what is due within one is sent together at its
            // end.
            tokio::time::sleep_until(due.into()).await;
        }
        backlog_max = backlog_max.max(waiting.fetch_add(1, Ordering::Relaxed) + 1);
        let (intake, ended, waiting) = (load.engine.intake.clone(), ended.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            let answer = intake.take(&[&row], &Sources::All, CommandContext::new("bench", "bench", "")).await;
            waiting.fetch_sub(1, Ordering::Relaxed);
            let end = match answer {
                Ok(rows) if rows.iter().all(|row| row.outcome.is_ok()) => End::Answered(due.elapsed()),
                Err(SubmitError::Full) => End::Refused,
                Ok(_) | Err(_) => End::Failed,
            };
            // Nobody is left to be told when the whole bench was stopped.
            let _ = ended.send(end);
        });
    }
    let sent = Instant::now();
    drop(ended);
    let (mut latencies, mut refused, mut failed) = (Vec::new(), 0, 0);
    while let Some(end) = ends.recv().await {
        match end {
            End::Answered(latency) => latencies.push(latency),
            End::Refused => refused += 1,
            End::Failed => failed += 1,
        }
    }
    let drain = sent.elapsed();
    let at = |latencies: &mut [Duration], per_mille| milliseconds(quantile(latencies, per_mille));
    Ok(json!({
        "requests": ramp.count(),
        "answered": latencies.len(),
        "refused": refused,
        "failed": failed,
        "p50_ms": at(&mut latencies, 500),
        "p99_ms": at(&mut latencies, 990),
        "p99.9_ms": at(&mut latencies, 999),
        "max_ms": at(&mut latencies, 1_000),
        "backlog_max": backlog_max,
        "drain_seconds": seconds(drain),
    }))
}

/// Waits until all files of the machine are on its disks.
async fn rest() -> anyhow::Result<()> {
    let ended = tokio::task::spawn_blocking(|| Command::new("sync").status()).await?;
    let ended = ended.context("cannot run sync")?;
    ensure!(ended.success(), "sync ended with {ended}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_sends_what_its_rates_say_and_in_order() {
        let ramp = Ramp { from_rate: 100, to_rate: 5_000, over_seconds: 60, hold_seconds: 10 };
        assert_eq!(ramp.count(), 153_000 + 50_000);
        assert_eq!(ramp.due(0), Duration::ZERO);
        assert!((ramp.due(153_000).as_secs_f64() - 60.0).abs() < 1e-6);
        assert!((ramp.due(153_000 + 5_000).as_secs_f64() - 61.0).abs() < 1e-6);
        assert!((0..1_000).all(|n| ramp.due(n) < ramp.due(n + 1)));
        // In the first second as many as the rate in its middle.
        assert!((140..=142).contains(&(0..1_000).filter(|n| ramp.due(*n) < Duration::from_secs(1)).count()));
    }

    #[test]
    fn a_steady_load_is_even() {
        let steady = Ramp { from_rate: 1_000, to_rate: 1_000, over_seconds: 0, hold_seconds: 5 };
        assert_eq!(steady.count(), 5_000);
        assert_eq!(steady.due(1_500), Duration::from_millis(1_500));
    }
}
