//! What does not pass: ARP that the switch answers itself or not at all, and frames that lie.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use flowlib::pipeline::drop_reason::DropReason;
use labs::capture::{Capture, Frame, Summary, send};
use support::{
    Arp, Attached, BROADCAST, System, VIRTUAL_MAC, assert_drops, ethernet, inside, ipv4_udp, tagged, vlan,
    vxlan,
};

/// Who bears no endpoint's MAC.
const LIE: [u8; 6] = [2, 0x42, 1, 2, 3, 4];
/// How often each lie is told.
const TIMES: usize = 10;
const MARK: &[u8] = b"this frame must not arrive anywhere";

#[test]
fn the_switch_answers_arp_with_the_virtual_mac_or_not_at_all() {
    let Some(system) = System::up("arp") else { return };
    system.network(vlan("lan"));
    let asker = system.create("asker", "lan/n1");
    let peer = system.create("peer", "lan/n2");
    let heard = Capture::on_interface(&asker.place, "eth0").unwrap();
    let replies = || -> Vec<(Ipv4Addr, [u8; 6])> {
        let summaries = heard.summaries().into_iter().filter(|s| s.destination.octets() == asker.mac);
        summaries
            .filter_map(|s| s.arp().filter(|a| a.operation == 2).map(|a| (a.sender, a.sender_mac.octets())))
            .collect()
    };
    let ask = |arp: Arp| send(&asker.place, "eth0", &[arp.frame()]).unwrap();
    let about = |target| Arp::request(asker.mac, asker.address, target);

    let own = DropReason::OwnAddress;
    assert_drops(&system.lab, "n1", own, 1, "duplicate address detection (arping -D)", || {
        ask(Arp { sender: Ipv4Addr::UNSPECIFIED, ..about(asker.address) });
    });
    assert_drops(&system.lab, "n1", own, 1, "a gratuitous request", || ask(about(asker.address)));
    assert_drops(&system.lab, "n1", own, 1, "a gratuitous reply", || {
        ask(Arp { operation: 2, ..about(asker.address) });
    });
    assert_drops(&system.lab, "n1", own, 1, "a probe for another's address", || {
        ask(Arp { sender: Ipv4Addr::UNSPECIFIED, ..about(peer.address) });
    });
    assert_drops(&system.lab, "n1", DropReason::NeighbourUnanswered, 1, "an address off the subnet", || {
        ask(about(Ipv4Addr::new(192, 0, 2, 1)));
    });
    assert_drops(&system.lab, "n1", DropReason::NeighbourUnanswered, 1, "a reply", || {
        ask(Arp { operation: 2, ..about(peer.address) });
    });
    assert_eq!(replies(), []);

    // The gateway, a peer, an address that nobody has, and the revalidation of an entry by unicast.
    let nobody = Ipv4Addr::new(10, 209, 166, 66);
    for target in [Ipv4Addr::new(10, 209, 164, 1), peer.address, nobody] {
        ask(about(target));
    }
    ask(Arp { destination: VIRTUAL_MAC, ..about(peer.address) });
    let four = || Ok((replies().len() >= 4).then(replies));
    let answered = system.lab.wait_until(Duration::from_secs(5), "four replies", four).unwrap();
    let expected = [Ipv4Addr::new(10, 209, 164, 1), peer.address, nobody, peer.address];
    assert_eq!(answered, expected.map(|address| (address, VIRTUAL_MAC)));
}

#[test]
fn frames_that_lie_are_dropped_and_counted_by_reason() {
    let Some(system) = System::up("guard") else { return };
    system.network(vlan("lan"));
    let net = system.network(vxlan("net", "10.20.0.0/16"));
    let (liar, victim) = (system.create("liar", "lan/n1"), system.create("victim", "lan/n2"));
    let neighbour = system.create("neighbour", "lan/n1");
    let inner = system.create("inner", "net/n1");
    system.create("outer", "net/n2");
    let watched = [&victim, &neighbour, &inner];
    let captures = watched.map(|container| Capture::on_interface(&container.place, "eth0").unwrap());
    let outside = Capture::on_interface(&system.place("bare"), "eth0").unwrap();

    endpoint_lies(&system, &liar, &neighbour);
    fabric_lies(&system, &neighbour);
    stranger_tunnels(&system, net.vni, &inner);
    no_flow_is_hidden(&system);

    for (container, capture) in watched.into_iter().zip(captures) {
        assert_eq!(marked(capture), [], "at {}", container.name);
    }
    let mut flooded = marked(outside);
    // The switch floods what the gateway has sent to addresses it does not know.
    flooded.retain(|summary| summary.source.octets() != system.host_mac("gw"));
    assert_eq!(flooded, []);
}

/// The frames of a capture that are lies.
fn marked(capture: Capture) -> Vec<Summary> {
    let is_lie = |frame: &Frame| frame.bytes.windows(MARK.len()).any(|window| window == MARK);
    capture.stop().into_iter().filter(is_lie).filter_map(|frame| frame.summary()).collect()
}

