//! All metrics there are. `docs/reference/metrics.md` shows the same table; tests hold it to this
//! one, and this one to the source.

use Kind::{Counter, Gauge, Histogram};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric. The values of a label that are known in advance are counted from the start, at 0.
struct Metric {
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    values: &'static [&'static str],
    help: &'static str,
}

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    values: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, values, help }
}

const STEPS: &[&str] = &["issue", "notify", "credit", "resume"];
const PROJECTIONS: &[&str] = &["account", "rewards", "transactions", "campaigns", "trial_balance"];
const PARTS: &[&str] = &["accounts", "transaction_keys", "filter", "queue", "bodies"];
const SWITCHES: &[&str] = &["draws", "payouts", "notifications", "polling"];
const RESULTS: &[&str] = &["accepted", "duplicate", "deferred", "linked", "held", "rejected"];
const CLOSED: &[&str] = &["no room", "idle", "no request", "answer not read"];
const REFUSED: &[&str] = &[
    "malformed",
    "unknown_key",
    "wrong_algorithm",
    "wrong_signature",
    "wrong_issuer",
    "wrong_audience",
    "wrong_claims",
    "expired",
    "not_yet_valid",
];
const REQUEST: &[&str] = &["method", "route", "status"];

#[rustfmt::skip]
const ALL: &[Metric] = &[
    metric(Counter, "rewardhub_transactions_total", &["result"], RESULTS, "rows answered"),
    metric(Counter, "rewardhub_wins_total", &[], &[], "transactions that won when they came"),
    metric(Gauge, "rewardhub_ledger_position", &[], &[], "the log's last position, as the writer knows it"),
    metric(Histogram, "rewardhub_ledger_append_seconds", &[], &[], "time of an append"),
    metric(Histogram, "rewardhub_ledger_batch_events", &[], &[], "events in an append"),
    metric(Gauge, "rewardhub_accounts_in_memory", &[], &[], "accounts that the writer holds"),
    metric(Counter, "rewardhub_rule_errors_total", &["rule"], &[], "rules that gave no answer, by code"),
    metric(Counter, "rewardhub_campaign_budget_alerts_total", &["campaign"], &[], "shares of the budget reached"),
    metric(Counter, "rewardhub_campaign_due_refused_total", &["campaign"], &[], "a campaign refused what was due; the others go on"),
    metric(Counter, "rewardhub_credit_contradictions_total", &[], &[], "what a rail said contradicts the ledger: look at once"),
    metric(Gauge, "rewardhub_clock_ahead_seconds", &[], &[], "the clock ahead of what it should show; below zero: behind"),
    metric(Gauge, "rewardhub_clock_held", &[], &[], "1 while nothing is recorded because of the clock"),
    metric(Gauge, "rewardhub_clock_ahead_of_server_seconds", &[], &[], "the clock ahead of PostgreSQL's"),
    metric(Gauge, "rewardhub_clock_behind_log_seconds", &[], &[], "the clock behind the last event's time"),
    metric(Gauge, "rewardhub_clock_gap_at_start_seconds", &[], &[], "from the last event to the start"),
    metric(Gauge, "rewardhub_beacon_late_seconds", &[], &[], "how late the latest overdue round is"),
    metric(Counter, "rewardhub_beacon_wrong_signatures_total", &[], &[], "answers of beacons that did not verify"),
    metric(Gauge, "rewardhub_switch_halted", &["what"], SWITCHES, "1 while a person has it halted"),
    metric(Gauge, "rewardhub_step_position", &["step"], STEPS, "the step's cursor"),
    metric(Gauge, "rewardhub_step_under_way", &["step"], STEPS, "tries under way"),
    metric(Gauge, "rewardhub_step_waiting", &["step"], STEPS, "items that wait to be tried again"),
    metric(Gauge, "rewardhub_step_parked", &["step"], STEPS, "items that wait for a person"),
    metric(Counter, "rewardhub_step_parked_total", &["step"], STEPS, "items parked so far"),
    metric(Histogram, "rewardhub_step_try_seconds", &["step"], STEPS, "time of a try"),
    metric(Gauge, "rewardhub_projection_position", &["projection"], PROJECTIONS, "the read model's cursor"),
    metric(Gauge, "rewardhub_projection_lag_events", &["projection"], PROJECTIONS, "events it is behind the log"),
    metric(Counter, "rewardhub_http_requests_total", REQUEST, &[], "answers; the route is the pattern, or unmatched"),
    metric(Histogram, "rewardhub_http_request_seconds", REQUEST, &[], "time of an answer"),
    metric(Gauge, "rewardhub_http_connections", &[], &[], "open connections"),
    metric(Counter, "rewardhub_http_connections_closed_total", &["reason"], CLOSED, "connections that we ended"),
    metric(Counter, "rewardhub_http_panics_total", &[], &[], "panics in a handler"),
    metric(Counter, "rewardhub_tokens_refused_total", &["reason"], REFUSED, "tokens that were not accepted"),
    metric(Counter, "rewardhub_requests_refused_total", &["reason"], &["cost"], "requests beyond a bearer's allowance"),
    metric(Gauge, "rewardhub_memory_bytes", &["part"], PARTS, "taken"),
    metric(Gauge, "rewardhub_memory_max_bytes", &["part"], PARTS, "allowed"),
    metric(Gauge, "rewardhub_process_resident_bytes", &["kind"], &["own", "files"], "of its own, and of files that are mapped (Linux)"),
    metric(Gauge, "rewardhub_filter_in_vain_ratio", &[], &[], "part of the new transactions that are looked up in vain"),
    metric(Gauge, "rewardhub_wal_bytes", &["file"], &[], "size of an embedded file's write-ahead log"),
    metric(Counter, "rewardhub_log_lines_dropped_total", &[], &[], "log lines that could not be written"),
];

