//! Random flows, read and printed by us and by the real `ovs-ofctl`. Where it is not installed, the tests say so
//! and pass.

#![allow(clippy::unwrap_used)]

mod generate;
mod installed;

use std::io::Write;
use std::process::{Command, Stdio};

use flowlib::openflow::{FlowMod, FlowModCommand, Message};
use flowlib::text::{ParsedFlowMod, format_flow, format_flow_mod, parse_flow, parse_flow_mod};
use flowlib::types::Xid;
use installed::ovs_ofctl;

/// What `ovs-ofctl` prints for `parse-flows` of lines, and what it says on the side.
fn run(lines: &str) -> (String, String) {
    let mut child = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow13", "-vconsole:info", "parse-flows", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let out = child.wait_with_output().unwrap();
    // It closes its input early if it refuses a line.
    writer.join().unwrap().ok();
    (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

/// What `ovs-ofctl parse-flows` makes of each line.
fn theirs(lines: &[String]) -> Vec<String> {
    let (out, err) = run(&lines.join("\n"));
    assert!(!err.contains("ovs-ofctl:"), "ovs-ofctl refuses a line: {err}");
    out.lines()
        .filter(|line| line.starts_with("OFPT_FLOW_MOD"))
        .filter_map(|line| line.split_once("): "))
        .map(|(_, rest)| rest.trim_end().to_owned())
        .collect()
}

fn parse(line: &str) -> ParsedFlowMod {
    parse_flow_mod(line, Some(FlowModCommand::ADD), None).unwrap_or_else(|error| panic!("{line}\n{error}"))
}

/// The flow mod as it comes out of its bytes.
fn over_the_wire(flow_mod: FlowMod) -> FlowMod {
    let mut bytes = Vec::new();
    Message::FlowMod(flow_mod).encode(Xid(1), &mut bytes).unwrap();
    match Message::decode(&bytes) {
        Ok((_, Message::FlowMod(flow_mod))) => flow_mod,
        other => panic!("{other:?}"),
    }
}

#[test]
fn random_flows_are_printed_as_ovs_ofctl_prints_them() {
    if !ovs_ofctl() {
        return;
    }
    let flows = generate::sample(&generate::flow_match::flow(), 3000);
    let lines: Vec<_> = flows.iter().map(|flow| format!("{flow} actions=drop")).collect();
    let theirs = theirs(&lines);
    assert_eq!(lines.len(), theirs.len());
    let mut differences = Vec::new();
    for (line, theirs) in lines.iter().zip(&theirs).filter(|(_, theirs)| !theirs.contains("***")) {
        let ours = format_flow_mod(&over_the_wire(parse(line).flow_mod));
        if ours != *theirs {
            differences.push(format!("{line}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    let shown = differences.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {} differ:\n{shown}", differences.len(), lines.len());
}

#[test]
fn what_is_printed_reads_back() {
    // Fields of GTP-U are printed by names that ovs-ofctl does not read.
    let flows = generate::sample(&generate::flow_match::flow(), 3000);
    for flow in flows.into_iter().filter(|flow| !flow.contains("gtpu")) {
        let parsed = parse(&format!("{flow} actions=drop")).flow_mod.into_flow();
        let text = format_flow(&parsed);
        let mut again = parse_flow(&text).unwrap_or_else(|error| panic!("{flow}\n{text}\n{error}"));
        assert_eq!(format_flow(&again), text, "{flow}");
        // Text does not say that all packets are Ethernet ones, nor what lies over registers.
        again.flow_match = parsed.flow_match.clone();
        assert_eq!(again, parsed, "{flow}\n{text}");
    }
}
/// What `ovs-ofctl parse-flow` says of a line besides: usable protocols, and the match before and after it was
/// normalized.
fn said_by_theirs(line: &str) -> [String; 3] {
    let out = Command::new("ovs-ofctl").args(["parse-flow", line]).output().unwrap();
    let (out, err) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    let find = |text: &str, word: &str| {
        let found = text.lines().find_map(|line| line.split_once(word));
        found.map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default()
    };
    [find(&out, "usable protocols: "), find(&err, "INFO| pre: "), find(&err, "INFO|post: ")]
}

#[test]
fn what_is_said_besides_is_theirs() {
    if !ovs_ofctl() {
        return;
    }
    let flows = generate::sample(&generate::flow_match::flow(), 1000);
    let lines = flows.iter().map(|flow| format!("{flow} actions=drop"));
    let (changed, plain): (Vec<_>, Vec<_>) = lines.partition(|line| parse(line).normalized.is_some());
    assert!(!changed.is_empty());
    for line in changed.iter().chain(plain.iter().take(150)) {
        let ParsedFlowMod { protocols, normalized, .. } = parse(line);
        let (before, after) = normalized.map(|said| (said.before, said.after)).unwrap_or_default();
        assert_eq!([protocols.to_string(), before, after], said_by_theirs(line), "{line}");
    }
}

/// Flows that no one should take.
const BAD: &[&str] = &[
    "table=foo,actions=drop",
    "table=256,actions=drop",
    "table=0x5,actions=drop",
    "priority=65536,actions=drop",
    "priority=-1,actions=drop",
    "priority,actions=drop",
    "idle_timeout=70000,actions=drop",
    "importance=70000,actions=drop",
    "cookie=0x,actions=drop",
    "cookie=5/7,actions=drop",
    "out_port=3,actions=drop",
    "foo=3,actions=drop",
    "foo,actions=drop",
    "in_port=1",
    "",
    "in_port=0xfffe,actions=drop",
    "in_port=70000,actions=drop",
    "in_port=-2,actions=drop",
    "in_port=eth9,actions=drop",
    "in_port,actions=drop",
    "reg0=0x100000000,actions=drop",
    "reg0=5/,actions=drop",
    "reg0=/5,actions=drop",
    "reg0=09,actions=drop",
    "reg0[0..3]=16,actions=drop",
    "reg0[0..32]=16,actions=drop",
    "conj_id=5/5,actions=drop",
    "ct_zone=5/1,actions=drop",
    "ct_state=0x100,actions=drop",
    "ct_state=+foo,actions=drop",
    "ct_state=new-est,actions=drop",
    "ip,nw_proto=300,actions=drop",
    "icmp,icmp_type=256,actions=drop",
    "ip,nw_frag=maybe,actions=drop",
    "ip,nw_src=1.2.3.4/33,actions=drop",
    "ip,nw_src=1.2.3,actions=drop",
    "ipv6,ipv6_src=::1/129,actions=drop",
    "ipv6,ipv6_src=1::2::3,actions=drop",
    "dl_src=1:2:3:4:5:6:7,actions=drop",
    "dl_src=1:2:3:4:5,actions=drop",
    "dl_type=0x10000,actions=drop",
    "tcp,tcp_flags=0x1fff,actions=drop",
    "tcp,tcp_flags=+foo,actions=drop",
    "arp,arp_op=3/255,actions=drop",
    "dl_vlan=5/0xff,actions=drop",
    "packet_type=5,actions=drop",
    "packet_type=(1,0x800,actions=drop",
    "NXM_NX_REG0=5,actions=drop",
    "mpls,mpls_label=0x100000000,actions=drop",
    "delete table=3,actions=drop",
];

#[test]
fn what_ovs_ofctl_refuses_is_refused() {
    if !ovs_ofctl() {
        return;
    }
    let mut taken: Vec<&str> = Vec::new();
    for line in BAD {
        let out = Command::new("ovs-ofctl").args(["-O", "OpenFlow13", "parse-flow", line]).output().unwrap();
        assert!(!out.status.success(), "ovs-ofctl takes {line}");
        let ours = parse_flow_mod(line, Some(FlowModCommand::ADD), None);
        taken.extend(ours.is_ok().then_some(*line));
    }
    assert!(taken.is_empty(), "{taken:#?}");
}

#[test]
fn every_command_is_printed_as_ofp_print_prints_it() {
    if !ovs_ofctl() {
        return;
    }
    for line in [
        "table=3,ip,cookie=5,actions=drop",
        "add,in_port=1,priority=7,idle_timeout=5,send_flow_rem,actions=drop",
        "modify table=4,tcp,cookie=5/7,actions=drop",
        "modify cookie=5,hard_timeout=7,reset_counts,actions=drop",
        "modify_strict cookie=-1/-1,priority=3 actions=drop",
        "delete",
        "delete table=3,out_port=3,cookie=0x500000000/0xffffffff00000000",
        "delete cookie=5/7 out_group=3 out_port=LOCAL",
        "delete_strict table=0,priority=0,udp,tp_dst=53",
    ] {
        let flow_mod =
            parse_flow_mod(line, None, None).unwrap_or_else(|error| panic!("{line}: {error}")).flow_mod;
        let mut bytes = Vec::new();
        Message::FlowMod(flow_mod.clone()).encode(Xid(1), &mut bytes).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let out = Command::new("ovs-ofctl").args(["ofp-print", &hex]).output().unwrap();
        let theirs = String::from_utf8(out.stdout).unwrap();
        let (_, theirs) = theirs.split_once("): ").unwrap();
        assert_eq!(format_flow_mod(&flow_mod), theirs.trim_end(), "{line}");
    }
}
