//! What must hold for any input: one function a fuzz target, also run over the seeds by an ordinary test.
//!
//! Each panics if its promise is broken. An input that is refused only has to be refused with a place in it.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::time::{Duration, Instant};

use flowlib::channel::{Channel, Config, Event};
use flowlib::emulate::{Input, Port, Switch};
use flowlib::openflow::action::Within;
use flowlib::openflow::error::error_code;
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::oxm::{FieldValue, Packets, field};
use flowlib::openflow::{Action, FlowMod, FlowStatsRequest, Match, Message, MultipartRequestBody, PacketOut};
use flowlib::packet::{Key, Packet, compose, ethertype, protocol};
use flowlib::text::{
    Style, format_action, format_flow, format_key, parse_actions, parse_flow, parse_flow_filter,
    parse_group_mod, parse_packet,
};
use flowlib::types::{MacAddr, PortNo, Xid};
use flowlib::wire::{DecodeError, Part, Reader, Wire, Writer};
use peak_alloc::PeakAlloc;

/// Tells how much memory is in use: what it says of one input is right only while nothing else runs.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

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

/// Actions in a row: as a message. All that is printed of them reads back and prints the same, but for what a switch
/// refuses, unknown actions among that, and what may stand in no list. Words of old versions read as the newer ones.
pub fn actions(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((action, len)) = round_trip::<Action>(rest) {
        let text = format_action(&action);
        let same = match parse_actions(&text, None) {
            Ok(parsed) => {
                let again: Vec<String> = parsed.iter().map(format_action).collect();
                let again = again.join(",");
                let is_same = again == text || parsed.is_empty() || has_old_words(&action);
                if is_same { Ok(()) } else { Err(again) }
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(what) = same {
            let may_stand = Action::check_list(std::slice::from_ref(&action), Packets::any(), Within::List);
            let out = PacketOut {
                buffer_id: None,
                in_port: PortNo::CONTROLLER,
                actions: vec![action],
                data: Vec::new(),
            };
            let is_taken = may_stand.is_ok() && Message::PacketOut(out).check_known().is_ok();
            assert!(!is_taken, "{text}: {what}");
        }
        rest = &rest[len..];
    }
}

fn has_old_words(action: &Action) -> bool {
    matches!(action, Action::Legacy(_)) || action.nested().iter().any(has_old_words)
}

/// A flow as text: what is read prints to text that reads as the same flow, and has an encoding or says why not.
pub fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_flow(text) {
        Err(error) => assert!(error.column <= text.chars().count() + 1, "{error}"),
        Ok(mut flow) => {
            // That packets are Ethernet's goes without saying.
            if flow.flow_match.exact(field::PACKET_TYPE) == Some(FieldValue::ZERO) {
                flow.flow_match.set(field::PACKET_TYPE, FieldValue::ZERO, Some(FieldValue::ZERO));
            }
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
    check_held(stream, usize::from(*cut).max(1));
}

/// Fails if a channel, whose events are taken but whose bytes are not, holds more than its limits allow.
fn check_held(stream: &[u8], piece: usize) {
    let limits = Config { max_multipart_len: 512, max_backlog_len: 256, ..Config::default() };
    // A message that is not whole, and what came with it; decoded parts of an answer; an echo beyond the backlog; and
    // room for the events of a piece.
    let kept = 2 * (stream.len() + piece) + MEMORY_FOR_A_BYTE * limits.max_multipart_len;
    let waiting = 2 * (limits.max_backlog_len + stream.len());
    let allowed = kept + waiting + size_of::<Event>() * 2 * (piece / 8 + 4) + 4096;
    let now = Instant::now();
    let before = ALLOCATOR.current_usage();
    let mut channel = new_channel(now, limits);
    for bytes in stream.chunks(piece) {
        channel.handle_bytes(now, bytes);
        while channel.poll_event().is_some() {}
        let held = ALLOCATOR.current_usage().saturating_sub(before);
        assert!(held <= allowed, "{held} bytes are held, and not {allowed}");
    }
}

/// What decoding costs at most. Source: `Message::decode`.
const MEMORY_FOR_A_BYTE: usize = 32;

/// A channel with requests that wait, so that answers can be answers.
fn new_channel(now: Instant, config: Config) -> Channel {
    let mut channel = Channel::new(now, config);
    let flows = MultipartRequestBody::Flow(FlowStatsRequest::default());
    for request in [
        Message::FeaturesRequest,
        Message::BarrierRequest,
        Message::GetConfigRequest,
        Message::MultipartRequest(flows.into()),
    ] {
        channel.send(&request).unwrap();
    }
    channel
}

/// All that comes of a stream that arrives in pieces, and what is sent back.
fn received(stream: &[u8], piece: usize) -> (Vec<Event>, Vec<u8>) {
    let now = Instant::now();
    let config = Config { max_multipart_len: 1 << 20, max_backlog_len: 1 << 20, ..Config::default() };
    let mut channel = new_channel(now, config);
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

/// The headers of a frame, but for the type of an option of neighbour discovery, which stands in the TCP flags: an
/// option whose address is zeros is not composed.
fn key_in(frame: &[u8]) -> Key {
    let mut key = Packet::parse(frame).key;
    if key.nw_proto == protocol::ICMPV6 {
        key.tcp_flags = 0;
    }
    key
}

/// A frame: its headers compose to a frame that is read as the same ones, and print to text that says the same.
pub fn packet(bytes: &[u8]) {
    let types = [ethertype::IPV4, ethertype::IPV6, ethertype::NSH, ethertype::MPLS];
    for packet_type in types.map(|eth_type| 1 << 16 | u32::from(eth_type)) {
        let key = Packet::parse_bare(bytes, packet_type).key;
        assert_eq!(Packet::parse_bare(&compose(&key), packet_type).key, key);
    }
    let key = key_in(bytes);
    if bytes.len() < ETHERNET_HEADER_LEN {
        assert_eq!(key, Key::default());
        return;
    }
    assert_eq!(key_in(&compose(&key)), key);
    let text = format_key(&key);
    // Matches have no words for the type of IGMP, nor for the places of a second tag and label, which are shown if
    // there is a first, and of labels no bottom.
    let is_igmp = ethertype::is_ip(key.eth_type) && key.nw_proto == protocol::IGMP;
    let has_more_labels = ethertype::is_mpls(key.eth_type) && key.mpls[0] & Key::MPLS_BOTTOM == 0;
    // Nor for ICMP under the other version of IP, and for options of neighbour discovery that its message does not have.
    let is_other_icmp = matches!(
        (key.eth_type, key.nw_proto),
        (ethertype::IPV6, protocol::ICMP) | (ethertype::IPV4, protocol::ICMPV6)
    );
    let no_address = MacAddr::default();
    let has_other_option = match key.tp_src {
        135 => key.arp_tha != no_address,
        136 => key.arp_sha != no_address,
        _ => false,
    };
    let is_odd = is_other_icmp || key.nw_proto == protocol::ICMPV6 && has_other_option;
    if is_igmp || key.n_vlans() > 0 || has_more_labels || is_odd {
        return;
    }
    let again = key_of(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(format_key(&again), text);
}

const ETHERNET_HEADER_LEN: usize = 14;

/// The packet that has the fields of a text.
fn key_of(text: &str) -> Result<Key, flowlib::text::ParseError> {
    let filter = parse_flow_filter(text, None)?;
    let mut key = Key::default();
    filter.flow_match.iter().for_each(|entry| key.set(entry.field, entry.value));
    filter.flow_match.wide().iter().for_each(|entry| key.set_option(entry.field, entry.value.clone()));
    Ok(key)
}

/// A switch and packets: whatever the flows and groups, each packet's way ends, costs no more than it may, and is the
/// same each time.
///
/// Shape: a byte whose bits say what the packets may do; then messages that change flows and groups or send packets
/// out, or lines of text: flows, groups, packets in hexadecimal, and fields of packets (`> in_port=1,tcp`).
pub fn emulate(bytes: &[u8]) {
    let Some((options, rest)) = bytes.split_first() else { return };
    let mut switch = Switch::new("br0");
    (1..=4).for_each(|n| switch.add_port(Port::new(PortNo(n), format!("p{n}"))));
    let packets = match std::str::from_utf8(rest) {
        Ok(text) => text.lines().filter_map(|line| line_of(&mut switch, line)).collect(),
        Err(_) => messages_of(&mut switch, rest),
    };
    for (key, frame) in packets {
        let ct_states = (options & 2 != 0).then(|| vec![u32::from(*options >> 4), 0x22]);
        let has_side_effects = options & 1 != 0;
        let input =
            Input { key, frame, has_side_effects, ct_states, is_trace: options & 4 != 0, names: None };
        let mut same = switch.clone();
        let outcome = switch.run(&input);
        let text = outcome.format(Style::default());
        assert_eq!(same.run(&input).format(Style::default()), text);
        assert!(outcome.passes.len() <= 64);
        assert!(text.len() < 64 << 20, "{} bytes of trace", text.len());
        for pass in outcome.passes.iter().filter(|pass| pass.failure.is_some()) {
            assert!(pass.outputs.is_empty() && pass.actions.is_empty());
        }
    }
}

/// Does what a line says; gives the packet, if it is one.
fn line_of(switch: &mut Switch, line: &str) -> Option<(Key, Option<Vec<u8>>)> {
    if let Some(fields) = line.strip_prefix("> ") {
        return Some((key_of(fields).ok()?, None));
    }
    if line.starts_with("group_id") {
        switch.add_group(parse_group_mod(line, Some(GroupCommand::ADD), None).ok()?.group);
    } else if let Ok(frame) = parse_packet(line) {
        return Some((Key { in_port: PortNo(1), ..Packet::parse(&frame).key }, Some(frame)));
    } else if let Ok(flow) = parse_flow(line) {
        switch.add_flow(flow);
    }
    None
}

/// Does what messages say; gives the packets.
fn messages_of(switch: &mut Switch, mut bytes: &[u8]) -> Vec<(Key, Option<Vec<u8>>)> {
    let mut packets = Vec::new();
    while let Some([_, _, a, b]) = bytes.first_chunk() {
        let len = usize::from(u16::from_be_bytes([*a, *b])).max(8);
        let Some((message, rest)) = bytes.split_at_checked(len) else { break };
        bytes = rest;
        match Message::decode(message) {
            Ok((_, Message::FlowMod(flow_mod))) => switch.add_flow(flow_mod.into_flow()),
            Ok((_, Message::GroupMod(group_mod))) => switch.add_group(group_mod.group),
            Ok((_, Message::PacketOut(out))) => {
                let key = Packet::parse(&out.data).key;
                packets.push((Key { in_port: PortNo(1), ..key }, Some(out.data)));
            }
            _ => {}
        }
    }
    packets
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
