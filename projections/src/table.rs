//! Rows of a table as a page of events touches them: read by key, changed in memory, written once.

use std::collections::HashMap;
use std::hash::Hash;

use compact_str::CompactString;

use crate::connection::{Connection, Row, Value};
use crate::error::ProjectionError;

/// A table that one projection fills.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// All of them, with their PostgreSQL types.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// So many of the first columns are the primary key.
    pub(crate) key_columns: usize,
    /// What folds find a row by. The same for a row's whole life.
    pub(crate) by: &'static [(&'static str, &'static str)],
}

impl Table {
    pub(crate) fn key(&self) -> &'static [(&'static str, &'static str)] {
        &self.columns[..self.key_columns]
    }

    /// What an upsert does to a row that is there: all columns but those that never change are set.
    pub(crate) fn on_conflict(&self) -> String {
        let set =
            self.columns.iter().filter(|column| !self.key().contains(column) && !self.by.contains(column));
        let set: Vec<String> = set.map(|(name, _)| format!("{name} = excluded.{name}")).collect();
        format!("ON CONFLICT ({}) DO UPDATE SET {}", names(self.key()), set.join(", "))
    }
}

/// `a, b, …`
pub(crate) fn names(columns: &[(&str, &str)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// A row as its table has it.
pub(crate) trait TableRow: Clone + PartialEq {
    const TABLE: Table;
    /// The values of [`Table::by`].
    type By: Clone + Eq + Hash;
    fn by(&self) -> Self::By;
    fn by_values(by: &Self::By) -> Vec<Value<'_>>;
    fn read(row: &Row) -> Result<Self, ProjectionError>;
    fn values(&self) -> Vec<Value<'_>>;
}

/// The rows of a table that a page touches.
pub(crate) struct Rows<R: TableRow> {
    /// In the order in which the page names them.
    slots: Vec<Slot<R>>,
    found: HashMap<R::By, usize>,
}

struct Slot<R> {
    before: Option<R>,
    now: Option<R>,
}

impl<R: TableRow> Default for Rows<R> {
    fn default() -> Self {
        Rows { slots: vec![], found: HashMap::new() }
    }
}

impl<R: TableRow> Rows<R> {
    /// Reads the rows found by these, of which some may not be there.
    pub(crate) fn load(
        conn: &Connection,
        wanted: impl IntoIterator<Item = R::By>,
    ) -> Result<Rows<R>, ProjectionError> {
        let mut rows = Rows::default();
        for by in wanted {
            rows.index(by);
        }
        let wanted: Vec<Vec<Value<'_>>> = rows.found.keys().map(R::by_values).collect();
        for row in conn.find(&R::TABLE, &wanted)? {
            let row = R::read(&row)?;
            let slot = rows.found.get(&row.by()).map(|index| &mut rows.slots[*index]);
            let slot = slot.ok_or(ProjectionError::Damaged { column: R::TABLE.by[0].0 })?;
            *slot = Slot { before: Some(row.clone()), now: Some(row) };
        }
        Ok(rows)
    }

    fn index(&mut self, by: R::By) -> usize {
        let new = self.slots.len();
        let index = *self.found.entry(by).or_insert(new);
        if index == new {
            self.slots.push(Slot { before: None, now: None });
        }
        index
    }

    /// The row, or the place for one, that this page has read.
    pub(crate) fn slot(&mut self, by: R::By) -> &mut Option<R> {
        debug_assert!(self.found.contains_key(&by), "{}: changed, but not read", R::TABLE.name);
        let index = self.index(by);
        &mut self.slots[index].now
    }

    /// Whether the row is there.
    pub(crate) fn has(&self, by: &R::By) -> bool {
        self.found.get(by).is_some_and(|index| self.slots[*index].now.is_some())
    }

    /// A row that takes the place of any other found by the same, which needs no reading.
    pub(crate) fn put(&mut self, row: R) {
        let index = self.index(row.by());
        self.slots[index].now = Some(row);
    }

    /// Changes all rows read, as a statement that [`write`](Rows::write) follows does in the table.
    pub(crate) fn change_all(&mut self, change: impl Fn(&mut R)) {
        for slot in &mut self.slots {
            slot.before.iter_mut().chain(&mut slot.now).for_each(&change);
        }
    }

    /// Writes what has changed.
    pub(crate) fn write(self, conn: &Connection) -> Result<(), ProjectionError> {
        let key = |row: &R| -> Vec<Value<'static>> {
            let values = row.values().into_iter().take(R::TABLE.key_columns);
            values.map(Value::into_owned).collect()
        };
        let (mut gone, mut changed) = (vec![], vec![]);
        for Slot { before, now } in &self.slots {
            if before == now {
                continue;
            }
            // A row that another one took the name of has another place.
            let left = before.as_ref().map(key).filter(|left| now.as_ref().map(key).as_ref() != Some(left));
            gone.extend(left);
            changed.extend(now.as_ref().map(R::values));
        }
        conn.delete(&R::TABLE, &gone)?;
        conn.upsert(&R::TABLE, &changed)
    }
}

/// Text as the tables have it: PostgreSQL has no NUL, and both databases are to hold the same.
pub(crate) fn text(text: &str) -> CompactString {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

/// A row's columns in the table's order, the key first, and what folds find it by.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident in $table:literal, key $key:literal, by ($($by:ident: $by_type:ty),+) {
        $($column:ident: $type:ty,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name {
            $(pub(crate) $column: $type,)+
        }

        impl $crate::table::TableRow for $name {
            const TABLE: $crate::table::Table = $crate::table::Table {
                name: $table,
                columns: &[$((stringify!($column), <$type as $crate::row::Column>::TYPE)),+],
                key_columns: $key,
                by: &[$((stringify!($by), <$by_type as $crate::row::Column>::TYPE)),+],
            };
            type By = ($($by_type,)+);

            fn by(&self) -> Self::By {
                ($(self.$by.clone(),)+)
            }

            fn by_values(by: &Self::By) -> Vec<$crate::connection::Value<'_>> {
                let ($($by,)+) = by;
                vec![$($crate::row::Column::write($by)),+]
            }

            fn read(row: &$crate::connection::Row) -> Result<Self, $crate::error::ProjectionError> {
                Ok($name { $($column: row.get(stringify!($column))?,)+ })
            }

            fn values(&self) -> Vec<$crate::connection::Value<'_>> {
                vec![$($crate::row::Column::write(&self.$column)),+]
            }
        }
    };
}
pub(crate) use table;
