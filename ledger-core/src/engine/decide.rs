//! Phase three of the loop: every command is decided through cqrs-es and staged, one after another.

use std::sync::Arc;

use cqrs_es::{AggregateError, CqrsFramework};

use crate::account::command::{EvaluateTransaction, Known, PreparedTransaction};
use crate::account::event::DeferReason;
use crate::account::{AccountAnswer, CommandKind, Rejection, RewardAccount};
use crate::aggregate::Command;
use crate::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use crate::draw;
use crate::event::aggregates;
use crate::faults;
use crate::ids::{AccountId, CampaignId, TransactionKey};
use crate::log::{Position, SYSTEM_STREAM, StreamId, StreamType};
use crate::system::{Switch, System, SystemCommandKind};
use crate::time::{Epoch, Timestamp};
use crate::transaction::Status;

use super::core::Core;
use super::epochs::{Due, Offers, SeedVault, due};
use super::failed::{Failed, unavailable};
use super::intake_batch::{Ask, Asked, RowReceipt, Work};
use super::receipt::{CommandContext, Receipt, RowResult};
use super::slot::Slot;
use super::slots::Listed;
use super::store::{Shared, Store};

/// What decides: it touches memory and nothing else.
pub(super) struct Decider {
    shared: Shared,
    seeds: Arc<dyn SeedVault>,
    offers: Offers,
    /// Whether a line of an unknown account opens it.
    open_enrolment: bool,
    /// What this build's table of zones says has been compared with the log's, since memory was
    /// last read.
    zones_compared: bool,
    /// For whom a command is being decided.
    deciding: Option<StreamId>,
    /// The engine's own metadata: epochs and budgets.
    own: CommandContext,
}

impl Decider {
    pub(super) fn new(shared: Shared, seeds: Arc<dyn SeedVault>, open_enrolment: bool) -> Decider {
        let own = CommandContext::new("engine", "", "");
        let (offers, zones_compared) = (Offers::default(), false);
        Decider { shared, seeds, offers, open_enrolment, zones_compared, deciding: None, own }
    }

    /// Time has moved on: a batch begins.
    pub(super) fn begin(&mut self) {
        self.deciding = None;
        self.offers.invalidate();
    }

    /// For whom it was deciding when it panicked.
    pub(super) fn take_deciding(&mut self) -> Option<StreamId> {
        self.deciding.take()
    }

    /// An epoch whose schedule did not land is scheduled again under another seed: its key must go
    /// too.
    pub(super) fn forget(&mut self) {
        self.deciding = None;
        self.offers = Offers::default();
        self.zones_compared = false;
    }

    /// Records what this build's table says of zones that campaigns use and the log does not have,
    /// in the same batch as what follows.
    pub(super) async fn record_zones(&mut self) -> Result<(), Failed> {
        let change = {
            let core = self.shared.lock();
            let used = core.aggregates.campaigns.in_order().flat_map(|slot| slot.state.zones());
            if self.zones_compared { core.zones().lacking(used) } else { core.zones().outdated(used) }
        };
        if let Some(change) = change {
            let (version, zones) = (change.version.clone(), change.zones.len());
            let kind = SystemCommandKind::ChangeZoneTable(change);
            let recorded = self.command::<System>(SYSTEM_STREAM, kind, &self.own.clone(), None).await?;
            recorded.map_err(|error| unavailable("record the zones of campaigns", &error))?;
            tracing::info!(version, zones, "the zones of campaigns are recorded");
        }
        self.zones_compared = true;
        Ok(())
    }

    /// Starts, schedules and opens what is due, in the same batch as what follows.
    pub(super) async fn advance_epochs(&mut self) -> Result<(), Failed> {
        let due = self.due();
        let starting = due.iter().any(|(_, due)| *due == Due::Start);
        self.advance(due).await?;
        if starting {
            // What has just started has epochs of its own to open.
            self.advance(self.due()).await?;
        }
        Ok(())
    }

    fn due(&self) -> Vec<(CampaignId, Due)> {
        let core = self.shared.lock();
        let now = core.staging.now;
        let campaigns = core.aggregates.campaigns.in_order();
        campaigns
            .filter_map(|slot| Some((&slot.state, slot.state.terms()?.0)))
            .flat_map(|(state, terms)| due(state, now).into_iter().map(|d| (terms.campaign_id.clone(), d)))
            .collect()
    }

