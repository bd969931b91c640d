//! `ofctl` against switches that misbehave: it ends, says what is wrong, and fails.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use flowlib::channel::Deframer;
use flowlib::openflow::{BundleControlType, ErrorCode, ErrorMsg, Hello, Message, VERSION};
use flowlib::types::Xid;
use tempfile::TempDir;

/// The switch's end of a connection.
struct Peer {
    stream: UnixStream,
    deframer: Deframer,
}

impl Peer {
    fn send(&mut self, xid: Xid, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(xid, &mut bytes).unwrap();
        self.raw(&bytes);
    }

    /// Sends bytes; whether the client still takes them.
    fn raw(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next message; nothing if the client is gone.
    fn receive(&mut self) -> Option<(Xid, Message)> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(bytes) = self.deframer.next_message().unwrap() {
                return Some(Message::decode(bytes).unwrap());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.deframer.push(&buffer[..len]),
            }
        }
    }

    /// Says hello and hears it; the xid of the request that follows.
    fn until_request(&mut self) -> Xid {
        self.send(Xid(1), &Message::Hello(Hello::new(&[VERSION])));
        assert!(matches!(self.receive(), Some((_, Message::Hello(_)))));
        self.receive().unwrap().0
    }
}

/// Runs ofctl with these words (SWITCH stands for the switch) while `switch` speaks to it.
fn run(words: &str, switch: impl Fn(Peer) + Send + 'static) -> Output {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("switch");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        switch(Peer { stream, deframer: Deframer::default() });
    });
    let target = format!("unix:{}", path.display());
    let words = words.split(' ').map(|word| if word == "SWITCH" { &target } else { word });
    let out = Command::new(env!("CARGO_BIN_EXE_ofctl")).args(words).output().unwrap();
    // A client that never came must not leave the switch waiting for it.
    UnixStream::connect(&path).ok();
    server.join().unwrap();
    out
}

