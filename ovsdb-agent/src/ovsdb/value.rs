//! OVSDB values (RFC 7047 §5.1): atoms, sets and maps.
//!
//! Inside, a single atom is a set of one: the wire uses both spellings for the same thing, and what reads them should
//! not have to know which came. An optional column is a set of none or one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

/// A row's identity: 128 bits, written as RFC 4122 text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub u128);

/// The text is not a UUID of 8-4-4-4-12 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID of 8-4-4-4-12 hex digits")]
pub struct BadUuid;

/// One value of a basic type.
#[derive(Debug, Clone)]
pub enum Atom {
    /// 64 bits, signed.
    Integer(i64),
    /// A double; never NaN on the wire.
    Real(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// Any Unicode text.
    String(String),
    /// A reference to a row.
    Uuid(Uuid),
    /// A row inserted by the same transaction under this name.
    NamedUuid(String),
}

/// A column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum {
    /// Any number of atoms; a scalar is a set of one.
    Set(BTreeSet<Atom>),
    /// Keys and their values.
    Map(BTreeMap<Atom, Atom>),
}

/// Why JSON is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct ValueError {
    /// What the standard wants there.
    pub expected: &'static str,
    /// The JSON found, cut to 80 characters.
    pub found: String,
}

impl ValueError {
    /// An error that quotes `found`, shortened.
    pub fn new(expected: &'static str, found: &Value) -> Self {
        Self { expected, found: found.to_string().chars().take(80).collect() }
    }
}

impl Atom {
    /// Reads an atom.
    ///
    /// # Errors
    /// If `value` is null, an object, or an array other than `["uuid", …]` and `["named-uuid", …]`.
    ///
    /// Source: RFC 7047 §5.1, `<atom>`.
    pub fn from_json(value: &Value) -> Result<Self, ValueError> {
        let bad = || ValueError::new("an atom", value);
        match value {
            Value::Bool(boolean) => Ok(Self::Boolean(*boolean)),
            Value::String(text) => Ok(Self::String(text.clone())),
            Value::Number(number) => {
                number.as_i64().map(Self::Integer).or_else(|| number.as_f64().map(Self::Real)).ok_or_else(bad)
            }
            Value::Array(_) => match tagged(value) {
                Some(("uuid", Value::String(text))) => text.parse().map(Self::Uuid).map_err(|BadUuid| bad()),
                Some(("named-uuid", Value::String(name))) => Ok(Self::NamedUuid(name.clone())),
                _ => Err(bad()),
            },
            Value::Null | Value::Object(_) => Err(bad()),
        }
    }

    /// The atom as it stands on the wire. A real that is not finite, which OVSDB cannot carry, becomes null.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Integer(integer) => json!(integer),
            Self::Real(real) => json!(real),
            Self::Boolean(boolean) => json!(boolean),
            Self::String(text) => json!(text),
            Self::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
            Self::NamedUuid(name) => json!(["named-uuid", name]),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
            Self::NamedUuid(_) => 5,
        }
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) | (Self::NamedUuid(a), Self::NamedUuid(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Atom {}

impl Datum {
    /// The empty set: an optional column without a value.
    pub fn empty() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// A set of atoms.
    pub fn set(atoms: impl IntoIterator<Item = impl Into<Atom>>) -> Self {
        Self::Set(atoms.into_iter().map(Into::into).collect())
    }

    /// A map of strings to strings, the only kind that Open vSwitch's own columns hold.
    pub fn map<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(k, v)| (Atom::String(k.into()), Atom::String(v.into()))).collect())
    }

    /// Reads a value: an atom, `["set", [atom…]]` or `["map", [[atom, atom]…]]`.
    ///
    /// # Errors
    /// If `value` is none of them.
    ///
    /// Source: RFC 7047 §5.1, `<value>`.
    pub fn from_json(value: &Value) -> Result<Self, ValueError> {
        match tagged(value) {
            Some(("set", Value::Array(atoms))) => {
                Ok(Self::Set(atoms.iter().map(Atom::from_json).collect::<Result<_, _>>()?))
            }
            Some(("map", Value::Array(pairs))) => {
                let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
                    Some([key, value]) => Ok((Atom::from_json(key)?, Atom::from_json(value)?)),
                    _ => Err(ValueError::new("a pair of atoms", pair)),
                };
                Ok(Self::Map(pairs.iter().map(pair).collect::<Result<_, _>>()?))
            }
            _ => Ok(Self::Set(BTreeSet::from([Atom::from_json(value)?]))),
        }
    }

    /// The value as it stands on the wire; a set of one is written as its atom.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Set(atoms) => match atoms.first() {
                Some(atom) if atoms.len() == 1 => atom.to_json(),
                _ => json!(["set", atoms.iter().map(Atom::to_json).collect::<Vec<_>>()]),
            },
            Self::Map(pairs) => {
                json!([
                    "map",
                    pairs.iter().map(|(k, v)| json!([k.to_json(), v.to_json()])).collect::<Vec<_>>()
                ])
            }
        }
    }

    /// The value if there is exactly one.
    pub fn as_atom(&self) -> Option<&Atom> {
        match self {
            Self::Set(atoms) if atoms.len() == 1 => atoms.first(),
            _ => None,
        }
    }

    /// The atoms of a set; none for a map.
    pub fn atoms(&self) -> impl Iterator<Item = &Atom> {
        match self {
            Self::Set(atoms) => Some(atoms.iter()),
            Self::Map(_) => None,
        }
        .into_iter()
        .flatten()
    }

    /// Applies a difference as update2 sends it: what is in both goes, what is only in the difference comes; a map's key
    /// whose value differs takes the difference's value.
    ///
    /// Source: ovsdb-server(7) §4.1.14.
    pub fn apply_difference(&mut self, difference: Self) {
        match (self, difference) {
            (Self::Set(atoms), Self::Set(changed)) => {
                for atom in changed {
                    if !atoms.remove(&atom) {
                        atoms.insert(atom);
                    }
                }
            }
            (Self::Map(pairs), Self::Map(changed)) => {
                for (key, value) in changed {
                    if pairs.get(&key) == Some(&value) {
                        pairs.remove(&key);
                    } else {
                        pairs.insert(key, value);
                    }
                }
            }
            (this, difference) => *this = difference,
        }
    }
}

