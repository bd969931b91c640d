//! The node's last table, taken from and given back to a real ovs-vswitchd.

// All of this file is a test, also what stands outside of the test functions.
#![allow(clippy::unwrap_used)]

mod ovs;

use std::path::PathBuf;

use flowlib::types::DatapathId;
use ovs::{DEADLINE, Node, has_ovs, soon};
use ovsdb_agent::bridge::{Desired, Switch};
use ovsdb_agent::restore::file::{self, FileError};
use ovsdb_agent::restore::mgmt::Management;
use ovsdb_agent::restore::replay::{Replayed, replay};
use ovsdb_agent::restore::snapshot::{Snapshot, Taken, take};
use ovsdb_agent::restore::{Config, Event, NotReplayed, Restorer, SaveHandle};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

const ROW: &str = "table=62,priority=1,cookie=0x10000000ffffffff,metadata=0x10000000,\
                   actions=load:0x12->OXM_OF_PKT_REG0[],load:0->OXM_OF_PKT_REG1[]";
const ROW_CHANGING: &str = "table=62,priority=1,cookie=0x20000001ffffffff,metadata=0x20000001,\
                            actions=load:0->OXM_OF_PKT_REG0[],load:0->OXM_OF_PKT_REG1[]";

async fn node() -> Node {
    let node = Node::start();
    node.database.vsctl("init");
    let switch = Switch::new(node.database.client(), DEADLINE);
    let desired = Desired {
        nic: "nic".to_owned(),
        nic_mac: None,
        tunnel_address: "172.31.0.1".parse().unwrap(),
        datapath_id: 0x77,
        targets: vec!["tcp:127.0.0.1:6653".to_owned()],
        ssl: None,
        userspace_tso: false,
    };
    switch.reconcile(&desired).await.unwrap();
    node
}

/// Puts a table on the bridge: a meter, a group, flows that use both, and a ledger row.
fn fill(node: &Node) {
    node.ofctl("add-meter", &["meter=3,kbps,band=type=drop,rate=1000"]);
    node.ofctl("add-group", &["group_id=5,type=all,bucket=actions=output:1,bucket=actions=output:2"]);
    node.ofctl(
        "add-flow",
        &["table=0,priority=10,cookie=0x1000000000000001,in_port=1,actions=meter:3,goto_table:5"],
    );
    node.ofctl(
        "add-flow",
        &["table=5,priority=20,cookie=0x1000000000000002,ip,reg0=1,nw_dst=10.0.0.0/8,actions=group:5"],
    );
    node.ofctl("add-flow", &["table=8,priority=0,cookie=0x1000000000000003,actions=output:NXM_NX_REG3[]"]);
    node.ofctl("add-flow", &[ROW]);
}

/// The bridge's whole table as text.
fn table(node: &Node) -> String {
    let flows = node.ofctl("dump-flows", &["--no-stats"]);
    format!("{flows}\n{}\n{}", body(&node.ofctl("dump-groups", &[])), body(&node.ofctl("dump-meters", &[])))
}

/// Without the first line, which has an xid.
fn body(text: &str) -> String {
    text.lines().skip(1).collect::<Vec<_>>().join("\n")
}

fn path(node: &Node) -> PathBuf {
    node.database.path("table")
}

fn start(node: &Node) -> (AbortHandle, SaveHandle, mpsc::Receiver<Event>) {
    let config = Config { socket: node.database.path("br-int.mgmt"), file: path(node), patience: DEADLINE };
    let (restorer, save) = Restorer::new(config);
    let (sender, events) = mpsc::channel(64);
    (tokio::spawn(restorer.run(sender)).abort_handle(), save, events)
}

