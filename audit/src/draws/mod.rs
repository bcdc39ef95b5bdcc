//! Every draw derived again from the log alone, and each that does not fit named.
//!
//! [`Seeds`] are gathered first, from the campaigns' streams: a draw stands in the log long before
//! its seed. Then [`DrawAudit::take`] follows the log event by event: [`versions`] derives which
//! terms were in force at that place, [`campaign_ledger`] what each campaign's budget was,
//! [`funding`] who put it in, [`epoch`] what its days were; [`considered`] compares the campaigns
//! that a transaction was asked of with them, [`check`] one draw. Money is minor units, odds parts
//! per 10^9.
//!
//! Memory: 32 bytes for every entry ever drawn (each once), the same again until its epoch is
//! closed, and a small record per account and per win. The hash chain is [`crate::replay`]'s
//! business, not repeated here.

mod campaign_ledger;
mod check;
mod considered;
mod drawn;
mod epoch;
mod findings;
mod funding;
mod report;
mod seeds;
mod versions;

pub use findings::{FINDINGS_MAX, Finding};
pub use report::{Counts, Report, Summary};
pub use seeds::{Seeds, SeedsError};

use std::collections::{BTreeMap, HashMap, HashSet};

use compact_str::CompactString;

use campaign_ledger::CampaignLedger;
use considered::Customer;
use drawn::{Drawn, Evaluated, Win};
use findings::{Findings, Place};
use futures::TryStreamExt as _;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::Line;
use ledger_core::campaign::CampaignEvent;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{AccountId, CampaignId, EntryId};
use ledger_core::keys::{Details, Keyring, Keys, SealError, SealedAmount};
use ledger_core::log::{EventLog, LogError, Position, StoredEvent, StreamType, pages};
use ledger_core::money::Money;
use ledger_core::system::SystemEvent;
use ledger_core::time::Timestamp;
use ledger_core::zone::{ZoneTable, ZoneTableChange};

/// What the auditor sees of a line.
pub struct OpenedLine {
    /// Its details.
    pub details: Details,
    /// What the line has to keep of them besides, where its release did.
    pub spent: Option<SealedAmount>,
}

impl OpenedLine {
    /// Opens a line for an auditor to whom it is disclosed; `None` once its details have been
    /// erased, and where the line has none of its own.
    pub fn open(keys: &Keys, account: &AccountId, line: &Line) -> Result<Option<OpenedLine>, SealError> {
        let Some(sealed) = &line.details else { return Ok(None) };
        let Some(key) = keys.opening(account)? else { return Ok(None) };
        let details = key.open_details(&line.source, &line.transaction_id, sealed)?;
        let spent = details.spent(&key.amounts());
        Ok(Some(OpenedLine { details, spent }))
    }

    /// What it takes to open the lines of a page of the log, in one round trip.
    pub async fn keys(keyring: &Keyring, page: &[StoredEvent]) -> Result<Keys, SealError> {
        let has_line = |stored: &&StoredEvent| stored.event_type == "TransactionEvaluated";
        let account = |stored: &StoredEvent| AccountId::parse(&stored.stream.id).ok();
        keyring.opening_keys(page.iter().filter(has_line).filter_map(account).collect()).await
    }
}

/// All that the log says of draws, derived again.
pub struct DrawAudit {
    seeds: Seeds,
    /// What opens the details of the events at hand, where they are disclosed.
    keys: Option<Keys>,
    campaigns: BTreeMap<CampaignId, CampaignLedger>,
    /// What clocks show, here.
    zones: ZoneTable,
    /// In which order lines are asked of them; empty after a campaign's event, until it is needed
    /// again.
    order: Vec<CampaignId>,
    customers: HashMap<CompactString, Customer>,
    /// Every entry ever drawn: none is drawn twice, in whatever epoch.
    drawn: HashSet<EntryId>,
    wins: HashMap<EntryId, Win>,
    /// Whether purchases keep their amount by now: lines of earlier releases do not.
    keeps_amounts: bool,
    /// Draws of campaigns that are not in the log.
    stray_draws: u64,
    events: u64,
    position: Position,
    recorded_at: Timestamp,
    findings: Findings,
}

impl DrawAudit {
    /// An audit with these seeds.
    pub fn new(seeds: Seeds) -> DrawAudit {
        DrawAudit {
            seeds,
            keys: None,
            campaigns: BTreeMap::new(),
            zones: ZoneTable::new(),
            order: Vec::new(),
            customers: HashMap::new(),
            drawn: HashSet::new(),
            wins: HashMap::new(),
            keeps_amounts: false,
            stray_draws: 0,
            events: 0,
            position: Position(0),
            recorded_at: Timestamp::default(),
            findings: Findings::default(),
        }
    }

    /// Follows the log to its end, with details where they are disclosed; `also` reads along
    /// (without what does not decode).
    pub async fn run(
        &mut self,
        log: &dyn EventLog,
        disclose: Option<&Keyring>,
        mut also: impl FnMut(&StoredEvent, Option<&LedgerEvent>),
    ) -> Result<(), LogError> {
        let mut pages = pages(log, None, self.position);
        while let Some(page) = pages.try_next().await? {
            if let Some(keyring) = disclose {
                let keys = OpenedLine::keys(keyring, &page).await;
                self.disclose(keys.map_err(|error| LogError::Store {
                    doing: "open what is disclosed",
                    transient: error.transient(),
                    source: Box::new(error),
                })?);
            }
            for stored in &page {
                let event = self.take(stored);
                also(stored, event.as_ref());
            }
        }
        Ok(())
    }

