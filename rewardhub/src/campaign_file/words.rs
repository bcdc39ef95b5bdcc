//! What the YAML library says to programmers, said to people.

/// `field` is the one that it is about, where it has one.
pub(crate) fn in_our_words(said: &str, field: &str) -> String {
    let last = field.rsplit('.').next().unwrap_or_default();
    let number = if last == "odds_ppb" {
        "; odds are parts per 10^9, or `odds: 1 in 500`"
    } else if last == "fixed" || last.ends_with("minor") {
        "; money is in minor units: GBP 200.00 is 20000"
    } else {
        ""
    };
    let starts = |words: &str| said.starts_with(words);
    match said {
        "invalid i64" | "invalid i32" => format!("expected a whole number{number}"),
        "invalid u64" | "invalid u32" | "invalid u16" | "invalid u8" => {
            format!("expected a whole number, not below zero{number}")
        }
        "invalid boolean" => "expected true or false".into(),
        "expected string scalar" => "expected one value, no list and no group of settings".into(),
        "expected mapping start" => "expected settings, each as `name: value`".into(),
        "expected sequence start" => "expected a list".into(),
        "unexpected end of input" => "the file is empty, or ends too early".into(),
        "mapping values are not allowed in this context" => "a value with `: ` in it needs quotes".into(),
        "alias references unknown anchor" => "a value that begins with * needs quotes".into(),
        _ if starts("cannot deserialize null") => "must not be empty".into(),
        _ if starts("comment intercepting") || said.split(' ').any(|word| matches!(word, "tab" | "tabs")) => {
            "the next line begins with a tab, or is indented otherwise than its neighbours".into()
        }
        _ if starts("invalid trailing content") => {
            "text after a closing quote: one above may not be closed".into()
        }
        _ if starts("unexpected character") => "a character that has no place in a text".into(),
        _ if said.contains("DuplicateKeyPolicy") || said.contains("duplicate mapping key") => {
            "this setting is given twice".into()
        }
        said => said.strip_prefix("unknown variant, ").unwrap_or(said).into(),
    }
}
