//! What a transaction does (RFC 7047 §5.2), and what came of it.

use serde_json::{Map, Value, json};

use crate::jsonrpc::RpcError;
use crate::ovsdb::error::Error;
use crate::ovsdb::value::{Datum, Uuid, ValueError};

/// Columns to set, by name.
pub type Columns = Vec<(&'static str, Datum)>;

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Adds a row; other operations refer to it as `Atom::NamedUuid(name)`.
    Insert {
        /// The table.
        table: &'static str,
        /// Unique in the transaction: letters, digits and underscores, no digit first.
        name: Option<String>,
        /// Its columns; the others get their defaults.
        row: Columns,
    },
    /// Sets columns of all rows that fit.
    Update {
        /// The table.
        table: &'static str,
        /// All must hold; none: every row.
        conditions: Vec<Condition>,
        /// The columns to set.
        row: Columns,
    },
    /// Changes columns of all rows that fit in place.
    Mutate {
        /// The table.
        table: &'static str,
        /// All must hold; none: every row.
        conditions: Vec<Condition>,
        /// Carried out in order.
        mutations: Vec<Mutation>,
    },
    /// Deletes all rows that fit.
    Delete {
        /// The table.
        table: &'static str,
        /// All must hold; none: every row.
        conditions: Vec<Condition>,
    },
    /// Reads rows.
    Select {
        /// The table.
        table: &'static str,
        /// All must hold; none: every row.
        conditions: Vec<Condition>,
        /// The columns wanted.
        columns: Vec<&'static str>,
    },
    /// Goes on only if the rows that fit have just these values, else refuses the transaction (timeout 0).
    Wait {
        /// The table.
        table: &'static str,
        /// All must hold; none: every row.
        conditions: Vec<Condition>,
        /// The columns compared.
        columns: Vec<&'static str>,
        /// The rows expected, in any order.
        rows: Vec<Columns>,
    },
    /// Says in the database's log who did this and why.
    Comment(String),
}

/// `column function value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column; `_uuid` for the row itself.
    pub column: &'static str,
    /// How to compare.
    pub function: Function,
    /// With what.
    pub value: Datum,
}

/// A comparison (RFC 7047 §5.1, `<function>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `==`
    Equals,
    /// `!=`
    Differs,
    /// `includes`: every member of the value is in the column.
    Includes,
    /// `excludes`: no member of the value is in the column.
    Excludes,
}

/// `column mutator value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// The column.
    pub column: &'static str,
    /// What to do with it.
    pub mutator: Mutator,
    /// With what.
    pub value: Datum,
}

/// A change in place (RFC 7047 §5.1, `<mutator>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `insert`: members a set or map does not have yet; a key that is there keeps its value.
    Insert,
    /// `delete`: members of a set, pairs of a map, or, given a set, a map's keys.
    Delete,
}

/// What one operation answered; each kind of operation fills in its own part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Rows touched by update, mutate, delete.
    pub count: Option<u64>,
    /// The row that insert made.
    pub uuid: Option<Uuid>,
    /// The rows that select found.
    pub rows: Vec<Vec<(String, Datum)>>,
}

impl Condition {
    /// The row with this UUID.
    pub fn row(uuid: Uuid) -> Self {
        Self { column: "_uuid", function: Function::Equals, value: uuid.into() }
    }

    fn to_json(&self) -> Value {
        let function = match self.function {
            Function::Equals => "==",
            Function::Differs => "!=",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        };
        json!([self.column, function, self.value.to_json()])
    }
}

impl Mutation {
    /// Adds members to a set or map.
    pub fn insert(column: &'static str, value: impl Into<Datum>) -> Self {
        Self { column, mutator: Mutator::Insert, value: value.into() }
    }

    /// Takes members out of a set or map.
    pub fn delete(column: &'static str, value: impl Into<Datum>) -> Self {
        Self { column, mutator: Mutator::Delete, value: value.into() }
    }

    /// Adds to an integer.
    pub fn add(column: &'static str, amount: i64) -> Self {
        Self { column, mutator: Mutator::Add, value: amount.into() }
    }

    fn to_json(&self) -> Value {
        let mutator = match self.mutator {
            Mutator::Add => "+=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        };
        json!([self.column, mutator, self.value.to_json()])
    }
}

impl Operation {
    /// The operation as it stands in `transact`.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Insert { table, name: None, row } => {
                json!({"op": "insert", "table": table, "row": row_json(row)})
            }
            Self::Insert { table, name: Some(name), row } => {
                json!({"op": "insert", "table": table, "row": row_json(row), "uuid-name": name})
            }
            Self::Update { table, conditions, row } => {
                json!({"op": "update", "table": table, "where": conditions_json(conditions), "row": row_json(row)})
            }
            Self::Mutate { table, conditions, mutations } => {
                let mutations: Vec<Value> = mutations.iter().map(Mutation::to_json).collect();
                json!({"op": "mutate", "table": table, "where": conditions_json(conditions), "mutations": mutations})
            }
            Self::Delete { table, conditions } => {
                json!({"op": "delete", "table": table, "where": conditions_json(conditions)})
            }
            Self::Select { table, conditions, columns } => {
                json!({"op": "select", "table": table, "where": conditions_json(conditions), "columns": columns})
            }
            Self::Wait { table, conditions, columns, rows } => json!({
                "op": "wait", "timeout": 0, "table": table, "where": conditions_json(conditions),
                "columns": columns, "until": "==", "rows": rows.iter().map(row_json).collect::<Vec<_>>(),
            }),
            Self::Comment(text) => json!({"op": "comment", "comment": text}),
        }
    }
}

