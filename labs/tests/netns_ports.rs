//! OpenFlow port numbers: one that is used again, and one that somebody else has.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use labs::Daemon;
use labs::protocol::Phase;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Attached, System, reaches, vlan};

#[test]
fn a_port_number_goes_to_another_endpoint_when_its_port_and_flows_are_gone() {
    let Some(system) = System::up("ofport") else { return };
    system.network(vlan("lan"));
    let peer = system.create("peer", "lan/n2");
    let stays = system.create("stays", "lan/n1");
    let goes = system.create("goes", "lan/n1");
    assert!(reaches(&peer.place, goes.address));
    system.delete("goes");
    let flows = system.lab.node("n1").unwrap().dump_flows("br-int").unwrap();
    for trace in [format!("in_port={}", goes.ofport), format!("load:0x{:x}->NXM_NX_REG3", goes.ofport)] {
        assert!(!flows.contains(&trace), "{trace} is left:\n{flows}");
    }
    // Numbers rest as long as possible. A new controller goes on above the highest in use, which is that of `stays`.
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    let back = || {
        let Some(status) = system.status() else { return Ok(None) };
        let up =
            |node: &weir_api::v1::Node| node.status.as_ref().is_some_and(|s| s.agent_connected && s.in_sync);
        Ok(status.nodes.iter().all(up).then_some(()))
    };
    system.lab.wait_until(Duration::from_secs(20), "the controller to be back", back).unwrap();
    let comes = system.create("comes", "lan/n1");
    assert_eq!(comes.ofport, goes.ofport);
    assert_ne!(comes.address, goes.address);
    works(&system, &comes, &[&stays, &peer]);
}

#[test]
fn a_switch_has_an_endpoints_flows_before_its_port() {
    let Some(system) = System::up("first") else { return };
    system.network(vlan("lan"));
    system.create("before", "lan/n1");
    let mut watcher = system.lab.node("n1").unwrap().monitor("br-int").unwrap();
    let held = BufReader::new(watcher.stdout.take().unwrap()).lines().next();
    assert!(held.is_some(), "nothing is watched");
    let mut said = BufReader::new(watcher.stderr.take().unwrap()).lines().map(Result::unwrap);
    let made = system.create("made", "lan/n1");
    let seen: Vec<String> =
        said.by_ref().take_while(|line| !line.contains(&format!("ADD: {}(", made.ofport))).collect();
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    let admits = format!("in_port={}", made.ofport);
    let is_admitted = |line: &String| line.contains("event=ADDED") && line.contains(&admits);
    assert!(seen.iter().any(is_admitted), "the port came first:\n{}", seen.join("\n"));
}

#[test]
fn a_number_that_somebody_else_has_is_given_up_for_another() {
    let Some(system) = System::up("squat") else { return };
    system.network(vlan("lan"));
    let peer = system.create("peer", "lan/n2");
    let before = system.create("before", "lan/n1");
    let node = system.lab.node("n1").unwrap();

    // The agent cannot tell of the stranger before the controller has chosen.
    let squatted = before.ofport + 1;
    let agent = Frozen::new(&system, "n1");
    let request = format!("ofport_request={squatted}");
    let add =
        ["add-port", "br-int", "stranger", "--", "set", "Interface", "stranger", "type=internal", &request];
    node.vsctl(add).unwrap();
    assert_eq!(node.ofport("stranger").unwrap(), squatted);
    let chosen = system.try_create("unlucky", "lan/n1", None, false).unwrap();
    assert_eq!(chosen.ofport, u32::from(squatted));
    drop(agent);

    let unlucky = system.until_ready("unlucky");
    assert!(unlucky.ofport > squatted, "it has {}", unlucky.ofport);
    works(&system, &unlucky, &[&before, &peer]);
    assert_eq!(node.ofport("stranger").unwrap(), squatted);

    // A stranger that is known is avoided from the start, and the number is free when it is gone.
    let next = system.create("next", "lan/n1");
    assert_eq!(next.ofport, unlucky.ofport + 1);
    node.vsctl(["del-port", "br-int", "stranger"]).unwrap();
    works(&system, &next, &[&before, &unlucky, &peer]);
    assert_eq!(
        node.ofport(&format!("we{}", unlucky.ofport)).unwrap(),
        unlucky.ofport,
        "it is not renumbered"
    );
}

fn works(system: &System, container: &Attached, others: &[&Attached]) {
    let interface = format!("we{}", container.ofport);
    let given = system.lab.node(&container.node).unwrap().ofport(&interface).unwrap();
    assert_eq!(given, container.ofport, "{}", container.name);
    for other in others {
        assert!(reaches(&container.place, other.address), "{} to {}", container.name, other.name);
        assert!(reaches(&other.place, container.address), "{} to {}", other.name, container.name);
    }
    assert!(reaches(&system.place("gw"), container.address), "gw to {}", container.name);
}

/// A node's agent that is stopped where it stands, until this is dropped.
struct Frozen(Pid);

impl Frozen {
    fn new(system: &System, node: &str) -> Frozen {
        let daemons = system.lab.status().unwrap().daemons;
        let agent = daemons.iter().find(|d| d.machine == node && d.daemon == Daemon::WeirAgent).unwrap();
        let Phase::Running(pid) = agent.phase else { panic!("{:?}", agent.phase) };
        let pid = Pid::from_raw(pid);
        kill(pid, Signal::SIGSTOP).unwrap();
        Frozen(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGCONT).unwrap();
    }
}
