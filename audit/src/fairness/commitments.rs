//! When each day's seed was committed to, and what was drawn on days whose seed was chosen after
//! they had begun, or without public randomness.

use std::collections::BTreeMap;

use serde::Serialize;

use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::beacon::BeaconSpec;
use ledger_core::time::{Epoch, Timestamp};

/// A day whose seed was committed to when it had begun already: a campaign's first one, or one made
/// up for after an outage. Purchases of that day were known by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LateCommitment {
    /// The day.
    pub epoch: Epoch,
    /// Its first instant.
    pub opens_at: Timestamp,
    /// When the commitment was recorded.
    pub committed_at: Timestamp,
    /// Draws of that day.
    pub draws: u64,
    /// Of these, of purchases that had been booked when it was.
    pub booked_before: u64,
}

/// By day.
#[derive(Default)]
pub(super) struct Commitments {
    late: BTreeMap<Epoch, LateCommitment>,
    without_beacon: BTreeMap<Epoch, u64>,
}

impl Commitments {
    /// Takes the event, if it commits to a day.
    pub(super) fn take(&mut self, event: &CampaignEvent, recorded_at: Timestamp) {
        let CampaignEvent::EpochScheduled { epoch, opens_at, beacon_spec, .. } = event else { return };
        let (epoch, opens_at) = (*epoch, *opens_at);
        if recorded_at >= opens_at {
            let late =
                LateCommitment { epoch, opens_at, committed_at: recorded_at, draws: 0, booked_before: 0 };
            self.late.insert(epoch, late);
        }
        if beacon_spec.parse() == Ok(BeaconSpec::None) {
            self.without_beacon.insert(epoch, 0);
        }
    }

    /// Counts a draw.
    pub(super) fn draw(&mut self, epoch: Epoch, booked_at: Timestamp) {
        if let Some(day) = self.late.get_mut(&epoch) {
            day.draws += 1;
            day.booked_before += u64::from(booked_at < day.committed_at);
        }
        if let Some(draws) = self.without_beacon.get_mut(&epoch) {
            *draws += 1;
        }
    }

    /// Days on which something was drawn, and all draws without public randomness.
    pub(super) fn finish(self) -> (Vec<LateCommitment>, u64) {
        let late = self.late.into_values().filter(|day| day.draws > 0).collect();
        (late, self.without_beacon.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ledger_core::ids::Digest;
    use ledger_core::keys::Sealed;

    use super::*;

    #[test]
    fn a_commitment_is_late_from_the_first_instant_of_its_day_on() {
        let epoch: Epoch = "2026-11-29".parse().unwrap();
        let opens_at = epoch.opens_at();
        let late = |recorded_at: Timestamp, beacon_spec: &str| {
            let prize_table = serde_json::json!({ "currency": "GBP", "tiers": [] });
            let mut commitments = Commitments::default();
            let event = CampaignEvent::EpochScheduled {
                epoch,
                opens_at,
                closes_at: epoch.closes_at(),
                grace_days: 1,
                commitment: Digest([0; 32]),
                sealed_seed: Sealed::from_text("secret"),
                prize_table: serde_json::from_value(prize_table).unwrap(),
                table_hash: Digest([0; 32]),
                beacon_spec: beacon_spec.into(),
                at_once: true,
                version: 1,
                inventory: BTreeMap::new(),
            };
            commitments.take(&event, recorded_at);
            for booked_at in [opens_at, opens_at.plus_micros(10)] {
                commitments.draw(epoch, booked_at);
            }
            let (late, without_beacon) = commitments.finish();
            (late.first().map(|day| (day.draws, day.booked_before)), without_beacon)
        };
        assert_eq!(late(opens_at.plus_micros(-1), "none"), (None, 2));
        assert_eq!(late(opens_at, "none"), (Some((2, 0)), 2));
        assert_eq!(late(opens_at.plus_micros(10), "drand:quicknet:7"), (Some((2, 1)), 0));
    }
}
