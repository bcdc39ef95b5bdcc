//! What becomes of a campaign and its epochs, in sentences.

use std::collections::BTreeMap;

use std::sync::Arc;

use ledger_core::campaign::CampaignEvent;
use ledger_core::time::{DAY_MICROS, Timestamp};

use super::epochs::{EpochRow, EpochStatus, epoch};
use super::fold::THIS;
use super::*;
use crate::error::Contradiction;
use crate::fixtures::*;

fn followed(place: &Place, log: TestLog, batch: usize) -> TestStore {
    let store = place.store();
    store.follow(&Arc::new(log), batch).unwrap();
    store
}

fn row(store: &TestStore) -> CampaignRow {
    store.query(|conn| campaign(conn, &campaign_id())).unwrap()
}

fn today(store: &TestStore) -> EpochRow {
    store.query(|conn| epoch(conn, &campaign_id(), day())).unwrap()
}

fn status(place: &Place, events: impl IntoIterator<Item = CampaignEvent>) -> CampaignStatus {
    let log = TestLog::default();
    log.campaign(events);
    row(&followed(place, log, 100)).status
}

fn revised() -> CampaignEvent {
    CampaignEvent::CampaignRevised { version: 2, terms: terms("Tea"), by: "carol".into() }
}

#[test]
fn a_campaign_is_drafted_approved_started_paused_and_ended() {
    on_both(|place| {
        let t: Timestamp = at(1);
        let paused = CampaignEvent::CampaignPaused { paused_at: t, reason: "checks".into(), version: 1 };
        assert_eq!(status(place, running_campaign().into_iter().take(1)), CampaignStatus::Draft);
        assert_eq!(status(place, running_campaign().into_iter().take(2)), CampaignStatus::Approved);
        assert_eq!(status(place, running_campaign()), CampaignStatus::Active);
        let pausing = || running_campaign().into_iter().chain([paused.clone()]);
        assert_eq!(status(place, pausing()), CampaignStatus::Paused);
        let resumed = CampaignEvent::CampaignResumed { resumed_at: t, version: 1 };
        assert_eq!(status(place, pausing().chain([resumed])), CampaignStatus::Active);
        assert_eq!(
            status(place, pausing().chain([CampaignEvent::CampaignEnded { ended_at: t, version: 1 }])),
            CampaignStatus::Ended
        );
    });
}

fn approved_by(version: u32, by: &str) -> CampaignEvent {
    CampaignEvent::CampaignApproved { version, by: by.into() }
}

fn spent(spent_minor: i64, reversed_minor: i64) -> CampaignEvent {
    CampaignEvent::BudgetSpent { spent_minor, reversed_minor, tier_wins: BTreeMap::new(), version: 1 }
}

#[test]
fn new_terms_are_shown_once_they_are_in_force() {
    on_both(|place| {
        let shown = |events: Vec<CampaignEvent>| {
            let log = TestLog::default();
            log.campaign(events);
            let row = row(&followed(place, log, 100));
            (row.status, row.version, row.terms.name)
        };
        let drafted = || running_campaign().into_iter().take(1).chain([revised()]);
        assert_eq!(shown(drafted().collect()), (CampaignStatus::Draft, 2, "Tea".into()));
        let approved = drafted().chain([approved_by(2, "bob")]).collect();
        assert_eq!(shown(approved), (CampaignStatus::Approved, 2, "Tea".into()));
        let running = || running_campaign().into_iter().chain([revised()]);
        assert_eq!(shown(running().collect()), (CampaignStatus::Active, 1, "Coffee".into()));
        let approved = running().chain([approved_by(2, "bob")]).collect();
        assert_eq!(shown(approved), (CampaignStatus::Active, 2, "Tea".into()));
    });
}

#[test]
fn every_version_of_the_terms_stays() {
    on_both(|place| {
        let log = TestLog::with_campaign();
        log.campaign([revised(), approved_by(2, "bob")]);
        let store = followed(place, log, 100);
        let name = |version| {
            let terms = store.query(|conn| terms_of(conn, &campaign_id(), version));
            terms.map(|terms| terms.name)
        };
        assert_eq!([name(1), name(2), name(3)], [Some("Coffee".into()), Some("Tea".into()), None]);
    });
}

