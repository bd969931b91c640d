//! Packets in one line.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::printer::Printer;
use super::put;
use crate::packet::{Key, Nsh, Packet, VlanTag, ethertype, protocol};

/// Appends a packet's headers and its checksum, and ends the line. Without a `packet_type` it is an Ethernet frame.
///
/// Source: `ofp_packet_to_string` in `lib/ofp-print.c` of Open vSwitch 3.1.
pub(super) fn format(p: &mut Printer<'_>, bytes: &[u8], packet_type: u32) {
    let packet = if packet_type == 0 { Packet::parse(bytes) } else { Packet::parse_bare(bytes, packet_type) };
    format_key(p, &packet.key);
    let (name, at, header_len) = match packet.key.nw_proto {
        protocol::TCP => ("tcp_csum", 16..18, 20),
        protocol::UDP => ("udp_csum", 6..8, 8),
        protocol::SCTP => ("sctp_csum", 8..12, 12),
        protocol::ICMP => ("icmp_csum", 2..4, 8),
        protocol::ICMPV6 => ("icmp6_csum", 2..4, 4),
        _ => ("", 0..0, 0),
    };
    let header = packet.transport.filter(|transport| transport.len() >= header_len);
    if let Some([high, rest @ ..]) = header.and_then(|transport| transport.get(at)) {
        let sum = rest.iter().fold(u32::from(*high), |sum, byte| sum << 8 | u32::from(*byte));
        put(p, format_args!(" {name}:{sum:x}"));
    }
    p.push_str("\n");
}

/// Appends all fields that a packet of its kind has.
fn format_key(p: &mut Printer<'_>, key: &Key) {
    let word = word(key);
    if let Some((word, _)) = word {
        p.push_str(word);
        p.push_str(",");
    }
    if key.is_ethernet() {
        format_vlans(p, &key.vlans);
        put(p, format_args!("dl_src={},dl_dst={}", key.eth_src, key.eth_dst));
        if word.is_none() {
            put(p, format_args!(",dl_type={:#06x}", key.eth_type));
        }
    }
    match key.eth_type {
        ethertype::ARP | ethertype::RARP => format_arp(p, key),
        ethertype::MPLS | ethertype::MPLS_MULTICAST => format_mpls(p, &key.mpls),
        ethertype::IPV4 | ethertype::IPV6 | ethertype::NSH => {
            format_network(p, key, word.is_some_and(|(_, says_protocol)| says_protocol));
        }
        _ => {}
    }
}

/// The word for ethertype and protocol, and whether it says the latter.
fn word(key: &Key) -> Option<(&'static str, bool)> {
    Some(match (key.eth_type, key.nw_proto) {
        (ethertype::IPV4, protocol::ICMP) => ("icmp", true),
        (ethertype::IPV4, protocol::TCP) => ("tcp", true),
        (ethertype::IPV4, protocol::UDP) => ("udp", true),
        (ethertype::IPV4, protocol::SCTP) => ("sctp", true),
        (ethertype::IPV4, _) => ("ip", false),
        (ethertype::IPV6, protocol::ICMPV6) => ("icmp6", true),
        (ethertype::IPV6, protocol::TCP) => ("tcp6", true),
        (ethertype::IPV6, protocol::UDP) => ("udp6", true),
        (ethertype::IPV6, protocol::SCTP) => ("sctp6", true),
        (ethertype::IPV6, _) => ("ipv6", false),
        (ethertype::ARP, _) => ("arp", false),
        (ethertype::RARP, _) => ("rarp", false),
        (ethertype::MPLS, _) => ("mpls", false),
        (ethertype::MPLS_MULTICAST, _) => ("mplsm", false),
        _ => return None,
    })
}

/// The tags and the first place without one.
fn format_vlans(p: &mut Printer<'_>, vlans: &[VlanTag]) {
    for (n, tag) in vlans.iter().enumerate() {
        let number = if n == 0 { String::new() } else { n.to_string() };
        if !tag.is_present() {
            put(p, format_args!("vlan_tci{number}={:#06x},", tag.tci));
            return;
        }
        put(p, format_args!("dl_vlan{number}={},dl_vlan_pcp{number}={},", tag.vid(), tag.pcp()));
    }
}

