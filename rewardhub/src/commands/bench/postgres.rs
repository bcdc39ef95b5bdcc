//! The log on PostgreSQL beside postgres-es and bare inserts, on one server in one run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bank::Bank;
use super::cala::{self, Cala};
use super::figures::{Cases, Samples, closed_loop};
use super::home::Home;
use super::machine::{crates, machine};
use super::open_loop::{self, Ramp};
use super::ours::Ours;
use super::plain::PlainPostgres;
use super::raw::RawPostgres;
use super::server::Server;
use super::{Arguments, CHUNKS, day, growth, read, replay, stages};

/// How much is measured.
struct Sizes {
    accounts: u32,
    rounds: usize,
    /// On a slow or busy machine there are fewer rounds, at least one.
    rounds_within: Duration,
    /// Transactions of one case in one round: enough for some requests of each of [`CHUNKS`] at once.
    transactions: [usize; 2],
    /// Commands of plain cqrs-es with no history, in one round.
    plain: usize,
    long: [LongSizes; 2],
    stage_rows: usize,
    cold_rounds: usize,
    replays: usize,
    steady_seconds: u32,
    ramp: Option<Ramp>,
    growth: usize,
    cala_seconds: u32,
}

/// Accounts with history.
struct LongSizes {
    accounts: u32,
    /// Of each account, more or less: transactions go to accounts by chance.
    events: u32,
    /// In one round: few enough that the history stays about as long.
    transactions: usize,
    /// Commands of plain cqrs-es in one round.
    plain: usize,
}

const QUICK: Sizes = Sizes {
    accounts: 20_000,
    rounds: 3,
    rounds_within: Duration::from_secs(20),
    transactions: [10_000, 20_000],
    plain: 1_000,
    long: [
        LongSizes { accounts: 200, events: 100, transactions: 5_000, plain: 120 },
        LongSizes { accounts: 24, events: 1_000, transactions: 5_000, plain: 24 },
    ],
    stage_rows: 5_000,
    cold_rounds: 1,
    replays: 1,
    steady_seconds: 5,
    ramp: None,
    growth: 0,
    cala_seconds: 2,
};
const FULL: Sizes = Sizes {
    accounts: 100_000,
    rounds: 5,
    rounds_within: Duration::from_mins(3),
    transactions: [40_000, 40_000],
    plain: 8_000,
    long: [
        LongSizes { accounts: 3_000, events: 100, transactions: 20_000, plain: 1_600 },
        LongSizes { accounts: 320, events: 1_000, transactions: 20_000, plain: 320 },
    ],
    stage_rows: 20_000,
    cold_rounds: 1,
    replays: 1,
    steady_seconds: 20,
    ramp: Some(Ramp { from_rate: 100, to_rate: 5_000, over_seconds: 60, hold_seconds: 10 }),
    growth: 1_000_000,
    cala_seconds: 10,
};
const CRATES: &[&str] = &["cqrs-es", "postgres-es", "sqlx", "tokio-postgres"];

pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let server = Arc::new(Server::start(arguments.url.clone()).await?);
    let measured = tokio::select! {
        measured = measure(arguments, &server) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Also after a failure: it is somebody's server.
    server.clean().await?;
    measured
}

async fn measure(arguments: &Arguments, server: &Arc<Server>) -> anyhow::Result<Value> {
    let sizes = if arguments.quick { &QUICK } else { &FULL };
    let home = Home::Postgres(Arc::clone(server));
    let mut bench = Bench::open(&home, server, sizes).await?;
    let began = Instant::now();
    let mut rounds = 0;
    bench.round(0).await?;
    while rounds < sizes.rounds && (rounds == 0 || began.elapsed() < sizes.rounds_within) {
        rounds += 1;
        bench.round(rounds).await?;
    }
    let cala = match &arguments.cala {
        Some(program) => Some(cala::measure(program, server, sizes.cala_seconds).await?),
        None => None,
    };
    let Bench { ours, mut speeds, .. } = bench;
    let (mut ours, cold) = cold(ours, sizes).await?;
    let replay = replay::measure(&ours.engine.log, sizes.replays).await?;
    let mut steady = Vec::new();
    for rate in &arguments.rate {
        steady.push(open_loop::steady(&mut ours, *rate, sizes.steady_seconds).await?);
    }
    let ramp = match sizes.ramp {
        Some(ramp) => Some(open_loop::ramp(&mut ours, ramp).await?),
        None => None,
    };
    let day = day::measure(&home, &mut ours).await?;
    let stages = stages::measure(&home, &mut ours, sizes.stage_rows).await?;
    ours.close().await?;
    let growth = growth::measure(&home, arguments.growth.unwrap_or(sizes.growth)).await?;

    let mut cases = speeds.cases();
    cases.compare("transactions by 1000, cold cache", &cold, BY_1000, &speeds.by[0].new);
    cases.compare("replay: links, state, balances", &replay.checked, "reading the log", &replay.read);
    cases.compare("replay: state only", &replay.state, "reading the log", &replay.read);
    if let Some(cala) = &cala {
        compare_with_cala(&mut cases, &speeds, cala);
    }
    let latencies = CHUNKS.into_iter().zip(speeds.by.iter_mut().map(|by| &mut by.latencies));
    Ok(json!({
        "machine": machine(),
        "server": server.describe().await?,
        "crates": crates(CRATES),
        "rounds": rounds,
        "cases": cases.0,
        "latency": closed_loop(latencies),
        "open_loop": steady,
        "ramp": ramp,
        "day": day,
        "stages_us_per_transaction": stages,
        "growth": growth,
    }))
}