    async fn advance(&mut self, due: Vec<(CampaignId, Due)>) -> Result<(), Failed> {
        for (campaign, due) in due {
            let kind = match due {
                Due::Start => CampaignCommandKind::Start,
                Due::Schedule(epoch) => self.schedule(&campaign, epoch)?,
                Due::Open(epoch) => CampaignCommandKind::OpenEpoch { epoch, signature: None },
            };
            if let Err(rejection) = self.campaign(&campaign, kind).await? {
                // A campaign that stands still must not stop the other campaigns or its own
                // operators.
                faults::error(
                    "a campaign refuses what is due; its transactions wait",
                    campaign.as_str(),
                    &rejection,
                );
                metrics::counter!("rewardhub_campaign_due_refused_total", "campaign" => campaign.to_string())
                    .increment(1);
            }
        }
        Ok(())
    }

    fn schedule(&self, campaign: &CampaignId, epoch: Epoch) -> Result<CampaignCommandKind, Failed> {
        let (table_hash, beacon_spec) = {
            let core = self.shared.lock();
            let terms = core.aggregates.campaigns.peek(campaign.as_str()).and_then(|slot| slot.state.terms());
            let (terms, _) = terms.ok_or(Failed::Unavailable)?;
            // The same that the campaign will record: terms and time are the same.
            (terms.prize_table.hash(), terms.beacon_spec(epoch, core.staging.now).to_string())
        };
        let (seed, sealed_seed) =
            self.seeds.create(campaign, epoch).map_err(|e| unavailable("create a seed", &e))?;
        let commitment = draw::commitment(campaign, epoch, &table_hash, &beacon_spec, &seed);
        Ok(CampaignCommandKind::ScheduleEpoch { epoch, commitment, sealed_seed })
    }

    /// Copies, since whoever asked is on another thread: terms and tables are shared.
    fn seen(&self, only: Option<&CampaignId>) -> Vec<(Campaign, u64)> {
        let core = self.shared.lock();
        let seen = |slot: &Slot<Campaign>| (slot.version > 0).then(|| (slot.state.clone(), slot.version));
        match only {
            Some(id) => core.aggregates.campaigns.peek(id.as_str()).and_then(seen).into_iter().collect(),
            None => core.aggregates.campaigns.in_order().filter_map(seen).collect(),
        }
    }

    pub(super) async fn decide(&mut self, work: &mut Work) -> Result<(), Failed> {
        match work {
            Work::Transactions { rows, context, resume, reply } => {
                let mut receipts = Vec::with_capacity(rows.len());
                for row in rows {
                    receipts.push(self.transaction(row, context, *resume).await?);
                }
                reply.hold(Some(receipts));
            }
            Work::Asked(asked) => {
                self.asked(asked).await?;
                if matches!(**asked, Asked::Campaign(_)) {
                    self.deciding = None;
                    self.record_zones().await?;
                    // A started campaign opens its first epoch at once.
                    self.advance_epochs().await?;
                }
            }
            Work::Campaigns { only, reply } => reply.hold(Some(self.seen(only.as_ref()))),
            Work::Tick { reply } => reply.hold(Some(self.shared.lock().staging.now)),
        }
        self.deciding = None;
        Ok(())
    }

    async fn ask<A: Listed>(&mut self, ask: &mut Ask<A>) -> Result<(), Failed> {
        let stream = StreamId { stream_type: A::STREAM, id: ask.id.clone() };
        if self.shared.lock().apart.has(&stream) {
            ask.reply.hold(None);
            return Ok(());
        }
        self.deciding = Some(stream);
        let answer = self.command::<A>(&ask.id, ask.kind.clone(), &ask.context, None).await?;
        let last = Position(self.shared.lock().staging.next_position().0 - 1);
        ask.reply.hold(Some(answer.map(|answer| (answer, last))));
        Ok(())
    }

