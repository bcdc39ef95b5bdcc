//! The log on PostgreSQL, part by part, on one server in one run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::figures::Cases;
use crate::ledger_load::LedgerLoad;
use crate::log_location::LogLocation;
use crate::machine::{crates, machine};
use crate::open_loop::{self, Ramp};
use crate::server::Server;
use crate::side_effects::{self, SideEffects};
use crate::speeds::LongSizes;
use crate::{Arguments, Part, brief_day, brief_load, growth, long_accounts, rebuilt, replay, speeds, stages};

/// How much is measured.
struct Sizes {
    accounts: u32,
    speeds: speeds::Sizes,
    replays: usize,
    steady_seconds: u32,
    ramp: Option<Ramp>,
    stage_rows: usize,
    side_effects: side_effects::Sizes,
    long: long_accounts::Sizes,
    growth: usize,
}

const QUICK: Sizes = Sizes {
    accounts: 20_000,
    speeds: speeds::Sizes {
        rounds: 3,
        rounds_within: Duration::from_secs(20),
        transactions: [10_000, 20_000],
        plain: 1_000,
        long: [
            LongSizes { accounts: 200, events: 100, transactions: 5_000, plain: 120 },
            LongSizes { accounts: 24, events: 1_000, transactions: 5_000, plain: 24 },
        ],
        cold_rounds: 1,
        cala_seconds: 2,
    },
    replays: 1,
    steady_seconds: 5,
    ramp: None,
    stage_rows: 5_000,
    side_effects: side_effects::Sizes { accounts: 2_000, rounds: 2, transactions: 10_000 },
    long: long_accounts::Sizes {
        accounts: 2,
        events: 10_000,
        others: 2_000,
        rounds: 2,
        transactions: 5_000,
        restarts: 1,
    },
    growth: 0,
};
const FULL: Sizes = Sizes {
    accounts: 100_000,
    speeds: speeds::Sizes {
        rounds: 5,
        rounds_within: Duration::from_mins(3),
        transactions: [40_000, 40_000],
        plain: 8_000,
        long: [
            LongSizes { accounts: 3_000, events: 100, transactions: 20_000, plain: 1_600 },
            LongSizes { accounts: 320, events: 1_000, transactions: 20_000, plain: 320 },
        ],
        cold_rounds: 1,
        cala_seconds: 10,
    },
    replays: 1,
    steady_seconds: 20,
    ramp: Some(Ramp { from_rate: 100, to_rate: 5_000, over_seconds: 60, hold_seconds: 10 }),
    stage_rows: 20_000,
    side_effects: side_effects::Sizes { accounts: 20_000, rounds: 5, transactions: 40_000 },
    long: long_accounts::Sizes {
        accounts: 2,
        events: 100_000,
        others: 20_000,
        rounds: 5,
        transactions: 20_000,
        restarts: 5,
    },
    growth: 1_000_000,
};
const CRATES: &[&str] = &["cqrs-es", "postgres-es", "sqlx", "tokio-postgres"];
/// Parts that share one ledger, in this order.
const ON_ONE_LEDGER: [Part; 6] =
    [Part::Speeds, Part::Replay, Part::Latency, Part::Brief, Part::Day, Part::Stages];

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let server = Arc::new(Server::start(arguments.url.clone()).await?);
    let mut bench = Bench {
        arguments,
        sizes: if arguments.quick { &QUICK } else { &FULL },
        location: LogLocation::Postgres(Arc::clone(&server)),
        server: Arc::clone(&server),
        cases: Cases::default(),
        report: Map::new(),
    };
    let measured = tokio::select! {
        measured = bench.measure() => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Also after a failure: it is somebody's server.
    server.clean().await?;
    measured?;
    bench.report.insert("cases".into(), serde_json::to_value(bench.cases.0)?);
    Ok(Value::Object(bench.report))
}