/// What takes turns, and how fast it was.
struct Bench<'a> {
    sizes: &'a Sizes,
    ours: Ours,
    /// Customers with history, as [`Sizes::long`] says.
    long: [Bank; 2],
    plain: PlainPostgres,
    raw: RawPostgres,
    speeds: Speeds,
}

#[derive(Default)]
struct Speeds {
    /// One for each of [`CHUNKS`], without history.
    by: [By; 2],
    /// Plain cqrs-es without history.
    plain: Samples,
    /// With history, ours and plain cqrs-es.
    long: [(Samples, Samples); 2],
    hot: Samples,
    mostly_repeats: Samples,
}

#[derive(Default)]
struct By {
    new: Samples,
    repeats: Samples,
    bare: Samples,
    latencies: Vec<Duration>,
}

/// What takes a turn.
#[derive(Clone, Copy)]
enum Turn {
    By(usize),
    Long(usize),
    Hot,
    MostlyRepeats,
}

const TURNS: [Turn; 6] =
    [Turn::By(0), Turn::Long(0), Turn::Hot, Turn::By(1), Turn::Long(1), Turn::MostlyRepeats];
const BY_1000: &str = "transactions by 1000";
/// Lines in memory at once while histories are made.
const HISTORY_BLOCK: usize = 50_000;
/// Of every ten lines of a poll of 30 days, how many are new.
const NEW_OF_TEN: usize = 1;

