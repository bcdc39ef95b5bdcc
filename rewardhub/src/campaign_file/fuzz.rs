//! Campaign files with mistakes of every kind, and made to do harm. Each is read or refused in one
//! line that says where; nothing panics, overflows its stack, or takes long. `PROPTEST_CASES` says
//! how many are tried.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const EXAMPLE: &str = include_str!("../../../campaign.example.yaml");
/// Far more than any of them needs, also in a debug build on a busy machine.
const QUICK: Duration = Duration::from_secs(5);

fn read(text: &str) {
    let started = Instant::now();
    if let Err(error) = parse_terms("fuzz.yaml", text) {
        assert!(error.is::<Refused>(), "{error:#}");
        let said = error.to_string();
        assert!(said.starts_with("fuzz.yaml") && !said.contains('\n') && said.len() < 2_000, "{said:.300}");
    }
    assert!(started.elapsed() < QUICK, "{:?}: {text:.100}", started.elapsed());
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100)
}

fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "&a ", "*a ", "!!int ", "!x ", "<<: ", "- ", "? ", ": ", "{", "}", "[", "]", "|\n", ">-\n", "---\n", "...\n", "%YAML 1.2\n",
            "#", "\t", "\n", "\n  ", "\n      ", "\"", "'", "\\", "\u{feff}", "\u{85}", "~", ".inf", "0x", "1e400",
        ])
        .prop_map(String::from),
        1 => "\\PC{0,12}",
        1 => "-?[0-9]{1,40}(\\.[0-9]{1,5})?(e[0-9]{1,4})?",
        1 => (select(vec!["(", "!", "-", "a ? b : ", "[", "\"", "a in ", "a+", "a.b(", "{"]), 1_usize..300)
            .prop_map(|(text, times)| text.repeat(times)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_example_with_mistakes_is_read_or_refused(
        changes in prop::collection::vec((any::<Index>(), 0_usize..6, pieces()), 1..6),
        as_json in any::<bool>(),
    ) {
        let terms = parse_terms("", EXAMPLE).unwrap();
        let text = if as_json { serde_json::to_string_pretty(&terms).unwrap() } else { EXAMPLE.to_owned() };
        let mut text: Vec<char> = text.chars().collect();
        for (at, cut, piece) in changes {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, piece.chars());
        }
        read(&text.into_iter().collect::<String>());
    }

    #[test]
    fn a_rule_of_any_expression_is_read_or_refused(source in prop_oneof![
        prop::collection::vec(pieces(), 0..40).prop_map(|pieces| pieces.concat()),
        "[a-z_()!&|<>=+*/%?:.,\"' 0-9-]{0,1000}",
    ]) {
        let cel = serde_json::to_string(&source).unwrap();
        read(&EXAMPLE.replacen("wins_per_day: 3 ", &format!("cel: {cel} "), 1));
    }

    #[test]
    fn any_text_is_read_or_refused(pieces in prop::collection::vec(pieces(), 0..120)) {
        read(&pieces.concat());
    }
}

#[test]
fn what_nests_or_multiplies_is_refused_quickly() {
    for levels in [100, 1_000, 10_000, 100_000, 500_000] {
        for open in ["[", "{a: ", "- ", "? ", "a:\n", "[{", "!!x [", "&a [", "\"\\x"] {
            read(&open.repeat(levels));
            read(&format!("campaign_id: a\nrules: {}", open.repeat(levels)));
            read(&format!("campaign_id: {}{}", "[".repeat(levels), "]".repeat(levels)));
        }
        let indented = (0..levels.min(2_000)).map(|level| format!("{}a:\n", " ".repeat(level)));
        read(&indented.collect::<String>());
    }
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let each = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.extend([format!("a{level}: &a{level} [{each}]\n")]);
    }
    read(&laughs);
    read("a: &a [*a, *a]\n");
    read(&("x: &x 1\n".to_owned() + &"- *x\n".repeat(100_000)));
    for open in ["(", "!", "-", "[", "a ? b : ", "a || ", "a.b(", "'"] {
        let cel = serde_json::to_string(&open.repeat(1_000 / open.len())).unwrap();
        read(&EXAMPLE.replacen("wins_per_day: 3 ", &format!("cel: {cel} "), 1));
    }
}
