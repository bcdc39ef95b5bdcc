//! The public beacon behind an epoch: randomness that nobody could know when the seed was committed
//! to, so that not even we could choose a favourable seed.
//!
//! A round is named by its number and appears at a known time. Its randomness is the SHA-256 of a
//! BLS signature that only a threshold of independent parties can make, and that anyone can check
//! against one public key. Everything here is a pure function: [`verify`] is what an auditor calls,
//! offline.

use std::fmt;
use std::str::FromStr;

use drand_verify::{G2PubkeyRfc, Pubkey as _};

use crate::ids::{BeaconSignature, Digest};
use crate::time::{SECOND_MICROS, Timestamp};

/// `beacon` in terms that want none.
pub const NONE: &str = "none";
/// `beacon` in terms that want drand's quicknet; each epoch's spec goes on with chain and round.
pub const QUICKNET: &str = "drand:quicknet";
/// Names the network in addresses and in specs: the hash of its parameters.
pub const QUICKNET_CHAIN: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";

/// Round 1 was at this time; the others follow every [`PERIOD_MICROS`].
const GENESIS: Timestamp = Timestamp::from_micros(1_692_803_367 * SECOND_MICROS);
const PERIOD_MICROS: i64 = 3 * SECOND_MICROS;
/// Of scheme `bls-unchained-g1-rfc9380`: keys on G2, signatures on G1. Published at
/// `https://api.drand.sh/<chain>/info`; the chain hash is taken over it.
const PUBLIC_KEY: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";

/// A day's round is there a minute before the day begins, so that draws need not wait for it.
const BEFORE_OPENING_MICROS: i64 = 60 * SECOND_MICROS;
/// What a commitment is ahead of its round at least: longer than clocks differ and than a round
/// takes to be made.
const AHEAD_MICROS: i64 = 30 * SECOND_MICROS;

/// What an epoch's `beacon_spec` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeaconSpec {
    /// `none`: 32 zero bytes stand in its place.
    None,
    /// `drand:quicknet:<chain hash>:<round>`.
    Quicknet {
        /// From 1.
        round: u64,
    },
}

/// Why public randomness is not that of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeaconError {
    /// Another network, or no spec at all.
    #[error("the beacon spec names no beacon that is known here")]
    UnknownSpec,
    /// A round without its signature.
    #[error("the beacon's signature is missing")]
    NoSignature,
    /// `none` with a signature.
    #[error("there is a signature although there is no beacon")]
    NoBeacon,
    /// It is of another round or network, or no point of the curve.
    #[error("the signature is not that of the beacon's round")]
    WrongSignature,
    /// The signature is right and the randomness another.
    #[error("the randomness is not that of the signature")]
    WrongRandomness,
}

impl BeaconSpec {
    /// For an epoch that opens at `opens_at` and is committed to at `now`, under terms that say
    /// `beacon`.
    pub fn of(beacon: &str, opens_at: Timestamp, now: Timestamp) -> Result<BeaconSpec, BeaconError> {
        match beacon {
            NONE => Ok(BeaconSpec::None),
            QUICKNET => {
                // A campaign's first epoch opens at once: a round of a minute before would exist
                // already, and who makes the seed could try seeds until one suits. Its draws wait
                // half a minute instead.
                let not_before =
                    opens_at.plus_micros(-BEFORE_OPENING_MICROS).max(now.plus_micros(AHEAD_MICROS));
                Ok(BeaconSpec::Quicknet { round: first_round(not_before) })
            }
            _ => Err(BeaconError::UnknownSpec),
        }
    }

    /// When the randomness appears; `None` if there is nothing to wait for.
    pub fn appears_at(self) -> Option<Timestamp> {
        match self {
            BeaconSpec::None => None,
            BeaconSpec::Quicknet { round } => {
                let periods = i64::try_from(round.saturating_sub(1)).unwrap_or(i64::MAX);
                Some(GENESIS.plus_micros(periods.saturating_mul(PERIOD_MICROS)))
            }
        }
    }

    /// The randomness that an epoch of this spec opens with: zeros for `none`, else the SHA-256 of
    /// the round's signature, once that is checked. BLS: some milliseconds.
    pub fn randomness(self, signature: Option<&BeaconSignature>) -> Result<Digest, BeaconError> {
        match (self, signature) {
            (BeaconSpec::None, None) => Ok(Digest([0; 32])),
            (BeaconSpec::None, Some(_)) => Err(BeaconError::NoBeacon),
            (BeaconSpec::Quicknet { .. }, None) => Err(BeaconError::NoSignature),
            (BeaconSpec::Quicknet { round }, Some(signature)) if is_signed(round, signature) => {
                Ok(super::sha256(&signature.0))
            }
            (BeaconSpec::Quicknet { .. }, Some(_)) => Err(BeaconError::WrongSignature),
        }
    }
}

