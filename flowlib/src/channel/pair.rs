//! A controller and a switch in one process, in virtual time.

use std::time::{Duration, Instant};

use super::*;
use crate::openflow::multipart::TableStats;
use crate::openflow::nicira::{TlvMap, TlvTable};
use crate::openflow::role::NxRole;
use crate::openflow::{
    BundleControl, BundleControlType, BundleFlags, ErrorCode, FlowMod, FlowUpdate, MultipartReply,
    MultipartReplyBody, MultipartRequestBody,
};
use crate::types::TableId;

/// Two ends of a connection, and the time they live in.
struct Pair {
    now: Instant,
    controller: Channel,
    switch: Channel,
}

impl Pair {
    /// Both ends, after their HELLOs.
    fn open(controller: Config, switch: Config) -> Self {
        let now = Instant::now();
        let mut pair =
            Self { now, controller: Channel::new(now, controller), switch: Channel::new(now, switch) };
        pair.carry();
        assert_eq!(pair.controller.poll_event(), Some(Event::Open));
        assert_eq!(pair.switch.poll_event(), Some(Event::Open));
        pair
    }

    /// Carries bytes both ways, in pieces of odd sizes, until there are none.
    fn carry(&mut self) {
        loop {
            let (down, up) = (self.controller.poll_transmit(), self.switch.poll_transmit());
            if down.is_none() && up.is_none() {
                return;
            }
            for piece in down.unwrap_or_default().chunks(1009) {
                self.switch.handle_bytes(self.now, piece);
            }
            for piece in up.unwrap_or_default().chunks(4093) {
                self.controller.handle_bytes(self.now, piece);
            }
        }
    }

    /// Lets time pass, with all that is due in it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = [self.controller.poll_timeout(), self.switch.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
            .filter(|due| *due <= end)
        {
            self.now = due;
            self.controller.handle_timeout(self.now);
            self.switch.handle_timeout(self.now);
            self.carry();
        }
        self.now = end;
    }

    /// The controller asks; what comes to the switch.
    fn ask(&mut self, message: &Message) -> Xid {
        let xid = self.controller.send(message).unwrap();
        self.carry();
        assert_eq!(self.switch.poll_event(), Some(Event::Message { xid, message: message.clone() }));
        xid
    }

    /// The switch answers; what comes to the controller.
    fn answer(&mut self, xid: Xid, message: &Message) -> Option<Event> {
        self.switch.send_with_xid(xid, message).unwrap();
        self.carry();
        self.controller.poll_event()
    }
}

fn request(body: MultipartRequestBody) -> Message {
    Message::MultipartRequest(body.into())
}

fn reply(body: MultipartReplyBody) -> Message {
    Message::MultipartReply(body.into())
}

fn tables(n: u32) -> Message {
    let table =
        |n| TableStats { table: TableId(3), active_count: n, lookup_count: 1 << 40, matched_count: 7 };
    reply(MultipartReplyBody::Table((0..n).map(table).collect()))
}

#[test]
fn a_long_answer_of_a_switch_comes_whole() {
    let mut pair = Pair::open(Config::default(), Config::default());
    let xid = pair.ask(&request(MultipartRequestBody::Table));
    let answer = tables(20_000);
    assert_eq!(pair.answer(xid, &answer), Some(Event::Reply { xid, message: answer }));
    assert_eq!(pair.controller.n_waiting(), 0);
}

