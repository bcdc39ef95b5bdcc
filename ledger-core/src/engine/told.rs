//! What the writer tells of itself, as it changes: where the log stands, whether the last append went
//! well, and what people have set for the ledger as a whole. All of it is durable.

use tokio::sync::watch;

use crate::figures::figure;
use crate::log::{Batch, Position, SYSTEM_STREAM, StreamType};
use crate::system::{Switch, System};

use super::core::Core;

/// Whoever listens.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) head: watch::Receiver<Position>,
    pub(super) healthy: watch::Receiver<bool>,
    pub(super) system: watch::Receiver<System>,
}

/// Who tells.
pub(super) struct Tells {
    head: watch::Sender<Position>,
    healthy: watch::Sender<bool>,
    system: watch::Sender<System>,
    /// What is set once the append under way has landed, where that is something new.
    appending: Option<System>,
}

/// Who tells, and who listens.
pub(super) fn channels() -> (Tells, Told) {
    let (head, heard) = watch::channel(Position(0));
    let (healthy, is_healthy) = watch::channel(true);
    let (system, set) = watch::channel(System::default());
    (Tells { head, healthy, system, appending: None }, Told { head: heard, healthy: is_healthy, system: set })
}

impl Tells {
    pub(super) fn healthy(&self, healthy: bool) {
        self.healthy.send_replace(healthy);
    }

    pub(super) fn head(&self, position: Position) {
        self.head.send_replace(position);
    }

    /// What has just been read from the log.
    pub(super) fn read(&self, core: &Core) {
        self.set(
            core.aggregates.systems.peek(SYSTEM_STREAM).map(|slot| slot.state.clone()).unwrap_or_default(),
        );
    }

    /// A batch is about to be written; later memory is ahead of it.
    pub(super) fn appending(&mut self, batch: &Batch, core: &Core) {
        let concerns = batch.events.iter().any(|event| event.stream.stream_type == StreamType::System);
        let slot = concerns.then(|| core.aggregates.systems.peek(SYSTEM_STREAM)).flatten();
        self.appending = slot.map(|slot| slot.state.clone());
    }

    /// It has landed. Whoever hears of the head finds what is set by then.
    pub(super) fn landed(&mut self, position: Position) {
        if let Some(system) = self.appending.take() {
            self.set(system);
        }
        self.head(position);
        metrics::gauge!("rewardhub_ledger_position").set(figure(position.0));
    }

    fn set(&self, system: System) {
        for what in Switch::ALL {
            let halted = u8::from(system.is_halted(what));
            metrics::gauge!("rewardhub_switch_halted", "what" => what.as_str()).set(halted);
        }
        self.system.send_replace(system);
    }
}
