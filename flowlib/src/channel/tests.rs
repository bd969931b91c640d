use super::*;
use crate::openflow::action::PacketInReason;
use crate::openflow::multipart::MultipartReplyBody;
use crate::openflow::oxm::field;
use crate::openflow::{
    BundleAdd, BundleFlags, ErrorCode, FlowMod, Hello, Match, MultipartReply, MultipartRequestBody, PacketIn,
};
use crate::types::{Cookie, PortNo, TableId};

fn bytes(xid: u32, message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(Xid(xid), &mut out).unwrap();
    out
}

fn sent(channel: &mut Channel) -> Vec<(Xid, Message)> {
    let mut deframer = Deframer::default();
    deframer.push(&channel.poll_transmit().unwrap_or_default());
    let mut found = Vec::new();
    while let Some(message) = deframer.next_message().unwrap() {
        found.push(Message::decode(message).unwrap());
    }
    found
}

fn open(now: Instant) -> Channel {
    let mut channel = Channel::new(now, Config::default());
    assert!(matches!(sent(&mut channel)[..], [(_, Message::Hello(_))]));
    channel.handle_bytes(now, &bytes(9, &Message::Hello(Hello::new(&[1, 4]))));
    assert_eq!(channel.poll_event(), Some(Event::Open));
    channel
}

#[test]
fn two_ends_agree_and_talk() {
    let now = Instant::now();
    let (mut left, mut right) = (Channel::new(now, Config::default()), Channel::new(now, Config::default()));
    let xid = left.send(&Message::BarrierRequest).unwrap();
    right.handle_bytes(now, &left.poll_transmit().unwrap());
    left.handle_bytes(now, &right.poll_transmit().unwrap());
    right.handle_bytes(now, &left.poll_transmit().unwrap());
    assert_eq!(right.poll_event(), Some(Event::Open));
    assert_eq!(right.poll_event(), Some(Event::Message { xid, message: Message::BarrierRequest }));
    right.send_with_xid(xid, &Message::BarrierReply).unwrap();
    left.handle_bytes(now, &right.poll_transmit().unwrap());
    assert_eq!(left.poll_event(), Some(Event::Open));
    assert_eq!(left.poll_event(), Some(Event::Reply { xid, message: Message::BarrierReply }));
}

#[test]
fn refuses_another_version_and_says_why() {
    let now = Instant::now();
    let mut channel = Channel::new(now, Config::default());
    channel.handle_bytes(now, &bytes(9, &Message::Hello(Hello::new(&[1, 6]))));
    assert_eq!(channel.poll_event(), Some(Event::Closed(CloseReason::Version { version: 6 })));
    let answer = sent(&mut channel);
    let [_, (_, Message::Error(error))] = &answer[..] else { panic!("{answer:?}") };
    assert_eq!(error.code, ErrorCode::OFPHFC_INCOMPATIBLE);
    assert!(error.to_string().contains("1.3"), "{error}");
}

#[test]
fn asks_a_silent_peer_and_then_gives_up() {
    let start = Instant::now();
    let mut channel = open(start);
    let first = channel.poll_timeout().unwrap();
    channel.handle_timeout(first);
    assert!(matches!(sent(&mut channel)[..], [(_, Message::EchoRequest(_))]));
    channel.handle_bytes(first, &bytes(3, &Message::EchoReply(vec![])));
    let second = channel.poll_timeout().unwrap();
    assert_eq!(second, first + Config::default().idle_interval);
    channel.handle_timeout(second);
    let third = channel.poll_timeout().unwrap();
    assert_eq!(third, second + Config::default().idle_interval);
    channel.handle_timeout(third);
    assert_eq!(channel.poll_event(), Some(Event::Closed(CloseReason::Unresponsive)));
    assert_eq!(channel.poll_timeout(), None);
}

#[test]
fn answers_echoes_by_itself() {
    let now = Instant::now();
    let mut channel = open(now);
    channel.handle_bytes(now, &bytes(77, &Message::EchoRequest(vec![1, 2])));
    assert_eq!(sent(&mut channel), [(Xid(77), Message::EchoReply(vec![1, 2]))]);
    assert_eq!(channel.poll_event(), None);
}

