//! `rewardhub audit fairness`: what was won beside what the odds promised.

use std::path::Path;

use ::audit::draws::DrawAudit;
use ::audit::fairness::{Fairness, page};
use anyhow::Context as _;
use ledger_core::ids::CampaignId;
use ledger_core::time::{Clock as _, SystemClock};

use super::{Opening, keys, report, unreadable};
use crate::commands::support::{Ended, Refused};
use crate::config::Config;
use crate::opened::read_only_log;

pub(super) async fn run(
    config: &Config,
    html: Option<&Path>,
    campaign: Option<&CampaignId>,
    opening: &Opening,
) -> anyhow::Result<Ended> {
    let log = read_only_log(config).await?.events;
    let keyring = keys::keyring(config, opening.open_seeds).await?;
    let (seeds, _) = keys::seeds(config, &*log, keyring.as_ref(), opening).await?;
    let mut audit = DrawAudit::new(seeds);
    let mut fairness = Fairness::of(campaign.cloned());
    if let Err(error) = audit.run(&*log, None, |stored, event| fairness.take(stored, event)).await {
        return unreadable(error);
    }
    let found = fairness.finish(audit.finish());
    if let Some(campaign) = campaign
        && !found.campaigns.contains_key(campaign)
    {
        return Err(Refused(format!("campaign {campaign} has never scheduled a draw")).into());
    }
    if let Some(file) = html {
        let page = page::page(&found, SystemClock.now());
        std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
    }
    report(&found, found.holds)
}
