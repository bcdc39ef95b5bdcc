//! What happens to the ledger as a whole: parked items, restores, the clock, the table of zones,
//! switches. The aggregate `system`, one stream.
//!
//! It keeps only what is in force: what one person has proposed and a second has still to agree to,
//! the zones that lines are decided by, and how the switches are set.

pub mod command;
pub mod event;
pub mod state;
mod switch;

pub use command::{SystemAnswer, SystemCommand, SystemCommandKind, SystemRejection};
pub use event::{ParkedAction, SystemEvent};
pub use state::System;
pub use switch::{Switch, Switched};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::aggregate::handle;

impl Aggregate for System {
    const TYPE: &'static str = "system";
    type Command = SystemCommand;
    type Event = SystemEvent;
    type Error = SystemRejection;
    type Services = ();

    async fn handle(
        &mut self,
        asked: SystemCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SystemRejection> {
        handle(self, asked, sink).await
    }

    fn apply(&mut self, event: SystemEvent) {
        self.remember(event);
    }
}

#[cfg(test)]
mod tests;
