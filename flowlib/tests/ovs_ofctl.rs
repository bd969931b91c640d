//! Our bytes and our text against the real `ovs-ofctl`. Where it is not installed, the tests say so and pass.

#![allow(clippy::unwrap_used)]

mod installed;

use std::io::Write;
use std::process::{Command, Stdio};

use flowlib::openflow::oxm::{Prerequisite, field};
use flowlib::openflow::{
    Action, Band, BandKind, Bucket, Field, FlowMod, Group, GroupMod, GroupType, Instruction, Match, Message,
    Meter, MeterFlags, MeterMod,
};
use flowlib::text::{format_flow, format_match, parse_flow};
use flowlib::types::{GroupId, MeterId, PortNo, Xid};
use installed::ovs_ofctl;

/// Flows of the pipeline, and others with every action and field that text knows.
const FLOWS: &str = include_str!("flows.txt");

/// What `ovs-ofctl ofp-print` makes of a message, but for the header before the first `: `.
fn printed(message: &Message) -> String {
    let mut bytes = Vec::new();
    message.encode(Xid(1), &mut bytes).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let out = Command::new("ovs-ofctl").args(["ofp-print", &hex]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    text.split_once("): ").map_or(text.clone(), |(_, rest)| rest.to_owned())
}

/// What `ovs-ofctl parse-flows` makes of lines, in the same form.
fn parsed(lines: &str) -> Vec<String> {
    let mut child = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow13", "parse-flows", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "ovs-ofctl refuses one of\n{lines}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.split_once("): ")).map(|(_, rest)| rest.to_owned()).collect()
}

fn flow_lines() -> impl Iterator<Item = &'static str> {
    FLOWS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn our_bytes_mean_to_ovs_what_the_text_meant() {
    if !ovs_ofctl() {
        return;
    }
    let theirs = parsed(FLOWS);
    assert_eq!(theirs.len(), flow_lines().count());
    for (line, theirs) in flow_lines().zip(theirs) {
        let flow = parse_flow(line).unwrap_or_else(|error| panic!("{line}\n{error}"));
        let ours = printed(&Message::FlowMod(FlowMod::add(&flow)));
        assert_eq!(ours.trim(), theirs.trim(), "for {line}");
    }
}

#[test]
fn our_text_means_to_ovs_what_the_text_meant() {
    if !ovs_ofctl() {
        return;
    }
    let ours: Vec<_> = flow_lines().map(|line| format_flow(&parse_flow(line).unwrap())).collect();
    assert_eq!(parsed(&ours.join("\n")), parsed(FLOWS));
    for (line, theirs) in ours.iter().zip(parsed(FLOWS)) {
        // Behind table, cookie and flags, which a flow mod is printed with in another way, the text is theirs.
        let (_, their_actions) = theirs.split_once("actions=").unwrap();
        let (our_match, our_actions) = line.split_once("actions=").unwrap();
        assert_eq!(our_actions, their_actions);
        let our_match = our_match.rsplit(' ').find(|word| !word.is_empty()).unwrap_or_default();
        if our_match.contains('=') && !our_match.starts_with("table=") {
            assert!(theirs.contains(our_match), "{our_match} is not in {theirs}");
        }
    }
}

#[test]
fn our_text_reads_back() {
    for line in flow_lines() {
        let flow = parse_flow(line).unwrap();
        let text = format_flow(&flow);
        assert_eq!(parse_flow(&text).unwrap_or_else(|error| panic!("{text}\n{error}")), flow, "{text}");
    }
}

