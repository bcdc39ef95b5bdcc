//! Who is who, where two people are asked for.

use unicode_normalization::UnicodeNormalization as _;

/// Whether two names are one person's: they differ at most in case or in how a letter is written.
pub fn same_person(one: &str, other: &str) -> bool {
    one == other || folded(one).eq(folded(other))
}

/// The name that people know somebody by: events say of operators that they are.
pub fn told(by: &str) -> &str {
    by.strip_prefix("operator:").unwrap_or(by)
}

/// Upper case first: some letters have no lower case of their own before.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_case_are_one_person() {
        for (one, other) in [
            ("alice", "Alice"),
            ("operator:alice", "operator:ALICE"),
            ("Strauß", "STRAUSS"),
            ("Ünal", "u\u{308}nal"),
            ("ａlice", "alice"),
            ("ΣΑΣ", "σας"),
        ] {
            assert!(same_person(one, other), "{one} {other}");
        }
        for (one, other) in [("alice", "alicia"), ("alice", "alise"), ("operator:bob", "bob")] {
            assert!(!same_person(one, other), "{one} {other}");
        }
    }
}
