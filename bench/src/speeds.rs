//! Throughput: the log on PostgreSQL beside postgres-es and bare inserts, case by case in turns.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bank::Bank;
use crate::cala::{self, Cala};
use crate::figures::{Cases, Samples, closed_loop};
use crate::ledger_load::LedgerLoad;
use crate::plain::{self, Plain};
use crate::raw::RawPostgres;
use crate::server::Server;
use crate::{CHUNKS, read};

/// How much is measured.
pub(crate) struct Sizes {
    pub(crate) rounds: usize,
    /// On a slow or busy machine there are fewer rounds, at least one.
    pub(crate) rounds_within: Duration,
    /// Transactions of one case in one round: enough for some requests of each of [`CHUNKS`] at
    /// once.
    pub(crate) transactions: [usize; 2],
    /// Commands of plain cqrs-es with no history, in one round.
    pub(crate) plain: usize,
    pub(crate) long: [LongSizes; 2],
    pub(crate) cold_rounds: usize,
    pub(crate) cala_seconds: u32,
}

/// Accounts with history.
pub(crate) struct LongSizes {
    pub(crate) accounts: u32,
    /// Of each account, more or less: transactions go to accounts by chance.
    pub(crate) events: usize,
    /// In one round: few enough that the history stays about as long.
    pub(crate) transactions: usize,
    /// Commands of plain cqrs-es in one round.
    pub(crate) plain: usize,
}

/// Adds the cases; answers the ledger, warm, and what else there is to report.
pub(crate) async fn measure(
    load: LedgerLoad,
    server: &Server,
    sizes: &Sizes,
    cala: Option<&Path>,
    cases: &mut Cases,
) -> anyhow::Result<(LedgerLoad, Value)> {
    let mut turns = Turns::prepare(load, server, sizes).await?;
    let began = Instant::now();
    let mut rounds = 0;
    turns.round(0).await?;
    while rounds < sizes.rounds && (rounds == 0 || began.elapsed() < sizes.rounds_within) {
        rounds += 1;
        turns.round(rounds).await?;
    }
    let Turns { load, mut speeds, .. } = turns;
    speeds.tell(cases);
    if let Some(program) = cala {
        compare_with_cala(cases, &speeds, &cala::measure(program, server, sizes.cala_seconds).await?);
    }
    let (load, cold) = cold(load, sizes).await?;
    cases.compare("transactions by 1000, cold cache", &cold, BY_1000, &speeds.by[0].new);
    let latencies = CHUNKS.into_iter().zip(speeds.by.iter_mut().map(|by| &mut by.latencies));
    Ok((load, json!({ "rounds": rounds, "latency": closed_loop(latencies) })))
}

/// What takes turns, and how fast it was.
struct Turns<'a> {
    sizes: &'a Sizes,
    load: LedgerLoad,
    /// Customers with history, as [`Sizes::long`] says.
    long: [Bank; 2],
    plain: Plain,
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
pub(crate) const BY_1000: &str = "transactions by 1000";
/// Of every ten lines of a poll of 30 days, how many are new.
const NEW_OF_TEN: usize = 1;

impl<'a> Turns<'a> {
    async fn prepare(load: LedgerLoad, server: &Server, sizes: &'a Sizes) -> anyhow::Result<Turns<'a>> {
        let url = server.empty_database().await?;
        let plain = Plain::postgres(&url).await?;
        let raw = RawPostgres::open(server).await?;
        let [short, long] = &sizes.long;
        let long = [Bank::open("hun", short.accounts)?, Bank::open("tho", long.accounts)?];
        let mut turns = Turns { sizes, load, long, plain, raw, speeds: Speeds::default() };
        turns.make_histories(&url).await?;
        Ok(turns)
    }

    /// Through the ledger itself; plain cqrs-es gets the same events.
    async fn make_histories(&mut self, plain: &str) -> anyhow::Result<()> {
        let before = self.load.position();
        for (bank, sizes) in self.long.iter_mut().zip(&self.sizes.long) {
            self.load.enrol_with_history(bank, sizes.events).await?;
        }
        plain::load(plain, &read(&*self.load.engine.log, before).await?).await
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

    /// Over all accounts, new and again; the same events bare, and some of them through plain
    /// cqrs-es.
    async fn spread(&mut self, n: usize) -> anyhow::Result<()> {
        let rows = self.load.rows(self.sizes.transactions[n])?;
        let before = self.load.position();
        let taken = self.load.take(&rows, CHUNKS[n]).await?;
        let repeated = self.load.take(&rows, CHUNKS[n]).await?;
        let events = read(&*self.load.engine.log, before).await?;
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
        let rows = self.long[n].rows(self.sizes.long[n].transactions, self.load.engine.clock.now())?;
        let before = self.load.position();
        let taken = self.load.take(&rows, CHUNKS[0]).await?;
        let few = self.load.engine.log.read_after(before, self.sizes.long[n].plain).await?;
        let (ours, plain) = &mut self.speeds.long[n];
        ours.push(rows.len(), taken.elapsed);
        plain.push(few.len(), self.plain.execute(&few).await?);
        Ok(())
    }

    /// Half of the load on one account.
    async fn hot(&mut self) -> anyhow::Result<()> {
        let rows = self.load.rows_half_hot(self.sizes.transactions[0])?;
        self.speeds.hot.push(rows.len(), self.load.take(&rows, CHUNKS[0]).await?.elapsed);
        Ok(())
    }

    /// A poll of 30 days: most of its lines are known.
    async fn mostly_repeats(&mut self) -> anyhow::Result<()> {
        let known = self.load.rows(self.sizes.transactions[0] * (10 - NEW_OF_TEN) / 10)?;
        self.load.take(&known, CHUNKS[1]).await?;
        let new = self.load.rows(self.sizes.transactions[0] * NEW_OF_TEN / 10)?;
        let mut rows = Vec::with_capacity(known.len() + new.len());
        for (known, new) in known.chunks(10 - NEW_OF_TEN).zip(new.chunks(NEW_OF_TEN)) {
            rows.extend_from_slice(new);
            rows.extend_from_slice(known);
        }
        self.speeds.mostly_repeats.push(rows.len(), self.load.take(&rows, CHUNKS[0]).await?.elapsed);
        Ok(())
    }
}

impl Speeds {
    fn tell(&self, cases: &mut Cases) {
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
async fn cold(mut load: LedgerLoad, sizes: &Sizes) -> anyhow::Result<(LedgerLoad, Samples)> {
    let mut cold = Samples::default();
    for _ in 0..sizes.cold_rounds {
        load = load.reopen().await?;
        let rows = load.rows(sizes.transactions[0])?;
        cold.push(rows.len(), load.take(&rows, CHUNKS[0]).await?.elapsed);
    }
    Ok((load, cold))
}
