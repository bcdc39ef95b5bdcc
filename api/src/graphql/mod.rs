//! What apps and auditors read: one file per noun, each with its part of the schema and its queries.
//!
//! A resolver parses, calls the read models once, presents. What hangs below a row (its campaign, its
//! transaction, its opened details) is loaded for a whole page at once by [`load`]. [`access`] says who may see
//! what, [`error`] how a refusal looks. The schema is checked in as `api/schema.graphql`.

mod access;
mod account;
mod budget;
pub(crate) mod campaign;
mod details;
mod draw;
mod error;
mod event;
pub mod http;
mod load;
mod node;
mod page;
mod reward;
mod scalars;
mod size;
mod text;
mod transaction;
mod trial_balance;

use async_graphql::{EmptyMutation, EmptySubscription, MergedObject, Schema, SchemaBuilder};

use crate::ApiState;

/// Everything that can be asked.
#[derive(Default, MergedObject)]
pub struct Query(
    account::AccountQuery,
    campaign::CampaignQuery,
    event::EventQuery,
    draw::DrawQuery,
    trial_balance::TrialBalanceQuery,
    node::NodeQuery,
);

/// The schema, ready to answer.
pub type ApiSchema = Schema<Query, EmptyMutation, EmptySubscription>;

fn builder() -> SchemaBuilder<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query::default(), EmptyMutation, EmptySubscription).extension(budget::BoundedAnswers)
}

/// The schema over this state.
pub fn schema(state: &ApiState) -> ApiSchema {
    builder().data(state.clone()).finish()
}

/// The schema as text, as it is checked in.
pub fn sdl() -> String {
    builder().finish().sdl()
}

#[cfg(test)]
mod tests;