    /// Discloses the details of the next events: these keys open them.
    pub fn disclose(&mut self, keys: Keys) {
        self.keys = Some(keys);
    }

    /// Checks the next event of the log, and gives it to whoever reads along.
    pub fn take(&mut self, stored: &StoredEvent) -> Option<LedgerEvent> {
        self.events += 1;
        (self.position, self.recorded_at) = (stored.position, stored.recorded_at);
        // Operators' actions draw nothing, and one that cannot be read is the replay's finding.
        if stored.stream.stream_type == StreamType::System {
            let event = decode(stored).ok();
            if let Some(LedgerEvent::System(SystemEvent::ZoneTableChanged { version, zones })) = &event {
                self.zones.change(ZoneTableChange { version: version.clone(), zones: zones.clone() });
            }
            return event;
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
        let mut counts = Counts { draws: self.stray_draws, ..Counts::default() };
        for (id, book) in &self.campaigns {
            book.finish(id, self.position, &mut self.findings);
            let summary =
                book.summary(self.recorded_at, self.wins.values().filter(|win| win.campaign == *id));
            counts.add(summary.counts);
            summaries.insert(id.clone(), summary);
        }
        Report {
            holds: self.findings.total == 0,
            complete: counts.rederived == counts.draws,
            events: self.events,
            position: self.position.to_string(),
            counts,
            campaigns: summaries,
            findings: self.findings.kept,
            findings_total: self.findings.total,
        }
    }

    fn campaign(&mut self, stored: &StoredEvent, event: &CampaignEvent) {
        let Ok(id) = CampaignId::parse(&stored.stream.id) else {
            return; // Replay names a stream that no campaign can have.
        };
        self.order.clear();
        if let CampaignEvent::CampaignDrafted { terms, .. } | CampaignEvent::CampaignRevised { terms, .. } =
            event
        {
            self.keeps_amounts |= terms.rules.compiled().spending_matters();
        }
        let book = self.campaigns.entry(id.clone()).or_default();
        book.take(stored, &id, event, &self.seeds, &mut self.findings);
    }

    fn account(&mut self, stored: &StoredEvent, event: &AccountEvent) {
        match event {
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws } => {
                let evaluated = Evaluated { stored, line, considered, draws };
                evaluated.outcome(*outcome, &mut self.findings);
                self.asked(&evaluated);
                let amount = self.disclosed(&evaluated);
                for draw in draws {
                    let drawn = Drawn { stored, line, draw };
                    let place = drawn.place();
                    let Some(book) = self.campaigns.get_mut(&draw.campaign_id) else {
                        self.findings.add(&place, "campaign", "a campaign of this log", &draw.campaign_id);
                        self.stray_draws += 1;
                        continue;
                    };
                    if !self.drawn.insert(draw.entry_id) {
                        self.findings.add(&place, "drawn_once", "an entry not drawn before", "drawn again");
                    }
                    book.draw(&drawn, amount, &self.zones, &mut self.findings);
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
            AccountEvent::AccountOpened { enrolled_at } => {
                // Backdated, it would let lines in that were booked before; postdated, keep some
                // out.
                let place = Place::of(stored, None);
                self.findings.compare(&place, "enrolled_at", stored.recorded_at, *enrolled_at);
                self.customer(stored).enrolled_at = Some(*enrolled_at);
            }
            AccountEvent::AccountExcluded { .. } => self.customer(stored).excluded = true,
            AccountEvent::AccountReinstated { .. } => self.customer(stored).excluded = false,
            AccountEvent::AccountClosed { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::PersonalDataErased { .. } => {}
        }
    }

    /// The line's amount, where it is disclosed. A purchase keeps it sealed besides, and nothing
    /// else does: with a smaller one, or none, a customer could spend more than a rule allows.
    fn disclosed(&mut self, evaluated: &Evaluated<'_>) -> Option<Money> {
        let Evaluated { stored, line, .. } = evaluated;
        self.keeps_amounts |= line.spent.is_some();
        let place = Place::of(stored, evaluated.draws.first().map(|draw| draw.entry_id));
        let keys = self.keys.as_ref()?;
        let OpenedLine { details, spent } =
            match OpenedLine::open(keys, &AccountId::parse(&stored.stream.id).ok()?, line) {
                Ok(opened) => opened?,
                Err(error) => {
                    self.findings.add(
                        &place,
                        "details",
                        "details that open under their account's key",
                        error,
                    );
                    return None;
                }
            };
        if self.keeps_amounts && line.spent != spent {
            let said = |spent: Option<SealedAmount>| if spent.is_some() { "another" } else { "none" };
            let expected = if spent.is_some() { "the amount of the details" } else { "none" };
            self.findings.add(&place, "spent", expected, said(line.spent));
        }
        Some(*details.amount.expose())
    }

    fn customer(&mut self, stored: &StoredEvent) -> &mut Customer {
        self.customers.entry(stored.stream.id.clone()).or_default()
    }

    fn asked(&mut self, evaluated: &Evaluated<'_>) {
        if self.order.is_empty() {
            self.order = considered::order(&self.campaigns);
        }
        let customer = self.customers.get(&evaluated.stored.stream.id).copied().unwrap_or_default();
        let (campaigns, zones) = (&self.campaigns, &self.zones);
        considered::check(evaluated, &self.order, campaigns, zones, customer, &mut self.findings);
    }

    /// Credits are wins: what is issued, paid or taken back was won, is what was won, and happens
    /// once.
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
            self.findings.add(&place, "amount", win.amount, amount);
        }
        if std::mem::replace(mark(win), true) {
            self.findings.add(&place, check, "once", "again");
        }
    }
}
