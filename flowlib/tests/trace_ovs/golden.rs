//! The flows that are compiled for a node, and packets of every kind that may come to it.

use std::collections::BTreeSet;

/// The flows of the golden case; what is said of it in `golden/two-nodes/input.toml` is what the packets are about.
pub(crate) fn flows() -> String {
    let text = include_str!("../golden/two-nodes/flows.txt");
    // The ledger is for the controller to read: no packet comes there.
    let is_for_packets = |line: &&str| !line.starts_with('#') && !line.contains(", table=62,");
    text.lines().filter(is_for_packets).flat_map(|line| [line, "\n"]).collect()
}

/// The ports that the flows are about: uplink, tunnel, and an endpoint each.
pub(crate) const PORTS: [u32; 5] = [1, 2, 1024, 1025, 1026];

/// Where packets come from: endpoints, one of them with a tag it may not have; the uplink in the right VLAN, in another
/// and in none; the tunnel from the other node, from this one, from a stranger and with a VNI that nobody has.
const INGRESS: [&str; 11] = [
    "in_port=1024",
    "in_port=1025",
    "in_port=1026",
    "in_port=1024,dl_vlan=100",
    "in_port=1,dl_vlan=100",
    "in_port=1,dl_vlan=101",
    "in_port=1",
    "in_port=2,tun_src=172.31.0.2,tun_id=200",
    "in_port=2,tun_src=172.31.0.1,tun_id=200",
    "in_port=2,tun_src=172.31.0.9,tun_id=200",
    "in_port=2,tun_src=172.31.0.2,tun_id=201",
];

/// Who is said to send: the endpoints, the gateway, an address that is not the sender's, none, and one from outside.
const SENDERS: [(&str, &str); 6] = [
    ("02:42:0a:01:00:02", "10.1.0.2"),
    ("02:42:0a:01:00:46", "10.1.0.70"),
    ("02:00:00:00:aa:01", "10.1.0.1"),
    ("02:42:0a:01:00:02", "10.1.0.3"),
    ("02:42:0a:01:00:02", "0.0.0.0"),
    ("06:00:00:00:00:01", "192.0.2.1"),
];

/// To whom: an endpoint, the exception, an own address of this node, an address of it that nobody has, the other node's block,
/// the gateway, a bare host, nobody, outside, all, many.
const RECEIVERS: [(&str, &str); 13] = [
    ("02:00:00:00:00:fe", "10.1.0.2"),
    ("0e:00:00:00:00:01", "10.1.0.2"),
    ("0e:00:00:00:00:01", "10.1.0.70"),
    ("0e:00:00:00:00:01", "10.1.1.0"),
    ("02:00:00:00:00:fe", "10.1.1.0"),
    ("02:00:00:00:00:fe", "10.1.0.5"),
    ("02:00:00:00:00:fe", "10.1.0.66"),
    ("02:00:00:00:00:fe", "10.1.0.1"),
    ("02:00:00:00:00:fe", "10.1.0.200"),
    ("02:00:00:00:00:fe", "10.1.2.7"),
    ("02:00:00:00:00:fe", "192.0.2.1"),
    ("ff:ff:ff:ff:ff:ff", "255.255.255.255"),
    ("01:00:5e:00:00:05", "224.0.0.5"),
];

/// What is neither ARP nor IPv4: neighbour discovery, IPv6, and protocols of the link.
const OTHERS: [&str; 5] = [
    "icmp6,ipv6_src=fe80::1,ipv6_dst=ff02::1:ff00:2,icmpv6_type=135,icmpv6_code=0,nd_target=fe80::2,nd_sll=02:42:0a:01:00:02",
    "icmp6,ipv6_src=fe80::1,ipv6_dst=fe80::2,icmpv6_type=136,icmpv6_code=0,nd_target=fe80::1,nd_tll=02:42:0a:01:00:02",
    "udp6,ipv6_src=fd00::1,ipv6_dst=fd00::2,udp_src=1,udp_dst=2",
    "dl_type=0x88cc",
    "mpls,mpls_label=5,mpls_bos=1",
];

/// The packets, as `ofproto/trace` takes them.
pub(crate) fn packets() -> Vec<String> {
    let mut packets = Vec::new();
    for ingress in INGRESS {
        for (n, (src, spa)) in SENDERS.into_iter().enumerate() {
            for (m, (dst, tpa)) in RECEIVERS.into_iter().enumerate() {
                let link = format!("dl_src={src},dl_dst={dst}");
                for op in [1, 2] {
                    let to = if op == 1 && m % 2 == 0 { "ff:ff:ff:ff:ff:ff" } else { dst };
                    packets.push(format!(
                        "{ingress},arp,dl_src={src},dl_dst={to},arp_op={op},arp_sha={src},arp_spa={spa},arp_tpa={tpa}"
                    ));
                }
                let transport = ["tcp", "udp", "icmp", "sctp"][(n + m) % 4];
                packets.push(format!("{ingress},{transport},{link},nw_src={spa},nw_dst={tpa},nw_ttl=64"));
            }
        }
        let (src, spa) = SENDERS[0];
        packets
            .extend(OTHERS.map(|other| format!("{ingress},{other},dl_src={src},dl_dst=02:00:00:00:00:fe")));
        // The hardware address within is another's.
        packets.push(format!(
            "{ingress},arp,dl_src={src},arp_op=1,arp_sha=02:00:00:00:00:09,arp_spa={spa},arp_tpa=10.1.0.1"
        ));
    }
    packets
}

/// Flows that all nodes have, and that are hidden on this one by its own: they lead to it.
const HIDDEN: [&str; 4] = [
    " 5. ip,reg0=0x1,reg1=0x1,nw_dst=10.1.0.70, priority 197,",
    " 5. ip,reg0=0x1,reg1=0x1,nw_dst=10.1.0.0/26, priority 179,",
    " 5. ip,reg0=0x1,reg1=0x1,nw_dst=10.1.1.0/26, priority 179,",
    " 5. ip,reg0=0x2,reg1=0x1,nw_dst=10.1.0.0/26, priority 179,",
];

/// Fails if there is a flow that no packet came to; `reached` are the tables' lines of the traces.
pub(crate) fn check_reached(flows: &str, reached: &BTreeSet<String>) {
    let line = |flow: &str| {
        let flow = flowlib::text::parse_flow(flow).unwrap();
        let text = flowlib::text::format_match(&flow.flow_match);
        let comma = if flow.flow_match.is_empty() { "" } else { ", " };
        format!("{:2}. {text}{comma}priority {}, cookie {}", flow.table.0, flow.priority, flow.cookie)
    };
    let is_hidden = |line: &String| HIDDEN.iter().any(|hidden| line.contains(hidden));
    let missed: Vec<_> =
        flows.lines().map(line).filter(|line| !reached.contains(line) && !is_hidden(line)).collect();
    assert!(missed.is_empty(), "no packet comes to {missed:#?}");
}
