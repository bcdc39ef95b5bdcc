//! A campaign: terms, budget and epochs. Its own stream; the aggregate `campaign`.

pub mod event;
pub mod terms;

pub use event::CampaignEvent;
