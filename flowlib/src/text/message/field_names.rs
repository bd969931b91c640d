//! Sets of fields, as tables say which they can match and set.

use std::collections::BTreeSet;

use super::super::printer::Printer;
use crate::openflow::Field;
use crate::openflow::oxm::field;

/// A set of fields: places in Open vSwitch's list of them.
pub(super) type Fields = BTreeSet<usize>;

/// Open vSwitch's fields in the order in which it lists them; `*` stands for a row of numbers.
///
/// Source: `enum mf_field_id` in `include/openvswitch/meta-flow.h` of Open vSwitch 3.1.
const ORDER: &[&str] = &[
    "dp_hash",
    "recirc_id",
    "packet_type",
    "conj_id",
    "tun_id",
    "tun_src",
    "tun_dst",
    "tun_ipv6_src",
    "tun_ipv6_dst",
    "tun_flags",
    "tun_ttl",
    "tun_tos",
    "tun_gbp_id",
    "tun_gbp_flags",
    "tun_erspan_idx",
    "tun_erspan_ver",
    "tun_erspan_dir",
    "tun_erspan_hwid",
    "tun_gtpu_flags",
    "tun_gtpu_msgtype",
    "tun_metadata*",
    "metadata",
    "in_port",
    "in_port_oxm",
    "actset_output",
    "skb_priority",
    "pkt_mark",
    "ct_state",
    "ct_zone",
    "ct_mark",
    "ct_label",
    "ct_nw_proto",
    "ct_nw_src",
    "ct_nw_dst",
    "ct_ipv6_src",
    "ct_ipv6_dst",
    "ct_tp_src",
    "ct_tp_dst",
    "reg*",
    "xreg*",
    "xxreg*",
    "eth_src",
    "eth_dst",
    "eth_type",
    "vlan_tci",
    "vlan_vid",
    "vlan_pcp",
    "mpls_label",
    "mpls_tc",
    "mpls_bos",
    "mpls_ttl",
    "ip_src",
    "ip_dst",
    "ipv6_src",
    "ipv6_dst",
    "ipv6_label",
    "nw_proto",
    "nw_tos",
    "ip_dscp",
    "nw_ecn",
    "nw_ttl",
    "ip_frag",
    "arp_op",
    "arp_spa",
    "arp_tpa",
    "arp_sha",
    "arp_tha",
    "tcp_src",
    "tcp_dst",
    "tcp_flags",
    "udp_src",
    "udp_dst",
    "sctp_src",
    "sctp_dst",
    "icmp_type",
    "icmp_code",
    "icmpv6_type",
    "icmpv6_code",
    "nd_target",
    "nd_sll",
    "nd_tll",
    "nd_reserved",
    "nd_options_type",
    "nsh_flags",
    "nsh_mdtype",
    "nsh_np",
    "nsh_spi",
    "nsh_si",
    "nsh_c1",
    "nsh_c2",
    "nsh_c3",
    "nsh_c4",
    "nsh_ttl",
];

/// How many places a row of numbers takes.
const ROW: usize = 64;

/// The name of a field in Open vSwitch, and its place in the list; `None` if Open vSwitch does not have it.
pub(super) fn place(of: Field) -> Option<usize> {
    let name = name(of);
    let (row, number) = match name.find(|c: char| c.is_ascii_digit()) {
        Some(at) if name.get(at..)?.parse::<usize>().is_ok() => name.split_at(at),
        _ => (name, ""),
    };
    let listed = ORDER.iter().position(|listed| *listed == name).map(|at| (at, 0));
    let in_row = || {
        let at = ORDER.iter().position(|listed| listed.strip_suffix('*') == Some(row))?;
        Some((at, number.parse::<usize>().ok().filter(|number| *number < ROW)?))
    };
    listed.or_else(in_row).map(|(at, number)| at * ROW + number)
}

fn name(of: Field) -> &'static str {
    // The port in 32 bits has a name of its own in this list.
    if of == field::IN_PORT { "in_port_oxm" } else { of.name() }
}

