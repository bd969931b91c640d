//! Which versions of OpenFlow, and which flow formats of it, can say a flow.

use std::fmt;

use crate::openflow::oxm::field;
use crate::openflow::{Field, FieldValue};

bitflags::bitflags! {
    /// Versions of OpenFlow and their flow formats, as `ovs-ofctl parse-flow` lists those that can say a flow.
    ///
    /// Source: `enum ofputil_protocol` of Open vSwitch 3.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Protocols: u16 {
        /// OpenFlow 1.0, in whose flow mods no table can be named.
        const OF10 = 1;
        /// OpenFlow 1.0 with Nicira's table ids.
        const OF10_TABLE_ID = 1 << 1;
        /// OpenFlow 1.0 with Nicira's extensible match.
        const NXM_PLAIN = 1 << 2;
        /// The same with Nicira's table ids.
        const NXM_TABLE_ID = 1 << 3;
        /// OpenFlow 1.1.
        const OF11 = 1 << 4;
        /// OpenFlow 1.2.
        const OF12 = 1 << 5;
        /// OpenFlow 1.3.
        const OF13 = 1 << 6;
        /// OpenFlow 1.4.
        const OF14 = 1 << 7;
        /// OpenFlow 1.5.
        const OF15 = 1 << 8;

        /// Both forms of OpenFlow 1.0.
        const OF10_ANY = Self::OF10.bits() | Self::OF10_TABLE_ID.bits();
        /// Both forms of Nicira's extensible match.
        const NXM = Self::NXM_PLAIN.bits() | Self::NXM_TABLE_ID.bits();
        /// OpenFlow's extensible match.
        const OXM = Self::OF12.bits() | Self::OF13_UP.bits();
        /// From OpenFlow 1.1 on.
        const OF11_UP = Self::OF11.bits() | Self::OXM.bits();
        /// From OpenFlow 1.3 on.
        const OF13_UP = Self::OF13.bits() | Self::OF14.bits() | Self::OF15.bits();
        /// Those in whose flow mods a table can be named.
        const WITH_TABLE = Self::OF10_TABLE_ID.bits() | Self::NXM_TABLE_ID.bits() | Self::OF11_UP.bits();
    }
}

/// Names of single protocols, and before them of sets that have one.
const NAMES: &[(Protocols, &str)] = &[
    (Protocols::all(), "any"),
    (Protocols::OF10_ANY, "OpenFlow10"),
    (Protocols::NXM, "NXM"),
    (Protocols::OXM, "OXM"),
    (Protocols::OF10, "OpenFlow10-table_id"),
    (Protocols::OF10_TABLE_ID, "OpenFlow10+table_id"),
    (Protocols::NXM_PLAIN, "NXM-table_id"),
    (Protocols::NXM_TABLE_ID, "NXM+table_id"),
    (Protocols::OF11, "OpenFlow11"),
    (Protocols::OF12, "OXM-OpenFlow12"),
    (Protocols::OF13, "OXM-OpenFlow13"),
    (Protocols::OF14, "OXM-OpenFlow14"),
    (Protocols::OF15, "OXM-OpenFlow15"),
];

impl Protocols {
    /// Those in which a field can be matched; `mask` is its mask, if not all of it is matched.
    ///
    /// Source: ovs-fields(7); `meta-flow.h` of Open vSwitch 3.1.
    pub(super) fn of_field(field: Field, mask: Option<FieldValue>) -> Self {
        let extensible = Self::NXM | Self::OXM;
        let Some(mask) = mask else {
            return match field {
                field::NX_IN_PORT
                | field::ETH_SRC
                | field::ETH_DST
                | field::ETH_TYPE
                | field::VLAN_TCI
                | field::VLAN_VID
                | field::VLAN_PCP
                | field::IPV4_SRC
                | field::IPV4_DST
                | field::IP_PROTO
                | field::IP_DSCP
                | field::NW_TOS
                | field::ARP_OP
                | field::ARP_SPA
                | field::ARP_TPA
                | field::TCP_SRC
                | field::TCP_DST
                | field::UDP_SRC
                | field::UDP_DST
                | field::ICMPV4_TYPE
                | field::ICMPV4_CODE => Self::all(),
                field::IN_PORT | field::MPLS_LABEL | field::MPLS_TC | field::METADATA | field::IP_ECN => {
                    extensible | Self::OF11
                }
                field::SCTP_SRC | field::SCTP_DST => extensible | Self::OF11,
                _ => extensible,
            };
        };
        let bits = mask.to_u32();
        let is_prefix = (!bits).wrapping_add(1) & !bits == 0;
        match field {
            _ if mask == FieldValue::ZERO => Self::all(),
            field::IPV4_SRC | field::IPV4_DST | field::ARP_SPA | field::ARP_TPA if is_prefix => Self::all(),
            field::IPV4_SRC
            | field::IPV4_DST
            | field::ARP_SPA
            | field::ARP_TPA
            | field::ETH_SRC
            | field::ETH_DST
            | field::METADATA => extensible | Self::OF11,
            _ => extensible,
        }
    }
}

impl fmt::Display for Protocols {
    /// As ovs-ofctl prints them: `NXM,OXM,OpenFlow11`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut left = *self;
        let mut separator = "";
        for (protocols, name) in NAMES {
            if left.contains(*protocols) {
                write!(f, "{separator}{name}")?;
                left -= *protocols;
                separator = ",";
                if left.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_with_a_name_are_printed_by_it() {
        assert_eq!(Protocols::all().to_string(), "any");
        assert_eq!(Protocols::empty().to_string(), "none");
        assert_eq!(Protocols::WITH_TABLE.to_string(), "OXM,OpenFlow10+table_id,NXM+table_id,OpenFlow11");
        assert_eq!(Protocols::OF13_UP.to_string(), "OXM-OpenFlow13,OXM-OpenFlow14,OXM-OpenFlow15");
    }
}