/// What an endpoint sends that is not its own.
fn endpoint_lies(system: &System, liar: &Attached, neighbour: &Attached) {
    let gateway = Ipv4Addr::new(10, 209, 164, 1);
    let dropped = |reason, what: &str, frame: Vec<u8>| {
        let frames = vec![frame; TIMES];
        assert_drops(&system.lab, "n1", reason, TIMES as u64, what, || {
            send(&liar.place, "eth0", &frames).unwrap()
        });
    };
    let to = (VIRTUAL_MAC, neighbour.address);
    let spoofed = DropReason::Spoofed;
    dropped(spoofed, "a made-up MAC", ipv4_udp((LIE, liar.address), to, MARK));
    dropped(spoofed, "a neighbour's MAC", ipv4_udp((neighbour.mac, liar.address), to, MARK));
    dropped(spoofed, "a neighbour's address", ipv4_udp((liar.mac, neighbour.address), to, MARK));
    dropped(spoofed, "the gateway's address", ipv4_udp((liar.mac, gateway), to, MARK));
    dropped(spoofed, "no IP at all", ethernet(BROADCAST, liar.mac, 0x88b5, MARK));
    let arp = Arp::request(liar.mac, liar.address, gateway);
    dropped(
        spoofed,
        "ARP in the gateway's name",
        Arp { sender: gateway, target: neighbour.address, ..arp }.frame(),
    );
    dropped(spoofed, "ARP with another's MAC inside", Arp { sender_mac: neighbour.mac, ..arp }.frame());
    dropped(spoofed, "ARP with another's MAC outside", Arp { source: neighbour.mac, ..arp }.frame());
    let own = ipv4_udp((liar.mac, liar.address), to, MARK);
    dropped(DropReason::Tagged, "the network's own tag", tagged(&own, 100));
    dropped(DropReason::Tagged, "another tag", tagged(&own, 300));
    dropped(DropReason::Tagged, "priority tag", tagged(&own, 0));
    dropped(DropReason::Tagged, "two tags", tagged(&tagged(&own, 100), 100));
    let by_its_mac = ipv4_udp((liar.mac, liar.address), (neighbour.mac, neighbour.address), MARK);
    dropped(DropReason::NotAddressedHere, "a neighbour's own MAC", by_its_mac);
    let to_all = ipv4_udp((liar.mac, liar.address), (BROADCAST, Ipv4Addr::BROADCAST), MARK);
    dropped(DropReason::NotAddressedHere, "a broadcast", to_all);
    let header = [&[0x60, 0, 0, 0, 0, 40, 17, 64][..], &[0x20; 32]].concat();
    dropped(DropReason::Ipv6, "IPv6", ethernet(VIRTUAL_MAC, liar.mac, 0x86dd, &[&header, MARK].concat()));
}

/// What a host on the VLAN sends past the NAT MAC: by an endpoint's own MAC, or the virtual one, or to all.
fn fabric_lies(system: &System, endpoint: &Attached) {
    let gateway = system.place("gw");
    let from = (system.host_mac("gw"), Ipv4Addr::new(10, 209, 164, 1));
    for (what, mac) in
        [("an endpoint's MAC", endpoint.mac), ("the virtual MAC", VIRTUAL_MAC), ("all", BROADCAST)]
    {
        let frames = vec![ipv4_udp(from, (mac, endpoint.address), MARK); TIMES];
        let what = format!("from the fabric to {what}");
        assert_drops(&system.lab, "n1", DropReason::NotAddressedHere, TIMES as u64, &what, || {
            send(&gateway, "eth0", &frames).unwrap();
        });
    }
}

/// VXLAN by hand from a host that is no node: the right VNI, the right inner addresses.
fn stranger_tunnels(system: &System, vni: u32, to: &Attached) {
    let inner = ipv4_udp((VIRTUAL_MAC, Ipv4Addr::new(10, 20, 0, 99)), (VIRTUAL_MAC, to.address), MARK);
    let header = [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes()].concat();
    let packet = [header, inner].concat();
    assert_drops(&system.lab, "n1", DropReason::TunnelSource, TIMES as u64, "VXLAN of a stranger", || {
        inside(&system.place("probe"), || {
            let socket = UdpSocket::bind("172.31.0.66:0").unwrap();
            for _ in 0..TIMES {
                socket.send_to(&packet, "172.31.0.1:4789").unwrap();
            }
        });
    });
}

/// Open vSwitch adds flows of its own for in-band control, and for a bridge that fails open; there are none.
fn no_flow_is_hidden(system: &System) {
    for node in system.nodes() {
        let dump = system.lab.node(&node.name).unwrap().appctl(["bridge/dump-flows", "br-int"]).unwrap();
        assert!(dump.lines().count() > 20, "{dump}");
        for way in ["NORMAL", "FLOOD", "ALL"] {
            assert!(!dump.contains(way), "{way} in the flows of {}:\n{dump}", node.name);
        }
    }
}