/// Checks what an epoch was opened with against what was committed to.
pub fn verify(
    beacon_spec: &str,
    beacon: &Digest,
    signature: Option<&BeaconSignature>,
) -> Result<(), BeaconError> {
    let randomness = beacon_spec.parse::<BeaconSpec>()?.randomness(signature)?;
    if randomness == *beacon { Ok(()) } else { Err(BeaconError::WrongRandomness) }
}

/// The first round that appears at or after `time`.
fn first_round(time: Timestamp) -> u64 {
    let since = time.micros().saturating_sub(GENESIS.micros()).max(0);
    let periods = since.saturating_add(PERIOD_MICROS - 1) / PERIOD_MICROS;
    u64::try_from(periods).expect("not below zero") + 1
}

fn is_signed(round: u64, signature: &BeaconSignature) -> bool {
    let mut key = [0; 96];
    hex::decode_to_slice(PUBLIC_KEY, &mut key).expect("96 bytes in hex");
    // Our own key, known to be a point of the right group: checking it again would double the time.
    let key = G2PubkeyRfc::from_fixed_unchecked(key).expect("a point of G2");
    key.verify(round, b"", &signature.0).unwrap_or(false)
}

impl fmt::Display for BeaconSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BeaconSpec::None => f.write_str(NONE),
            BeaconSpec::Quicknet { round } => write!(f, "{QUICKNET}:{QUICKNET_CHAIN}:{round}"),
        }
    }
}

impl FromStr for BeaconSpec {
    type Err = BeaconError;