impl Outcome {
    /// Reads the `result` of a transaction of `n_operations`.
    ///
    /// Shape: an object for each operation done; an error object for the one that failed, null for those after it; one
    /// error object more than there were operations if the commit failed.
    ///
    /// # Errors
    /// `Refused` with the first error; `Protocol` if the result has another shape.
    ///
    /// Source: RFC 7047 §4.1.3.
    pub fn read_all(result: &Value, n_operations: usize) -> Result<Vec<Self>, Error> {
        let protocol = |expected, found| Error::Protocol {
            what: "the result of transact",
            problem: ValueError::new(expected, found),
        };
        let results = result.as_array().ok_or_else(|| protocol("an array", result))?;
        let mut outcomes = Vec::with_capacity(n_operations);
        for (index, value) in results.iter().enumerate() {
            if let Some(error) = value.get("error").and_then(Value::as_str) {
                let details = value.get("details").and_then(Value::as_str).unwrap_or_default();
                let error = RpcError { error: error.to_owned(), details: details.to_owned() };
                return Err(Error::Refused { index, error });
            }
            outcomes.push(
                Self::from_json(value)
                    .map_err(|problem| Error::Protocol { what: "the result of an operation", problem })?,
            );
        }
        if outcomes.len() != n_operations {
            return Err(protocol("one result an operation", result));
        }
        Ok(outcomes)
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        let object = value.as_object().ok_or_else(|| ValueError::new("an object", value))?;
        let uuid =
            match object.get("uuid").map(Datum::from_json).transpose()?.as_ref().and_then(Datum::as_atom) {
                Some(crate::ovsdb::Atom::Uuid(uuid)) => Some(*uuid),
                _ => None,
            };
        let mut rows = Vec::new();
        for row in object.get("rows").and_then(Value::as_array).into_iter().flatten() {
            let columns = row.as_object().ok_or_else(|| ValueError::new("a row", row))?;
            let columns = columns.iter().map(|(name, value)| Ok((name.clone(), Datum::from_json(value)?)));
            rows.push(columns.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self { count: object.get("count").and_then(Value::as_u64), uuid, rows })
    }
}

fn row_json(row: &Columns) -> Value {
    Value::Object(
        row.iter().map(|(name, datum)| ((*name).to_owned(), datum.to_json())).collect::<Map<_, _>>(),
    )
}

fn conditions_json(conditions: &[Condition]) -> Vec<Value> {
    conditions.iter().map(Condition::to_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_written_as_the_rfc_has_them() {
        let insert =
            Operation::Insert { table: "Port", name: Some("p".into()), row: vec![("name", "eth0".into())] };
        assert_eq!(
            insert.to_json(),
            json!({"op": "insert", "table": "Port", "row": {"name": "eth0"}, "uuid-name": "p"})
        );
        let mutate = Operation::Mutate {
            table: "Open_vSwitch",
            conditions: vec![Condition::row(Uuid(1))],
            mutations: vec![Mutation::add("next_cfg", 1)],
        };
        assert_eq!(
            mutate.to_json(),
            json!({"op": "mutate", "table": "Open_vSwitch",
                   "where": [["_uuid", "==", ["uuid", "00000000-0000-0000-0000-000000000001"]]],
                   "mutations": [["next_cfg", "+=", 1]]})
        );
    }

    #[test]
    fn the_first_error_is_found_wherever_it_stands() {
        let refused = |result, n| match Outcome::read_all(&result, n) {
            Err(Error::Refused { index, error }) => (index, error.error),
            other => panic!("{other:?}"),
        };
        let error = json!({"error": "constraint violation", "details": "no"});
        assert_eq!(refused(json!([{}, error, null]), 3), (1, "constraint violation".to_owned()));
        assert_eq!(refused(json!([{}, {"count": 1}, error]), 2), (2, "constraint violation".to_owned()));
    }

    #[test]
    fn a_result_of_another_shape_is_the_peers_fault() {
        for result in [json!(null), json!([]), json!([null]), json!([{}, {}]), json!([{"rows": [3]}])] {
            assert!(matches!(Outcome::read_all(&result, 1), Err(Error::Protocol { .. })), "{result}");
        }
    }

    #[test]
    fn reads_counts_uuids_and_rows() {
        let result =
            json!([{"count": 2}, {"uuid": ["uuid", Uuid(5).to_string()]}, {"rows": [{"next_cfg": 3}]}]);
        let outcomes = Outcome::read_all(&result, 3).unwrap();
        assert_eq!(outcomes[0].count, Some(2));
        assert_eq!(outcomes[1].uuid, Some(Uuid(5)));
        assert_eq!(outcomes[2].rows, [[("next_cfg".to_owned(), Datum::from(3))]]);
    }
}