impl<A: Into<Atom>> From<A> for Datum {
    fn from(atom: A) -> Self {
        Self::Set(BTreeSet::from([atom.into()]))
    }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Atom {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Atom {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<bool> for Atom {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<Uuid> for Atom {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            bits >> 80 & 0xffff,
            bits >> 64 & 0xffff,
            bits >> 48 & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        let digits = groups.concat();
        if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadUuid);
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| BadUuid)
    }
}

/// `["tag", content]`, if that is what `value` is.
fn tagged(value: &Value) -> Option<(&str, &Value)> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(tag), content]) => Some((tag, content)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: Value) -> Datum {
        Datum::from_json(&value).unwrap()
    }

    #[test]
    fn a_set_of_one_and_its_atom_are_the_same() {
        assert_eq!(read(json!(["set", ["a"]])), read(json!("a")));
        assert_eq!(read(json!(["set", []])), Datum::empty());
        assert_eq!(read(json!("set")), Datum::from("set"));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for value in [
            json!(null),
            json!({}),
            json!([]),
            json!(["set", 3]),
            json!(["uuid", "1-2"]),
            json!(["map", [["a"]]]),
        ] {
            assert!(Datum::from_json(&value).is_err(), "{value}");
        }
        assert_eq!("0123456789abcdef-0123-4567-89abcdef01234567".parse::<Uuid>(), Err(BadUuid));
        assert_eq!("+1234567-0123-0123-0123-0123456789ab".parse::<Uuid>(), Err(BadUuid));
    }

    #[test]
    fn a_difference_toggles_members_and_replaces_values() {
        let mut set = Datum::set(["a", "b"]);
        set.apply_difference(Datum::set(["b", "c"]));
        assert_eq!(set, Datum::set(["a", "c"]));
        let mut map = Datum::map([("k", "1"), ("l", "2")]);
        map.apply_difference(Datum::map([("k", "1"), ("l", "3"), ("m", "4")]));
        assert_eq!(map, Datum::map([("l", "3"), ("m", "4")]));
    }

    fn arb_atom() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::Integer),
            // Reals that need few digits: serde_json reads long ones to within one unit in the last place.
            any::<i32>().prop_map(|eighths| Atom::Real(f64::from(eighths) / 8.0)),
            any::<bool>().prop_map(Atom::Boolean),
            ".*".prop_map(Atom::String),
            any::<u128>().prop_map(|bits| Atom::Uuid(Uuid(bits))),
            "[a-z_]{1,8}".prop_map(Atom::NamedUuid),
        ]
    }

    proptest! {
        #[test]
        fn values_survive_the_wire(
            set in prop::collection::btree_set(arb_atom(), 0..5),
            map in prop::collection::btree_map(arb_atom(), arb_atom(), 0..5),
        ) {
            for datum in [Datum::Set(set), Datum::Map(map)] {
                let text = datum.to_json().to_string();
                let value: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(Datum::from_json(&value).unwrap(), datum);
            }
        }

        #[test]
        fn the_difference_of_two_sets_leads_from_one_to_the_other(
            old in prop::collection::btree_set(0_i64..20, 0..10),
            new in prop::collection::btree_set(0_i64..20, 0..10),
        ) {
            let mut datum = Datum::set(old.iter().copied());
            datum.apply_difference(Datum::set(old.symmetric_difference(&new).copied()));
            prop_assert_eq!(datum, Datum::set(new));
        }
    }
}
