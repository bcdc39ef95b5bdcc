//! Which campaigns a line had to be asked of and in which order, and whether a campaign declined it
//! for a reason that it had. Only reasons that need neither amount nor merchant: anyone can derive
//! those.

use std::collections::BTreeMap;

use super::campaign_ledger::CampaignLedger;
use super::drawn::Evaluated;
use super::epoch::EpochBook;
use super::findings::{Findings, Place};
use ledger_core::account::event::Considered;
use ledger_core::campaign::rules::RuleCode;
use ledger_core::campaign::state::Standing;
use ledger_core::campaign::terms::{EligibleFrom, Terms};
use ledger_core::ids::CampaignId;
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::zone::{Clocks, ZoneTable};

/// What the log says of the account that a line belongs to.
#[derive(Clone, Copy, Default)]
pub(super) struct Customer {
    pub(super) enrolled_at: Option<Timestamp>,
    pub(super) excluded: bool,
}

/// Started campaigns in the order they are asked: the smallest precedence first, then by id.
pub(super) fn order(campaigns: &BTreeMap<CampaignId, CampaignLedger>) -> Vec<CampaignId> {
    let started = campaigns.iter().filter(|(_, book)| book.standing.is_some());
    let mut order: Vec<(i32, &CampaignId)> =
        started.filter_map(|(id, book)| Some((book.versions.in_force()?.1.precedence, id))).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, id)| id.clone()).collect()
}

/// Compares the campaigns that a line was asked of with those that stood at this place: all in
/// `order`, but after the first other one that admits it only stackable ones.
pub(super) fn check(
    evaluated: &Evaluated<'_>,
    order: &[CampaignId],
    campaigns: &BTreeMap<CampaignId, CampaignLedger>,
    zones: &ZoneTable,
    customer: Customer,
    findings: &mut Findings,
) {
    let mut expected = Vec::with_capacity(order.len());
    let mut taken = false;
    for id in order {
        let Some(book) = campaigns.get(id) else { continue };
        let Some((version, terms)) = book.versions.in_force() else { continue };
        if taken && !terms.stackable {
            continue;
        }
        // Earlier releases named them for ever.
        let named = evaluated.considered.iter().any(|asked| asked.campaign_id == *id);
        if !named && book.is_over(terms, evaluated.stored.recorded_at) {
            continue;
        }
        expected.push(id);
        let Some(considered) = evaluated.considered.iter().find(|asked| asked.campaign_id == *id) else {
            continue;
        };
        taken |= considered.failed.is_empty() && !terms.stackable;
        let place = evaluated.place_in(id);
        findings.compare(&place, "considered_version", version, considered.campaign_version);
        let clocks = zones.clocks(&terms.time_zone).unwrap_or(Clocks::UTC);
        reasons(&place, evaluated, considered, book, (terms, &clocks), customer, findings);
    }
    if !evaluated.considered.iter().map(|asked| &asked.campaign_id).eq(expected.iter().copied()) {
        let place = Place::of(evaluated.stored, evaluated.draws.first().map(|draw| draw.entry_id));
        let found = evaluated.considered.iter().map(|asked| &asked.campaign_id);
        findings.add(&place, "considered", list(expected.into_iter()), list(found));
    }
}

/// The reasons that anyone can derive are given if, and only if, they hold.
fn reasons(
    place: &Place,
    evaluated: &Evaluated<'_>,
    considered: &Considered,
    book: &CampaignLedger,
    (terms, clocks): (&Terms, &Clocks),
    customer: Customer,
    findings: &mut Findings,
) {
    let (booked, recorded_at) = (evaluated.line.booked(), evaluated.stored.recorded_at);
    let is_after = terms.ends_at.is_some_and(|end| booked.is_after(end, clocks));
    let over = is_after || book.standing == Some(Standing::Ended);
    let before_enrolment = customer.enrolled_at.is_some_and(|at| booked.is_before(at, clocks));
    let enrolment = terms.eligible_from == EligibleFrom::Enrolment;
    let derived = [
        (RuleCode::BeforeCampaign, booked.is_before(terms.starts_at, clocks)),
        (RuleCode::AfterCampaign, over),
        (RuleCode::CampaignPaused, book.standing == Some(Standing::Paused)),
        (RuleCode::BeforeEnrolment, enrolment && before_enrolment),
        (RuleCode::AccountExcluded, customer.excluded),
    ];
    for (code, holds) in derived {
        if considered.failed.contains(&code) != holds {
            let said = |said: bool| if said { code.to_string() } else { format!("not {code}") };
            findings.add(place, "reason", said(holds), said(!holds));
        }
    }
    let epoch = terms.epoch_of(booked);
    let past = book.epochs.last_key_value().is_some_and(|(last, _)| epoch > *last);
    let may_say = epoch_reasons(book.epochs.get(&epoch), past, epoch, recorded_at);
    let is_of_epoch = |code: &&RuleCode| {
        let of_epoch =
            [RuleCode::NoEpoch, RuleCode::AfterLastEpoch, RuleCode::EpochHalted, RuleCode::TooLate];
        of_epoch.contains(code)
    };
    let said: Vec<_> = considered.failed.iter().filter(is_of_epoch).collect();
    if !may_say.iter().any(|may| may.iter().eq(said.iter().copied())) {
        let expected = may_say.iter().map(|may| list(may.iter())).collect::<Vec<_>>().join(", or ");
        findings.add(place, "reason", expected, list(said.into_iter()));
    }
}

/// What may be said of the epoch of a line that is decided at `now`: one of these lists.
fn epoch_reasons(
    book: Option<&EpochBook>,
    past: bool,
    epoch: Epoch,
    now: Timestamp,
) -> &'static [&'static [RuleCode]] {
    const NONE: &[RuleCode] = &[];
    const HALTED: &[RuleCode] = &[RuleCode::EpochHalted];
    const TOO_LATE: &[RuleCode] = &[RuleCode::TooLate];
    match book {
        None if epoch > Epoch::of(now) => &[NONE],
        // Earlier releases had one word for both.
        None if past => &[&[RuleCode::AfterLastEpoch], &[RuleCode::NoEpoch]],
        None => &[&[RuleCode::NoEpoch]],
        // Closed while halted; earlier releases called that too late.
        Some(book) if book.halted && book.closed => &[HALTED, TOO_LATE],
        // Lines wait until it is resumed or closed; earlier releases declined them at once. One
        // that fails another rule is declined for that alone.
        Some(book) if book.halted => &[NONE, HALTED],
        Some(book) if book.closed => &[TOO_LATE],
        // Never opened, for want of its beacon: earlier releases let its lines wait for ever.
        Some(book) if book.cap_minor.is_none() && now >= book.seals_at => &[TOO_LATE, NONE],
        Some(book) if now >= book.seals_at => &[TOO_LATE],
        Some(_) => &[NONE],
    }
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".into() } else { items.join(", ") }
}