fn name_at(place: usize) -> String {
    let listed = ORDER.get(place / ROW).copied().unwrap_or_default();
    match listed.strip_suffix('*') {
        Some(row) => format!("{row}{}", place % ROW),
        None => listed.to_owned(),
    }
}

/// Appends a space and the names of fields: those that follow each other with the same beginning up to a `_` as
/// `eth_{src,dst}`, rows of numbers as `reg0...reg15`.
///
/// Source: `print_names` in `lib/ofp-table.c` of Open vSwitch 3.1.
pub(super) fn format(p: &mut Printer<'_>, fields: &Fields) {
    let names: Vec<String> = fields.iter().map(|place| name_at(*place)).collect();
    let mut rest: Vec<&str> = names.iter().map(String::as_str).collect();
    if !rest.is_empty() {
        p.push_str(" ");
        format_names(p, &mut rest, " ");
    }
}

/// Takes names from the front as long as they can be put together, and so on.
fn format_names(p: &mut Printer<'_>, names: &mut [&str], separator: &str) {
    let mut rest = names;
    let mut between = "";
    while let [first, others @ ..] = &*rest {
        p.push_str(between);
        between = separator;
        let row = row_len(first, others);
        let (prefix, with_prefix) = prefix_run(first, others);
        let run = row.max(with_prefix);
        let (now, later) = std::mem::take(&mut rest).split_at_mut(run);
        rest = later;
        if row >= with_prefix {
            if let [first, .., last] = now {
                p.push_str(first);
                p.push_str("...");
                p.push_str(last);
            } else if let [only] = now {
                p.push_str(only);
            }
        } else {
            p.push_str(now.first().and_then(|name| name.get(..prefix)).unwrap_or_default());
            p.push_str("{");
            for name in now.iter_mut() {
                *name = name.get(prefix..).unwrap_or_default();
            }
            format_names(p, now, ",");
            p.push_str("}");
        }
    }
}

/// How many names from the first on are numbered one after the other; two are not worth it.
fn row_len(first: &str, others: &[&str]) -> usize {
    let mut last = first;
    let mut len = 1;
    for name in others {
        if !follows(last, name) {
            break;
        }
        last = name;
        len += 1;
    }
    if len == 2 { 1 } else { len }
}

/// Whether the second name is the first with the next number.
fn follows(name: &str, next: &str) -> bool {
    let same = name.bytes().zip(next.bytes()).take_while(|(one, other)| one == other).count();
    let number = |name: &str| name.get(same..).filter(|digits| !digits.starts_with('+'))?.parse::<u32>().ok();
    matches!((number(name), number(next)), (Some(one), Some(other)) if one.checked_add(1) == Some(other))
}

/// The prefix that the first two names have in common, and how many names have some prefix in common with the first.
fn prefix_run(first: &str, others: &[&str]) -> (usize, usize) {
    let common = |other: &str| {
        let same = first.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
        first.get(..same).and_then(|same| same.rfind('_')).map_or(0, |at| at + 1)
    };
    match others.first().map(|other| common(other)) {
        Some(prefix @ 1..) => (prefix, 1 + others.iter().take_while(|other| common(other) > 0).count()),
        _ => (0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_common_beginning_and_rows_are_put_together() {
        let mut names =
            ["tun_id", "tun_ipv6_src", "tun_ipv6_dst", "metadata", "reg0", "reg1", "reg2", "in_port"];
        let mut out = String::new();
        format_names(&mut Printer::plain(&mut out), &mut names, " ");
        assert_eq!(out, "tun_{id,ipv6_{src,dst}} metadata reg0...reg2 in_port");
    }

    #[test]
    fn a_field_of_a_row_has_its_place_in_it() {
        assert_eq!(place(field::REG15).map(name_at).as_deref(), Some("reg15"));
        assert_eq!(place(field::IN_PORT).map(name_at).as_deref(), Some("in_port_oxm"));
        assert_eq!(place(field::PBB_ISID), None);
    }
}
