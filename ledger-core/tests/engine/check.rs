//! What must hold of every log, whatever happened on the way to it.

use std::collections::{BTreeMap, HashMap, HashSet};

use audit::draws::{self, DrawAudit, Seeds};
use audit::replay::{Decoded, Replay, Summary};
use ledger_core::account::AccountEvent;
use ledger_core::account::event::{DeferReason, Line, Outcome};
use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::{self, Draw, EpochKey, PrizeTable, Seed, beacon};
use ledger_core::engine::{Receipt, RowResult, SeedVault};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{CampaignId, EntryId, Fingerprint, TransactionKey};
use ledger_core::log::{Position, StoredEvent, StreamId};
use ledger_core::money::Money;
use ledger_core::time::Epoch;

use crate::world::gbp;

/// Replays events and gives the summary.
pub(crate) fn replay(events: &[StoredEvent]) -> Summary {
    let mut replay = Replay::default();
    for stored in events {
        replay.take(Decoded::of(stored.clone()));
    }
    replay.finish()
}

/// The log's own promises: replay and the draw audit have nothing to say, every line is decided
/// once, every draw follows from the seed committed to, masks only grow, no win is beyond the
/// budget.
pub(crate) fn sound(events: &[StoredEvent], seeds: &dyn SeedVault) {
    let summary = replay(events);
    assert_eq!(summary.findings, Vec::<String>::new());
    let audited = audited(events, Some(seeds));
    assert!(audited.holds && audited.complete, "{:#?}", audited.findings);
    let mut decided = HashSet::new();
    let mut epochs: HashMap<(CampaignId, Epoch), EpochSeen> = HashMap::new();
    let mut spent: HashMap<CampaignId, Spent> = HashMap::new();
    for stored in events {
        match decode(stored).unwrap() {
            LedgerEvent::Account(AccountEvent::TransactionEvaluated { line, draws, .. }) => {
                assert!(decided.insert(key_of(&line)), "decided twice, again at {}", stored.position);
                for draw in draws {
                    epochs
                        .get_mut(&(draw.campaign_id.clone(), draw.epoch))
                        .expect("nothing draws in an epoch that was not scheduled")
                        .check(&draw, spent.entry(draw.campaign_id.clone()).or_default(), stored);
                }
            }
            LedgerEvent::Campaign(CampaignEvent::EpochScheduled {
                epoch,
                commitment,
                sealed_seed,
                prize_table,
                table_hash,
                beacon_spec,
                inventory,
                ..
            }) => {
                let campaign: CampaignId = stored.stream.id.parse().unwrap();
                let seed = seeds.open(&campaign, epoch, &sealed_seed).unwrap();
                assert_eq!(commitment, draw::commitment(&campaign, epoch, &table_hash, &beacon_spec, &seed));
                let seen = EpochSeen::new(seed, beacon_spec, prize_table, inventory);
                epochs.insert((campaign, epoch), seen);
            }
            LedgerEvent::Campaign(CampaignEvent::EpochOpened {
                epoch,
                beacon,
                budget_cap_minor,
                beacon_signature,
                ..
            }) => {
                let campaign: CampaignId = stored.stream.id.parse().unwrap();
                let seen = epochs.get_mut(&(campaign.clone(), epoch)).unwrap();
                assert_eq!(beacon::verify(&seen.beacon_spec, &beacon, beacon_signature.as_ref()), Ok(()));
                seen.key = Some(draw::epoch_key(&seen.seed, &beacon, &campaign, epoch));
                seen.cap_minor = Some(budget_cap_minor);
            }
            _ => {}
        }
    }
}

/// Derives every draw again, with the seeds not yet revealed where they are opened.
pub(crate) fn audited(events: &[StoredEvent], open: Option<&dyn SeedVault>) -> draws::Report {
    let mut seeds = Seeds::default();
    for stored in events {
        seeds.take(stored);
    }
    if let Some(vault) = open {
        seeds.open(vault).unwrap();
    }
    let mut draws = DrawAudit::new(seeds);
    for stored in events {
        draws.take(stored);
    }
    draws.finish()
}

/// Of the names that the log gives one purchase, one is decided: a line of the same terms as what
/// was booked under the name it had while pending is not, nor is that name once its place was
/// taken, unless it was booked before.
pub(crate) fn decided_under_one_name(events: &[StoredEvent]) {
    let mut booked: HashMap<TransactionKey, Fingerprint> = HashMap::new();
    let mut taken: HashSet<(StreamId, TransactionKey)> = HashSet::new();
    for stored in events {
        let LedgerEvent::Account(event) = decode(stored).unwrap() else { continue };
        let (line, is_decided) = match event {
            AccountEvent::TransactionEvaluated { line, .. } => (line, true),
            AccountEvent::TransactionDeferred { line, reason } if reason != DeferReason::Held => {
                (line, false)
            }
            _ => continue,
        };
        let (key, terms) = (key_of(&line), line.fingerprint);
        if let (true, false, Some(pending)) = (is_decided, booked.contains_key(&key), line.pending_key()) {
            assert_ne!(booked.get(&pending), Some(&terms), "two names are decided, at {}", stored.position);
        }
        let stream = stored.stream.clone();
        let is_taken = taken.contains(&(stream.clone(), key)) && !booked.contains_key(&key);
        assert!(!is_decided || !is_taken, "an old name is decided too, at {}", stored.position);
        booked.insert(key, terms);
        taken.extend(line.pending_key().map(|pending| (stream, pending)));
    }
}

