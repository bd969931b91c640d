//! Every message against the real `ovs-ofctl`. Where it is not installed, the tests say so and pass.

#![allow(clippy::unwrap_used)]

mod generate;

use std::io::Write;
use std::process::{Command, Stdio};

use flowlib::openflow::error::error_code;
use flowlib::openflow::{ErrorCode, ErrorMsg, Message};
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

/// What `ovs-ofctl` makes of each of those messages.
fn ofp_parse_each(messages: &[Vec<u8>]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for chunk in messages.chunks(200) {
        let mut stream = Vec::new();
        for bytes in chunk {
            stream.extend_from_slice(bytes);
            stream.extend(encode(&Message::EchoRequest(vec![]), SEPARATOR));
        }
        let text = ofp_parse(&stream)?;
        let mark = format!("OFPT_ECHO_REQUEST (OF1.3) (xid={SEPARATOR:#x}): 0 bytes of payload\n");
        let mut parts: Vec<_> = text.split(&mark).map(str::to_owned).collect();
        parts.truncate(chunk.len());
        texts.extend(parts);
    }
    Some(texts)
}

/// The xid of what is put between messages to tell what is printed of each.
const SEPARATOR: u32 = 0x5eaf00d;

/// The name of the error that `ovs-ofctl` found.
fn decode_error(text: &str) -> Option<&str> {
    text.split_once("***decode error: ").and_then(|(_, rest)| rest.split_once("***")).map(|(name, _)| name)
}

/// Where we answer otherwise than `ovs-ofctl ofp-print` prints, and why.
///
/// The first name is ours, the second theirs; `*` is any.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("*", "OFPBMC_*", "of a match that is wrong in several ways, one is named"),
    ("OFPBMC_*", "*", "of a match that is wrong in several ways, one is named"),
    ("*", "OFPBAC_*", "of actions that are wrong in several ways, one is named"),
    ("OFPBIC_*", "*", "of instructions that are wrong in several ways, one is named"),
    ("*", "OFPBIC_*", "of instructions that are wrong in several ways, one is named"),
    ("NXBRC_MUST_BE_ZERO", "ok", "a switch refuses what is printed"),
    ("NXBRC_UNENCODABLE_ERROR", "OFPTFFC_BAD_FEATURES", "OpenFlow 1.3 has no such code"),
    ("OFPBRC_BAD_VERSION", "OFPBFC_BAD_VERSION", "OpenFlow 1.3 has no such code"),
    ("OFPBRC_BAD_LEN", "ok", "bytes behind a match, or bands of a meter that goes, are not looked at"),
    ("ok", "OFPBRC_BAD_LEN", "an error whose code is not known is kept"),
    ("OFPGMFC_*", "OFPGMFC_*", "of a group that is wrong in several ways, one is named"),
    ("OFPBAC_BAD_OUT_PORT", "ok", "the port of an answer without queues is not looked at"),
    ("OFPBRC_BAD_LEN", "OFPGMFC_BAD_WATCH", "a length further on is found first"),
    ("OFPBRC_BAD_LEN", "OFPMMFC_BAD_BAND", "a length further on is found first"),
    ("OFPBRC_BAD_LEN", "OFPFMFC_BAD_FLAGS", "a length further on is found first"),
    ("OFPBPC_BAD_LEN", "OFPTFFC_BAD_FEATURES", "a length further on is found first"),
    ("OFPBPC_BAD_LEN", "OFPACFC_UNSUPPORTED", "a length further on is found first"),
    ("NXTTMFC_BAD_FIELD_IDX", "ok", "of the fields in an answer only some are looked at"),
];

fn is_explained(ours: &str, theirs: &str) -> bool {
    let fits = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    ours == theirs || DIFFERENCES.iter().any(|(one, other, _)| fits(one, ours) && fits(other, theirs))
}

/// What a switch of ours answers a message with.
fn answer(bytes: &[u8]) -> String {
    let refusal = match Message::decode(bytes) {
        Ok((_, message)) => message.check_known(),
        Err(error) => Err(error_code(&error)),
    };
    refusal.map_or_else(|code| code.to_string(), |()| "ok".to_owned())
}

#[test]
fn spoilt_messages_are_refused_as_ovs_refuses_them() {
    let mut runner = TestRunner::deterministic();
    let strategy = generate::message::spoilt();
    let messages: Vec<_> = (0..5000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let Some(texts) = ofp_parse_each(&messages) else { return };
    assert_eq!(texts.len(), messages.len());
    let mut n_same = 0;
    for (bytes, text) in messages.iter().zip(&texts) {
        let (ours, theirs) = (answer(bytes), decode_error(text).unwrap_or("ok"));
        n_same += usize::from(ours == theirs);
        assert!(is_explained(&ours, theirs), "ours {ours}, theirs {theirs}: {bytes:02x?}");
    }
    assert!(n_same * 100 >= messages.len() * 98, "only {n_same} of {} are refused alike", messages.len());
}

#[test]
fn every_error_has_ovs_s_name() {
    let data = || b"the message".to_vec();
    let errors: Vec<_> = ErrorCode::NAMED
        .iter()
        .map(|code| encode(&Message::Error(ErrorMsg { code: *code, data: data() }), 1))
        .collect();
    let Some(texts) = ofp_parse_each(&errors) else { return };
    for (code, text) in ErrorCode::NAMED.iter().zip(&texts) {
        assert!(text.contains(&format!("(xid=0x1): {code}\n")), "{code}: {text}");
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
