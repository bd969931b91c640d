//! A gateway that routes each block to its node's own address: one neighbour a node, whatever number of containers.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use labs::Place;
use support::{Attached, System, reaches, vlan};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 209, 164, 1);
const ON_EACH_NODE: usize = 10;

#[test]
fn with_a_route_a_block_the_gateway_has_one_neighbour_a_node() {
    let Some(system) = System::up("routes") else { return };
    system.network(vlan("lan"));
    let gateway = system.place("gw");
    let mut containers: Vec<Attached> = (0..3 * ON_EACH_NODE)
        .map(|i| system.create(&format!("c{i}"), &format!("lan/n{}", i % 3 + 1)))
        .collect();
    let own: BTreeSet<String> = take_routes(&system, &gateway);
    assert_eq!(own.len(), 3, "{own:?}");
    assert!(containers.iter().all(|c| !own.contains(&c.address.to_string())), "{own:?}");

    reach_all(&gateway, &containers);
    let nat_macs: BTreeSet<[u8; 6]> = system.nat_macs().into_iter().map(|(_, mac)| mac).collect();
    let neighbours = neighbours(&gateway);
    assert_eq!(neighbours.iter().map(|(address, _)| address.clone()).collect::<BTreeSet<_>>(), own);
    assert_eq!(neighbours.into_iter().map(|(_, mac)| mac).collect::<BTreeSet<_>>(), nat_macs);

    // One that moves off its block has a route of its own, by the other node's own address.
    containers[0] = system.move_to("c0", "n2");
    assert_eq!(take_routes(&system, &gateway), own);
    reach_all(&gateway, &containers);
    assert_eq!(self::neighbours(&gateway).len(), 3);

    let (code, message) = system.refusal("own", "lan", own.first().map(String::as_str));
    assert_eq!(code, tonic::Code::InvalidArgument, "{message}");
}

/// Gives the gateway the routes that the controller says; their next hops.
fn take_routes(system: &System, gateway: &Place) -> BTreeSet<String> {
    let connected = gateway.run(["ip", "-o", "route", "show", "10.209.164.0/22"]).unwrap();
    let dev = connected.split_whitespace().skip_while(|word| *word != "dev").nth(1).unwrap();
    let routes = system.network_now("lan").routes;
    for route in &routes {
        let words = ["ip", "route", "replace", &route.prefix, "via", &route.via, "dev", dev, "onlink"];
        gateway.run(words).unwrap();
    }
    routes.into_iter().map(|route| route.via).collect()
}

fn reach_all(gateway: &Place, containers: &[Attached]) {
    for container in containers {
        assert!(reaches(gateway, container.address), "the gateway to {}", container.name);
        assert!(reaches(&container.place, GATEWAY), "{} to the gateway", container.name);
    }
}

/// The gateway's neighbours whose address it knows.
fn neighbours(gateway: &Place) -> Vec<(String, [u8; 6])> {
    let shown = gateway.run(["ip", "-4", "neigh", "show"]).unwrap();
    let known = shown.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mac = words.iter().skip_while(|word| **word != "lladdr").nth(1)?;
        Some((words.first()?.to_string(), support::mac(mac)))
    });
    known.collect()
}
