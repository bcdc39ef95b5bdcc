//! `--demo-day`: a whole day before the sandbox begins, with its draws and the reveal of its seed,
//! so that a finished proof can be looked at in the first minute.
//!
//! A clock of its own runs through that day, yesterday, on the new and empty ledger:
//! the seed is committed to before the day, purchases are drawn on it, and its grace of no days is
//! over at midnight. Nothing in the log differs from a day that was lived through.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::campaign::terms::Terms;
use ledger_core::engine::{CommandContext, EngineSettings, KeyringSeeds, Ledger, LedgerParts, SeedVault};
use ledger_core::ids::{Source, TransactionId};
use ledger_core::steps::intake::{Intake, Sources};
use ledger_core::steps::reveal::Reveal;
use ledger_core::time::{Clock, DAY_MICROS, Epoch, SystemClock, Timestamp};
use serde_json::json;

use crate::commands::operate::command_campaign;
use crate::opened::Stores;

/// Its campaign.
pub(super) const CAMPAIGN: &str = "demo-day";
/// Who brings the purchases.
const SOURCE: &str = "demo-bank";
/// How many: with odds of one in four one of them wins all but surely.
const PURCHASES: usize = 40;
const HOUR_MICROS: i64 = DAY_MICROS / 24;

/// Shows the time it was last given.
struct DemoClock(AtomicI64);

impl DemoClock {
    fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

/// Lives through the day; the ledger must be empty.
pub(super) async fn live(stores: &Arc<Stores>, settings: &EngineSettings) -> anyhow::Result<()> {
    let today = Epoch::of(SystemClock.now()).opens_at();
    let hour = |day: i64, hour: i64| today.plus_micros(day * DAY_MICROS + hour * HOUR_MICROS);
    let clock = Arc::new(DemoClock(AtomicI64::new(hour(-2, 12).micros())));
    let seeds: Arc<dyn SeedVault> = Arc::new(KeyringSeeds::new(Arc::clone(&stores.keyring)));
    let parts =
        LedgerParts { log: stores.log.clone(), clock: Arc::clone(&clock) as _, seeds: Arc::clone(&seeds) };
    let (ledger, stopped) = Ledger::start(parts, settings.clone()).await?;

    // The day before: the seed of the day is committed to.
    let terms = terms(hour(-1, 0), hour(0, 0))?;
    let id = terms.campaign_id.clone();
    for (by, kind) in [
        ("sandbox", CampaignCommandKind::Draft(Box::new(terms))),
        ("sandbox-approver", CampaignCommandKind::Approve { version: None }),
        ("sandbox", CampaignCommandKind::Start),
    ] {
        command_campaign(&ledger, &id, kind, by).await?;
    }
    // The day itself.
    clock.set(hour(-1, 0));
    ledger.tick().await?;
    clock.set(hour(-1, 18));
    let intake = Intake::new(ledger.clone(), Arc::clone(&stores.keyring), Arc::clone(&clock) as _, true);
    let rows: Vec<String> = (1..=PURCHASES).map(|number| purchase(number, hour(-1, 9))).collect();
    let rows: Vec<&[u8]> = rows.iter().map(String::as_bytes).collect();
    let answers =
        intake.take(&rows, &Sources::All, CommandContext::new("feed:demo-bank", "", "simulated")).await?;
    if let Some(refused) = answers.iter().find(|answer| answer.outcome.is_err()) {
        bail!("a purchase of the demo day was refused: {:?}", refused.outcome.as_ref().err());
    }
    // Midnight, and its grace of no days is over.
    clock.set(hour(0, 0));
    let step_store = Arc::new(stores.step_store()?);
    let reveal = Reveal::new(ledger.clone(), Arc::clone(&stores.log.events), seeds, step_store);
    reveal.settle().await?;
    drop((reveal, intake, ledger));
    stopped.await.context("the writer of the demo day")?;
    Ok(())
}

fn terms(starts_at: Timestamp, ends_at: Timestamp) -> anyhow::Result<Terms> {
    let table = json!({ "currency": "GBP", "tiers": [
        { "name": "tenner", "odds_ppb": 50_000_000, "prize": { "fixed": 1_000 } },
        { "name": "fiver", "odds_ppb": 200_000_000, "prize": { "fixed": 500 } },
    ] });
    let terms = json!({
        "campaign_id": CAMPAIGN, "name": "Demo Day (by a set clock)", "time_zone": "UTC", "eligible_from": "campaign_start",
        "starts_at": starts_at, "ends_at": ends_at, "prize_table": table, "grace_days": 0,
        "budget": { "minor": 100_000, "currency": "GBP" },
    });
    Ok(serde_json::from_value(terms)?)
}

/// Whose proofs are shown.
pub(super) fn purchases() -> anyhow::Result<Vec<(Source, TransactionId)>> {
    (1..=PURCHASES)
        .map(|number| Ok((Source::parse(SOURCE)?, TransactionId::parse(&transaction_id(number))?)))
        .collect()
}

fn transaction_id(number: usize) -> String {
    format!("demo-{number}")
}

fn purchase(number: usize, first: Timestamp) -> String {
    let booked_at = first.plus_micros(i64::try_from(number).unwrap_or(0) * HOUR_MICROS / 10);
    json!({
        "source": SOURCE, "transaction_id": transaction_id(number), "account_id": "cus_0001", "status": "booked",
        "booked_at": booked_at, "amount": { "minor": "1250", "currency": "GBP" }, "direction": "debit",
        "from_account": "GB29NWBK60161331926819", "description": "COFFEE HOUSE",
        "merchant": { "id": "m_42", "name": "Coffee House", "mcc": "5814", "country": "GB" },
    })
    .to_string()
}
