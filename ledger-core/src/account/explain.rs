//! "Why did I (not) win?", from the recorded decision alone: the same events give the same
//! sentences, for ever.
//!
//! Every reason has two voices. The customer's leaves out other customers, the innards of rules and
//! odds that he was not promised. The staff's names campaign, version and what to look up.

use std::collections::HashMap;

use crate::account::event::{Considered, DeferReason, Outcome, Verdict};
use crate::campaign::rules::RuleCode;
use crate::campaign::terms::Terms;
use crate::draw::{Draw, ODDS_WHOLE_PPB, PrizeTable, is_masked};
use crate::ids::{CampaignId, Digest};

/// A decision as it was recorded, or what a line waits for.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// How the line was decided; `None` while it waits.
    pub outcome: Option<Outcome>,
    /// Why it waits.
    pub waits_for: Option<DeferReason>,
    /// The bank has taken it back.
    pub removed: bool,
    /// What two people made of it when it was last held.
    pub verdict: Option<Verdict>,
    /// Every campaign considered.
    pub considered: &'a [Considered],
    /// Every draw it entered.
    pub draws: &'a [Draw],
}

/// What the sentences are looked up in: terms by version, tables by hash. What is not in it is
/// explained by codes and numbers alone.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// Versions of terms, which never change.
    pub terms: HashMap<(CampaignId, u32), Terms>,
    /// Tables drawn from.
    pub tables: HashMap<(CampaignId, Digest), PrizeTable>,
}

/// One reason, in two voices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A word for machines.
    pub code: String,
    /// A sentence for the customer.
    pub customer: String,
    /// A sentence for staff.
    pub staff: String,
}

fn reason(code: &str, customer: impl Into<String>, staff: impl Into<String>) -> Reason {
    Reason { code: code.into(), customer: customer.into(), staff: staff.into() }
}

/// Why the line came to what it came to; empty for one that has not been booked.
pub fn explain(recorded: &Recorded<'_>, reference: &Reference) -> Vec<Reason> {
    let mut reasons = match recorded.outcome {
        // No campaign was asked of a line that was dismissed instead.
        Some(Outcome::Declined)
            if recorded.verdict == Some(Verdict::Dismissed) && recorded.considered.is_empty() =>
        {
            vec![]
        }
        Some(Outcome::Declined) => declined(recorded.considered, reference),
        Some(Outcome::Won | Outcome::Lost) => {
            recorded.draws.iter().map(|draw| drawn(draw, reference)).collect()
        }
        None => vec![],
    };
    // A line that was decided, taken back and booked again keeps its decision while it is held.
    reasons.extend(recorded.waits_for.map(waiting));
    if recorded.removed {
        reasons.push(reason(
            "removed",
            "Your bank has taken this transaction back.",
            "the source reported the transaction as removed",
        ));
    }
    match recorded.verdict {
        Some(Verdict::Released) if !recorded.removed => reasons.push(released(recorded.outcome)),
        Some(Verdict::Dismissed) => reasons.push(reason(
            "dismissed",
            "We have had a closer look at this transaction: it does not take part.",
            "booked again after it was removed; two people dismissed it, for good",
        )),
        Some(Verdict::Released) | None => {}
    }
    reasons
}

/// What a customer hears: every sentence once, however many campaigns say it.
pub fn for_customer(mut reasons: Vec<Reason>) -> Vec<Reason> {
    let mut told = std::collections::HashSet::new();
    reasons.retain(|reason| told.insert((reason.code.clone(), reason.customer.clone())));
    reasons
}

fn declined(considered: &[Considered], reference: &Reference) -> Vec<Reason> {
    if considered.is_empty() {
        return vec![reason(
            "no_campaign",
            "No campaign was open to this purchase any more, or none was running yet.",
            "when the transaction was recorded, no campaign had started, or each that had was over and its days counted",
        )];
    }
    let failed =
        considered.iter().flat_map(|campaign| campaign.failed.iter().map(move |code| (campaign, code)));
    failed.map(|(campaign, code)| rule(campaign, code, reference)).collect()
}

/// The sentences of the version of the terms that declined it, not of today's.
fn rule(campaign: &Considered, code: &RuleCode, reference: &Reference) -> Reason {
    let Considered { campaign_id, campaign_version, .. } = campaign;
    let terms = reference.terms.get(&(campaign_id.clone(), *campaign_version));
    let rule = terms.and_then(|terms| terms.rules.rule(code));
    let (customer, staff) = match &rule {
        Some(rule) => (rule.customer(), rule.staff()),
        None => (code.customer(), code.staff().into()),
    };
    reason(code.as_str(), customer, format!("{campaign_id} version {campaign_version}: {staff}"))
}

fn waiting(why: DeferReason) -> Reason {
    match why {
        DeferReason::EpochNotOpen => reason(
            "epoch_not_open",
            "This purchase takes part as soon as the draw of its day opens.",
            "booked ahead: the epoch of the booking day has not opened",
        ),
        DeferReason::DrawsHalted => reason(
            "draws_halted",
            "Draws have been stopped for a check; if they go on, this purchase takes part.",
            "all draws, or the epoch of the booking day, were halted when the transaction was recorded; people may let them go on",
        ),
        DeferReason::Held => reason(
            "held",
            "We are having a closer look at this transaction.",
            "booked again after it was removed: waits until two people release or dismiss it",
        ),
    }
}

