//! Packets, as packet-ins and traces show them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::field_value::{self, Use};
use super::printer::{Printer, Role, Style};
use super::protocol_words;
use crate::openflow::oxm::field;
use crate::packet::{Conntrack, Key, Packet, Tunnel, ethertype, protocol};
use crate::types::{MacAddr, PortNo};

/// A packet's fields as Open vSwitch lists them: `tcp,vlan_tci=0x0000,dl_src=…`.
#[must_use]
pub fn format_key(key: &Key) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), key);
    out
}

/// Appends a packet's fields in the given style.
pub fn print_key(out: &mut String, key: &Key, style: Style<'_>) {
    format(&mut Printer::new(out, style), key);
}

/// A frame's fields, and its checksum if there is one: `…,tcp_flags=syn tcp_csum:1234`.
#[must_use]
pub fn format_frame(frame: &[u8]) -> String {
    let mut out = String::new();
    print_frame(&mut Printer::plain(&mut out), frame);
    out
}

/// Appends a frame's fields, and its checksum if there is one.
///
/// Source: `ofp_packet_to_string` in `lib/ofp-print.c` of Open vSwitch 3.1.
pub(super) fn print_frame(out: &mut Printer<'_>, frame: &[u8]) {
    let packet = Packet::parse(frame);
    format(out, &packet.key);
    let transport = packet.transport.unwrap_or_default();
    let u16_at = |at: usize| transport.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    let (name, checksum) = match packet.key.nw_proto {
        protocol::TCP if transport.len() >= 20 => ("tcp", u16_at(16).map(u32::from)),
        protocol::UDP if transport.len() >= 8 => ("udp", u16_at(6).map(u32::from)),
        protocol::ICMP if transport.len() >= 8 => ("icmp", u16_at(2).map(u32::from)),
        protocol::ICMPV6 if transport.len() >= 4 => ("icmp6", u16_at(2).map(u32::from)),
        protocol::SCTP if transport.len() >= 12 => {
            let word = transport.get(8..).and_then(|rest| rest.first_chunk());
            ("sctp", word.map(|bytes| u32::from_be_bytes(*bytes)))
        }
        _ => return,
    };
    if let Some(checksum) = checksum {
        put(out, format_args!(" {name}_csum:{checksum:x}"));
    }
}

/// Appends a packet's fields. What is known of it besides its headers is left out if it is zero.
///
/// Source: `flow_format` in `lib/flow.c` and `match_format` in `lib/match.c` of Open vSwitch 3.1.
pub(super) fn format(out: &mut Printer<'_>, key: &Key) {
    let mut list = List { out, is_first: true };
    list.hex("pkt_mark", key.pkt_mark.into());
    list.hex("recirc_id", key.recirc_id.into());
    list.hex("dp_hash", key.dp_hash.into());
    list.hex("skb_priority", key.queue.into());
    connection(&mut list, key);
    let eth_type = if key.is_ethernet() {
        if key.recirc_id != 0 {
            list.next();
            list.out.push_str("eth");
        }
        key.eth_type
    } else {
        list.next();
        field_value::packet_type(list.out, key.packet_type);
        key.packet_type as u16
    };
    let names_protocol = key.is_ethernet() && list.shorthand(key);
    for (n, reg) in key.regs.iter().enumerate().filter(|(_, reg)| **reg != 0) {
        list.named(format_args!("reg{n}"), format_args!("{reg:#x}"));
    }
    tunnel(&mut list, &key.tunnel);
    list.hex("metadata", key.metadata);
    if key.in_port != PortNo(0) {
        list.port("in_port", key.in_port);
    }
    if key.is_ethernet() {
        link(&mut list, key);
    }
    network(&mut list, key, eth_type, names_protocol);
}

/// Appends fields with commas between them.
struct List<'p, 'a> {
    out: &'p mut Printer<'a>,
    is_first: bool,
}

impl List<'_, '_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push_str(",");
        }
    }

    fn name(&mut self, name: &str) {
        self.next();
        self.out.param(format_args!("{name}="));
    }

    fn value(&mut self, name: &str, value: std::fmt::Arguments<'_>) {
        self.name(name);
        put(self.out, value);
    }

    fn named(&mut self, name: std::fmt::Arguments<'_>, value: std::fmt::Arguments<'_>) {
        self.next();
        self.out.param(format_args!("{name}="));
        put(self.out, value);
    }

    /// Nothing if it is zero.
    fn hex(&mut self, name: &str, number: u64) {
        if number != 0 {
            self.value(name, format_args!("{number:#x}"));
        }
    }

    fn number(&mut self, name: &str, number: impl Into<u32>) {
        self.value(name, format_args!("{}", number.into()));
    }

    fn mac(&mut self, name: &str, address: MacAddr) {
        self.value(name, format_args!("{address}"));
    }

    fn ipv4(&mut self, name: &str, address: u32) {
        self.value(name, format_args!("{}", Ipv4Addr::from_bits(address)));
    }

    fn ipv6(&mut self, name: &str, address: u128) {
        self.name(name);
        self.out.ipv6(Ipv6Addr::from_bits(address));
    }

    fn port(&mut self, name: &str, port: PortNo) {
        self.name(name);
        self.out.port(port);
    }

    /// The word for ethertype and protocol, if there is one; says whether it names the protocol.
    fn shorthand(&mut self, key: &Key) -> bool {
        let protocol = Some(key.nw_proto.into());
        let Some((word, names_protocol)) = protocol_words::word(key.eth_type, protocol) else { return false };
        self.next();
        self.out.put(Role::Value, word);
        names_protocol
    }
}