#[test]
fn draws_are_counted_and_spend_is_the_last_running_total() {
    on_both(|place| {
        let log = TestLog::with_campaign();
        log.account("a", [lost("t1"), won("t2", 100), evaluated(line("t3"), Some((0, 5_000)))]);
        log.campaign([spent(100, 0), spent(5_100, 100)]);
        let store = followed(place, log, 4);
        let row = row(&store);
        assert_eq!((row.draws, row.wins), (3, 2));
        assert_eq!((row.funded_minor, row.spent_minor, row.reversed_minor), (100_000, 5_100, 100));
        let epoch = today(&store);
        assert_eq!((epoch.status, epoch.draws, epoch.paid_minor), (EpochStatus::Open, 3, 5_100));
        assert_eq!(epoch.wins, [1, 1]);
        assert_eq!((epoch.budget_cap_minor, epoch.root, epoch.seed), (Some(100_000), None, None));
        // The fifth event, long after midnight.
        assert_eq!((epoch.committed_at, epoch.committed_in), (Some(at(5)), Some(Position(5))));
        assert_eq!(epoch.reveals_at(), day().closes_at().plus_micros(31 * DAY_MICROS));
        let table_of_draw = store.query(|conn| prize_table(conn, &campaign_id(), &epoch.table_hash));
        assert_eq!(table_of_draw, Some(table()));
    });
}

#[test]
fn a_closed_epoch_states_its_own_totals_and_a_revealed_one_its_seed() {
    on_both(|place| {
        let (root, seed) = (Digest([8; 32]), Digest([9; 32]));
        let log = TestLog::with_campaign();
        log.account("a", [lost("t1"), won("t2", 100)]);
        log.campaign([
            CampaignEvent::EpochHalted { epoch: day(), reason: "odd".into(), version: 1 },
            CampaignEvent::EpochClosed {
                epoch: day(),
                draws: 2,
                wins: vec![0, 1],
                paid_minor: 100,
                root,
                version: 1,
            },
            CampaignEvent::EpochRevealed { epoch: day(), seed, version: 1 },
        ]);
        for batch in [1, 100] {
            let again = TestLog::default();
            log.edit(|events| again.edit(|copy| copy.clone_from(events)));
            let epoch = today(&followed(place, again, batch));
            assert_eq!((epoch.status, epoch.draws, epoch.paid_minor), (EpochStatus::Revealed, 2, 100));
            assert_eq!((epoch.wins, epoch.root, epoch.seed), (vec![0, 1], Some(root), Some(seed)));
            assert_eq!(epoch.halt_reason.as_deref(), Some("odd"));
        }
    });
}

#[test]
fn a_draw_in_an_epoch_that_was_never_scheduled_is_a_fault() {
    on_both(|place| {
        let log = TestLog::default();
        log.campaign(running_campaign().into_iter().take(4));
        log.account("a", [lost("t1")]);
        let failed = place.store().follow(&Arc::new(log), 100);
        assert!(
            matches!(failed, Err(ProjectionError::Contradiction(Contradiction { projection: THIS, .. }))),
            "{failed:?}"
        );
    });
}

#[test]
fn campaigns_and_epochs_come_in_pages() {
    on_both(|place| {
        let store = followed(place, TestLog::with_campaign(), 100);
        let page = store.query(|conn| campaigns(conn, false, None, 10));
        assert_eq!((page.rows.len(), page.has_more), (1, false));
        assert!(store.query(|conn| campaigns(conn, false, Some(page.rows[0].position), 10)).rows.is_empty());
        let days = |after| store.query(|conn| epochs::epochs(conn, &campaign_id(), after, 10)).rows.len();
        assert_eq!((days(None), days(Some(day().next())), days(Some(day()))), (1, 1, 0));
    });
}
