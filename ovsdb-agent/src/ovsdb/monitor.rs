//! Monitoring: how it is asked for, and how updates reach the replica.
//!
//! Three generations of the method are in use; the newest the server knows is taken, each older one being the fallback
//! for `unknown method`:
//!
//! | method | update | rows are |
//! |---|---|---|
//! | `monitor_cond_since` | `update3` | as below; after a reconnect only what is new, if the server still knows it |
//! | `monitor_cond` | `update2` | `initial`, `insert`, `modify` (a difference), `delete` |
//! | `monitor` | `update` | `old` and `new` |
//!
//! Source: RFC 7047 §4.1.5, §4.1.6; ovsdb-server(7) §4.1.12–§4.1.15.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::ovsdb::error::Error;
use crate::ovsdb::replica::{Change, Replica, Row};
use crate::ovsdb::schema::Schema;
use crate::ovsdb::value::{Datum, Uuid, ValueError};

/// The id under which every connection asks for its monitor.
pub const MONITOR_ID: &str = "weir";

/// A table and the columns wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRequest {
    /// The table.
    pub table: &'static str,
    /// The columns; the database must have them all.
    pub columns: &'static [&'static str],
}

/// A generation of the monitor method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `monitor_cond_since`
    Since,
    /// `monitor_cond`
    Cond,
    /// `monitor`
    Plain,
}

/// What the server told, cut out of reply or notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Update<'a> {
    /// Where the next connection may take up from; `None` where the method has no such thing.
    pub last_txn_id: Option<&'a str>,
    /// What is not in `tables` is gone: this is the whole content, not a change.
    pub is_complete: bool,
    /// `<table-updates>` or `<table-updates2>`.
    pub tables: &'a Value,
}

impl Method {
    /// The method's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Since => "monitor_cond_since",
            Self::Cond => "monitor_cond",
            Self::Plain => "monitor",
        }
    }

    /// The next older one.
    pub fn fallback(self) -> Option<Self> {
        match self {
            Self::Since => Some(Self::Cond),
            Self::Cond => Some(Self::Plain),
            Self::Plain => None,
        }
    }

    /// The call's parameters.
    pub fn params(self, database: &str, tables: &[TableRequest], last_txn_id: Option<&str>) -> Value {
        let request =
            |request: &TableRequest| (request.table.to_owned(), json!([{"columns": request.columns}]));
        let requests: Map<String, Value> = tables.iter().map(request).collect();
        match self {
            Self::Since => {
                let zero = Uuid(0).to_string();
                json!([database, MONITOR_ID, requests, last_txn_id.unwrap_or(&zero)])
            }
            Self::Cond | Self::Plain => json!([database, MONITOR_ID, requests]),
        }
    }

    /// Reads the call's result.
    ///
    /// # Errors
    /// If it is not of the method's shape.
    pub fn read_result(self, result: &Value) -> Result<Update<'_>, ValueError> {
        if self != Self::Since {
            return Ok(Update { last_txn_id: None, is_complete: true, tables: result });
        }
        match result.as_array().map(Vec::as_slice) {
            Some([Value::Bool(found), Value::String(last), tables]) => {
                Ok(Update { last_txn_id: Some(last), is_complete: !found, tables })
            }
            _ => Err(ValueError::new("[found, last-txn-id, updates]", result)),
        }
    }
}

/// Reads the parameters of an update notification; `None` if `method` is none or it is of another monitor.
///
/// # Errors
/// If the parameters are not of the method's shape.
pub fn read_notification<'a>(method: &str, params: &'a Value) -> Result<Option<Update<'a>>, ValueError> {
    let parts = params.as_array().map(Vec::as_slice).unwrap_or_default();
    let (id, last_txn_id, tables) = match (method, parts) {
        ("update" | "update2", [id, tables]) => (id, None, tables),
        ("update3", [id, Value::String(last), tables]) => (id, Some(last.as_str()), tables),
        ("update" | "update2" | "update3", _) => {
            return Err(ValueError::new("the update's parameters", params));
        }
        _ => return Ok(None),
    };
    if id.as_str() != Some(MONITOR_ID) {
        return Ok(None);
    }
    Ok(Some(Update { last_txn_id, is_complete: false, tables }))
}

