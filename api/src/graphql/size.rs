//! How large a query is with its fragments put in, told without putting them in: the library's own limits walk every
//! spread as often as it occurs, and a few lines of fragments can make that billions.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

/// Fields and spreads that a query may come to.
pub(super) const SELECTIONS_MAX: usize = 10_000;
/// Fragments within fragments; the library's own bound.
const DEPTH_MAX: usize = 32;

/// Whether all operations of this document together stay within [`SELECTIONS_MAX`]. One whose fragments go round in
/// circles does not.
pub(super) fn is_bounded(document: &ExecutableDocument) -> bool {
    let mut sizes = Sizes { document, known: HashMap::new() };
    let operations = document.operations.iter();
    let total = operations
        .fold(0_usize, |sum, (_, operation)| sum.saturating_add(sizes.of(&operation.node.selection_set, 0)));
    total <= SELECTIONS_MAX
}

struct Sizes<'d> {
    document: &'d ExecutableDocument,
    /// Of each fragment that has been counted.
    known: HashMap<&'d Name, usize>,
}

impl<'d> Sizes<'d> {
    fn of(&mut self, set: &'d Positioned<SelectionSet>, depth: usize) -> usize {
        set.node.items.iter().fold(0, |sum, selection| {
            let inner = match &selection.node {
                Selection::Field(field) => self.of(&field.node.selection_set, depth),
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set, depth),
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, depth + 1)
                }
            };
            sum.saturating_add(inner).saturating_add(1)
        })
    }

    fn fragment(&mut self, name: &'d Name, depth: usize) -> usize {
        if let Some(size) = self.known.get(name) {
            return *size;
        }
        if depth > DEPTH_MAX {
            return usize::MAX;
        }
        // One that is missing is the schema's to name.
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        let size = self.of(&fragment.node.selection_set, depth);
        self.known.insert(name, size);
        size
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::parser::parse_query;

    use super::*;

    fn bounded(query: &str) -> bool {
        is_bounded(&parse_query(query).unwrap())
    }

    /// `wide` spreads of the next fragment in each of `deep`.
    fn bomb(wide: usize, deep: usize) -> String {
        let spreads = |n: usize| format!("...F{n} ").repeat(wide);
        let mut query = format!("{{ {} }}", spreads(0));
        for n in 0..deep {
            write!(query, " fragment F{n} on Query {{ {} }}", spreads(n + 1)).unwrap();
        }
        query + &format!(" fragment F{deep} on Query {{ __typename }}")
    }

    #[test]
    fn what_people_ask_is_bounded() {
        assert!(bounded("{ a { b { c ...D } } ... on X { e } } fragment D on X { f g }"));
        assert!(bounded("query A { a } query B { ...Missing }"));
        assert!(bounded(&bomb(4, 5)));
    }

    #[test]
    fn fragments_that_multiply_are_not() {
        assert!(!bounded(&bomb(100, 5)));
        assert!(!bounded(&bomb(2, 30)), "2^31");
        assert!(!bounded(&format!("{{ {} }}", "a ".repeat(SELECTIONS_MAX + 1))));
        assert!(!bounded(&bomb(7, 5).replacen('{', "query A { a } query B {", 1)), "in the second one");
    }

    #[test]
    fn circles_are_not() {
        assert!(!bounded("{ ...A } fragment A on Query { a ...B } fragment B on Query { ...A }"));
        assert!(!bounded("{ ...A } fragment A on Query { ...A ...A }"));
    }
}
