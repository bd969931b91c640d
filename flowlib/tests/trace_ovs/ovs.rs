//! A real Open vSwitch with the dummy datapath, its flows and its traces.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;

use flowlib::openflow::multipart::{MultipartReply, MultipartReplyBody, MultipartRequestBody};
use flowlib::openflow::{Hello, Message};
use flowlib::types::Xid;

use super::daemons::Daemons;

/// The switch.
pub(crate) struct Ovs {
    daemons: Daemons,
    /// The numbers of its ports, which are called p1 and so on.
    pub(crate) ports: Vec<u32>,
}

impl Ovs {
    /// A bridge `br0` with ports of those numbers; nothing if Open vSwitch is not installed.
    pub(crate) fn start(ports: &[u32]) -> Option<Self> {
        let daemons = Daemons::start()?;
        let mut words = "add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure".to_owned();
        for n in ports {
            words.push_str(&format!(
                " -- add-port br0 p{n} -- set interface p{n} type=dummy ofport_request={n}"
            ));
        }
        daemons.vsctl(&words);
        Some(Self { daemons, ports: ports.to_vec() })
    }

    /// What a command prints, which must succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        self.daemons.run(program, arguments)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.daemons.path(name), text).unwrap();
    }

    /// Asks ovs-vswitchd to do something.
    ///
    /// Open vSwitch 3.1 corrupts its memory over some traces of real packets, and then ends at any later moment: that is
    /// an error of its own kind.
    pub(crate) fn control(&self, method: &str, arguments: &[&str]) -> Result<String, Gone> {
        let mut stream = UnixStream::connect(self.daemons.path("vs.ctl")).map_err(|_| Gone)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let request = serde_json::json!({"id": 0, "method": method, "params": arguments});
        stream.write_all(request.to_string().as_bytes()).map_err(|_| Gone)?;
        let mut replies = serde_json::Deserializer::from_reader(BufReader::new(stream)).into_iter();
        let reply: serde_json::Value = replies.next().ok_or(Gone)?.map_err(|_| Gone)?;
        match (&reply["result"], &reply["error"]) {
            (serde_json::Value::String(result), _) => Ok(result.clone()),
            (_, error) => panic!("{method} {arguments:?}: {error}"),
        }
    }

    /// Runs a program that asks the switch.
    pub(crate) fn ask_with(&self, program: &str, arguments: &[&str]) -> Result<(), Gone> {
        let out = self.daemons.command(program, arguments).output().unwrap();
        if out.status.success() {
            return Ok(());
        }
        // If it is there, the question was wrong.
        self.control("version", &[])?;
        panic!("{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr))
    }

    /// Has `br0` carry out messages, none of which it may refuse.
    pub(crate) fn give(&self, messages: &[Message]) {
        let mut connection = Connection::open(&self.daemons.path("br0.mgmt"));
        messages.iter().for_each(|message| connection.send(message));
        connection.send(&Message::BarrierRequest);
        loop {
            match connection.receive() {
                Message::BarrierReply => return,
                Message::Error(error) => panic!("{error}"),
                _ => {}
            }
        }
    }

    /// What `br0` answers over OpenFlow.
    pub(crate) fn ask(&self, body: MultipartRequestBody) -> MultipartReplyBody {
        let mut connection = Connection::open(&self.daemons.path("br0.mgmt"));
        connection.send(&Message::MultipartRequest(body.into()));
        let mut whole: Option<MultipartReply> = None;
        loop {
            let Message::MultipartReply(part) = connection.receive() else { continue };
            let has_more = part.has_more();
            match &mut whole {
                Some(whole) => whole.join(part).unwrap(),
                None => whole = Some(part),
            }
            if !has_more {
                return whole.unwrap().body;
            }
        }
    }
}

/// ovs-vswitchd is not there any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// An OpenFlow connection.
struct Connection {
    stream: UnixStream,
}

impl Connection {
    fn open(path: &str) -> Self {
        let mut connection = Self { stream: UnixStream::connect(path).unwrap() };
        connection.send(&Message::Hello(Hello::new(&[4])));
        while !matches!(connection.receive(), Message::Hello(_)) {}
        connection
    }

    fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(Xid(1), &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    fn receive(&mut self) -> Message {
        use std::io::Read;
        let mut bytes = vec![0; 8];
        self.stream.read_exact(&mut bytes).unwrap();
        let len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        bytes.resize(len, 0);
        self.stream.read_exact(&mut bytes[8..]).unwrap();
        Message::decode(&bytes).unwrap().1
    }
}