/// Says what each is, and starts the counters.
pub(super) fn all() {
    for Metric { name, kind, labels, values, help } in ALL {
        match (kind, labels) {
            (Counter, []) => {
                metrics::describe_counter!(*name, *help);
                metrics::counter!(*name).increment(0);
            }
            (Counter, [label, ..]) => {
                metrics::describe_counter!(*name, *help);
                for value in *values {
                    metrics::counter!(*name, *label => *value).increment(0);
                }
            }
            (Gauge, _) => metrics::describe_gauge!(*name, *help),
            (Histogram, _) => metrics::describe_histogram!(*name, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn the_page_of_metrics_has_these_and_no_others() {
        let code =
            |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let row = |Metric { name, kind, labels, values, help }: &Metric| {
            let kind = format!("{kind:?}").to_lowercase();
            format!("| `{name}` | {kind} | {} | {} | {help} |", code(labels), code(values))
                .replace("|  |", "| |")
                .replace("|  |", "| |")
        };
        let page = std::fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = ALL.iter().map(row).collect();
        assert_eq!(rows, expected, "the table should be:\n{}", expected.join("\n"));
    }

    #[test]
    fn every_metric_is_described_and_every_described_one_is_emitted() {
        let mut emitted = BTreeSet::new();
        for member in ["ledger-core", "stores", "audit", "projections", "adapters", "api", "rewardhub"] {
            for file in sources(&root().join(member).join("src")) {
                if file.ends_with("described.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&file).unwrap();
                // A name stands where it is emitted, be it after a line break.
                for call in ["counter!(", "gauge!(", "histogram!(", "gauge("] {
                    for after in text.split(call).skip(1) {
                        let Some(name) = after.trim_start().strip_prefix('"') else { continue };
                        emitted.insert(name.split('"').next().unwrap().to_owned());
                    }
                }
            }
        }
        let described: BTreeSet<String> = ALL.iter().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(emitted, described);
        assert_eq!(described.len(), ALL.len(), "one is described twice");
    }

    #[test]
    fn names_tell_their_owner_and_whether_they_count() {
        for Metric { name, kind, values, labels, .. } in ALL {
            assert!(name.starts_with("rewardhub_"), "{name}");
            assert_eq!(name.ends_with("_total"), matches!(kind, Counter), "{name}");
            assert!(values.is_empty() || labels.len() == 1, "{name}: values of which label?");
        }
    }
}
