//! Campaign files: YAML, of which JSON is a part. Every error says where in the file it is:
//! `file:line:column:`, then the field where it has one.

mod words;

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use ledger_core::campaign::terms::{Terms, TermsError};
use ledger_core::text::without_values;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use crate::commands::Refused;
pub(crate) use words::in_our_words;

/// As many as a service takes.
const BYTES_MAX: u64 = 1 << 20;

/// Terms from a file.
pub(crate) fn read_terms(file: &Path) -> anyhow::Result<Terms> {
    let (name, text) = read(file)?;
    parse_terms(&name, &text)
}

/// The same of what may be a revision: what has been funded by now, only the ledger knows.
pub(crate) fn read_revision(file: &Path) -> anyhow::Result<Terms> {
    let (name, text) = read(file)?;
    parse(&name, &text, |_| Ok(()))
}

fn read(file: &Path) -> anyhow::Result<(String, String)> {
    let name = file.display().to_string();
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read {name}"))?;
    let mut bytes = vec![];
    opened.take(BYTES_MAX + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Refused(format!("{name}: must be at most {BYTES_MAX} bytes")).into());
    }
    let text = String::from_utf8(bytes).map_err(|_| Refused(format!("{name}: must be text in UTF-8")))?;
    Ok((name, text))
}

/// Terms from a text that errors call `name`. Mistakes in it are [`Refused`].
pub fn parse_terms(name: &str, text: &str) -> anyhow::Result<Terms> {
    parse(name, text, Terms::check_new)
}

fn parse(
    name: &str,
    text: &str,
    besides: impl Fn(&Terms) -> Result<(), TermsError>,
) -> anyhow::Result<Terms> {
    let terms: Terms = serde_saphyr::from_str_with_options(text, flat()).map_err(|error| {
        let place = error.location().map(Place::of);
        // The first line says what; what follows would repeat the place and draw the file.
        let said = without_values(&error.without_snippet());
        let said = said.split(" at line ").next().unwrap_or(&said).lines().next().unwrap_or_default();
        // A field that there is not has a name of the author's own: it is not looked for.
        let place_of_known = place.filter(|_| !said.starts_with("unknown field"));
        let field = place_of_known.and_then(|place| field_at(text, place)).unwrap_or_default();
        let said = in_our_words(said, &field);
        let known = field.is_empty() || said.contains(&field);
        let field = if known { String::new() } else { format!("{field}: ") };
        Refused(format!("{}: {field}{said}", at(name, place)))
    })?;
    terms.validate().and_then(|()| besides(&terms)).map_err(|error| {
        let TermsError { field, message } = &error;
        Refused(format!("{}: {field}: {message}", at(name, place_of(text, field))))
    })?;
    // A file has today's reading, whatever an older ledger showed it with.
    Ok(terms.read_anew())
}

/// Reading calls itself for each level, several times in [`Node`]: the library's own 64 overflow a
/// thread's stack in a debug build. Terms have seven.
pub(crate) fn flat() -> serde_saphyr::Options {
    serde_saphyr::options! { budget: serde_saphyr::budget! { max_depth: 16 } }
}

fn at(name: &str, place: Option<Place>) -> String {
    place.map_or(name.to_owned(), |Place { line, column }| format!("{name}:{line}:{column}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: u64,
    column: u64,
}

impl Place {
    fn of(location: Location) -> Place {
        Place { line: location.line(), column: location.column() }
    }
}

/// Where a field such as `rules[1].mcc_allowed[0]` stands, or the nearest of what holds it.
fn place_of(text: &str, field: &str) -> Option<Place> {
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, flat()).ok()?;
    let mut place = Place::of(root.referenced);
    let mut node = &root.value;
    for step in field.split(['.', '[']).filter(|step| !step.is_empty()) {
        let next = match node {
            Node::Map(fields) => fields.iter().find(|(key, _)| key == step).map(|(_, value)| value),
            Node::List(values) => {
                step.trim_end_matches(']').parse().ok().and_then(|index: usize| values.get(index))
            }
            Node::Scalar => None,
        };
        let Some(next) = next else { break };
        (place, node) = (Place::of(next.referenced), &next.value);
    }
    Some(place)
}

/// The field such as `rules[1].cel` whose value stands at a place.
fn field_at(text: &str, place: Place) -> Option<String> {
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, flat()).ok()?;
    root.value.field_at(place)
}

