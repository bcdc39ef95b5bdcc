//! The systems outside, as the configuration names them. The node sees their ports alone.
//!
//! The key provider is not among them. The stores need it before there is a node, and so do
//! commands that never have one: it is chosen in `opened.rs`. Feeds have no port yet.

use std::sync::Arc;

use adapters::drand::DrandServer;
use adapters::sandbox::{Misbehaviour, RecordingNotifier, SandboxRail};
use ledger_core::steps::ports::{BeaconSource, Confirmations, Notifier, PayoutRail};

use crate::config::Config;
use crate::node::Engine;

/// Whom the steps ask, pay and tell.
pub struct Outside {
    /// Pays rewards.
    pub rail: Arc<dyn PayoutRail>,
    /// What the rail says by itself.
    pub confirmations: Box<dyn Confirmations>,
    /// Tells customers.
    pub notifier: Arc<dyn Notifier>,
    /// Asked in this order, and only for campaigns that wait for a beacon.
    pub beacons: Vec<Arc<dyn BeaconSource>>,
}

/// Notifications the sandbox remembers.
const NOTIFICATIONS: usize = 10_000;
/// Late confirmations that may wait.
const CONFIRMATIONS: usize = 1_024;

impl Outside {
    /// What the configuration names. `payout` and `notifier` can only be the sandbox's so far.
    pub fn open(engine: &Engine, config: &Config) -> anyhow::Result<Outside> {
        Outside::sandbox(engine, Misbehaviour::none(), &config.beacon_urls)
    }

    /// A rail and a notifier of our own, and real beacons.
    pub fn sandbox(
        engine: &Engine,
        misbehaviour: Misbehaviour,
        beacon_urls: &[String],
    ) -> anyhow::Result<Outside> {
        let rail = SandboxRail::open(&engine.make_rail()?, misbehaviour, Arc::clone(&engine.clock))?;
        Ok(Outside {
            confirmations: Box::new(rail.confirmations(CONFIRMATIONS)),
            rail: Arc::new(rail),
            notifier: Arc::new(RecordingNotifier::new(NOTIFICATIONS)),
            beacons: beacon_urls.iter().map(|url| Arc::new(DrandServer::new(url)) as _).collect(),
        })
    }
}
