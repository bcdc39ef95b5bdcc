//! Odds and shares as people write them in a campaign's file: `1 in 500`, `2.5 %`. Only what is
//! exact is taken.

use serde::{Deserialize, Deserializer};

use super::ODDS_WHOLE_PPB;
use crate::money::BasisPoints;

/// Odds as parts per 10^9.
pub(super) struct OddsText(pub(super) u32);

/// A share in basis points.
pub(super) struct ShareText(pub(super) BasisPoints);

impl<'de> Deserialize<'de> for OddsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OddsText, D::Error> {
        crate::serde_text::read(deserializer, |text| odds_ppb(text).map(OddsText))
    }
}

impl<'de> Deserialize<'de> for ShareText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ShareText, D::Error> {
        let wrong = "expected a share such as 5 % or 2.25 %, of whole hundredths of a per cent up to 100 %";
        crate::serde_text::read(deserializer, |text| {
            let bps = per_cent(text, 10_000).and_then(|bps| u16::try_from(bps).ok());
            bps.and_then(BasisPoints::new).map(ShareText).ok_or(wrong)
        })
    }
}

fn odds_ppb(text: &str) -> Result<u32, &'static str> {
    let wrong = "expected odds such as 1 in 500 or 0.2 %, of whole parts in 1000000000";
    if let Some((wins, draws)) = text.split_once(" in ") {
        let number = |text: &str| {
            let plain = text.trim();
            plain.bytes().all(|byte| byte.is_ascii_digit()).then(|| plain.parse::<u64>().ok())?
        };
        let (wins, draws) = number(wins).zip(number(draws)).ok_or(wrong)?;
        let whole = wins.checked_mul(u64::from(ODDS_WHOLE_PPB)).ok_or(wrong)?;
        let parts = whole.checked_div(draws).filter(|_| whole % draws == 0).ok_or(wrong)?;
        return u32::try_from(parts).map_err(|_| wrong);
    }
    per_cent(text, u64::from(ODDS_WHOLE_PPB)).and_then(|parts| u32::try_from(parts).ok()).ok_or(wrong)
}

/// So many parts of `whole`, where they are whole ones.
fn per_cent(text: &str, whole: u64) -> Option<u64> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (units, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(units) || !digits(decimals) || units.len() + decimals.len() > 15 {
        return None;
    }
    let scale = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)? * 100;
    let parts = format!("{units}{decimals}").parse::<u128>().ok()?.checked_mul(u128::from(whole))?;
    (parts % scale == 0).then(|| u64::try_from(parts / scale).ok())?
}

#[cfg(test)]
mod tests {
    use super::super::PrizeTable;

    fn table(tier: &str) -> Result<PrizeTable, String> {
        let json = format!(r#"{{"currency":"GBP","tiers":[{{"name":"a",{tier}}}]}}"#);
        serde_json::from_str(&json).map_err(|error| error.to_string())
    }

    #[test]
    fn odds_and_shares_as_people_write_them_are_the_same_parts() {
        let plain =
            |ppb, bps| table(&format!(r#""odds_ppb":{ppb},"prize":{{"share_bps":{bps},"max":9}}"#)).unwrap();
        for (odds, share, ppb, bps) in [
            ("1 in 500", "5 %", 2_000_000, 500),
            ("3 in 8", "0.01 %", 375_000_000, 1),
            ("0.2 %", "100%", 2_000_000, 10_000),
            ("0.0000001%", "2.25 %", 1, 225),
            ("1 in 1000000000", "12.5 %", 1, 1_250),
            ("1 in 1", "1 %", 1_000_000_000, 100),
        ] {
            let read = table(&format!(r#""odds":"{odds}","prize":{{"share":"{share}","max":9}}"#)).unwrap();
            assert_eq!(read, plain(ppb, bps), "{odds} {share}");
            assert_eq!(read.hash(), plain(ppb, bps).hash());
        }
    }

    #[test]
    fn odds_that_are_no_whole_parts_are_refused_with_what_is_expected() {
        for odds in [
            "1 in 3",
            "1 in 0",
            "one in 5",
            "1 in -5",
            "+1 in 5",
            "0.00000001 %",
            "5",
            "",
            "%",
            ". %",
            "1e2 %",
            "9 in 1 in 2",
        ] {
            let said = table(&format!(r#""odds":"{odds}","prize":{{"fixed":1}}"#)).unwrap_err();
            assert!(said.starts_with("expected odds such as 1 in 500"), "{odds}: {said}");
        }
        for share in ["0.001 %", "100.01 %", "5", "-5 %", "5 % %"] {
            let said =
                table(&format!(r#""odds":"1 in 5","prize":{{"share":"{share}","max":1}}"#)).unwrap_err();
            assert!(said.starts_with("expected a share such as 5 %"), "{share}: {said}");
        }
        for both in [r#""odds":"1 in 5","odds_ppb":1,"prize":{"fixed":1}"#, r#""prize":{"fixed":1}"#] {
            assert!(table(both).unwrap_err().contains("odds"), "{both}");
        }
    }
}
