//! The alarm of a rule that gives no answer. The line it gives none on is declined.

use std::sync::atomic::{AtomicBool, Ordering};

/// Each failure is counted, the first of a version of the terms is logged; neither says what the
/// facts were.
#[derive(Default)]
pub(super) struct Alarm(AtomicBool);

impl Alarm {
    /// `code` is the rule's.
    pub(super) fn raise(&self, code: &str, why: &'static str) {
        metrics::counter!("rewardhub_rule_errors_total", "rule" => code.to_owned()).increment(1);
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!(rule = code, "{why}; lines it fails on are declined");
        }
    }
}
