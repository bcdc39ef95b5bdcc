//! What people buy: the ISO 18245 list of merchant categories, and how often and for how much in
//! each. Everyday categories are weighted by hand; the rest of the list is the long tail. Amounts
//! in pennies.

/// The official list, <https://github.com/jleclanche/python-iso18245>, under the licence beside it.
const LIST: &str = include_str!("../../../data/mcc/iso18245_official_list.csv");

/// How often each category of the long tail is visited, beside the weights of [`EVERYDAY`].
const TAIL_WEIGHT: u32 = 1;

/// A merchant category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Category {
    /// Four digits.
    pub(super) mcc: String,
    /// The list's own words.
    pub(super) description: String,
    /// Visits, in relation to the other categories.
    pub(super) weight: u32,
    /// The usual amounts, in pennies.
    pub(super) low: u64,
    /// The largest usual amount.
    pub(super) high: u64,
    /// What shops of this kind call themselves; empty where the description has to do.
    pub(super) words: &'static [&'static str],
}

struct Everyday(&'static str, u32, u64, u64, &'static [&'static str]);

/// Everyday life, and a few categories campaigns like to leave out (cash, betting, money
/// transfers).
#[rustfmt::skip]
const EVERYDAY: &[Everyday] = &[
    Everyday("5411", 2_600, 150, 14_000, &["Grocers", "Food Hall", "Supermarket", "Farm Shop"]),
    Everyday("5814", 1_500, 200, 2_500, &["Coffee House", "Chippy", "Burger Bar", "Sandwich Bar", "Noodle Box"]),
    Everyday("5812", 1_000, 800, 12_000, &["Kitchen", "Brasserie", "Curry House", "Trattoria", "Dining Room"]),
    Everyday("4111", 900, 150, 3_500, &["Buses", "Metro", "Ferries", "Trams"]),
    Everyday("5499", 700, 80, 3_000, &["Corner Shop", "Convenience", "Deli"]),
    Everyday("5541", 600, 1_000, 11_000, &["Filling Station", "Service Station", "Motor Services"]),
    Everyday("5813", 450, 350, 8_000, &["Arms", "Tavern", "Ale House", "Wine Bar"]),
    Everyday("5912", 400, 150, 4_000, &["Pharmacy", "Chemist"]),
    Everyday("5311", 300, 500, 25_000, &["Department Store", "Emporium"]),
    Everyday("4112", 280, 250, 15_000, &["Railways", "Rail"]),
    Everyday("5462", 260, 120, 1_800, &["Bakery", "Bread Company"]),
    Everyday("5310", 240, 100, 4_000, &["Bargains", "Pound Shop"]),
    Everyday("5651", 220, 800, 12_000, &["Clothing", "Outfitters"]),
    Everyday("4121", 200, 400, 4_500, &["Cabs", "Taxis"]),
    Everyday("6011", 180, 1_000, 30_000, &["Cash Machine"]),
    Everyday("4814", 170, 500, 6_000, &["Telecom", "Mobile"]),
    Everyday("5542", 160, 1_000, 11_000, &["Pay at Pump"]),
    Everyday("4900", 150, 2_000, 30_000, &["Energy", "Water"]),
    Everyday("5968", 140, 299, 2_999, &["Streaming", "Box Club", "Subscription"]),
    Everyday("5994", 140, 80, 1_500, &["News", "Newsagent"]),
    Everyday("5942", 120, 300, 5_000, &["Books", "Bookshop"]),
    Everyday("7230", 110, 800, 9_000, &["Barbers", "Hair Studio"]),
    Everyday("5661", 100, 1_500, 14_000, &["Shoes", "Footwear"]),
    Everyday("5200", 100, 300, 30_000, &["Home and Garden", "Homewares"]),
    Everyday("5732", 90, 800, 90_000, &["Electronics", "Computers"]),
    Everyday("7523", 90, 100, 2_500, &["Car Park", "Parking"]),
    Everyday("7832", 80, 500, 5_000, &["Cinema", "Picture House"]),
    Everyday("7997", 80, 1_500, 8_000, &["Gym", "Leisure Club", "Golf Club"]),
    Everyday("5941", 80, 500, 15_000, &["Sports", "Bikes and Boots"]),
    Everyday("5995", 80, 300, 7_000, &["Pet Supplies", "Paws"]),
    Everyday("5921", 70, 500, 6_000, &["Wines", "Off Licence"]),
    Everyday("7995", 70, 200, 10_000, &["Bookmakers", "Racing", "Bingo"]),
    Everyday("6300", 60, 1_000, 60_000, &["Insurance", "Assurance"]),
    Everyday("5992", 50, 800, 6_000, &["Florist", "Flowers"]),
    Everyday("7011", 50, 4_000, 60_000, &["Hotel", "Inn", "Guest House"]),
    Everyday("4511", 30, 3_000, 90_000, &["Airways"]),
    Everyday("6051", 30, 1_000, 50_000, &["Bureau de Change"]),
    Everyday("4829", 20, 1_000, 50_000, &["Money Transfer"]),
];

/// The list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CategoriesError {
    /// Not CSV.
    #[error("reading the list of merchant categories")]
    Csv(#[from] csv::Error),
    /// A code that is not four digits.
    #[error("line {line} of the merchant categories has no code of four digits")]
    Code {
        /// Counted from 1, the header included.
        line: usize,
    },
}

/// All categories of the list, in its order.
pub(super) fn load() -> Result<Vec<Category>, CategoriesError> {
    let mut reader = csv::Reader::from_reader(LIST.as_bytes());
    let mut categories = Vec::new();
    for (n, record) in reader.records().enumerate() {
        let record = record?;
        let (mcc, description) = (record[0].to_owned(), record[1].to_owned());
        if mcc.len() != 4 || !mcc.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CategoriesError::Code { line: n + 2 });
        }
        let everyday = EVERYDAY.iter().find(|everyday| everyday.0 == mcc);
        let (weight, low, high, words) =
            everyday.map_or((TAIL_WEIGHT, 500, 20_000, &[][..]), |e| (e.1, e.2, e.3, e.4));
        categories.push(Category { mcc, description, weight, low, high, words });
    }
    Ok(categories)
}

