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
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use flowlib::channel::Deframer;
use flowlib::openflow::{BundleControlType, ErrorCode, Message};
use flowlib::segment::digest::Digest;
use flowlib::segment::id::SegmentId;
use flowlib::segment::ledger;
use flowlib::types::NodeId;
use labs::Daemon;
use snoop::Snoop;
use support::{System, reaches, vlan};
use traffic::{Pairs, settled};
use weir_api::v1::{Network, container_status::Phase};

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
    traffic.assert_nothing_lost("table full");
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
fn one_bad_flow_mod_keeps_its_whole_bundle_out() {
    let Some(system) = System::up("bad") else { return };
    let snoop = Snoop::attached(&system.lab, "n1");
    let refused = |m: &Message| matches!(m, Message::Error(e) if e.code == ErrorCode::OFPMMFC_INVALID_METER);
    let hammer = Hammer::on(&system);
    // Flows of a VLAN that is new on a node have a meter; should the hammer miss it once, there is a next.
    let mut n = 0;
    let mut names = Vec::new();
    while !snoop.messages().iter().any(refused) && n < 10 {
        n += 1;
        let (network, subnet) = (format!("v{n}"), format!("10.{n}.0.0/24"));
        let plain = Network { subnet, gateway: String::new(), vlan: 0, ..vlan(&network) };
        system.network(plain);
        names.push((system.create(&format!("a{n}"), &format!("{network}/n1")), network));
    }
    let messages = snoop.messages();
    let errors: Vec<_> = messages.iter().filter(|m| matches!(m, Message::Error(_))).collect();
    let at = messages.iter().position(refused).unwrap_or_else(|| panic!("no meter refused: {errors:?}"));
    let bundle = messages[..at].iter().rev().find_map(|m| control_of(m, BundleControlType::OPEN_REQUEST));
    let next = || Ok(snoop.messages().iter().skip(at).position(commits).map(|after| at + after));
    let committed = system.lab.wait_until(PATIENCE, "the next commit", next).unwrap();
    let messages = snoop.messages();
    let last = control_of(&messages[committed], BundleControlType::COMMIT_REPLY);
    assert!(bundle.is_some() && last > bundle, "nothing of the refused bundle {bundle:?} is carried out");
    assert_eq!(rows(&messages[at..committed]).last(), Some(&false), "what lacks a flow is not claimed");
    let told =
        || Ok(system.nodes().iter().any(|n| format!("{:?}", n.status).contains("METER")).then_some(()));
    system.lab.wait_until(PATIENCE, "the node's problem", told).unwrap();

    drop(hammer);
    settled(&system);
    assert_eq!(rows(&snoop.messages()).last(), Some(&true), "tried again, it is whole");
    for (container, network) in &names {
        let peer = system.create(&format!("peer-{network}"), &format!("{network}/n2"));
        assert!(reaches(&peer.place, container.address), "{}", container.name);
    }
}

#[test]
fn what_was_changed_by_hand_while_the_controller_was_away_is_mended() {
    let Some(system) = System::up("hnd") else { return };
    let pairs = Pairs::create(&system);
    let switch = system.lab.node("n1").unwrap();
    let flows = || {
        let dump = switch.ofctl("dump-flows", "br-int", ["--no-stats", "--no-names"]).unwrap();
        let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
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

/// Deletes all meters of n1's br-int again and again, as fast as the switch does it, until it is dropped.
struct Hammer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

const IN_FLIGHT: usize = 8;
const BARRIER_REPLY: u8 = 21;

impl Hammer {
    fn on(system: &System) -> Hammer {
        let path = system.lab.node("n1").unwrap().rundir().join("br-int.mgmt");
        let mut stream = UnixStream::connect(path).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            // OpenFlow 1.3.5 §7.1, §7.3.4.4 and §7.3.8: hello; then meter mod (delete, all) and barrier request.
            stream.write_all(&[4, 0, 0, 8, 0, 0, 0, 1]).unwrap();
            let blow =
                [4, 29, 0, 16, 0, 0, 0, 2, 0, 2, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 20, 0, 8, 0, 0, 0, 3];
            let (mut deframer, mut buffer) = (Deframer::default(), [0; 4096]);
            // Never idle: what the controller has made is gone before it can be used.
            (0..IN_FLIGHT).for_each(|_| stream.write_all(&blow).unwrap());
            while !stopped.load(Ordering::Relaxed) {
                let n = stream.read(&mut buffer).unwrap();
                deframer.push(&buffer[..n]);
                while let Some(message) = deframer.next_message().unwrap() {
                    if message.get(1) == Some(&BARRIER_REPLY) {
                        stream.write_all(&blow).unwrap();
                    }
                }
            }
        });
        Hammer { stop, thread: Some(thread) }
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking());
    }
}

/// Whether the row of n1's own segment claims anything.
fn claims_something(system: &System) -> bool {
    let id = system.nodes().into_iter().find(|node| node.name == "n1").unwrap().id;
    let row = format!("metadata={:#x}", SegmentId::Node(NodeId(id)).number());
    let dump = system.lab.node("n1").unwrap().ofctl("dump-flows", "br-int", ["table=62"]).unwrap();
    let row = dump.lines().find(|line| line.contains(&row)).unwrap_or_else(|| panic!("no {row} in {dump}"));
    row.matches("load:0->").count() + row.matches("load:0x0->").count() < 2
}

/// The bundle's number, if it is that message of one.
fn control_of(message: &Message, kind: BundleControlType) -> Option<u32> {
    match message {
        Message::BundleControl(control) if control.control_type == kind => Some(control.bundle_id),
        _ => None,
    }
}

fn commits(message: &Message) -> bool {
    control_of(message, BundleControlType::COMMIT_REPLY).is_some()
}

/// The rows that were written of networks, in order: whether each claims something.
fn rows(messages: &[Message]) -> Vec<bool> {
    let row = |message: &Message| {
        let Message::BundleAdd(add) = message else { return None };
        let Message::FlowMod(flow_mod) = &*add.message else { return None };
        let segment = SegmentId::of(flow_mod.cookie).filter(|id| matches!(id, SegmentId::Network(_)))?;
        let nothing = ledger::row(segment, Digest::IN_PROGRESS);
        (flow_mod.table == ledger::TABLE).then(|| flow_mod.instructions != nothing.instructions)
    };
    messages.iter().filter_map(row).collect()
}

/// A controller that is killed and comes back finds n1 to hold exactly what it should.
fn assert_restart_changes_nothing(system: &System) {
    let snoop = Snoop::on(&system.lab, "n1");
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    snoop.wait_for_session();
    settled(system);
    assert_eq!(snoop.changes(), []);
}
