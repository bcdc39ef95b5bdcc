//! Replay: state, balances and hashes recomputed from the log alone, and everything that does not
//! fit named.
//!
//! Replay cannot pay or tell anyone: it has no ledger, no rail and no notifier, only events.

mod lines;
mod owed;

use std::collections::{BTreeMap, HashMap};

use cqrs_es::Aggregate as _;

use ledger_core::account::{AccountEvent, RewardAccount};
use ledger_core::campaign::{Campaign, CampaignEvent};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{CampaignId, TransactionKey};
use ledger_core::log::chain::Links;
use ledger_core::log::{EventLog, LogError, Position, StoredEvent, StreamId};
use ledger_core::money::{Currency, Money};
use ledger_core::posting::{PAYABLE, Posting, Side};
use ledger_core::stated::{Shown, Stated};
use ledger_core::steps::ports::PayoutKey;

use lines::Lines;
use owed::Owed;

/// Findings kept in words; more are only counted.
pub const FINDINGS_MAX: usize = 100;
const PAGE: usize = 10_000;

/// All that the log says, recomputed.
#[derive(Default)]
pub struct Replay {
    links: Links,
    accounts: HashMap<StreamId, RewardAccount>,
    campaigns: BTreeMap<StreamId, Campaign>,
    lines: Lines,
    owed: Owed,
    /// Debits minus credits per ledger account and currency code.
    balances: BTreeMap<(String, &'static str), i128>,
    /// Wins and returned reversals since the campaign's last `BudgetSpent`, and in all.
    spend: BTreeMap<CampaignId, Spend>,
    events: u64,
    findings: Vec<String>,
    findings_total: u64,
}

#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_field_names, reason = "units come last")]
struct Spend {
    won_minor: i128,
    returned_minor: i128,
    funded_minor: i128,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Events replayed.
    pub events: u64,
    /// The last one's place.
    pub position: String,
    /// Reward accounts.
    pub accounts: u64,
    /// Campaigns.
    pub campaigns: u64,
    /// Lines decided or deferred, each once.
    pub transactions: u64,
    /// Debits minus credits per currency: zero in all of them, or something is wrong.
    pub trial_balance: BTreeMap<String, String>,
    /// What does not fit, at most [`FINDINGS_MAX`] in words.
    pub findings: Vec<String>,
    /// How many there were.
    pub findings_total: u64,
    /// Rewards that no step has issued or paid for long, at most [`FINDINGS_MAX`] in words.
    pub overdue: Vec<String>,
    /// How many there are.
    pub overdue_total: u64,
}

/// An event with its payload read, so that reading can happen on another thread.
pub struct Decoded {
    stored: StoredEvent,
    event: Result<LedgerEvent, LogError>,
    /// The key of the line it is about, if it is about one.
    key: Option<TransactionKey>,
}

impl Decoded {
    /// Reads a stored event's payload.
    pub fn of(stored: StoredEvent) -> Decoded {
        let event = decode(&stored);
        let key = match &event {
            Ok(LedgerEvent::Account(event)) => lines::key_of(event),
            _ => None,
        };
        Decoded { stored, event, key }
    }
}

impl Replay {
    /// Replays the whole log: while the calling task checks and applies one page and reads the page
    /// after next, another thread decodes the one between.
    pub async fn run(log: &dyn EventLog, mut progress: impl FnMut(u64)) -> Result<Replay, LogError> {
        let mut replay = Replay::default();
        replay.go_on(log, None, &mut progress).await?;
        Ok(replay)
    }

    /// The same from where it is, up to a position or to the end of the log.
    pub async fn go_on(
        &mut self,
        log: &dyn EventLog,
        until: Option<Position>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), LogError> {
        let page_after = |at: Position| {
            let left = until.map_or(u64::MAX, |until| until.0.saturating_sub(at.0));
            log.read_after(at, usize::try_from(left).map_or(PAGE, |left| left.min(PAGE)))
        };
        let mut decoded = Vec::new();
        let mut next = page_after(self.links.position).await?;
        while let Some(last) = next.last().map(|e| e.position) {
            let page = tokio::task::spawn_blocking(move || decode_page(next));
            self.take_page(decoded, &mut progress);
            let (following, page) = tokio::join!(page_after(last), page);
            decoded = page.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
            next = following?;
        }
        self.take_page(decoded, &mut progress);
        Ok(())
    }

