//! Every way to write a value of every field, in matches and actions: read, and printed or refused, by us and by the
//! real `ovs-ofctl`. Where it is not installed, the tests say so and pass.

#![allow(clippy::unwrap_used)]

mod installed;

use std::process::Command;

use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::{FlowModCommand, Message};
use flowlib::text::{Protocols, Style, Verbosity, parse_flow_mod, parse_group, print_message};
use flowlib::types::Xid;
use installed::ovs_ofctl;

/// Fields, each with the words that packets must have, and how values of it are written.
const FIELDS: &[(&str, &[&str], &[&str])] = &[
    ("", &["reg0", "metadata", "tun_id", "xreg7", "xxreg3", "ct_zone", "ct_mark", "recirc_id"], NUMBERS),
    ("", &["conj_id", "dp_hash", "pkt_mark", "ct_label", "tun_gbp_id", "tun_gbp_flags"], NUMBERS),
    ("", &["tun_erspan_ver", "tun_erspan_idx", "tun_erspan_dir", "tun_erspan_hwid"], NUMBERS),
    ("", &["tun_gtpu_flags", "tun_gtpu_msgtype", "tun_metadata0", "tun_metadata63"], NUMBERS),
    ("", &["dl_type", "vlan_tci", "vlan_vid", "dl_vlan", "dl_vlan_pcp"], NUMBERS),
    ("dl_vlan=5,", &["vlan_pcp"], NUMBERS),
    ("ip,", &["nw_proto", "nw_ttl", "nw_tos", "ip_dscp", "nw_ecn"], NUMBERS),
    ("ip,ct_state=+trk,", &["ct_nw_proto"], NUMBERS),
    ("arp,", &["arp_op"], NUMBERS),
    ("tcp,", &["tp_src", "tcp_dst"], NUMBERS),
    ("icmp6,icmp_type=135,icmp_code=0,", &["icmpv6_type", "nd_reserved", "nd_options_type"], NUMBERS),
    ("mpls,", &["mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl"], NUMBERS),
    ("dl_type=0x894f,", &["nsh_flags", "nsh_ttl", "nsh_mdtype", "nsh_np", "nsh_si", "nsh_spi"], NUMBERS),
    ("dl_type=0x894f,nsh_mdtype=1,", &["nsh_c1", "nsh_c4"], NUMBERS),
    ("dl_type=0x894f,nsh_mdtype=2,", &["nsh_c2"], NUMBERS),
    ("tun_erspan_ver=1,", &["tun_erspan_idx", "tun_erspan_dir"], NUMBERS),
    ("tun_erspan_ver=2,", &["tun_erspan_idx", "tun_erspan_dir", "tun_erspan_hwid"], NUMBERS),
    ("", &["in_port", "in_port_oxm", "actset_output"], PORTS),
    ("", &["dl_src", "eth_dst"], MACS),
    ("arp,", &["arp_sha"], MACS),
    ("", &["tun_src"], IPV4),
    ("ip,", &["nw_src", "ip_dst"], IPV4),
    ("arp,", &["arp_spa"], IPV4),
    ("", &["tun_ipv6_dst"], IPV6),
    ("ipv6,", &["ipv6_src"], IPV6),
    ("", &["ct_state", "tun_flags"], FLAGS),
    ("tcp,", &["tcp_flags"], FLAGS),
    ("ip,", &["ip_frag", "nw_frag"], FRAGMENTS),
    ("", &["packet_type"], PACKET_TYPES),
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "3",
    "0x3",
    "07",
    "010",
    "0x",
    "63",
    "64",
    "256",
    "0xff",
    "4096",
    "0xffff",
    "0x10000",
    "0x100000000",
    "0x10000000000000000",
    "-1",
    "+1",
    "*",
    "any",
    "",
    "a",
    "1.5",
    "1/",
    "/1",
    "1/1",
    "0/0",
    "1/0",
    "0x1/0x3",
    "3/1",
    "5/0xff",
    "5/0xffff",
    "5/0xffffffff",
    "5/0xffffffffffffffff",
    "5/-1",
    "0x100/0xf00",
    "1/2/3",
    "0XaB",
    "0x000001",
];
const PORTS: &[&str] = &[
    "1",
    "0xff00",
    "65279",
    "65534",
    "65528",
    "4294967294",
    "4294967296",
    "LOCAL",
    "local",
    "in_port",
    "any",
    "none",
    "unset",
    "*",
    "",
    "1/1",
    "01",
    "-1",
    "eth0",
];
const MACS: &[&str] = &[
    "00:11:22:33:44:55",
    "*",
    "any",
    "0:1:2:3:4:5",
    "00:11:22:33:44",
    "AA:BB:CC:DD:EE:FF",
    "aabbccddeeff",
    "",
    "1",
    "01:00:00:00:00:00/01:00:00:00:00:00",
    "00:11:22:33:44:55/ff:ff:ff:ff:ff:ff",
    "00:11:22:33:44:55/",
    "1/1",
    "00:11:22:33:44:55/0:0:0:0:0:0",
    "000:11:22:33:44:555",
    "00:11:22:33:44:55:66",
    "00:11:22:33:44:5g",
];
const IPV4: &[&str] = &[
    "1.2.3.4",
    "*",
    "any",
    "01.02.03.04",
    "1.2.3",
    "1.2.3.256",
    "1",
    "1.2.3.4/24",
    "1.2.3.4/0",
    "1.2.3.4/32",
    "",
    "1.2.3.4/33",
    "1.2.3.4/255.0.255.0",
    "1.2.3.4/255.255.0.0",
    "1.2.3.4/",
    "1.2.3.4/-1",
    "1.2.3.4/024",
    "::1",
    "1.2.3.4x",
    "1.2.3.4.5",
    "0.0.0.0/0",
    "1.2.3.4/255.255.255.255",
];
const IPV6: &[&str] = &[
    "::1",
    "*",
    "any",
    "fe80::1/64",
    "::/0",
    "::1/128",
    "::1/129",
    "::1/ffff::",
    "::1/::",
    "::1/fe::ff",
    "FE80::A",
    "",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7",
    "::1/",
    "1",
    "1.2.3.4",
    "::1.2.3.4",
    "::12345",
];
const FLAGS: &[&str] = &[
    "0",
    "1",
    "0/0",
    "1/1",
    "1/3",
    "0x100",
    "0xfff",
    "0xffff",
    "+syn",
    "+syn-ack",
    "syn|ack",
    "SYN",
    "+trk",
    "trk|new",
    "+trk-trk",
    "+oam",
    "-oam",
    "oam",
    "+[200]",
    "+foo",
    "",
    "*",
    "+",
    "+-",
    "++syn",
    "|",
    "syn|",
    "|syn",
    "syn||ack",
    "syn|syn",
    "+syn+syn",
    "1|2",
    "+1",
    "+snat-dnat+inv",
    "-1",
];
const FRAGMENTS: &[&str] =
    &["no", "yes", "first", "later", "not_later", "NO", "0", "1/1", "any", "*", "", "none"];
