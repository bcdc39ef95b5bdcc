//! How large a document is with its fragments put in, told without putting them in: the library's own limits walk every
//! spread as often as it occurs, and a few lines of fragments can make that billions.
//!
//! All fragments count, also those that no operation reaches: the library's rules walk them too, and call themselves on
//! the way. Nothing here does.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

/// Fields and spreads that a document may come to.
pub(super) const SELECTIONS_MAX: usize = 10_000;
/// Fragments in a document.
pub(super) const FRAGMENTS_MAX: usize = 200;
/// Fields and fragments within each other; the library's own bound for operations.
pub(super) const DEPTH_MAX: usize = 32;
/// What a field of an object takes in memory while the answer is made, apart from its name and value; more than in JSON.
const FIELD_BYTES: usize = 192;
/// The longest name of a type.
const TYPE_NAME_BYTES: usize = 64;

/// Why a document is not looked at any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SizeError {
    /// Above [`SELECTIONS_MAX`].
    #[error("the query comes to more than {SELECTIONS_MAX} fields and fragments")]
    TooLarge,
    /// Above [`FRAGMENTS_MAX`].
    #[error("the query has more than {FRAGMENTS_MAX} fragments")]
    TooManyFragments,
    /// Above [`DEPTH_MAX`].
    #[error("the query has more than {DEPTH_MAX} fields and fragments within each other")]
    TooDeep,
    /// A fragment holds itself.
    #[error("the query's fragments go round in circles")]
    Circle,
}

/// A document that is small enough.
#[derive(Debug)]
pub(super) struct Measured {
    /// Whether it asks for the schema anywhere.
    pub(super) introspects: bool,
    /// By fragment, what [`object_bytes`] says of it.
    widths: HashMap<Name, usize>,
}

/// Whether a document stays within all bounds.
pub(super) fn measure(document: &ExecutableDocument) -> Result<Measured, SizeError> {
    if document.fragments.len() > FRAGMENTS_MAX {
        return Err(SizeError::TooManyFragments);
    }
    let fragments = document.fragments.iter();
    let fragments: HashMap<&Name, Part<'_>> =
        fragments.map(|(name, fragment)| (name, Part::of(&fragment.node.selection_set))).collect();
    let operations: Vec<Part<'_>> =
        document.operations.iter().map(|(_, operation)| Part::of(&operation.node.selection_set)).collect();

    let mut sizes: HashMap<&Name, Size> = HashMap::new();
    for name in fragments.keys() {
        settle(name, &fragments, &mut sizes)?;
    }
    let totals = operations.iter().map(|part| part.size(&sizes));
    // A fragment that is spread counts where it is.
    let loose =
        fragments.keys().filter(|name| !operations.iter().chain(fragments.values()).any(|p| p.has(name)));
    let totals = totals.chain(loose.map(|name| sizes[*name]));
    let whole = totals.fold(Size::default(), |sum, size| Size {
        selections: sum.selections.saturating_add(size.selections),
        depth: sum.depth.max(size.depth),
        width: 0,
    });
    whole.check()?;
    Ok(Measured {
        introspects: operations.iter().chain(fragments.values()).any(|part| part.introspects),
        widths: sizes.into_iter().map(|(name, size)| (name.clone(), size.width)).collect(),
    })
}

impl Measured {
    /// Bytes that one object of this field adds to an answer at least, whatever is in it: charged before it is made.
    pub(super) fn object_bytes(&self, field: &Field) -> usize {
        let (mut bytes, mut stack) = (0_usize, vec![&field.selection_set]);
        while let Some(set) = stack.pop() {
            for selection in &set.node.items {
                bytes = bytes.saturating_add(match &selection.node {
                    Selection::Field(field) => field_bytes(&field.node),
                    Selection::InlineFragment(fragment) => {
                        stack.push(&fragment.node.selection_set);
                        0
                    }
                    Selection::FragmentSpread(spread) => {
                        self.widths.get(&spread.node.fragment_name.node).copied().unwrap_or(0)
                    }
                });
            }
        }
        bytes
    }
}

/// `__typename` is answered past everything that counts names and values, so both count here.
fn field_bytes(field: &Field) -> usize {
    let name = field.response_key().node.len() + TYPE_NAME_BYTES;
    if field.name.node == "__typename" { FIELD_BYTES + name } else { FIELD_BYTES }
}

