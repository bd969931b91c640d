//! A switch that no node has: refused, or served as a learning switch until a node has it.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::measure::Metrics;
use controller::openflow::board::{Board, Update};
use controller::openflow::{Audit, Counts, Surroundings, listen};
use flowlib::channel::{Channel, Config, Event};
use flowlib::openflow::action::PacketInReason;
use flowlib::openflow::oxm::field;
use flowlib::openflow::{FeaturesReply, Match, Message, PacketIn};
use flowlib::types::{Cookie, DatapathId, NodeId, TableId, Xid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const DATAPATH: DatapathId = DatapathId(0xabc);
const PATIENCE: Duration = Duration::from_secs(10);

/// The OpenFlow side of a controller.
struct Side {
    address: SocketAddr,
    board: Board,
    metrics: Metrics,
}

impl Side {
    async fn start(learns: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (board, metrics) = (Board::default(), Metrics::default());
        let (lifecycle, fabric) = (mpsc::channel(64).0, mpsc::channel(64).0);
        let counts = Counts::among(&metrics);
        let journal = Arc::default();
        let switch_idle = Duration::from_secs(5);
        tokio::spawn(listen(
            listener,
            Surroundings {
                board: board.clone(),
                lifecycle,
                fabric,
                counts,
                journal,
                audit: Audit::new(Duration::from_secs(60), 20_000),
                term: 1,
                switch_idle,
                learns,
                access: None,
            },
        ));
        Self { address, board, metrics }
    }
}

/// A switch that says what the test says.
struct Switch {
    stream: TcpStream,
    channel: Channel,
}

impl Switch {
    async fn connect(side: &Side) -> Self {
        let stream = TcpStream::connect(side.address).await.unwrap();
        let mut switch = Self { stream, channel: Channel::new(Instant::now(), Config::default()) };
        let (xid, asked) = switch.hear().await.unwrap();
        assert_eq!(asked, Message::FeaturesRequest);
        let reply = FeaturesReply {
            datapath_id: DATAPATH,
            n_buffers: 0,
            n_tables: 1,
            auxiliary_id: 0,
            capabilities: 0,
            reserved: 0,
        };
        switch.say(Some(xid), &Message::FeaturesReply(reply)).await;
        switch
    }

    async fn say(&mut self, xid: Option<Xid>, message: &Message) {
        match xid {
            Some(xid) => self.channel.send_with_xid(xid, message).unwrap(),
            None => drop(self.channel.send(message).unwrap()),
        }
        self.flush().await;
    }

    async fn flush(&mut self) {
        if let Some(bytes) = self.channel.poll_transmit() {
            self.stream.write_all(&bytes).await.unwrap();
        }
    }

    /// The next that it is told; `None` if the connection has ended.
    async fn hear(&mut self) -> Option<(Xid, Message)> {
        let mut buffer = [0; 4096];
        loop {
            self.flush().await;
            match self.channel.poll_event() {
                Some(Event::Message { xid, message }) => return Some((xid, message)),
                Some(Event::Open) => continue,
                Some(other) => panic!("unexpected {other:?}"),
                None => {}
            }
            let n = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("in time").unwrap_or(0);
            if n == 0 {
                return None;
            }
            self.channel.handle_bytes(Instant::now(), &buffer[..n]);
        }
    }
}

fn broadcast() -> Message {
    Message::PacketIn(PacketIn {
        buffer_id: None,
        total_len: 60,
        reason: PacketInReason::ACTION,
        table: TableId(0),
        cookie: Cookie(0),
        flow_match: Match::new().with(field::IN_PORT, 1_u32),
        data: [[0xff; 6], [2, 0, 0, 0, 0, 1]].concat().into_iter().chain([0; 48]).collect(),
    })
}

#[tokio::test]
async fn a_switch_of_no_node_is_refused_unless_it_may_learn() {
    let side = Side::start(false).await;
    assert_eq!(Switch::connect(&side).await.hear().await, None);
    assert_eq!(side.board.learning(), []);
    assert_eq!(side.metrics.totals()["openflow_connections_refused"], 1);
}

#[tokio::test]
async fn a_switch_of_no_node_learns_until_a_node_has_it() {
    let side = Side::start(true).await;
    let mut switch = Switch::connect(&side).await;
    // Everything goes, what is for bridges goes nowhere, the rest is shown.
    for _ in 0..3 {
        assert!(matches!(switch.hear().await, Some((_, Message::FlowMod(_)))));
    }
    switch.say(None, &broadcast()).await;
    assert!(matches!(switch.hear().await, Some((_, Message::PacketOut(_)))));
    let listed = side.board.learning();
    assert_eq!((listed.len(), listed[0].datapath, listed[0].packet_ins), (1, DATAPATH, 1));
    assert_eq!((listed[0].addresses, listed[0].peer), (1, switch.stream.local_addr().unwrap()));

    assert_eq!(Switch::connect(&side).await.hear().await, None, "one session a switch");

    let seats = vec![(NodeId(1), Some(DATAPATH))];
    side.board.publish(1, Update { seats, ..Update::default() });
    assert_eq!(switch.hear().await, None);
    assert_eq!(side.board.learning(), []);
}