    async fn transaction(
        &mut self,
        row: &Arc<PreparedTransaction>,
        context: &CommandContext,
        resume: bool,
    ) -> Result<RowReceipt, Failed> {
        if self.is_apart(row) {
            return Ok(Err(Rejection::AccountUnavailable));
        }
        self.deciding = Some(StreamId::account(&row.account_id));
        let (known, pending_known, owner, halted, offers) = {
            let mut core = self.shared.lock();
            let known = core.known.get(&row.key).cloned();
            let pending_known = row.pending_key().and_then(|key| core.known.get(&key).cloned());
            let owner = owner(&core, row, known.as_ref(), pending_known.as_ref());
            let system = core.aggregates.systems.peek(SYSTEM_STREAM);
            let halted = system.is_some_and(|slot| slot.state.is_halted(Switch::Draws));
            let offers = match (row.status, &known) {
                // No seed is opened for what waits.
                _ if halted => Ok(vec![]),
                // A repeat is answered without any campaign.
                (Status::Booked, None) => self.offers.of(row.line.booked(), &core, &*self.seeds),
                (Status::Booked, Some(_)) if resume => self.offers.of(row.line.booked(), &core, &*self.seeds),
                _ => Ok(vec![]),
            };
            let offers = offers.map_err(|e| unavailable("open an epoch's seed", &e))?;
            (known, pending_known, owner, halted, offers)
        };
        self.record_openings().await?;
        self.deciding = Some(StreamId::account(&owner));
        // What another than its owner brings is sealed, and its merchant hashed, under another key.
        let transaction =
            if owner == row.account_id { Arc::clone(row) } else { Arc::new(without_what_is_sealed(row)) };
        let key = (known.is_none() && row.status != Status::Pending).then_some(row.key);
        let open_unknown = self.open_enrolment;
        let evaluate =
            EvaluateTransaction { transaction, known, pending_known, open_unknown, offers, halted, resume };
        let answer = self
            .command::<RewardAccount>(
                owner.as_str(),
                CommandKind::EvaluateTransaction(evaluate),
                context,
                key,
            )
            .await?;
        let mut core = self.shared.lock();
        let position = core.staging.line_position;
        let (result, won) = match answer {
            Err(rejection) => return Ok(Err(rejection)),
            Ok(AccountAnswer::Duplicate { position }) => {
                let noted = || {
                    core.aggregates
                        .accounts
                        .peek(owner.as_str())
                        .and_then(|slot| slot.noted.get(&row.key).copied())
                };
                let position = position.or_else(noted);
                return Ok(Ok(Receipt { result: RowResult::Duplicate, position, won: None }));
            }
            Ok(AccountAnswer::Linked) => (RowResult::Linked, None),
            Ok(AccountAnswer::Deferred(DeferReason::Held)) => (RowResult::Held, None),
            Ok(AccountAnswer::Deferred(_) | AccountAnswer::Noted) => (RowResult::Deferred, None),
            Ok(AccountAnswer::Evaluated { won, .. }) => (RowResult::Accepted, won),
            Ok(
                AccountAnswer::Removed
                | AccountAnswer::Done
                | AccountAnswer::Proposed
                | AccountAnswer::Unchanged
                | AccountAnswer::Outstanding(_)
                | AccountAnswer::Settled
                | AccountAnswer::GivenUp { .. },
            ) => (RowResult::Accepted, None),
        };
        if let (Some(key), Some(position)) = (key, position) {
            let is_booked = row.status == Status::Booked;
            let fingerprint = is_booked.then_some(row.line.fingerprint);
            // As the log says it: the event of a linked name, held or not, does not say when.
            let booked_at = (is_booked && !core.staging.names_only()).then_some(row.line.booked());
            core.know(key, Known { account_id: owner, position, fingerprint, booked_at });
        }
        Ok(Ok(Receipt { result, position, won }))
    }

    /// Whether anybody whose line it may be has been set apart.
    fn is_apart(&self, row: &PreparedTransaction) -> bool {
        let core = self.shared.lock();
        if core.apart.is_empty() {
            return false;
        }
        if core.apart.has_account(&row.account_id) || core.apart.has_name_of(row) {
            return true;
        }
        let mut names = row.pending_key().into_iter().chain([row.key]);
        names.any(|key| core.known.peek(&key).is_some_and(|known| core.apart.has_account(&known.account_id)))
    }

