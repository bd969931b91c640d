//! What controller and switch say to each other, read from the switch's own snoop socket.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use flowlib::channel::Deframer;
use flowlib::openflow::{BundleControlType, Message};
use flowlib::types::Xid;
use labs::{Lab, wait_until};

/// Everything that passes between br-int of a node and its controller, both ways, from when this was made; whichever
/// controller it is, and however often it connects anew. Ends with ovs-vswitchd.
pub(crate) struct Snoop {
    stream: UnixStream,
    seen: Arc<Mutex<Vec<Message>>>,
    reader: Option<JoinHandle<()>>,
}

impl Snoop {
    /// Begins to listen on a node's br-int.
    pub(crate) fn on(lab: &Lab, node: &str) -> Snoop {
        let path = lab.node(node).unwrap().rundir().join("br-int.snoop");
        let connect = || Ok(UnixStream::connect(&path).ok());
        let mut stream = wait_until(Duration::from_secs(5), "the snoop socket", connect).unwrap();
        // OpenFlow 1.3.5 §7.1: version 4, hello, 8 bytes, xid 1.
        stream.write_all(&[4, 0, 0, 8, 0, 0, 0, 1]).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut source, sink) = (stream.try_clone().unwrap(), seen.clone());
        let reader = std::thread::spawn(move || {
            let (mut deframer, mut buffer) = (Deframer::default(), vec![0; 1 << 16]);
            while let Ok(n @ 1..) = source.read(&mut buffer) {
                deframer.push(&buffer[..n]);
                while let Some(bytes) = deframer.next_message().unwrap() {
                    let (_, message): (Xid, _) = Message::decode(bytes).unwrap();
                    sink.lock().unwrap().push(message);
                }
            }
        });
        Snoop { stream, seen, reader: Some(reader) }
    }

    /// Begins to listen, and returns when something has been heard of a controller that is connected.
    pub(crate) fn attached(lab: &Lab, node: &str) -> Snoop {
        let snoop = Snoop::on(lab, node);
        // Either side asks for an echo after at most 5 s without other messages.
        let heard = |m: &Message| !matches!(m, Message::Hello(_));
        snoop.wait_for(Duration::from_secs(12), "anything between controller and switch", heard);
        snoop
    }

    /// Waits until a message was seen.
    pub(crate) fn wait_for(&self, deadline: Duration, what: &str, is: impl Fn(&Message) -> bool) {
        let seen = || Ok(self.seen.lock().unwrap().iter().any(&is).then_some(()));
        wait_until(deadline, what, seen).unwrap();
    }

    /// Waits until a controller has begun a new session: nothing it says in it is missed from here on.
    pub(crate) fn wait_for_session(&self) {
        let begins = |m: &Message| matches!(m, Message::FeaturesRequest);
        self.wait_for(Duration::from_secs(20), "a controller's session", begins);
    }

    /// All messages so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// All messages so far that change flows, groups or meters, or belong to a bundle.
    pub(crate) fn changes(&self) -> Vec<Message> {
        let is_change = |message: &Message| {
            matches!(
                message,
                Message::FlowMod(_)
                    | Message::GroupMod(_)
                    | Message::MeterMod(_)
                    | Message::BundleAdd(_)
                    | Message::BundleControl(_)
            )
        };
        self.messages().into_iter().filter(is_change).collect()
    }

    /// How many bundles were seen to end so, by the request.
    pub(crate) fn n_bundles(&self, end: BundleControlType) -> usize {
        let is = |m: &Message| matches!(m, Message::BundleControl(control) if control.control_type == end);
        self.messages().iter().filter(|m| is(m)).count()
    }
}

impl Drop for Snoop {
    fn drop(&mut self) {
        self.stream.shutdown(Shutdown::Both).unwrap_or(());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap_or_else(|_| eprintln!("the snoop socket said something unheard of"));
        }
    }
}