/// One operation or fragment by itself.
struct Part<'d> {
    /// Fields and spreads, without what is in the spreads.
    selections: usize,
    depth: usize,
    width: usize,
    introspects: bool,
    spreads: Vec<Spread<'d>>,
}

struct Spread<'d> {
    name: &'d Name,
    depth: usize,
    /// In no field.
    outermost: bool,
}

/// One operation or fragment with all that it spreads.
#[derive(Clone, Copy, Default)]
struct Size {
    selections: usize,
    depth: usize,
    width: usize,
}

impl<'d> Part<'d> {
    fn of(set: &'d Positioned<SelectionSet>) -> Part<'d> {
        let mut part = Part { selections: 0, depth: 0, width: 0, introspects: false, spreads: vec![] };
        let mut stack = vec![(set, 1, true)];
        while let Some((set, depth, outermost)) = stack.pop() {
            part.depth = part.depth.max(depth);
            for selection in &set.node.items {
                part.selections += 1;
                match &selection.node {
                    Selection::Field(field) => {
                        if outermost {
                            part.width += field_bytes(&field.node);
                        }
                        part.introspects |= matches!(field.node.name.node.as_str(), "__schema" | "__type");
                        if !field.node.selection_set.node.items.is_empty() {
                            stack.push((&field.node.selection_set, depth + 1, false));
                        }
                    }
                    Selection::InlineFragment(fragment) => {
                        stack.push((&fragment.node.selection_set, depth + 1, outermost));
                    }
                    Selection::FragmentSpread(spread) => {
                        let name = &spread.node.fragment_name.node;
                        part.spreads.push(Spread { name, depth, outermost });
                    }
                }
            }
        }
        part
    }

    fn has(&self, fragment: &Name) -> bool {
        self.spreads.iter().any(|spread| spread.name == fragment)
    }

    /// With what it spreads, which has been settled. A fragment that is missing is the schema's to name.
    fn size(&self, sizes: &HashMap<&Name, Size>) -> Size {
        let mut whole = Size { selections: self.selections, depth: self.depth, width: self.width };
        for spread in &self.spreads {
            let Some(size) = sizes.get(spread.name) else { continue };
            whole.selections = whole.selections.saturating_add(size.selections);
            whole.depth = whole.depth.max(spread.depth + size.depth);
            if spread.outermost {
                whole.width = whole.width.saturating_add(size.width);
            }
        }
        whole
    }
}

impl Size {
    fn check(self) -> Result<(), SizeError> {
        match self {
            Size { selections, .. } if selections > SELECTIONS_MAX => Err(SizeError::TooLarge),
            Size { depth, .. } if depth > DEPTH_MAX => Err(SizeError::TooDeep),
            Size { .. } => Ok(()),
        }
    }
}

/// Adds the size of a fragment and of all that it reaches: what is spread before what spreads it.
fn settle<'d>(
    from: &'d Name,
    fragments: &HashMap<&'d Name, Part<'d>>,
    sizes: &mut HashMap<&'d Name, Size>,
) -> Result<(), SizeError> {
    // The way from `from` to here, and how many of each one's spreads have been followed.
    let mut way: Vec<(&Name, usize)> = vec![(from, 0)];
    while let Some((name, followed)) = way.last_mut() {
        let name = *name;
        let Some(part) = fragments.get(name).filter(|_| !sizes.contains_key(name)) else {
            way.pop();
            continue;
        };
        if let Some(spread) = part.spreads.get(*followed) {
            *followed += 1;
            if way.iter().any(|(above, _)| *above == spread.name) {
                return Err(SizeError::Circle);
            }
            way.push((spread.name, 0));
        } else {
            let size = part.size(sizes);
            size.check()?;
            sizes.insert(name, size);
            way.pop();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::parser::parse_query;

    use super::*;

    fn measured(query: &str) -> Result<(), SizeError> {
        measure(&parse_query(query).unwrap()).map(|_| ())
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
        let query = "{ a { b { c ...D } } ... on X { e } } fragment D on X { f g }";
        assert_eq!(measured(query), Ok(()));
        assert_eq!(measured("query A { a } query B { ...Missing }"), Ok(()));
        assert_eq!(measured(&bomb(4, 5)), Ok(()));
    }

    #[test]
    fn fragments_that_multiply_are_not() {
        assert_eq!(measured(&bomb(100, 5)), Err(SizeError::TooLarge));
        assert_eq!(measured(&bomb(2, 30)), Err(SizeError::TooLarge), "2^31");
        let fields = |fields: usize| measured(&format!("{{ {} }}", "a ".repeat(fields)));
        assert_eq!((fields(SELECTIONS_MAX), fields(SELECTIONS_MAX + 1)), (Ok(()), Err(SizeError::TooLarge)));
        let second = bomb(7, 5).replacen('{', "query A { a } query B {", 1);
        assert_eq!(measured(&second), Err(SizeError::TooLarge), "in the second one");
        let unused = bomb(7, 5).replacen('{', "{ a } fragment X on Query {", 1);
        assert_eq!(measured(&unused), Err(SizeError::TooLarge), "in no operation");
    }

    #[test]
    fn many_fragments_are_not_used_or_unused() {
        let unused = |count: usize| {
            let fragments = (0..count).map(|n| format!(" fragment F{n} on Query {{ a }}"));
            measured(&("{ a }".to_owned() + &fragments.collect::<String>()))
        };
        assert_eq!(unused(FRAGMENTS_MAX), Ok(()));
        assert_eq!(unused(FRAGMENTS_MAX + 1), Err(SizeError::TooManyFragments));
        // Each is small by itself.
        let together = |count: usize| {
            let fields = "a ".repeat(SELECTIONS_MAX / 100);
            let fragments = (0..count).map(|n| format!(" fragment F{n} on Query {{ {fields} }}"));
            measured(&("{ a }".to_owned() + &fragments.collect::<String>()))
        };
        assert_eq!((together(99), together(100)), (Ok(()), Err(SizeError::TooLarge)));
    }

    #[test]
    fn chains_are_bounded_used_or_unused() {
        let chain = |deep: usize, used: bool| {
            let query = bomb(1, deep - 2);
            measured(&if used { query } else { query.replacen('{', "{ a } fragment X on Query {", 1) })
        };
        for used in [true, false] {
            assert_eq!(chain(DEPTH_MAX, used), Ok(()), "{used}");
            assert_eq!(chain(DEPTH_MAX + 1, used), Err(SizeError::TooDeep), "{used}");
        }
        let inline = |deep: usize| format!("{{ {} a {} }}", "... {".repeat(deep - 1), "}".repeat(deep - 1));
        assert_eq!(measured(&inline(DEPTH_MAX)), Ok(()));
        assert_eq!(measured(&inline(DEPTH_MAX + 1)), Err(SizeError::TooDeep));
    }

    #[test]
    fn circles_are_not_used_or_unused() {
        for circle in [
            "{ ...A } fragment A on Query { a ...B } fragment B on Query { ...A }",
            "{ ...A } fragment A on Query { ...A ...A }",
            "{ a } fragment A on Query { b { ... { ...B } } } fragment B on Query { ...A }",
        ] {
            assert_eq!(measured(circle), Err(SizeError::Circle), "{circle}");
        }
    }

    #[test]
    fn introspection_is_seen_wherever_it_stands() {
        let introspects = |query: &str| measure(&parse_query(query).unwrap()).unwrap().introspects;
        for query in
            ["{ __schema { a } }", "{ a } fragment F on Query { ... { x: __type(name: \"A\") { b } } }"]
        {
            assert!(introspects(query), "{query}");
        }
        assert!(!introspects("{ __typename schema { type(name: \"__type\") } }"));
    }

    #[test]
    fn an_object_is_charged_for_every_field_of_its_own() {
        let document =
            parse_query("{ o { a ...F ... { b { z z } } } } fragment F on O { c { z } __typename }").unwrap();
        let measured = measure(&document).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let Selection::Field(field) = &operation.node.selection_set.node.items[0].node else { panic!() };
        let name = "__typename".len() + TYPE_NAME_BYTES;
        assert_eq!(measured.object_bytes(&field.node), 4 * FIELD_BYTES + name);
    }
}
