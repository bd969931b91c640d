//! Switches that refuse flows, and flows changed by hand: the ledger never lies, and what is wrong is mended.
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

use flowlib::segment::id::SegmentId;
use flowlib::types::NodeId;
use labs::Daemon;
use snoop::Snoop;
use support::{System, reaches};
use traffic::{Pairs, settled};
use weir_api::v1::container_status::Phase;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_full_table_concerns_whom_it_refuses_and_nobody_else() {
    let Some(system) = System::up("ful") else { return };
    let pairs = Pairs::create(&system);
    let switch = system.lab.node("n1").unwrap();
    let local = switch.ofctl("dump-flows", "br-int", ["table=6"]).unwrap().matches("cookie=").count();
    let limit = format!("flow_limit={local}");
    let full = ["--id=@t", "create", "Flow_Table", &limit, "overflow_policy=refuse"];
    switch.vsctl(full.into_iter().chain(["--", "set", "Bridge", "br-int", "flow_tables:6=@t"])).unwrap();

    let traffic = pairs.traffic();
    system.try_create("refused", "v/n1", None, false).unwrap();
    let rejected = || {
        let status = system.container("refused").status.unwrap();
        Ok((status.reason == "FlowRejected").then_some(status))
    };
    let status = system.lab.wait_until(PATIENCE, "the refusal to be told", rejected).unwrap();
    assert_eq!(status.phase(), Phase::Degraded, "{status:?}");
    assert!(status.message.contains("TABLE_FULL") && status.message.contains("local"), "{status:?}");
    let log = fs::read_to_string(system.lab.state().log("controller", Daemon::WeirController)).unwrap();
    let named =
        |line: &&str| line.contains("refused") && line.contains("TABLE_FULL") && line.contains("WARN");
    assert!(log.lines().filter(named).any(|line| line.contains("container=\"refused\"")), "{log}");
    assert!(!claims_something(&system), "the row of n1 claims what the switch has refused");

    // The others live, and changes go on: to this node's other tables, and to other nodes.
    assert!(reaches(&pairs.vlan[0].place, system.create("elsewhere", "v/n2").address));
    let phases =
        system.containers().into_iter().filter(|c| c.name != "refused").map(|c| c.status.unwrap().phase());
    assert!(phases.into_iter().all(|phase| phase == Phase::Ready));
    traffic.go_on(100);
    traffic.assert_lost_at_most(2, "table full");
    assert_eq!(
        system.container("refused").status.unwrap().reason,
        "FlowRejected",
        "it was tried again meanwhile"
    );

    switch.vsctl(["clear", "Bridge", "br-int", "flow_tables"]).unwrap();
    let late = system.until_ready("refused");
    assert!(reaches(&pairs.vlan[1].place, late.address));
    settled(&system);
    assert!(claims_something(&system));
    assert_restart_changes_nothing(&system);
}

#[test]
fn what_was_changed_by_hand_while_the_controller_was_away_is_mended() {
    let Some(system) = System::up("hnd") else { return };
    let pairs = Pairs::create(&system);
    let switch = system.lab.node("n1").unwrap();
    let flows = || sorted_flows(&system);
    let node = |name: &str| system.nodes().into_iter().find(|node| node.name == name).unwrap().id;
    let own = format!("0x3{:07x}", node("n1"));
    let before = flows();
    system.lab.stop("controller", Daemon::WeirController).unwrap();
    let change = |command: &str, words: &[&str]| switch.ofctl(command, "br-int", words).unwrap();
    change("del-flows", &["table=6"]);
    change("del-meters", &[]);
    change("add-flow", &["cookie=0xdead,table=5,priority=60000,ip,actions=drop"]);
    change("add-flow", &["table=0,priority=0,actions=NORMAL"]);
    change("add-flow", &["cookie=0xdead00000000,table=62,priority=7,actions=drop"]);
    change("add-flow", &[&format!("cookie={own}00000001,table=5,priority=60001,ip,actions=drop")]);
    change("add-flow", &[&format!("cookie={own}00000001,table=62,priority=9,actions=drop")]);
    change("add-flow", &[&format!("cookie={own}00000001,table=7,priority=9,actions=drop")]);
    assert!(!reaches(&pairs.vlan[0].place, pairs.vlan[1].address));

    system.lab.start("controller", Daemon::WeirController).unwrap();
    let mended = || Ok((flows() == before).then_some(()));
    let waited = system.lab.wait_until(PATIENCE, "the table to be as it was", mended);
    waited.unwrap_or_else(|e| panic!("{e:#}\nbefore: {before:#?}\nnow: {:#?}", flows()));
    settled(&system);
    pairs.wait_until_reached(&system);
    let log = fs::read_to_string(system.lab.state().log("controller", Daemon::WeirController)).unwrap();
    assert!(log.contains("nobody's"), "{log}");
    assert_restart_changes_nothing(&system);
}

#[test]
fn what_is_changed_by_hand_is_seen_named_and_mended() {
    let Some(system) = System::up("see") else { return };
    let pairs = Pairs::create(&system);
    let switch = system.lab.node("n1").unwrap();
    let counter = |name: &str| system.status().unwrap().counters[name];
    let before = sorted_flows(&system);
    let traffic = pairs.traffic();
    // One that no ping needs.
    switch.ofctl("del-flows", "br-int", ["table=63,reg7=4"]).unwrap();
    switch.ofctl("add-flow", "br-int", ["cookie=0xdead,table=5,priority=60000,ipv6,actions=drop"]).unwrap();
    let mended = || Ok((sorted_flows(&system) == before && counter("segments_repaired") == 1).then_some(()));
    system.lab.wait_until(PATIENCE, "the table to be as it was", mended).unwrap();
    // All of them: what is cut off comes back without a new session.
    let sessions = counter("openflow_sessions");
    switch.ofctl("del-flows", "br-int", [""; 0]).unwrap();
    let mended = || Ok((sorted_flows(&system) == before).then_some(()));
    system.lab.wait_until(PATIENCE, "the whole table to be as it was", mended).unwrap();
    traffic.go_on(100);
    traffic.stop("all flows deleted");
    assert_eq!(counter("openflow_sessions"), sessions);
    assert!(counter("flows_changed_by_others") > before.len() as u64);
    let log = fs::read_to_string(system.lab.state().log("controller", Daemon::WeirController)).unwrap();
    let named = |line: &&str| line.contains("somebody else has changed") && line.contains("priority");
    assert!(log.lines().filter(named).any(|line| line.contains("WARN")), "{log}");
}

/// The flows of n1's switch, sorted.
fn sorted_flows(system: &System) -> Vec<String> {
    let dump =
        system.lab.node("n1").unwrap().ofctl("dump-flows", "br-int", ["--no-stats", "--no-names"]).unwrap();
    let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Whether the row of n1's own segment claims anything.
fn claims_something(system: &System) -> bool {
    let id = system.nodes().into_iter().find(|node| node.name == "n1").unwrap().id;
    let row = format!("metadata={:#x}", SegmentId::Node(NodeId(id)).number());
    let dump = system.lab.node("n1").unwrap().ofctl("dump-flows", "br-int", ["table=62"]).unwrap();
    let row = dump.lines().find(|line| line.contains(&row)).unwrap_or_else(|| panic!("no {row} in {dump}"));
    row.matches("load:0->").count() + row.matches("load:0x0->").count() < 2
}

/// A controller that is killed and comes back finds n1 to hold exactly what it should.
fn assert_restart_changes_nothing(system: &System) {
    let snoop = Snoop::on(&system.lab, "n1");
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    snoop.wait_for_session();
    settled(system);
    assert_eq!(snoop.changes(), []);
}
