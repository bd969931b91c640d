//! What a flow can match of a packet.

use crate::openflow::Field;
use crate::types::{MacAddr, PortNo};

/// Ethertypes that mean something here. Source: IEEE 802 Numbers (IANA).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// An 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// An 802.1ad service tag.
    pub const VLAN_SERVICE: u16 = 0x88a8;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// An MPLS label.
    pub const MPLS: u16 = 0x8847;
    /// An MPLS label assigned upstream.
    pub const MPLS_MULTICAST: u16 = 0x8848;
    /// A network service header.
    pub const NSH: u16 = 0x894f;
    /// What Open vSwitch says of a frame without an ethertype.
    pub const NONE: u16 = 0x05ff;

    /// Whether a tag of 802.1Q follows.
    #[must_use]
    pub fn is_vlan(ethertype: u16) -> bool {
        matches!(ethertype, VLAN | VLAN_SERVICE)
    }

    /// Whether a stack of labels follows.
    #[must_use]
    pub fn is_mpls(ethertype: u16) -> bool {
        matches!(ethertype, MPLS | MPLS_MULTICAST)
    }

    /// Whether it is IP of any version.
    #[must_use]
    pub fn is_ip(ethertype: u16) -> bool {
        matches!(ethertype, IPV4 | IPV6)
    }
}

/// Protocol numbers of IP that mean something here. Source: Protocol Numbers (IANA).
pub mod protocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_OPTIONS: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION_OPTIONS: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// All that a flow can match of a packet; what the packet does not have is zero.
///
/// Fields that no packet has at once share a place, as in Open vSwitch: ARP's addresses are `nw_src` and `nw_dst`,
/// its operation is `nw_proto`, the link-layer addresses of neighbour discovery are `arp_sha` and `arp_tha`, types
/// and codes of ICMP and IGMP are `tp_src` and `tp_dst`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Key {
    /// Of the tunnel that it came by, or will go by.
    pub tunnel: Tunnel,
    /// `metadata`.
    pub metadata: u64,
    /// `reg0` to `reg15`.
    pub regs: [u32; 16],
    /// The queue of later outputs (`skb_priority`); 0: none.
    pub queue: u32,
    /// `pkt_mark`.
    pub pkt_mark: u32,
    /// `dp_hash`.
    pub dp_hash: u32,
    /// `in_port`.
    pub in_port: PortNo,
    /// `recirc_id`.
    pub recirc_id: u32,
    /// Of its connection.
    pub ct: Conntrack,
    /// `conj_id`.
    pub conj_id: u32,
    /// `actset_output`.
    pub actset_output: PortNo,
    /// `packet_type`: name space in the upper half, type in the lower; 0 is Ethernet.
    pub packet_type: u32,
    /// Source of the Ethernet frame.
    pub eth_src: MacAddr,
    /// Destination of the Ethernet frame.
    pub eth_dst: MacAddr,
    /// Its ethertype, behind all tags that are in `vlans`.
    pub eth_type: u16,
    /// Its tags, the outermost first.
    pub vlans: [VlanTag; Key::MAX_VLANS],
    /// Its MPLS labels, the outermost first: label 20 bits, traffic class 3, bottom of stack 1, TTL 8.
    pub mpls: [u32; Key::MAX_LABELS],
    /// Source address of IPv4 or ARP.
    pub nw_src: u32,
    /// Destination address of IPv4 or ARP.
    pub nw_dst: u32,
    /// Source address of IPv6.
    pub ipv6_src: u128,
    /// Destination address of IPv6.
    pub ipv6_dst: u128,
    /// Flow label of IPv6, 20 bits.
    pub ipv6_label: u32,
    /// [`Key::FRAG_ANY`], [`Key::FRAG_LATER`].
    pub nw_frag: u8,
    /// DSCP 6 bits, ECN 2 bits.
    pub nw_tos: u8,
    /// TTL or hop limit.
    pub nw_ttl: u8,
    /// Protocol above IP, or operation of ARP.
    pub nw_proto: u8,
    /// Target of neighbour discovery.
    pub nd_target: u128,
    /// Sender's hardware address.
    pub arp_sha: MacAddr,
    /// Target's hardware address.
    pub arp_tha: MacAddr,
    /// Flags of TCP, 12 bits; in neighbour discovery the type of the first option with an address.
    pub tcp_flags: u16,
    /// Source port, or type of ICMP.
    pub tp_src: u16,
    /// Destination port, or code of ICMP.
    pub tp_dst: u16,
    /// Group address of IGMP, or the reserved word of neighbour discovery.
    pub igmp_group: u32,
    /// Of the network service header.
    pub nsh: Nsh,
}

impl Key {
    /// How many tags it holds.
    pub const MAX_VLANS: usize = 2;
    /// How many MPLS labels it holds.
    pub const MAX_LABELS: usize = 3;
    /// In `nw_frag`: a fragment.
    pub const FRAG_ANY: u8 = 1;
    /// In `nw_frag`: a fragment that is not the first.
    pub const FRAG_LATER: u8 = 2;
    /// Bottom of the stack, in a label.
    pub const MPLS_BOTTOM: u32 = 1 << 8;

