//! The state of a reward account and how each fact changes it. `apply` is total: it only remembers.

use std::collections::{BTreeMap, VecDeque};

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::account::command::PreparedTransaction;
use crate::account::event::{AccountEvent, Exclusion, Line, Verdict};
use crate::account::line::{Became, LineStanding, Mark, Name, Pending, Proposal, Wait};
use crate::account::memory::Memory;
use crate::campaign::rules::Won;
use crate::draw::Draw;
use crate::ids::{CampaignId, EntryId, Fingerprint, PayoutReference, Source, TransactionId, TransactionKey};
use crate::money::Money;
use crate::time::Timestamp;

/// How many pending lines an account remembers. A pending line that is brought again after that is
/// recorded again, for display only: it decides nothing.
pub const PENDING_MAX: usize = 256;

/// Days for which wins are remembered: a month, and any grace after it, after which nothing draws.
pub(crate) const WIN_DAYS: i64 = 96;

/// A reward account. `Default` is an account that has not been opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardAccount {
    pub(super) enrolled_at: Option<Timestamp>,
    pub(super) closed: bool,
    pub(super) excluded: Option<Exclusion>,
    pub(super) erased: bool,
    /// Pending lines, and the names booked lines had while pending; the oldest is forgotten first.
    pub(super) pending: VecDeque<Pending>,
    /// Booked lines that wait.
    pub(super) deferred: BTreeMap<TransactionKey, Wait>,
    /// Lines taken back, for ever unless released: booked again they are held.
    pub(super) removed: BTreeMap<TransactionKey, Mark>,
    /// The terms of lines that were released: the log's key of one may be that of its removal,
    /// which has none.
    pub(super) released: BTreeMap<TransactionKey, Fingerprint>,
    /// Other names under which the bank has booked a purchase, for ever: each is carried by an
    /// event and answers for the purchase, whose marks and rewards stand under the name that was
    /// booked first.
    pub(super) linked: BTreeMap<TransactionKey, Name>,
    /// Everything ever won.
    pub(super) rewards: BTreeMap<EntryId, Reward>,
    /// Wins per campaign and its local day.
    pub(super) wins: BTreeMap<CampaignId, BTreeMap<NaiveDate, Won>>,
    /// Of decided lines.
    pub(super) memory: Memory,
}

/// One win and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reward {
    /// The campaign that pays.
    pub campaign_id: CampaignId,
    /// The line that won.
    pub transaction_key: TransactionKey,
    /// How much.
    pub amount: Money,
    /// Booked as a liability.
    pub issued: bool,
    /// The customer has been told.
    pub notified: bool,
    /// Payments asked for so far, and when the last one was.
    pub attempts: u32,
    /// When the last attempt was recorded.
    pub requested_at: Option<Timestamp>,
    /// The last attempt was refused.
    pub refused: bool,
    /// The payment that reached the customer.
    pub credited: Option<Credited>,
    /// Taken back.
    pub reversed: bool,
}

/// The payment that reached the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credited {
    /// By which attempt.
    pub attempt: u32,
    /// What the rail calls it.
    pub payout_reference: PayoutReference,
}

impl RewardAccount {
    /// Whether the customer takes part (or did, before the account was closed).
    pub fn is_open(&self) -> bool {
        self.enrolled_at.is_some()
    }

    /// Every reward ever won, by entry.
    pub fn rewards(&self) -> impl Iterator<Item = (&EntryId, &Reward)> {
        self.rewards.iter()
    }

    /// Wins on the local days `first` to `last` of one campaign.
    pub(super) fn won_on(&self, campaign: &CampaignId, first: NaiveDate, last: NaiveDate) -> Won {
        let days = self.wins.get(campaign).into_iter().flat_map(|days| days.range(first..=last));
        days.fold(Won::default(), |sum, (_, won)| sum.plus(won.wins, won.minor))
    }

    pub(super) fn pending(&self, key: TransactionKey) -> Option<&Pending> {
        self.pending.iter().find(|p| p.key == key)
    }

    /// The booked line that has taken this one's place, which had been pending or taken back
    /// undecided.
    pub(super) fn booked_as(&self, key: TransactionKey) -> Option<&TransactionId> {
        match (self.pending(key), self.removed.get(&key)) {
            (Some(Pending { became: Became::Booked(id), .. }), _) | (_, Some(Mark::KnownOtherwise(id))) => {
                Some(id)
            }
            _ => None,
        }
    }