/// A match in which the field exists.
fn prerequisites(field: Field) -> Match {
    let ethertype = |ethertype: u16| Match::new().with(field::ETH_TYPE, ethertype);
    let protocol = |ethertype, protocol: u8| {
        Match::new().with(field::ETH_TYPE, ethertype).with(field::IP_PROTO, protocol)
    };
    match field.info().prerequisite {
        Prerequisite::None | Prerequisite::Ethernet | Prerequisite::Ct => Match::new(),
        Prerequisite::Nsh => ethertype(0x894f),
        Prerequisite::Vlan => Match::new().with_masked(field::VLAN_VID, 0x1000_u16, 0x1000_u16),
        Prerequisite::Mpls => ethertype(0x8847),
        Prerequisite::Arp => ethertype(0x0806),
        Prerequisite::Ip | Prerequisite::Ipv4 => ethertype(0x0800),
        Prerequisite::Ipv6 => ethertype(0x86dd),
        Prerequisite::Tcp => protocol(0x0800_u16, 6),
        Prerequisite::Udp => protocol(0x0800, 17),
        Prerequisite::Sctp => protocol(0x0800, 132),
        Prerequisite::Icmpv4 => protocol(0x0800, 1),
        Prerequisite::Icmpv6 => protocol(0x86dd, 58),
        Prerequisite::Nd | Prerequisite::NdSolicit => {
            protocol(0x86dd, 58).with(field::ICMPV6_TYPE, 135_u8).with(field::ICMPV6_CODE, 0_u8)
        }
        Prerequisite::NdAdvert => {
            protocol(0x86dd, 58).with(field::ICMPV6_TYPE, 136_u8).with(field::ICMPV6_CODE, 0_u8)
        }
    }
}

/// Fields that OpenFlow defines but Open vSwitch 3.1 does not have.
const NOT_IN_OVS: &[Field] = &[field::IN_PHY_PORT, field::PBB_ISID, field::IPV6_EXTHDR];

#[test]
fn every_field_of_the_registry_is_ovs_s() {
    if !ovs_ofctl() {
        return;
    }
    for name in Field::all().filter(|name| !NOT_IN_OVS.contains(name)) {
        if name.name().starts_with("ct_") && name != field::CT_STATE || name.is_wide() {
            continue; // They need a conntrack state, a protocol or a table of options besides.
        }
        let flow_match = prerequisites(name).with(name, if name == field::NW_TOS { 4_u8 } else { 1 });
        let ours = format_match(&flow_match);
        let flow_mod =
            FlowMod { flow_match, priority: flowlib::types::Priority(0x8000), ..FlowMod::default() };
        let theirs = printed(&Message::FlowMod(flow_mod));
        assert!(!theirs.contains("***"), "{name}: {theirs}");
        let is_overlaid = name.name().starts_with('x');
        let known = [field::PACKET_TYPE, field::VLAN_TCI, field::NW_TOS, field::VLAN_VID, field::TUN_FLAGS];
        // Contexts of NSH are printed only behind a metadata type of 1, fields of ERSPAN behind its version.
        let is_context = name >= field::NSH_C1 && name <= field::NSH_C4
            || name >= field::TUN_ERSPAN_IDX && name <= field::TUN_ERSPAN_HWID;
        if !is_overlaid && !is_context && !known.contains(&name) {
            assert!(theirs.contains(&format!("{ours} actions=drop")), "{name}: ours {ours}, theirs {theirs}");
        }
    }
}

#[test]
fn groups_and_meters_are_ovs_s() {
    if !ovs_ofctl() {
        return;
    }
    let bucket = Bucket {
        weight: 1,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: vec![Action::output(PortNo(3))],
    };
    let group = Group { group: GroupId(7), group_type: GroupType::SELECT, buckets: vec![bucket] };
    let theirs = printed(&Message::GroupMod(GroupMod::add(group)));
    assert!(theirs.contains("group_id=7,type=select,bucket=") && theirs.contains("output:3"), "{theirs}");
    let bands = vec![Band { rate: 100, burst: 10, kind: BandKind::Drop }];
    let flags = MeterFlags::PKTPS | MeterFlags::BURST;
    let theirs = printed(&Message::MeterMod(MeterMod::add(Meter { meter: MeterId(4), flags, bands })));
    assert!(theirs.contains("meter=4 pktps burst bands="), "{theirs}");
    let flow_mod = FlowMod { instructions: vec![Instruction::Meter(MeterId(4))], ..FlowMod::default() };
    assert!(printed(&Message::FlowMod(flow_mod)).contains("actions=meter:4"));
}
