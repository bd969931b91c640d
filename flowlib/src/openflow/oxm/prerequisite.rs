//! What is known of packets, and which fields they have.

use super::{Field, FieldValue, Match, Prerequisite, field};

/// A field of a match that its packets do not have. It is answered by OFPBMC_BAD_PREREQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} needs {} in the same match", .field.info().prerequisite.needs())]
pub struct MissingPrerequisite {
    /// The field.
    pub field: Field,
}

impl Prerequisite {
    /// What has to be matched for the field to exist, as text says it.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Ethernet => "packets with an Ethernet header (packet_type=(0,0))",
            Self::Vlan => "a VLAN tag (dl_vlan or vlan_tci=0x1000/0x1000)",
            Self::Mpls => "mpls or mplsm",
            Self::Arp => "arp or rarp",
            Self::Ip => "ip or ipv6",
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ipv6",
            Self::Tcp => "tcp or tcp6",
            Self::Udp => "udp or udp6",
            Self::Sctp => "sctp or sctp6",
            Self::Icmpv4 => "icmp",
            Self::Icmpv6 => "icmp6",
            Self::Nd => "icmp6,icmp_type=135 or 136,icmp_code=0",
            Self::NdSolicit => "icmp6,icmp_type=135,icmp_code=0",
            Self::NdAdvert => "icmp6,icmp_type=136,icmp_code=0",
            Self::Nsh => "dl_type=0x894f",
            Self::Ct => "a state of a connection, as ct_state=+trk-inv or ct_state=+est",
        }
    }
}

/// What is known of the packets that a flow is for, before and between its actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// The namespace in the upper 16 bits; [`Packets::UNKNOWN`] if it is not known.
    pub(crate) packet_type: u32,
    /// The ethertype of an Ethernet packet; 0: not known.
    pub(crate) dl_type: u16,
    /// The IP protocol, or the ARP operation; 0: not known.
    pub(crate) nw_proto: u8,
    /// How many VLAN tags there are at least.
    pub(crate) n_tags: u8,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    is_later_fragment: bool,
    ct_state: u32,
    ct_state_mask: u32,
    /// Whether they are taken to have every field.
    is_any: bool,
}

const ETHERNET: u32 = 0;
const ETHERTYPE_NAMESPACE: u32 = 1;
const CT_TRACKED: u32 = 1 << 5;
/// new, est, rel, rpl, snat and dnat.
const CT_IMPLIED: u32 = 0xcf;
const CT_INVALID: u32 = 1 << 4;

impl Packets {
    /// A kind of packet that is not known.
    pub(crate) const UNKNOWN: u32 = u32::MAX;

    /// Packets that are taken to have every field: those of groups and packet-outs.
    #[must_use]
    pub fn any() -> Self {
        Self { is_any: true, ..Self::of(&Match::new()) }
    }

    /// The packets that `flow_match` is for.
    #[must_use]
    pub fn of(flow_match: &Match) -> Self {
        let exact = |field| flow_match.exact(field);
        let number = |field| exact(field).map(FieldValue::to_u16);
        let has_bits = |field: Field, bits: u16| {
            flow_match.get(field).is_some_and(|entry| entry.value.to_u16() & bits == bits)
        };
        let is_tagged = has_bits(field::VLAN_VID, super::VLAN_PRESENT)
            || has_bits(field::VLAN_TCI, super::VLAN_PRESENT)
            || flow_match.get(field::VLAN_PCP).is_some();
        let ct_state = flow_match.get(field::CT_STATE);
        let byte = |field| number(field).map(|number| number as u8);
        Self {
            packet_type: exact(field::PACKET_TYPE).map_or(ETHERNET, FieldValue::to_u32),
            dl_type: number(field::ETH_TYPE).unwrap_or(0),
            nw_proto: byte(field::IP_PROTO).or_else(|| byte(field::ARP_OP)).unwrap_or(0),
            n_tags: u8::from(is_tagged),
            icmp_type: byte(field::ICMPV6_TYPE),
            icmp_code: byte(field::ICMPV6_CODE),
            is_later_fragment: has_bits(field::IP_FRAG, 2),
            ct_state: ct_state.map_or(0, |entry| entry.value.to_u32()),
            ct_state_mask: ct_state.map_or(0, |entry| entry.mask.unwrap_or(entry.field.full_mask()).to_u32()),
            is_any: false,
        }
    }

    /// The ethertype, whether it stands in an Ethernet header or in the packet's type.
    #[must_use]
    pub fn ethertype(&self) -> u16 {
        match self.packet_type {
            ETHERNET => self.dl_type,
            other if other >> 16 == ETHERTYPE_NAMESPACE => other as u16,
            _ => 0,
        }
    }

