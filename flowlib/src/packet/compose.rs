//! From a key to bytes.

use super::checksum;
use super::key::{Key, ethertype, protocol};
use super::network::{ARP_FOR_IPV4, NSH_TYPE_1, NSH_TYPE_1_LEN};
use super::transport::{SOURCE_ADDRESS, TARGET_ADDRESS};
use crate::types::MacAddr;

/// A packet with the headers that a key has, and nothing in it.
///
/// What a key cannot say is left zero. Of MPLS there are only the labels, since a key says nothing of what is below
/// them. A packet that is no Ethernet frame begins with its network header.
///
/// Source: what Open vSwitch does for `ofproto/trace`, `flow_compose` in `lib/flow.c`.
#[must_use]
pub fn compose(key: &Key) -> Vec<u8> {
    compose_with_payload(key, &[])
}

/// As [`compose`], with a payload where the transport header can have one: in TCP (but for a SYN, FIN or RST), UDP,
/// SCTP and echoes.
#[must_use]
pub fn compose_with_payload(key: &Key, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + payload.len());
    if key.is_ethernet() {
        out.extend(key.eth_dst.0);
        out.extend(key.eth_src.0);
        for tag in key.vlans.iter().take(key.n_vlans()) {
            let tpid = if tag.tpid == 0 { ethertype::VLAN } else { tag.tpid };
            out.extend(tpid.to_be_bytes());
            out.extend(tag.tci.to_be_bytes());
        }
        // Less than 0x600 is a length: of nothing.
        let eth_type = if key.eth_type < 0x600 { 0 } else { key.eth_type };
        out.extend(eth_type.to_be_bytes());
    }
    match key.eth_type {
        ethertype::IPV4 => ipv4(&mut out, key, payload),
        ethertype::IPV6 => ipv6(&mut out, key, payload),
        ethertype::ARP | ethertype::RARP => arp(&mut out, key),
        ethertype::NSH => nsh(&mut out, key),
        ethertype::MPLS | ethertype::MPLS_MULTICAST => labels(&mut out, key),
        _ => {}
    }
    out
}

fn ipv4(out: &mut Vec<u8>, key: &Key, payload: &[u8]) {
    let pseudo = checksum::words(key.nw_src.into()) + checksum::words(key.nw_dst.into());
    let transport = transport(key, payload, pseudo);
    let start = out.len();
    let len = u16::try_from(20 + transport.len()).unwrap_or(u16::MAX);
    out.extend([0x45, key.nw_tos]);
    out.extend(len.to_be_bytes());
    let more = if key.nw_frag & Key::FRAG_ANY != 0 { 0x2000_u16 } else { 0 };
    let offset = if key.nw_frag & Key::FRAG_LATER != 0 { 100 } else { 0 };
    out.extend([0, 0]);
    out.extend((more | offset).to_be_bytes());
    out.extend([key.nw_ttl, key.nw_proto, 0, 0]);
    out.extend(key.nw_src.to_be_bytes());
    out.extend(key.nw_dst.to_be_bytes());
    let sum = checksum::internet(0, &out[start..]);
    out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
    out.extend(transport);
}

fn ipv6(out: &mut Vec<u8>, key: &Key, payload: &[u8]) {
    let pseudo = checksum::words(key.ipv6_src) + checksum::words(key.ipv6_dst);
    let transport = transport(key, payload, pseudo);
    let is_fragment = key.nw_frag & Key::FRAG_ANY != 0;
    let len = transport.len() + if is_fragment { 8 } else { 0 };
    let first = 6 << 28 | u32::from(key.nw_tos) << 20 | key.ipv6_label & 0xf_ffff;
    out.extend(first.to_be_bytes());
    out.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    out.extend([if is_fragment { protocol::FRAGMENT } else { key.nw_proto }, key.nw_ttl]);
    out.extend(key.ipv6_src.to_be_bytes());
    out.extend(key.ipv6_dst.to_be_bytes());
    if is_fragment {
        let is_later = key.nw_frag & Key::FRAG_LATER != 0;
        let offset_and_more: u16 = if is_later { 100 << 3 | 1 } else { 1 };
        out.extend([if is_later { NO_NEXT_HEADER } else { key.nw_proto }, 0]);
        out.extend(offset_and_more.to_be_bytes());
        out.extend([0; 4]);
    }
    out.extend(transport);
}

/// Nothing follows. Source: RFC 8200 §4.7.
const NO_NEXT_HEADER: u8 = 59;

