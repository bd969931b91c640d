//! Several daemons killed at once, and the controller in the middle of its work.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use labs::Daemon;
use support::{System, reaches};
use traffic::{Pairs, settled};
use weir_api::v1;

const SWITCH: [Daemon; 2] = [Daemon::OvsdbServer, Daemon::OvsVswitchd];
const NODE: [Daemon; 3] = [Daemon::OvsdbServer, Daemon::OvsVswitchd, Daemon::WeirAgent];

#[test]
fn whatever_dies_together_comes_back_together() {
    let Some(system) = System::up("two") else { return };
    let pairs = Pairs::create(&system);
    let of =
        |machine: &'static str, daemons: &[Daemon]| daemons.iter().map(|d| (machine, *d)).collect::<Vec<_>>();
    let controller = ("controller", Daemon::WeirController);
    let everything: Vec<_> =
        ["n1", "n2", "n3"].into_iter().flat_map(|node| of(node, &NODE)).chain([controller]).collect();
    let rounds = [
        ("ovsdb-server and ovs-vswitchd", of("n1", &SWITCH)),
        ("ovs-vswitchd and agent", of("n1", &[Daemon::OvsVswitchd, Daemon::WeirAgent])),
        ("ovsdb-server and agent", of("n1", &[Daemon::OvsdbServer, Daemon::WeirAgent])),
        ("controller and ovs-vswitchd", vec![controller, ("n1", Daemon::OvsVswitchd)]),
        ("controller and agent", vec![controller, ("n1", Daemon::WeirAgent)]),
        ("everything", everything),
    ];
    for (round, (what, victims)) in rounds.into_iter().enumerate() {
        let traffic = pairs.traffic();
        thread::scope(|scope| {
            for (machine, daemon) in &victims {
                scope.spawn(|| system.lab.kill(machine, *daemon).unwrap());
            }
        });
        traffic.go_on(300);
        traffic.stop(&format!("{what} killed"));
        until_created(&system, &format!("later{round}"), "v/n1");
        until_created(&system, &format!("later-x{round}"), "x/n1");
        settled(&system);
        for name in [format!("later{round}"), format!("later-x{round}")] {
            let new = system.until_ready(&name);
            let from = if name.contains('x') { &pairs.vxlan[1] } else { &pairs.vlan[1] };
            assert!(reaches(&from.place, new.address), "{name} after {what} were killed");
        }
    }
}

#[test]
fn a_controller_that_is_killed_amid_creates_keeps_its_word_and_leaves_no_halves() {
    const CREATES: usize = 40;
    let Some(system) = System::up("mid") else { return };
    let pairs = Pairs::create(&system);
    let acknowledged = AtomicUsize::new(0);
    let promised: BTreeMap<String, v1::Container> = thread::scope(|scope| {
        let creator = scope.spawn(|| {
            let create = |n| {
                let created = create(&system, &format!("c{n}"), if n % 2 == 0 { "v" } else { "x" });
                acknowledged.fetch_add(usize::from(created.is_some()), Ordering::Relaxed);
                // The next one when there is a controller with nodes again; this one may have been stored without a word.
                let serves = || Ok(system.status().filter(has_nodes));
                labs::wait_until(Duration::from_secs(20), "controller and nodes", serves).unwrap();
                created
            };
            (0..CREATES).filter_map(create).map(|c| (c.name.clone(), c)).collect()
        });
        for quota in [5, 15, 25] {
            let enough = || Ok((acknowledged.load(Ordering::Relaxed) >= quota).then_some(()));
            labs::wait_until(Duration::from_secs(30), "some creates", enough).unwrap();
            system.lab.kill("controller", Daemon::WeirController).unwrap();
        }
        creator.join().unwrap()
    });
    assert!(promised.len() >= 25, "{} creates were acknowledged", promised.len());
    settled(&system);
    let there: BTreeMap<String, v1::Container> =
        system.containers().into_iter().map(|c| (c.name.clone(), c)).collect();
    for (name, was) in &promised {
        let is = there.get(name).unwrap_or_else(|| panic!("{name} was acknowledged"));
        assert_eq!((&is.address, &is.node, is.ofport), (&was.address, &was.node, was.ofport), "{name}");
        let from = if was.network == "v" { &pairs.vlan[1] } else { &pairs.vxlan[1] };
        assert!(reaches(&from.place, system.until_ready(name).address), "{name}");
    }
    for node in ["n1", "n2", "n3"] {
        let ports = system.lab.node(node).unwrap().vsctl(["list-ports", "br-int"]).unwrap();
        let mut ports: Vec<&str> = ports.lines().filter(|port| port.starts_with("we")).collect();
        let mut expected: Vec<String> =
            there.values().filter(|c| c.node == node).map(|c| format!("we{}", c.ofport)).collect();
        ports.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ports, expected, "ports on {node}");
    }
}

/// A container if the controller says that it is there; nothing if it was killed meanwhile.
fn create(system: &System, name: &str, network: &str) -> Option<v1::Container> {
    match system.try_create(name, network, None, false) {
        Ok(container) => Some(container),
        Err(e)
            if matches!(
                e.code(),
                tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Internal
            ) =>
        {
            None
        }
        Err(e) => panic!("{name}: {e}"),
    }
}

/// Whether all nodes are connected.
fn has_nodes(status: &v1::GetStatusResponse) -> bool {
    let is_connected = |status: &v1::NodeStatus| status.agent_connected && status.switch_connected;
    status.nodes.iter().all(|node| node.status.as_ref().is_some_and(is_connected))
}

/// Creates a container as soon as there is a controller that does.
fn until_created(system: &System, name: &str, network: &str) {
    let created = || Ok(create(system, name, network));
    system.lab.wait_until(Duration::from_secs(30), "a container to be created", created).unwrap();
}