    /// Every opening of a seed is a fact, written with or before the first draw that used it.
    async fn record_openings(&mut self) -> Result<(), Failed> {
        for (campaign, epoch) in self.offers.take_opened() {
            let kind = CampaignCommandKind::RecordSeedOpening { epoch, purpose: "draw".into() };
            self.campaign(&campaign, kind).await?.map_err(|e| bug("the opening of a seed", &e))?;
        }
        Ok(())
    }

    async fn campaign(
        &mut self,
        id: &CampaignId,
        kind: CampaignCommandKind,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, Failed> {
        self.command::<Campaign>(id.as_str(), kind, &self.own.clone(), None).await
    }

    /// The line of the command, if it is about one, gets `key`.
    async fn command<A: Listed>(
        &mut self,
        id: &str,
        kind: A::Kind,
        context: &CommandContext,
        key: Option<TransactionKey>,
    ) -> Result<Result<A::Answer, A::Error>, Failed> {
        let command = Command::new(self.prepare(context, key), context.actor(), kind);
        let answer = Arc::clone(&command.answer);
        let framework = CqrsFramework::<A, _>::new(Store::new(self.shared.clone()), vec![], ());
        let executed = framework.execute(id, command).await;
        // Terms, and what their clocks show.
        if A::STREAM != StreamType::Account {
            self.offers.invalidate();
        }
        match executed {
            Ok(()) => Ok(Ok(answer.get().cloned().expect("a handled command has filled its slot"))),
            Err(AggregateError::UserError(rejection)) => Ok(Err(rejection)),
            Err(error) => Err(unavailable("stage an event", &error)),
        }
    }

    /// Sets what the next command's events carry.
    fn prepare(&self, context: &CommandContext, key: Option<TransactionKey>) -> Timestamp {
        let staging = &mut self.shared.lock().staging;
        staging.metadata = context.metadata();
        staging.key = key;
        staging.line_position = None;
        staging.now
    }

    /// One `BudgetSpent` with running totals for each campaign the batch touched, in the same
    /// append.
    pub(super) async fn record_spend(&mut self) -> Result<(), Failed> {
        let spend = std::mem::take(&mut self.shared.lock().staging.spend);
        for (campaign, spend) in spend {
            if spend.won_minor == 0 && spend.reversed_minor == 0 {
                continue;
            }
            let kind = CampaignCommandKind::RecordSpend {
                won_minor: spend.won_minor,
                reversed_minor: spend.reversed_minor,
                wins: spend.wins.into_iter().map(|((epoch, tier), count)| (epoch, tier, count)).collect(),
            };
            self.campaign(&campaign, kind).await?.map_err(|e| bug("the batch's spend", &e))?;
        }
        Ok(())
    }
}

/// The line belongs to whoever brought it first, under whatever name: one that was booked, or
/// released, under the name that this line had while pending.
fn owner(
    core: &Core,
    row: &PreparedTransaction,
    known: Option<&Known>,
    pending_known: Option<&Known>,
) -> AccountId {
    let has_released = |account: &AccountId| {
        let slot = core.aggregates.accounts.peek(account.as_str());
        slot.zip(row.pending_key()).is_some_and(|(slot, key)| slot.state.has_released(key, row))
    };
    let is_same = |pending: &&Known| match pending.fingerprint {
        Some(first) => row.has_terms(first) && !row.is_far_from(pending),
        None => has_released(&pending.account_id),
    };
    known.or(pending_known.filter(is_same)).map_or(&row.account_id, |known| &known.account_id).clone()
}

macro_rules! of_all_kinds {
    ($($_slots:ident: $kind:ident($_aggregate:ty),)+) => {
        impl Decider {
            async fn asked(&mut self, asked: &mut Asked) -> Result<(), Failed> {
                match asked { $(Asked::$kind(ask) => self.ask(ask).await,)+ }
            }
        }
    };
}
aggregates!(of_all_kinds);

/// The engine's own command was refused: the batch is not written.
fn bug(what: &'static str, rejection: &CampaignRejection) -> Failed {
    unavailable(what, rejection)
}

fn without_what_is_sealed(row: &PreparedTransaction) -> PreparedTransaction {
    let mut row = row.clone();
    row.line.details = None;
    row.line.merchant = None;
    row.line.spent = None;
    row
}