impl<'a> Bench<'a> {
    async fn open(home: &Home, server: &Server, sizes: &'a Sizes) -> anyhow::Result<Bench<'a>> {
        let ours = Ours::open(home, sizes.accounts).await?;
        let plain = PlainPostgres::open(server).await?;
        let raw = RawPostgres::open(server).await?;
        let [short, long] = &sizes.long;
        let long = [Bank::open("hun", short.accounts)?, Bank::open("tho", long.accounts)?];
        let mut bench = Bench { sizes, ours, long, plain, raw, speeds: Speeds::default() };
        bench.make_histories().await?;
        Ok(bench)
    }

    /// Through the ledger itself; plain cqrs-es gets the same events.
    async fn make_histories(&mut self) -> anyhow::Result<()> {
        let before = self.ours.position();
        for (bank, sizes) in self.long.iter_mut().zip(&self.sizes.long) {
            self.ours.enrol(bank).await?;
            // A bank's lines are spread evenly in the long run.
            let mut missing = sizes.accounts as usize * sizes.events as usize;
            while missing > 0 {
                let rows = bank.rows(missing.min(HISTORY_BLOCK), self.ours.engine.clock.now())?;
                self.ours.take(&rows, CHUNKS[1]).await?;
                missing -= rows.len();
            }
        }
        self.plain.load(&read(&*self.ours.engine.log, before).await?).await
    }

    /// Round 0 warms up. The turn moves on, so that no case always follows the same one.
    async fn round(&mut self, round: usize) -> anyhow::Result<()> {
        let mut turns = TURNS;
        turns.rotate_left(round % TURNS.len());
        for turn in turns {
            match turn {
                Turn::By(n) => self.spread(n).await?,
                Turn::Long(n) => self.long(n).await?,
                Turn::Hot => self.hot().await?,
                Turn::MostlyRepeats => self.mostly_repeats().await?,
            }
        }
        if round == 0 {
            self.speeds = Speeds::default();
        }
        Ok(())
    }

    /// Over all accounts, new and again; the same events bare, and some of them through plain cqrs-es.
    async fn spread(&mut self, n: usize) -> anyhow::Result<()> {
        let rows = self.ours.rows(self.sizes.transactions[n])?;
        let before = self.ours.position();
        let taken = self.ours.take(&rows, CHUNKS[n]).await?;
        let repeated = self.ours.take(&rows, CHUNKS[n]).await?;
        let events = read(&*self.ours.engine.log, before).await?;
        let inserted = self.raw.insert(&events, CHUNKS[n]).await?;
        let by = &mut self.speeds.by[n];
        by.new.push(rows.len(), taken.elapsed);
        by.repeats.push(rows.len(), repeated.elapsed);
        by.bare.push(events.len(), inserted);
        by.latencies.extend(taken.chunks);
        if n == 0 {
            let few = &events[..events.len().min(self.sizes.plain)];
            self.speeds.plain.push(few.len(), self.plain.execute(few).await?);
        }
        Ok(())
    }

    /// Accounts with history, in memory since it was made.
    async fn long(&mut self, n: usize) -> anyhow::Result<()> {
        let rows = self.long[n].rows(self.sizes.long[n].transactions, self.ours.engine.clock.now())?;
        let before = self.ours.position();
        let taken = self.ours.take(&rows, CHUNKS[0]).await?;
        let few = self.ours.engine.log.read_after(before, self.sizes.long[n].plain).await?;
        let (ours, plain) = &mut self.speeds.long[n];
        ours.push(rows.len(), taken.elapsed);
        plain.push(few.len(), self.plain.execute(&few).await?);
        Ok(())
    }

    /// Half of the load on one account.
    async fn hot(&mut self) -> anyhow::Result<()> {
        let rows = self.ours.rows_half_hot(self.sizes.transactions[0])?;
        self.speeds.hot.push(rows.len(), self.ours.take(&rows, CHUNKS[0]).await?.elapsed);
        Ok(())
    }

    /// A poll of 30 days: most of its lines are known.
    async fn mostly_repeats(&mut self) -> anyhow::Result<()> {
        let known = self.ours.rows(self.sizes.transactions[0] * (10 - NEW_OF_TEN) / 10)?;
        self.ours.take(&known, CHUNKS[1]).await?;
        let new = self.ours.rows(self.sizes.transactions[0] * NEW_OF_TEN / 10)?;
        let mut rows = Vec::with_capacity(known.len() + new.len());
        for (known, new) in known.chunks(10 - NEW_OF_TEN).zip(new.chunks(NEW_OF_TEN)) {
            rows.extend_from_slice(new);
            rows.extend_from_slice(known);
        }
        self.speeds.mostly_repeats.push(rows.len(), self.ours.take(&rows, CHUNKS[0]).await?.elapsed);
        Ok(())
    }
}

impl Speeds {
    fn cases(&self) -> Cases {
        let mut cases = Cases::default();
        let plain = |history: &str| format!("cqrs-es with postgres-es, 8 tasks, {history}");
        for (chunk, by) in CHUNKS.into_iter().zip(&self.by) {
            let name = format!("transactions by {chunk}");
            cases.compare(&name, &by.new, &plain("no history"), &self.plain);
            let bare = format!("bare inserts of the same events by {chunk}, no head row");
            cases.compare(&name, &by.new, &bare, &by.bare);
            cases.compare(&format!("repeats by {chunk}"), &by.repeats, &name, &by.new);
        }
        let spread = &self.by[0];
        for ((ours, postgres_es), events) in self.long.iter().zip([100, 1_000]) {
            let name = format!("transactions by 1000, {events} events of history");
            cases.compare(&name, ours, &plain(&format!("{events} events of history")), postgres_es);
            cases.compare(&name, ours, "bare inserts of the same events by 1000, no head row", &spread.bare);
        }
        cases.compare("transactions by 1000, half of them of one account", &self.hot, BY_1000, &spread.new);
        cases.compare("transactions by 1000, 90 % repeats", &self.mostly_repeats, BY_1000, &spread.new);
        cases
    }
}

fn compare_with_cala(cases: &mut Cases, speeds: &Speeds, cala: &Cala) {
    let Cala { version, tasks, per_second, batch, batched_per_second } = cala;
    let spread = &speeds.by[0].new;
    let name = format!("cala-ledger {version}, two entries, {tasks} tasks");
    cases.compare(BY_1000, spread, &name, &Samples::once(*per_second));
    let name = format!("cala-ledger {version}, two entries, {batch} in a commit");
    cases.compare(BY_1000, spread, &name, &Samples::once(*batched_per_second));
}

/// With no account in memory.
async fn cold(mut ours: Ours, sizes: &Sizes) -> anyhow::Result<(Ours, Samples)> {
    let mut cold = Samples::default();
    for _ in 0..sizes.cold_rounds {
        ours = ours.reopen().await?;
        let rows = ours.rows(sizes.transactions[0])?;
        cold.push(rows.len(), ours.take(&rows, CHUNKS[0]).await?.elapsed);
    }
    Ok((ours, cold))
}
