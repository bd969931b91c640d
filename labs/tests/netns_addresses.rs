//! Which addresses endpoints get, and that packets find them wherever they are.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use support::{Attached, System, reaches, vlan, vxlan};
use tonic::Code;
use weir_api::v1;

#[test]
fn a_fixed_address_off_its_block_is_reached_from_everywhere() {
    let Some(system) = System::up("exception") else { return };
    system.network(vlan("lan"));
    system.network(vxlan("net", "10.20.0.0/16"));
    for (network, subnet) in [("lan", "10.209.164"), ("net", "10.20.0")] {
        let mut all: Vec<Attached> =
            (1..=3).map(|n| system.create(&format!("{network}{n}"), &format!("{network}/n{n}"))).collect();
        let blocks = system.network_now(network).blocks;
        // n2's block and n3's: their addresses go to n1 and n2.
        for (node, address) in [("n1", format!("{subnet}.90")), ("n2", format!("{subnet}.150"))] {
            let name = format!("{network}-off-{node}");
            let off = system.create_at(&name, &format!("{network}/{node}"), &address);
            assert_eq!((off.node.as_str(), off.address.to_string()), (node, address));
            all.push(off);
        }
        let after = system.network_now(network).blocks;
        assert_eq!(after.len(), blocks.len(), "an exception brings no block: {after:?}");
        reach_each_other(&all);
        if network == "lan" {
            for container in &all {
                assert!(reaches(&system.place("gw"), container.address), "gw to {}", container.name);
            }
        }
    }
}

#[test]
fn a_full_block_is_followed_by_another_and_then_by_exceptions_until_the_subnet_is_full() {
    let Some(system) = System::up("blocks") else { return };
    // Blocks of four addresses: of the first three hosts, of the last three, of the others all four.
    system.network(v1::Network { block_prefix_len: 30, ..vxlan("net", "10.20.0.0/28") });
    let n1: Vec<Attached> = (0..4).map(|i| system.create(&format!("a{i}"), "net/n1")).collect();
    assert_eq!(held(&system), [("10.20.0.0/30", "n1"), ("10.20.0.4/30", "n1")].map(owned));
    let n2 = system.create("b", "net/n2");
    let n3 = system.create("c", "net/n3");
    assert_eq!(held(&system)[2..], [("10.20.0.8/30", "n2"), ("10.20.0.12/30", "n3")].map(owned));
    // n1 fills its second block, and then has to take from the others'.
    let more: Vec<Attached> = (4..9).map(|i| system.create(&format!("a{i}"), "net/n1")).collect();
    assert_eq!(held(&system).len(), 4);
    let exceptions = more.iter().filter(|c| c.address.octets()[3] >= 8).count();
    assert_eq!(exceptions, 2, "{:?}", more.iter().map(|c| c.address).collect::<Vec<_>>());
    let mut all: Vec<Attached> = n1.into_iter().chain(more).chain([n2, n3]).collect();
    reach_each_other(&all);

    all.extend((0..3).map(|i| system.create(&format!("d{i}"), &format!("net/n{}", i + 1))));
    assert_eq!(all.len(), 14);
    let (code, message) = system.refusal("one-too-many", "net", None);
    assert_eq!(code, Code::ResourceExhausted, "{message}");
    assert!(message.contains("10.20.0.0/28 is full"), "{message}");
}

#[test]
fn a_released_address_cools_down_unless_it_is_asked_for() {
    let Some(system) = System::up("reuse") else { return };
    system.network(vlan("lan"));
    let peer = system.create("peer", "lan/n2");
    let first = system.create("first", "lan/n1");
    assert!(reaches(&peer.place, first.address) && reaches(&system.place("gw"), first.address));
    system.delete("first");
    assert!(!first.place.namespace().exists(), "{:?}", first.place);

    let other = system.create("other", "lan/n1");
    assert_ne!(other.address, first.address, "it is still cooling down");
    let again = system.create_at("again", "lan/n3", &first.address.to_string());
    assert_eq!(again.address, first.address);
    // Whoever knew the old one finds the new one, on another node.
    assert!(reaches(&peer.place, again.address) && reaches(&system.place("gw"), again.address));
    assert!(reaches(&other.place, again.address) && reaches(&again.place, other.address));
    let (code, message) = system.refusal("thief", "lan", Some(&first.address.to_string()));
    assert_eq!(code, Code::AlreadyExists, "{message}");
}

fn reach_each_other(all: &[Attached]) {
    for from in all {
        for to in all.iter().filter(|to| to.address != from.address) {
            assert!(reaches(&from.place, to.address), "{} ({}) to {}", from.name, from.node, to.name);
        }
    }
}

/// The blocks of `net`, and who holds them.
fn held(system: &System) -> Vec<(String, String)> {
    let mut blocks = system.network_now("net").blocks;
    blocks.sort_by_key(|block| block.prefix.parse::<ipnet::Ipv4Net>().unwrap());
    blocks.into_iter().map(|block| (block.prefix, block.node)).collect()
}

fn owned((prefix, node): (&str, &str)) -> (String, String) {
    (prefix.to_owned(), node.to_owned())
}