    /// Whether it is an Ethernet frame and not a bare packet of some other layer.
    #[must_use]
    pub fn is_ethernet(&self) -> bool {
        self.packet_type == 0
    }

    /// How many tags it has.
    #[must_use]
    pub fn n_vlans(&self) -> usize {
        self.vlans.iter().take_while(|tag| tag.is_present()).count()
    }

    /// How many labels it has, as far as is known.
    #[must_use]
    pub fn n_labels(&self) -> usize {
        if !ethertype::is_mpls(self.eth_type) {
            return 0;
        }
        match self.mpls.iter().position(|label| label & Self::MPLS_BOTTOM != 0) {
            Some(bottom) => bottom + 1,
            None => self.mpls.iter().filter(|label| **label != 0).count(),
        }
    }

    /// Whether it is a neighbour solicitation or advertisement.
    #[must_use]
    pub fn is_neighbour_discovery(&self) -> bool {
        self.eth_type == ethertype::IPV6
            && self.nw_proto == protocol::ICMPV6
            && self.nw_frag & Self::FRAG_LATER == 0
            && matches!(self.tp_src, 135 | 136)
            && self.tp_dst == 0
    }
}

/// A tag of 802.1Q.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct VlanTag {
    /// Its ethertype.
    pub tpid: u16,
    /// Priority 3 bits, one bit that is set if there is a tag, VLAN 12 bits.
    pub tci: u16,
}

impl VlanTag {
    /// Set in the TCI of every tag there is.
    pub const PRESENT: u16 = 0x1000;

    /// Whether there is one.
    #[must_use]
    pub fn is_present(self) -> bool {
        self.tci & Self::PRESENT != 0
    }

    /// The VLAN, 12 bits.
    #[must_use]
    pub fn vid(self) -> u16 {
        self.tci & 0xfff
    }

    /// The priority, 3 bits.
    #[must_use]
    pub fn pcp(self) -> u8 {
        (self.tci >> 13) as u8
    }
}

/// What is known of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct Tunnel {
    pub id: u64,
    pub src: u32,
    pub dst: u32,
    pub ipv6_src: u128,
    pub ipv6_dst: u128,
    /// See [`Tunnel::CSUM`] and its like.
    pub flags: u16,
    pub tos: u8,
    pub ttl: u8,
    pub gbp_id: u16,
    pub gbp_flags: u8,
    pub erspan_ver: u8,
    pub erspan_idx: u32,
    pub erspan_dir: u8,
    pub erspan_hwid: u8,
    pub gtpu_flags: u8,
    pub gtpu_msgtype: u8,
    /// `tun_metadata0` to `tun_metadata63`: those that are there, by number.
    pub options: Vec<TunnelOption>,
}

/// One of a tunnel's options.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TunnelOption {
    /// The field.
    pub field: Field,
    /// Its value, big-endian.
    pub value: Box<[u8]>,
}

impl Tunnel {
    /// In `flags`: the outer header is not to be fragmented.
    pub const DONT_FRAGMENT: u16 = 1;
    /// In `flags`: the outer UDP has a checksum.
    pub const CSUM: u16 = 1 << 1;
    /// In `flags`: there is a key.
    pub const KEY: u16 = 1 << 2;
    /// In `flags`: OAM.
    pub const OAM: u16 = 1 << 3;

    /// Whether it leads anywhere.
    #[must_use]
    pub fn has_destination(&self) -> bool {
        self.dst != 0 || self.ipv6_dst != 0
    }
}

/// What is known of a packet's connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct Conntrack {
    /// See [`Conntrack::NEW`] and its like.
    pub state: u32,
    pub zone: u16,
    pub mark: u32,
    pub label: u128,
    /// Of the connection's first packet, as it was before any translation.
    pub nw_proto: u8,
    pub nw_src: u32,
    pub nw_dst: u32,
    pub ipv6_src: u128,
    pub ipv6_dst: u128,
    pub tp_src: u16,
    pub tp_dst: u16,
}

impl Conntrack {
    /// The first packet of a connection that is not committed.
    pub const NEW: u32 = 1;
    /// Of a connection that was answered.
    pub const ESTABLISHED: u32 = 1 << 1;
    /// Related to a connection.
    pub const RELATED: u32 = 1 << 2;
    /// In the direction of the answer.
    pub const REPLY: u32 = 1 << 3;
    /// No connection can be told.
    pub const INVALID: u32 = 1 << 4;
    /// Has been through the connection tracker.
    pub const TRACKED: u32 = 1 << 5;
    /// Its source was translated.
    pub const SRC_NAT: u32 = 1 << 6;
    /// Its destination was translated.
    pub const DST_NAT: u32 = 1 << 7;
}

/// A network service header. Source: RFC 8300 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs)]
pub struct Nsh {
    /// 2 bits.
    pub flags: u8,
    /// 6 bits.
    pub ttl: u8,
    pub mdtype: u8,
    pub next_proto: u8,
    /// Service path identifier 24 bits, service index 8 bits.
    pub path: u32,
    pub context: [u32; 4],
}
