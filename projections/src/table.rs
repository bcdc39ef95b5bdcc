//! Rows of a table as a page of events touches them: read by name, changed in memory, written once.

use std::collections::HashMap;
use std::hash::Hash;

use crate::connection::{Connection, ForEach, Row, Value};
use crate::error::ProjectionError;

/// A table that one projection fills, with its statements.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The key first, as in the schema.
    pub(crate) columns: Vec<&'static str>,
    pub(crate) key_columns: usize,
    /// `SELECT … FROM …`: the rest says which rows.
    select: String,
    find: ForEach,
    pub(crate) upsert: ForEach,
    delete: ForEach,
}

impl Table {
    /// Columns with their PostgreSQL types. `by` are those that name a row, and for its whole life
    /// the same; the key, unless that is where the row stands in the log.
    pub(crate) fn new(
        name: &'static str,
        key_columns: usize,
        columns: &[(&'static str, &'static str)],
        by: &[(&'static str, &'static str)],
    ) -> Table {
        let list = |prefix: &str, columns: &[(&str, &str)]| {
            columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect::<Vec<_>>().join(", ")
        };
        let values = |n: usize| (1..=n).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let arrays = |columns: &[(&str, &str)]| {
            let arrays = (1..).zip(columns).map(|(n, (_, ty))| format!("${n}::{ty}[]"));
            format!("unnest({})", arrays.collect::<Vec<_>>().join(", "))
        };
        let (all, named, one) = (list("", columns), list("", by), values(by.len()));
        let select = format!("SELECT {all} FROM {name}");
        let lasting = |column| columns[..key_columns].contains(column) || by.contains(column);
        let set = columns.iter().filter(|column| !lasting(column));
        let set = set.map(|(name, _)| format!("{name} = excluded.{name}")).collect::<Vec<_>>().join(", ");
        let (insert, otherwise) =
            (format!("INSERT INTO {name} ({all})"), format!("ON CONFLICT ({named}) DO UPDATE SET {set}"));
        Table {
            name,
            columns: columns.iter().map(|(name, _)| *name).collect(),
            key_columns,
            find: ForEach {
                sqlite: format!("{select} WHERE ({named}) = ({one})"),
                // The limit keeps the planner from anything but a look-up for each name.
                postgres: format!(
                    "SELECT found.* FROM {} AS wanted ({named}),
                         LATERAL ({select} WHERE ({}) = ({}) LIMIT 1) AS found",
                    arrays(by),
                    list(&format!("{name}."), by),
                    list("wanted.", by)
                ),
            },
            upsert: ForEach {
                sqlite: format!("{insert} VALUES ({}) {otherwise}", values(columns.len())),
                postgres: format!("{insert} SELECT * FROM {} {otherwise}", arrays(columns)),
            },
            delete: ForEach {
                sqlite: format!("DELETE FROM {name} WHERE ({named}) = ({one})"),
                postgres: format!("DELETE FROM {name} WHERE ({named}) IN (SELECT * FROM {})", arrays(by)),
            },
            select,
        }
    }
}

/// A row as its table has it. Made by [`table!`].
pub(crate) trait TableRow: Clone + PartialEq {
    /// What names a row.
    type By: Eq + Hash;
    fn table() -> &'static Table;
    fn by(&self) -> Self::By;
    fn by_values(by: &Self::By) -> Vec<Value<'_>>;
    fn read(row: &Row) -> Result<Self, ProjectionError>;
    fn values(&self) -> Vec<Value<'_>>;

    /// The rows that the rest of a statement says.
    fn select(conn: &Connection, rest: &str, values: &[Value<'_>]) -> Result<Vec<Self>, ProjectionError> {
        conn.rows(&format!("{} {rest}", Self::table().select), values)?.iter().map(Self::read).collect()
    }

    /// The row of a condition that at most one meets.
    fn find(conn: &Connection, rest: &str, values: &[Value<'_>]) -> Result<Option<Self>, ProjectionError> {
        Ok(Self::select(conn, rest, values)?.pop())
    }
}

/// The rows of a table that a page touches.
pub(crate) struct Rows<R: TableRow>(HashMap<R::By, Slot<R>>);

struct Slot<R> {
    before: Option<R>,
    now: Option<R>,
}

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Slot { before: None, now: None }
    }
}

impl<R: TableRow> Default for Rows<R> {
    fn default() -> Self {
        Rows(HashMap::new())
    }
}

