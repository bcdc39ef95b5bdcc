//! The audit bundle: the log as text that any language reads, one JSON object per line.
//!
//! - `events.ndjson`: every event in order of the log, every column; `payload` and `metadata` are
//!   the exact texts that the hash chain covers, `recorded_at` microseconds since 1970.
//! - `details.ndjson` (disclosed): what the rules look at of each line, by position. Names,
//!   descriptions, bank accounts are no part of any rule and stay sealed.
//! - `zones.ndjson`: what clocks showed where something was decided before the log said so itself
//!   (`ZoneTableChanged`), as the first releases had it. Left out where nothing was.
//! - `seeds.ndjson` (opened): seeds of epochs not yet revealed. Whoever has it can predict their
//!   draws.
//! - `manifest.json`: [`FORMAT`], first and last position, count, the last event's hash, SHA-256 of
//!   each file.
//!
//! All of it follows from the log: the same log up to the same position gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use crate::draws::OpenedLine;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::Line;
use ledger_core::campaign::CampaignEvent;
use ledger_core::event::LedgerEvent;
use ledger_core::ids::{CampaignId, Digest, TransactionKey};
use ledger_core::log::StoredEvent;
use ledger_core::system::SystemEvent;
use ledger_core::time::Epoch;
use ledger_core::transaction::Direction;
use ledger_core::zone::{self, Transitions, Zone, ZoneTable, ZoneTableChange};

/// The bundle's format and its version.
pub const FORMAT: &str = "rewardhub-audit-1";

/// One event, every column.
#[derive(Serialize)]
pub struct EventLine<'e> {
    partition: u32,
    position: u64,
    aggregate_type: &'static str,
    aggregate_id: &'e str,
    sequence: u64,
    event_type: &'e str,
    event_version: &'e str,
    recorded_at: i64,
    transaction_key: Option<TransactionKey>,
    payload: &'e str,
    metadata: &'e str,
    hash: Digest,
}

impl<'e> EventLine<'e> {
    /// Fails where payload or metadata are no text.
    pub fn of(stored: &'e StoredEvent) -> Result<EventLine<'e>, std::str::Utf8Error> {
        Ok(EventLine {
            partition: 0,
            position: stored.position.0,
            aggregate_type: stored.stream.stream_type.as_str(),
            aggregate_id: &stored.stream.id,
            sequence: stored.sequence,
            event_type: &stored.event_type,
            event_version: &stored.event_version,
            recorded_at: stored.recorded_at.micros(),
            transaction_key: stored.transaction_key,
            payload: std::str::from_utf8(&stored.payload)?,
            metadata: std::str::from_utf8(&stored.metadata)?,
            hash: stored.hash,
        })
    }
}

/// What the rules look at of one line.
#[derive(Serialize)]
pub struct DetailsLine<'d> {
    position: u64,
    /// `disclosed`, `other_amount` where the line keeps another than that of the details, `erased`
    /// with the account's key, or `damaged`: it does not open. What is not as it should be is the
    /// auditor's finding.
    state: &'static str,
    details: Option<Disclosed<'d>>,
}

#[derive(Serialize)]
struct Disclosed<'d> {
    amount_minor: i64,
    currency: &'static str,
    direction: Direction,
    merchant: Option<DisclosedMerchant<'d>>,
    refund: bool,
}

#[derive(Serialize)]
struct DisclosedMerchant<'d> {
    id: Option<&'d str>,
    mcc: Option<String>,
    country: Option<&'d str>,
}

