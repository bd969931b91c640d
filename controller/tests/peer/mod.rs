//! A switch that behaves as Open vSwitch does (`flowlib::switch`), but for what a test makes it do wrong.

#![allow(dead_code, missing_docs, unreachable_pub)] // Each test file uses its own part of this.
#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flowlib::channel::{self, Deframer};
use flowlib::openflow::action::PacketInReason;
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Match, Message, PacketIn};
use flowlib::switch::{Bodies, Config, Switch};
use flowlib::types::{Cookie, DatapathId, TableId, Xid};

/// How long one waits for bytes before it looks whether it is to end.
const TICK: Duration = Duration::from_millis(20);

/// A connected switch; it hangs up when it is dropped.
pub struct Peer {
    /// Whole messages are written under this lock.
    writer: Arc<Mutex<TcpStream>>,
    switch: Arc<Mutex<Switch>>,
    hung_up: Arc<AtomicBool>,
    carrier: Option<JoinHandle<()>>,
}

impl Peer {
    /// Connects as a switch that sends only such messages.
    pub fn connect(to: SocketAddr, datapath: DatapathId, sends: fn(&Message) -> bool) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(TICK)).unwrap();
        let config =
            Config { datapath_id: datapath, limits: BTreeMap::new(), channel: channel::Config::default() };
        let switch = Arc::new(Mutex::new(Switch::new(Instant::now(), config, Arc::new(Bodies::new()))));
        let (writer, hung_up) = (Arc::new(Mutex::new(stream.try_clone().unwrap())), Arc::default());
        let carry = Carrier { stream, writer: writer.clone(), switch: switch.clone(), sends };
        let end = Arc::clone(&hung_up);
        let carrier = Some(std::thread::spawn(move || carry.run(&end)));
        Self { writer, switch, hung_up, carrier }
    }

    /// Sends bytes in between, as they are; false if nobody takes them any more.
    pub fn send(&self, bytes: &[u8]) -> bool {
        self.writer.lock().unwrap().write_all(bytes).is_ok()
    }

    /// Whether the connection is over.
    pub fn has_ended(&self) -> bool {
        self.hung_up.load(Ordering::Acquire)
    }

    pub fn n_flows(&self) -> usize {
        self.switch.lock().unwrap().n_flows()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.hung_up.store(true, Ordering::Release);
        if let Some(carrier) = self.carrier.take() {
            carrier.join().unwrap();
        }
    }
}

struct Carrier {
    stream: TcpStream,
    writer: Arc<Mutex<TcpStream>>,
    switch: Arc<Mutex<Switch>>,
    sends: fn(&Message) -> bool,
}

impl Carrier {
    fn run(mut self, end: &AtomicBool) {
        let id = self.switch.lock().unwrap().connect(Instant::now());
        let mut buffer = vec![0; 1 << 16];
        while !end.load(Ordering::Acquire) {
            let bytes = self.switch.lock().unwrap().poll_transmit(id).unwrap_or_default();
            if self.writer.lock().unwrap().write_all(&self.kept(&bytes)).is_err() {
                break;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => self.switch.lock().unwrap().handle_bytes(Instant::now(), id, &buffer[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        end.store(true, Ordering::Release);
        self.stream.shutdown(std::net::Shutdown::Both).unwrap_or(());
    }

    /// Of some messages those that it sends.
    fn kept(&self, bytes: &[u8]) -> Vec<u8> {
        let mut deframer = Deframer::default();
        deframer.push(bytes);
        let mut kept = Vec::new();
        while let Some(message) = deframer.next_message().unwrap() {
            if (self.sends)(&Message::decode(message).unwrap().1) {
                kept.extend(message);
            }
        }
        kept
    }
}

/// A packet that is shown to the controller, with a number in a register.
pub fn packet_in(n: u32) -> Vec<u8> {
    let packet = PacketIn {
        buffer_id: None,
        total_len: 60,
        reason: PacketInReason(1),
        table: TableId(5),
        cookie: Cookie(0),
        flow_match: Match::new().with(field::REG0, n),
        data: vec![0; 60],
    };
    let mut bytes = Vec::new();
    Message::PacketIn(packet).encode(Xid(0), &mut bytes).unwrap();
    bytes
}
