//! Where a field lies among the fields that share its place, and what a match says of it, as `--sort` compares them.

use flowlib::openflow::oxm::{Packets, Prerequisite, field};
use flowlib::openflow::{Field, Match};
use flowlib::text::find_field;

/// What a flow is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Whether the flow's packets have the field and it matches on a bit of it.
    pub(super) is_matched: bool,
    /// What lies in its place, whichever field has put it there.
    pub(super) value: u128,
}

/// A field by which flows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ofctl) struct Column {
    place: Place,
    prerequisite: Prerequisite,
}

impl Column {
    /// By its name in ovs-fields(7).
    pub(super) fn of(name: &str) -> Option<Self> {
        let field = match name {
            "dl_vlan" => {
                let place = Place { shared: field::VLAN_TCI, from: 4, n_bits: 12 };
                return Some(Self { place, prerequisite: Prerequisite::Ethernet });
            }
            "nw_tos" => field::IP_DSCP,
            // Names on the wire are in capital letters.
            name => find_field(name).filter(|_| !name.starts_with(|c: char| c.is_ascii_uppercase()))?,
        };
        Some(Self { place: Place::of(field), prerequisite: field.info().prerequisite })
    }

    /// What a match says of it.
    ///
    /// Source: `compare_flows` in `utilities/ovs-ofctl.c` of Open vSwitch.
    pub(super) fn key(self, flow_match: &Match) -> Key {
        if let Some(entry) = flow_match.wide().iter().find(|entry| entry.field == self.place.shared) {
            let value = entry.value.iter().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
            return Key { is_matched: true, value };
        }
        let (mut value, mut mask) = (0, 0);
        for entry in flow_match.iter() {
            let place = Place::of(entry.field);
            if place.shared == self.place.shared {
                value |= self.place.cut(place, entry.value.to_u128());
                mask |= self.place.cut(place, entry.mask.unwrap_or(entry.field.full_mask()).to_u128());
            }
        }
        Key { is_matched: mask != 0 && Packets::of(flow_match).has(self.prerequisite), value }
    }
}

/// Some bits of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The field that stands for all that share the place.
    shared: Field,
    /// The first bit, counted from the front.
    from: u16,
    n_bits: u16,
}

impl Place {
    fn of(field: Field) -> Self {
        let n_bits = field.n_bits();
        let at = |shared, from| Self { shared, from, n_bits };
        for (kind, width) in [("reg", 32), ("xreg", 64), ("xxreg", 128)] {
            if let Some(n) = field.name().strip_prefix(kind).and_then(|n| n.parse::<u16>().ok()) {
                return at(field::REG0, n * width);
            }
        }
        match field {
            field::NX_IN_PORT => at(field::IN_PORT, 16),
            field::VLAN_PCP => at(field::VLAN_TCI, 0),
            field::VLAN_VID => Self { shared: field::VLAN_TCI, from: 3, n_bits: 13 },
            field::IP_ECN => at(field::NW_TOS, 6),
            field::IP_DSCP => at(field::NW_TOS, 0),
            field::ARP_SPA => at(field::IPV4_SRC, 0),
            field::ARP_TPA => at(field::IPV4_DST, 0),
            field::IP_PROTO | field::ARP_OP => at(field::ARP_OP, 16 - n_bits),
            field::ND_SLL => at(field::ARP_SHA, 0),
            field::ND_TLL => at(field::ARP_THA, 0),
            field::UDP_SRC | field::SCTP_SRC | field::ICMPV4_TYPE | field::ICMPV6_TYPE => {
                at(field::TCP_SRC, 16 - n_bits)
            }
            field::UDP_DST | field::SCTP_DST | field::ICMPV4_CODE | field::ICMPV6_CODE => {
                at(field::TCP_DST, 16 - n_bits)
            }
            _ => at(field, 0),
        }
    }

    /// Of the bits of another place that is shared with this one, those that are here.
    fn cut(self, other: Self, bits: u128) -> u128 {
        let (end, other_end) = (self.from + self.n_bits, other.from + other.n_bits);
        let moved = match other_end.checked_sub(end) {
            Some(behind) => bits.checked_shr(behind.into()),
            None => bits.checked_shl((end - other_end).into()),
        };
        moved.unwrap_or(0) & u128::MAX >> 128_u16.saturating_sub(self.n_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlib::text::parse_flow;

    #[test]
    fn fields_that_share_a_place_are_seen_through_each_other() {
        for (flow, field, is_matched, value) in [
            ("arp,arp_spa=10.0.0.1", "nw_src", false, 0x0a00_0001),
            ("arp,arp_op=2", "nw_proto", false, 2),
            ("udp,tp_dst=53", "tcp_dst", false, 53),
            ("udp,tp_dst=53", "udp_dst", true, 53),
            ("icmp,icmp_type=8", "tcp_src", false, 8),
            ("reg1=7", "xreg0", true, 7),
            ("reg0=7", "xxreg0", true, 7 << 96),
            ("reg4=7", "xxreg0", false, 0),
            ("xreg1=0x200000003", "reg3", true, 3),
            ("xxreg0=0x200000003", "reg2", true, 2),
            ("dl_vlan=100", "vlan_tci", true, 0x1064),
            ("vlan_tci=0x1064/0x1fff", "vlan_vid", true, 0x1064),
            ("vlan_tci=0x1000/0x1000", "vlan_vid", true, 0x1000),
            ("vlan_tci=0x1000/0x1000", "dl_vlan", false, 0),
            ("ip,nw_tos=32", "nw_tos", true, 8),
            ("ip,nw_ecn=2", "nw_tos", false, 0),
            ("tun_metadata1=0x1234", "tun_metadata1", true, 0x1234),
            ("ip,nw_src=10.1.0.0/16", "nw_src", true, 0x0a01_0000),
            ("ip", "nw_src", false, 0),
        ] {
            let flow_match = parse_flow(&format!("{flow},actions=drop")).unwrap().flow_match;
            assert_eq!(
                Column::of(field).unwrap().key(&flow_match),
                Key { is_matched, value },
                "{field} of {flow}"
            );
        }
        assert!(["colour", "NXM_NX_REG0", "ip", "cookie"].iter().all(|name| Column::of(name).is_none()));
    }
}
