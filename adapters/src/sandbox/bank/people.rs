//! Who buys and who sells: customers and merchants, fixed by the seed. Bank accounts are British
//! IBANs with right check digits at banks that do not exist.

use ledger_core::ids::AccountId;

use super::categories::Category;
use crate::sandbox::dice::Dice;

const MERCHANTS: u64 = 1;
const CUSTOMERS: u64 = 2;

/// Merchants beside one of each category.
const POPULAR_MERCHANTS: usize = 600;
/// Merchants a customer goes back to.
const HABITS: usize = 8;

#[rustfmt::skip]
const TOWNS: &[&str] = &[
    "London", "Leeds", "York", "Bath", "Bristol", "Cardiff", "Glasgow", "Edinburgh", "Manchester", "Liverpool",
    "Sheffield", "Norwich", "Exeter", "Plymouth", "Brighton", "Oxford", "Cambridge", "Durham", "Newcastle",
    "Nottingham", "Leicester", "Coventry", "Swansea", "Aberdeen", "Dundee", "Inverness", "Belfast", "Derry",
    "Lincoln", "Chester", "Carlisle", "Truro", "Ipswich", "Reading", "Hull", "Preston", "Wigan", "Stirling",
];

#[rustfmt::skip]
const PREFIXES: &[&str] = &[
    "Riverside", "Old Mill", "High Street", "Harbour", "Station", "Abbey", "Castle", "Market", "Bluebell",
    "Fox and Fern", "Kingfisher", "Oakfield", "Silver Birch", "Two Rivers", "Lighthouse", "Copper Kettle",
    "Green Lane", "Northgate", "Westbrook", "Heron", "Juniper", "Maple", "Primrose", "Swan", "Thistle", "Wren",
];

/// Abroad: country, currency of the euro zone and beyond, a town.
const ABROAD: &[(&str, &str, &str)] = &[
    ("IE", "EUR", "Dublin"),
    ("IE", "EUR", "Cork"),
    ("FR", "EUR", "Paris"),
    ("ES", "EUR", "Malaga"),
    ("DE", "EUR", "Berlin"),
    ("US", "USD", "New York"),
    ("JP", "JPY", "Tokyo"),
];

/// A customer of the sandbox bank.
#[derive(Clone)]
pub struct Customer {
    account_id: AccountId,
    iban: String,
    /// Places in the list of merchants.
    pub(super) habits: [usize; HABITS],
}

impl Customer {
    /// The pseudonym: `cus_0001` and so on.
    pub fn account_id(&self) -> &AccountId {
        &self.account_id
    }

    /// The customer's bank account.
    pub fn iban(&self) -> &str {
        &self.iban
    }
}

/// A shop.
pub(super) struct Merchant {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) town: &'static str,
    pub(super) mcc: String,
    pub(super) country: &'static str,
    pub(super) currency: &'static str,
    pub(super) iban: String,
    /// Usual amounts, in minor units of `currency`.
    pub(super) low: u64,
    pub(super) high: u64,
}

/// All merchants: one of each category, so that every code occurs, and more where people go more
/// often.
pub(super) struct Merchants {
    all: Vec<Merchant>,
    /// For each merchant its weight and those of all before it.
    upto: Vec<u64>,
}

impl Merchants {
    pub(super) fn new(seed: u64, categories: &[Category]) -> Merchants {
        let category_upto = running_sum(categories.iter().map(|category| u64::from(category.weight)));
        let mut chosen: Vec<usize> = (0..categories.len()).collect();
        let mut dice = Dice::new(seed, MERCHANTS, u64::MAX);
        chosen.extend((0..POPULAR_MERCHANTS).map(|_| pick_weighted(&mut dice, &category_upto)));
        let mut shops_of = vec![0; categories.len()];
        for category in &chosen {
            shops_of[*category] += 1;
        }
        // A category's visits are shared among its shops, in thousandths so that nothing rounds to
        // none.
        let upto =
            running_sum(chosen.iter().map(|c| u64::from(categories[*c].weight) * 1_000 / shops_of[*c]));
        let all = (1..).zip(&chosen).map(|(n, c)| merchant(seed, n, &categories[*c])).collect();
        Merchants { all, upto }
    }

    /// A shop, popular ones more often.
    pub(super) fn pick(&self, dice: &mut Dice) -> usize {
        pick_weighted(dice, &self.upto)
    }

    pub(super) fn get(&self, place: usize) -> &Merchant {
        &self.all[place]
    }
}

