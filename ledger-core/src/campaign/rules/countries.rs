//! The countries that a rule may name. A code that no line ever has would deny nobody.

/// Officially assigned codes of ISO 3166-1 alpha-2, and Kosovo's, which banks use.
const COUNTRIES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA \
CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA \
GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS \
MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS \
RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW \
TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK";

/// When the table was last compared with the standard. It decides which rules a new campaign may
/// have, never what an old one means.
pub const COUNTRIES_VERSION: &str = "2026-05";

/// What people write for a country that has another code.
const MEANT: [(&str, &str); 10] = [
    ("UK", "GB"),
    ("EN", "GB"),
    ("GBR", "GB"),
    ("EL", "GR"),
    ("USA", "US"),
    ("DEU", "DE"),
    ("FRA", "FR"),
    ("IRL", "IE"),
    ("ESP", "ES"),
    ("ITA", "IT"),
];

/// What a rule should have instead of a code that no country has.
pub(super) fn expected(code: &str) -> String {
    let code = code.trim().to_ascii_uppercase();
    let meant = MEANT.iter().find(|(written, _)| *written == code).map(|(_, meant)| *meant);
    let meant = meant.or_else(|| is_country(&code).then_some(code.as_str()));
    let hint = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
    format!("a country of ISO 3166-1 alpha-2 such as GB{hint}")
}

/// Whether a line may have this country.
pub(super) fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split(' ').any(|known| known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_standard_and_kosovos() {
        let listed = include_str!("../../../../tests/data/iso3166/alpha-2.csv");
        let mut standard: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        standard.push("XK");
        standard.sort_unstable();
        standard.dedup();
        let mut ours: Vec<_> = COUNTRIES.split(' ').collect();
        ours.sort_unstable();
        assert_eq!(ours, standard);
        assert_eq!(COUNTRIES_VERSION.len(), "2026-05".len());
    }

    #[test]
    fn what_people_write_instead_is_met_with_the_code_they_mean() {
        for (written, meant) in [("UK", "GB"), ("uk", "GB"), ("gb", "GB"), ("EL", "GR"), ("USA", "US")] {
            assert!(expected(written).ends_with(&format!("did you mean {meant}?")), "{written}");
        }
        assert!(!expected("ZZ").contains("did you mean"));
        assert!(MEANT.iter().all(|(written, meant)| !is_country(written) && is_country(meant)));
    }

    #[test]
    fn every_country_is_there_once_and_nothing_else_is() {
        let codes: std::collections::BTreeSet<_> = COUNTRIES.split(' ').collect();
        assert_eq!((codes.len(), COUNTRIES.split(' ').count()), (250, 250));
        assert!(codes.iter().all(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())));
        for no in ["UK", "EL", "gb", "GBR", "", "G", "ZZ", "B "] {
            assert!(!is_country(no), "{no}");
        }
    }
}