fn format_arp(p: &mut Printer<'_>, key: &Key) {
    let (sender, target) = (Ipv4Addr::from_bits(key.nw_src), Ipv4Addr::from_bits(key.nw_dst));
    put(p, format_args!(",arp_spa={sender},arp_tpa={target},arp_op={}", key.nw_proto));
    put(p, format_args!(",arp_sha={},arp_tha={}", key.arp_sha, key.arp_tha));
}

/// The first label by its fields, those below it as numbers.
fn format_mpls(p: &mut Printer<'_>, labels: &[u32]) {
    for (n, label) in labels.iter().enumerate() {
        if n == 0 {
            put(p, format_args!(",mpls_label={},mpls_tc={}", label >> 12, label >> 9 & 7));
            put(p, format_args!(",mpls_ttl={},mpls_bos={}", label & 0xff, label >> 8 & 1));
        } else {
            put(p, format_args!(",mpls_lse{n}={label}"));
        }
        if label & Key::MPLS_BOTTOM != 0 {
            return;
        }
    }
}

fn format_network(p: &mut Printer<'_>, key: &Key, has_protocol: bool) {
    match key.eth_type {
        ethertype::IPV4 => {
            let (src, dst) = (Ipv4Addr::from_bits(key.nw_src), Ipv4Addr::from_bits(key.nw_dst));
            put(p, format_args!(",nw_src={src},nw_dst={dst}"));
        }
        ethertype::IPV6 => {
            let (src, dst) = (Ipv6Addr::from_bits(key.ipv6_src), Ipv6Addr::from_bits(key.ipv6_dst));
            put(p, format_args!(",ipv6_src={src},ipv6_dst={dst},ipv6_label={:#07x}", key.ipv6_label));
        }
        _ => format_nsh(p, &key.nsh),
    }
    if !has_protocol {
        put(p, format_args!(",nw_proto={}", key.nw_proto));
    }
    put(p, format_args!(",nw_tos={},nw_ecn={}", key.nw_tos & 0xfc, key.nw_tos & 3));
    put(p, format_args!(",nw_ttl={},nw_frag=", key.nw_ttl));
    p.push_str(match key.nw_frag {
        0 => "no",
        Key::FRAG_ANY => "first",
        _ => "later",
    });
    if key.nw_frag & Key::FRAG_LATER == 0 {
        format_transport(p, key);
    }
}

fn format_nsh(p: &mut Printer<'_>, nsh: &Nsh) {
    put(p, format_args!(",nsh_flags={},nsh_ttl={},nsh_mdtype={}", nsh.flags, nsh.ttl, nsh.mdtype));
    put(
        p,
        format_args!(",nsh_np={},nsh_spi={:#x},nsh_si={}", nsh.next_proto, nsh.path >> 8, nsh.path & 0xff),
    );
    // Only headers of type 1 have contexts.
    for (n, context) in nsh.context.iter().enumerate().filter(|_| nsh.mdtype == 1) {
        put(p, format_args!(",nsh_c{}={context:#x}", n + 1));
    }
}

fn format_transport(p: &mut Printer<'_>, key: &Key) {
    match key.nw_proto {
        protocol::ICMP if key.eth_type == ethertype::IPV4 => {
            put(p, format_args!(",icmp_type={},icmp_code={}", key.tp_src, key.tp_dst));
        }
        protocol::ICMPV6 if key.eth_type == ethertype::IPV6 => {
            put(p, format_args!(",icmp_type={},icmp_code={}", key.tp_src, key.tp_dst));
            if key.is_neighbour_discovery() {
                let target = Ipv6Addr::from_bits(key.nd_target);
                put(p, format_args!(",nd_target={target},nd_sll={},nd_tll={}", key.arp_sha, key.arp_tha));
            }
        }
        protocol::TCP
        | protocol::UDP
        | protocol::SCTP
        | protocol::ICMP
        | protocol::ICMPV6
        | protocol::IGMP => {
            put(p, format_args!(",tp_src={},tp_dst={}", key.tp_src, key.tp_dst));
        }
        _ => {}
    }
    if key.nw_proto == protocol::TCP {
        p.push_str(",tcp_flags=");
        format_tcp_flags(p, key.tcp_flags);
    }
}

fn format_tcp_flags(p: &mut Printer<'_>, flags: u16) {
    const NAMES: [&str; 12] =
        ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
    if flags == 0 {
        p.push_str("0");
    }
    let mut separator = "";
    for (_, name) in NAMES.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1) {
        p.push_str(separator);
        p.push_str(name);
        separator = "|";
    }
}
