//! What others do to a real Open vSwitch that is being served: flows, meters and groups changed by hand, and other
//! controllers. What differs is found and put right, and it is known whom the switch obeys.
//!
//! Where Open vSwitch is not installed, it says so and passes.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use controller::measure::Metrics;
use controller::openflow::board::{Board, Update};
use controller::openflow::{Audit, Counts, Surroundings, SwitchEvent, listen};
use flowlib::compile::REPLY_METER;
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Flow, Instruction, Match};
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::types::{EndpointId, NodeId, PoolId, Priority, TableId};
use switch::{DATAPATH, Switch};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

const NODE: NodeId = NodeId(1);
const SEGMENT: SegmentId = SegmentId::Node(NODE);
const POOL: SegmentId = SegmentId::Pool(PoolId(1));
const PATIENCE: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3600);

/// A controller's OpenFlow side.
struct Controller {
    board: Board,
    metrics: Metrics,
    events: mpsc::Receiver<SwitchEvent>,
    target: String,
}

impl Controller {
    /// That wants `n` flows of a node, and the pool's meters with a flow that uses one.
    async fn start(n: u32, term: u64, audit: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        let (board, metrics) = (Board::default(), Metrics::default());
        let subscriptions = BTreeMap::from([(NODE, BTreeSet::from([SEGMENT, POOL]))]);
        let metered = Flow {
            table: TableId(7),
            instructions: vec![Instruction::Meter(REPLY_METER)],
            ..Flow::default()
        };
        let seats = vec![(NODE, Some(DATAPATH))];
        let update = Update { seats, subscriptions, ..Update::default() };
        board.publish(1, update.with(SEGMENT, owners(0..n)).with(POOL, [(Owner::Segment, vec![metered])]));
        let (lifecycle, events) = mpsc::channel(64);
        let (fabric, mut fabric_events) = mpsc::channel(64);
        tokio::spawn(async move { while fabric_events.recv().await.is_some() {} });
        let around = Surroundings {
            board: board.clone(),
            lifecycle,
            fabric,
            counts: Counts::among(&metrics),
            journal: Arc::default(),
            audit: Audit::new(audit, 1_000_000),
            term,
            learns: false,
            access: None,
            switch_idle: Duration::from_secs(5),
        };
        tokio::spawn(listen(listener, around));
        Self { board, metrics, events, target }
    }

    async fn until(&mut self, is: impl Fn(&SwitchEvent) -> bool) {
        while !is(&timeout(PATIENCE, self.events.recv()).await.expect("in time").unwrap()) {}
    }

    async fn applied(&mut self) {
        self.until(|event| matches!(event, SwitchEvent::Applied { .. })).await;
    }

    fn count(&self, name: &str) -> u64 {
        self.metrics.totals()[name]
    }

