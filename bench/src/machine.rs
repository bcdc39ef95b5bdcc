//! What the figures were taken on and with: processor, crates, memory, processor time.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value};

/// Ours, then that of the comparators.
const LOCKS: [&str; 2] = [include_str!("../Cargo.lock"), include_str!("../comparators/Cargo.lock")];
/// Linux counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Processor, cores, system.
pub(crate) fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(": ").map(|(_, name)| name.to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.into());
    format!("{model}, {cores} cores, {}", std::env::consts::OS)
}

/// The versions we were built with.
pub(crate) fn crates(names: &[&str]) -> Value {
    let version = |name: &str| {
        let entry = format!("\nname = \"{name}\"\nversion = \"");
        let (_, rest) = LOCKS.into_iter().find_map(|lock| lock.split_once(&entry))?;
        rest.split_once('"').map(|(version, _)| version)
    };
    let versions = names.iter().map(|name| ((*name).to_owned(), version(name).into()));
    Value::Object(versions.collect::<Map<_, _>>())
}

/// Our own memory.
pub(crate) fn resident_bytes() -> anyhow::Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("the resident size is Linux's to tell")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// The processor time this process has taken, all threads together.
pub(crate) fn own_time() -> anyhow::Result<Duration> {
    time_of("self").context("processor time is Linux's to tell")
}

/// The same of these processes, as far as they are there.
pub(crate) fn time_of_all(processes: &[u32]) -> Duration {
    processes.iter().filter_map(|process| time_of(&process.to_string())).sum()
}

fn time_of(process: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold spaces; of what follows, user and system time are fields
    // 12 and 13.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = |n| fields.split_whitespace().nth(n)?.parse::<u32>().ok();
    Some(TICK * (ticks(11)? + ticks(12)?))
}
