//! The registers of br-int, and between which tables each has a meaning.

use crate::openflow::oxm::{Field, field};
use crate::pipeline::table::Table;

/// One register in one use.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Its field; all 32 bits of it.
    pub field: Field,
    /// What it holds.
    pub name: &'static str,
    /// What its values mean.
    pub values: &'static str,
    /// The first table that may write it.
    pub from: Table,
    /// The last table that may read it.
    pub to: Table,
}

/// The network's number.
pub const NETWORK: Register = Register {
    field: field::REG0,
    name: "network",
    values: "the network's number",
    from: Table::Classify,
    to: Table::Egress,
};

/// Where the packet came from: an [`Origin`].
pub const ORIGIN: Register = Register {
    field: field::REG1,
    name: "origin",
    values: "1 endpoint, 2 uplink, 3 tunnel",
    from: Table::Classify,
    to: Table::Forward,
};

/// The port to leave by.
pub const PORT: Register = Register {
    field: field::REG3,
    name: "port",
    values: "an OpenFlow port number",
    from: Table::Forward,
    to: Table::Output,
};

/// Room to exchange two fields.
pub const SCRATCH: Register = Register {
    field: field::REG6,
    name: "scratch",
    values: "nothing beyond one flow's actions",
    from: Table::Neighbour,
    to: Table::Neighbour,
};

/// Why a packet is discarded.
pub const DROP_REASON: Register = Register {
    field: field::REG7,
    name: "drop reason",
    values: "a drop reason's number",
    from: Table::Classify,
    to: Table::Drop,
};

/// All registers in use.
pub const REGISTERS: [Register; 5] = [NETWORK, ORIGIN, PORT, SCRATCH, DROP_REASON];

/// A value of [`ORIGIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    /// A container of this node.
    Endpoint = 1,
    /// The fabric.
    Uplink = 2,
    /// Another node's tunnel.
    Tunnel = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_register_has_two_meanings_at_once() {
        for (i, a) in REGISTERS.iter().enumerate() {
            assert!(a.from <= a.to, "{}", a.name);
            for b in &REGISTERS[i + 1..] {
                let apart = a.to < b.from || b.to < a.from;
                assert!(a.field != b.field || apart, "{} and {}", a.name, b.name);
            }
        }
    }
}