#[test]
fn several_requests_are_answered_in_any_order() {
    let mut pair = Pair::open(Config::default(), Config::default());
    let tlv = Message::NxTlvTableReply(TlvTable {
        max_option_space: 256,
        max_fields: 64,
        maps: vec![TlvMap { option_class: 0xffff, option_type: 1, option_len: 4, index: 0 }],
    });
    let control = |what| Message::BundleControl(BundleControl::new(7, what, BundleFlags::ATOMIC));
    let exchanges = [
        (Message::NxTlvTableRequest, tlv),
        (Message::NxRoleRequest(NxRole::PRIMARY), Message::NxRoleReply(NxRole::PRIMARY)),
        (control(BundleControlType::OPEN_REQUEST), control(BundleControlType::OPEN_REPLY)),
        (Message::BarrierRequest, Message::BarrierReply),
        (request(MultipartRequestBody::Table), tables(3)),
    ];
    let xids: Vec<_> = exchanges.iter().map(|(request, _)| pair.ask(request)).collect();
    assert_eq!(pair.controller.n_waiting(), exchanges.len());
    for (xid, (_, answer)) in xids.into_iter().zip(&exchanges).rev() {
        assert_eq!(pair.answer(xid, answer), Some(Event::Reply { xid, message: answer.clone() }));
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_stray() {
    let mut pair = Pair::open(Config::default(), Config::default());
    let xid = pair.ask(&Message::BarrierRequest);
    let wrong = Xid(xid.0 + 9);
    for (xid, message) in [(wrong, Message::BarrierReply), (xid, tables(1))] {
        assert_eq!(pair.answer(xid, &message), Some(Event::Stray { xid, message }));
    }
    let ports = reply(MultipartReplyBody::PortDesc(vec![]));
    let asked = pair.ask(&request(MultipartRequestBody::Table));
    assert_eq!(pair.answer(asked, &ports), Some(Event::Stray { xid: asked, message: ports }));
    assert_eq!(pair.controller.n_waiting(), 2);
    pair.controller.forget(xid);
    let late = Event::Stray { xid, message: Message::BarrierReply };
    assert_eq!(pair.answer(xid, &Message::BarrierReply), Some(late));
}

#[test]
fn nothing_follows_an_error() {
    let mut pair = Pair::open(Config::default(), Config::default());
    let xid = pair.ask(&request(MultipartRequestBody::Table));
    let error = ErrorMsg { code: ErrorCode::OFPBRC_EPERM, data: vec![] };
    let failed = Event::Error { xid, error: error.clone() };
    assert_eq!(pair.answer(xid, &Message::Error(error)), Some(failed));
    assert!(matches!(pair.answer(xid, &tables(1)), Some(Event::Stray { .. })));
}

#[test]
fn parts_without_an_end_close_the_channel() {
    let config = Config { max_multipart_len: 10_000, ..Config::default() };
    let mut pair = Pair::open(config, Config::default());
    let xid = pair.ask(&request(MultipartRequestBody::Table));
    let part = MultipartReply { flags: 1, body: MultipartReplyBody::Table(vec![]) };
    for _ in 0..10_000 / 16 {
        assert_eq!(pair.answer(xid, &Message::MultipartReply(part.clone())), None);
    }
    let reason = CloseReason::MultipartTooLong { limit: 10_000 };
    assert_eq!(pair.answer(xid, &Message::MultipartReply(part)), Some(Event::Closed(reason)));
}

#[test]
fn reports_of_a_monitor_are_messages_of_their_own() {
    let mut pair = Pair::open(Config::default(), Config::default());
    let report = reply(MultipartReplyBody::FlowMonitor(vec![FlowUpdate::Abbreviated(Xid(3))]));
    let event = Event::Message { xid: Xid(0), message: report.clone() };
    assert_eq!(pair.answer(Xid(0), &report), Some(event));
}

#[test]
fn two_silent_ends_stay_together() {
    let mut pair = Pair::open(Config::default(), Config::default());
    pair.pass(Duration::from_secs(3600));
    assert!(!pair.controller.is_closed() && !pair.switch.is_closed());
    assert_eq!((pair.controller.poll_event(), pair.switch.poll_event()), (None, None));
}

#[test]
fn a_listener_hears_everything_and_says_nothing() {
    let listener = Config { is_listener: true, shows_bad_messages: true, ..Config::default() };
    let mut pair = Pair::open(listener, Config::default());
    let heard = [
        Message::EchoRequest(vec![1]),
        Message::EchoReply(vec![1]),
        Message::BarrierReply,
        Message::FlowMod(FlowMod::default()),
        tables(2),
    ];
    for message in heard {
        let xid = Xid(77);
        assert_eq!(pair.answer(xid, &message), Some(Event::Message { xid, message }));
    }
    let now = pair.now;
    pair.controller.handle_bytes(now, &[4, 20, 0, 9, 0, 0, 0, 1, 5]);
    let bad = pair.controller.poll_event();
    assert!(matches!(&bad, Some(Event::Bad { bytes, .. }) if bytes.len() == 9), "{bad:?}");
    pair.controller.send(&Message::BarrierRequest).unwrap();
    assert_eq!(pair.controller.poll_transmit(), None);
    assert_eq!(pair.controller.poll_timeout(), None);
}
