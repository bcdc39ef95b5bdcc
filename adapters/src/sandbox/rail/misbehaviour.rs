//! The rail's bad days. What happens to a key follows from the seed and the key alone, so a run can
//! be repeated; rates are in parts per million of keys.

use std::time::Duration;

use ledger_core::steps::ports::PayoutKey;

use crate::sandbox::dice::{Dice, MILLION};

/// How often the rail does what rails do. Of the first four at most one happens to a key; together
/// they are held at a million. Only the first send of a key is disturbed: a second one is answered
/// from the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misbehaviour {
    /// Chooses the keys.
    pub seed: u64,
    /// Pays, then does not answer.
    pub timeout_after_paying_ppm: u32,
    /// Does not answer, and has not paid.
    pub timeout_before_paying_ppm: u32,
    /// Refuses for good.
    pub refuse_ppm: u32,
    /// Answers, then confirms the same payment again (`SandboxRail::confirmations`).
    pub confirm_again_ppm: u32,
    /// Takes its time, up to `slow_max`, whatever else it does.
    pub slow_ppm: u32,
    /// The longest a slow send takes.
    pub slow_max: Duration,
    /// How long a caller waits for an answer that does not come.
    pub timeout: Duration,
}

impl Misbehaviour {
    /// A rail that always does what it should.
    pub fn none() -> Misbehaviour {
        Misbehaviour {
            seed: 0,
            timeout_after_paying_ppm: 0,
            timeout_before_paying_ppm: 0,
            refuse_ppm: 0,
            confirm_again_ppm: 0,
            slow_ppm: 0,
            slow_max: Duration::ZERO,
            timeout: Duration::ZERO,
        }
    }

    /// An ordinary rail on an ordinary day.
    pub fn usual() -> Misbehaviour {
        Misbehaviour {
            timeout_after_paying_ppm: 10_000,
            timeout_before_paying_ppm: 10_000,
            refuse_ppm: 2_000,
            confirm_again_ppm: 20_000,
            slow_ppm: 50_000,
            slow_max: Duration::from_millis(50),
            timeout: Duration::from_millis(100),
            ..Misbehaviour::none()
        }
    }

    /// The same rates over other keys.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Misbehaviour {
        Misbehaviour { seed, ..self }
    }

    pub(super) fn of(&self, key: PayoutKey) -> Conduct {
        let mut dice = self.dice(key);
        let throw = u32::try_from(dice.below(u64::from(MILLION))).expect("below a million");
        let mut upto = 0_u32;
        let mut fault = None;
        for (kind, ppm) in [
            (Fault::TimeoutAfterPaying, self.timeout_after_paying_ppm),
            (Fault::TimeoutBeforePaying, self.timeout_before_paying_ppm),
            (Fault::Refuse, self.refuse_ppm),
            (Fault::ConfirmAgain, self.confirm_again_ppm),
        ] {
            upto = upto.saturating_add(ppm);
            if fault.is_none() && throw < upto {
                fault = Some(kind);
            }
        }
        let slow_micros = u64::try_from(self.slow_max.as_micros()).unwrap_or(u64::MAX - 1);
        let delay = if dice.chance(self.slow_ppm) {
            Duration::from_micros(dice.between(0, slow_micros))
        } else {
            Duration::ZERO
        };
        Conduct { fault, delay }
    }

    fn dice(&self, key: PayoutKey) -> Dice {
        // Entry ids are hashes, so any mixture of them with the seed is as good as another hash.
        let mut bytes = key.entry_id.0;
        for (byte, salt) in
            bytes.iter_mut().zip(self.seed.to_le_bytes().into_iter().chain(key.attempt.to_le_bytes()))
        {
            *byte ^= salt;
        }
        Dice::from_bytes(bytes)
    }
}

/// What the rail does with one key.
pub(super) struct Conduct {
    pub(super) fault: Option<Fault>,
    pub(super) delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    TimeoutAfterPaying,
    TimeoutBeforePaying,
    Refuse,
    ConfirmAgain,
}

#[cfg(test)]
mod tests {
    use ledger_core::ids::EntryId;

    use super::*;

    fn key(n: u64) -> PayoutKey {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&n.to_le_bytes());
        PayoutKey { entry_id: EntryId(bytes), attempt: 1 }
    }

    #[test]
    fn faults_come_at_their_rates_and_always_to_the_same_keys() {
        let usual = Misbehaviour::usual();
        let count = |fault| (0..20_000).filter(|n| usual.of(key(*n)).fault == Some(fault)).count();
        assert!((150..250).contains(&count(Fault::TimeoutAfterPaying)));
        assert!((150..250).contains(&count(Fault::TimeoutBeforePaying)));
        assert!((20..65).contains(&count(Fault::Refuse)));
        assert!((330..470).contains(&count(Fault::ConfirmAgain)));
        assert!((0..1_000).all(|n| usual.of(key(n)).fault == usual.of(key(n)).fault));
    }

    #[test]
    fn another_seed_or_attempt_has_another_fate() {
        let half = Misbehaviour { refuse_ppm: MILLION / 2, ..Misbehaviour::none() };
        let fates = |m: &Misbehaviour, attempt| -> Vec<bool> {
            (0..64).map(|n| m.of(PayoutKey { attempt, ..key(n) }).fault.is_some()).collect()
        };
        assert_ne!(fates(&half, 1), fates(&half, 2));
        assert_ne!(fates(&half, 1), fates(&half.clone().with_seed(1), 1));
    }

    #[test]
    fn a_slow_send_is_bounded() {
        let slow =
            Misbehaviour { slow_ppm: MILLION, slow_max: Duration::from_millis(3), ..Misbehaviour::none() };
        let delays: Vec<Duration> = (0..100).map(|n| slow.of(key(n)).delay).collect();
        assert!(delays.iter().all(|d| *d <= Duration::from_millis(3)));
        assert!(delays.iter().any(|d| *d > Duration::from_millis(1)));
        assert!((0..100).all(|n| Misbehaviour::none().of(key(n)).delay.is_zero()));
    }
}