fn merchant(seed: u64, n: u64, category: &Category) -> Merchant {
    let mut dice = Dice::new(seed, MERCHANTS, n);
    let (country, currency, town) =
        if dice.chance(40_000) { *dice.pick(ABROAD) } else { ("GB", "GBP", *dice.pick(TOWNS)) };
    let prefix = dice.pick(PREFIXES);
    let words =
        if category.words.is_empty() { category.short_description() } else { *dice.pick(category.words) };
    // A yen is worth about half a penny.
    let minor_per_penny = if currency == "JPY" { 2 } else { 1 };
    Merchant {
        id: format!("m_{n:04}"),
        name: format!("{prefix} {words}"),
        town,
        mcc: category.mcc.clone(),
        country,
        currency,
        iban: iban(&mut dice),
        low: category.low * minor_per_penny,
        high: category.high * minor_per_penny,
    }
}

/// `count` customers, `cus_0001` onwards: as many digits as the last one needs, at least four.
pub(super) fn customers(seed: u64, count: u32, merchants: &Merchants) -> Vec<Customer> {
    let width = count.to_string().len().max(4);
    (1..=count)
        .map(|n| {
            let mut dice = Dice::new(seed, CUSTOMERS, u64::from(n));
            Customer {
                account_id: AccountId::parse(&format!("cus_{n:0width$}"))
                    .expect("letters and digits are an id"),
                iban: iban(&mut dice),
                habits: std::array::from_fn(|_| merchants.pick(&mut dice)),
            }
        })
        .collect()
}

/// A British IBAN: right check digits, and no run in it that could be taken for a card number.
pub(super) fn iban(dice: &mut Dice) -> String {
    loop {
        let bank = dice.pick(&["SBNK", "HRBX", "NRTX"]);
        let digits = format!("{:06}{:08}", dice.below(1_000_000), dice.below(100_000_000));
        if (13..=digits.len()).any(|length| digits.as_bytes().windows(length).any(passes_luhn)) {
            continue;
        }
        let check = 98 - remainder_97(&format!("{bank}{digits}GB00"));
        return format!("GB{check:02}{bank}{digits}");
    }
}

/// ISO 7064 MOD 97-10 of letters (A is 10) and digits, without ever holding the whole number.
pub(super) fn remainder_97(text: &str) -> u32 {
    text.chars().filter_map(|c| c.to_digit(36)).fold(0, |rest, value| {
        let shift = if value < 10 { 10 } else { 100 };
        (rest * shift + value) % 97
    })
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') * if place % 2 == 1 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

fn running_sum(weights: impl Iterator<Item = u64>) -> Vec<u64> {
    weights
        .scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}

fn pick_weighted(dice: &mut Dice, upto: &[u64]) -> usize {
    let throw = dice.below(upto.last().copied().unwrap_or(1));
    upto.partition_point(|sum| *sum <= throw)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::categories;
    use super::*;

    #[test]
    fn the_check_digits_are_those_of_the_registry() {
        // The British example of the IBAN registry, rearranged as ISO 13616 says.
        assert_eq!(remainder_97("NWBK60161331926819GB29"), 1);
        assert_ne!(remainder_97("NWBK60161331926819GB30"), 1);
        assert!(passes_luhn(b"4111111111111111"));
        assert!(!passes_luhn(b"4111111111111112"));
    }

    #[test]
    fn every_customer_has_a_valid_account_of_his_own() {
        let merchants = Merchants::new(1, &categories::load().unwrap());
        let customers = customers(1, 2_000, &merchants);
        for customer in &customers {
            let iban = customer.iban();
            assert_eq!(iban.len(), 22);
            assert_eq!(remainder_97(&format!("{}{}", &iban[4..], &iban[..4])), 1, "{iban}");
            assert!(!passes_luhn(&iban.as_bytes()[8..]), "{iban}");
        }
        assert_eq!(customers.iter().map(Customer::iban).collect::<HashSet<_>>().len(), 2_000);
        assert_eq!(customers[0].account_id().as_str(), "cus_0001");
        assert_eq!(customers[1_999].account_id().as_str(), "cus_2000");
    }

    #[test]
    fn every_category_has_a_shop_and_most_shops_are_british() {
        let categories = categories::load().unwrap();
        let merchants = Merchants::new(1, &categories);
        let codes: HashSet<_> = merchants.all.iter().map(|m| m.mcc.as_str()).collect();
        assert_eq!(codes.len(), categories.len());
        let british = merchants.all.iter().filter(|m| m.country == "GB").count();
        assert!(british * 10 > merchants.all.len() * 9 && british < merchants.all.len());
    }
}