struct EpochSeen {
    seed: Seed,
    beacon_spec: String,
    key: Option<EpochKey>,
    table: PrizeTable,
    inventory: BTreeMap<String, u64>,
    cap_minor: Option<i64>,
    mask: u32,
}

/// What a campaign's draws so far have won.
#[derive(Default)]
struct Spent {
    minor: i64,
    wins: BTreeMap<String, u64>,
}

impl EpochSeen {
    fn new(
        seed: Seed,
        beacon_spec: String,
        table: PrizeTable,
        inventory: BTreeMap<String, u64>,
    ) -> EpochSeen {
        EpochSeen { seed, beacon_spec, key: None, table, inventory, cap_minor: None, mask: 0 }
    }

    fn check(&mut self, draw: &Draw, spent: &mut Spent, stored: &StoredEvent) {
        let place = stored.position;
        let key = self.key.as_ref().expect("nothing draws before the epoch opens");
        assert_eq!(draw::roll(key, &draw.entry_id).r, draw.r, "r at {place}");
        assert_eq!(self.table.tier(draw.r, draw.tier_mask), draw.tier.map(|t| t as usize), "tier at {place}");
        let cap_minor = self.cap_minor.expect("nothing draws before the epoch opens");
        assert_eq!(draw.budget_left_minor, (cap_minor - spent.minor).max(0), "what is left at {place}");
        let sold_out =
            self.table.sold_out(&self.inventory, |tier| spent.wins.get(tier).copied().unwrap_or(0));
        assert_eq!(self.table.mask(draw.budget_left_minor) | sold_out, draw.tier_mask, "mask at {place}");
        assert_eq!(self.mask & !draw.tier_mask, 0, "the mask shrank at {place}");
        self.mask = draw.tier_mask;
        let amount = draw.amount.map_or(0, Money::minor);
        assert!(amount <= draw.budget_left_minor, "over budget at {place}");
        if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
            spent.minor += amount.minor();
            *spent.wins.entry(self.table.tiers[tier as usize].name.clone()).or_default() += 1;
        }
    }
}

pub(crate) fn key_of(line: &Line) -> TransactionKey {
    TransactionKey::of(&line.source, &line.transaction_id)
}

/// What the receipt says is what the log has at its position.
pub(crate) fn agrees(events: &[StoredEvent], key: TransactionKey, receipt: &Receipt) {
    let Some(Position(n)) = receipt.position else {
        assert_eq!(receipt.result, RowResult::Linked, "only a pending line may have no place of its own");
        return;
    };
    let stored = &events[usize::try_from(n).unwrap() - 1];
    let LedgerEvent::Account(event) = decode(stored).unwrap() else {
        panic!("the receipt names a campaign's event at {n}");
    };
    let named = match &event {
        AccountEvent::TransactionEvaluated { line, outcome, draws, .. } => {
            if receipt.result == RowResult::Accepted {
                let won = draws.iter().filter_map(|d| d.amount).reduce(|a, b| a.checked_add(b).unwrap());
                assert_eq!(receipt.won, won, "at {n}");
                assert_eq!(receipt.won.is_some(), *outcome == Outcome::Won, "at {n}");
            } else {
                assert_eq!(receipt.result, RowResult::Duplicate, "at {n}");
            }
            key_of(line)
        }
        AccountEvent::TransactionDeferred { line, .. } | AccountEvent::TransactionNoted { line } => {
            assert_ne!(receipt.result, RowResult::Accepted, "at {n}");
            key_of(line)
        }
        AccountEvent::TransactionLinked { source, transaction_id, .. } => {
            assert_ne!(receipt.result, RowResult::Accepted, "at {n}");
            TransactionKey::of(source, transaction_id)
        }
        AccountEvent::TransactionRemoved { source, transaction_id, named, .. } => {
            TransactionKey::of(source, named.as_ref().unwrap_or(transaction_id))
        }
        other => panic!("the receipt names a {} at {n}", other.name()),
    };
    assert_eq!(named, key, "the receipt names another line at {n}");
}

/// Every win of the log.
pub(crate) fn wins(events: &[StoredEvent]) -> BTreeMap<EntryId, Money> {
    draws(events).filter_map(|draw| Some((draw.entry_id, draw.amount?))).collect()
}

/// Every draw of the log, wins and losses.
pub(crate) fn draws(events: &[StoredEvent]) -> impl Iterator<Item = Draw> {
    events.iter().flat_map(|stored| match decode(stored).unwrap() {
        LedgerEvent::Account(AccountEvent::TransactionEvaluated { draws, .. }) => draws,
        _ => vec![],
    })
}

/// The sum of all wins.
pub(crate) fn won(events: &[StoredEvent]) -> Money {
    wins(events).values().fold(gbp(0), |sum, amount| sum.checked_add(*amount).unwrap())
}

pub(crate) fn campaign_events(events: &[StoredEvent]) -> Vec<CampaignEvent> {
    let decoded = events.iter().map(|stored| decode(stored).unwrap());
    decoded.filter_map(|e| if let LedgerEvent::Campaign(event) = e { Some(event) } else { None }).collect()
}

pub(crate) fn account_events(events: &[StoredEvent]) -> Vec<AccountEvent> {
    let decoded = events.iter().map(|stored| decode(stored).unwrap());
    decoded.filter_map(|e| if let LedgerEvent::Account(event) = e { Some(event) } else { None }).collect()
}