impl Category {
    /// The first words of the description, up to where it begins to enumerate: "Veterinary
    /// services".
    pub(super) fn short_description(&self) -> &str {
        let ends = [",", " (", "/", ";", " --", " and "].iter().filter_map(|end| self.description.find(end));
        &self.description[..ends.min().unwrap_or(self.description.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_list_is_read_with_its_quoted_commas() {
        let categories = load().unwrap();
        assert_eq!(categories.len(), LIST.lines().count() - 1);
        assert_eq!(categories[0].mcc, "0742");
        let ferries = categories.iter().find(|c| c.mcc == "4111").unwrap();
        assert_eq!(
            ferries.description,
            "Local and suburban commuter passenger transportation, including ferries"
        );
    }

    #[test]
    fn every_everyday_category_is_in_the_list() {
        let categories = load().unwrap();
        for everyday in EVERYDAY {
            let found = categories.iter().find(|c| c.mcc == everyday.0).unwrap();
            assert_eq!((found.weight, found.words), (everyday.1, everyday.4));
            assert!(0 < found.low && found.low < found.high);
        }
    }

    #[test]
    fn a_short_description_stops_before_the_enumeration() {
        let categories = load().unwrap();
        let short = |mcc: &str| categories.iter().find(|c| c.mcc == mcc).unwrap().short_description();
        assert_eq!(short("0742"), "Veterinary services");
        assert_eq!(short("1711"), "Heating");
        assert_eq!(short("7251"), "Shoe repair shops");
        assert_eq!(short("0763"), "Agricultural co-operatives");
        assert!(categories.iter().all(|c| !c.short_description().is_empty()));
    }
}
