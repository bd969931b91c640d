//! Commands that listen for ever, beside those of ovs-ofctl while something happens.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flowlib::channel::{Channel, Config};
use flowlib::openflow::Message;

use crate::ovs::{Switch, Tool};

/// A command that listens, and the file with what it says. It ends with this.
struct Listener<'a> {
    switch: &'a Switch,
    child: Child,
    file: &'static str,
}

impl<'a> Listener<'a> {
    fn start(switch: &'a Switch, tool: Tool, words: &[&str], file: &'static str) -> Self {
        let output = File::create(switch.path(file)).unwrap();
        let mut command = switch.tool(tool, words);
        let child = command.stdin(Stdio::null()).stderr(output).spawn().unwrap();
        Self { switch, child, file }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.switch.path(self.file)).unwrap()
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Does something again and again until `found` finds something.
fn until<T>(mut again: impl FnMut(), mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        again();
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it does not happen");
        thread::park_timeout(Duration::from_millis(50));
    }
}

/// The lines from the one that begins with `first` to the one that begins with `last`.
fn between(text: &str, first: &str, last: &str) -> Option<String> {
    let start = text.find(first)?;
    let end = start + text.get(start..)?.find(last)?;
    text.get(start..end).map(str::to_owned)
}

#[test]
fn sends_packets_on_that_wait_in_the_switch() {
    let Some(switch) = Switch::start() else { return };
    let flow = "in_port=1,actions=controller(pause,userdata=01.02.03),output:2";
    switch.ofctl(&["add-flow", "br0", flow]);
    let packet = "in_port(1),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),eth_type(0x0800),\
                  ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=8,dst=80)";
    let control = switch.path("vs.ctl");
    let outputs = [Tool::Theirs, Tool::Ours].map(|tool| {
        let sent = || switch.ofctl(&["dump-ports", "br0", "p2"]);
        let before = sent();
        let listener = Listener::start(&switch, tool, &["monitor", "br0", "resume"], "monitor");
        let receive = || {
            switch.run("ovs-appctl", &["-t", &control, "netdev-dummy/receive", "p1", packet]);
        };
        // The first packet is told of and sent on once the second is.
        let output = until(receive, || {
            let text = listener.text();
            let (first, second) = text.split_once("\nsend: ")?;
            second.find("\nNXT_PACKET_IN2").map(|end| format!("{first}\nsend: {}", &second[..end]))
        });
        until(|| {}, || (sent() != before).then_some(()));
        output
    });
    let [theirs, ours] = outputs;
    assert!(theirs.contains("send: NXT_RESUME"), "{theirs}");
    assert_eq!(ours, theirs);
}

/// A controller that asks two things again and again until the switch has gone.
fn control(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let config = Config { idle_interval: Duration::from_secs(3600), ..Config::default() };
    let mut channel = Channel::new(Instant::now(), config);
    let mut buffer = [0; 4096];
    loop {
        while channel.poll_event().is_some() {}
        if let Some(bytes) = channel.poll_transmit() {
            stream.write_all(&bytes).unwrap();
        }
        match stream.read(&mut buffer) {
            Ok(len) if len > 0 => channel.handle_bytes(Instant::now(), &buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                channel.send(&Message::FeaturesRequest).unwrap();
                channel.send(&Message::BarrierRequest).unwrap();
            }
            _ => return,
        }
    }
}

#[test]
fn repeats_what_a_controller_and_the_switch_say() {
    let Some(switch) = Switch::start() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || control(&listener));
    switch.vsctl(&format!(
        "set-controller br0 tcp:127.0.0.1:{port} -- set controller br0 inactivity_probe=0 \
         -- set bridge br0 protocols=OpenFlow13"
    ));
    let theirs = Listener::start(&switch, Tool::Theirs, &["snoop", "br0"], "theirs");
    let ours = Listener::start(&switch, Tool::Ours, &["snoop", "br0"], "ours");
    // The first questions that both have heard, with all that follows up to the next.
    let heard = || {
        let (theirs, ours) = (theirs.text(), ours.text());
        (1..4000).find_map(|xid| {
            let [first, last] = [xid, xid + 2].map(|xid| format!("FEATURES_REQUEST (OF1.3) (xid={xid:#x}):"));
            Some([between(&ours, &first, &last)?, between(&theirs, &first, &last)?])
        })
    };
    let [ours, theirs] = until(|| {}, heard);
    assert!(theirs.contains("OFPT_FEATURES_REPLY") && theirs.contains("OFPT_BARRIER_REPLY"));
    assert_eq!(ours, theirs);
}
