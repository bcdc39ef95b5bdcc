//! How fast history is read, replayed into fresh state, and replayed with every check of an audit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use audit::replay::Replay;
use cqrs_es::Aggregate as _;
use ledger_core::account::RewardAccount;
use ledger_core::campaign::Campaign;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::Digest;
use ledger_core::log::{EventLog, Position, StreamId};

use crate::PAGE;
use crate::figures::Samples;

#[derive(Default)]
pub(crate) struct Speeds {
    /// Events as stored.
    pub(crate) read: Samples,
    /// Decoded and applied to fresh state.
    pub(crate) state: Samples,
    /// With links, hashes, keys and balances checked.
    pub(crate) checked: Samples,
}

pub(crate) async fn measure(log: &Arc<dyn EventLog>, rounds: usize) -> anyhow::Result<Speeds> {
    let mut speeds = Speeds::default();
    for _ in 0..rounds {
        let began = Instant::now();
        let (mut position, mut events) = (Position(0), 0);
        while let Some(last) = {
            let page = log.read_after(position, PAGE).await?;
            events += page.len();
            page.last().map(|event| event.position)
        } {
            position = last;
        }
        speeds.read.push(events, began.elapsed());

        let began = Instant::now();
        state(log).await?;
        speeds.state.push(events, began.elapsed());

        let began = Instant::now();
        let summary = Replay::run(&**log, |_| {}).await?.finish();
        speeds.checked.push(events, began.elapsed());
        ensure!(summary.findings_total == 0, "the log does not replay: {:?}", summary.findings);
    }
    Ok(speeds)
}

/// What a restart would do to have everything in memory: each stream's state, version and last
/// hash.
async fn state(log: &Arc<dyn EventLog>) -> anyhow::Result<()> {
    let mut accounts: HashMap<StreamId, (RewardAccount, u64, Digest)> = HashMap::new();
    let mut campaigns: HashMap<StreamId, Campaign> = HashMap::new();
    let mut next = log.read_after(Position(0), PAGE).await?;
    while let Some(last) = next.last().map(|event| event.position) {
        let page = tokio::task::spawn_blocking(move || {
            next.into_iter().map(|stored| Ok((decode(&stored)?, stored))).collect::<anyhow::Result<Vec<_>>>()
        });
        let (following, page) = tokio::join!(log.read_after(last, PAGE), page);
        for (event, stored) in page?? {
            match event {
                LedgerEvent::Account(event) => {
                    let slot = accounts
                        .entry(stored.stream)
                        .or_insert_with(|| (RewardAccount::default(), 0, Digest([0; 32])));
                    slot.0.apply(event);
                    (slot.1, slot.2) = (stored.sequence, stored.hash);
                }
                LedgerEvent::Campaign(event) => campaigns.entry(stored.stream).or_default().apply(event),
                LedgerEvent::System(_) => {}
            }
        }
        next = following?;
    }
    Ok(())
}
