//! Hosts of a VLAN that are no containers: the gateway, what is behind it, bare hosts.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::net::Ipv4Addr;

use labs::Topology;
use support::{Attached, System, reaches, vlan};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 209, 164, 1);
const BARE: Ipv4Addr = Ipv4Addr::new(10, 209, 167, 250);
/// In the second block of the subnet, which goes to the second node that gets an endpoint.
const IN_BLOCK: Ipv4Addr = Ipv4Addr::new(10, 209, 164, 100);
/// Behind the gateway.
const BEYOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Two bare hosts, and one container on each node.
fn outside(name: &str) -> Option<(System, Vec<Attached>)> {
    let another = |topology: &mut Topology| {
        let mut host = topology.hosts.iter().find(|host| host.name.as_str() == "bare").unwrap().clone();
        host.name = labs::topology::Name::new("squatter").unwrap();
        host.address = format!("{IN_BLOCK}/22").try_into().unwrap();
        topology.hosts.push(host);
    };
    let system = System::up_with(name, another)?;
    system.network(vlan("lan"));
    let containers = (1..=3).map(|n| system.create(&format!("c{n}"), &format!("lan/n{n}"))).collect();
    Some((system, containers))
}

#[test]
fn the_first_packet_to_a_host_outside_waits_until_the_host_is_found() {
    let Some((system, containers)) = outside("outside") else { return };
    let gateway = system.place("gw");
    gateway.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"]).unwrap();
    for container in &containers {
        assert!(reaches(&container.place, GATEWAY), "{} to the gateway", container.name);
        assert!(reaches(&container.place, BEYOND), "{} to beyond the gateway", container.name);
    }
    // Nobody has looked for it yet, and many packets come before it is found, from each of the nodes.
    let burst = ["ping", "-n", "-c", "20", "-i", "0.002", "-W", "3", &BARE.to_string()].map(str::to_owned);
    let bursts: Vec<_> = containers
        .iter()
        .map(|c| c.place.command(&burst).stdout(std::process::Stdio::piped()).spawn().unwrap())
        .collect();
    for (container, burst) in containers.iter().zip(bursts) {
        let said = String::from_utf8(burst.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains(" 20 received"), "{}: {said}", container.name);
    }
    let known = system.network_now("lan").neighbours;
    for (host, address) in [("gw", GATEWAY), ("bare", BARE)] {
        let of_it = known.iter().find(|n| n.address == address.to_string());
        let found = of_it.map(|n| support::mac(&n.mac));
        assert_eq!(found, Some(system.host_mac(host)), "{host} in {known:?}");
    }
}

#[test]
fn a_host_outside_is_answered_at_its_first_packet() {
    let Some((system, containers)) = outside("inbound") else { return };
    for host in ["bare", "gw"] {
        for container in &containers {
            assert!(reaches(&system.place(host), container.address), "{host} to {}", container.name);
        }
    }
}

#[test]
fn a_bare_host_with_an_address_of_a_nodes_block_is_found() {
    let Some((system, containers)) = outside("inblock") else { return };
    let blocks = system.network_now("lan").blocks;
    assert!(blocks.iter().any(|b| b.prefix == "10.209.164.64/26" && b.node == "n2"), "{blocks:?}");
    // From a node that does not hold the block, from the one that does, and back.
    for container in &containers {
        assert!(reaches(&container.place, IN_BLOCK), "{} to {IN_BLOCK}", container.name);
    }
    for container in &containers {
        assert!(reaches(&system.place("squatter"), container.address), "{IN_BLOCK} to {}", container.name);
    }
    // An address that somebody outside has is not given to a container.
    let (code, message) = system.refusal("taken", "lan", Some(&IN_BLOCK.to_string()));
    assert_eq!(code, tonic::Code::AlreadyExists, "{message}");
}

#[test]
fn a_bare_host_in_a_nodes_block_is_answered_at_its_first_packet() {
    let Some((system, containers)) = outside("inblock2") else { return };
    for container in &containers {
        let place = system.place("squatter");
        assert!(reaches(&place, container.address), "{IN_BLOCK} to {}", container.name);
    }
}
