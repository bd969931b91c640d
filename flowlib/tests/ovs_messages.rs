//! Every message against the real `ovs-ofctl`. Where it is not installed, the tests say so and pass.

#![allow(clippy::unwrap_used)]

mod generate;

use std::io::Write;
use std::process::{Command, Stdio};

use flowlib::openflow::Message;
use flowlib::openflow::error::error_code;
use flowlib::types::Xid;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn encode(message: &Message, xid: u32) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(Xid(xid), &mut out).unwrap_or_else(|error| panic!("{error}: {message:?}"));
    out
}

/// What `ovs-ofctl ofp-parse` prints of messages that follow each other; nothing if it is not installed.
fn ofp_parse(stream: &[u8]) -> Option<String> {
    let child = Command::new("ovs-ofctl")
        .args(["ofp-parse", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("ovs-ofctl is not installed: not compared with it");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&stream));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// `n` messages, always the same.
fn messages(n: usize) -> Vec<Message> {
    let mut runner = TestRunner::deterministic();
    let strategy = generate::message::message();
    (0..n).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn ovs_can_decode_every_message() {
    let messages = messages(3000);
    for chunk in messages.chunks(100) {
        let stream: Vec<u8> = chunk.iter().flat_map(|message| encode(message, 1)).collect();
        let Some(text) = ofp_parse(&stream) else { return };
        if !text.contains("decode error") {
            continue;
        }
        for message in chunk {
            let text = ofp_parse(&encode(message, 1)).unwrap();
            assert!(!text.contains("decode error"), "{text}\n{message:?}");
        }
    }
}

proptest! {
    #[test]
    fn every_message_comes_back_as_it_was(message in generate::message::message(), xid in any::<u32>()) {
        let bytes = encode(&message, xid);
        match Message::decode(&bytes) {
            Ok(decoded) => {
                prop_assert_eq!(&decoded, &(Xid(xid), message));
                prop_assert_eq!(encode(&decoded.1, xid), bytes);
            }
            Err(error) => prop_assert!(false, "{error} ({}): {message:?} {bytes:02x?}", error_code(&error)),
        }
    }
}
