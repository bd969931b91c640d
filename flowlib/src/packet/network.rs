//! From bytes to a key: IP, ARP and network service headers.

use super::key::{Key, Nsh, ethertype, protocol};
use super::parse::{pull, skip};
use super::transport;
use crate::types::MacAddr;

/// Reads what follows the ethertype and the labels; gives what follows the header of IP.
pub(super) fn parse<'a>(key: &mut Key, mut data: &'a [u8]) -> Option<&'a [u8]> {
    match key.eth_type {
        ethertype::IPV4 => ipv4(key, &mut data)?,
        ethertype::IPV6 => ipv6(key, &mut data)?,
        ethertype::ARP | ethertype::RARP => {
            arp(key, data);
            return None;
        }
        ethertype::NSH => {
            if let Some(nsh) = nsh(data) {
                key.nsh = nsh;
            }
            return None;
        }
        _ => return None,
    }
    transport::parse(key, data);
    Some(data)
}

/// Shape: version 4 bits, header length in words 4 bits, TOS `u8`, total length `u16`, identification `u16`, flags 3
/// bits, offset 13 bits, TTL `u8`, protocol `u8`, checksum `u16`, source, destination, options.
///
/// Source: RFC 791 §3.1.
fn ipv4(key: &mut Key, data: &mut &[u8]) -> Option<()> {
    let header: [u8; 20] = *data.first_chunk()?;
    let [ihl, tos, len_high, len_low, _, _, frag_high, frag_low, ttl, proto, _, _, addresses @ ..] = header;
    let header_len = usize::from(ihl & 0xf) * 4;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    if header_len < header.len() || header_len > len {
        return None;
    }
    // What follows pads the frame.
    let padding = data.len().checked_sub(len)?;
    if padding > usize::from(u16::MAX) {
        return None;
    }
    *data = data.get(header_len..len)?;
    let [a, b, c, d, e, f, g, h] = addresses;
    key.nw_src = u32::from_be_bytes([a, b, c, d]);
    key.nw_dst = u32::from_be_bytes([e, f, g, h]);
    key.nw_tos = tos;
    key.nw_ttl = ttl;
    key.nw_proto = proto;
    let frag = u16::from_be_bytes([frag_high, frag_low]);
    key.nw_frag = match (frag & IPV4_OFFSET != 0, frag & IPV4_MORE_FRAGMENTS != 0) {
        (true, _) => Key::FRAG_ANY | Key::FRAG_LATER,
        (false, true) => Key::FRAG_ANY,
        (false, false) => 0,
    };
    Some(())
}

const IPV4_OFFSET: u16 = 0x1fff;
const IPV4_MORE_FRAGMENTS: u16 = 0x2000;

/// Shape: version 4 bits, traffic class 8, flow label 20, payload length `u16`, next header `u8`, hop limit `u8`,
/// source, destination, extension headers.
///
/// Source: RFC 8200 §3.
fn ipv6(key: &mut Key, data: &mut &[u8]) -> Option<()> {
    let mut rest = *data;
    let first = u32::from_be_bytes(pull(&mut rest)?);
    let len = usize::from(u16::from_be_bytes(pull(&mut rest)?));
    let [next, hop_limit] = pull(&mut rest)?;
    let (src, dst) = (u128::from_be_bytes(pull(&mut rest)?), u128::from_be_bytes(pull(&mut rest)?));
    if rest.len().checked_sub(len)? > usize::from(u16::MAX) {
        return None;
    }
    *data = rest.get(..len)?;
    (key.ipv6_src, key.ipv6_dst) = (src, dst);
    let (proto, frag) = extensions(next, data)?;
    key.ipv6_label = first & 0xf_ffff;
    key.nw_tos = (first >> 20) as u8;
    key.nw_ttl = hop_limit;
    (key.nw_proto, key.nw_frag) = (proto, frag);
    Some(())
}

