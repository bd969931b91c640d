//! From bytes to a key: what follows the header of IP.

use super::key::{Key, protocol};
use super::parse::{pull, skip};
use crate::types::MacAddr;

/// Reads the transport header of a packet that is no later fragment.
pub(super) fn parse(key: &mut Key, data: &[u8]) {
    if key.nw_frag & Key::FRAG_LATER != 0 {
        return;
    }
    let _is_whole: Option<()> = match key.nw_proto {
        protocol::TCP => tcp(key, data),
        protocol::UDP => ports(key, data, UDP_LEN),
        protocol::SCTP => ports(key, data, SCTP_LEN),
        protocol::ICMP => type_and_code(key, data),
        protocol::IGMP => igmp(key, data),
        protocol::ICMPV6 => icmpv6(key, data),
        _ => None,
    };
}

const TCP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const SCTP_LEN: usize = 12;
const ICMP_LEN: usize = 8;

fn ports(key: &mut Key, data: &[u8], len: usize) -> Option<()> {
    let [a, b, c, d] = *data.get(..len)?.first_chunk()?;
    key.tp_src = u16::from_be_bytes([a, b]);
    key.tp_dst = u16::from_be_bytes([c, d]);
    Some(())
}

/// Shape: ports `u16` each, sequence number `u32`, acknowledgement `u32`, header length in words 4 bits, flags 12.
fn tcp(key: &mut Key, data: &[u8]) -> Option<()> {
    let control = u16::from_be_bytes(*data.get(12..)?.first_chunk()?);
    let len = usize::from(control >> 12) * 4;
    if len < TCP_LEN {
        return None;
    }
    ports(key, data, len)?;
    key.tcp_flags = control & 0xfff;
    Some(())
}

fn type_and_code(key: &mut Key, data: &[u8]) -> Option<()> {
    let [icmp_type, code] = *data.get(..ICMP_LEN)?.first_chunk()?;
    (key.tp_src, key.tp_dst) = (icmp_type.into(), code.into());
    Some(())
}

fn igmp(key: &mut Key, data: &[u8]) -> Option<()> {
    type_and_code(key, data)?;
    key.igmp_group = u32::from_be_bytes(*data.get(4..)?.first_chunk()?);
    Some(())
}

const NEIGHBOUR_SOLICITATION: u16 = 135;
const NEIGHBOUR_ADVERTISEMENT: u16 = 136;
/// Option: the source's link-layer address. Source: RFC 4861 §4.6.1.
pub(super) const SOURCE_ADDRESS: u8 = 1;
/// Option: the target's link-layer address.
pub(super) const TARGET_ADDRESS: u8 = 2;

/// Shape: type `u8`, code `u8`, checksum `u16`, a word; of neighbour discovery the target and options: type `u8`,
/// length in units of 8 bytes `u8`, the rest by type.
///
/// An address that comes twice makes all of discovery's fields zero, as in Open vSwitch.
fn icmpv6(key: &mut Key, data: &[u8]) -> Option<()> {
    type_and_code(key, data)?;
    if !matches!(key.tp_src, NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT) || key.tp_dst != 0 {
        return Some(());
    }
    let mut rest = data.get(4..)?;
    key.igmp_group = u32::from_be_bytes(pull(&mut rest)?);
    key.nd_target = u128::from_be_bytes(pull(&mut rest)?);
    if neighbour_options(key, rest).is_none() {
        key.nd_target = 0;
        (key.arp_sha, key.arp_tha) = (MacAddr::ZERO, MacAddr::ZERO);
    }
    Some(())
}

/// Reads options for as long as they are whole; nothing if an address comes twice.
fn neighbour_options(key: &mut Key, mut data: &[u8]) -> Option<()> {
    while let Some(&[kind, n, a, b, c, d, e, f]) = data.first_chunk() {
        let len = usize::from(n) * 8;
        if len == 0 || len > data.len() {
            break;
        }
        let place = match kind {
            SOURCE_ADDRESS if n == 1 => Some(&mut key.arp_sha),
            TARGET_ADDRESS if n == 1 => Some(&mut key.arp_tha),
            _ => None,
        };
        if let Some(place) = place {
            if *place != MacAddr::ZERO {
                return None;
            }
            *place = MacAddr([a, b, c, d, e, f]);
            if key.tcp_flags == 0 {
                key.tcp_flags = kind.into();
            }
        }
        skip(&mut data, len)?;
    }
    Some(())
}