/// What is measured, and what came of it so far.
struct Bench<'a> {
    arguments: &'a Arguments,
    sizes: &'a Sizes,
    location: LogLocation,
    server: Arc<Server>,
    cases: Cases,
    report: Map<String, Value>,
}

impl Bench<'_> {
    async fn measure(&mut self) -> anyhow::Result<()> {
        self.tell("machine", machine());
        self.tell("server", self.server.describe().await?);
        self.tell("crates", crates(CRATES));
        if ON_ONE_LEDGER.into_iter().any(|part| self.arguments.wants(part)) {
            let mut load = LedgerLoad::open(&self.location, self.sizes.accounts).await?;
            for part in ON_ONE_LEDGER {
                if self.arguments.wants(part) {
                    load = self.on_one_ledger(part, load).await?;
                }
            }
            load.close().await?;
        }
        if self.arguments.wants(Part::Beside) || self.arguments.wants(Part::Rebuild) {
            self.read_models().await?;
        }
        if self.arguments.wants(Part::Long) {
            let long = long_accounts::measure(&self.location, &self.sizes.long, &mut self.cases).await?;
            self.tell("long", long);
        }
        if self.arguments.wants(Part::Growth) {
            let upto = self.arguments.growth.unwrap_or(self.sizes.growth);
            let growth = growth::measure(&self.location, upto).await?;
            self.tell("growth", growth);
        }
        Ok(())
    }

    async fn on_one_ledger(&mut self, part: Part, mut load: LedgerLoad) -> anyhow::Result<LedgerLoad> {
        match part {
            Part::Speeds => {
                let cala = self.arguments.cala.as_deref();
                let (sizes, cases) = (&self.sizes.speeds, &mut self.cases);
                let speeds;
                (load, speeds) = speeds::measure(load, &self.server, sizes, cala, cases).await?;
                self.tell("speeds", speeds);
            }
            Part::Replay => {
                let replay = replay::measure(&load.engine.log, self.sizes.replays).await?;
                let mut compare =
                    |name, speed| self.cases.compare(name, speed, "reading the log", &replay.read);
                compare("replay: links, state, balances", &replay.checked);
                compare("replay: state only", &replay.state);
            }
            Part::Latency => self.latency(&mut load).await?,
            Part::Brief => self.tell("brief", brief_load::measure(&mut load).await?),
            Part::Day => self.tell("day", brief_day::measure(&self.location, &mut load).await?),
            Part::Stages => {
                let stages = stages::measure(&self.location, &mut load, self.sizes.stage_rows).await?;
                self.tell("stages_us_per_transaction", stages);
            }
            Part::Beside | Part::Rebuild | Part::Long | Part::Growth => {}
        }
        Ok(load)
    }

    async fn latency(&mut self, load: &mut LedgerLoad) -> anyhow::Result<()> {
        let mut steady = Vec::new();
        for rate in &self.arguments.rate {
            steady.push(open_loop::steady(load, *rate, self.sizes.steady_seconds).await?);
        }
        self.tell("open_loop", steady);
        if let Some(ramp) = self.sizes.ramp {
            self.tell("ramp", open_loop::ramp(load, ramp).await?);
        }
        Ok(())
    }

    /// A rebuild needs what the other part leaves behind.
    async fn read_models(&mut self) -> anyhow::Result<()> {
        let sizes = &self.sizes.side_effects;
        let mut side_effects = SideEffects::open(&self.server, sizes).await?;
        if self.arguments.wants(Part::Beside) {
            let figures = side_effects.measure(sizes, &mut self.cases).await?;
            self.tell("beside", figures);
        } else {
            side_effects.fill(sizes.rounds * sizes.transactions).await?;
        }
        if self.arguments.wants(Part::Rebuild) {
            self.tell("rebuild", rebuilt::measure(&side_effects.with).await?);
        }
        side_effects.close().await
    }

    fn tell(&mut self, name: &str, value: impl Into<Value>) {
        self.report.insert(name.into(), value.into());
    }
}
