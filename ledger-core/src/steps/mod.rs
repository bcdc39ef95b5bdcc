//! What happens around a decision. Intake takes transactions in. Each other step reads the log: it
//! issues what was won, tells the customer, pays, resumes what waited, opens epochs that wait for a
//! beacon, or settles those that are over.
//!
//! No step calls another. Each gives commands to the engine. Whether an effect is outstanding is
//! asked of the aggregate, never of the step's own cursor, so a step may start again from any
//! earlier place.
//! What a [`step`] cannot end at once stands in [`items`], and what it gives up is for a person:
//! [`parked`]. The [`ports`] are all that a step knows of the outside world.

pub mod backoff;
pub mod beacon;
pub mod confirm;
pub mod credit;
pub mod intake;
pub mod issue;
pub mod items;
pub mod notify;
pub mod parked;
pub mod ports;
pub mod resume;
pub mod reveal;
pub mod runner;
pub mod step;
pub mod store;
pub mod tallies;

pub use runner::run;
pub use step::Step;