    fn take_page(&mut self, page: Vec<Decoded>, progress: &mut impl FnMut(u64)) {
        for decoded in page {
            self.take(decoded);
        }
        progress(self.events);
    }

    /// Checks and applies the next event of the log.
    pub fn take(&mut self, Decoded { stored, event, key }: Decoded) {
        self.events += 1;
        self.owed.seen(&stored);
        if let Err(broken) = self.links.follow(&stored) {
            self.find(broken.to_string());
        }
        if stored.transaction_key.is_some_and(|key| !self.lines.known.insert(key)) {
            self.find(format!("at {} a transaction key is used a second time", stored.position));
        }
        match event {
            Err(error) => self.find(error.to_string()),
            Ok(LedgerEvent::Account(event)) => {
                for finding in self.lines.take(&stored, &event, key) {
                    self.find(format!("at {} {finding}", stored.position));
                }
                self.owed.take(&stored, &event);
                self.account(&stored, event);
            }
            Ok(LedgerEvent::Campaign(event)) => self.campaign(&stored, event),
            // What people did to the ledger as a whole moves no money by itself.
            Ok(LedgerEvent::System(_)) => {}
        }
    }

    /// What the log says was paid: the payment's key at the rail, to whom, how much.
    pub fn paid(&self) -> impl Iterator<Item = (PayoutKey, &str, Money)> {
        self.accounts.iter().flat_map(|(stream, account)| {
            account.rewards().filter_map(move |(entry_id, reward)| {
                let attempt = reward.credited.as_ref()?.attempt;
                Some((PayoutKey { entry_id: *entry_id, attempt }, stream.id.as_str(), reward.amount))
            })
        })
    }

    /// The end of the replay: what only the whole can show is checked now.
    pub fn finish(mut self) -> Summary {
        let totals = self.totals();
        for (currency, difference) in &totals {
            if *difference != 0 {
                self.find(format!("the trial balance of {currency} differs by {difference}"));
            }
        }
        for (code, difference) in self.payable_differences() {
            self.find(format!(
                "rewards payable of {code} differ from what accounts are owed by {difference}"
            ));
        }
        let campaigns: Vec<_> = self
            .campaigns
            .values()
            .filter_map(|c| Some((c.terms()?.0.campaign_id.clone(), c.spent_minor())))
            .collect();
        for (campaign, spent_minor) in campaigns {
            let won = self.spend.get(&campaign).map_or(0, |s| s.won_minor);
            if i128::from(spent_minor) != won {
                self.find(format!(
                    "campaign {campaign} recorded a spend of {spent_minor} but its draws won {won}"
                ));
            }
        }
        let mut overdue = self.owed.overdue();
        let overdue_total = overdue.len() as u64;
        overdue.truncate(FINDINGS_MAX);
        Summary {
            overdue,
            overdue_total,
            events: self.events,
            position: self.links.position.to_string(),
            accounts: self.accounts.len() as u64,
            campaigns: self.campaigns.len() as u64,
            transactions: self.lines.known.len() as u64,
            trial_balance: totals
                .into_iter()
                .map(|(code, difference)| (code.into(), difference.to_string()))
                .collect(),
            findings: self.findings,
            findings_total: self.findings_total,
        }
    }

    /// Debits minus credits of rewards payable, plus what accounts are owed: a reward issued, paid
    /// or taken back twice balances in itself, but not with its account.
    fn payable_differences(&self) -> Vec<(&'static str, i128)> {
        let mut differences: BTreeMap<&'static str, i128> = BTreeMap::new();
        for ((account, code), balance) in &self.balances {
            if account == PAYABLE {
                *differences.entry(*code).or_insert(0) += balance;
            }
        }
        for (_, reward) in self.accounts.values().flat_map(RewardAccount::rewards) {
            if reward.issued && reward.credited.is_none() && !reward.reversed {
                *differences.entry(reward.amount.currency().code()).or_insert(0) +=
                    i128::from(reward.amount.minor());
            }
        }
        differences.into_iter().filter(|(_, difference)| *difference != 0).collect()
    }

