//! What the pages that people read and sign have in common: head and style, numbers as people write
//! them, plots with axes. A page needs no network and no script, and can be printed. Templates
//! escape whatever they are given.

pub mod plot;

use ledger_core::figures::grouped;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// A whole page.
pub fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}

/// A table that may be wider than the screen: it scrolls by itself, with the keyboard too.
pub fn table(label: &str, head: &Markup, rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table { thead { tr { (head) } } tbody { (rows) } }
        }
    }
}

/// Names with what they say, one below the other.
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (name, said) in facts { dt { (name) } dd { (said) } } } }
}

/// A long list, folded until somebody asks for it.
pub fn folded(summary: &str, inside: &Markup) -> Markup {
    html! { details { summary { (summary) } (inside) } }
}

/// A hash, which may break between groups of characters and nowhere else.
pub fn hash(hash: &str) -> Markup {
    let groups = (0..hash.len()).step_by(8).filter_map(|at| hash.get(at..hash.len().min(at + 8)));
    html! { code { @for group in groups { (group) wbr; } } }
}

/// A count with commas between thousands.
pub fn count(number: impl TryInto<u128>) -> String {
    grouped(number.try_into().unwrap_or_default())
}

/// So many of something, in words: `1 draw`, `2,000 draws`.
pub fn so_many(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Parts per 10^9 as a percentage: as many digits as it has, at most seven decimals.
pub fn percent(ppb: u64) -> String {
    let text = format!("{}.{:07}", ppb / 10_000_000, ppb % 10_000_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_are_percentages_without_needless_digits() {
        for (ppb, text) in [(0, "0 %"), (55_000_000, "5.5 %"), (500_000, "0.05 %"), (1, "0.0000001 %")] {
            assert_eq!(percent(ppb), text);
        }
        assert_eq!(percent(1_000_000_000), "100 %");
        assert_eq!([so_many(1, "draw"), so_many(2_000, "draw")], ["1 draw", "2,000 draws"]);
    }

    #[test]
    fn nothing_that_a_page_is_given_becomes_markup() {
        let page = document("<i>", &html! { p title="\"<b>" { "<script>" } });
        for markup in ["<i>", "<b>", "<script>"] {
            assert!(!page.contains(markup), "{page}");
        }
        assert_eq!(hash("0123456789ab").into_string(), "<code>01234567<wbr>89ab<wbr></code>");
    }
}
