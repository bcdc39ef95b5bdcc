//! `rewardhub audit export`: the audit bundle, whole or not at all.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ::audit::bundle::{DetailsLine, EventLine, FORMAT, Lines, Manifest, SeedLine, UnrecordedZones};
use ::audit::draws::OpenedLine;
use ::audit::draws::Seeds;
use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use ledger_core::account::AccountEvent;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{AccountId, CampaignId, Digest};
use ledger_core::keys::{Keyring, Keys, SealError};
use ledger_core::log::{EventLog, Position, StoredEvent, pages};
use ledger_core::time::Epoch;

use super::{Opening, keys, report};
use crate::commands::support::{Ended, Refused};
use crate::config::Config;
use crate::opened::read_only_log;

/// For who gets the folder and has nothing else.
const README: &str = include_str!("bundle.md");

pub(super) async fn run(
    config: &Config,
    out: &Path,
    disclose: bool,
    opening: &Opening,
) -> anyhow::Result<Ended> {
    if fs::symlink_metadata(out).is_ok() {
        let exists = format!("{} exists: a bundle never overwrites anything", out.display());
        return Err(Refused(exists).into());
    }
    let log = read_only_log(config).await?.events;
    let keyring = keys::keyring(config, disclose || opening.open_seeds).await?;
    // First: the bundle's events tell of it.
    let (seeds, opened) = keys::seeds(config, &*log, keyring.as_ref(), opening).await?;
    let half = Half::create(out)?;
    let mut manifest = Manifest { format: FORMAT, ..Manifest::default() };
    write_events(&*log, keyring.as_deref().filter(|_| disclose), &half, &mut manifest).await?;
    if opening.open_seeds {
        write_seeds(&seeds, &opened, &half, &mut manifest)?;
    }
    let mut readme = half.file("README.md")?;
    readme.write_all(README.as_bytes())?;
    durable(readme)?;
    let mut file = half.file("manifest.json")?;
    serde_json::to_writer_pretty(&mut file, &manifest)?;
    file.write_all(b"\n")?;
    durable(file)?;
    half.complete(out)?;
    report(&manifest, true)
}

async fn write_events(
    log: &dyn EventLog,
    disclose_with: Option<&Keyring>,
    half: &Half,
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    let mut events = Lines::new(half.file("events.ndjson")?);
    let mut details =
        disclose_with.map(|_| anyhow::Ok(Lines::new(half.file("details.ndjson")?))).transpose()?;
    let mut zones = UnrecordedZones::default();
    // Up to where the log is now: beside a running ledger the end would run away.
    let (head, mut after) = (log.head().await?.position, Position(0));
    let mut pages = pages(log, None, after);
    while after < head {
        let Some(page) = pages.try_next().await? else {
            bail!("the log ends at {after}, before its head {head}");
        };
        let keys = match disclose_with {
            Some(keyring) => OpenedLine::keys(keyring, &page).await.context("opening what is disclosed")?,
            None => Keys::default(),
        };
        for stored in page.iter().take_while(|stored| stored.position <= head) {
            let line = EventLine::of(stored);
            events.add(&line.with_context(|| format!("the event at {} is no text", stored.position))?)?;
            // What does not decode is exported all the same: it is the auditor's finding.
            if let Ok(event) = decode(stored) {
                zones.take(&event);
                if let Some(details) = &mut details {
                    disclose(stored, event, &keys, details)?;
                }
            }
            if manifest.first_position == 0 {
                manifest.first_position = stored.position.0;
            }
            (manifest.last_position, manifest.head_hash) = (stored.position.0, Some(stored.hash));
            manifest.events += 1;
            after = stored.position;
        }
    }
    finish(events, "events.ndjson", manifest)?;
    if let Some(details) = details {
        finish(details, "details.ndjson", manifest)?;
    }
    write_zones(&zones, half, manifest)
}

fn write_zones(zones: &UnrecordedZones, half: &Half, manifest: &mut Manifest) -> anyhow::Result<()> {
    let mut unrecorded = zones.lines().peekable();
    if unrecorded.peek().is_none() {
        return Ok(());
    }
    let mut lines = Lines::new(half.file("zones.ndjson")?);
    for zone in unrecorded {
        lines.add(&zone)?;
    }
    finish(lines, "zones.ndjson", manifest)
}

fn disclose(
    stored: &StoredEvent,
    event: LedgerEvent,
    keys: &Keys,
    to: &mut Lines<BufWriter<File>>,
) -> anyhow::Result<()> {
    let LedgerEvent::Account(AccountEvent::TransactionEvaluated { line, .. }) = event else {
        return Ok(());
    };
    if line.details.is_none() {
        return Ok(());
    }
    let account: AccountId = stored.stream.id.parse()?;
    match OpenedLine::open(keys, &account, &line) {
        Ok(opened) => to.add(&DetailsLine::of(stored, &line, opened.as_ref()))?,
        Err(
            SealError::Damaged
            | SealError::UnknownVersion(_)
            | SealError::NoKey(_)
            | SealError::DamagedKey(_),
        ) => {
            to.add(&DetailsLine::damaged(stored))?;
        }
        Err(error) => {
            let doing = format!("opening the details at {}", stored.position);
            return Err(anyhow::Error::new(error).context(doing));
        }
    }
    Ok(())
}

fn write_seeds(
    seeds: &Seeds,
    opened: &[(CampaignId, Epoch)],
    half: &Half,
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    let mut lines = Lines::new(half.file("seeds.ndjson")?);
    for (campaign_id, epoch) in opened {
        let seed = seeds.get(campaign_id, *epoch).context("a seed that was just opened")?;
        lines.add(&SeedLine { campaign_id, epoch: *epoch, seed: Digest(*seed.expose()) })?;
    }
    eprintln!(
        "seeds.ndjson: whoever reads it can predict the draws still to come in {} epochs",
        opened.len()
    );
    finish(lines, "seeds.ndjson", manifest)
}

fn finish(lines: Lines<BufWriter<File>>, name: &'static str, manifest: &mut Manifest) -> anyhow::Result<()> {
    let (file, sum) = lines.finish();
    durable(file)?;
    manifest.files.insert(name, sum);
    Ok(())
}

fn durable(file: BufWriter<File>) -> anyhow::Result<()> {
    Ok(file.into_inner()?.sync_all()?)
}

/// A bundle being written, under a name that nobody takes for a bundle. Goes away unless it is
/// completed.
struct Half(PathBuf);

impl Half {
    fn create(out: &Path) -> anyhow::Result<Half> {
        let name = out.file_name().context("the bundle's folder needs a name")?;
        let mut half = OsString::from(".");
        half.push(name);
        half.push(format!(".half-{}", std::process::id()));
        let half = out.with_file_name(half);
        // Details and seeds are for the auditor alone.
        DirBuilder::new()
            .mode(0o700)
            .create(&half)
            .with_context(|| format!("cannot create {}", half.display()))?;
        Ok(Half(half))
    }

    fn file(&self, name: &str) -> anyhow::Result<BufWriter<File>> {
        let path = self.0.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(BufWriter::new(file.with_context(|| format!("cannot create {}", path.display()))?))
    }

    fn complete(self, out: &Path) -> anyhow::Result<()> {
        File::open(&self.0)?.sync_all()?;
        // Renaming onto a folder with something in it fails: nothing that appeared meanwhile is
        // lost.
        fs::rename(&self.0, out).with_context(|| format!("cannot complete {}", out.display()))?;
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // After `complete` it is no more.
        let _ = fs::remove_dir_all(&self.0);
    }
}
