//! From a draft to the end. Terms are in force once somebody other than their author has approved
//! them.

use std::sync::Arc;

use super::{Decision, UNCHANGED, done};
use crate::campaign::command::CampaignRejection;
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::Campaign;
use crate::campaign::terms::{IMPLAUSIBLE, Terms, TermsError, plausible};
use crate::person::same_person;
use crate::time::Timestamp;

impl Campaign {
    pub(super) fn draft(&self, now: Timestamp, by: &str, terms: &Terms) -> Decision {
        let terms = &terms.read_anew();
        if let Some(existing) = &self.terms {
            return if existing.read_anew() == *terms {
                UNCHANGED
            } else {
                Err(CampaignRejection::ExistsWithDifferentTerms)
            };
        }
        terms.validate()?;
        terms.check_new()?;
        if let Some(over) = terms.over_at(now) {
            return Err(over.into());
        }
        done(vec![CampaignEvent::CampaignDrafted { version: 1, terms: terms.clone(), by: by.into() }])
    }

    pub(super) fn revise(&self, now: Timestamp, by: &str, terms: &Terms) -> Decision {
        let in_force = self.known()?;
        if self.ended {
            return Err(CampaignRejection::Ended);
        }
        let (version, _, latest) = self.latest().ok_or(CampaignRejection::Unknown)?;
        let terms = &terms.read_anew();
        // The same words under another reading are other terms.
        if **latest == *terms {
            return UNCHANGED;
        }
        terms.validate()?;
        if terms.campaign_id != in_force.campaign_id {
            return Err(fixed("campaign_id"));
        }
        if self.started {
            check_revision(now, in_force, terms)?;
        } else if let Some(over) = terms.over_at(now) {
            return Err(over.into());
        }
        terms.covered_by(if self.started { self.funded_minor } else { terms.budget.minor() })?;
        let (version, terms, by) = (version + 1, terms.clone(), by.into());
        done(vec![CampaignEvent::CampaignRevised { version, terms, by }])
    }

    pub(super) fn approve(&self, now: Timestamp, by: &str, asked: Option<u32>) -> Decision {
        let (version, author, terms) = self.latest().ok_or(CampaignRejection::Unknown)?;
        if let Some(asked) = asked.filter(|asked| *asked != version) {
            return Err(CampaignRejection::NotTheLatest { asked, latest: version });
        }
        if self.approved && self.revision.is_none() {
            return UNCHANGED;
        }
        if same_person(author, by) {
            return Err(CampaignRejection::AuthorCannotApprove { version, author: author.into() });
        }
        // An earlier release let rules pass that would deny nothing.
        terms.rules.validate()?;
        if let Some(over) = terms.over_at(now).filter(|_| !self.started) {
            return Err(over.into());
        }
        // It may have been written before the start, when more could be changed.
        if let (true, Some(revision)) = (self.started, &self.revision) {
            check_revision(now, self.known()?, &revision.terms)?;
        }
        done(vec![CampaignEvent::CampaignApproved { version, by: by.into() }])
    }

    /// The latest version, its author and its terms, in force or not.
    fn latest(&self) -> Option<(u32, &str, &Arc<Terms>)> {
        match &self.revision {
            Some(revision) => Some((revision.version, &revision.by, &revision.terms)),
            None => self.terms.as_ref().map(|terms| (self.version, self.author.as_str(), terms)),
        }
    }

    pub(super) fn schedule(&self, now: Timestamp, start_at: Timestamp) -> Decision {
        let terms = self.ready_to_start()?;
        if self.started {
            return Err(CampaignRejection::Started);
        }
        if self.start_at == Some(start_at) {
            return UNCHANGED;
        }
        if start_at <= now {
            return Err(field("start_at", "must be in the future"));
        }
        if !plausible(start_at) {
            return Err(field("start_at", IMPLAUSIBLE));
        }
        if let Some(end) = terms.ends_at.filter(|end| *end <= start_at) {
            return Err(CampaignRejection::WindowOver(end));
        }
        done(vec![CampaignEvent::CampaignScheduled { version: self.version, start_at }])
    }

    pub(super) fn start(&self, now: Timestamp) -> Decision {
        let terms = self.ready_to_start()?;
        if self.started {
            return UNCHANGED;
        }
        if let Some(end) = terms.ends_at.filter(|end| *end <= now) {
            return Err(CampaignRejection::WindowOver(end));
        }
        done(vec![
            CampaignEvent::CampaignStarted { started_at: now, version: self.version },
            self.funding(terms, terms.budget, "")?,
        ])
    }

    fn ready_to_start(&self) -> Result<&Terms, CampaignRejection> {
        let terms = self.known()?;
        if !self.approved {
            return Err(CampaignRejection::NotApproved);
        }
        if self.ended { Err(CampaignRejection::Ended) } else { Ok(terms) }
    }

    pub(super) fn pause(&self, now: Timestamp, reason: &str) -> Decision {
        self.running()?;
        if let Some(first) = &self.paused {
            return if first == reason { UNCHANGED } else { Err(CampaignRejection::PausedBefore) };
        }
        let (reason, version) = (reason.into(), self.version);
        done(vec![CampaignEvent::CampaignPaused { paused_at: now, reason, version }])
    }

    pub(super) fn resume(&self, now: Timestamp) -> Decision {
        self.running()?;
        if self.paused.is_none() {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignResumed { resumed_at: now, version: self.version }])
    }

    pub(super) fn end(&self, now: Timestamp) -> Decision {
        self.known()?;
        if self.ended {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignEnded { ended_at: now, version: self.version }])
    }
}

/// What a running campaign has promised, or has counted by, stays.
fn check_revision(now: Timestamp, before: &Terms, after: &Terms) -> Result<(), CampaignRejection> {
    let unchanged = [
        ("starts_at", before.starts_at == after.starts_at),
        ("time_zone", before.time_zone == after.time_zone),
        ("prize_table.currency", before.prize_table.currency == after.prize_table.currency),
        ("budget", before.budget == after.budget),
        ("eligible_from", before.eligible_from == after.eligible_from),
    ];
    if let Some((name, _)) = unchanged.into_iter().find(|(_, same)| !same) {
        return Err(fixed(name));
    }
    if after.ends_at != before.ends_at && after.ends_at.is_some_and(|end| end <= now) {
        return Err(field("ends_at", "must be in the future; to stop now, end the campaign"));
    }
    Ok(())
}

fn fixed(name: &str) -> CampaignRejection {
    let message = match name {
        "budget" => "cannot be revised once the campaign has started; fund it instead",
        "campaign_id" => "cannot be revised",
        _ => "cannot be revised once the campaign has started",
    };
    field(name, message)
}

fn field(field: &str, message: &str) -> CampaignRejection {
    TermsError { field: field.into(), message: message.into() }.into()
}
