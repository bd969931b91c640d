//! Networks beside each other: the same addresses twice, tunnels that nothing has passed yet, and how many flows it takes.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use flowlib::text::parse_flow;
use ipnet::Ipv4Net;
use labs::Daemon;
use labs::capture::Capture;
use support::{Attached, System, reaches, vlan, vxlan};
use weir_api::v1;

#[test]
fn networks_with_the_same_addresses_do_not_meet() {
    let Some(system) = System::up("overlap") else { return };
    system.network(vlan("lan"));
    system.network(vxlan("net", "10.209.164.0/22"));
    let node = |i: usize| format!("n{}", i % 3 + 1);
    let on_vlan: Vec<Attached> =
        (0..6).map(|i| system.create(&format!("lan{i}"), &format!("lan/{}", node(i)))).collect();
    // By choice they would be others: the VLAN has a gateway, and an address of each block's node.
    let same = |(i, c): (usize, &Attached)| {
        system.create_at(&format!("net{i}"), &format!("net/{}", node(i)), &c.address.to_string())
    };
    let on_vxlan: Vec<Attached> = on_vlan.iter().enumerate().map(same).collect();
    let networks = [(on_vlan, "a5"), (on_vxlan, "5a")];

    let watch = |c: &Attached| Capture::on_interface(&c.place, "eth0").unwrap();
    let captures = networks.each_ref().map(|(members, _)| members.iter().map(watch).collect::<Vec<_>>());
    for (members, pattern) in &networks {
        for from in members {
            for to in members.iter().filter(|to| to.address != from.address) {
                let ping = ["ping", "-n", "-c", "1", "-W", "2", "-p", pattern, &to.address.to_string()];
                assert!(from.place.run(ping).is_ok(), "{} to {}", from.name, to.name);
            }
        }
    }
    for ((members, pattern), captures) in networks.iter().zip(captures) {
        let pattern = [u8::from_str_radix(pattern, 16).unwrap(); 32];
        for (container, capture) in members.iter().zip(captures) {
            let frames = capture.stop();
            let echoes = frames.iter().filter(|f| f.summary().is_some_and(|s| s.ipv4().is_some()));
            let (own, foreign): (Vec<_>, Vec<_>) = echoes.partition(|f| f.bytes.ends_with(&pattern));
            assert!(foreign.is_empty(), "at {}: {:?}", container.name, foreign[0].summary());
            // Requests and replies, sent and received, of and to each of the others.
            assert_eq!(own.len(), 4 * (members.len() - 1), "at {}", container.name);
        }
    }
    flows_are_few(&system);
    a_new_controller_finds_all_as_it_should_be(&system);
}

#[test]
fn the_first_packet_over_a_cold_tunnel_is_not_lost() {
    let Some(system) = System::up("cold") else { return };
    system.network(vxlan("net", "10.20.0.0/16"));
    let one = system.create("one", "net/n1");
    let two = system.create("two", "net/n2");
    assert!(reaches(&one.place, two.address), "n1 to n2");
    let three = system.create("three", "net/n3");
    assert!(reaches(&three.place, one.address), "n3 to n1");
    assert!(reaches(&two.place, three.address), "n2 to n3");
}

/// At most 40, 7 for each endpoint, 2 for each own block, 1 for each other node, 1 for each block, exception and external
/// neighbour of each network present.
fn flows_are_few(system: &System) {
    let (containers, nodes) = (system.containers(), system.nodes());
    let networks = ["lan", "net"].map(|name| system.network_now(name));
    for node in &nodes {
        let local: Vec<_> = containers.iter().filter(|c| c.node == node.name).collect();
        let present = networks.iter().filter(|n| local.iter().any(|c| c.network == n.name));
        let prefixes: usize = present
            .map(|network| {
                let members = containers.iter().filter(|c| c.network == network.name);
                let exceptions = members.filter(|c| !is_in_own_block(c, network)).count();
                let own = network.blocks.iter().filter(|block| block.node == node.name).count();
                network.blocks.len() + 2 * own + exceptions + network.neighbours.len()
            })
            .sum();
        let most = 40 + 7 * local.len() + (nodes.len() - 1) + prefixes;
        let flows = dump(system, &node.name);
        println!("{}: {} flows of at most {most}, {} endpoints", node.name, flows.len(), local.len());
        assert!(flows.len() <= most, "{} has {} flows, not {most}", node.name, flows.len());
    }
}

fn is_in_own_block(container: &v1::Container, network: &v1::Network) -> bool {
    let address: Ipv4Addr = container.address.parse().unwrap();
    let mut own = network.blocks.iter().filter(|block| block.node == container.node);
    own.any(|block| block.prefix.parse::<Ipv4Net>().unwrap().contains(&address))
}

/// A node's flows, without counters. Each is read by our own reader.
fn dump(system: &System, node: &str) -> BTreeSet<String> {
    let dump = system.lab.node(node).unwrap().dump_flows("br-int").unwrap();
    let lines = dump.lines().filter(|line| line.contains("table="));
    lines
        .map(|line| {
            let flow = parse_flow(line.trim()).unwrap_or_else(|e| panic!("{e}: {line}"));
            flowlib::text::format_flow(&flow)
        })
        .collect()
}

/// The ledgers on real switches hold what a controller that knows nothing of the past compiles from the intent.
fn a_new_controller_finds_all_as_it_should_be(system: &System) {
    let names = || system.nodes().into_iter().map(|node| node.name);
    let before: Vec<_> = names().map(|node| dump(system, &node)).collect();
    let rows = |flows: &BTreeSet<String>| flows.iter().filter(|flow| flow.contains("table=62,")).count();
    let segments: usize = before.iter().map(rows).sum();
    assert!(segments >= 4 * 3, "pool, node and two networks on each of three nodes: {segments}");
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    let counters = || {
        let Some(status) = system.status() else { return Ok(None) };
        let settled = status.nodes.iter().filter(|n| n.status.as_ref().is_some_and(|s| s.in_sync)).count();
        Ok((settled == 3).then_some(status.counters))
    };
    let counters = system.lab.wait_until(Duration::from_secs(20), "a controller in sync", counters).unwrap();
    let count = |name: &str| counters.get(name).copied().unwrap_or_default();
    let expected = (segments as u64, 0, 0);
    assert_eq!(
        (count("segments_equal"), count("segments_mended"), count("flow_mods_sent")),
        expected,
        "{counters:?}"
    );
    let after: Vec<_> = names().map(|node| dump(system, &node)).collect();
    assert_eq!(before, after);
}