    /// The purchase that goes by this linked name.
    pub(super) fn purchase(&self, key: TransactionKey) -> Option<&Name> {
        let mut name = self.linked.get(&key)?;
        while let Some(first) = self.linked.get(&name.key) {
            name = first;
        }
        Some(name)
    }

    /// Whether a booked line of another name has taken this one's place.
    pub fn is_booked_otherwise(&self, key: TransactionKey) -> bool {
        self.booked_as(key).is_some()
    }

    /// The name under which the purchase of this name was first booked.
    pub(super) fn first_name(&self, source: &Source, id: &TransactionId) -> Name {
        let key = TransactionKey::of(source, id);
        self.purchase(key).cloned().unwrap_or_else(|| Name { key, transaction_id: id.clone() })
    }

    /// What is remembered of the line, or of the purchase that it names, if the bank took it back.
    pub(super) fn mark(&self, key: TransactionKey) -> Option<&Mark> {
        self.removed.get(&key).or_else(|| self.removed.get(&self.purchase(key)?.key))
    }

    /// Where the line of this name stands, where that is not simply decided.
    pub fn line_standing(&self, key: TransactionKey) -> Option<LineStanding> {
        let taken_back = match (self.deferred.get(&key), self.removed.get(&key)) {
            (Some(Wait::Epoch), _) => Some(LineStanding::Waiting),
            (Some(Wait::People(_)), _) => Some(LineStanding::Held),
            (None, Some(Mark::Decided | Mark::Undecided)) => Some(LineStanding::TakenBack),
            (None, Some(Mark::Dismissed)) => Some(LineStanding::Dismissed),
            (None, Some(Mark::KnownOtherwise(_)) | None) => None,
        };
        let noted = || self.pending(key).is_some_and(|line| matches!(line.became, Became::Noted(_)));
        taken_back.or_else(|| noted().then_some(LineStanding::Pending))
    }

    /// Every line that waits for its epoch or for people.
    pub fn waiting_lines(&self) -> impl Iterator<Item = TransactionKey> {
        self.deferred.keys().copied()
    }

    /// Whether the customer has enrolled, is kept out of draws, has left, and is erased.
    pub fn participation(&self) -> (bool, bool, bool, bool) {
        (self.is_open(), self.excluded.is_some(), self.closed, self.erased)
    }

    /// Whether two people released a line of this name with this line's terms.
    pub(crate) fn has_released(&self, key: TransactionKey, line: &PreparedTransaction) -> bool {
        self.released.get(&key).is_some_and(|terms| line.has_terms(*terms))
    }

