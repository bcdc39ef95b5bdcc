//! The first pass: every rule that does not look at wins, once for all seeds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use cqrs_es::Aggregate as _;

use ledger_core::account::command::{
    AccountAnswer, CommandKind, EpochOffer, EvaluateTransaction, Known, Offer, PreparedTransaction, Standing,
};
use ledger_core::account::event::Exclusion;
use ledger_core::account::{AccountEvent, RewardAccount};
use ledger_core::aggregate::Decides as _;
use ledger_core::campaign::rules::RuleCode;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{self, EpochKey, Seed};
use ledger_core::ids::{AccountId, Digest, TransactionKey};
use ledger_core::log::Position;
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::transaction::Status;
use ledger_core::zone::ZoneTable;

use super::moment::{Moment, local_day};
use super::past::PastLine;

/// Lines that take no part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Pending or removed.
    pub not_booked: u64,
    /// Brought before, under its own id or the one it had while pending.
    pub duplicate: u64,
}

/// One campaign over all lines, ready to be drawn under any number of seeds.
pub struct Plan {
    pub(super) terms: Arc<Terms>,
    /// Lines that no rule declines but those that look at wins, in order.
    pub(super) entries: Vec<Entry>,
    /// What rules about wins need, by [`Entry::moment`]; empty where the campaign has none.
    pub(super) moments: Vec<Moment>,
    /// Days before a line's own on which a win matters to such a rule.
    pub(super) wins_matter_days: Option<i64>,
    /// Every booking day (UTC), in order.
    pub(super) days: Vec<NaiveDate>,
    pub(super) customers: usize,
    /// Booked lines, each once.
    pub(super) lines: u64,
    pub(super) skipped: Skipped,
    /// Lines by every rule they fail, wins aside.
    pub(super) declined: BTreeMap<RuleCode, u64>,
    /// Customers none of whose lines is admitted, by each rule that declined one of them.
    pub(super) never: BTreeMap<RuleCode, u64>,
    pub(super) never_total: u64,
}

/// One line that may draw.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Which line it is: two plans over the same lines give it the same `r`.
    pub(super) line: u32,
    pub(super) customer: u32,
    /// Into [`Plan::days`].
    pub(super) day: u32,
    /// Into [`Plan::moments`].
    pub(super) moment: u32,
    pub(super) amount_minor: i64,
    /// In the campaign's calendar.
    pub(super) local_day: i32,
    /// Whether the rules about wins admit a customer who has not won.
    pub(super) admitted: bool,
}

struct Customer {
    number: u32,
    account: RewardAccount,
    qualified: bool,
    failed: BTreeSet<RuleCode>,
}

impl Plan {
    /// Puts lines, in the order in which they came, through the rules of `terms`.
    pub fn new(terms: &Terms, past: impl IntoIterator<Item = PastLine>) -> Plan {
        let mut pass = Pass::new(terms);
        for line in past {
            pass.take(line);
        }
        pass.finish()
    }

    /// Draws that a seed makes at most.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }
}

/// The first pass under way.
struct Pass {
    plan: Plan,
    offer: Offer,
    /// By which its clocks were read.
    zones: Option<Arc<ZoneTable>>,
    customers: HashMap<AccountId, Customer>,
    known: HashMap<TransactionKey, Known>,
    day_numbers: HashMap<NaiveDate, u32>,
    /// The engine's clock would not go back either.
    now: Timestamp,
}

impl Pass {
    fn new(terms: &Terms) -> Pass {
        let terms = Arc::new(terms.clone());
        let plan = Plan {
            wins_matter_days: terms.rules.compiled().wins_matter_days(),
            terms: Arc::clone(&terms),
            entries: vec![],
            moments: vec![],
            days: vec![],
            customers: 0,
            lines: 0,
            skipped: Skipped::default(),
            declined: BTreeMap::new(),
            never: BTreeMap::new(),
            never_total: 0,
        };
        Pass {
            plan,
            offer: nothing_to_win(terms),
            zones: None,
            customers: HashMap::new(),
            known: HashMap::new(),
            day_numbers: HashMap::new(),
            now: Timestamp::from_micros(i64::MIN / 2),
        }
    }

