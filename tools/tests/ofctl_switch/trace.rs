//! `ofctl trace` of a bridge beside `ofproto/trace` of the same one.

use super::ovs::Switch;

const GROUPS: &str = "\
group_id=1,type=all,bucket=output:1,bucket=set_field:0a:00:00:00:00:09->eth_dst,output:2
group_id=2,type=ff,bucket=watch_port:9,output:9,bucket=watch_port:2,output:2
";

const FLOWS: &str = "\
cookie=0x1,table=0,priority=100,arp,actions=output:2,IN_PORT
cookie=0x2,table=0,priority=100,tcp,in_port=1,actions=dec_ttl,resubmit(,1),output:2
cookie=0x3,table=0,priority=100,udp,in_port=1,actions=ct(table=2,zone=5)
cookie=0x4,table=0,priority=100,icmp,actions=group:1
cookie=0x5,table=0,priority=100,sctp,actions=group:2
cookie=0x6,table=0,priority=100,icmp6,actions=write_actions(push_vlan:0x8100,set_field:4106->vlan_vid,output:2),goto_table:1
cookie=0x7,table=0,priority=90,ip,nw_ttl=1,actions=dec_ttl,output:2
cookie=0x8,table=0,priority=80,ip,actions=clone(set_field:10.0.0.9->ip_dst,output:2),resubmit(,0)
cookie=0x9,table=0,priority=70,dl_vlan=10,actions=pop_vlan,output:2
cookie=0xa,table=1,priority=10,tcp,actions=set_field:0a:00:00:00:00:01->eth_dst,move:eth_src->xxreg0[0..47],resubmit(,3)
cookie=0xb,table=1,priority=10,ipv6,actions=set_field:5->metadata,goto_table:3
cookie=0xc,table=2,priority=10,ct_state=+new+trk,udp,actions=output:2
cookie=0xd,table=2,priority=10,ct_state=+est+trk,udp,actions=output:1,output:9
table=3,priority=0,actions=drop
";

const PACKETS: [&str; 11] = [
    "in_port=1,arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2",
    "in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tcp_dst=80",
    "in_port=2,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=1",
    "in_port=1,udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64",
    "in_port=1,icmp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64",
    "in_port=1,sctp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64",
    "in_port=1,icmp6,icmpv6_type=135,icmpv6_code=0,nd_target=fd00::1,nd_sll=0a:00:00:00:00:01",
    "in_port=1,ip,nw_proto=47,nw_dst=10.0.0.2,nw_ttl=64",
    "in_port=1,dl_type=0x88cc,dl_vlan=10,dl_vlan_pcp=3",
    "in_port=2,dl_type=0x88cc",
    "in_port=9,arp",
];

#[test]
fn a_packet_goes_the_way_that_the_switch_says() {
    let Some(switch) = Switch::start() else { return };
    switch.write("groups", GROUPS);
    switch.write("flows", FLOWS);
    switch.ovs_ofctl(&["add-groups", "br0", "groups"]);
    switch.ovs_ofctl(&["add-flows", "br0", "flows"]);
    let socket = switch.path("vs.ctl");
    for packet in PACKETS {
        let ours = switch.ofctl(&["trace", "br0", packet]);
        let theirs = switch.run("ovs-appctl", &["-t", &socket, "ofproto/trace", "br0", packet]);
        assert_eq!(steady(&ours), steady(&theirs), "{packet}");
    }
    let flow = PACKETS[3];
    let ours = switch.ofctl(&["trace", "br0", flow, "--ct-next", "trk,est"]);
    let theirs =
        switch.run("ovs-appctl", &["-t", &socket, "ofproto/trace", "br0", flow, "--ct-next", "trk,est"]);
    assert_eq!(steady(&ours), steady(&theirs));
    assert!(ours.contains("Nonexistent output port"), "{ours}");
}

/// A trace without what only the switch itself knows: the megaflow, how it reaches its controller, and the numbers by
/// which packets come again.
fn steady(text: &str) -> Vec<String> {
    const OWN: [&str; 2] = ["Megaflow: ", "Datapath actions: userspace("];
    let lines = text.trim_end().lines().filter(|line| !OWN.iter().any(|own| line.starts_with(own)));
    lines.map(|line| without_numbers(&without_numbers(line, "recirc(0x"), "recirc_id=0x")).collect()
}

/// A line without the hexadecimal digits behind a word.
fn without_numbers(line: &str, word: &str) -> String {
    let mut parts = line.split(word);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| line + word + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}
