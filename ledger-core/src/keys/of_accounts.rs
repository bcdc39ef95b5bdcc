//! The keys of some accounts, as they stood when they were asked for.

use std::collections::HashMap;
use std::sync::Arc;

use super::cipher::Cipher;
use super::{AccountKey, SealError};
use crate::ids::AccountId;

/// Where an account's key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There is none.
    Absent,
    /// Seals and opens.
    Ready,
    /// Destroyed for ever; what was sealed under it cannot be opened by anyone.
    Erased,
    /// There is one, and it does not open under the root key.
    Damaged,
    /// There is none, although the log knows the account.
    Lost,
}

/// Answers for each account that was asked for. One damaged key is no reason to withhold the
/// others.
#[derive(Clone, Default)]
pub struct Keys(HashMap<AccountId, Slot>);

/// What there is for one account.
#[derive(Clone)]
pub(super) enum Slot {
    Absent,
    Ready(Arc<Cipher>),
    Erased,
    Damaged,
    Lost,
}

impl Keys {
    /// The account's key, or why there is none.
    pub fn of(&self, account: &AccountId) -> Result<AccountKey, SealError> {
        match self.0.get(account) {
            Some(Slot::Ready(cipher)) => Ok(AccountKey::new(account, Arc::clone(cipher))),
            Some(Slot::Erased) => Err(SealError::Erased(account.clone())),
            Some(Slot::Damaged) => Err(SealError::DamagedKey(account.clone())),
            Some(Slot::Lost) => Err(SealError::LostKey(account.clone())),
            Some(Slot::Absent) | None => Err(SealError::NoKey(account.clone())),
        }
    }

    /// The same to open with: `None` where it has been destroyed.
    pub fn opening(&self, account: &AccountId) -> Result<Option<AccountKey>, SealError> {
        match self.of(account) {
            Err(SealError::Erased(_)) => Ok(None),
            key => key.map(Some),
        }
    }

    /// Where the account's key stands; absent too where nobody asked.
    pub fn state(&self, account: &AccountId) -> KeyState {
        match self.0.get(account) {
            Some(Slot::Ready(_)) => KeyState::Ready,
            Some(Slot::Erased) => KeyState::Erased,
            Some(Slot::Damaged) => KeyState::Damaged,
            Some(Slot::Lost) => KeyState::Lost,
            Some(Slot::Absent) | None => KeyState::Absent,
        }
    }

    /// Accounts that were asked for and have none.
    pub fn absent(&self) -> impl Iterator<Item = &AccountId> {
        self.0.iter().filter(|(_, slot)| matches!(slot, Slot::Absent)).map(|(account, _)| account)
    }

    /// Takes later answers in the place of these.
    pub fn update(&mut self, later: Keys) {
        self.0.extend(later.0);
    }

    pub(super) fn into_slots(self) -> impl Iterator<Item = (AccountId, Slot)> {
        self.0.into_iter()
    }

    pub(super) fn insert(&mut self, account: AccountId, slot: Slot) {
        self.0.insert(account, slot);
    }
}
