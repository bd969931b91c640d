//! The one list of tables.

use crate::types::TableId;

/// A table of br-int. Packets only move forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Where a packet comes from.
    Classify,
    /// A tunnel's network.
    Vni,
    /// What an endpoint may send.
    Guard,
    /// ARP, and who is addressed.
    Neighbour,
    /// Who may talk to whom.
    Policy,
    /// Which node an address is on.
    Forward,
    /// This node's endpoints.
    Local,
    /// What leaves by the uplink.
    Egress,
    /// To the port.
    Output,
    /// Bookkeeping.
    Ledger = 62,
    /// The end of what is discarded.
    Drop = 63,
}

/// What the documentation says of a table.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The table.
    pub table: Table,
    /// Its name.
    pub name: &'static str,
    /// What it decides, in a line.
    pub decides: &'static str,
    /// Whose its flows are: which segments hold them.
    pub segments: &'static str,
    /// What happens to a packet that matches nothing.
    pub miss: &'static str,
}

/// All tables in the order of their numbers.
pub const TABLES: [Description; 11] = [
    Description {
        table: Table::Classify,
        name: "classify",
        decides: "the uplink's network by its VLAN; a tunnel's packets only from the pool's nodes; tagged frames of \
                  others end here; an endpoint's ARP only at the rate of its meter",
        segments: "pool, network, node",
        miss: "goes on to guard",
    },
    Description {
        table: Table::Vni,
        name: "vni",
        decides: "a tunnel's network",
        segments: "pool, network",
        miss: "drop: tunnel-source",
    },
    Description {
        table: Table::Guard,
        name: "guard",
        decides: "whose a packet is: an endpoint sends only from its own port, MAC and IP address, which give its network; \
                  ARP for its own address, and probes, end here",
        segments: "pool, node",
        miss: "drop: spoofed",
    },
    Description {
        table: Table::Neighbour,
        name: "neighbour",
        decides: "ARP answered: to endpoints with the virtual MAC, to the fabric with the NAT MAC; IP goes on only if \
                  addressed to this hop",
        segments: "pool, network, node",
        miss: "drop: not-addressed-here",
    },
    Description {
        table: Table::Policy,
        name: "policy",
        decides: "who may talk to whom",
        segments: "pool",
        miss: "goes on to forward",
    },
    Description {
        table: Table::Forward,
        name: "forward",
        decides: "blocks, exceptions, external neighbours, default route: longest prefix first; the node's own go on to \
                  local",
        segments: "pool, network, node",
        miss: "drop: no-route",
    },
    Description {
        table: Table::Local,
        name: "local",
        decides: "this node's endpoints: the only host-length matches of a block",
        segments: "pool, node",
        miss: "drop: no-endpoint",
    },
    Description {
        table: Table::Egress,
        name: "egress",
        decides: "MAC NAT and the VLAN tag",
        segments: "node",
        miss: "never: only networks with an uplink send packets here",
    },
    Description {
        table: Table::Output,
        name: "output",
        decides: "to the port in reg3",
        segments: "pool",
        miss: "never",
    },
    Description {
        table: Table::Ledger,
        name: "ledger",
        decides: "nothing: no packet gets here; one row a segment",
        segments: "each its own row",
        miss: "never",
    },
    Description {
        table: Table::Drop,
        name: "drop",
        decides: "nothing: counts what is discarded, one flow a reason",
        segments: "pool",
        miss: "never",
    },
];

impl Table {
    /// Its number.
    #[must_use]
    pub const fn id(self) -> TableId {
        TableId(self as u8)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLES.iter().find(|d| d.table == self).map_or("", |d| d.name)
    }

    /// The table of that number, if br-int has it.
    #[must_use]
    pub fn from_id(id: TableId) -> Option<Self> {
        TABLES.iter().map(|d| d.table).find(|t| t.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_listed_once_in_order() {
        assert!(TABLES.windows(2).all(|pair| pair[0].table < pair[1].table));
        for d in &TABLES {
            assert_eq!(Table::from_id(d.table.id()), Some(d.table));
            assert_eq!(d.table.name(), d.name);
        }
    }
}
