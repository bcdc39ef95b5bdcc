//! A campaign: terms, budget and epochs. Its own stream; the aggregate `campaign`.
//!
//! Seeds and beacons enter inside the command; a campaign draws nothing and asks nobody.

pub mod command;
mod decide;
pub mod event;
pub mod in_force;
pub mod rules;
pub mod state;
pub mod terms;

pub use command::{CampaignAnswer, CampaignCommand, CampaignCommandKind, CampaignRejection};
pub use event::CampaignEvent;
pub use state::Campaign;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::aggregate::handle;

impl Aggregate for Campaign {
    const TYPE: &'static str = "campaign";
    type Command = CampaignCommand;
    type Event = CampaignEvent;
    type Error = CampaignRejection;
    type Services = ();

    async fn handle(
        &mut self,
        asked: CampaignCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CampaignRejection> {
        handle(self, asked, sink).await
    }

    fn apply(&mut self, event: CampaignEvent) {
        self.remember(event);
    }
}

#[cfg(test)]
mod tests;
