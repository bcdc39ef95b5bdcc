//! Logs to stderr and metrics for `/metrics`.

mod described;
mod lines;

use std::io::IsTerminal as _;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::commands::Usage;

pub use lines::LastWords;

/// A panic hook wraps the one before it: once is enough.
static QUIETED: std::sync::Once = std::sync::Once::new();

/// Renders all metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The pool warns of every connection that it loses, all at once: what came of it is told by who
/// asked.
const QUIET: &str = "deadpool.postgres=error";

/// Sends log lines of `REWARDHUB_LOG_LEVEL` (such as `info,ledger_core=debug`) to stderr, as
/// `REWARDHUB_LOG_FORMAT` has it: `text` (the default) or `json`, an object a line. What the answer
/// stands for is waited for, briefly, when it is dropped.
pub fn logs(default: &str) -> anyhow::Result<LastWords> {
    let wanted = std::env::var("REWARDHUB_LOG_LEVEL").unwrap_or_default();
    let wanted = if wanted.trim().is_empty() { default.to_owned() } else { wanted };
    let no_levels =
        || Usage(format!("REWARDHUB_LOG_LEVEL={wanted} is no list of levels such as info,ledger_core=debug"));
    // A word alone that is no level would be taken for the one part of the program that is heard.
    let is_level = |part: &str| part.contains('=') || LevelFilter::from_str(part.trim()).is_ok();
    let targets = format!("{QUIET},{wanted}");
    let targets = Targets::from_str(&targets).ok().filter(|_| wanted.split(',').all(is_level));
    let targets = targets.ok_or_else(no_levels)?;
    let format = tracing_subscriber::fmt::layer().with_writer(|| lines::Lines);
    let registry = tracing_subscriber::registry().with(targets);
    // A second command in the same process (tests) keeps the first one's logs.
    let _ = match std::env::var("REWARDHUB_LOG_FORMAT").unwrap_or_default().as_str() {
        // Colours are for eyes.
        "" | "text" => registry.with(format.with_ansi(std::io::stderr().is_terminal())).try_init(),
        "json" => registry.with(format.json().flatten_event(true)).try_init(),
        other => return Err(Usage(format!("REWARDHUB_LOG_FORMAT={other} must be text or json")).into()),
    };
    QUIETED.call_once(keep_expressions_quiet);
    Ok(LastWords::new())
}

/// The message of a panic may quote what it fell over. Inside the interpreter of campaigns'
/// expressions that is a customer's purchase: of such a panic only the place is told.
fn keep_expressions_quiet() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match panic.location() {
        Some(place) if place.file().contains("/cel-") || place.file().contains("/antlr4rust-") => {
            tracing::error!(
                file = place.file(),
                line = place.line(),
                "the interpreter of expressions panicked"
            );
        }
        _ => tell(panic),
    }));
}

/// How often samples of histograms are put together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts to collect metrics and tells how to render them. Must be called inside a runtime.
pub fn metrics() -> anyhow::Result<RenderMetrics> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_ok() {
        described::all();
        let handle = handle.clone();
        tokio::spawn(keep_up(move || handle.run_upkeep()));
    }
    Ok(Arc::new(move || {
        show_resident();
        handle.render()
    }))
}

/// What the whole process takes, as Linux tells it: of its own, and of files that are mapped.
#[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53 bytes")]
fn show_resident() {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    for (field, kind) in [("RssAnon:", "own"), ("RssFile:", "files")] {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        if let Some(kib) = kib {
            metrics::gauge!("rewardhub_process_resident_bytes", "kind" => kind).set((kib * 1_024) as f64);
        }
    }
}

/// Each sample of a histogram is kept by itself until somebody scrapes, and nobody may ever do so.
async fn keep_up(upkeep: impl Fn()) {
    let mut due = tokio::time::interval(UPKEEP);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        upkeep();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn samples_are_put_together_though_nobody_scrapes() {
        let done = Cell::new(0);
        let minute = Duration::from_mins(1);
        let kept_up = tokio::time::timeout(minute, keep_up(|| done.set(done.get() + 1))).await;
        assert!(kept_up.is_err() && done.get() >= 12, "{} times", done.get());
    }
}