impl<R: TableRow> Rows<R> {
    /// Names a row to be read, whether or not it is there.
    pub(crate) fn name(&mut self, by: R::By) {
        self.0.entry(by).or_default();
    }

    /// A named row, or the place for one.
    pub(crate) fn slot(&mut self, by: &R::By) -> Result<&mut Option<R>, ProjectionError> {
        let slot = self.0.get_mut(by).ok_or(ProjectionError::Unread { table: R::table().name })?;
        Ok(&mut slot.now)
    }

    /// A row in the place of whatever was there, which needs no reading.
    pub(crate) fn put(&mut self, row: R) {
        let slot = self.0.entry(row.by()).or_default();
        slot.now = Some(row);
    }
}

/// What is done alike with the rows of every table.
pub(crate) trait TableRows {
    fn table(&self) -> &'static Table;

    /// Reads the rows named.
    fn read(&mut self, conn: &Connection) -> Result<(), ProjectionError>;

    /// Writes those that have changed.
    fn write(&self, conn: &Connection) -> Result<(), ProjectionError>;
}

impl<R: TableRow> TableRows for Rows<R> {
    fn table(&self) -> &'static Table {
        R::table()
    }

    fn read(&mut self, conn: &Connection) -> Result<(), ProjectionError> {
        let named: Vec<_> = self.0.keys().map(R::by_values).collect();
        for row in conn.each(&R::table().find, &named)? {
            let row = R::read(&row)?;
            self.0.insert(row.by(), Slot { before: Some(row.clone()), now: Some(row) });
        }
        Ok(())
    }

    fn write(&self, conn: &Connection) -> Result<(), ProjectionError> {
        let table = R::table();
        let key = table.key_columns;
        let (mut gone, mut changed) = (vec![], vec![]);
        for (by, Slot { before, now }) in &self.0 {
            if before == now {
                continue;
            }
            let (before, now) = (before.as_ref().map(R::values), now.as_ref().map(R::values));
            // A row that went and came again has another place.
            if before.is_some_and(|row| now.as_ref().is_none_or(|now| now[..key] != row[..key])) {
                gone.push(R::by_values(by));
            }
            changed.extend(now);
        }
        // Neighbours in the table one after the other.
        changed.sort_unstable_by(|a, b| a[..key].cmp(&b[..key]));
        conn.each(&table.delete, &gone)?;
        conn.each(&table.upsert, &changed).map(drop)
    }
}

/// A row's columns in the table's order, the key first, and what names a row. Fields `beside` are
/// no columns: a query may fill them from another table.
macro_rules! table {
    ($(#[$doc:meta])* $vis:vis $name:ident in $table:literal, key $key:literal, by ($($by:ident: $by_type:ty),+) {
        $($(#[$column_doc:meta])* $column:ident: $type:ty,)+
    } $(beside {
        $($(#[$beside_doc:meta])* $beside:ident: $beside_type:ty,)+
    })?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$column_doc])* $vis $column: $type,)+
            $($($(#[$beside_doc])* $vis $beside: $beside_type,)+)?
        }

        #[allow(unused_parens, reason = "a name of one column is no tuple")]
        impl $crate::table::TableRow for $name {
            type By = ($($by_type),+);

            fn table() -> &'static $crate::table::Table {
                use $crate::column::Column;
                static TABLE: std::sync::LazyLock<$crate::table::Table> = std::sync::LazyLock::new(|| {
                    let columns = [$((stringify!($column), <$type as Column>::TYPE)),+];
                    let by = [$((stringify!($by), <$by_type as Column>::TYPE)),+];
                    $crate::table::Table::new($table, $key, &columns, &by)
                });
                &TABLE
            }

            fn by(&self) -> Self::By {
                ($(self.$by.clone()),+)
            }

            fn by_values(by: &Self::By) -> Vec<$crate::connection::Value<'_>> {
                let ($($by),+) = by;
                vec![$($crate::column::Column::write($by)),+]
            }

            fn read(row: &$crate::connection::Row) -> Result<Self, $crate::error::ProjectionError> {
                let mut row = row.iter();
                let mut next = || row.next().unwrap_or(&$crate::connection::Value::Null);
                Ok($name {
                    $($column: $crate::column::Column::read(next())
                        .ok_or($crate::error::ProjectionError::Damaged { column: stringify!($column) })?,)+
                    $($($beside: Default::default(),)+)?
                })
            }

            fn values(&self) -> Vec<$crate::connection::Value<'_>> {
                vec![$($crate::column::Column::write(&self.$column)),+]
            }
        }
    };
}
pub(crate) use table;
