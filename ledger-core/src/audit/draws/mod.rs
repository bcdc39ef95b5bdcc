//! Every draw derived again from the log alone, and each that does not fit named.
//!
//! [`Seeds`] are gathered first, from the campaigns' streams: a draw stands in the log long before its seed. Then
//! [`DrawAudit::take`] follows the log event by event: [`book`] derives what each campaign's budget and epochs were at
//! that place, [`check`] compares one draw with it. Money is minor units, odds parts per 10^9.
//!
//! Memory: 32 bytes for every entry ever drawn (each once), the same again until its epoch is closed, and a small
//! record per win. The hash chain is [`crate::audit::replay`]'s business, not repeated here.

mod book;
mod check;
mod findings;
mod seeds;

pub use findings::{FINDINGS_MAX, Finding};
pub use seeds::{Seeds, SeedsError};

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::account::AccountEvent;
use crate::account::event::Line;
use crate::campaign::CampaignEvent;
use crate::ids::{AccountId, CampaignId, EntryId};
use crate::log::decode::{LedgerEvent, decode};
use crate::log::{EventLog, LogError, Position, StoredEvent, StreamType};
use crate::money::Money;
use crate::seal::{Details, SealError};
use book::Book;
use check::Drawn;
use findings::{Findings, Place};

const PAGE: usize = 10_000;

/// Opens a line's sealed details for an auditor to whom they are disclosed; `None` once they have been erased.
pub type OpenDetails<'a> = dyn Fn(&AccountId, &Line) -> Result<Option<Details>, SealError> + Send + Sync + 'a;

/// All that the log says of draws, derived again.
pub struct DrawAudit<'a> {
    seeds: Seeds,
    details: Option<&'a OpenDetails<'a>>,
    campaigns: BTreeMap<CampaignId, Book>,
    /// Every entry ever drawn: none is drawn twice, in whatever epoch.
    drawn: HashSet<EntryId>,
    wins: HashMap<EntryId, Win>,
    counts: Counts,
    events: u64,
    position: Position,
    findings: Findings,
}

/// One win and what became of it.
struct Win {
    campaign: CampaignId,
    amount: Money,
    issued: bool,
    credited: bool,
    reversed: bool,
}

/// How far draws could be derived again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Wins and losses.
    pub draws: u64,
    /// Of these, with the seed: the number itself.
    pub rederived: u64,
    /// Without a seed: everything but the number.
    pub waiting_for_reveal: u64,
    /// Share prizes computed from disclosed details.
    pub shares_checked: u64,
    /// Share prizes of which only the bounds could be checked.
    pub shares_bounded: u64,
}

/// What the audit came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// No finding.
    pub holds: bool,
    /// Events read.
    pub events: u64,
    /// The last one's place.
    pub position: String,
    /// How far draws could be derived again.
    #[serde(flatten)]
    pub counts: Counts,
    /// By campaign.
    pub campaigns: BTreeMap<CampaignId, book::Summary>,
    /// What does not fit, at most [`FINDINGS_MAX`] in full.
    pub findings: Vec<Finding>,
    /// How many there were.
    pub findings_total: u64,
}

