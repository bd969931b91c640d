//! An ovs-vswitchd that is killed, and with it all that its bridges knew: everything comes back by itself.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/snoop.rs"]
mod snoop;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::fs;
use std::time::Duration;

use labs::Daemon;
use snoop::Snoop;
use support::{System, reaches};
use traffic::{Pairs, sessions, settled, settled_anew};

/// How long a node may be cut off by the death of its switch. It takes 0.4 s on an idle machine, 0.1 s of it until the
/// daemon is started again; the rest is for a machine that does other things at the same time.
const GAP: Duration = Duration::from_secs(4);

#[test]
fn a_killed_switch_is_as_it_was() {
    let Some(system) = System::up("vsw") else { return };
    let pairs = Pairs::create(&system);
    let traffic = pairs.traffic();
    let counted = sessions(&system);
    system.lab.kill("n1", Daemon::OvsVswitchd).unwrap();
    settled_anew(&system, counted);
    traffic.go_on(200);
    for report in traffic.stop("ovs-vswitchd killed") {
        assert!(report.longest_gap < GAP, "{report:?}");
    }
    assert_restart_changes_nothing(&system);
    assert!(reaches(&pairs.vlan[1].place, system.create("later", "v/n1").address));
    assert!(reaches(&pairs.vxlan[1].place, system.create("later-x", "x/n1").address));
}

#[test]
fn a_killed_switch_is_as_it_was_without_a_controller() {
    let Some(system) = System::up_with("vso", |topology| {
        topology.nodes.iter_mut().for_each(|node| node.args.push("--log=info,ovsdb_agent=debug".to_owned()));
    }) else {
        return;
    };
    let pairs = Pairs::create(&system);
    let log = system.lab.state().log("n1", Daemon::WeirAgent);
    let said = fs::read_to_string(&log).unwrap().len();
    system.lab.stop("controller", Daemon::WeirController).unwrap();
    let flows = system.lab.node("n1").unwrap().dump_flows("br-int").unwrap();
    let saved = format!("Saved {{ n_flows: {} }}", flows.matches("cookie=").count());
    let is_saved = || Ok(fs::read_to_string(&log)?[said..].contains(&saved).then_some(()));
    system.lab.wait_until(Duration::from_secs(10), "the agent to save the table", is_saved).unwrap();

    let traffic = pairs.traffic();
    for _ in 0..2 {
        system.lab.kill("n1", Daemon::OvsVswitchd).unwrap();
        traffic.go_on(200);
    }
    for report in traffic.stop("ovs-vswitchd killed, no controller") {
        assert!(report.longest_gap < GAP, "{report:?}");
    }
    let snoop = Snoop::on(&system.lab, "n1");
    system.lab.start("controller", Daemon::WeirController).unwrap();
    snoop.wait_for_session();
    settled(&system);
    assert_eq!(snoop.changes(), [], "the agent's replay is the whole table");
    assert!(reaches(&pairs.vlan[1].place, system.create("later", "v/n1").address));
}

#[test]
fn a_switch_that_is_killed_before_its_last_changes_were_saved_gets_them_all_the_same() {
    let Some(system) = System::up("vsc") else { return };
    let pairs = Pairs::create(&system);
    for round in 0..3 {
        let counted = sessions(&system);
        let (new, old) = (format!("new{round}"), format!("old{round}"));
        let (new, gone) = (system.create(&new, "v/n1"), system.create(&old, "x/n1"));
        system.delete(&old);
        system.lab.kill("n1", Daemon::OvsVswitchd).unwrap();
        settled_anew(&system, counted);
        pairs.wait_until_reached(&system);
        assert!(reaches(&pairs.vlan[1].place, new.address));
        let flows = system.lab.node("n1").unwrap().dump_flows("br-int").unwrap();
        let owner = format!("{:08x}", gone.endpoint_id);
        let stale: Vec<&str> = flows.lines().filter(|l| is_of_node(l) && l.contains(&owner)).collect();
        assert!(stale.is_empty(), "flows of a container that is no more: {stale:#?}");
        assert_restart_changes_nothing(&system);
    }
}

/// Whether a flow belongs to a segment of a node: their ids begin with 3.
fn is_of_node(line: &str) -> bool {
    line.trim_start().starts_with("cookie=0x3")
}

/// A controller that is killed and comes back finds n1 to hold exactly what it should.
fn assert_restart_changes_nothing(system: &System) {
    let snoop = Snoop::on(&system.lab, "n1");
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    snoop.wait_for_session();
    settled(system);
    assert_eq!(snoop.changes(), []);
}
