//! The vectors of draw-1, the rejection branch and the second generator.

use chacha20::rand_core::{Rng as _, SeedableRng as _};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    campaign: CampaignId,
    epoch: Epoch,
    prize_table: PrizeTable,
    prize_table_canonical: String,
    prize_table_hash: Digest,
    beacon_spec: String,
    beacon: Digest,
    seed: Digest,
    commitment: Digest,
    epoch_key: Digest,
    draws: Vec<DrawVector>,
    rejection_sampling: Vec<RejectionVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawVector {
    source: Source,
    transaction_id: TransactionId,
    entry_id: EntryId,
    draw_seed: Digest,
    r: u32,
    rejections: u32,
    tier: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RejectionVector {
    seed: Digest,
    n: String,
    value: String,
    rejections: u32,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../docs/concepts/draw-1.vectors.json")).unwrap()
}

#[test]
fn the_prize_table_hashes_as_published() {
    let vectors = vectors();
    vectors.prize_table.validate().unwrap();
    let canonical = serde_json_canonicalizer::to_string(&vectors.prize_table).unwrap();
    assert_eq!(canonical, vectors.prize_table_canonical);
    assert_eq!(vectors.prize_table.hash(), vectors.prize_table_hash);
    let again: PrizeTable = serde_json::from_str(&canonical).unwrap();
    assert_eq!(again, vectors.prize_table);
}

#[test]
fn the_commitment_and_the_epoch_key_are_as_published() {
    let v = vectors();
    let seed = Seed::new(v.seed.0);
    assert_eq!(commitment(&v.campaign, v.epoch, &v.prize_table_hash, &v.beacon_spec, &seed), v.commitment);
    assert_eq!(*epoch_key_bytes(&seed, &v.beacon, &v.campaign, v.epoch), v.epoch_key.0);
}

#[test]
fn every_published_draw_comes_out_again() {
    let v = vectors();
    assert!(!v.draws.is_empty());
    let key = epoch_key(&Seed::new(v.seed.0), &v.beacon, &v.campaign, v.epoch);
    for draw in v.draws {
        let entry = entry_id(&v.campaign, &draw.source, &draw.transaction_id);
        assert_eq!(entry, draw.entry_id);
        assert_eq!(*draw_seed(&key, &entry), draw.draw_seed.0);
        assert_eq!(roll(&key, &entry), Roll { r: draw.r, rejections: draw.rejections });
        assert_eq!(v.prize_table.tier(draw.r, 0), draw.tier);
    }
}

#[test]
fn words_above_the_zone_are_rejected_as_published() {
    let cases = vectors().rejection_sampling;
    assert!(cases.iter().any(|case| case.rejections > 1));
    for case in cases {
        let n: u64 = case.n.parse().unwrap();
        assert_eq!(below(case.seed.0, n), (case.value.parse().unwrap(), case.rejections));
    }
}

#[test]
fn the_zone_of_a_power_of_two_rejects_nothing() {
    for seed in 0..64 {
        let (_, rejections) = below([seed; 32], 1 << 63);
        assert_eq!(rejections, 0);
        assert_eq!(below([seed; 32], 1), (0, 0));
    }
}

#[test]
fn two_generators_by_different_hands_give_the_same_words() {
    for byte in 0..=255_u8 {
        let mut ours = ChaCha20Rng::from_seed([byte; 32]);
        let mut oracle = chacha20::ChaCha20Rng::from_seed([byte; 32]);
        for _ in 0..100 {
            assert_eq!(ours.next_u64(), oracle.next_u64());
        }
    }
}

#[test]
fn ids_of_the_greatest_length_name_entries() {
    let longest = "\u{10348}".repeat(ID_CHARACTERS_MAX);
    let campaign = CampaignId::parse(&longest).unwrap();
    let entry = |t: &str| entry_id(&campaign, &longest.parse().unwrap(), &t.parse().unwrap());
    assert_ne!(entry(&longest), entry("t"));
}

#[test]
fn seeds_and_keys_show_nothing() {
    let seed = Seed::new([0xab; 32]);
    let key = epoch_key(&seed, &Digest([0; 32]), &"c".parse().unwrap(), "2026-11-11".parse().unwrap());
    assert_eq!(format!("{seed:?} {key:?}"), "[seed] [epoch key]");
    assert_ne!(Seed::generate().unwrap().expose(), Seed::generate().unwrap().expose());
}