fn released(outcome: Option<Outcome>) -> Reason {
    match outcome {
        None => reason(
            "released",
            "We have had a closer look at this transaction: it takes part as soon as the draw of its day does.",
            "two people released it: it is decided once the epoch of its booking day draws or its grace is over",
        ),
        Some(_) => reason(
            "released",
            "We had a closer look at this transaction before it was decided.",
            "booked again after it was removed; two people released it before it was decided",
        ),
    }
}

fn drawn(draw: &Draw, reference: &Reference) -> Reason {
    let Draw { campaign_id, campaign_version, epoch, r, .. } = draw;
    let named = reference.terms.get(&(campaign_id.clone(), *campaign_version));
    let campaign = named.map_or(campaign_id.as_str(), |terms| &terms.name);
    let table = reference.tables.get(&(campaign_id.clone(), draw.table_hash));
    let ranges = table.map(|table| ranges(table, draw)).unwrap_or_default();
    let fell_into = ranges.iter().find(|range| range.first <= *r && *r <= range.last);
    let place = format!("{campaign_id} version {campaign_version}, epoch {epoch}: r {r} of {ODDS_WHOLE_PPB}");
    let mut staff = vec![place];
    staff.extend(ranges.iter().map(Range::for_staff));
    let number = grouped(*r);
    let (code, customer) = match (draw.amount, draw.tier, fell_into) {
        (Some(amount), _, fell_into) => {
            let prize = fell_into.map(|range| format!(" ({})", range.name)).unwrap_or_default();
            (
                "won",
                format!(
                    "This purchase won {amount}{prize} in {campaign}: its number in the draw was {number}."
                ),
            )
        }
        (None, Some(_), _) => (
            "lost",
            format!(
                "This purchase's number in the draw of {campaign}, {number}, wins a share of the purchase; of this \
                 one, the share comes to less than the smallest coin."
            ),
        ),
        (None, None, Some(Range { name, out: Some(why), .. })) => (
            "lost",
            format!(
                "This purchase's number in the draw of {campaign} was {number}, which would have won {name}. That \
                 prize had been taken out before the draw: {}.",
                why.of_one()
            ),
        ),
        (None, None, _) => (
            "lost",
            format!(
                "This purchase took part in the draw of {campaign} and did not win: its number was {number}.{}",
                winning_numbers(&ranges)
            ),
        ),
    };
    reason(code, customer, staff.join("; "))
}

/// The numbers of one tier, both ends included.
struct Range<'a> {
    name: &'a str,
    first: u32,
    last: u32,
    /// Why it had been taken out before the draw, if it had.
    out: Option<Out>,
}

/// Why a tier had been taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    /// The rest of the budget could not cover it.
    NoMoney,
    /// Its inventory had been won.
    AllWon,
}

impl Out {
    fn of_one(self) -> &'static str {
        match self {
            Out::NoMoney => "what was left for prizes could not cover it",
            Out::AllWon => "all there were of it had been won",
        }
    }

    fn of_several(self) -> &'static str {
        match self {
            Out::NoMoney => "no money was left for it",
            Out::AllWon => "all had been won",
        }
    }
}

impl Range<'_> {
    fn for_staff(&self) -> String {
        let Range { name, first, last, out } = self;
        let out = match out {
            None => "",
            Some(Out::NoMoney) => " (masked: budget)",
            Some(Out::AllWon) => " (masked: inventory)",
        };
        format!("{name} {first}-{last}{out}")
    }
}

/// The mask holds both reasons; which one it was follows from the budget that the draw saw.
fn ranges<'a>(table: &'a PrizeTable, draw: &Draw) -> Vec<Range<'a>> {
    let too_dear = table.mask(draw.budget_left_minor);
    let mut before = 0_u32;
    let tiers = table.tiers.iter().enumerate().map(|(index, tier)| {
        let first = before;
        before = before.saturating_add(tier.odds_ppb);
        let why = if is_masked(too_dear, index) { Out::NoMoney } else { Out::AllWon };
        let out = is_masked(draw.tier_mask, index).then_some(why);
        Range { name: &tier.name, first, last: before.saturating_sub(1), out }
    });
    tiers.collect()
}

fn winning_numbers(ranges: &[Range<'_>]) -> String {
    let list = |out: Option<Out>, say: fn(&Range<'_>) -> String| {
        ranges.iter().filter(|range| range.out == out).map(say).collect::<Vec<_>>().join(", ")
    };
    let open =
        list(None, |range| format!("{} to {} ({})", grouped(range.first), grouped(range.last), range.name));
    let mut sentences = Vec::new();
    if !open.is_empty() {
        sentences.push(format!(" Of the numbers below {}, {open} won.", grouped(ODDS_WHOLE_PPB)));
    }
    for why in [Out::NoMoney, Out::AllWon] {
        let names = list(Some(why), |range| range.name.to_owned());
        if !names.is_empty() {
            sentences.push(format!(" Taken out before the draw, as {}: {names}.", why.of_several()));
        }
    }
    sentences.concat()
}

/// With commas, as people read long numbers.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|d| std::str::from_utf8(d).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests;
