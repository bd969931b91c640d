//! Connections that a switch should forget.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::error::{ParseError, Piece, Problem};
use super::super::printer::Printer;
use super::{Result, put};
use crate::openflow::{CtFlush, CtTuple};
use crate::packet::protocol;

/// Both directions, where what is not said is zero.
pub(super) fn format_flush(p: &mut Printer<'_>, flush: &CtFlush) -> Result {
    // The last address decides.
    let tuples = flush.original.iter().chain(&flush.reply);
    let is_ipv4 = tuples.flat_map(|tuple| [tuple.src, tuple.dst]).flatten().last().is_some_and(is_mapped);
    put(p, format_args!(" zone={} '", flush.zone.unwrap_or(0)));
    format_tuple(p, flush.original.as_ref(), flush.ip_proto, is_ipv4);
    put(p, format_args!(",ct_nw_proto={}' '", flush.ip_proto));
    format_tuple(p, flush.reply.as_ref(), flush.ip_proto, is_ipv4);
    p.push_str("'");
    Ok(())
}

fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

fn format_tuple(p: &mut Printer<'_>, tuple: Option<&CtTuple>, ip_proto: u8, is_ipv4: bool) {
    let nothing = CtTuple::default();
    let tuple = tuple.unwrap_or(&nothing);
    let (src, dst) = if is_ipv4 { ("ct_nw_src", "ct_nw_dst") } else { ("ct_ipv6_src", "ct_ipv6_dst") };
    let mut separator = "";
    for (name, address) in [(src, tuple.src), (dst, tuple.dst)] {
        put(p, format_args!("{separator}{name}="));
        let address = address.unwrap_or(Ipv6Addr::UNSPECIFIED);
        match address.to_ipv4_mapped() {
            Some(address) => put(p, format_args!("{address}")),
            None => p.ipv6(address),
        }
        separator = ",";
    }
    if matches!(ip_proto, protocol::ICMP | protocol::ICMPV6) {
        put(p, format_args!(",icmp_id={}", tuple.icmp_id.or(tuple.src_port).unwrap_or(0)));
        let [icmp_type, code] = tuple.dst_port.unwrap_or(0).to_le_bytes();
        put(p, format_args!(",icmp_type={}", tuple.icmp_type.unwrap_or(icmp_type)));
        put(p, format_args!(",icmp_code={}", tuple.icmp_code.unwrap_or(code)));
    } else {
        // Ports and what ICMP has instead share a place in Open vSwitch.
        let instead = u16::from_le_bytes([tuple.icmp_type.unwrap_or(0), tuple.icmp_code.unwrap_or(0)]);
        put(p, format_args!(",ct_tp_src={}", tuple.src_port.or(tuple.icmp_id).unwrap_or(0)));
        put(p, format_args!(",ct_tp_dst={}", tuple.dst_port.unwrap_or(instead)));
    }
}

/// Reads one direction of connections as `ct-flush` takes it, and the protocol, which both share:
/// `ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=6,ct_tp_src=80`. `flush` holds what was read before.
///
/// # Errors
/// Says at which column what is wrong.
///
/// Source: `ofp_ct_tuple_parse` in `lib/ofp-ct.c` of Open vSwitch 3.1.
pub fn parse_ct_tuple(text: &str, flush: &mut CtFlush) -> std::result::Result<CtTuple, ParseError> {
    let mut tuple = CtTuple::default();
    let mut ports = None;
    for (key, value) in Piece::new(text).key_values() {
        if value.is_empty() {
            return Err(key.error(Problem::MissingValue));
        }
        let is_icmp = matches!(flush.ip_proto, protocol::ICMP | protocol::ICMPV6);
        let name = key.text();
        match name {
            "ct_nw_src" | "ct_nw_dst" | "ct_ipv6_src" | "ct_ipv6_dst" => {
                let address = parse_address(value, name.starts_with("ct_nw"))?;
                let known = flush.original.iter().chain([&tuple]).flat_map(|tuple| [tuple.src, tuple.dst]);
                let is_other = |known: Ipv6Addr| is_mapped(known) != is_mapped(address);
                if known.flatten().any(is_other) {
                    return Err(value.error(Problem::Expected("an address of the same kind as the others")));
                }
                let place = if name.ends_with("src") { &mut tuple.src } else { &mut tuple.dst };
                *place = Some(address);
            }
            "ct_nw_proto" => flush.ip_proto = value.u8()?,
            "ct_tp_src" | "ct_tp_dst" => {
                let place = if name == "ct_tp_src" { &mut tuple.src_port } else { &mut tuple.dst_port };
                *place = Some(value.u16()?);
                ports = Some(key);
            }
            "icmp_type" | "icmp_code" | "icmp_id" if !is_icmp => {
                return Err(key.error(Problem::Expected("behind ct_nw_proto=1 or ct_nw_proto=58")));
            }
            "icmp_type" => tuple.icmp_type = Some(value.u8()?),
            "icmp_code" => tuple.icmp_code = Some(value.u8()?),
            "icmp_id" => tuple.icmp_id = Some(value.u16()?),
            _ => return Err(key.error(Problem::Expected("a field of a connection, such as ct_nw_src"))),
        }
    }
    match ports.filter(|_| flush.ip_proto == 0) {
        Some(ports) => Err(ports.error(Problem::Expected("with ct_nw_proto, which says whose port it is"))),
        None => Ok(tuple),
    }
}

fn parse_address(value: Piece<'_>, is_ipv4: bool) -> std::result::Result<Ipv6Addr, ParseError> {
    let text = value.text();
    if is_ipv4 {
        let address = text.parse::<Ipv4Addr>();
        address
            .map(|address| address.to_ipv6_mapped())
            .map_err(|_| value.error(Problem::Expected("an IPv4 address")))
    } else {
        text.parse().map_err(|_| value.error(Problem::Expected("an IPv6 address")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_names_one_kind_of_address_and_one_protocol() {
        let mut flush = CtFlush::default();
        let tuple = parse_ct_tuple("ct_nw_src=10.0.0.1,ct_nw_proto=17,ct_tp_src=53", &mut flush).unwrap();
        assert_eq!((flush.ip_proto, tuple.src_port), (17, Some(53)));
        flush.original = Some(tuple);
        for (text, column) in [
            ("ct_ipv6_dst=::1", 13),
            ("ct_nw_dst=ten", 11),
            ("ct_tp_src", 1),
            ("icmp_type=8", 1),
            ("ct_state=new", 1),
        ] {
            assert_eq!(parse_ct_tuple(text, &mut flush.clone()).unwrap_err().column, column, "{text}");
        }
        assert!(parse_ct_tuple("ct_tp_dst=5", &mut CtFlush::default()).is_err());
        assert!(parse_ct_tuple("ct_nw_proto=1,icmp_id=5", &mut CtFlush::default()).is_ok());
    }
}