    fn totals(&self) -> BTreeMap<&'static str, i128> {
        let mut totals = BTreeMap::new();
        for ((_, code), balance) in &self.balances {
            *totals.entry(*code).or_insert(0) += balance;
        }
        totals
    }

    fn account(&mut self, stored: &StoredEvent, event: AccountEvent) {
        match &event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                for draw in draws {
                    let Some(amount) = draw.amount else { continue };
                    self.spend.entry(draw.campaign_id.clone()).or_default().won_minor +=
                        i128::from(amount.minor());
                    if amount.minor() > draw.budget_left_minor {
                        self.find(format!("at {} a win exceeds the budget left", stored.position));
                    }
                }
            }
            AccountEvent::RewardReversed { campaign_id, amount, budget_returned: true, .. } => {
                self.spend.entry(campaign_id.clone()).or_default().returned_minor +=
                    i128::from(amount.minor());
            }
            _ => {}
        }
        if let Some(posting) = event.posting() {
            let expected = self.accounts.get(&stored.stream).and_then(|account| account.posting_for(&event));
            if expected.as_ref() != Some(posting) {
                let expected =
                    expected.map_or_else(|| "nothing was won".into(), |posting| posting.to_string());
                self.find(format!(
                    "at {} the books get {posting}, but by the log: {expected}",
                    stored.position
                ));
            }
            self.post(posting);
        }
        match self.accounts.get_mut(&stored.stream) {
            Some(account) => account.apply(event),
            None => self.accounts.entry(stored.stream.clone()).or_default().apply(event),
        }
    }

    fn campaign(&mut self, stored: &StoredEvent, event: CampaignEvent) {
        if let Ok(campaign) = CampaignId::parse(&stored.stream.id) {
            let spend = self.spend.entry(campaign.clone()).or_default();
            match &event {
                CampaignEvent::BudgetFunded { amount, .. } => {
                    spend.funded_minor += i128::from(amount.minor())
                }
                CampaignEvent::BudgetSpent { spent_minor, reversed_minor, .. } => {
                    let recorded = (i128::from(*spent_minor), i128::from(*reversed_minor));
                    let Spend { won_minor, returned_minor, funded_minor } = *spend;
                    if recorded != (won_minor, returned_minor) {
                        self.find(format!(
                            "at {} campaign {campaign} records a spend its draws do not show",
                            stored.position
                        ));
                    }
                    if won_minor > funded_minor + returned_minor {
                        self.find(format!(
                            "at {} campaign {campaign} has spent more than its budget",
                            stored.position
                        ));
                    }
                }
                _ => {}
            }
        }
        if let Some(posting) = event.posting() {
            self.post(posting);
        }
        self.campaigns.entry(stored.stream.clone()).or_default().apply(event);
    }

    fn post(&mut self, posting: &Posting) {
        for entry in posting.entries() {
            let currency: Currency = entry.amount.currency();
            let minor = i128::from(entry.amount.minor());
            let signed = match entry.side {
                Side::Debit => minor,
                Side::Credit => -minor,
            };
            *self.balances.entry((entry.account.clone(), currency.code())).or_insert(0) += signed;
        }
    }

    fn find(&mut self, finding: String) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

fn decode_page(page: Vec<StoredEvent>) -> Vec<Decoded> {
    page.into_iter().map(Decoded::of).collect()
}

impl Stated for Replay {
    async fn go_on_to(&mut self, log: &dyn EventLog, position: Position) -> Result<(), LogError> {
        self.go_on(log, Some(position), |_| {}).await
    }

    fn shown(&self) -> &HashMap<TransactionKey, Shown> {
        self.lines.shown()
    }

    fn accounts(&self) -> &HashMap<StreamId, RewardAccount> {
        &self.accounts
    }

    fn campaigns(&self) -> &BTreeMap<StreamId, Campaign> {
        &self.campaigns
    }

    fn balances(&self) -> &BTreeMap<(String, &'static str), i128> {
        &self.balances
    }
}
