//! A real Open vSwitch with the dummy datapath, and two controllers' ends of its connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use flowlib::channel::Deframer;
use flowlib::openflow::{Hello, Message, VERSION};
use flowlib::types::Xid;

use super::daemons::Daemons;
use super::{LIMITED, N_CONNECTIONS};

/// How long it may take to do anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The switch, and those who control it.
pub(crate) struct Ovs {
    daemons: Daemons,
    listeners: Vec<TcpListener>,
    links: Vec<Link>,
}

/// A controller's end of a connection.
struct Link {
    stream: TcpStream,
    deframer: Deframer,
}

impl Ovs {
    /// Starts it with the bridge br0 and its ports p1 and p2. Where Open vSwitch is not installed, says so.
    pub(crate) fn start() -> Option<Self> {
        let daemons = Daemons::start()?;
        let listeners: Vec<_> =
            (0..N_CONNECTIONS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut ovs = Self { daemons, listeners, links: Vec::new() };
        let (table, limit) = LIMITED;
        let controllers: Vec<_> = ovs.listeners.iter().enumerate().map(controller).collect();
        let names: Vec<_> = (0..N_CONNECTIONS).map(|n| format!("@c{n}")).collect();
        ovs.daemons.vsctl(&format!(
            "add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure \
             protocols=OpenFlow13 other-config:disable-in-band=true \
             -- add-port br0 p1 -- set interface p1 type=dummy ofport_request=1 \
             -- add-port br0 p2 -- set interface p2 type=dummy ofport_request=2 \
             -- --id=@t create Flow_Table flow_limit={limit} overflow_policy=refuse \
             {} -- set bridge br0 flow_tables:{table}=@t controller={}",
            controllers.join(" "),
            names.join(","),
        ));
        ovs.connect();
        Some(ovs)
    }

    /// Ends all connections and takes new ones.
    pub(crate) fn connect(&mut self) {
        self.links.clear();
        for listener in &self.listeners {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&encoded(Xid(1), &Message::Hello(Hello::new(&[VERSION])))).unwrap();
            let mut link = Link { stream, deframer: Deframer::default() };
            assert!(matches!(link.next(), Some((_, Message::Hello(_)))));
            self.links.push(link);
        }
    }

    /// Sends bytes on a connection, and what comes on it until a barrier behind them is answered; nothing if the
    /// connection ends.
    pub(crate) fn ask(&mut self, connection: usize, bytes: &[u8]) -> Option<Vec<(Xid, Message)>> {
        const BARRIER: Xid = Xid(u32::MAX);
        let link = &mut self.links[connection];
        let barrier = encoded(BARRIER, &Message::BarrierRequest);
        link.stream.write_all(&[bytes, &barrier].concat()).ok()?;
        let mut answers = Vec::new();
        loop {
            match link.next()? {
                (BARRIER, Message::BarrierReply) => return Some(answers),
                answer => answers.push(answer),
            }
        }
    }
}

impl Link {
    /// The next message but for echoes.
    fn next(&mut self) -> Option<(Xid, Message)> {
        loop {
            while let Some(bytes) = self.deframer.next_message().unwrap() {
                match Message::decode(bytes).unwrap() {
                    (xid, Message::EchoRequest(data)) => {
                        let reply = encoded(xid, &Message::EchoReply(data));
                        self.stream.write_all(&reply).ok()?;
                    }
                    answer => return Some(answer),
                }
            }
            let mut buffer = [0; 65_536];
            let n = self.stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
            self.deframer.push(&buffer[..n]);
        }
    }
}

/// What makes a controller that is asked again after a second at most.
fn controller((n, listener): (usize, &TcpListener)) -> String {
    let port = listener.local_addr().unwrap().port();
    format!("-- --id=@c{n} create Controller target=\"tcp:127.0.0.1:{port}\" max_backoff=1000")
}

/// A message as on the wire.
pub(crate) fn encoded(xid: Xid, message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(xid, &mut bytes).unwrap();
    bytes
}