/// What it says, which must be one line; it must fail.
fn complaint(out: &Output, code: i32) -> String {
    let text = String::from_utf8(out.stderr.clone()).unwrap();
    assert_eq!(out.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_switch_that_closes_at_once() {
    let out = run("dump-flows SWITCH", drop);
    // Whether our hello finds the connection closed already is a race.
    assert!(complaint(&out, 1).contains("talking to"));
}

#[test]
fn a_switch_that_closes_within_a_message() {
    let out = run("dump-flows SWITCH", |mut peer| {
        let xid = peer.until_request();
        let mut part = vec![4, 19, 0, 200];
        part.extend(xid.0.to_be_bytes());
        part.extend([0, 1, 0, 0, 0, 0, 0, 0, 0, 100]);
        peer.raw(&part);
    });
    assert!(complaint(&out, 1).contains("closed the connection"));
}

#[test]
fn a_switch_of_another_version() {
    let out = run("dump-flows SWITCH", |mut peer| {
        peer.raw(&[1, 0, 0, 8, 0, 0, 0, 1]);
        peer.receive();
    });
    assert!(complaint(&out, 1).contains("does not speak OpenFlow 1.3"));
}

#[test]
fn a_switch_that_does_not_begin_with_a_hello() {
    let out = run("dump-flows SWITCH", |mut peer| {
        peer.raw(&[4, 2, 0, 8, 0, 0, 0, 1]);
        peer.receive();
    });
    assert!(complaint(&out, 1).contains("not with a hello"));
}

#[test]
fn a_peer_that_is_no_switch() {
    let out = run("dump-flows SWITCH", |mut peer| {
        peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    complaint(&out, 1);
}

#[test]
fn a_length_below_that_of_a_header() {
    let out = run("dump-flows SWITCH", |mut peer| {
        peer.until_request();
        peer.raw(&[4, 19, 0, 7, 0, 0, 0, 2]);
        peer.receive();
    });
    assert!(complaint(&out, 1).contains("a message of 7 bytes"));
}

#[test]
fn answers_to_what_was_not_asked_are_passed_over() {
    let out = run("get-frags SWITCH --timeout=1", |mut peer| {
        let xid = peer.until_request();
        let answer = [4, 8, 0, 12, 0, 0, 0, 99, 0, 1, 0, 0];
        peer.raw(&answer);
        peer.send(xid, &Message::EchoReply(Vec::new()));
        peer.receive();
    });
    // The second is under the right xid, and no answer.
    assert!(complaint(&out, 1).contains("bad reply"));
    let out = run("get-frags SWITCH --timeout=1", |mut peer| {
        peer.until_request();
        peer.raw(&[4, 8, 0, 12, 0, 0, 0, 99, 0, 1, 0, 0]);
        peer.receive();
    });
    assert!(complaint(&out, 142).contains("--timeout"));
}

#[test]
fn an_answer_of_another_type() {
    let out = run("dump-flows SWITCH", |mut peer| {
        let xid = peer.until_request();
        let mut part = vec![4, 19, 0, 16];
        part.extend(xid.0.to_be_bytes());
        part.extend([0, 13, 0, 0, 0, 0, 0, 0]);
        peer.raw(&part);
        peer.receive();
    });
    assert!(complaint(&out, 1).contains("received bad reply: OFPST_PORT_DESC reply"));
}

#[test]
fn an_answer_without_end() {
    let out = run("dump-flows SWITCH", |mut peer| {
        let xid = peer.until_request();
        let mut part = vec![4, 19, 0, 16];
        part.extend(xid.0.to_be_bytes());
        part.extend([0, 1, 0, 1, 0, 0, 0, 0]);
        let parts = part.repeat(4096);
        while peer.raw(&parts) {}
    });
    assert!(complaint(&out, 1).contains("without end"));
}

/// Answers the request for flows with these bytes as the entries of one part.
fn entries(entries: &'static [u8]) -> impl Fn(Peer) + Send + 'static {
    move |mut peer| {
        let xid = peer.until_request();
        let mut part = vec![4, 19, 0, 16 + entries.len() as u8];
        part.extend(xid.0.to_be_bytes());
        part.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        part.extend(entries);
        peer.raw(&part);
        assert_eq!(peer.receive(), None, "nothing is sent for a table that cannot be read");
    }
}

#[test]
fn an_answer_whose_entries_cannot_be_read() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("flows");
    std::fs::write(&file, "actions=drop\n").unwrap();
    let file = file.display();
    let commands = [
        "dump-flows SWITCH --no-stats".to_owned(),
        "dump-flows SWITCH --sort".to_owned(),
        format!("diff-flows SWITCH {file}"),
        format!("replace-flows SWITCH {file}"),
    ];
    for command in commands {
        for broken in [&[0, 0, 0, 0, 0, 0, 0, 0][..], &[0, 100, 0, 0], &[0], &[0, 4, 1, 1]] {
            let out = run(&command, entries(broken));
            assert!(out.stdout.is_empty(), "{command}");
            complaint(&out, 1);
        }
    }
}

#[test]
fn a_question_that_is_refused() {
    let commands = [
        "mod-port SWITCH p1 up",
        "mod-table SWITCH 0 name:x",
        "add-flow SWITCH in_port=p1,actions=drop",
        "trace SWITCH in_port=1",
        "dump-flows SWITCH --no-stats",
        "dump-table-features SWITCH --output=json",
    ];
    for command in commands {
        let out = run(command, move |mut peer| {
            let xid = peer.until_request();
            peer.send(xid, &Message::Error(ErrorMsg { code: ErrorCode::OFPBRC_EPERM, data: Vec::new() }));
            assert_eq!(peer.receive(), None, "{command}");
        });
        assert!(out.stdout.is_empty(), "{command}");
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.code() == Some(1) && text.contains("OFPBRC_EPERM"), "{command}: {text}");
    }
}

#[test]
fn a_late_answer_is_an_answer_and_echoes_are_answered_meanwhile() {
    let out = run("get-frags SWITCH", |mut peer| {
        let xid = peer.until_request();
        peer.send(Xid(7), &Message::EchoRequest(vec![1, 2, 3]));
        let (echo, reply) = peer.receive().unwrap();
        assert_eq!((echo, reply), (Xid(7), Message::EchoReply(vec![1, 2, 3])));
        let mut answer = vec![4, 8, 0, 12];
        answer.extend(xid.0.to_be_bytes());
        answer.extend([0, 1, 0, 0]);
        // Byte by byte.
        answer.iter().for_each(|byte| assert!(peer.raw(&[*byte])));
        peer.receive();
    });
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "drop\n");
}

#[test]
fn a_switch_that_does_not_read() {
    let flows: String = (0..20_000).map(|n| format!("table=1,reg0={n},actions=drop\n")).collect();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("flows");
    std::fs::write(&file, flows).unwrap();
    let out = run(&format!("add-flows SWITCH {} --timeout=10", file.display()), |mut peer| {
        peer.until_request();
        // Holds the connection until the client has given up: then nothing more can be sent.
        while peer.raw(&[4, 3, 0, 8, 0, 0, 0, 9]) {
            thread::park_timeout(Duration::from_millis(20));
        }
    });
    assert!(complaint(&out, 142).contains("--timeout"));
}

/// What control messages of a bundle come, while `answer` answers.
fn bundle_of(answer: impl Fn(&mut Peer, Xid, &Message) + Send + 'static) -> (Output, Vec<BundleControlType>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let out = run("--bundle add-flow SWITCH actions=drop", move |mut peer| {
        peer.send(Xid(1), &Message::Hello(Hello::new(&[VERSION])));
        while let Some((xid, message)) = peer.receive() {
            if let Message::BundleControl(control) = &message {
                sender.send(control.control_type).unwrap();
            }
            answer(&mut peer, xid, &message);
        }
    });
    (out, receiver.iter().collect())
}