impl<'d> DetailsLine<'d> {
    /// Of a line decided at this event whose details do not open.
    pub fn damaged(stored: &StoredEvent) -> DetailsLine<'d> {
        DetailsLine { position: stored.position.0, state: "damaged", details: None }
    }

    /// Of the line decided at this event.
    pub fn of(stored: &StoredEvent, line: &Line, opened: Option<&'d OpenedLine>) -> DetailsLine<'d> {
        let state = match opened {
            None => "erased",
            Some(opened) if line.spent.is_some() && line.spent != opened.spent => "other_amount",
            Some(_) => "disclosed",
        };
        let details = opened.map(|OpenedLine { details, .. }| Disclosed {
            amount_minor: details.amount.expose().minor(),
            currency: details.amount.expose().currency().code(),
            direction: details.direction,
            merchant: details.merchant.as_ref().map(|merchant| DisclosedMerchant {
                id: merchant.id.as_ref().map(|id| id.expose().as_str()),
                mcc: merchant.mcc.as_ref().map(|mcc| mcc.expose().to_string()),
                country: merchant.country.as_ref().map(|country| country.expose().as_str()),
            }),
            refund: details.refund_of.is_some(),
        });
        DetailsLine { position: stored.position.0, state, details }
    }
}

/// What one zone's clocks showed by the table of the first releases.
#[derive(Serialize)]
pub struct ZoneLine<'z> {
    zone: &'z Zone,
    #[serde(flatten)]
    transitions: Transitions,
}

/// Which zones were decided by without standing in the log.
#[derive(Default)]
pub struct UnrecordedZones {
    table: ZoneTable,
    /// Of campaigns, not in the log so far.
    used: BTreeSet<Zone>,
    decided: BTreeSet<Zone>,
}

impl UnrecordedZones {
    /// The next event of the log.
    pub fn take(&mut self, event: &LedgerEvent) {
        match event {
            LedgerEvent::Campaign(
                CampaignEvent::CampaignDrafted { terms, .. } | CampaignEvent::CampaignRevised { terms, .. },
            ) if !self.table.has(&terms.time_zone) => drop(self.used.insert(terms.time_zone.clone())),
            LedgerEvent::Account(AccountEvent::TransactionEvaluated { .. }) => {
                self.decided.extend(self.used.iter().cloned());
            }
            LedgerEvent::System(SystemEvent::ZoneTableChanged { version, zones }) => {
                self.table.change(ZoneTableChange { version: version.clone(), zones: zones.clone() });
                self.used.retain(|zone| !self.table.has(zone));
            }
            _ => {}
        }
    }

    /// What an auditor needs besides the log.
    pub fn lines(&self) -> impl Iterator<Item = ZoneLine<'_>> {
        self.decided.iter().filter_map(|zone| Some(ZoneLine { zone, transitions: zone::legacy(zone)? }))
    }
}

/// One opened seed.
#[derive(Serialize)]
pub struct SeedLine<'s> {
    /// Of which campaign.
    pub campaign_id: &'s CampaignId,
    /// The day.
    pub epoch: Epoch,
    /// 32 bytes.
    pub seed: Digest,
}

/// What is in the bundle.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: &'static str,
    /// Of the first event; 0 in an empty log.
    pub first_position: u64,
    /// Of the last event.
    pub last_position: u64,
    /// Events.
    pub events: u64,
    /// Of the last event.
    pub head_hash: Option<Digest>,
    /// By name.
    pub files: BTreeMap<&'static str, FileSum>,
}

/// One file of the bundle.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FileSum {
    /// Its length.
    pub bytes: u64,
    /// Its lines.
    pub lines: u64,
    /// Of its bytes.
    pub sha256: Digest,
}

/// A file of lines that is hashed as it is written.
pub struct Lines<W: Write> {
    to: W,
    hash: Context,
    buffer: Vec<u8>,
    bytes: u64,
    count: u64,
}

impl<W: Write> Lines<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Lines<W> {
        Lines { to, hash: Context::new(&SHA256), buffer: Vec::new(), bytes: 0, count: 0 }
    }

    /// Adds one line.
    pub fn add(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        self.hash.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.count += 1;
        self.to.write_all(&self.buffer)
    }

    /// What was written, and where to.
    pub fn finish(self) -> (W, FileSum) {
        let hash = self.hash.finish();
        let sha256 = Digest(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"));
        (self.to, FileSum { bytes: self.bytes, lines: self.count, sha256 })
    }
}