const PACKET_TYPES: &[&str] = &[
    "(0,0)",
    "(1,0x800)",
    "(0,9)",
    "(0,10)",
    "(15,16)",
    "(1,)",
    "(1)",
    "*",
    "0x10800",
    "(65536,1)",
    "(1,0x894f)",
];

/// Flows that match a field by all that is written.
fn matches() -> impl Iterator<Item = String> {
    let values = |(before, names, values): &'static (&str, &[&str], &[&str])| {
        let one = move |name: &'static str| {
            values.iter().map(move |value| format!("{before}{name}={value} actions=drop"))
        };
        names.iter().flat_map(move |name| one(name))
    };
    FIELDS.iter().flat_map(values)
}

/// Flows that set a field to all that is written.
fn set_fields() -> impl Iterator<Item = String> {
    let values = |(before, names, values): &'static (&str, &[&str], &[&str])| {
        let one = move |name: &'static str| {
            values.iter().map(move |value| format!("{before}actions=set_field:{value}->{name}"))
        };
        names.iter().flat_map(move |name| one(name))
    };
    // Open vSwitch takes it for another field.
    FIELDS.iter().flat_map(values).filter(|line| !line.ends_with("->dl_vlan") && !line.ends_with("_pcp"))
}

/// What `parse-flow` or `parse-group` of ovs-ofctl makes of a line.
#[derive(Debug, PartialEq)]
enum Theirs {
    Refused,
    /// What it would send is what it does not understand itself.
    Broken,
    Taken(String),
}

