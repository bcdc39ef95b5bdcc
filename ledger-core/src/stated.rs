//! What the ledger is as of a position, by whoever makes it of the log. Read models are held
//! against it.

use std::collections::{BTreeMap, HashMap};

use crate::account::RewardAccount;
use crate::campaign::Campaign;
use crate::ids::TransactionKey;
use crate::log::{EventLog, LogError, Position, StreamId};

/// The state of all accounts, campaigns and books. The crate `audit` has one.
pub trait Stated: Default {
    /// Reads on, up to a position.
    fn go_on_to(
        &mut self,
        log: &dyn EventLog,
        position: Position,
    ) -> impl Future<Output = Result<(), LogError>> + Send;

    /// The accounts by their streams.
    fn accounts(&self) -> &HashMap<StreamId, RewardAccount>;

    /// The campaigns likewise.
    fn campaigns(&self) -> &BTreeMap<StreamId, Campaign>;

    /// Debits minus credits per ledger account and currency code.
    fn balances(&self) -> &BTreeMap<(String, &'static str), i128>;

    /// Every line that was ever to be shown, and what of it no account remembers.
    fn shown(&self) -> &HashMap<TransactionKey, Shown>;
}

/// What the log has said of a line that no account need remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// It was recorded as pending, or as one that waits.
    pub recorded: bool,
    /// It was decided.
    pub decided: bool,
    /// A line of another name has taken its place, unless it was decided itself.
    pub given_way: bool,
}