    /// Remembers one fact. Total: whatever the log holds can be applied.
    pub(super) fn remember(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::AccountOpened { enrolled_at } => self.enrolled_at = Some(enrolled_at),
            AccountEvent::AccountClosed { .. } => self.closed = true,
            AccountEvent::AccountExcluded { kind, .. } => self.excluded = Some(kind),
            AccountEvent::AccountReinstated { .. } => self.excluded = None,
            AccountEvent::TransactionNoted { line } => {
                self.note(key_of(&line), Became::Noted(line.fingerprint));
            }
            AccountEvent::TransactionDeferred { line, reason } => {
                self.deferred.insert(key_of(&line), Wait::of(&line, reason));
                self.link(&line);
            }
            AccountEvent::TransactionEvaluated { line, draws, .. } => {
                if !self.erased {
                    self.memory.remember(&line);
                }
                self.decided(&line, draws);
            }
            AccountEvent::TransactionRemoved { source, transaction_id, undecided, .. } => {
                let key = TransactionKey::of(&source, &transaction_id);
                self.pending.retain(|p| p.key != key);
                self.deferred.remove(&key);
                self.removed.insert(key, if undecided { Mark::Undecided } else { Mark::Decided });
            }
            AccountEvent::ReviewProposed { source, transaction_id, verdict, reason, by, proposed_at } => {
                let key = TransactionKey::of(&source, &transaction_id);
                if let Some(Wait::People(hold)) = self.deferred.get_mut(&key) {
                    hold.proposal = Some(Proposal { verdict, by, reason, proposed_at });
                }
            }
            AccountEvent::TransactionReviewed { source, transaction_id, verdict, .. } => {
                self.reviewed(TransactionKey::of(&source, &transaction_id), verdict);
            }
            AccountEvent::RewardIssued { entry_id, .. } => self.reward(entry_id, |r| r.issued = true),
            AccountEvent::CustomerNotified { entry_id, .. } => self.reward(entry_id, |r| r.notified = true),
            AccountEvent::CreditRequested { entry_id, attempt, requested_at, .. } => {
                self.reward(entry_id, |r| {
                    r.attempts = attempt;
                    r.requested_at = Some(requested_at);
                    r.refused = false;
                })
            }
            AccountEvent::RewardCredited { entry_id, attempt, payout_reference, .. } => {
                self.reward(entry_id, |r| r.credited = Some(Credited { attempt, payout_reference }));
            }
            AccountEvent::CreditFailed { entry_id, .. } => self.reward(entry_id, |r| r.refused = true),
            AccountEvent::RewardReversed { entry_id, .. } => self.reward(entry_id, |r| r.reversed = true),
            AccountEvent::PersonalDataErased { .. } => {
                self.erased = true;
                self.memory.erase();
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to, .. } => {
                self.linked(
                    TransactionKey::of(&source, &transaction_id),
                    self.first_name(&source, &linked_to),
                );
            }
        }
    }

    fn reviewed(&mut self, key: TransactionKey, verdict: Verdict) {
        match (verdict, self.deferred.remove(&key)) {
            (Verdict::Released, Some(Wait::People(hold))) => {
                self.deferred.insert(key, Wait::Epoch);
                self.removed.remove(&key);
                self.released.insert(key, hold.fingerprint);
            }
            (Verdict::Released, _) => {}
            (Verdict::Dismissed, _) => {
                self.removed.insert(key, Mark::Dismissed);
            }
        }
    }

    fn decided(&mut self, line: &Line, draws: Vec<Draw>) {
        // Most accounts have nothing pending and nothing waiting, most lines win nothing: no key to
        // compute.
        let won = draws.iter().any(|draw| draw.amount.is_some());
        if !won
            && self.deferred.is_empty()
            && self.pending.is_empty()
            && line.pending_transaction_id.is_none()
        {
            return;
        }
        let key = key_of(line);
        self.deferred.remove(&key);
        self.pending.retain(|p| p.key != key);
        self.link(line);
        for draw in draws {
            let Some(amount) = draw.amount else { continue };
            self.count_win(&draw.campaign_id, draw.day, amount);
            let reward = Reward {
                campaign_id: draw.campaign_id,
                transaction_key: key,
                amount,
                issued: false,
                notified: false,
                attempts: 0,
                requested_at: None,
                refused: false,
                credited: None,
                reversed: false,
            };
            self.rewards.insert(draw.entry_id, reward);
        }
    }

    /// A booked line takes the place of the pending one that the bank says it was.
    fn link(&mut self, line: &Line) {
        let Some(key) = line.pending_key() else { return };
        // Another name takes nobody's place.
        if self.linked.contains_key(&key_of(line)) {
            return;
        }
        self.note(key, Became::Booked(line.transaction_id.clone()));
        // However long ago that was, the purchase is not drawn by that name.
        if let Some(mark @ Mark::Undecided) = self.removed.get_mut(&key) {
            *mark = Mark::KnownOtherwise(line.transaction_id.clone());
        }
    }

    /// From here on the name answers for the purchase. What was remembered of the name alone is
    /// dropped, except a hold: people still have to dismiss it.
    fn linked(&mut self, key: TransactionKey, purchase: Name) {
        if purchase.key == key {
            return;
        }
        self.pending.retain(|p| p.key != key);
        self.removed.remove(&key);
        self.linked.insert(key, purchase);
    }

    fn note(&mut self, key: TransactionKey, became: Became) {
        self.pending.retain(|p| p.key != key);
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { key, became });
    }

    fn count_win(&mut self, campaign: &CampaignId, day: NaiveDate, amount: Money) {
        let days = self.wins.entry(campaign.clone()).or_default();
        let won = days.entry(day).or_default();
        *won = won.plus(1, amount.minor());
        let latest = *days.last_key_value().expect("one was just inserted").0;
        days.retain(|d, _| *d > latest - TimeDelta::days(WIN_DAYS));
    }

    fn reward(&mut self, entry_id: EntryId, change: impl FnOnce(&mut Reward)) {
        if let Some(reward) = self.rewards.get_mut(&entry_id) {
            change(reward);
        }
    }
}

fn key_of(line: &Line) -> TransactionKey {
    TransactionKey::of(&line.source, &line.transaction_id)
}
