//! Texts that are GraphQL, nearly, and not at all.

use proptest::prelude::*;
use proptest::sample::select;

const NAMES: [&str; 44] = [
    "query",
    "mutation",
    "subscription",
    "fragment",
    "on",
    "true",
    "false",
    "null",
    "rewardAccount",
    "campaign",
    "campaigns",
    "eventHistory",
    "drawProof",
    "trialBalance",
    "node",
    "nodes",
    "edges",
    "pageInfo",
    "id",
    "first",
    "after",
    "accountId",
    "campaignId",
    "minPosition",
    "source",
    "transactionId",
    "epochs",
    "rewards",
    "transactions",
    "decision",
    "draws",
    "__schema",
    "__type",
    "__typename",
    "types",
    "fields",
    "possibleTypes",
    "interfaces",
    "name",
    "args",
    "Query",
    "Node",
    "RewardAccount",
    "A",
];

pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => select(&NAMES[..]).prop_map(String::from), 1 => "[A-Za-z_][A-Za-z_0-9]{0,140}"]
}

/// Strings with what strings may hold and what they may not; numbers of every size; variables.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        "\"([ -!#-\\[\\]-~\u{e9}\u{1f600}\u{202e}]|\\\\[\"\\\\/bfnrtuUx0]|\\\\u[0-9a-fA-F]{4}|\\\\u\\{[0-9]{1,6}\\}){0,12}\"?",
        "\"\"\"([ -~\n\r\u{e9}]|\\\\\"\"\"|\"\"?){0,20}(\"\"\")?",
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?",
        select(vec!["$a", "$b", "true", "null", "NaN", "1e400", "-0", "00", "WON", "\u{feff}"])
            .prop_map(String::from),
    ]
}

fn value() -> impl Strategy<Value = String> {
    literal().prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|values| format!("[{}]", values.join(" "))),
            prop::collection::vec((name(), inner), 0..5).prop_map(|fields| {
                let fields = fields.iter().map(|(name, value)| format!("{name}:{value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

fn arguments() -> impl Strategy<Value = String> {
    prop::collection::vec((name(), value()), 0..3).prop_map(|arguments| {
        let arguments = arguments.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>();
        if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(" ")) }
    })
}

fn directives() -> impl Strategy<Value = String> {
    let directive = (
        select(vec!["skip", "include", "deprecated", "x"]),
        prop_oneof![Just("true"), Just("$a"), Just("[[1]]")],
    );
    prop::option::weighted(0.1, directive)
        .prop_map(|it| it.map_or(String::new(), |(name, value)| format!("@{name}(if:{value})")))
}

fn selections() -> impl Strategy<Value = String> {
    let leaf = (prop::option::of(name()), name(), arguments(), directives()).prop_map(
        |(alias, name, args, with)| {
            let alias = alias.map_or(String::new(), |alias| format!("{alias}:"));
            format!("{alias}{name}{args}{with} ")
        },
    );
    let spread = name().prop_map(|name| format!("...{name} "));
    prop_oneof![5 => leaf, 1 => spread].prop_recursive(8, 60, 6, |inner| {
        let many = || prop::collection::vec(inner.clone(), 1..6).prop_map(|inner| inner.concat());
        prop_oneof![
            (name(), arguments(), many()).prop_map(|(name, args, inner)| format!("{name}{args}{{{inner}}}")),
            (name(), many()).prop_map(|(on, inner)| format!("...on {on}{{{inner}}}")),
            many().prop_map(|inner| format!("...{{{inner}}}")),
            (many(), 1_usize..8).prop_map(|(inner, times)| inner.repeat(times)),
            (many(), 1_usize..90).prop_map(|(inner, deep)| format!(
                "{}{inner}{}",
                "node{".repeat(deep),
                "}".repeat(deep)
            )),
        ]
    })
}

fn documents() -> impl Strategy<Value = String> {
    let variables = prop::option::of((name(), value(), 0_usize..80)).prop_map(|it| {
        it.map_or(String::new(), |(ty, value, deep)| {
            format!("($a:{}{ty}{}!={value} $b:ID)", "[".repeat(deep), "]".repeat(deep))
        })
    });
    let operation =
        (select(vec!["", "query ", "query A", "mutation A", "subscription A"]), variables, selections())
            .prop_map(|(kind, variables, inner)| {
                if kind.is_empty() { format!("{{{inner}}}") } else { format!("{kind}{variables}{{{inner}}}") }
            });
    let fragment = (name(), name(), selections())
        .prop_map(|(name, on, inner)| format!("fragment {name} on {on}{{{inner}}}"));
    (prop::collection::vec(operation, 1..3), prop::collection::vec(fragment, 0..6))
        .prop_map(|(operations, fragments)| operations.join(" ") + &fragments.join(" "))
}

/// Without any grammar, or with one in which something has been cut out, doubled or turned round.
pub(super) fn texts() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        6 => select(vec!["{", "}", "[", "]", "(", ")", "...", ":", "$", "!", "@", "=", "|", "&", "#", "\n", ",", "\"", "\"\"\"", "\\"])
            .prop_map(String::from),
        4 => name(),
        2 => literal(),
        1 => "\\PC{1,4}",
    ];
    let soup = prop::collection::vec((token, 1_usize..4), 0..200)
        .prop_map(|tokens| tokens.into_iter().map(|(token, times)| token.repeat(times)).collect::<String>());
    let mutated = (documents(), any::<[prop::sample::Index; 2]>(), 0..4_u8).prop_map(|(text, at, how)| {
        let chars: Vec<char> = text.chars().collect();
        let (a, b) = (at[0].index(chars.len()), at[1].index(chars.len()));
        let (a, b) = (a.min(b), a.max(b));
        let piece = match how {
            0 => String::new(),
            1 => chars[a..b].iter().collect::<String>().repeat(2),
            2 => chars[a..b].iter().rev().collect(),
            _ => chars[a..=a].iter().collect::<String>().repeat(b - a),
        };
        chars[..a].iter().collect::<String>() + &piece + &chars[b..].iter().collect::<String>()
    });
    prop_oneof![2 => documents(), 1 => soup, 2 => mutated]
}