impl Node {
    fn field_at(&self, place: Place) -> Option<String> {
        let of = |name: String, next: &Spanned<Node>| {
            // The innermost: a list stands where its first element does.
            match next.value.field_at(place) {
                Some(below) if below.starts_with('[') => Some(name + &below),
                Some(below) => Some(format!("{name}.{below}")),
                None => (Place::of(next.referenced) == place).then_some(name),
            }
        };
        match self {
            Node::Map(fields) => fields.iter().find_map(|(key, value)| of(key.clone(), value)),
            Node::List(values) => {
                values.iter().enumerate().find_map(|(index, value)| of(format!("[{index}]"), value))
            }
            Node::Scalar => None,
        }
    }
}

/// What a file holds, with the place of each value.
enum Node {
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Scalar,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Node::Map(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Node::List(values))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Node::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod schema;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ledger_core::campaign::rules::Condition;

    use super::*;

    const EXAMPLE: &str = include_str!("../../campaign.example.yaml");

    fn refused(text: &str) -> String {
        parse_terms("autumn.yaml", text).unwrap_err().to_string()
    }

    /// The example with a change, and the line of the changed text.
    fn changed(from: &str, to: &str) -> (String, usize) {
        assert!(EXAMPLE.contains(from), "the example has no {from}");
        let text = EXAMPLE.replacen(from, to, 1);
        let line = text[..text.find(to).unwrap()].matches('\n').count() + 1;
        (text, line)
    }

    #[test]
    fn the_example_is_good_yaml_and_good_json() {
        let terms = parse_terms("campaign.example.yaml", EXAMPLE).unwrap();
        let json = serde_json::to_string_pretty(&terms).unwrap();
        assert_eq!(parse_terms("campaign.json", &json).unwrap(), terms);
    }

    /// The rules that the example only shows are good rules too, and with the others they are all
    /// there are.
    #[test]
    fn the_example_shows_every_kind_of_rule() {
        let shown = |line: &str| {
            line.starts_with("  # - ") || line.starts_with("  #   ") && !line.starts_with("  #     ")
        };
        let lines = EXAMPLE
            .lines()
            .map(|line| if shown(line) { line.replacen("# ", "", 1) } else { line.to_owned() });
        let terms = parse_terms("example", &lines.collect::<Vec<_>>().join("\n")).unwrap();
        let kinds: BTreeSet<_> = terms.rules.named().iter().map(|rule| rule.condition.kind()).collect();
        assert_eq!(kinds, Condition::KINDS.into());
    }