impl<'a> DrawAudit<'a> {
    /// An audit with these seeds, and with details where they are disclosed.
    pub fn new(seeds: Seeds, details: Option<&'a OpenDetails<'a>>) -> DrawAudit<'a> {
        DrawAudit {
            seeds,
            details,
            campaigns: BTreeMap::new(),
            drawn: HashSet::new(),
            wins: HashMap::new(),
            counts: Counts::default(),
            events: 0,
            position: Position(0),
            findings: Findings::default(),
        }
    }

    /// Follows the log to its end; `also` reads along (without what does not decode).
    pub async fn run(
        &mut self,
        log: &dyn EventLog,
        mut also: impl FnMut(&StoredEvent, Option<&LedgerEvent>),
    ) -> Result<(), LogError> {
        loop {
            let page = log.read_after(self.position, PAGE).await?;
            for stored in &page {
                let event = self.take(stored);
                also(stored, event.as_ref());
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    }

    /// Checks the next event of the log, and gives it to whoever reads along.
    pub fn take(&mut self, stored: &StoredEvent) -> Option<LedgerEvent> {
        self.events += 1;
        self.position = stored.position;
        // Switches and operators' actions draw nothing.
        if stored.stream.stream_type == StreamType::System {
            return decode(stored).ok();
        }
        let event = match decode(stored) {
            Ok(event) => event,
            Err(error) => {
                let place = Place::of(stored, None);
                self.findings.add(&place, "payload", "an event of this ledger", error);
                return None;
            }
        };
        if let LedgerEvent::Campaign(event) = &event {
            self.campaign(stored, event);
        } else if let LedgerEvent::Account(event) = &event {
            self.account(stored, event);
        }
        Some(event)
    }

    /// The end: what only the whole can show is checked now.
    pub fn finish(mut self) -> Report {
        let mut summaries = BTreeMap::new();
        for (id, book) in &self.campaigns {
            book.finish(id, self.position, &mut self.findings);
            let summary = book.summary(self.wins.values().filter(|win| win.campaign == *id));
            summaries.insert(id.clone(), summary);
        }
        Report {
            holds: self.findings.total == 0,
            events: self.events,
            position: self.position.to_string(),
            counts: self.counts,
            campaigns: summaries,
            findings: self.findings.kept,
            findings_total: self.findings.total,
        }
    }

    fn campaign(&mut self, stored: &StoredEvent, event: &CampaignEvent) {
        let Ok(id) = CampaignId::parse(&stored.stream.id) else {
            return; // Replay names a stream that no campaign can have.
        };
        let book = self.campaigns.entry(id.clone()).or_default();
        book.take(stored, &id, event, &self.seeds, &mut self.findings);
    }

    fn account(&mut self, stored: &StoredEvent, event: &AccountEvent) {
        match event {
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws } => {
                let evaluated = check::Evaluated { stored, line, considered, draws };
                evaluated.outcome(*outcome, &mut self.findings);
                for draw in draws {
                    let drawn = Drawn { stored, line, draw };
                    self.counts.draws += 1;
                    let place = drawn.place();
                    let Some(book) = self.campaigns.get_mut(&draw.campaign_id) else {
                        self.findings.add(&place, "campaign", "a campaign of this log", &draw.campaign_id);
                        continue;
                    };
                    if !self.drawn.insert(draw.entry_id) {
                        self.findings.add(&place, "drawn_once", "an entry not drawn before", "drawn again");
                    }
                    book.draw(&drawn, self.details, &mut self.counts, &mut self.findings);
                    if let Some(amount) = draw.amount {
                        let campaign = draw.campaign_id.clone();
                        let win = Win { campaign, amount, issued: false, credited: false, reversed: false };
                        self.wins.insert(draw.entry_id, win);
                    }
                }
            }
            AccountEvent::RewardIssued { entry_id, amount, .. } => {
                self.follow(stored, *entry_id, *amount, "issued_once", |win| &mut win.issued);
            }
            AccountEvent::RewardCredited { entry_id, amount, .. } => {
                self.follow(stored, *entry_id, *amount, "credited_once", |win| &mut win.credited);
            }
            AccountEvent::RewardReversed { entry_id, campaign_id, amount, budget_returned, .. } => {
                self.follow(stored, *entry_id, *amount, "reversed_once", |win| &mut win.reversed);
                if *budget_returned && let Some(book) = self.campaigns.get_mut(campaign_id) {
                    book.returned(*amount);
                }
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::PersonalDataErased { .. } => {}
        }
    }

    /// Credits are wins: what is issued, paid or taken back was won, is what was won, and happens once.
    fn follow(
        &mut self,
        stored: &StoredEvent,
        entry: EntryId,
        amount: Money,
        check: &'static str,
        mark: fn(&mut Win) -> &mut bool,
    ) {
        let place = Place::of(stored, Some(entry));
        let Some(win) = self.wins.get_mut(&entry) else {
            self.findings.add(&place, "won", "an entry that won", stored.event_type.as_str());
            return;
        };
        if win.amount != amount {
            self.findings.add(&place, "amount", format!("{:?}", win.amount), format!("{amount:?}"));
        }
        if std::mem::replace(mark(win), true) {
            self.findings.add(&place, check, "once", "again");
        }
    }
}
