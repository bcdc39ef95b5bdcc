//! A campaign: terms, budget and epochs. Its own stream; the aggregate `campaign`.
//!
//! Seeds and beacons enter inside the command; a campaign draws nothing and asks nobody.

pub mod command;
mod decide;
pub mod event;
pub mod rules;
pub mod state;
pub mod terms;

pub use command::{CampaignAnswer, CampaignCommand, CampaignCommandKind, CampaignRejection};
pub use event::CampaignEvent;
pub use state::Campaign;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

/// A thin shim: everything is decided before the first write.
impl Aggregate for Campaign {
    const TYPE: &'static str = "campaign";
    type Command = CampaignCommand;
    type Event = CampaignEvent;
    type Error = CampaignRejection;
    type Services = ();

    async fn handle(
        &mut self,
        command: CampaignCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CampaignRejection> {
        let (events, answer) = self.decide(command.now, &command.by, &command.kind)?;
        for event in events {
            sink.write(event, self).await;
        }
        let _ = command.answer.set(answer);
        Ok(())
    }

    fn apply(&mut self, event: CampaignEvent) {
        self.remember(event);
    }
}

#[cfg(test)]
mod tests;
