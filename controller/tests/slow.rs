//! A switch that reads nothing for a while: what waits for it does not grow, and it holds up nobody.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use controller::measure::Metrics;
use controller::openflow::board::{Board, Update};
use controller::openflow::{Audit, Counts, FabricEvent, Surroundings, Switch, SwitchEvent, listen};
use flowlib::channel::{Channel, Config, Event};
use flowlib::openflow::oxm::field;
use flowlib::openflow::{
    AggregateStats, BundleControl, BundleControlType, FeaturesReply, Flow, Instruction, Match, Message,
    MultipartReply, MultipartReplyBody, MultipartRequestBody,
};
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::types::{Cookie, DatapathId, NetworkId, NodeId, TableId};
use peak_alloc::PeakAlloc;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SEGMENT: SegmentId = SegmentId::Network(NetworkId(1));
const FAST: NodeId = NodeId(1);
const SLOW: NodeId = NodeId(2);
/// Changes that a segment remembers and a few more: from here on nothing should grow.
const FIRST: u64 = 5000;
const LAST: u64 = 10_000;
/// What a measurement may be off by.
const SLACK: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(25);

/// A switch that holds nothing and agrees to everything, until it is told to sleep, and again when it is woken.
struct Peer {
    sleep: Sender<Receiver<()>>,
}

impl Peer {
    fn connect(to: SocketAddr, node: NodeId) -> Self {
        let (sleep, sleeps) = channel::<Receiver<()>>();
        let mut stream = TcpStream::connect(to).unwrap();
        std::thread::spawn(move || {
            let mut wire = Channel::new(Instant::now(), Config::default());
            let mut buffer = vec![0; 1 << 16];
            loop {
                if let Ok(wake) = sleeps.try_recv() {
                    wake.recv().unwrap_or(());
                }
                stream.write_all(&wire.poll_transmit().unwrap_or_default()).unwrap();
                let Ok(n @ 1..) = stream.read(&mut buffer) else { return };
                wire.handle_bytes(Instant::now(), &buffer[..n]);
                while let Some(event) = wire.poll_event() {
                    if let Event::Message { xid, message } = event
                        && let Some(answer) = answer(message, node)
                    {
                        wire.send_with_xid(xid, &answer).unwrap();
                    }
                }
            }
        });
        Self { sleep }
    }

    /// Reads nothing from its next message on, until what is given back is dropped.
    fn sleep(&self) -> Sender<()> {
        let (wake, sleeping) = channel();
        self.sleep.send(sleeping).unwrap();
        wake
    }
}

