//! Logs to stderr and metrics for `/metrics`.

use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A panic hook wraps the one before it: once is enough.
static QUIETED: std::sync::Once = std::sync::Once::new();

/// Renders all metrics as Prometheus text.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Sends log lines of `REWARDHUB_LOG_LEVEL` (such as `info,ledger_core=debug`) to stderr.
pub fn logs(default: &str) -> anyhow::Result<()> {
    let wanted = std::env::var("REWARDHUB_LOG_LEVEL").unwrap_or_else(|_| default.into());
    let targets = Targets::from_str(&wanted)
        .with_context(|| format!("REWARDHUB_LOG_LEVEL={wanted} is no list of levels"))?;
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second command in the same process (tests) keeps the first one's logs.
    let _ = tracing_subscriber::registry().with(targets).with(format).try_init();
    QUIETED.call_once(keep_expressions_quiet);
    Ok(())
}

/// The message of a panic may quote what it fell over. Inside the interpreter of campaigns' expressions that is
/// a customer's purchase: of such a panic only the place is told.
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

/// Starts to collect metrics and tells how to render them.
pub fn metrics() -> anyhow::Result<RenderMetrics> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok();
    Ok(Arc::new(move || handle.render()))
}