#[test]
fn joins_the_parts_of_an_answer() {
    let now = Instant::now();
    let mut channel = open(now);
    let request = Message::MultipartRequest(MultipartRequestBody::PortDesc.into());
    let xid = channel.send(&request).unwrap();
    let part =
        |flags| Message::MultipartReply(MultipartReply { flags, body: MultipartReplyBody::PortDesc(vec![]) });
    channel.handle_bytes(now, &bytes(xid.0, &part(1)));
    assert_eq!(channel.poll_event(), None);
    channel.handle_bytes(now, &bytes(xid.0, &part(0)));
    assert_eq!(channel.poll_event(), Some(Event::Reply { xid, message: part(0) }));
}

#[test]
fn closes_on_an_answer_that_never_ends() {
    let now = Instant::now();
    let config = Config { max_multipart_len: 100, ..Config::default() };
    let mut channel = Channel::new(now, config);
    channel.handle_bytes(now, &bytes(9, &Message::Hello(Hello::new(&[4]))));
    let xid = channel.send(&Message::MultipartRequest(MultipartRequestBody::PortDesc.into())).unwrap();
    let part = MultipartReply { flags: 1, body: MultipartReplyBody::PortDesc(vec![]) };
    for _ in 0..7 {
        channel.handle_bytes(now, &bytes(xid.0, &Message::MultipartReply(part.clone())));
    }
    assert_eq!(channel.poll_event(), Some(Event::Open));
    let reason = CloseReason::MultipartTooLong { limit: 100 };
    assert_eq!(channel.poll_event(), Some(Event::Closed(reason)));
}

#[test]
fn patches_the_xid_of_encoded_messages_inside_and_out() {
    let now = Instant::now();
    let mut channel = open(now);
    let add = BundleAdd::new(1, BundleFlags::ATOMIC, Message::FlowMod(FlowMod::default()));
    let add = Message::BundleAdd(add);
    let xid = channel.send_encoded(&bytes(0, &add));
    assert_eq!(sent(&mut channel), [(xid, add)]);
}

#[test]
fn joins_an_error_to_what_failed() {
    let now = Instant::now();
    let mut channel = open(now);
    let xid = channel.send(&Message::BarrierRequest).unwrap();
    let error = ErrorMsg { code: ErrorCode::OFPBRC_EPERM, data: vec![] };
    channel.handle_bytes(now, &bytes(xid.0, &Message::Error(error.clone())));
    assert_eq!(channel.poll_event(), Some(Event::Error { xid, error }));
}

#[test]
fn closes_on_bytes_that_are_no_openflow() {
    let now = Instant::now();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[4, 0, 0, 3], &[4, 14, 0, 12, 0, 0, 0, 1, 9, 9, 9, 9]] {
        let mut channel = Channel::new(now, Config::default());
        channel.handle_bytes(now, garbage);
        channel.handle_bytes(now, &[0; 70_000]);
        assert!(channel.is_closed(), "{garbage:?}");
        assert!(matches!(channel.poll_event(), Some(Event::Closed(_))));
        assert_eq!(channel.poll_event(), None);
    }
}

#[test]
fn shows_packet_ins_where_they_lie_and_may_answer_them_at_once() {
    let now = Instant::now();
    let mut channel = open(now);
    let packet = PacketIn {
        buffer_id: Some(7),
        total_len: 3,
        reason: PacketInReason::ACTION,
        table: TableId(0),
        cookie: Cookie(0),
        flow_match: Match::new().with(field::IN_PORT, 2_u32),
        data: vec![1, 2, 3],
    };
    let mut stream = bytes(0, &Message::PacketIn(packet.clone()));
    stream.extend(bytes(5, &Message::BarrierRequest));
    stream.extend(bytes(0, &Message::PacketIn(packet)));
    let mut n = 0;
    channel.handle_bytes_showing(now, &stream, |channel, packet| {
        assert_eq!((packet.in_port, packet.data), (Some(PortNo(2)), &[1, 2, 3][..]));
        channel.send(&Message::BarrierRequest).unwrap();
        n += 1;
    });
    assert_eq!(n, 2);
    assert_eq!(channel.poll_event(), Some(Event::Message { xid: Xid(5), message: Message::BarrierRequest }));
    let mut out = vec![9];
    channel.transmit_to(&mut out);
    assert_eq!(out.len(), 1 + 2 * HEADER_LEN);
    assert_eq!(channel.poll_transmit(), None);
    // Where the match should be there is none.
    let mut empty = [0; 32];
    empty[..4].copy_from_slice(&[4, 10, 0, 32]);
    channel.handle_bytes_showing(now, &empty, |_, packet| panic!("this is a packet-in: {packet:?}"));
    assert!(channel.is_closed());
}