/// The transport header and what is in it, with its checksum; `pseudo` is the sum of the addresses.
fn transport(key: &Key, payload: &[u8], pseudo: u32) -> Vec<u8> {
    let mut out = Vec::new();
    if key.nw_frag & Key::FRAG_LATER != 0 {
        return out;
    }
    let icmp = [key.tp_src as u8, key.tp_dst as u8, 0, 0];
    let checksum_at = match key.nw_proto {
        protocol::TCP => {
            ports(&mut out, key);
            out.extend([0; 8]);
            out.extend((5 << 12 | key.tcp_flags & 0xfff).to_be_bytes());
            out.extend([0; 6]);
            if key.tcp_flags & TCP_SYN_FIN_RST == 0 {
                out.extend(payload);
            }
            16
        }
        protocol::UDP => {
            ports(&mut out, key);
            out.extend(u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend([0; 2]);
            out.extend(payload);
            6
        }
        protocol::SCTP => {
            ports(&mut out, key);
            out.extend([0; 8]);
            out.extend(payload);
            let sum = checksum::crc32c(&out);
            out[8..12].copy_from_slice(&sum.to_le_bytes());
            return out;
        }
        protocol::ICMP => {
            out.extend(icmp);
            out.extend([0; 4]);
            if matches!((key.tp_src, key.tp_dst), (0 | 8, 0)) {
                out.extend(payload);
            }
            2
        }
        protocol::IGMP => {
            out.extend(icmp);
            out.extend(key.igmp_group.to_be_bytes());
            2
        }
        protocol::ICMPV6 => {
            out.extend(icmp);
            icmpv6(&mut out, key, payload);
            2
        }
        _ => return out,
    };
    let has_pseudo = !matches!(key.nw_proto, protocol::ICMP | protocol::IGMP);
    let sum = if has_pseudo { pseudo + u32::from(key.nw_proto) + out.len() as u32 } else { 0 };
    let mut sum = checksum::internet(sum, &out);
    if key.nw_proto == protocol::UDP && sum == 0 {
        // Zero says that there is no checksum.
        sum = u16::MAX;
    }
    out[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
    out
}

const TCP_SYN_FIN_RST: u16 = 0b111;

fn ports(out: &mut Vec<u8>, key: &Key) {
    out.extend(key.tp_src.to_be_bytes());
    out.extend(key.tp_dst.to_be_bytes());
}

fn icmpv6(out: &mut Vec<u8>, key: &Key, payload: &[u8]) {
    out.extend(key.igmp_group.to_be_bytes());
    if matches!((key.tp_src, key.tp_dst), (128 | 129, 0)) {
        out.extend(payload);
    }
    if matches!((key.tp_src, key.tp_dst), (135 | 136, 0)) {
        out.extend(key.nd_target.to_be_bytes());
        for (kind, address) in [(SOURCE_ADDRESS, key.arp_sha), (TARGET_ADDRESS, key.arp_tha)] {
            if address != MacAddr::ZERO {
                out.extend([kind, 1]);
                out.extend(address.0);
            }
        }
    }
}

fn arp(out: &mut Vec<u8>, key: &Key) {
    out.extend(ARP_FOR_IPV4);
    out.extend([0, key.nw_proto]);
    out.extend(key.arp_sha.0);
    out.extend(key.nw_src.to_be_bytes());
    out.extend(key.arp_tha.0);
    out.extend(key.nw_dst.to_be_bytes());
}

fn nsh(out: &mut Vec<u8>, key: &Key) {
    let nsh = key.nsh;
    let has_context = nsh.mdtype == NSH_TYPE_1;
    let len = if has_context { NSH_TYPE_1_LEN } else { 8 };
    let first = u16::from(nsh.flags & 3) << 12 | u16::from(nsh.ttl & 0x3f) << 6 | (len / 4) as u16;
    out.extend(first.to_be_bytes());
    out.extend([nsh.mdtype, nsh.next_proto]);
    out.extend(nsh.path.to_be_bytes());
    if has_context {
        out.extend(nsh.context.iter().flat_map(|word| word.to_be_bytes()));
    }
}

fn labels(out: &mut Vec<u8>, key: &Key) {
    // A stack that was cut off has no bottom, and may have zeros in it.
    let bottom = key.mpls.iter().position(|label| label & Key::MPLS_BOTTOM != 0);
    let last = bottom.or_else(|| key.mpls.iter().rposition(|label| *label != 0)).unwrap_or(0);
    for label in &key.mpls[..=last] {
        out.extend(label.to_be_bytes());
    }
}
