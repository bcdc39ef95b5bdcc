//! `rewardhub explain`: why a transaction won or did not, in the customer's words and in ours, from
//! the recorded decision alone. Reads only; works beside a running sandbox.

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::{Considered, DeferReason, Line, Outcome, Verdict};
use ledger_core::account::explain::{Reason, Recorded, Reference, explain, for_customer};
use ledger_core::draw::Draw;
use ledger_core::engine::reference;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{Source, TransactionId, TransactionKey};
use ledger_core::log::{EventLog, Log, Position, StreamId, follow};
use ledger_core::time::Timestamp;
use serde_json::json;

use crate::commands::support::{At, Ended};
use crate::opened::read_only_log;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// Who fed the transaction.
    source: Source,
    /// Its id there.
    transaction_id: TransactionId,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { at, source, transaction_id, json } = arguments;
    let log = read_only_log(&at.config()?).await?;
    let Some(decision) = Decision::find(&log, &source, &transaction_id).await? else {
        eprintln!(
            "no booked transaction {transaction_id} of {source} is in this ledger; pending ones decide nothing"
        );
        return Ok(Ended::Failed);
    };
    let recorded = decision.recorded();
    let mut known = Reference::default();
    reference::complete(&*log.events, &recorded, &mut known).await?;
    let reasons = explain(&recorded, &known);
    if json {
        println!("{}", serde_json::to_string_pretty(&decision.to_json(&reasons))?);
    } else {
        decision.print(reasons);
    }
    Ok(Ended::Fine)
}

/// How one purchase stands, by whichever of its names it was asked for, from the events of its
/// account.
struct Decision {
    account: StreamId,
    position: Position,
    source: Source,
    /// The name under which it was first booked.
    transaction_id: TransactionId,
    /// Other names under which the bank has booked it.
    other_ids: Vec<TransactionId>,
    booked_at: Option<Timestamp>,
    outcome: Option<Outcome>,
    waits_for: Option<DeferReason>,
    removed: bool,
    verdict: Option<Verdict>,
    considered: Vec<Considered>,
    draws: Vec<Draw>,
}

impl Decision {
    /// A linked name stands for the purchase that it was linked to, one that the purchase had while
    /// pending for the purchase.
    async fn find(
        log: &Log,
        source: &Source,
        transaction_id: &TransactionId,
    ) -> anyhow::Result<Option<Decision>> {
        let mut asked = vec![transaction_id.clone()];
        loop {
            let id = asked.last().unwrap_or(transaction_id);
            let Some((decision, linked_to)) = Decision::of(log, source, id).await? else { return Ok(None) };
            let stands_as = match linked_to {
                None if decision.word() == "removed" => decision.booked_as(&*log.events).await?,
                linked_to => linked_to,
            };
            match stands_as {
                Some(first) if !asked.contains(&first) => asked.push(first),
                Some(_) | None => return Ok(Some(decision)),
            }
        }
    }

    /// The event that carries the line's key, and whatever happened to the line after it; and the
    /// name that it was linked to.
    async fn of(
        log: &Log,
        source: &Source,
        transaction_id: &TransactionId,
    ) -> anyhow::Result<Option<(Decision, Option<TransactionId>)>> {
        let found = log.transactions.find_transactions(&[TransactionKey::of(source, transaction_id)]).await?;
        let Some(first) = found.into_iter().next() else { return Ok(None) };
        let mut decision = Decision {
            account: first.stream.clone(),
            position: first.position,
            source: source.clone(),
            transaction_id: transaction_id.clone(),
            other_ids: vec![],
            booked_at: None,
            outcome: None,
            waits_for: None,
            removed: false,
            verdict: None,
            considered: vec![],
            draws: vec![],
        };
        let mut linked_to = None;
        // From the key's own event on.
        let before = Position(first.position.0 - 1);
        let mut events = follow(&*log.events, Some(&first.stream), before);
        while let Some(stored) = events.try_next().await.context("the account's events")? {
            let LedgerEvent::Account(event) = decode(&stored)? else {
                bail!("a transaction's key stands in another stream than an account's")
            };
            linked_to = decision.apply(stored.position, event).or(linked_to);
        }
        Ok(Some((decision, linked_to)))
    }