    /// Takes only what [`Display`](fmt::Display) writes: the text is inside the commitment.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == NONE {
            return Ok(BeaconSpec::None);
        }
        let round = text.rsplit(':').next().and_then(|round| round.parse().ok());
        let spec = BeaconSpec::Quicknet { round: round.ok_or(BeaconError::UnknownSpec)? };
        if spec.to_string() == text { Ok(spec) } else { Err(BeaconError::UnknownSpec) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from the public network.
    const ROUNDS: &str = include_str!("../../testdata/quicknet-rounds.json");

    #[derive(serde::Deserialize)]
    struct Recorded {
        info: serde_json::Value,
        rounds: Vec<Signed>,
        negatives: Vec<Signed>,
    }

    #[derive(serde::Deserialize)]
    struct Signed {
        round: u64,
        signature: BeaconSignature,
        randomness: Option<Digest>,
    }

    fn recorded() -> Recorded {
        serde_json::from_str(ROUNDS).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).unwrap()
    }

    fn spec(round: u64) -> String {
        BeaconSpec::Quicknet { round }.to_string()
    }

    #[test]
    fn the_network_is_the_recorded_one() {
        let info = recorded().info;
        assert_eq!(
            (info["public_key"].as_str(), info["hash"].as_str()),
            (Some(PUBLIC_KEY), Some(QUICKNET_CHAIN))
        );
        assert_eq!(info["genesis_time"], GENESIS.micros() / SECOND_MICROS);
        assert_eq!(info["period"], PERIOD_MICROS / SECOND_MICROS);
    }

    #[test]
    fn recorded_rounds_verify_and_no_other_pairing_of_them_does() {
        let rounds = recorded().rounds;
        for round in &rounds {
            let randomness = round.randomness.unwrap();
            assert_eq!(verify(&spec(round.round), &randomness, Some(&round.signature)), Ok(()));
            let other = Digest([1; 32]);
            let refused = verify(&spec(round.round), &other, Some(&round.signature));
            assert_eq!(refused, Err(BeaconError::WrongRandomness));
            assert_eq!(verify(&spec(round.round), &randomness, None), Err(BeaconError::NoSignature));
            for other in rounds.iter().filter(|other| other.round != round.round) {
                let refused = verify(&spec(other.round), &randomness, Some(&round.signature));
                assert_eq!(refused, Err(BeaconError::WrongSignature));
            }
        }
    }

    #[test]
    fn signatures_of_other_networks_and_damaged_ones_do_not_verify() {
        let Recorded { rounds, negatives, .. } = recorded();
        assert!(!negatives.is_empty());
        for round in negatives {
            let refused = BeaconSpec::Quicknet { round: round.round }.randomness(Some(&round.signature));
            assert_eq!(refused, Err(BeaconError::WrongSignature));
        }
        let Signed { round, signature, .. } = rounds[0];
        for byte in [0, 1, 24, 47] {
            let mut damaged = signature;
            damaged.0[byte] ^= 1;
            let refused = BeaconSpec::Quicknet { round }.randomness(Some(&damaged));
            assert_eq!(refused, Err(BeaconError::WrongSignature), "byte {byte}");
        }
        for bytes in [[0; 48], [0xff; 48]] {
            let refused = BeaconSpec::Quicknet { round }.randomness(Some(&BeaconSignature(bytes)));
            assert_eq!(refused, Err(BeaconError::WrongSignature));
        }
        // The point at infinity: a signature of everything for a key of zero.
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        let refused = BeaconSpec::Quicknet { round }.randomness(Some(&BeaconSignature(infinity)));
        assert_eq!(refused, Err(BeaconError::WrongSignature));
    }

    #[test]
    fn none_is_zeros_and_nothing_else() {
        let zeros = Digest([0; 32]);
        assert_eq!(verify("none", &zeros, None), Ok(()));
        assert_eq!(verify("none", &Digest([1; 32]), None), Err(BeaconError::WrongRandomness));
        let signature = recorded().rounds[0].signature;
        assert_eq!(verify("none", &zeros, Some(&signature)), Err(BeaconError::NoBeacon));
    }

    #[test]
    fn a_round_is_the_first_at_or_after_a_minute_before_the_day() {
        let opens_at = at("2026-11-24T00:00:00Z");
        let day_before = at("2026-11-22T12:00:00Z");
        let spec = BeaconSpec::of(QUICKNET, opens_at, day_before).unwrap();
        let appears_at = spec.appears_at().unwrap();
        let wanted = opens_at.plus_micros(-60 * SECOND_MICROS);
        assert!(appears_at >= wanted && appears_at < wanted.plus_micros(PERIOD_MICROS));
        // The recorded round's own time leads to it, a microsecond later to the next.
        let round = recorded().rounds.last().unwrap().round;
        let time = BeaconSpec::Quicknet { round }.appears_at().unwrap();
        assert_eq!((first_round(time), first_round(time.plus_micros(1))), (round, round + 1));
        assert_eq!(first_round(time.plus_micros(1 - PERIOD_MICROS)), round);
        assert_eq!((first_round(GENESIS), first_round(Timestamp::from_micros(0))), (1, 1));
    }

    #[test]
    fn no_round_that_exists_is_committed_to() {
        let opens_at = at("2026-11-22T00:00:00Z");
        // At once, half a day late; a minute before; and 24 hours and 90 seconds before, where it
        // makes no difference.
        for now in ["2026-11-22T12:00:00Z", "2026-11-21T23:59:00Z", "2026-11-20T23:58:30Z"] {
            let appears_at = BeaconSpec::of(QUICKNET, opens_at, at(now)).unwrap().appears_at().unwrap();
            assert!(appears_at >= at(now).plus_micros(AHEAD_MICROS), "{now}: {appears_at}");
            assert!(appears_at >= opens_at.plus_micros(-BEFORE_OPENING_MICROS), "{now}: {appears_at}");
        }
    }

    #[test]
    fn a_spec_is_read_only_as_it_is_written() {
        let written = spec(32_281_667);
        assert_eq!(written.parse(), Ok(BeaconSpec::Quicknet { round: 32_281_667 }));
        assert_eq!("none".parse(), Ok(BeaconSpec::None));
        let others = [
            "",
            "None",
            "drand:quicknet",
            "drand:quicknet:5",
            "drand:fastnet:1:5",
            &format!("{written} "),
            &format!("{QUICKNET}:{QUICKNET_CHAIN}:007"),
            &format!("{QUICKNET}:{}:7", QUICKNET_CHAIN.to_uppercase()),
            &format!("{QUICKNET}:{QUICKNET_CHAIN}:+7"),
        ];
        for other in others {
            assert_eq!(other.parse::<BeaconSpec>(), Err(BeaconError::UnknownSpec), "{other}");
        }
        assert_eq!(
            BeaconSpec::of("drand:other", at("2026-11-22T00:00:00Z"), GENESIS),
            Err(BeaconError::UnknownSpec)
        );
    }
}