/// Brings the replica up to date; says which rows changed.
///
/// # Errors
/// `Protocol` if the update is malformed or speaks of a row that is not there. The replica may then hold a part of it.
pub fn apply(
    replica: &mut Replica,
    monitored: &Monitored,
    update: &Update<'_>,
) -> Result<Vec<Change>, Error> {
    let protocol = |problem| Error::Protocol { what: "a monitor update", problem };
    let tables = update.tables.as_object();
    let tables = tables.ok_or_else(|| protocol(ValueError::new("an object of tables", update.tables)))?;
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    for (table, rows) in tables {
        let rows = rows.as_object().ok_or_else(|| protocol(ValueError::new("an object of rows", rows)))?;
        for (uuid, row_update) in rows {
            let bad_uuid = |_| protocol(ValueError::new("a UUID", &json!(uuid)));
            let uuid: Uuid = uuid.parse().map_err(bad_uuid)?;
            let row = monitored.next_row(table, replica.row(table, uuid), row_update).map_err(protocol)?;
            if update.is_complete {
                seen.insert((table.clone(), uuid));
            }
            changes.extend(replica.put(table, uuid, row));
        }
    }
    if update.is_complete {
        for key in replica.keys() {
            if !seen.contains(&key) {
                changes.extend(replica.put(&key.0, key.1, None));
            }
        }
    }
    Ok(changes)
}

/// The tables asked for, with their columns' types.
#[derive(Debug, Clone)]
pub struct Monitored {
    tables: Vec<TableRequest>,
    schema: Schema,
}

impl Monitored {
    /// Joins what is wanted with what there is.
    ///
    /// # Errors
    /// `Unsupported` for the first table or column that the database lacks.
    pub fn new(tables: &[TableRequest], schema: Schema) -> Result<Self, Error> {
        for request in tables {
            if !schema.has_table(request.table) {
                return Err(Error::Unsupported { what: format!("table {}", request.table) });
            }
            let missing =
                request.columns.iter().find(|column| schema.column(request.table, column).is_none());
            if let Some(column) = missing {
                return Err(Error::Unsupported { what: format!("column {}.{column}", request.table) });
            }
        }
        Ok(Self { tables: tables.to_vec(), schema })
    }

    /// The row after an update of either kind; `None` if it is gone.
    fn next_row(&self, table: &str, old: Option<&Row>, update: &Value) -> Result<Option<Row>, ValueError> {
        let member = |name| update.get(name);
        if let Some(row) = member("initial").or(member("insert")).or(member("new")) {
            return self.read_row(table, row).map(Some);
        }
        if let Some(difference) = member("modify") {
            let old = old.ok_or_else(|| ValueError::new("a known row to modify", update))?;
            return self.modify(table, old.clone(), difference).map(Some);
        }
        if member("delete").is_some() || member("old").is_some() {
            return Ok(None);
        }
        Err(ValueError::new("a row update", update))
    }

    fn read_row(&self, table: &str, value: &Value) -> Result<Row, ValueError> {
        let object = value.as_object().ok_or_else(|| ValueError::new("a row", value))?;
        let mut row = Row::default();
        let columns =
            self.tables.iter().filter(|request| request.table == table).flat_map(|request| request.columns);
        for name in columns {
            let Some(column) = self.schema.column(table, name) else { continue };
            let datum = match object.get(*name) {
                Some(value) => column.conform(Datum::from_json(value)?),
                None => column.default.clone(),
            };
            row.set((*name).to_owned(), datum);
        }
        Ok(row)
    }

    fn modify(&self, table: &str, mut row: Row, difference: &Value) -> Result<Row, ValueError> {
        let object =
            difference.as_object().ok_or_else(|| ValueError::new("a row's difference", difference))?;
        for (name, value) in object {
            let Some(column) = self.schema.column(table, name) else { continue };
            let changed = column.conform(Datum::from_json(value)?);
            let datum = match row.column(name) {
                Some(old) if column.is_composite => {
                    let mut datum = old.clone();
                    datum.apply_difference(changed);
                    datum
                }
                _ => changed,
            };
            row.set(name.clone(), datum);
        }
        Ok(row)
    }
}
