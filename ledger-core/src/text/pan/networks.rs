//! The card networks: by the first four digits and the lengths they issue.
//!
//! Maestro's wide 50 and 56–69 are narrowed to the prefixes in use, Diners' 30 to 300–305 and 3095:
//! the rest would mostly hit bank accounts. Sources: ISO/IEC 7812-1 and what the networks publish.

use std::ops::RangeInclusive;

/// When the table was last compared with what the networks publish.
pub const NETWORKS_VERSION: &str = "2026-11";

pub(super) const DIGITS_MIN: usize = 13;
pub(super) const DIGITS_MAX: usize = 19;

const NETWORKS: &[(RangeInclusive<u32>, RangeInclusive<usize>)] = &[
    (4000..=4999, 13..=13), // Visa, and Elo within it
    (4000..=4999, 16..=16),
    (4000..=4999, 19..=19),
    (5100..=5599, 16..=16), // Mastercard
    (2221..=2720, 16..=16),
    (3400..=3499, 15..=15), // American Express
    (3700..=3799, 15..=15),
    (6011..=6011, 16..=19), // Discover
    (6440..=6599, 16..=19),
    (3000..=3059, 14..=14), // Diners Club
    (3000..=3059, 16..=16),
    (3095..=3095, 14..=14),
    (3095..=3095, 16..=16),
    (3600..=3699, 14..=14),
    (3600..=3699, 16..=16),
    (3800..=3999, 14..=14), // and Hipercard's 3841
    (3800..=3999, 16..=16),
    (3528..=3589, 16..=19), // JCB
    (1800..=1800, 15..=15),
    (2131..=2131, 15..=15),
    (1000..=1999, 15..=15), // UATP
    (6200..=6299, 16..=19), // UnionPay
    (8100..=8299, 16..=19), // UnionPay and RuPay
    (6000..=6099, 16..=16), // RuPay, Hipercard
    (5080..=5089, 16..=16), // RuPay
    (2200..=2205, 16..=19), // Mir, Borica
    (5018..=5020, 13..=19), // Maestro, Dankort
    (5038..=5038, 13..=19),
    (5893..=5893, 13..=19),
    (6304..=6304, 13..=19),
    (6759..=6759, 13..=19),
    (6761..=6763, 13..=19),
    (5041..=5041, 16..=16), // Elo
    (5066..=5067, 16..=16),
    (5090..=5099, 16..=16),
    (6362..=6363, 16..=16),
    (6370..=6376, 16..=16), // Hipercard
    (9792..=9792, 16..=16), // Troy
    (5060..=5061, 16..=19), // Verve
    (5078..=5079, 16..=19),
    (6703..=6703, 16..=19), // Bancontact
    (6706..=6709, 16..=19), // Laser
    (8600..=8600, 16..=16), // Uzcard
    (5614..=5614, 16..=16),
    (9860..=9860, 16..=16), // Humo
    (9704..=9704, 16..=19), // Napas
];

/// Whether a network issues numbers that begin so and are as long.
pub(super) fn is_issued(digits: &[u8]) -> bool {
    let prefix = digits[..4].iter().fold(0, |number, digit| number * 10 + u32::from(*digit));
    NETWORKS.iter().any(|(prefixes, lengths)| prefixes.contains(&prefix) && lengths.contains(&digits.len()))
}
