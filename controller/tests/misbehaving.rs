//! Switches that misbehave: each is named in what is complained of, costs little, and harms nobody else.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

mod peer;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use controller::measure::Metrics;
use controller::openflow::board::{Board, Update};
use controller::openflow::complaints::{About, Fault};
use controller::openflow::{Audit, Counts, FabricEvent, Surroundings, SwitchEvent, listen};
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Flow, Match, Message};
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::types::{DatapathId, EndpointId, NodeId, TableId};
use peer::{Peer, packet_in};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

const GOOD: NodeId = NodeId(1);
const BAD: NodeId = NodeId(2);
/// Longer than a switch may take to answer, 30 s.
const PATIENCE: Duration = Duration::from_secs(45);
/// Packets of one switch that may wait for the network.
const SHARE: usize = 64;

/// A controller's OpenFlow side that wants a flow of each of two nodes.
struct Controller {
    board: Board,
    metrics: Metrics,
    events: mpsc::Receiver<SwitchEvent>,
    /// What the network is shown, if the test looks at that.
    fabric: Option<mpsc::Receiver<FabricEvent>>,
    address: SocketAddr,
}

impl Controller {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (board, metrics) = (Board::default(), Metrics::default());
        let nodes = [GOOD, BAD];
        let subscriptions =
            nodes.map(|node| (node, BTreeSet::from([SegmentId::Node(node)]))).into_iter().collect();
        let seats = nodes.map(|node| (node, Some(datapath(node)))).to_vec();
        board.publish(1, with_flows(Update { seats, subscriptions, ..Update::default() }, 1));
        let (lifecycle, events) = mpsc::channel(1024);
        let (fabric, fabric_events) = mpsc::channel(4096);
        let around = Surroundings {
            board: board.clone(),
            lifecycle,
            fabric,
            counts: Counts::among(&metrics),
            journal: Arc::default(),
            audit: Audit::new(Duration::from_secs(3600), 1_000_000),
            term: 1,
            switch_idle: Duration::from_secs(5),
            learns: false,
            access: None,
        };
        tokio::spawn(listen(listener, around));
        Self { board, metrics, events, fabric: Some(fabric_events), address }
    }

    fn connect(&self, node: NodeId) -> Peer {
        Peer::connect(self.address, datapath(node), |_| true)
    }

    /// A controller with the good node's switch connected, and a network that looks at all it is shown.
    async fn with_good() -> (Self, Peer) {
        let mut controller = Self::start().await;
        let mut fabric = controller.fabric.take().unwrap();
        tokio::spawn(async move { while fabric.recv().await.is_some() {} });
        controller.good().await
    }

    /// With the good node's switch connected.
    async fn good(mut self) -> (Self, Peer) {
        let good = self.connect(GOOD);
        self.applied(GOOD, 1).await;
        (self, good)
    }

    async fn until(&mut self, mut is: impl FnMut(&SwitchEvent) -> bool) {
        let wait = async {
            loop {
                let event = self.events.recv().await.unwrap();
                assert_ne!(event, SwitchEvent::Disconnected { node: GOOD }, "the good one is harmed");
                if is(&event) {
                    return;
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("in time");
    }

    async fn applied(&mut self, of: NodeId, at: u64) {
        let is = |event: &SwitchEvent| matches!(event, SwitchEvent::Applied { node, revision, .. } if *node == of && *revision == at);
        self.until(is).await;
    }

    /// Changes both nodes, and waits until the good one has that.
    async fn go_on(&mut self) {
        let revision = self.board.revision() + 1;
        self.board.publish(revision, with_flows(Update::default(), revision));
        self.applied(GOOD, revision).await;
    }

    /// Changes both nodes, and waits until both have that, whichever is first.
    async fn both_go_on(&mut self) {
        let at = self.board.revision() + 1;
        self.board.publish(at, with_flows(Update::default(), at));
        let mut left = vec![GOOD, BAD];
        self.until(|event| {
            if let SwitchEvent::Applied { node, revision, .. } = event {
                left.retain(|waiting| waiting != node || *revision != at);
            }
            left.is_empty()
        })
        .await;
    }

    /// Waits until that is complained of, and gives back what is said.
    async fn complaint(&self, about: About, fault: Fault) -> String {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let wait = async {
            loop {
                let recent = self.board.complaints().recent();
                if let Some(found) = recent.into_iter().find(|c| (c.about, c.fault) == (about, fault)) {
                    return found.message;
                }
                tick.tick().await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("no {fault:?}; counted: {:#?}", self.metrics.totals()))
    }

    async fn ended(&self, peer: &Peer) {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let wait = async {
            while !peer.has_ended() {
                tick.tick().await;
            }
        };
        timeout(PATIENCE, wait).await.expect("the connection is closed");
    }
}

fn datapath(node: NodeId) -> DatapathId {
    DatapathId(u64::from(node.0) << 8)
}

/// With a flow of each node, another at each revision.
fn with_flows(update: Update, revision: u64) -> Update {
    let flow = Flow {
        table: TableId(5),
        flow_match: Match::new().with(field::REG0, u32::try_from(revision).unwrap()),
        ..Flow::default()
    };
    let own = || [(Owner::Endpoint(EndpointId(1)), vec![flow.clone()])];
    update.with(SegmentId::Node(GOOD), own()).with(SegmentId::Node(BAD), own())
}

fn local() -> About {
    About::Peer([127, 0, 0, 1].into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_never_answers_a_barrier_is_given_up() {
    let (mut controller, good) = Controller::with_good().await;
    let bad = Peer::connect(controller.address, datapath(BAD), |message| *message != Message::BarrierReply);
    controller.until(|event| *event == SwitchEvent::Connected { node: BAD }).await;
    controller.go_on().await;
    let said = controller.complaint(About::Node(BAD), Fault::NoAnswer).await;
    assert!(said.contains("has not answered a bundle within 30s"), "{said}");
    controller.ended(&bad).await;
    controller.until(|event| *event == SwitchEvent::Disconnected { node: BAD }).await;
    controller.go_on().await;
    assert!(!good.has_ended());
    // One that has come to its senses is served.
    let _bad = controller.connect(BAD);
    controller.applied(BAD, controller.board.revision()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_packets_takes_nobody_elses_turn() {
    const FLOOD: u32 = 20_000;
    let (mut controller, good) = Controller::start().await.good().await;
    let mut fabric = controller.fabric.take().unwrap();
    let bad = controller.connect(BAD);
    controller.applied(BAD, 1).await;
    // Nobody looks at packets meanwhile: all that was let through waits.
    let flood: Vec<u8> = (0..100).flat_map(packet_in).collect();
    for _ in 0..FLOOD / 100 {
        assert!(bad.send(&flood));
    }
    let said = controller.complaint(About::Node(BAD), Fault::TooManyPackets).await;
    assert!(said.contains("more packets than its share"), "{said}");
    for n in 0..10 {
        assert!(good.send(&packet_in(n)));
    }
    controller.go_on().await;
    let (mut of_bad, mut of_good) = (0, 0);
    let wait = async {
        while of_good < 10 {
            match fabric.recv().await.unwrap() {
                FabricEvent::PacketIn { node: BAD, .. } => of_bad += 1,
                FabricEvent::PacketIn { node: GOOD, packet, .. } => {
                    assert_eq!(packet.flow_match.exact(field::REG0).map_or(0, |n| n.to_u32()), of_good);
                    of_good += 1;
                }
                _ => {}
            }
        }
    };
    timeout(PATIENCE, wait).await.expect("all of the good one's");
    // The first that are looked at make room for some more while the good one's are waited for.
    assert!(of_bad <= 2 * SHARE, "{of_bad} of the other's were before them");
    // Its connection is kept, since it has flows to hold.
    controller.both_go_on().await;
    let dropped = controller.metrics.totals()["packet_ins_dropped"];
    assert!(dropped >= u64::from(FLOOD) - 3 * SHARE as u64, "{dropped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_the_middle_ends_that_session_only() {
    let (mut controller, good) = Controller::with_good().await;
    for garbage in [&[4, 10, 0, 3, 0, 0, 0, 0][..], &[4, 10, 0, 12, 0, 0, 0, 0, 1, 2, 3, 4], &[9; 4096]] {
        let bad = controller.connect(BAD);
        controller.applied(BAD, controller.board.revision()).await;
        assert!(bad.send(garbage));
        controller.ended(&bad).await;
        controller.until(|event| *event == SwitchEvent::Disconnected { node: BAD }).await;
        controller.go_on().await;
    }
    let said = controller.complaint(About::Node(BAD), Fault::BadMessages).await;
    assert!(said.contains("bad bytes from the peer"), "{said}");
    assert!(!good.has_ended());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_with_a_datapath_id_and_one_with_an_unknown_id_are_refused() {
    let (mut controller, good) = Controller::with_good().await;
    let second = controller.connect(GOOD);
    controller.ended(&second).await;
    let said = controller.complaint(local(), Fault::DatapathTaken).await;
    assert!(said.contains(&datapath(GOOD).to_string()), "{said}");
    let unknown = Peer::connect(controller.address, DatapathId(0xbeef), |_| true);
    controller.ended(&unknown).await;
    let said = controller.complaint(local(), Fault::UnknownDatapath).await;
    assert!(said.contains("beef") && said.contains("is its agent registered?"), "{said}");
    controller.go_on().await;
    assert!(!good.has_ended());
    assert_eq!((second.n_flows(), unknown.n_flows()), (0, 0), "they are given nothing");
    assert_eq!(controller.metrics.totals()["openflow_connections_refused"], 2);
}
