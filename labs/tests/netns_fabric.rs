//! What the fabric sees of a VLAN: one MAC address a node, and of ARP only Weir's own few frames.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use labs::capture::{Capture, Direction, Frame};
use support::{Attached, System, reaches, vlan};

/// How often nodes show their NAT MACs here; the default is once a minute.
const MAC_REFRESH: Duration = Duration::from_secs(4);

#[test]
fn the_fabric_sees_one_mac_a_node_and_no_containers_arp() {
    let slower = |topology: &mut labs::Topology| {
        topology.controller.as_mut().unwrap().args.extend(["--mac-refresh".to_owned(), "4s".to_owned()]);
    };
    let Some(system) = System::up_with("fabric", slower) else { return };
    let nat_macs: BTreeMap<String, [u8; 6]> = system.nat_macs().into_iter().collect();
    let captures: Vec<(&String, Capture)> = nat_macs
        .keys()
        .map(|node| (node, Capture::on_port(&system.lab, node, Direction::FromMachine).unwrap()))
        .collect();
    let begun = SystemTime::now();
    system.network(vlan("lan"));
    let containers: Vec<Attached> =
        (0..6).map(|i| system.create(&format!("c{i}"), &format!("lan/n{}", i % 3 + 1))).collect();
    let everyone: BTreeSet<_> = containers.iter().map(|c| c.address).collect();

    let outside = [("gw", Ipv4Addr::new(10, 209, 164, 1)), ("bare", Ipv4Addr::new(10, 209, 167, 250))];
    for from in &containers {
        for to in everyone.iter().chain(outside.iter().map(|(_, address)| address)) {
            assert!(*to == from.address || reaches(&from.place, *to), "{} to {to}", from.name);
        }
        for (host, _) in outside {
            assert!(reaches(&system.place(host), from.address), "{host} to {}", from.name);
        }
    }
    let mut learned: Vec<String> = learned_on_vlan(&system);
    learned.sort();
    let mut expected: Vec<[u8; 6]> = nat_macs.values().copied().collect();
    expected.extend(outside.map(|(host, _)| system.host_mac(host)));
    let mut expected: Vec<String> = expected.into_iter().map(shown).collect();
    expected.sort();
    assert_eq!(learned, expected, "the MAC table of the physical switch");

    // Announcements end three seconds after the last start; presence is shown at the pace asked for.
    let both = || {
        let presences = |capture: &Capture| {
            capture
                .frames()
                .iter()
                .filter_map(|f| kind(f, &everyone))
                .filter(|k| *k == Kind::Presence)
                .count()
        };
        Ok(captures.iter().all(|(_, capture)| presences(capture) >= 2).then_some(()))
    };
    system.lab.wait_until(Duration::from_secs(20), "two presence frames a node", both).unwrap();
    // Where an endpoint has moved to it is announced anew.
    let moved = system.move_to("c0", "n2");
    let announced = Kind::Announcement(moved.address);
    let thrice = || {
        let frames = captures.iter().filter(|(node, _)| *node == "n2").flat_map(|(_, c)| c.frames());
        Ok((frames.filter(|f| kind(f, &everyone) == Some(announced)).count() >= 3).then_some(()))
    };
    system.lab.wait_until(Duration::from_secs(10), "the announcements of a move", thrice).unwrap();
    let elapsed = begun.elapsed().unwrap();
    for (node, capture) in captures {
        let on_it = containers.iter().chain([&moved]).filter(|c| &c.node == node);
        let mine = on_it.map(|c| c.address).collect();
        check_frames(node, nat_macs[node], &capture.stop(), &mine, &everyone, elapsed);
    }
}

/// What a frame of a node on the VLAN may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Announcement(Ipv4Addr),
    Probe,
    Answer(Ipv4Addr),
    Presence,
    Packet,
}

fn check_frames(
    node: &str,
    nat_mac: [u8; 6],
    frames: &[Frame],
    mine: &BTreeSet<Ipv4Addr>,
    everyone: &BTreeSet<Ipv4Addr>,
    elapsed: Duration,
) {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for frame in frames {
        let summary = frame.summary().unwrap();
        if summary.vlan.is_none() {
            // The underlay: node and controller.
            continue;
        }
        assert_eq!((summary.vlan, summary.source.octets()), (Some(100), nat_mac), "{node} sends {summary}");
        let Some(kind) = kind(frame, everyone) else { panic!("{node} sends {summary}") };
        if kind == Kind::Packet {
            assert!(summary.destination.is_unicast(), "{node} sends {summary}");
        }
        *counts.entry(kind).or_default() += 1;
    }
    for address in mine {
        assert_eq!(counts.remove(&Kind::Announcement(*address)), Some(3), "{node} announces {address}");
    }
    let presences = counts.remove(&Kind::Presence).unwrap();
    let most = elapsed.as_secs() / MAC_REFRESH.as_secs() + 1;
    assert!((2..=most).contains(&(presences as u64)), "{node} shows itself {presences} times in {elapsed:?}");
    assert!(counts.remove(&Kind::Packet).unwrap() > 0);
    for kind in counts.keys() {
        match kind {
            Kind::Probe => {}
            Kind::Answer(address) if mine.contains(address) => {}
            other => panic!("{node} sends {other:?}"),
        }
    }
}

/// Nothing: it is no frame that Weir may send.
fn kind(frame: &Frame, everyone: &BTreeSet<Ipv4Addr>) -> Option<Kind> {
    const RARP: u16 = 0x8035;
    let summary = frame.summary()?;
    if summary.payload == labs::capture::Payload::Other(RARP) {
        return Some(Kind::Presence);
    }
    let Some(arp) = summary.arp() else { return summary.ipv4().map(|_| Kind::Packet) };
    match arp.operation {
        _ if arp.sender_mac != summary.source => None,
        1 if arp.sender == arp.target && everyone.contains(&arp.sender) => {
            Some(Kind::Announcement(arp.sender))
        }
        1 if arp.sender.is_unspecified() && !everyone.contains(&arp.target) => Some(Kind::Probe),
        2 if everyone.contains(&arp.sender) && summary.destination.is_unicast() => {
            Some(Kind::Answer(arp.sender))
        }
        _ => None,
    }
}

fn learned_on_vlan(system: &System) -> Vec<String> {
    let table = system.lab.node("switch").unwrap().appctl(["fdb/show", "sw0"]).unwrap();
    let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.get(1) == Some(&"100")).map(|words| words[2].to_owned()).collect()
}

fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
