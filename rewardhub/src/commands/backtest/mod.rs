//! `rewardhub backtest`: what a campaign would have cost over past transactions, under many seeds.
//! Reads only.

mod page;
mod source;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::audit::backtest::{Plan, Run, Scratch, Summary};
use anyhow::Context as _;
use ledger_core::campaign::terms::{RuleCode, Terms};
use ledger_core::time::{Clock as _, Epoch, SystemClock, Timestamp};
use serde::Serialize;

use crate::campaign_file::read_revision;
use crate::commands::support::{At, Ended, Progress};

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("past").required(true).args(["transactions", "from_log"])))]
pub struct Arguments {
    /// The campaign's YAML or JSON file.
    #[arg(long, value_name = "FILE")]
    campaign: PathBuf,
    /// Another one, over the same transactions with the same luck, beside it.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Transactions as NDJSON, in the order in which they came; `-` for standard input.
    #[arg(long, value_name = "FILE|-")]
    transactions: Option<PathBuf>,
    /// The transactions that the ledger has decided; needs its keys.
    #[arg(long)]
    from_log: bool,
    /// As if the campaigns had begun on this day (midnight UTC) and run as long as their files say.
    #[arg(long, value_name = "DATE")]
    as_if_from: Option<Epoch>,
    /// How often the whole past is drawn.
    #[arg(long, value_name = "N", default_value = "100")]
    seeds: NonZeroUsize,
    /// The first seed; the same gives the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    first_seed: u64,
    /// Write a page with plots here, besides the JSON on standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    /// Where the transactions came from.
    source: source::Origin,
    /// Of the campaigns, one each.
    files: Vec<String>,
    written_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_if_from: Option<Epoch>,
    seeds: usize,
    first_seed: u64,
    threads: usize,
    /// For the rules, once per campaign, and for all draws.
    seconds: Seconds,
    campaigns: Vec<Summary>,
}

#[derive(Serialize)]
struct Seconds {
    read: f64,
    rules: f64,
    draws: f64,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let files: Vec<_> = [&arguments.campaign].into_iter().chain(&arguments.against).collect();
    let mut terms = files.iter().map(|file| read_revision(file)).collect::<Result<Vec<_>, _>>()?;
    if let Some(day) = arguments.as_if_from {
        for terms in &mut terms {
            begin_on(terms, day);
        }
    }
    let files = files.iter().map(|file| source::name(file)).collect();
    let began = Instant::now();
    let past = match &arguments.transactions {
        Some(file) => source::file(file)?,
        None => source::log(&arguments.at.config()?).await?,
    };
    let read = began.elapsed();
    let seeds = arguments.seeds.get();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(seeds);
    let report = tokio::task::spawn_blocking(move || {
        let (mut rules, mut draws) = (Duration::ZERO, Duration::ZERO);
        let mut campaigns = vec![];
        for terms in &terms {
            let began = Instant::now();
            let plan = Plan::new(terms, past.lines());
            rules += began.elapsed();
            let began = Instant::now();
            let runs = draw(&plan, seeds, arguments.first_seed, threads);
            draws += began.elapsed();
            campaigns.push(plan.summarise(&runs).context("no seeds")?);
        }
        let seconds =
            Seconds { read: read.as_secs_f64(), rules: rules.as_secs_f64(), draws: draws.as_secs_f64() };
        let (source, first_seed, as_if_from) = (past.origin, arguments.first_seed, arguments.as_if_from);
        let written_at = SystemClock.now();
        anyhow::Ok(Report {
            source,
            files,
            written_at,
            as_if_from,
            seeds,
            first_seed,
            threads,
            seconds,
            campaigns,
        })
    });
    let report = report.await??;
    for campaign in &report.campaigns {
        warn_of_nothing(campaign);
    }
    if let Some(file) = &arguments.html {
        std::fs::write(file, page::page(&report))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(Ended::Fine)
}

/// The window moves as a whole: what is back-tested is as long as what would be approved.
fn begin_on(terms: &mut Terms, day: Epoch) {
    let moved = day.opens_at().micros() - terms.starts_at.micros();
    terms.starts_at = day.opens_at();
    terms.ends_at = terms.ends_at.map(|end| end.plus_micros(moved));
}

/// A campaign that nothing of the past could enter costs nothing, which says nothing.
fn warn_of_nothing(campaign: &Summary) {
    if campaign.admitted > 0 || campaign.lines == 0 {
        return;
    }
    let (id, lines) = (&campaign.campaign_id, campaign.lines);
    let rules: Vec<_> = campaign.declined_by_rule.iter().map(|(rule, n)| format!("{rule} {n}")).collect();
    eprintln!("{id}: none of {lines} transactions is admitted, so it costs nothing: {}", rules.join(", "));
    if campaign.declined_by_rule.get(RuleCode::BeforeCampaign.as_str()) == Some(&lines) {
        eprintln!("{id}: all of them are of before `starts_at`: try --as-if-from DATE");
    }
}

/// Every seed once, spread over threads; in order of the seeds.
fn draw(plan: &Plan, seeds: usize, first_seed: u64, threads: usize) -> Vec<Run> {
    let progress = Progress::new("seeds");
    let next = AtomicU64::new(0);
    let work = || {
        let (mut scratch, mut runs) = (Scratch::default(), vec![]);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= seeds as u64 {
                return runs;
            }
            runs.push((number, plan.run(first_seed.wrapping_add(number), &mut scratch)));
            progress.show(number, Some(seeds as u64));
        }
    };
    let mut runs: Vec<(u64, Run)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    runs.sort_by_key(|(number, _)| *number);
    runs.into_iter().map(|(_, run)| run).collect()
}
