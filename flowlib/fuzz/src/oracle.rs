//! What must hold for any input: one function a fuzz target, also run over the seeds by an ordinary test.
//!
//! Each panics if its promise is broken. An input that is refused only has to be refused with a place in it.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::time::{Duration, Instant};

use flowlib::channel::{Channel, Config, Event};
use flowlib::openflow::error::error_code;
use flowlib::openflow::{Action, FlowMod, Match, Message};
use flowlib::text::{format_action, format_flow, parse_actions, parse_flow};
use flowlib::types::Xid;
use flowlib::wire::{DecodeError, Part, Reader, Wire, Writer};

/// A message: what decodes encodes to bytes that decode to the same value, and those bytes encode to themselves.
pub fn message(bytes: &[u8]) {
    match Message::decode(bytes) {
        Err(error) => check_error(&error, bytes.len()),
        Ok((xid, message)) => {
            let again = encoded(&message, xid);
            let (same_xid, same) = Message::decode(&again).expect("what we wrote decodes");
            assert_eq!((same_xid, &same), (xid, &message));
            assert_eq!(encoded(&same, xid), again);
        }
    }
}

/// A match with its header: as a message.
pub fn flow_match(bytes: &[u8]) {
    round_trip::<Match>(bytes);
}

/// Actions in a row: as a message. Those that text can say read back from it.
pub fn actions(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((action, len)) = round_trip::<Action>(rest) {
        let text = format_action(&action);
        if let Ok(parsed) = parse_actions(&text, None) {
            let again: Vec<String> = parsed.iter().map(format_action).collect();
            assert_eq!(again.join(","), if parsed.is_empty() { String::new() } else { text });
        }
        rest = &rest[len..];
    }
}

/// A flow as text: what is read prints to text that reads as the same flow, and has an encoding or says why not.
pub fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_flow(text) {
        Err(error) => assert!(error.column <= text.chars().count() + 1, "{error}"),
        Ok(flow) => {
            let printed = format_flow(&flow);
            let again = parse_flow(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
            assert_eq!(again, flow, "{printed}");
            let _ = Message::FlowMod(FlowMod::add(&flow)).encode(Xid(1), &mut Vec::new());
        }
    }
}

/// A stream: however it is cut into pieces, the same comes of it, and what is kept is bounded.
///
/// Shape: the first byte says how long the pieces are; the rest is what the peer sends.
pub fn channel(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else { return };
    let whole = received(stream, stream.len().max(1));
    let pieces = received(stream, usize::from(*cut).max(1));
    assert_eq!(whole, pieces);
}

/// All that comes of a stream that arrives in pieces, and what is sent back.
fn received(stream: &[u8], piece: usize) -> (Vec<Event>, Vec<u8>) {
    let now = Instant::now();
    let config = Config { max_multipart_len: 1 << 20, max_backlog_len: 1 << 20, ..Config::default() };
    let mut channel = Channel::new(now, config);
    // Requests that wait, so that answers can be answers.
    for request in [Message::FeaturesRequest, Message::BarrierRequest, Message::GetConfigRequest] {
        channel.send(&request).unwrap();
    }
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for bytes in stream.chunks(piece) {
        channel.handle_bytes(now, bytes);
        events.extend(std::iter::from_fn(|| channel.poll_event()));
        sent.extend(std::iter::from_fn(|| channel.poll_transmit()).flatten());
    }
    channel.handle_timeout(now + Duration::from_secs(3600));
    events.extend(std::iter::from_fn(|| channel.poll_event()));
    (events, sent)
}

fn encoded(message: &Message, xid: Xid) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(xid, &mut out).expect("what was decoded has an encoding");
    out
}

fn check_error(error: &DecodeError, len: usize) {
    assert!(error.offset <= len, "{error} is outside of {len} bytes");
    assert!(error_code(error).name().is_some(), "{error} has no OpenFlow error");
}

/// Decodes one value from the front of `bytes`; gives it with the number of bytes that it took.
fn round_trip<T: Wire + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<(T, usize)> {
    let mut r = Reader::new(bytes, Part::Message);
    match T::decode(&mut r) {
        Err(error) => {
            check_error(&error, bytes.len());
            None
        }
        Ok(value) => {
            let again = written(&value);
            let same = T::decode(&mut Reader::new(&again, Part::Message)).expect("what we wrote decodes");
            assert_eq!(same, value);
            assert_eq!(written(&same), again);
            Some((value, bytes.len() - r.len()))
        }
    }
}

fn written<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out);
    value.encode(&mut w);
    w.finish().expect("what was decoded has an encoding");
    out
}
