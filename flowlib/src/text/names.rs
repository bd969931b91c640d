//! Names that text may use in place of numbers.

use std::collections::HashMap;

use crate::types::{PortNo, TableId};

/// The names of a switch's ports and tables. Of two things with the same name, neither is known by it.
///
/// Where text is printed, a known name stands in place of its number; where text is read, both are taken.
#[derive(Clone, Debug, Default)]
pub struct Names {
    ports: Index<PortNo>,
    tables: Index<TableId>,
}

#[derive(Clone, Debug)]
struct Index<T> {
    names: HashMap<T, String>,
    numbers: HashMap<String, Option<T>>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { names: HashMap::new(), numbers: HashMap::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Index<T> {
    fn add(&mut self, number: T, name: &str) {
        self.names.insert(number, name.to_owned());
        self.numbers.entry(name.to_owned()).and_modify(|known| *known = None).or_insert(Some(number));
    }

    fn name(&self, number: T) -> Option<&str> {
        let name = self.names.get(&number)?;
        self.number(name).map(|_| name.as_str())
    }

    fn number(&self, name: &str) -> Option<T> {
        self.numbers.get(name).copied().flatten()
    }
}

impl Names {
    /// No names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the name of a port.
    pub fn add_port(&mut self, port: PortNo, name: &str) {
        self.ports.add(port, name);
    }

    /// Adds the name of a table.
    pub fn add_table(&mut self, table: TableId, name: &str) {
        self.tables.add(table, name);
    }

    /// The name of that port. A reserved port is better known by its own, as `LOCAL`.
    #[must_use]
    pub fn port_name(&self, port: PortNo) -> Option<&str> {
        if port.reserved_name().is_some() { None } else { self.ports.name(port) }
    }

    /// The port of that name.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<PortNo> {
        self.ports.number(name)
    }

    /// The name of that table.
    #[must_use]
    pub fn table_name(&self, table: TableId) -> Option<&str> {
        self.tables.name(table)
    }

    /// The table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<TableId> {
        self.tables.number(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_ports_have_is_no_name() {
        let mut names = Names::new();
        for (number, name) in [(1, "eth0"), (2, "eth1"), (3, "eth0")] {
            names.add_port(PortNo(number), name);
        }
        assert_eq!((names.port("eth1"), names.port("eth0")), (Some(PortNo(2)), None));
        assert_eq!((names.port_name(PortNo(2)), names.port_name(PortNo(1))), (Some("eth1"), None));
    }
}
