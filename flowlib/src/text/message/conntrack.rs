//! Connections that a switch should forget.

use std::net::Ipv6Addr;

use super::super::printer::Printer;
use super::{Result, put};
use crate::openflow::{CtFlush, CtTuple};
use crate::packet::protocol;

/// Both directions, where what is not said is zero.
pub(super) fn format_flush(p: &mut Printer<'_>, flush: &CtFlush) -> Result {
    let tuples = flush.original.iter().chain(&flush.reply);
    let is_ipv4 = tuples.flat_map(|tuple| [tuple.src, tuple.dst]).flatten().any(is_mapped);
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
            None => put(p, format_args!("{address}")),
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