fn put(out: &mut Printer<'_>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}

fn connection(list: &mut List<'_, '_>, key: &Key) {
    let ct = &key.ct;
    if ct.state != 0 {
        list.name("ct_state");
        field_value::format(list.out, field::CT_STATE, ct.state.into(), None, Use::Match);
    }
    if ct.zone != 0 {
        list.number("ct_zone", ct.zone);
    }
    list.hex("ct_mark", ct.mark.into());
    if ct.label != 0 {
        list.value("ct_label", format_args!("{:#x}", ct.label));
    }
    let is_told = ct.state & Conntrack::TRACKED != 0 && ct.state & Conntrack::INVALID == 0;
    if !is_told || ct.nw_proto == 0 {
        return;
    }
    match key.eth_type {
        ethertype::IPV4 => {
            list.ipv4("ct_nw_src", ct.nw_src);
            list.ipv4("ct_nw_dst", ct.nw_dst);
        }
        ethertype::IPV6 => {
            list.ipv6("ct_ipv6_src", ct.ipv6_src);
            list.ipv6("ct_ipv6_dst", ct.ipv6_dst);
        }
        _ => return,
    }
    list.number("ct_nw_proto", ct.nw_proto);
    list.number("ct_tp_src", ct.tp_src);
    list.number("ct_tp_dst", ct.tp_dst);
}

fn tunnel(list: &mut List<'_, '_>, tunnel: &Tunnel) {
    if !tunnel.has_destination() {
        list.hex("tun_id", tunnel.id);
        return;
    }
    if tunnel.flags & Tunnel::KEY != 0 {
        list.value("tun_id", format_args!("{:#x}", tunnel.id));
    }
    list.ipv4("tun_src", tunnel.src);
    list.ipv4("tun_dst", tunnel.dst);
    list.ipv6("tun_ipv6_src", tunnel.ipv6_src);
    list.ipv6("tun_ipv6_dst", tunnel.ipv6_dst);
    list.number("tun_gbp_id", tunnel.gbp_id);
    plain(list, "tun_gbp_flags", format_args!("{:#x}", tunnel.gbp_flags));
    plain(list, "tun_tos", format_args!("{:x}", tunnel.tos));
    plain(list, "tun_ttl", format_args!("{}", tunnel.ttl));
    plain(list, "tun_erspan_ver", format_args!("{}", tunnel.erspan_ver));
    if tunnel.erspan_ver == 1 {
        plain(list, "tun_erspan_idx", format_args!("{:#x}", tunnel.erspan_idx));
    }
    if tunnel.erspan_ver == 2 {
        plain(list, "tun_erspan_dir", format_args!("{}", tunnel.erspan_dir));
        plain(list, "tun_erspan_hwid", format_args!("{:#x}", tunnel.erspan_hwid));
    }
    plain(list, "gtpu_flags", format_args!("{:#x}", tunnel.gtpu_flags));
    plain(list, "gtpu_msgtype", format_args!("{}", tunnel.gtpu_msgtype));
    list.name("tun_flags");
    tunnel_flags(list.out, tunnel.flags);
    for option in &tunnel.options {
        list.next();
        list.out.param(format_args!("{}=", option.field));
        field_value::format_wide(list.out, &option.value);
    }
}

/// All flags of a tunnel, of which the field `tun_flags` shows only one.
fn tunnel_flags(out: &mut Printer<'_>, flags: u16) {
    let mut separator = "";
    for (bit, name) in
        [(Tunnel::DONT_FRAGMENT, "df"), (Tunnel::CSUM, "csum"), (Tunnel::KEY, "key"), (Tunnel::OAM, "oam")]
    {
        if flags & bit != 0 {
            out.push_str(separator);
            out.push_str(name);
            separator = "|";
        }
    }
    if separator.is_empty() {
        out.push_str("0");
    }
}

/// Open vSwitch gives these names no colour.
fn plain(list: &mut List<'_, '_>, name: &str, value: std::fmt::Arguments<'_>) {
    list.next();
    put(list.out, format_args!("{name}={value}"));
}

fn link(list: &mut List<'_, '_>, key: &Key) {
    for (n, tag) in key.vlans.iter().enumerate() {
        let suffix = if n == 0 { "" } else { "1" };
        if tag.is_present() {
            list.named(format_args!("dl_vlan{suffix}"), format_args!("{}", tag.vid()));
            list.named(format_args!("dl_vlan_pcp{suffix}"), format_args!("{}", tag.pcp()));
        } else {
            list.named(format_args!("vlan_tci{suffix}"), format_args!("{:#06x}", tag.tci));
        }
        // The first tag that is not there is shown too.
        if tag.tci == 0 {
            break;
        }
    }
    list.mac("dl_src", key.eth_src);
    list.mac("dl_dst", key.eth_dst);
    let is_named = matches!(key.eth_type, ethertype::ARP | ethertype::RARP)
        || ethertype::is_ip(key.eth_type)
        || ethertype::is_mpls(key.eth_type);
    if !is_named {
        list.value("dl_type", format_args!("{:#06x}", key.eth_type));
    }
}

fn network(list: &mut List<'_, '_>, key: &Key, eth_type: u16, names_protocol: bool) {
    match eth_type {
        ethertype::IPV4 => {
            list.ipv4("nw_src", key.nw_src);
            list.ipv4("nw_dst", key.nw_dst);
        }
        ethertype::IPV6 => {
            list.ipv6("ipv6_src", key.ipv6_src);
            list.ipv6("ipv6_dst", key.ipv6_dst);
            list.value("ipv6_label", format_args!("{:#07x}", key.ipv6_label));
        }
        ethertype::ARP | ethertype::RARP => {
            list.ipv4("arp_spa", key.nw_src);
            list.ipv4("arp_tpa", key.nw_dst);
            list.number("arp_op", key.nw_proto);
            list.mac("arp_sha", key.arp_sha);
            list.mac("arp_tha", key.arp_tha);
            return;
        }
        ethertype::NSH => nsh(list, key),
        _ => {
            if ethertype::is_mpls(eth_type) {
                labels(list, key);
            }
            return;
        }
    }
    if !names_protocol {
        list.number("nw_proto", key.nw_proto);
    }
    list.number("nw_tos", key.nw_tos & 0xfc);
    list.number("nw_ecn", key.nw_tos & 3);
    list.number("nw_ttl", key.nw_ttl);
    let frag = match (key.nw_frag & Key::FRAG_ANY != 0, key.nw_frag & Key::FRAG_LATER != 0) {
        (true, true) => "later",
        (true, false) => "first",
        (false, true) => "<error>",
        (false, false) => "no",
    };
    list.value("nw_frag", format_args!("{frag}"));
    if key.nw_frag & Key::FRAG_LATER == 0 {
        transport(list, key, eth_type);
    }
}

fn nsh(list: &mut List<'_, '_>, key: &Key) {
    let nsh = key.nsh;
    list.number("nsh_flags", nsh.flags);
    list.number("nsh_ttl", nsh.ttl);
    list.number("nsh_mdtype", nsh.mdtype);
    list.number("nsh_np", nsh.next_proto);
    list.value("nsh_spi", format_args!("{:#x}", nsh.path >> 8));
    list.number("nsh_si", nsh.path & 0xff);
    if nsh.mdtype == 1 {
        for (n, word) in (1..).zip(nsh.context) {
            list.named(format_args!("nsh_c{n}"), format_args!("{word:#x}"));
        }
    }
}

fn labels(list: &mut List<'_, '_>, key: &Key) {
    let [first, others @ ..] = key.mpls;
    list.number("mpls_label", first >> 12);
    list.number("mpls_tc", first >> 9 & 7);
    list.number("mpls_ttl", first & 0xff);
    list.number("mpls_bos", first >> 8 & 1);
    let mut is_bottom = first & Key::MPLS_BOTTOM != 0;
    for (n, label) in (1..).zip(others) {
        if is_bottom {
            break;
        }
        list.named(format_args!("mpls_lse{n}"), format_args!("{label}"));
        is_bottom = label & Key::MPLS_BOTTOM != 0;
    }
}

fn transport(list: &mut List<'_, '_>, key: &Key, eth_type: u16) {
    match key.nw_proto {
        protocol::ICMP
        | protocol::ICMPV6
        | protocol::TCP
        | protocol::UDP
        | protocol::SCTP
        | protocol::IGMP => {}
        _ => return,
    }
    let is_icmp = matches!(
        (eth_type, key.nw_proto),
        (ethertype::IPV4, protocol::ICMP) | (ethertype::IPV6, protocol::ICMPV6)
    );
    let names = if is_icmp { ("icmp_type", "icmp_code") } else { ("tp_src", "tp_dst") };
    list.number(names.0, key.tp_src);
    list.number(names.1, key.tp_dst);
    if key.is_neighbour_discovery() {
        list.ipv6("nd_target", key.nd_target);
        list.mac("nd_sll", key.arp_sha);
        list.mac("nd_tll", key.arp_tha);
    }
    if key.nw_proto == protocol::TCP && ethertype::is_ip(key.eth_type) {
        list.name("tcp_flags");
        field_value::format(list.out, field::TCP_FLAGS, key.tcp_flags.into(), None, Use::Match);
    }
}
