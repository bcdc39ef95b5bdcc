//! One campaign's terms as they came: written by one, approved by another, and what each epoch was
//! committed to under those in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::findings::{Findings, Place};
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::beacon::BeaconSpec;
use ledger_core::ids::Digest;
use ledger_core::person::same_person;
use ledger_core::time::Timestamp;

/// The versions of one campaign's terms.
#[derive(Default)]
pub(super) struct Versions {
    by_number: BTreeMap<u32, Version>,
    /// Once approved; until then the latest draft.
    in_force: u32,
    approved: bool,
    /// An event has named a person or a version. Logs older than that named neither; nothing after
    /// it may be silent.
    names: bool,
    /// Of every version's prize table: all that can be asked of an epoch that names no version.
    tables: BTreeSet<Digest>,
}

struct Version {
    terms: Arc<Terms>,
    by: String,
}

impl Versions {
    /// A draft or a revision.
    pub(super) fn written(
        &mut self,
        place: &Place,
        version: u32,
        terms: &Terms,
        by: &str,
        findings: &mut Findings,
    ) {
        let last = self.by_number.last_key_value().map_or(0, |(last, _)| *last);
        findings.compare(place, "version", last + 1, version);
        self.names(place, !by.is_empty(), findings);
        self.tables.insert(terms.prize_table.hash());
        self.by_number.insert(version, Version { terms: Arc::new(terms.clone()), by: by.into() });
        if !self.approved {
            self.in_force = version;
        }
    }

    /// The latest version is in force from here on, if somebody else than its author says so.
    pub(super) fn approved(&mut self, place: &Place, version: u32, by: &str, findings: &mut Findings) {
        self.names(place, !by.is_empty(), findings);
        let Some((latest, written)) = self.by_number.last_key_value() else {
            findings.add(place, "version", "a version of the terms", version);
            return;
        };
        findings.compare(place, "version", *latest, version);
        if same_person(&written.by, by) && !by.is_empty() {
            findings.add(place, "approved_by", format!("somebody else than {}", written.by), by);
        }
        (self.in_force, self.approved) = (version, true);
    }

    /// What an event says of the version in force.
    pub(super) fn stated(&mut self, place: &Place, version: u32, findings: &mut Findings) {
        self.names(place, version != 0, findings);
        if version != 0 {
            findings.compare(place, "version", self.in_force, version);
        }
    }

    /// The version that an event of the budget or of an epoch names; those of earlier releases name
    /// none.
    pub(super) fn named(&self, place: &Place, event: &CampaignEvent, findings: &mut Findings) {
        let (CampaignEvent::FundingProposed { version, .. }
        | CampaignEvent::BudgetFunded { version, .. }
        | CampaignEvent::BudgetSpent { version, .. }
        | CampaignEvent::BudgetAlerted { version, .. }
        | CampaignEvent::EpochOpened { version, .. }
        | CampaignEvent::SeedOpened { version, .. }
        | CampaignEvent::EpochHalted { version, .. }
        | CampaignEvent::EpochResumptionProposed { version, .. }
        | CampaignEvent::EpochResumed { version, .. }
        | CampaignEvent::EpochClosed { version, .. }
        | CampaignEvent::EpochRevealed { version, .. }) = event
        else {
            return;
        };
        if *version != 0 {
            findings.compare(place, "version", self.in_force, *version);
        }
    }

    pub(super) fn started(&self, place: &Place, findings: &mut Findings) {
        if !self.approved {
            findings.add(place, "approved", "terms that somebody has approved", "none");
        }
    }

    /// The terms in force and their version.
    pub(super) fn in_force(&self) -> Option<(u32, &Arc<Terms>)> {
        self.by_number.get(&self.in_force).map(|version| (self.in_force, &version.terms))
    }

    /// What an `EpochScheduled` commits to is what the terms in force say.
    pub(super) fn scheduled(
        &mut self,
        place: &Place,
        recorded_at: Timestamp,
        event: &CampaignEvent,
        findings: &mut Findings,
    ) {
        let CampaignEvent::EpochScheduled {
            epoch,
            opens_at,
            closes_at,
            grace_days,
            prize_table,
            table_hash,
            beacon_spec,
            version,
            inventory,
            ..
        } = event
        else {
            return;
        };
        findings.compare(place, "opens_at", epoch.opens_at(), *opens_at);
        findings.compare(place, "closes_at", epoch.closes_at(), *closes_at);
        findings.compare(place, "table_hash", prize_table.hash(), *table_hash);
        if let Err(error) = prize_table.validate() {
            findings.add(place, "prize_table", "a table that can be drawn from", error);
        }
        // Whoever makes a seed for a round that is out can try seeds until one suits.
        if let Some(appears_at) = beacon_spec.parse::<BeaconSpec>().ok().and_then(BeaconSpec::appears_at)
            && appears_at <= recorded_at
        {
            let found = format!("one that appeared at {appears_at}");
            findings.add(place, "beacon_round", format!("a round after {recorded_at}"), found);
        }
        self.stated(place, *version, findings);
        if *version == 0 && !self.tables.contains(&prize_table.hash()) {
            findings.add(place, "prize_table", "the table of a version of the terms", table_hash);
        }
        let Some((_, terms)) = self.in_force().filter(|_| *version != 0) else { return };
        findings.compare(place, "prize_table", terms.prize_table.hash(), prize_table.hash());
        findings.compare(place, "grace_days", terms.grace_days, *grace_days);
        findings.compare(place, "inventory", format!("{:?}", terms.inventory), format!("{inventory:?}"));
        let expected = BeaconSpec::of(&terms.beacon, epoch.opens_at(), recorded_at);
        let expected = expected.map_or_else(|error| error.to_string(), |spec| spec.to_string());
        findings.compare(place, "beacon_spec", expected, beacon_spec.clone());
    }

    fn names(&mut self, place: &Place, names: bool, findings: &mut Findings) {
        if self.names && !names {
            findings.add(place, "names", "a person and a version, as the events before it name", "none");
        }
        self.names |= names;
    }
}
