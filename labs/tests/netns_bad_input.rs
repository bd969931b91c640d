//! Bad input through the real `weir`: it says what is wrong, fails, and nothing is half-made.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::process::Command;
use std::time::Duration;

use labs::Daemon;
use labs::process::find_executable;
use support::System;

#[test]
fn bad_input_is_refused_with_a_message_and_changes_nothing() {
    let Some(system) = System::up("inp") else { return };
    for line in [
        "network create v -d vlan -l 10.209.164.0/22 -l Gateway=10.209.164.1 -l Vlan=100",
        "network create x -d vxlan -l 10.209.164.0/22 -l Vni=10000",
        "network create tiny -d vxlan -l 10.1.0.0/30",
        "container create c1 --publish-service=.v -l ip=10.209.164.8 --wait",
        "container create t1 --publish-service=.tiny --wait",
        "container create t2 --publish-service=.tiny --wait",
    ] {
        let (code, said) = weir(&system, line);
        assert_eq!(code, Some(0), "weir {line}: {said}");
    }
    let before = everything(&system);
    for (line, words) in [
        ("network create o -d vlan -l 10.209.166.0/24 -l Vlan=101", &["overlap", "v"][..]),
        ("network create o -d vlan -l 10.3.0.0/24 -l Vlan=100", &["100", "v"]),
        ("network create o -d vxlan -l 10.3.0.0/24 -l Vni=10000", &["10000", "x"]),
        ("network create o -d vpc -l 10.3.0.0/24", &["vpc", "vlan", "vxlan"]),
        ("network create o -d vlan -l 10.3.0.0/24 -l Colour=red", &["Colour", "Gateway", "Mtu"]),
        ("network create o -d vlan -l 10.3.0.0/24 -l Gateway=10.4.0.1", &["10.4.0.1"]),
        ("network create o -d vlan -l 10.3.0.0/24 -l Vlan=4095", &["4095"]),
        ("network create o- -d vlan -l 10.3.0.0/24", &["o-"]),
        ("network create o_O -d vlan -l 10.3.0.0/24", &["o_O"]),
        ("container create c --publish-service=.v -l ip=10.9.9.9", &["10.9.9.9"]),
        ("container create c --publish-service=.v -l ip=10.209.164.8", &["10.209.164.8"]),
        ("container create c --publish-service=.v -l ip=10.209.164.1", &["10.209.164.1", "gateway"]),
        ("container create c --publish-service=.v -l ip=nonsense", &["nonsense"]),
        ("container create c --publish-service=.nowhere", &["nowhere"]),
        ("container create C_1 --publish-service=.v", &["C_1"]),
        ("container create c1 --publish-service=.x", &["c1"]),
        ("container create t3 --publish-service=.tiny", &["tiny", "full"]),
        ("--pool=nobodys container create c --publish-service=.v", &["nobodys"]),
        ("--pool=nobodys network create o -d vlan -l 10.3.0.0/24", &["nobodys"]),
        ("network delete v", &["v", "container"]),
        ("container delete nobody", &["nobody"]),
    ] {
        let (code, said) = weir(&system, line);
        assert!(matches!(code, Some(1..)), "weir {line} ends with {code:?}: {said}");
        for word in words {
            assert!(said.contains(word), "weir {line} does not speak of {word}: {said}");
        }
        assert_eq!(everything(&system), before, "after weir {line}");
    }
}

#[test]
fn a_node_that_does_not_answer_is_named_and_used_again_when_it_does() {
    let Some(system) = System::up("sil") else { return };
    system.network(support::vlan("v"));
    system.lab.stop("n1", Daemon::WeirAgent).unwrap();
    let gone = || {
        let node = system.nodes().into_iter().find(|node| node.name == "n1").unwrap();
        Ok((!node.status.unwrap().agent_connected).then_some(()))
    };
    system.lab.wait_until(Duration::from_secs(20), "the controller to notice", gone).unwrap();
    let before = everything(&system);
    // Asked for by name, it is refused or waited for; by the scheduler's choice another node is taken.
    let (refused, why) = system.refusal("here", "v/n1", None);
    assert_eq!(refused, tonic::Code::Unavailable, "{why}");
    assert!(why.contains("n1"), "{why}");
    assert_eq!(everything(&system), before);
    assert_ne!(system.create("anywhere", "v").node, "n1");
    system.lab.start("n1", Daemon::WeirAgent).unwrap();
    let back = || Ok(system.try_create("here", "v/n1", None, false).ok());
    system.lab.wait_until(Duration::from_secs(20), "the node to be used again", back).unwrap();
    assert_eq!(system.until_ready("here").node, "n1");
}

/// The exit code of `weir LINE`, and all it said.
fn weir(system: &System, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new(find_executable("weir").unwrap());
    command.env("WEIR_SERVER", system.lab.server()).env("WEIR_POOL", support::POOL);
    let output = command.args(line.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    (output.status.code(), said)
}

/// All pools, networks and containers, with the networks' blocks.
fn everything(system: &System) -> Vec<String> {
    let lists = ["pool list", "network list", "container list"];
    let listed = lists.map(|list| weir(system, &format!("{list} --output json")));
    listed
        .into_iter()
        .inspect(|(code, said)| assert_eq!(*code, Some(0), "{said}"))
        .map(|(_, said)| said)
        .collect()
}