    fn take(&mut self, PastLine { transaction, enrolled_at, excluded, zones }: PastLine) {
        self.read_clocks(zones);
        if transaction.status != Status::Booked {
            self.plan.skipped.not_booked += 1;
            return;
        }
        if self.known.contains_key(&transaction.key) {
            self.plan.skipped.duplicate += 1;
            return;
        }
        let line = u32::try_from(self.plan.lines).unwrap_or(u32::MAX);
        let booked_at = transaction.line.booked_at;
        self.now = self.now.max(booked_at);
        let day = self.day(Epoch::of(booked_at).date());
        let next = u32::try_from(self.customers.len()).unwrap_or(u32::MAX);
        let customer = self.customers.entry(transaction.account_id.clone()).or_insert_with(|| {
            let mut account = RewardAccount::default();
            account.apply(AccountEvent::AccountOpened { enrolled_at: enrolled_at.unwrap_or(booked_at) });
            Customer { number: next, account, qualified: false, failed: BTreeSet::new() }
        });
        exclude(&mut customer.account, excluded, self.now);
        // As the account stands before it hears of the line.
        let moment =
            self.plan.wins_matter_days.map(|_| Moment::of(&customer.account, &transaction, &self.offer));
        let pending_known = transaction.pending_key().and_then(|key| self.known.get(&key).cloned());
        let (decided, is_linked) =
            decide(&mut customer.account, &self.offer, self.now, &transaction, pending_known);
        let known = Known {
            account_id: transaction.account_id.clone(),
            position: Position(0),
            fingerprint: Some(transaction.line.fingerprint),
            // As the log says it: the event of a linked name does not say when.
            booked_at: (!is_linked).then_some(transaction.line.booked()),
        };
        // Also the name of a purchase that is known by another.
        self.known.insert(transaction.key, known);
        let Some(failed) = decided else {
            self.plan.skipped.duplicate += 1;
            return;
        };
        self.plan.lines += 1;
        let (about_wins, others) = self.plan.terms.rules.compiled().split_by_wins(failed);
        for code in others.iter().collect::<BTreeSet<_>>() {
            *self.plan.declined.entry(code.clone()).or_default() += 1;
        }
        if !others.is_empty() {
            customer.failed.extend(others);
            return;
        }
        self.plan.moments.extend(moment);
        customer.qualified = true;
        self.plan.entries.push(Entry {
            line,
            customer: customer.number,
            day,
            moment: u32::try_from(self.plan.moments.len().saturating_sub(1)).unwrap_or(u32::MAX),
            amount_minor: transaction.facts.amount.expose().minor(),
            local_day: local_day(transaction.line.booked(), self.offer.clocks()),
            admitted: about_wins.is_empty(),
        });
    }

    /// What the campaign's clocks show where a line stands; they are looked up where that changes.
    fn read_clocks(&mut self, zones: Arc<ZoneTable>) {
        if !self.zones.as_ref().is_some_and(|known| Arc::ptr_eq(known, &zones)) {
            self.offer.clocks = zones.clocks_to_be(&self.plan.terms.time_zone);
            self.zones = Some(zones);
        }
    }

    /// The number of a day, for now in order of appearance.
    fn day(&mut self, day: NaiveDate) -> u32 {
        let next = u32::try_from(self.plan.days.len()).unwrap_or(u32::MAX);
        let number = *self.day_numbers.entry(day).or_insert(next);
        if number == next {
            self.plan.days.push(day);
        }
        number
    }

    fn finish(mut self) -> Plan {
        self.plan.customers = self.customers.len();
        for customer in self.customers.values().filter(|customer| !customer.qualified) {
            self.plan.never_total += 1;
            for code in &customer.failed {
                *self.plan.never.entry(code.clone()).or_default() += 1;
            }
        }
        // Days in order of the calendar, whatever order the lines came in.
        let mut order: Vec<u32> = (0..).take(self.plan.days.len()).collect();
        order.sort_by_key(|number| self.plan.days[*number as usize]);
        let mut place = vec![0; order.len()];
        for (new, old) in (0..).zip(&order) {
            place[*old as usize] = new;
        }
        self.plan.days.sort_unstable();
        self.plan.entries.iter_mut().for_each(|entry| entry.day = place[entry.day as usize]);
        self.plan
    }
}

/// A running campaign without a penny: every tier is masked, so nobody wins and all rules are
/// asked.
fn nothing_to_win(terms: Arc<Terms>) -> Offer {
    let key: EpochKey = draw::epoch_key(
        &Seed::new([0; 32]),
        &Digest([0; 32]),
        &terms.campaign_id,
        Epoch::of(terms.starts_at),
    );
    let table = Arc::new(terms.prize_table.clone());
    let epoch = EpochOffer::Open { key, table_hash: table.hash(), table, budget_left_minor: 0, sold_out: 0 };
    Offer { terms, version: 1, clocks: None, standing: Standing::Active, epoch }
}

/// Lets the account know that its customer is kept out of draws, or no longer is.
fn exclude(account: &mut RewardAccount, excluded: bool, now: Timestamp) {
    if account.is_excluded() != excluded {
        account.apply(if excluded {
            AccountEvent::AccountExcluded { excluded_at: now, kind: Exclusion::Other, reason: String::new() }
        } else {
            AccountEvent::AccountReinstated { reinstated_at: now, reason: String::new() }
        });
    }
}

/// What the account itself says of a line: the rules it fails; `None` for one that it knows under
/// another id. And whether its own id was recorded as the name of another.
fn decide(
    account: &mut RewardAccount,
    offer: &Offer,
    now: Timestamp,
    transaction: &PreparedTransaction,
    pending_known: Option<Known>,
) -> (Option<Vec<RuleCode>>, bool) {
    let evaluate = EvaluateTransaction {
        transaction: Arc::new(transaction.clone()),
        known: None,
        pending_known,
        open_unknown: false,
        offers: vec![offer.clone()],
        halted: false,
        resume: false,
    };
    let Ok((events, answer)) = account.decide(now, "", &CommandKind::EvaluateTransaction(evaluate)) else {
        return (None, false);
    };
    let is_linked = matches!(events.first(), Some(AccountEvent::TransactionLinked { .. }));
    let mut failed = vec![];
    for event in events {
        if let AccountEvent::TransactionEvaluated { considered, .. } = &event {
            failed.extend(considered.iter().flat_map(|c| c.failed.iter().cloned()));
        }
        account.apply(event);
    }
    (matches!(answer, AccountAnswer::Evaluated { .. }).then_some(failed), is_linked)
}