    /// The IP protocol, if they are known to be of one.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        (self.is_ip() && !self.is_later_fragment && self.nw_proto != 0).then_some(self.nw_proto)
    }

    /// Whether they are known to have a VLAN tag.
    #[must_use]
    pub fn has_tag(&self) -> bool {
        self.n_tags > 0
    }

    /// Whether they are known to be IPv4 or IPv6.
    #[must_use]
    pub fn is_ip(&self) -> bool {
        matches!(self.ethertype(), 0x0800 | 0x86dd)
    }

    /// Whether they are known to be MPLS.
    #[must_use]
    pub fn is_mpls(&self) -> bool {
        matches!(self.ethertype(), 0x8847 | 0x8848)
    }

    /// Whether they are known to have no state of a connection.
    pub(crate) fn is_invalid_connection(&self) -> bool {
        self.ct_state & CT_INVALID != 0
    }

    /// Whether they are known to have what a field needs.
    ///
    /// Source: `mf_are_prereqs_ok` in `lib/meta-flow.c` of Open vSwitch 3.1.
    #[must_use]
    pub fn has(&self, prerequisite: Prerequisite) -> bool {
        if self.is_any {
            return true;
        }
        let of_protocol = |protocol| self.protocol() == Some(protocol);
        let is_icmpv6 = self.ethertype() == 0x86dd && of_protocol(58);
        let is_discovery = |icmp_type| {
            is_icmpv6 && self.icmp_type == Some(icmp_type) && self.icmp_code.is_none_or(|code| code == 0)
        };
        match prerequisite {
            Prerequisite::None => true,
            Prerequisite::Ethernet => self.packet_type == ETHERNET,
            Prerequisite::Vlan => self.packet_type == ETHERNET && self.n_tags > 0,
            Prerequisite::Mpls => self.is_mpls(),
            Prerequisite::Arp => matches!(self.ethertype(), 0x0806 | 0x8035),
            Prerequisite::Ip => self.is_ip(),
            Prerequisite::Ipv4 => self.ethertype() == 0x0800,
            Prerequisite::Ipv6 => self.ethertype() == 0x86dd,
            Prerequisite::Tcp => of_protocol(6),
            Prerequisite::Udp => of_protocol(17),
            Prerequisite::Sctp => of_protocol(132),
            Prerequisite::Icmpv4 => self.ethertype() == 0x0800 && of_protocol(1),
            Prerequisite::Icmpv6 => is_icmpv6,
            Prerequisite::Nd => is_discovery(135) || is_discovery(136),
            Prerequisite::NdSolicit => is_discovery(135),
            Prerequisite::NdAdvert => is_discovery(136),
            Prerequisite::Nsh => self.dl_type == 0x894f || self.packet_type == 0x0001_894f,
            Prerequisite::Ct => self.is_of_connection(),
        }
    }

    /// Whether they are known to belong to a connection: by a state that implies one, or by not being invalid.
    fn is_of_connection(&self) -> bool {
        let tested = self.ct_state & self.ct_state_mask;
        let is_valid = self.ct_state_mask & CT_INVALID != 0 && self.ct_state & CT_INVALID == 0;
        tested & CT_IMPLIED != 0 || tested & CT_TRACKED != 0 && is_valid
    }
}

impl Match {
    /// Checks that its packets have every field of it.
    ///
    /// # Errors
    /// Names a field they do not have.
    pub fn check(&self) -> Result<(), MissingPrerequisite> {
        let packets = Packets::of(self);
        match self.iter().find(|entry| !packets.has(entry.field.info().prerequisite)) {
            Some(entry) => Err(MissingPrerequisite { field: entry.field }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_needs_its_protocol() {
        let tcp = Match::new().with(field::ETH_TYPE, 0x800_u16).with(field::IP_PROTO, 6_u8);
        let with_port = tcp.clone().with(field::TCP_SRC, 80_u16);
        assert_eq!(with_port.check(), Ok(()));
        let later = with_port.with_masked(field::IP_FRAG, 3_u8, 3_u8);
        let error = later.check().unwrap_err();
        assert_eq!(error.to_string(), "tcp_src needs tcp or tcp6 in the same match");
        assert!(tcp.with(field::UDP_SRC, 80_u16).check().is_err());
    }

    #[test]
    fn a_priority_needs_no_other_field() {
        assert_eq!(Match::new().with(field::VLAN_PCP, 3_u8).check(), Ok(()));
        assert!(Match::new().with(field::MPLS_TC, 3_u8).check().is_err());
    }
}
