//! Daemons that die while traffic runs and whose death nobody notices: controller, agent, ovsdb-server.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/snoop.rs"]
mod snoop;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::time::Duration;

use flowlib::openflow::Message;
use labs::{Daemon, Lab};
use snoop::Snoop;
use support::{System, reaches};
use traffic::{Pairs, settled};

#[test]
fn a_killed_controller_is_not_missed_and_sends_no_flow_mod() {
    let Some(system) = System::up("ctl") else { return };
    let pairs = Pairs::create(&system);
    let traffic = pairs.traffic();
    let snoops = ["n1", "n2", "n3"].map(|node| Snoop::on(&system.lab, node));
    for _ in 0..2 {
        system.lab.kill("controller", Daemon::WeirController).unwrap();
        snoops.iter().for_each(Snoop::wait_for_session);
        settled(&system);
        traffic.go_on(200);
    }
    for snoop in &snoops {
        assert_eq!(snoop.changes(), [], "a restarted controller changes nothing");
    }
    traffic.assert_nothing_lost("controller killed");
    // The snoop would have shown it.
    system.create("later", "v/n1");
    assert!(snoops[0].changes().iter().any(|m| matches!(m, Message::BundleAdd(_))));
    // On the other nodes a container is no event: its block is routed already.
    assert_eq!(snoops[1].changes(), []);
}

#[test]
fn a_killed_agent_changes_nothing() {
    let Some(system) = System::up("agt") else { return };
    let pairs = Pairs::create(&system);
    let traffic = pairs.traffic();
    let snoop = Snoop::attached(&system.lab, "n1");
    let before = interfaces(&system.lab, "n1");
    for _ in 0..2 {
        let since = joined(&system);
        system.lab.kill("n1", Daemon::WeirAgent).unwrap();
        let back = || Ok((joined(&system) != since).then_some(()));
        system.lab.wait_until(Duration::from_secs(20), "the agent to be back", back).unwrap();
        settled(&system);
        traffic.go_on(100);
    }
    assert_eq!(interfaces(&system.lab, "n1"), before);
    assert_eq!(snoop.changes(), []);
    traffic.assert_nothing_lost("agent killed");
    assert!(reaches(&pairs.vlan[1].place, system.create("later", "v/n1").address));
}

#[test]
fn a_killed_ovsdb_server_is_not_missed() {
    let Some(system) = System::up("odb") else { return };
    let pairs = Pairs::create(&system);
    let traffic = pairs.traffic();
    let snoop = Snoop::attached(&system.lab, "n1");
    let before = interfaces(&system.lab, "n1");
    system.lab.kill("n1", Daemon::OvsdbServer).unwrap();
    let same = || Ok((system.lab.node("n1")?.vsctl(["show"]).is_ok()).then(|| interfaces(&system.lab, "n1")));
    let after = system.lab.wait_until(Duration::from_secs(20), "the database", same).unwrap();
    assert_eq!(after, before);
    settled(&system);
    traffic.go_on(200);
    assert_eq!(snoop.changes(), []);
    traffic.assert_nothing_lost("ovsdb-server killed");
    // All three still speak to it.
    assert!(reaches(&pairs.vlan[1].place, system.create("later", "v/n1").address));
    system.delete("later");
    settled(&system);
}

/// All interfaces of a node with their rows' names, as the database has them.
fn interfaces(lab: &Lab, node: &str) -> String {
    let columns = "--columns=_uuid,name,ofport,ofport_request,external_ids,options,type";
    lab.node(node).unwrap().vsctl([columns, "list", "Interface"]).unwrap()
}

/// When n1's connections changed last, if its agent is there.
fn joined(system: &System) -> Option<String> {
    let node = system.nodes().into_iter().find(|node| node.name == "n1").unwrap();
    let status = node.status.filter(|status| status.agent_connected)?;
    Some(format!("{:?}", status.since))
}