fn theirs(command: &str, line: &str) -> Theirs {
    let out = Command::new("ovs-ofctl").args(["-O", "OpenFlow13", command, line]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let is_chosen = |line: &&str| !line.starts_with("chosen");
    match text.contains("***decode error") {
        true => Theirs::Broken,
        false if !out.status.success() => Theirs::Refused,
        false => Theirs::Taken(text.lines().filter(is_chosen).map(str::trim).collect::<Vec<_>>().join("\n")),
    }
}

fn ours(protocols: Protocols, message: Message) -> Option<String> {
    let mut bytes = Vec::new();
    message.encode(Xid(1), &mut bytes).ok().filter(|()| protocols.contains(Protocols::OF13))?;
    let mut text = format!("usable protocols: {protocols}\n");
    print_message(&mut text, &bytes, Style::default(), Verbosity(0));
    let text = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    (!text.contains("***decode error")).then_some(text)
}

fn our_flow(line: &str) -> Option<String> {
    let parsed = parse_flow_mod(line, Some(FlowModCommand::ADD), None).ok()?;
    ours(parsed.protocols, Message::FlowMod(parsed.flow_mod))
}

fn our_group(line: &str) -> Option<String> {
    let parsed = parse_group(line, Some(GroupCommand::ADD), None).ok()?;
    ours(parsed.protocols, Message::GroupMod(parsed.group_mod))
}

/// Compares what is made of lines, four at a time.
fn compare(command: &str, lines: &[String], ours: fn(&str) -> Option<String>) {
    let differs = |line: &&String| {
        let (ours, theirs) = (ours(line), theirs(command, line));
        let is_same = match &theirs {
            Theirs::Refused => ours.is_none(),
            Theirs::Broken => true,
            Theirs::Taken(theirs) => ours.as_ref() == Some(theirs),
        };
        (!is_same).then(|| format!("{line}\n  ours   {ours:?}\n  theirs {theirs:?}"))
    };
    let differences: Vec<String> = std::thread::scope(|scope| {
        let parts = lines.chunks(lines.len().div_ceil(4).max(1));
        let parts: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || part.iter().filter_map(|line| differs(&line)).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let shown = differences.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {} differ:\n{shown}", differences.len(), lines.len());
}

#[test]
fn a_value_in_a_match_is_what_it_is_to_ovs_ofctl() {
    if ovs_ofctl() {
        compare("parse-flow", &matches().collect::<Vec<_>>(), our_flow);
    }
}

#[test]
fn a_value_that_is_set_is_what_it_is_to_ovs_ofctl() {
    if ovs_ofctl() {
        compare("parse-flow", &set_fields().collect::<Vec<_>>(), our_flow);
    }
}

/// Bits of fields, several words for one field, learned values, and names that stand only in some places.
const FLOWS: &str = include_str!("values.txt");

#[test]
fn what_words_say_together_is_theirs() {
    if ovs_ofctl() {
        let lines = FLOWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        compare("parse-flow", &lines.map(str::to_owned).collect::<Vec<_>>(), our_flow);
    }
}

/// Groups, of which the words before the buckets and those in a bucket are tried.
const GROUPS: &str = include_str!("groups.txt");

#[test]
fn a_group_is_what_it_is_to_ovs_ofctl() {
    if ovs_ofctl() {
        let lines = GROUPS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        compare("parse-group", &lines.map(str::to_owned).collect::<Vec<_>>(), our_group);
    }
}