    /// Waits for what is told by no event.
    async fn wait(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let waiting = async {
            while !is(self) {
                tick.tick().await;
                while self.events.try_recv().is_ok() {}
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "waited in vain for {what}: {:#?}", self.metrics.totals());
    }
}

/// The meters and groups of a switch.
fn fixtures(switch: &Switch) -> [String; 2] {
    ["dump-meters br0", "dump-groups br0"].map(|dump| {
        let shown = switch.ofctl(dump);
        let mut lines: Vec<&str> = shown.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    })
}

/// A flow an owner, all of table 5.
fn owners(numbers: std::ops::Range<u32>) -> Vec<(Owner, Vec<Flow>)> {
    let flow = |n: u32| Flow {
        table: TableId(5),
        priority: Priority(1),
        flow_match: Match::new().with(field::REG0, n),
        instructions: vec![Instruction::GotoTable(TableId(6))],
        ..Flow::default()
    };
    numbers.map(|n| (Owner::Endpoint(EndpointId(n + 1)), vec![flow(n)])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_others_change_is_put_right_at_once() {
    let mut controller = Controller::start(8, 1, NEVER).await;
    let Some(switch) = Switch::start(&controller.target) else { return };
    controller.applied().await;
    let before = switch.sorted_flows();
    let own = SEGMENT.number();
    let mut expected = 0;
    for (n, change) in [
        (1, "del-flows br0 table=5,reg0=1".to_owned()),
        (1, "mod-flows br0 table=5,reg0=2,actions=drop".to_owned()),
        // Takes the place of one of ours, under a cookie of no segment.
        (1, "add-flow br0 cookie=0xdead,table=5,priority=1,reg0=3,actions=drop".to_owned()),
        (1, "add-flow br0 table=9,actions=drop".to_owned()),
        (1, format!("add-flow br0 cookie={own:#x}00000077,table=9,reg0=5,actions=drop")),
        (2, "del-flows br0 table=62".to_owned()),
        (11, "del-flows br0".to_owned()),
    ] {
        switch.ofctl(&change);
        expected += n;
        let reported = |c: &Controller| {
            c.count("flows_changed_by_others") == expected && switch.sorted_flows() == before
        };
        controller.wait(&change, reported).await;
    }
    assert_eq!(
        controller.count("segments_repaired"),
        4 + 2 + 2,
        "a foreign flow of no segment is no segment's"
    );
    assert!(controller.count("strange_flows_deleted") >= 1);

    // What the controller changes itself is none of that, however much it is.
    controller.board.publish(2, Update::default().with(SEGMENT, owners(8..5000)));
    controller.until(|event| matches!(event, SwitchEvent::Applied { revision: 2, .. })).await;
    assert_eq!(controller.count("flows_changed_by_others"), expected);

    // Many flows with one cookie are deleted as fast as others.
    let many: String = (0..10_000).map(|n| format!("table=20,reg0={n},actions=drop\n")).collect();
    let before = switch.sorted_flows();
    std::fs::write(switch.dir.path().join("many"), many).unwrap();
    switch.ofctl("add-flows br0 many");
    let gone = |c: &Controller| c.count("strange_flows_deleted") > 10_000 && switch.sorted_flows() == before;
    controller.wait("the flows to go", gone).await;
    assert_eq!(controller.count("openflow_sessions"), 1, "it was never held up for long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_that_is_deleted_comes_back_with_its_flows() {
    let mut controller = Controller::start(1, 1, NEVER).await;
    let Some(switch) = Switch::start(&controller.target) else { return };
    controller.applied().await;
    let (flows, fixtures) = (switch.sorted_flows(), fixtures(&switch));
    switch.ofctl("del-meters br0");
    let mended = |_: &Controller| switch.sorted_flows() == flows && self::fixtures(&switch) == fixtures;
    controller.wait("meter and flow", mended).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_while_nobody_watched_is_found_by_the_audit_though_row_and_count_agree() {
    let mut controller = Controller::start(8, 1, Duration::from_millis(200)).await;
    let Some(switch) = Switch::start(&controller.target) else { return };
    controller.applied().await;
    let (flows, fixtures) = (switch.sorted_flows(), fixtures(&switch));
    let made = controller.count("fixtures_made");
    switch.vsctl("set-controller br0 tcp:127.0.0.1:1");
    controller.until(|event| matches!(event, SwitchEvent::Disconnected { .. })).await;
    switch.ofctl("mod-flows br0 table=5,reg0=2,actions=drop");
    switch.ofctl("mod-meter br0 meter=2,pktps,burst,stats,band=type=drop,rate=1,burst_size=1");
    switch.ofctl("add-meter br0 meter=777,pktps,band=type=drop,rate=1");
    switch.ofctl("add-group br0 group_id=77,type=all");
    assert_ne!(switch.sorted_flows(), flows);
    switch.vsctl(&format!("set-controller br0 {}", controller.target));
    let mended = |_: &Controller| switch.sorted_flows() == flows;
    controller.wait("the flow", mended).await;
    assert_eq!(controller.count("flows_changed_by_others"), 0);
    assert_eq!((controller.count("segments_repaired"), controller.count("fixtures_made")), (1, made + 1));
    assert_eq!(self::fixtures(&switch), fixtures);

    // Without a session's end, too.
    switch.ofctl("del-groups br0");
    switch.ofctl("mod-meter br0 meter=2,pktps,burst,stats,band=type=drop,rate=1,burst_size=1");
    let mended = |_: &Controller| self::fixtures(&switch) == fixtures;
    controller.wait("the meter and the group", mended).await;
    let audited = controller.count("segments_audited");
    controller.wait("two more rounds", |c| c.count("segments_audited") >= audited + 4).await;
    assert_eq!(controller.count("segments_repaired"), 1, "what is right is left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_controller_is_refused_by_the_switch_and_says_so() {
    let mut old = Controller::start(2, 7, NEVER).await;
    let Some(switch) = Switch::start(&old.target) else { return };
    old.applied().await;
    let mut new = Controller::start(3, 8, NEVER).await;
    switch.vsctl(&format!("set-controller br0 {} {}", old.target, new.target));
    new.applied().await;
    let flows = switch.sorted_flows();
    old.board.publish(2, Update::default().with(SEGMENT, owners(5..9)));
    old.until(|event| matches!(event, SwitchEvent::Deposed { .. })).await;
    assert_eq!(old.count("sessions_deposed"), 1);
    // It connects again, with its stale term.
    old.until(|event| matches!(event, SwitchEvent::Deposed { .. })).await;
    assert_eq!(old.count("sessions_deposed"), 2);
    assert_eq!(switch.sorted_flows(), flows, "the deposed one has changed nothing");
}