/// Passes over extension headers; gives the protocol behind them and what is said of fragments.
///
/// Shape: each begins with next header `u8` and, but for a fragment header, a length `u8`: in units of 8 bytes
/// without the first 8, of an authentication header in units of 4 without the first 8.
fn extensions(mut next: u8, data: &mut &[u8]) -> Option<(u8, u8)> {
    let mut frag = 0;
    loop {
        let len = match next {
            protocol::HOP_OPTIONS | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                |n: u8| (usize::from(n) + 1) * 8
            }
            protocol::AUTHENTICATION => |n: u8| (usize::from(n) + 2) * 4,
            protocol::FRAGMENT => |_| 8,
            _ => return Some((next, frag)),
        };
        let [behind, n, offset_high, offset_low, ..]: [u8; 8] = *data.first_chunk()?;
        skip(data, len(n))?;
        let offset = u16::from_be_bytes([offset_high, offset_low]);
        if next == protocol::FRAGMENT && offset != 0 {
            frag = Key::FRAG_ANY;
            if offset & IPV6_OFFSET != 0 {
                return Some((protocol::FRAGMENT, Key::FRAG_ANY | Key::FRAG_LATER));
            }
        }
        next = behind;
    }
}

/// The offset in a fragment header, in units of 8 bytes, above 2 reserved bits and the flag for more fragments.
const IPV6_OFFSET: u16 = 0xfff8;

/// Shape: hardware type `u16`, protocol `u16`, their addresses' lengths `u8` each, operation `u16`, sender's hardware
/// and protocol address, target's. Only Ethernet and IPv4 are read.
///
/// Source: RFC 826.
fn arp(key: &mut Key, data: &[u8]) -> Option<()> {
    let mut rest = data.get(..ARP_LEN)?.strip_prefix(&ARP_FOR_IPV4)?;
    let operation = u16::from_be_bytes(pull(&mut rest)?);
    // Open vSwitch keeps 8 bits of the operation.
    key.nw_proto = u8::try_from(operation).unwrap_or(0);
    key.arp_sha = MacAddr(pull(&mut rest)?);
    key.nw_src = u32::from_be_bytes(pull(&mut rest)?);
    key.arp_tha = MacAddr(pull(&mut rest)?);
    key.nw_dst = u32::from_be_bytes(pull(&mut rest)?);
    Some(())
}

const ARP_LEN: usize = 28;

/// Hardware type Ethernet, protocol IPv4, addresses of 6 and 4 bytes.
pub(super) const ARP_FOR_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Shape: version 2 bits, flags 2, TTL 6, length in words 6; metadata type `u8`, next protocol `u8`, path identifier
/// 24 bits, index 8 bits, context.
///
/// Source: RFC 8300 §2; `parse_nsh` in `lib/flow.c` of Open vSwitch 3.1.
fn nsh(data: &[u8]) -> Option<Nsh> {
    let mut rest = data;
    let first = u16::from_be_bytes(pull(&mut rest)?);
    let [mdtype, next_proto] = pull(&mut rest)?;
    let path = u32::from_be_bytes(pull(&mut rest)?);
    let len = usize::from(first & 0x3f) * 4;
    if len > data.len() || first >> 14 != 0 {
        return None;
    }
    let mut context = [0; 4];
    match mdtype {
        NSH_TYPE_1 if len != NSH_TYPE_1_LEN => return None,
        NSH_TYPE_1 => {
            for word in &mut context {
                *word = u32::from_be_bytes(pull(&mut rest)?);
            }
        }
        NSH_TYPE_2 if len < 8 => return None,
        _ => {}
    }
    let flags = (first >> 12 & 3) as u8;
    Some(Nsh { flags, ttl: (first >> 6 & 0x3f) as u8, mdtype, next_proto, path, context })
}

/// Four words of context.
pub(super) const NSH_TYPE_1: u8 = 1;
const NSH_TYPE_2: u8 = 2;
/// The length of a header of type 1, in bytes.
pub(super) const NSH_TYPE_1_LEN: usize = 24;