/// Answers as a switch does that has done it.
fn done(peer: &mut Peer, xid: Xid, message: &Message) {
    if let Message::BundleControl(control) = message {
        let mut reply = control.clone();
        reply.control_type = BundleControlType(control.control_type.0 + 1);
        peer.send(xid, &Message::BundleControl(reply));
    }
}

#[test]
fn a_bundle_is_not_committed_if_a_part_is_refused() {
    let (out, controls) = bundle_of(|peer, xid, message| {
        if matches!(message, Message::BundleAdd(_)) {
            let error = ErrorMsg { code: ErrorCode::OFPBRC_EPERM, data: Vec::new() };
            peer.send(xid, &Message::Error(error));
        }
        done(peer, xid, message);
    });
    let expected = [
        BundleControlType::OPEN_REQUEST,
        BundleControlType::CLOSE_REQUEST,
        BundleControlType::DISCARD_REQUEST,
    ];
    assert_eq!(controls, expected);
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text.contains("Error OFPBRC_EPERM for: OFPT_FLOW_MOD") && text.contains("nothing has changed"),
        "{text}"
    );
}

#[test]
fn a_bundle_is_committed_once_all_is_taken() {
    let (out, controls) = bundle_of(done);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(controls.last(), Some(&BundleControlType::COMMIT_REQUEST));
}

#[test]
fn a_flow_too_long_for_a_bundle_goes_without_one_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("flows");
    std::fs::write(&file, format!("actions=drop\nactions={}\n", "output:1,".repeat(4091))).unwrap();
    let out = run(&format!("--bundle add-flows SWITCH {}", file.display()), |mut peer| {
        peer.send(Xid(1), &Message::Hello(Hello::new(&[VERSION])));
        assert!(matches!(peer.receive(), Some((_, Message::Hello(_)))));
        assert_eq!(peer.receive(), None);
    });
    let text = complaint(&out, 1);
    assert!(text.contains("flows:2: a message of 65520 bytes") && text.contains("in a bundle"), "{text}");

    let out = run(&format!("add-flows SWITCH {}", file.display()), |mut peer| {
        peer.send(Xid(1), &Message::Hello(Hello::new(&[VERSION])));
        let mut bundled = 0;
        while let Some((xid, message)) = peer.receive() {
            bundled += usize::from(matches!(message, Message::BundleAdd(_)));
            match message {
                Message::BarrierRequest => peer.send(xid, &Message::BarrierReply),
                Message::FlowMod(flow_mod) => assert_eq!((bundled, flow_mod.instructions.len()), (1, 1)),
                message => done(&mut peer, xid, &message),
            }
        }
    });
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_switch_that_dies_within_a_bundle() {
    let (out, controls) = bundle_of(|peer, xid, message| match message {
        Message::BundleAdd(_) => peer.stream.shutdown(std::net::Shutdown::Both).unwrap(),
        message => done(peer, xid, message),
    });
    assert!(complaint(&out, 1).contains("talking to"));
    assert!(!controls.contains(&BundleControlType::COMMIT_REQUEST));
}
