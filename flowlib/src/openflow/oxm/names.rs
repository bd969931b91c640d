//! Fields by name.

use super::{Field, field, registry};

/// Names that are not in the registry: those of the other family, and others of ovs-fields(7).
const ALIASES: &[(&str, Field)] = &[
    ("dl_src", field::ETH_SRC),
    ("dl_dst", field::ETH_DST),
    ("dl_type", field::ETH_TYPE),
    ("nw_src", field::IPV4_SRC),
    ("nw_dst", field::IPV4_DST),
    ("tp_src", field::TCP_SRC),
    ("tp_dst", field::TCP_DST),
    ("ip_proto", field::IP_PROTO),
    ("ip_ecn", field::IP_ECN),
    ("nw_frag", field::IP_FRAG),
    ("dl_vlan_pcp", field::VLAN_PCP),
    ("tunnel_id", field::TUNNEL_ID),
    ("nsp", field::NSH_SPI),
    ("nsi", field::NSH_SI),
    ("nshc1", field::NSH_C1),
    ("nshc2", field::NSH_C2),
    ("nshc3", field::NSH_C3),
    ("nshc4", field::NSH_C4),
    ("OXM_OF_ETH_SRC", field::ETH_SRC),
    ("OXM_OF_ETH_DST", field::ETH_DST),
    ("OXM_OF_ETH_TYPE", field::ETH_TYPE),
    ("OXM_OF_IPV4_SRC", field::IPV4_SRC),
    ("OXM_OF_IPV4_DST", field::IPV4_DST),
    ("OXM_OF_IPV6_SRC", field::IPV6_SRC),
    ("OXM_OF_IPV6_DST", field::IPV6_DST),
    ("OXM_OF_IPV6_FLABEL", field::IPV6_FLABEL),
    ("OXM_OF_IP_PROTO", field::IP_PROTO),
    ("OXM_OF_IP_ECN", field::IP_ECN),
    ("OXM_OF_TCP_SRC", field::TCP_SRC),
    ("OXM_OF_TCP_DST", field::TCP_DST),
    ("OXM_OF_TCP_FLAGS", field::TCP_FLAGS),
    ("ONFOXM_ET_TCP_FLAGS", field::TCP_FLAGS),
    ("OXM_OF_ACTSET_OUTPUT", field::ACTSET_OUTPUT),
    ("OXM_OF_UDP_SRC", field::UDP_SRC),
    ("OXM_OF_UDP_DST", field::UDP_DST),
    ("OXM_OF_ICMPV4_TYPE", field::ICMPV4_TYPE),
    ("OXM_OF_ICMPV4_CODE", field::ICMPV4_CODE),
    ("OXM_OF_ICMPV6_TYPE", field::ICMPV6_TYPE),
    ("OXM_OF_ICMPV6_CODE", field::ICMPV6_CODE),
    ("OXM_OF_ARP_OP", field::ARP_OP),
    ("OXM_OF_ARP_SPA", field::ARP_SPA),
    ("OXM_OF_ARP_TPA", field::ARP_TPA),
    ("OXM_OF_ARP_SHA", field::ARP_SHA),
    ("OXM_OF_ARP_THA", field::ARP_THA),
    ("OXM_OF_IPV6_ND_TARGET", field::ND_TARGET),
    ("OXM_OF_IPV6_ND_SLL", field::ND_SLL),
    ("OXM_OF_IPV6_ND_TLL", field::ND_TLL),
    ("OXM_OF_TUNNEL_ID", field::TUNNEL_ID),
];

const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// Places of names, each at its hash or, if that place is taken, at the next free one: an alias has its number, a
/// field's name comes behind all aliases, its other name behind all fields'.
static TABLE: [u16; SLOTS] = table();

const fn table() -> [u16; SLOTS] {
    let mut table = [EMPTY; SLOTS];
    let mut number = 0;
    while number < ALIASES.len() + 2 * registry::COUNT {
        let (name, _) = entry(number);
        let mut slot = hash(name.as_bytes());
        while table[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = number as u16;
        number += 1;
    }
    table
}

/// A name by its number, and its field.
const fn entry(number: usize) -> (&'static str, Field) {
    if number < ALIASES.len() {
        return ALIASES[number];
    }
    let place = number - ALIASES.len();
    if place < registry::COUNT {
        (registry::REGISTRY[place].name, Field(place as u16))
    } else {
        let place = place - registry::COUNT;
        (registry::REGISTRY[place].nxm_name, Field(place as u16))
    }
}

/// FNV-1a.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ hash >> 15) as usize % SLOTS
}

impl Field {
    /// Every name that a field is found by.
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        (0..ALIASES.len() + 2 * registry::COUNT).map(|number| entry(number).0)
    }

    /// The field of that name: its own, one it had, or one on the wire (`eth_src`, `dl_src`, `NXM_OF_ETH_SRC`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut slot = hash(name.as_bytes());
        loop {
            match TABLE[slot] {
                EMPTY => return None,
                number => match entry(usize::from(number)) {
                    (known, field) if known == name => return Some(field),
                    _ => slot = (slot + 1) % SLOTS,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_field() {
        for known in Field::all() {
            assert_eq!(Field::from_name(known.name()), Some(known));
            assert_eq!(Field::from_name(known.info().nxm_name), Some(known));
        }
        for (alias, known) in ALIASES {
            assert_eq!(Field::from_name(alias), Some(*known));
        }
        assert_eq!(Field::from_name("reg16"), None);
        assert_eq!(Field::from_name(""), None);
    }
}
