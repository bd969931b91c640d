//! What the monitored columns of the database hold, as last told.
//!
//! Snapshots are cheap: tables and rows are shared, and a change copies only the table it touches. A row has all the
//! monitored columns of its table, those left out by the server filled in from the schema's defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ovsdb::value::{Atom, Datum, Uuid};

/// Tables by name, rows by UUID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    tables: BTreeMap<String, Arc<BTreeMap<Uuid, Arc<Row>>>>,
}

/// One row's monitored columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    columns: BTreeMap<String, Datum>,
}

/// A row came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: String,
    /// The row.
    pub uuid: Uuid,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Inserted,
    /// These columns have other values than before.
    Modified(BTreeSet<String>),
    /// It is gone.
    Deleted,
}

impl Row {
    /// A row of these columns.
    pub fn new(columns: impl IntoIterator<Item = (String, Datum)>) -> Self {
        Self { columns: columns.into_iter().collect() }
    }

    /// A column's value, if the column is monitored.
    pub fn column(&self, column: &str) -> Option<&Datum> {
        self.columns.get(column)
    }

    /// Sets a column.
    pub fn set(&mut self, column: String, datum: Datum) {
        self.columns.insert(column, datum);
    }

    /// All columns, by name.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.columns.iter().map(|(name, datum)| (name.as_str(), datum))
    }

    /// The string in a column that has exactly one.
    pub fn string(&self, column: &str) -> Option<&str> {
        match self.column(column)?.as_atom()? {
            Atom::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer in a column that has exactly one.
    pub fn integer(&self, column: &str) -> Option<i64> {
        match self.column(column)?.as_atom()? {
            Atom::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The boolean in a column that has exactly one.
    pub fn boolean(&self, column: &str) -> Option<bool> {
        match self.column(column)?.as_atom()? {
            Atom::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The rows that a column refers to.
    pub fn references(&self, column: &str) -> impl Iterator<Item = Uuid> {
        self.column(column).into_iter().flat_map(Datum::atoms).filter_map(|atom| match atom {
            Atom::Uuid(uuid) => Some(*uuid),
            _ => None,
        })
    }

    /// The value under a key of a column that maps strings to strings.
    pub fn entry(&self, column: &str, key: &str) -> Option<&str> {
        match self.column(column)? {
            Datum::Map(pairs) => match pairs.get(&Atom::from(key))? {
                Atom::String(text) => Some(text),
                _ => None,
            },
            Datum::Set(_) => None,
        }
    }
}

impl Replica {
    /// All rows of a table, by UUID.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|rows| rows.iter().map(|(uuid, row)| (*uuid, row.as_ref())))
    }

    /// One row.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid).map(Arc::as_ref)
    }

    /// The row whose `name` is this; Open vSwitch keeps names unique in every table that has them.
    pub fn named(&self, table: &str, name: &str) -> Option<(Uuid, &Row)> {
        self.rows(table).find(|(_, row)| row.string("name") == Some(name))
    }

    /// Puts a row in place of what was there; `None` deletes. Says what changed, if anything did.
    pub fn put(&mut self, table: &str, uuid: Uuid, row: Option<Row>) -> Option<Change> {
        let kind = match (self.row(table, uuid), &row) {
            (None, None) => return None,
            (None, Some(_)) => ChangeKind::Inserted,
            (Some(_), None) => ChangeKind::Deleted,
            (Some(old), Some(new)) if old == new => return None,
            (Some(old), Some(new)) => {
                let differs = |(name, datum): &(&str, &Datum)| old.column(name) != Some(datum);
                ChangeKind::Modified(new.columns().filter(differs).map(|(name, _)| name.to_owned()).collect())
            }
        };
        let rows = Arc::make_mut(self.tables.entry(table.to_owned()).or_default());
        match row {
            Some(row) => rows.insert(uuid, Arc::new(row)),
            None => rows.remove(&uuid),
        };
        Some(Change { table: table.to_owned(), uuid, kind })
    }

    /// The rows of all tables, as keys.
    pub(crate) fn keys(&self) -> Vec<(String, Uuid)> {
        self.tables.iter().flat_map(|(table, rows)| rows.keys().map(|uuid| (table.clone(), *uuid))).collect()
    }
}
