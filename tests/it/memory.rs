//! What a process takes while it takes in and catches up with more than its memory holds. In full
//! by `scripts/memory`.

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use rewardhub_tests::rows::{campaign, purchase};
use rewardhub_tests::{Home, Running, Sandbox, eventually, text};
use stores::testing::Cluster;

/// Lines of one file; an `ingest` for each.
const FILE_LINES: usize = 100_000;

/// Peak and present resident size of a process, in MiB.
#[derive(Clone, Copy, Debug, Default)]
struct Resident {
    peak: u64,
    anonymous: u64,
    files: u64,
}

impl fmt::Display for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resident { peak, anonymous, files } = self;
        write!(f, "{peak} MiB at most; last {anonymous} of its own and {files} of files")
    }
}

impl Resident {
    fn of(id: u32) -> Option<Resident> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
        };
        Some(Resident { peak: field("VmHWM:")?, anonymous: field("RssAnon:")?, files: field("RssFile:")? })
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn lines(from: usize, count: usize, customers: usize) -> String {
    let mut row = purchase("", "");
    let mut file = String::with_capacity(count * 500);
    for n in from..from + count {
        row["transaction_id"] = format!("t{n}").into();
        // Everybody in turn, in another order each time.
        row["account_id"] = format!("cus_{}", (n * 7_919) % customers).into();
        row["merchant"]["id"] = format!("m_{}", (n * 31) % 997).into();
        writeln!(file, "{row}").unwrap();
    }
    file
}

/// Waits for its end; how large it became.
fn ended(mut running: Running) -> Resident {
    let mut last = Resident::default();
    while running.ended().is_none() {
        last = Resident::of(running.id()).unwrap_or(last);
        std::thread::sleep(Duration::from_millis(20));
    }
    running.finish();
    last
}

fn caught_up(service: &Sandbox, patience: Duration) -> Resident {
    let (mut last, mut told) = (Resident::default(), Instant::now());
    eventually("steps and read models to have seen all", patience, || {
        last = Resident::of(service.id()).unwrap_or(last);
        let metrics = service.get("/metrics").body.as_str().unwrap_or_default().to_owned();
        let value = |start: &str| -> Vec<f64> {
            let lines = metrics.lines().filter(|line| line.starts_with(start));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect()
        };
        let (head, steps) = (value("rewardhub_ledger_position "), value("rewardhub_step_position{"));
        let read = value("rewardhub_projection_position{");
        if told.elapsed() > Duration::from_secs(20) {
            told = Instant::now();
            println!("  head {head:?} steps {steps:?} read models {read:?} {last}");
        }
        let at = |places: &[f64]| places.iter().copied().fold(f64::MAX, f64::min);
        let done = !steps.is_empty() && !read.is_empty() && at(&read) >= at(&head) && at(&steps) >= at(&head);
        if !done {
            std::thread::sleep(Duration::from_millis(300));
        }
        (done && !head.is_empty()).then_some(())
    });
    last
}

/// Takes in, in as many commands as there are files, then serves until everything has been seen.
fn take_in_and_catch_up(home: &Home, transactions: usize, customers: usize) -> (Resident, Resident) {
    home.start_campaign("some", &campaign("some", 20_000_000, 250, 1_000_000_000));
    let mut taking = Resident::default();
    let began = Instant::now();
    for from in (0..transactions).step_by(FILE_LINES) {
        let count = FILE_LINES.min(transactions - from);
        let file = home.write("rows.ndjson", lines(from, count, customers));
        let resident = ended(home.spawn(&["ingest", text(&file)]));
        println!("  {} lines in {:?}: {resident}", from + count, began.elapsed());
        taking.peak = taking.peak.max(resident.peak);
    }
    let began = Instant::now();
    let service = home.listen(&[]);
    let serving = caught_up(&service, Duration::from_hours(3));
    println!("  caught up in {:?}: {serving}", began.elapsed());
    service.stop();
    (taking, serving)
}

#[test]
#[ignore = "takes long: scripts/memory"]
fn so_much_memory_does_for_more_customers_than_it_holds() {
    let (transactions, customers) = (number("TRANSACTIONS", 1_500_000), number("CUSTOMERS", 50_000));
    let max = number("MEMORY_MIB", 512);
    let setting = format!("{max}MiB");
    let mut environment = vec![
        ("REWARDHUB_MEMORY_MAX", setting.as_str()),
        ("REWARDHUB_ENROLMENT", "open"),
        ("REWARDHUB_TOKENS_JWKS", "sandbox"),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let on_postgres = std::env::var("LOG").is_ok_and(|log| log == "postgres");
    let cluster = on_postgres.then(|| runtime.block_on(Cluster::start(&["shared_buffers=256MB"])).unwrap());
    let url = cluster.as_ref().map(|cluster| runtime.block_on(cluster.database()).unwrap());
    if let Some(url) = &url {
        environment.push(("REWARDHUB_LOG", url));
    }
    let home = Home::with(&environment);
    println!(
        "{transactions} transactions of {customers} customers in {max} MiB, on {}",
        if on_postgres { "PostgreSQL" } else { "SQLite" }
    );
    let (taking, serving) = take_in_and_catch_up(&home, transactions, customers);
    println!("peaks: ingest {} MiB, serve {} MiB", taking.peak, serving.peak);
    for resident in [taking, serving] {
        assert!(resident.peak < max as u64, "{resident} is more than {max} MiB");
    }
}