    /// The name under which the line was booked that had this one while pending.
    async fn booked_as(&self, log: &dyn EventLog) -> anyhow::Result<Option<TransactionId>> {
        let mut events = follow(log, Some(&self.account), Position(0));
        while let Some(stored) = events.try_next().await? {
            if let LedgerEvent::Account(
                AccountEvent::TransactionEvaluated { line, .. }
                | AccountEvent::TransactionDeferred { line, .. },
            ) = decode(&stored)?
                && line.source == self.source
                && line.pending_transaction_id.as_ref() == Some(&self.transaction_id)
            {
                return Ok(Some(line.transaction_id));
            }
        }
        Ok(None)
    }

    /// The name that this one is linked to, where the event says so.
    fn apply(&mut self, position: Position, event: AccountEvent) -> Option<TransactionId> {
        let is_this = |source: &Source, id: &TransactionId| {
            *source == self.source && (*id == self.transaction_id || self.other_ids.contains(id))
        };
        match event {
            AccountEvent::TransactionDeferred { line, reason }
                if is_this(&line.source, &line.transaction_id) =>
            {
                self.stands(position, &line);
                (self.waits_for, self.verdict) = (Some(reason), None);
            }
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws }
                if is_this(&line.source, &line.transaction_id) =>
            {
                self.stands(position, &line);
                (self.outcome, self.considered, self.draws) = (Some(outcome), considered, draws);
                (self.waits_for, self.removed) = (None, false);
            }
            AccountEvent::TransactionRemoved { source, transaction_id, .. }
                if is_this(&source, &transaction_id) =>
            {
                (self.waits_for, self.removed) = (None, true);
            }
            AccountEvent::TransactionReviewed { source, transaction_id, verdict, .. }
                if is_this(&source, &transaction_id) =>
            {
                (self.waits_for, self.verdict) = (None, Some(verdict));
                // As the read models have it: one that was decided before stays taken back.
                self.removed = self.outcome.is_some();
                if verdict == Verdict::Dismissed {
                    self.outcome.get_or_insert(Outcome::Declined);
                }
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to, .. }
                if source == self.source && transaction_id == self.transaction_id =>
            {
                return Some(linked_to);
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to, .. }
                if is_this(&source, &linked_to) && !is_this(&source, &transaction_id) =>
            {
                self.other_ids.push(transaction_id);
            }
            _ => {}
        }
        None
    }

    fn stands(&mut self, position: Position, line: &Line) {
        (self.position, self.booked_at) = (position, Some(line.booked_at));
    }

    fn recorded(&self) -> Recorded<'_> {
        let Decision { outcome, waits_for, removed, verdict, considered, draws, .. } = self;
        let (outcome, waits_for, removed, verdict) = (*outcome, *waits_for, *removed, *verdict);
        Recorded { outcome, waits_for, removed, verdict, considered, draws }
    }

    fn word(&self) -> &'static str {
        match (self.outcome, self.waits_for) {
            (Some(Outcome::Won), _) => "won",
            (Some(Outcome::Lost), _) => "lost",
            (Some(Outcome::Declined), _) => "declined",
            (None, Some(DeferReason::Held)) => "held",
            (None, None) if self.removed => "removed",
            // Without a reason: two people have released it.
            (None, Some(DeferReason::EpochNotOpen | DeferReason::DrawsHalted) | None) => "deferred",
        }
    }

    fn to_json(&self, reasons: &[Reason]) -> serde_json::Value {
        let reasons: Vec<_> = reasons
            .iter()
            .map(|r| json!({ "code": r.code, "customer": r.customer, "staff": r.staff }))
            .collect();
        json!({
            "source": self.source, "transaction_id": self.transaction_id, "other_ids": self.other_ids, "account": self.account.id,
            "booked_at": self.booked_at, "position": self.position.to_string(), "outcome": self.word(),
            "removed": self.removed, "reasons": reasons, "considered": self.considered, "draws": self.draws,
        })
    }

    fn print(&self, reasons: Vec<Reason>) {
        println!("{} of {}: {}", self.transaction_id, self.source, self.word());
        if !self.other_ids.is_empty() {
            let ids: Vec<_> = self.other_ids.iter().map(TransactionId::as_str).collect();
            println!("the bank has booked it as {} too", ids.join(", "));
        }
        println!("{} at {}", self.account, self.position);
        println!("\nFor staff");
        for reason in &reasons {
            println!("  {}: {}", reason.code, reason.staff);
        }
        println!("\nFor the customer");
        for reason in for_customer(reasons) {
            println!("  {}", reason.customer);
        }
    }
}
