//! The ports: what steps ask of outside systems. Adapters implement them; one contract suite holds
//! each.

use std::fmt;

use async_trait::async_trait;

use crate::ids::{AccountId, BeaconSignature, EntryId, PayoutReference};
use crate::money::Money;

/// The key under which a rail pays at most once: `entry_id:attempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayoutKey {
    /// The draw that won.
    pub entry_id: EntryId,
    /// From 1; another attempt is another payment, so it rises only after a recorded refusal.
    pub attempt: u32,
}

impl fmt::Display for PayoutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.entry_id, self.attempt)
    }
}

/// One payment to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Idempotency key.
    pub key: PayoutKey,
    /// To whom, by pseudonym.
    pub account_id: AccountId,
    /// How much.
    pub amount: Money,
}

/// What a rail says about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutStatus {
    /// Paid, once.
    Paid(PayoutReference),
    /// Refused for good; this key will never be paid.
    Refused {
        /// The rail's word for it.
        reason: String,
    },
    /// The rail has no payment under this key (only as an answer to a lookup).
    NotFound,
}

/// The rail did not say what became of a payment: nobody knows whether it paid.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// It could not be asked, or did not answer. It may answer later.
    #[error("the payout rail did not answer: {0}")]
    Temporary(String),
    /// It does not take this question, and will not take it later.
    #[error("the payout rail cannot be asked this: {0}")]
    Permanent(String),
}

/// Pays rewards. Contract:
/// - under one key at most one payment is ever made within `idempotency_window`, however often it
///   is sent;
/// - `Paid` and `Refused` are final for their key; the same key answers the same;
/// - an error says nothing about whether the payment happened;
/// - `lookup` never pays.
#[async_trait]
pub trait PayoutRail: Send + Sync {
    /// Sends a payment, or learns what became of it when it was sent before.
    async fn pay(&self, payout: &Payout) -> Result<PayoutStatus, PayError>;

    /// Asks what became of this payment. A payment under its key to another account, or of another
    /// amount, is an error.
    async fn lookup(&self, payout: &Payout) -> Result<PayoutStatus, PayError>;

    /// For how long after the first send the rail still knows a key.
    fn idempotency_window(&self) -> std::time::Duration;
}

/// What the customer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Idempotency key: one message per reward.
    pub entry_id: EntryId,
    /// To whom, by pseudonym.
    pub account_id: AccountId,
    /// How much was won.
    pub amount: Money,
}

/// A message that may not have gone out.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The notifier could not be reached: the message may or may not have gone out.
    #[error("the notifier did not answer: {0}")]
    Temporary(String),
    /// It will never go out: the address does not exist, for example.
    #[error("the customer cannot be told: {0}")]
    Permanent(String),
}

/// Tells customers. Contract: the same `entry_id` again reaches the customer at most once more
/// often than the receiver deduplicates; sending is safe to repeat.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends one message.
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError>;
}

/// A payment that a rail says it has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Under which key.
    pub key: PayoutKey,
    /// To whom.
    pub account_id: AccountId,
    /// The rail's own name for it.
    pub payout_reference: PayoutReference,
}

/// Where a rail says by itself that it has paid: late, twice, or never.
#[async_trait]
pub trait Confirmations: Send + Sync {
    /// Whose word it is, as events call it, such as `rail:sandbox`.
    fn actor(&self) -> &'static str;

    /// The next one; `None` once there can be no more. Nothing is lost if the wait is given up.
    async fn next(&mut self) -> Option<Confirmation>;
}

/// The source could not be asked, or answered something else than a round.
#[derive(Debug, thiserror::Error)]
#[error("the beacon's source did not answer: {0}")]
pub struct BeaconSourceError(pub String);

/// Knows the rounds of drand's quicknet. Contract:
/// - the signature of exactly the round that was asked for, or `None` while it is not there yet;
/// - never trusted: whoever asks checks the signature;
/// - answers or fails within some seconds; its name (`Display`) carries no secret.
#[async_trait]
pub trait BeaconSource: fmt::Display + Send + Sync {
    /// The signature of a round.
    async fn round(&self, round: u64) -> Result<Option<BeaconSignature>, BeaconSourceError>;
}
