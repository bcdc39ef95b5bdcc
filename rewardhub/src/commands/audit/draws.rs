//! `rewardhub audit draws`: every draw derived again from the log alone.

use std::time::Instant;

use ::audit::draws::DrawAudit;
use serde_json::json;

use super::{Opening, keys, report, unreadable};
use crate::commands::support::Ended;
use crate::config::Config;
use crate::opened::read_only_log;

pub(super) async fn run(config: &Config, opening: &Opening, disclose: bool) -> anyhow::Result<Ended> {
    let log = read_only_log(config).await?.events;
    let keyring = keys::keyring(config, opening.open_seeds || disclose).await?;
    let (seeds, _) = keys::seeds(config, &*log, keyring.as_ref(), opening).await?;
    let began = Instant::now();
    let mut audit = DrawAudit::new(seeds);
    if let Err(error) = audit.run(&*log, keyring.as_deref().filter(|_| disclose), |_, _| {}).await {
        return unreadable(error);
    }
    let found = audit.finish();
    let mut value = serde_json::to_value(&found)?;
    value["seconds"] = json!(began.elapsed().as_secs_f64());
    report(&value, found.holds)
}
