//! As much of a database's schema as a replica needs: the columns there are, how many values each holds, and what a new
//! row has in it before anything is said (RFC 7047 §3.2).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ovsdb::value::{Atom, Datum, Uuid, ValueError};

/// Tables by name, columns by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    tables: BTreeMap<String, BTreeMap<String, ColumnType>>,
}

/// A column's type.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    /// More than one value may stand in it: differences are sent as what is added and removed, not as the new value.
    pub is_composite: bool,
    /// Reals must be told from integers by the column, since JSON does not: `1.0` may be written `1`.
    pub is_real: bool,
    /// What a row has here if nothing else was said; monitors leave such values out of new rows.
    pub default: Datum,
}

impl Schema {
    /// Reads the answer to `get_schema`.
    ///
    /// # Errors
    /// If it is not a `<database-schema>`.
    pub fn from_json(value: &Value) -> Result<Self, ValueError> {
        let tables = value.get("tables").and_then(Value::as_object);
        let tables = tables.ok_or_else(|| ValueError::new("a schema with tables", value))?;
        let mut schema = Self::default();
        for (name, table) in tables {
            let columns = table.get("columns").and_then(Value::as_object);
            let columns = columns.ok_or_else(|| ValueError::new("a table with columns", table))?;
            let columns = columns.iter().map(|(name, column)| {
                let column_type =
                    column.get("type").ok_or_else(|| ValueError::new("a column with a type", column))?;
                Ok((name.clone(), ColumnType::from_json(column_type)?))
            });
            schema.tables.insert(name.clone(), columns.collect::<Result<_, _>>()?);
        }
        Ok(schema)
    }

    /// The type of a column, if there is such a column.
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnType> {
        self.tables.get(table)?.get(column)
    }

    /// True if the table exists.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }
}

impl ColumnType {
    fn from_json(value: &Value) -> Result<Self, ValueError> {
        let key = match value.get("key") {
            Some(key) => base_type(key),
            None => base_type(value),
        };
        let key = key.ok_or_else(|| ValueError::new("a column type", value))?;
        let is_map = value.get("value").is_some();
        let min = value.get("min").and_then(Value::as_u64).unwrap_or(1);
        let is_composite = match value.get("max") {
            Some(Value::String(_)) => true,
            Some(max) => max.as_u64().is_some_and(|max| max > 1),
            None => false,
        };
        let default = match (is_map, min) {
            (true, _) => Datum::Map(BTreeMap::new()),
            (false, 0) => Datum::empty(),
            (false, _) => {
                default_atom(key).map(Datum::from).ok_or_else(|| ValueError::new("a basic type", value))?
            }
        };
        Ok(Self { is_composite, is_real: key == "real" && !is_map, default })
    }

    /// `datum` with integers turned to reals where the column holds reals.
    pub fn conform(&self, datum: Datum) -> Datum {
        match datum {
            Datum::Set(atoms) if self.is_real => Datum::Set(
                atoms
                    .into_iter()
                    .map(|atom| match atom {
                        Atom::Integer(integer) => Atom::Real(integer as f64),
                        other => other,
                    })
                    .collect(),
            ),
            other => other,
        }
    }
}

fn base_type(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("type").and_then(Value::as_str))
}

fn default_atom(basic: &str) -> Option<Atom> {
    Some(match basic {
        "integer" => Atom::Integer(0),
        "real" => Atom::Real(0.0),
        "boolean" => Atom::Boolean(false),
        "string" => Atom::String(String::new()),
        "uuid" => Atom::Uuid(Uuid(0)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_each_way_of_writing_a_type() {
        let schema =
            Schema::from_json(&json!({"name": "d", "version": "1.0.0", "tables": {"t": {"columns": {
                "plain": {"type": "string"},
                "optional": {"type": {"key": {"type": "integer", "minInteger": 1}, "min": 0, "max": 1}},
                "many": {"type": {"key": {"type": "uuid", "refTable": "t"}, "min": 0, "max": "unlimited"}},
                "map": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
                "real": {"type": "real"},
            }}}}))
            .unwrap();
        let column = |name| schema.column("t", name).unwrap();
        assert_eq!(column("plain").default, Datum::from(""));
        assert_eq!(column("optional").default, Datum::empty());
        assert!(
            !column("optional").is_composite && column("many").is_composite && column("map").is_composite
        );
        assert_eq!(column("map").default, Datum::Map(BTreeMap::new()));
        assert_eq!(column("real").conform(Datum::from(1)), Datum::Set([Atom::Real(1.0)].into()));
        assert_eq!(schema.column("t", "none"), None);
    }

    #[test]
    fn refuses_what_is_no_schema() {
        for value in [
            json!({}),
            json!({"tables": {"t": {}}}),
            json!({"tables": {"t": {"columns": {"c": {"type": 3}}}}}),
        ] {
            assert!(Schema::from_json(&value).is_err(), "{value}");
        }
    }
}