/// The next event that `wanted` takes.
async fn event<T>(
    events: &mut mpsc::Receiver<Event>,
    what: &str,
    mut wanted: impl FnMut(Event) -> Option<T>,
) -> T {
    soon(what, async {
        loop {
            let event = events.recv().await.expect("the keeper runs");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    })
    .await
}

fn not_replayed(event: Event) -> Option<NotReplayed> {
    match event {
        Event::NotReplayed(why) => Some(why),
        Event::Replayed { .. } => panic!("replayed"),
        _ => None,
    }
}

async fn management(node: &Node) -> Management {
    soon("connected", Management::connect(&node.database.path("br-int.mgmt"), DEADLINE)).await.unwrap()
}

async fn snapshot(node: &Node) -> Snapshot {
    match take(&mut management(node).await).await.unwrap() {
        Taken::Whole(snapshot) => snapshot,
        Taken::Not(why) => panic!("{why}"),
    }
}

#[tokio::test]
async fn a_restarted_switch_is_given_back_all_it_had() {
    if !has_ovs(true) {
        return;
    }
    let mut node = node().await;
    let (_keeper, save, mut events) = start(&node);
    event(&mut events, "nothing saved", |event| {
        not_replayed(event).map(|why| assert!(matches!(why, NotReplayed::NothingSaved)))
    })
    .await;
    fill(&node);
    let before = table(&node);
    save.request();
    event(&mut events, "saved", |event| matches!(event, Event::Saved { n_flows: 4 }).then_some(())).await;
    for _ in 0..2 {
        node.kill_switch();
        event(&mut events, "lost", |event| matches!(event, Event::Lost(_)).then_some(())).await;
        node.start_switch();
        let took = event(&mut events, "replayed", |event| match event {
            Event::Replayed { n_flows: 4, took } => Some(took),
            _ => None,
        })
        .await;
        eprintln!("given back in {took:?}");
        assert_eq!(table(&node), before);
    }
}

#[tokio::test]
async fn whoever_runs_next_finds_the_file() {
    if !has_ovs(true) {
        return;
    }
    let mut node = node().await;
    fill(&node);
    let before = table(&node);
    let (keeper, save, mut events) = start(&node);
    save.request();
    event(&mut events, "saved", |event| matches!(event, Event::Saved { .. }).then_some(())).await;
    keeper.abort();
    node.start_switch();
    let (_keeper, _save, mut events) = start(&node);
    event(&mut events, "replayed", |event| matches!(event, Event::Replayed { .. }).then_some(())).await;
    assert_eq!(table(&node), before);
}

#[tokio::test]
async fn a_table_without_a_ledger_is_not_saved() {
    if !has_ovs(true) {
        return;
    }
    let node = node().await;
    let (_keeper, save, mut events) = start(&node);
    save.request();
    event(&mut events, "an empty ledger", |event| matches!(event, Event::NotSaved(_)).then_some(())).await;
    assert!(!path(&node).exists());
}

/// A row that claims nothing stays for as long as the switch refuses a flow of its segment.
#[tokio::test]
async fn a_segment_that_is_refused_does_not_keep_the_table_from_being_saved() {
    if !has_ovs(true) {
        return;
    }
    let mut node = node().await;
    let (_keeper, save, mut events) = start(&node);
    fill(&node);
    save.request();
    event(&mut events, "saved", |event| matches!(event, Event::Saved { n_flows: 4 }).then_some(())).await;
    node.ofctl("add-flow", &[ROW_CHANGING]);
    node.ofctl("del-flows", &["table=0"]);
    let changed = table(&node);
    save.request();
    event(&mut events, "saved", |event| matches!(event, Event::Saved { n_flows: 4 }).then_some(())).await;
    node.start_switch();
    event(&mut events, "replayed", |event| matches!(event, Event::Replayed { .. }).then_some(())).await;
    assert_eq!(
        table(&node),
        changed,
        "what was deleted meanwhile stays so, and the row claims nothing still"
    );
}

#[tokio::test]
async fn a_controller_that_was_first_is_left_alone() {
    if !has_ovs(true) {
        return;
    }
    let node = node().await;
    fill(&node);
    let snapshot = snapshot(&node).await;
    node.ofctl("del-flows", &[]);
    node.ofctl("del-groups", &[]);
    // The very row of the snapshot, but with a digest of 0: the controller is about to fill the segment.
    node.ofctl("add-flow", &[&ROW.replace("load:0x12", "load:0")]);
    let before = table(&node);
    let replayed = replay(&mut management(&node).await, &snapshot).await.unwrap();
    assert!(matches!(replayed, Replayed::ControllerFirst), "{replayed:?}");
    assert_eq!(table(&node), before);
    // And a row of a segment that the snapshot does not know.
    node.ofctl("del-flows", &[]);
    node.ofctl("add-flow", &[ROW_CHANGING]);
    let replayed = replay(&mut management(&node).await, &snapshot).await.unwrap();
    assert!(matches!(replayed, Replayed::ControllerFirst), "{replayed:?}");
    assert!(!node.ofctl("dump-flows", &["table=8"]).contains("NXM_NX_REG3"));
}

#[tokio::test]
async fn a_refused_table_leaves_nothing_behind() {
    if !has_ovs(true) {
        return;
    }
    let node = node().await;
    fill(&node);
    let mut snapshot = snapshot(&node).await;
    node.ofctl("del-flows", &[]);
    node.ofctl("del-groups", &[]);
    node.ofctl("del-meters", &[]);
    snapshot.meters.clear();
    let mut management = management(&node).await;
    let replayed = replay(&mut management, &snapshot).await.unwrap();
    assert!(
        matches!(replayed, Replayed::Refused(_)),
        "a flow through a meter that is not there: {replayed:?}"
    );
    assert_eq!(node.ofctl("dump-flows", &["--no-stats"]), "");
    // The connection still serves, with the same bundle id.
    snapshot.flows.retain(|flow| flow.table.0 != 0);
    let replayed = replay(&mut management, &snapshot).await.unwrap();
    assert!(matches!(replayed, Replayed::Done), "{replayed:?}");
    let again = take(&mut management).await.unwrap();
    assert!(matches!(again, Taken::Whole(again) if again == snapshot));
}

#[tokio::test]
async fn a_file_that_is_torn_or_of_another_bridge_is_refused() {
    if !has_ovs(true) {
        return;
    }
    let mut node = node().await;
    fill(&node);
    let mut snapshot = snapshot(&node).await;
    let bytes = file::encode(&snapshot).unwrap();
    std::fs::write(path(&node), &bytes[..bytes.len() - 1]).unwrap();
    node.start_switch();
    let (_keeper, _save, mut events) = start(&node);
    match event(&mut events, "refused", not_replayed).await {
        NotReplayed::BadFile(FileError::Torn { .. }) => {}
        other => panic!("{other:?}"),
    }
    snapshot.datapath_id = DatapathId(0x78);
    file::write(&path(&node), &snapshot).unwrap();
    node.start_switch();
    let why = event(&mut events, "refused", not_replayed).await;
    assert!(matches!(why, NotReplayed::OtherBridge), "{why:?}");
    assert_eq!(node.ofctl("dump-flows", &["--no-stats"]), "");
}

#[tokio::test]
async fn twenty_thousand_flows_come_back_in_one_bundle() {
    if !has_ovs(true) {
        return;
    }
    let mut node = node().await;
    let flows: String = (0..20_000_u32)
        .map(|n| {
            format!("table=6,priority=10,ip,reg0=1,nw_dst=10.{}.{}.1,actions=output:1\n", n >> 8, n & 0xff)
        })
        .collect();
    let file = node.database.path("flows");
    std::fs::write(&file, flows + ROW).unwrap();
    node.ofctl("add-flows", &[file.to_str().unwrap()]);
    let (_keeper, save, mut events) = start(&node);
    save.request();
    event(&mut events, "saved", |event| matches!(event, Event::Saved { n_flows: 20_001 }).then_some(()))
        .await;
    node.start_switch();
    let took = event(&mut events, "replayed", |event| match event {
        Event::Replayed { n_flows: 20_001, took } => Some(took),
        _ => None,
    })
    .await;
    eprintln!("20001 flows given back in {took:?}");
}