    #[test]
    fn an_unreadable_value_is_placed_by_line_and_column() {
        for (from, to, expected) in [
            ("time_zone: Europe/London", "time_zone: Europe/Londn", "time_zone: must be a zone"),
            ("grace_days: 31", "grace_dayz: 31", "unknown field, expected one of"),
            (
                "fixed: 500 }",
                "fixed: 200.00 }",
                "tiers[1].prize.fixed: expected a whole number; money is in minor units",
            ),
            (
                "odds_ppb: 5000000 ",
                "odds_ppb: 2% ",
                "tiers[1].odds_ppb: expected a whole number, not below zero; odds",
            ),
            ("odds_ppb: 5000000 ", "odds: 1 in 3 ", "tiers[1].odds: expected odds such as 1 in 500"),
            ("grace_days: 31", "grace_days: -3", "grace_days: expected a whole number, not below zero"),
            ("\"7995\"", "\"79x5\"", "four digits"),
            ("\"7995\"", "\"79x5\"", ": rules[0].mcc_denied[5]: expected"),
            ("wins_per_day: 3", "wins_per_fortnight: 3", "a rule has code, customer, staff"),
        ] {
            let (text, line) = changed(from, to);
            let said = refused(&text);
            assert!(said.starts_with(&format!("autumn.yaml:{line}:")), "{said}, not in line {line}");
            assert!(said.contains(expected) && !said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn what_is_given_twice_or_not_at_all_is_said_in_our_words() {
        let twice = refused(&changed("grace_days: 31", "grace_days: 31\ngrace_days: 30").0);
        assert!(twice.ends_with("this setting is given twice"), "{twice}");
        assert!(refused("").contains("the file is empty"), "{}", refused(""));
        for (from, to, expected) in [
            ("name: Everyday Surprise", "name: ", "name: must not be empty"),
            ("name: Everyday Surprise", "name: [a]", "name: expected one value, no list"),
            ("name: Everyday Surprise", "name: x: y", "a value with `: ` in it needs quotes"),
            ("name: Everyday Surprise", "\tname: x", "begins with a tab, or is indented otherwise"),
            ("name: Everyday Surprise", "name: *x", "begins with * needs quotes"),
            ("name: Everyday Surprise", "name: \"a", "text after a closing quote"),
            ("# stackable: false", "stackable: maybe", "stackable: expected true or false"),
            (
                "eligible_from: campaign_start",
                "eligible_from: now",
                "eligible_from: expected one of enrolment,",
            ),
            (
                "budget: { minor: 100000000, currency: GBP }",
                "budget: 5000",
                "budget: expected settings, each as",
            ),
        ] {
            let said = refused(&changed(from, to).0);
            assert!(said.contains(expected) && !said.contains("parts per 10^9"), "{to}: {said}");
        }
        let said = refused(&changed("# precedence: 0", "precedence: first").0);
        assert!(said.ends_with("precedence: expected a whole number"), "{said}");
    }

    #[test]
    fn an_error_never_repeats_what_the_file_says() {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let mut refusals = 0;
        for (at, line) in lines.iter().enumerate() {
            let Some((key, _)) = line.split_once(": ").filter(|_| !line.trim_start().starts_with('#')) else {
                continue;
            };
            let indent = &line[..line.len() - line.trim_start().len()];
            for changed in [
                format!("{key}: s3cr3t"),
                format!("{key}: \"s3cr3t, expected nothing\""),
                format!("{key}: [s3cr3t]"),
                format!("{key}: {{ s3cr3t: 1 }}"),
                format!("{key}: 4111111111111111.5"),
                format!("{key}: 99999999999999999999"),
                format!("{indent}s3cr3t: 4111111111111111\n{line}"),
            ] {
                let mut lines = lines.clone();
                lines[at] = &changed;
                let Err(error) = parse_terms("f.yaml", &lines.join("\n")) else { continue };
                let said = error.to_string();
                let repeats = ["s3cr3t", "4111", "9999"].iter().any(|sent| said.contains(sent));
                assert!(!repeats && said.starts_with("f.yaml:"), "{changed}: {said}");
                refusals += 1;
            }
        }
        assert!(refusals > 80, "{refusals}");
    }

    #[test]
    fn a_value_that_makes_no_sense_is_placed_too() {
        for (from, to, expected) in [
            ("wins_per_day: 3", "wins_per_day: 0", "rules[2].wins_per_day: must be at least 1"),
            ("odds_ppb: 20000 ", "odds_ppb: 0 ", "prize_table.tiers[0].odds_ppb: must be 1 to 1000000000"),
            ("grace_days: 31", "grace_days: 61", "grace_days: must be at most 60"),
        ] {
            let (text, line) = changed(from, to);
            let said = refused(&text);
            assert!(said.starts_with(&format!("autumn.yaml:{line}:")), "{said}, not in line {line}");
            assert!(said.contains(expected), "{said}");
        }
        let json = serde_json::to_string_pretty(&parse_terms("", EXAMPLE).unwrap()).unwrap();
        let json = json.replace("\"grace_days\": 31", "\"grace_days\": 99");
        let line = json[..json.find("\"grace_days\"").unwrap()].matches('\n').count() + 1;
        assert!(refused(&json).starts_with(&format!("autumn.yaml:{line}:")), "{}", refused(&json));
    }

    #[test]
    fn a_field_that_is_not_there_is_placed_at_what_should_hold_it() {
        let list = "a: 1\nb:\n  - c: 2\n  - d: [5, 6]\n";
        let place = |field| place_of(list, field).map(|Place { line, column }| (line, column));
        assert_eq!(place("b[1].d[1]"), Some((4, 12)));
        assert_eq!(place("b[1].e"), Some((4, 5)));
        assert_eq!(place("b[7]"), Some((3, 3)));
        assert_eq!(place("z"), Some((1, 1)));
    }
}
