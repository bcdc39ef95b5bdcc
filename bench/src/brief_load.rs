//! The brief's load by itself: 100,000 transactions in a day are one to two a second, six with room
//! to spare; a spike of five times that comes within a minute and stays. Whether it is felt shows
//! in the tails of both.

use serde_json::{Value, json};

use crate::ledger_load::LedgerLoad;
use crate::open_loop::{self, Ramp};

const RATE: u32 = 6;
const STEADY_SECONDS: u32 = 20;
const SPIKE: Ramp = Ramp { from_rate: RATE, to_rate: 5 * RATE, over_seconds: 60, hold_seconds: 10 };

pub(crate) async fn measure(load: &mut LedgerLoad) -> anyhow::Result<Value> {
    let steady = open_loop::steady(load, RATE, STEADY_SECONDS).await?;
    let spike = open_loop::ramp(load, SPIKE).await?;
    Ok(json!({ "steady": steady, "spike": spike }))
}