fn answer(message: Message, node: NodeId) -> Option<Message> {
    let body = match message {
        Message::FeaturesRequest => {
            let datapath_id = DatapathId(node.0.into());
            let (n_buffers, n_tables, auxiliary_id, capabilities, reserved) = (0, 254, 0, 0, 0);
            return Some(Message::FeaturesReply(FeaturesReply {
                datapath_id,
                n_buffers,
                n_tables,
                auxiliary_id,
                capabilities,
                reserved,
            }));
        }
        Message::RoleRequest(role) => return Some(Message::RoleReply(role)),
        Message::BarrierRequest => return Some(Message::BarrierReply),
        Message::BundleControl(BundleControl { bundle_id, control_type, flags, .. }) => {
            let control_type = BundleControlType(control_type.0 + 1);
            return Some(Message::BundleControl(BundleControl::new(bundle_id, control_type, flags)));
        }
        Message::MultipartRequest(request) => match request.body {
            MultipartRequestBody::Flow(_) => MultipartReplyBody::Flow(Vec::new()),
            MultipartRequestBody::FlowMonitor(_) => MultipartReplyBody::FlowMonitor(Vec::new()),
            MultipartRequestBody::MeterConfig(_) => MultipartReplyBody::MeterConfig(Vec::new()),
            MultipartRequestBody::GroupDesc => MultipartReplyBody::GroupDesc(Vec::new()),
            MultipartRequestBody::Aggregate(_) => {
                let (packet_count, byte_count, flow_count) = (0, 0, 0);
                MultipartReplyBody::Aggregate(AggregateStats { packet_count, byte_count, flow_count })
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Message::MultipartReply(MultipartReply { flags: 0, body }))
}

/// One of 16 flows becomes another: the segment changes and does not grow.
fn change(n: u64) -> Update {
    let owner = Owner::Placement { offset: u32::try_from(n % 16).unwrap(), exception: false };
    let actions = Instruction::WriteMetadata { metadata: n, mask: u64::MAX };
    let flow = Flow {
        table: TableId(5),
        cookie: Cookie(0),
        flow_match: Match::new().with(field::REG0, u32::try_from(n % 16).unwrap()),
        instructions: vec![actions],
        ..Flow::default()
    };
    Update::default().with(SEGMENT, [(owner, vec![flow])])
}

async fn applied(events: &mut mpsc::Receiver<SwitchEvent>, of: NodeId, least: u64) {
    let wait = async {
        loop {
            match events.recv().await.unwrap() {
                SwitchEvent::Applied { node, revision, .. } if node == of && revision >= least => return,
                SwitchEvent::Disconnected { node } => panic!("{node} was given up"),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{of} has not applied {least}"));
}

/// Makes changes up to a revision, and waits now and then until the fast switch has them; gives back the longest wait.
async fn go_on(
    board: &Board,
    events: &mut mpsc::Receiver<SwitchEvent>,
    switch: &Switch,
    revisions: std::ops::RangeInclusive<u64>,
) -> Duration {
    let mut longest = Duration::ZERO;
    for revision in revisions {
        board.publish(revision, change(revision));
        // What is only sent must not pile up either.
        switch.send(vec![Message::EchoRequest(vec![0; 1024])]);
        if revision % 50 == 0 {
            let begun = Instant::now();
            applied(events, FAST, revision).await;
            longest = longest.max(begun.elapsed());
        }
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_reads_nothing_costs_no_memory_and_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let board = Board::default();
    let subscriptions: BTreeMap<NodeId, _> =
        [FAST, SLOW].map(|node| (node, BTreeSet::from([SEGMENT]))).into();
    let seats = [FAST, SLOW].map(|node| (node, Some(DatapathId(node.0.into())))).to_vec();
    board.publish(1, Update { seats, subscriptions, ..change(1) });
    let (lifecycle, mut events) = mpsc::channel(64);
    let (fabric, mut fabric_events) = mpsc::channel(64);
    let around = Surroundings {
        board: board.clone(),
        lifecycle,
        fabric,
        counts: Counts::among(&Metrics::default()),
        journal: Arc::default(),
        audit: Audit::new(Duration::from_secs(3600), 1),
        term: 1,
        learns: false,
        access: None,
        switch_idle: Duration::from_secs(3600),
    };
    tokio::spawn(listen(listener, around));
    let _fast = Peer::connect(address, FAST);
    applied(&mut events, FAST, 1).await;
    let slow = Peer::connect(address, SLOW);
    applied(&mut events, SLOW, 1).await;
    let up = async {
        loop {
            if let Some(FabricEvent::Up { node: SLOW, switch }) = fabric_events.recv().await {
                return switch;
            }
        }
    };
    let switch = timeout(PATIENCE, up).await.unwrap();
    tokio::spawn(async move { while fabric_events.recv().await.is_some() {} });

    let awake = slow.sleep();
    go_on(&board, &mut events, &switch, 2..=FIRST).await;
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let longest = go_on(&board, &mut events, &switch, FIRST + 1..=LAST).await;
    let grown = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes more after {LAST} changes than after {FIRST}");
    eprintln!("at most {grown} bytes more; 50 changes were applied by the other in at most {longest:?}");

    // It is sent the sum of what it missed.
    drop(awake);
    applied(&mut events, SLOW, LAST).await;
}
