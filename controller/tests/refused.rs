//! One bad flow mod in a bundle, on a real Open vSwitch, which would commit the rest without it: the session discards
//! the bundle, leaves out whose it is, claims nothing, and tries again.
//!
//! With the dummy datapath this needs neither root nor namespaces; where Open vSwitch is not installed, it says so and
//! passes.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use controller::measure::Metrics;
use controller::openflow::board::{Board, Update};
use controller::openflow::{Audit, Counts, Subject, Surroundings, SwitchEvent, listen};
use flowlib::openflow::{Flow, Instruction};
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::types::{EndpointId, NodeId, Priority, TableId};
use switch::{DATAPATH, Switch};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

const NODE: NodeId = NodeId(1);
const SEGMENT: SegmentId = SegmentId::Node(NODE);
const GOOD: EndpointId = EndpointId(1);
const BAD: EndpointId = EndpointId(2);

/// A flow of table 5 that goes on to another table.
fn flow(priority: u16, next: u8) -> Vec<Flow> {
    let instructions = vec![Instruction::GotoTable(TableId(next))];
    vec![Flow { table: TableId(5), priority: Priority(priority), instructions, ..Flow::default() }]
}

fn update(owners: Vec<(Owner, Vec<Flow>)>) -> Update {
    Update::default().with(SEGMENT, owners)
}

/// The next time that all is applied which can be, with those it was refused for.
async fn applied(events: &mut mpsc::Receiver<SwitchEvent>) -> Vec<Subject> {
    loop {
        let event = timeout(Duration::from_secs(20), events.recv()).await.expect("in time").unwrap();
        if let SwitchEvent::Applied { rejected, .. } = event {
            return rejected.into_iter().map(|rejection| rejection.subject).collect();
        }
    }
}

#[tokio::test]
async fn one_bad_flow_mod_keeps_its_whole_bundle_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Some(switch) = Switch::start(&format!("tcp:{}", listener.local_addr().unwrap())) else { return };
    let (board, metrics) = (Board::default(), Metrics::default());
    let subscriptions = BTreeMap::from([(NODE, BTreeSet::from([SEGMENT]))]);
    let owners = vec![(Owner::Endpoint(GOOD), flow(1, 6)), (Owner::Endpoint(BAD), flow(2, 3))];
    board.publish(1, Update { seats: vec![(NODE, Some(DATAPATH))], subscriptions, ..update(owners) });
    let (lifecycle, mut events) = mpsc::channel(64);
    let (fabric, _fabric_events) = mpsc::channel(64);
    let counts = Counts::among(&metrics);
    let journal = Arc::default();
    let switch_idle = Duration::from_secs(5);
    let audit = Audit::new(Duration::from_secs(60), 20_000);
    let around = Surroundings {
        board: board.clone(),
        lifecycle,
        fabric,
        counts,
        journal,
        audit,
        term: 1,
        switch_idle,
        learns: false,
        access: None,
    };
    tokio::spawn(listen(listener, around));

    // A packet never goes back to an earlier table: Open vSwitch refuses the flow when it is added to the bundle.
    assert_eq!(applied(&mut events).await, [Subject::Endpoint(BAD)]);
    let flows = switch.flows();
    assert!(flows.contains("goto_table:6") && !flows.contains("goto_table:3"), "{flows}");
    let row = flows.lines().find(|line| line.contains("table=62")).expect("a row");
    assert!(row.contains("load:0->") || row.contains("load:0x0->"), "it claims nothing: {row}");
    let count = |name| metrics.totals()[name];
    assert_eq!((count("bundles_committed"), count("flow_mods_refused")), (1, 1), "the first was discarded");

    board.publish(2, update(vec![(Owner::Endpoint(BAD), flow(2, 7))]));
    while !applied(&mut events).await.is_empty() {}
    let flows = switch.flows();
    let digest = board.with_segment(SEGMENT, |segment| segment.digest()).unwrap();
    let half = format!("load:{:#x}->", digest.0 as u64);
    assert!(flows.contains("goto_table:7") && flows.contains(&half), "{flows}");
}
