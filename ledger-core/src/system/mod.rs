//! What people did to the ledger as a whole: parked items, restores, the clock. The aggregate
//! `system`, one stream.
//!
//! Each of its events is a fact with a person's name. It keeps only what the next command needs:
//! what one person has proposed and a second has still to agree to.

pub mod command;
pub mod event;
pub mod state;

pub use command::{SystemAnswer, SystemCommand, SystemCommandKind, SystemRejection};
pub use event::{ParkedAction, SystemEvent};
pub use state::System;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

/// A thin shim: everything is decided before the first write.
impl Aggregate for System {
    const TYPE: &'static str = "system";
    type Command = SystemCommand;
    type Event = SystemEvent;
    type Error = SystemRejection;
    type Services = ();

    async fn handle(
        &mut self,
        command: SystemCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), SystemRejection> {
        let (events, answer) = self.decide(&command.by, &command.kind)?;
        for event in events {
            sink.write(event, self).await;
        }
        let _ = command.answer.set(answer);
        Ok(())
    }

    fn apply(&mut self, event: SystemEvent) {
        self.remember(event);
    }
}

#[cfg(test)]
mod tests;
