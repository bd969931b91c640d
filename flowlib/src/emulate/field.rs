//! Fields of a packet as actions read and write them.

use crate::openflow::oxm::{Prerequisite, field};
use crate::openflow::{Field, FieldValue, SubField};
use crate::packet::{Conntrack, Key, ethertype, protocol};

/// Whether a packet has what a field needs.
///
/// Source: `mf_are_prereqs_ok__` in `lib/meta-flow.c` of Open vSwitch 3.1.
pub(super) fn exists(key: &Key, field: Field) -> bool {
    let is_ip = ethertype::is_ip(key.eth_type);
    let carries = |proto| is_ip && key.nw_proto == proto && key.nw_frag & Key::FRAG_LATER == 0;
    match field.info().prerequisite {
        Prerequisite::None => true,
        Prerequisite::Ethernet => key.is_ethernet(),
        Prerequisite::Vlan => key.is_ethernet() && key.vlans[0].is_present(),
        Prerequisite::Mpls => ethertype::is_mpls(key.eth_type),
        Prerequisite::Arp => matches!(key.eth_type, ethertype::ARP | ethertype::RARP),
        Prerequisite::Ip => is_ip,
        Prerequisite::Ipv4 => key.eth_type == ethertype::IPV4,
        Prerequisite::Ipv6 => key.eth_type == ethertype::IPV6,
        Prerequisite::Tcp => carries(protocol::TCP),
        Prerequisite::Udp => carries(protocol::UDP),
        Prerequisite::Sctp => carries(protocol::SCTP),
        Prerequisite::Icmpv4 => key.eth_type == ethertype::IPV4 && carries(protocol::ICMP),
        Prerequisite::Icmpv6 => key.eth_type == ethertype::IPV6 && carries(protocol::ICMPV6),
        Prerequisite::Nd => key.is_neighbour_discovery(),
        Prerequisite::NdSolicit => key.is_neighbour_discovery() && key.tp_src == 135,
        Prerequisite::NdAdvert => key.is_neighbour_discovery() && key.tp_src == 136,
        Prerequisite::Nsh => key.eth_type == ethertype::NSH,
        Prerequisite::Ct => {
            key.ct.state & Conntrack::TRACKED != 0
                && key.ct.state & (Conntrack::NEW | Conntrack::INVALID) == 0
                || key.ct.state & (Conntrack::TRACKED | Conntrack::INVALID) == Conntrack::TRACKED
        }
    }
}

/// The value of some bits.
pub(super) fn read(key: &Key, sub: SubField) -> FieldValue {
    sub.of(key.get(sub.field))
}

/// Gives some bits a value.
pub(super) fn write(key: &mut Key, sub: SubField, value: FieldValue) {
    let mask = FieldValue::ones(sub.n_bits).to_u128().checked_shl(sub.start_bit.into()).unwrap_or(0);
    let value = value.to_u128().checked_shl(sub.start_bit.into()).unwrap_or(0);
    write_masked(key, sub.field, value.into(), mask.into());
}

/// Gives those bits of a field a value that `mask` has.
pub(super) fn write_masked(key: &mut Key, field: Field, value: FieldValue, mask: FieldValue) {
    let (old, mask) = (key.get(field).to_u128(), mask.to_u128());
    key.set(field, (old & !mask | value.to_u128() & mask).into());
}

/// Whether it belongs to the network layer or one above.
///
/// Source: `mf_is_l3_or_higher` in `lib/meta-flow.c` of Open vSwitch 3.1: all fields behind those of MPLS.
pub(super) fn is_network_or_above(field: Field) -> bool {
    let is_header = !matches!(
        field.info().prerequisite,
        Prerequisite::None | Prerequisite::Ethernet | Prerequisite::Vlan
    );
    is_header && !matches!(field, field::MPLS_LABEL | field::MPLS_TC | field::MPLS_BOS | field::MPLS_TTL)
}
