//! A connection of a controller: its channel, and what a switch keeps for it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::bundle::Bundle;
use super::monitor::Monitors;
use crate::channel::{Channel, Config, Deframer};
use crate::openflow::async_config::AsyncMask;
use crate::openflow::role::ControllerRole;
use crate::openflow::{ErrorCode, ErrorMsg, Message, MultipartReplyBody};
use crate::types::Xid;

/// A connection to a controller.
#[derive(Debug)]
pub(super) struct Connection {
    /// Cuts the stream, so that a message's bytes are known when it is answered.
    pub(super) deframer: Deframer,
    pub(super) channel: Channel,
    pub(super) is_open: bool,
    /// What is to be transmitted.
    pub(super) out: Vec<u8>,
    pub(super) role: ControllerRole,
    pub(super) miss_send_len: u16,
    /// Which asynchronous messages it gets, by [`Asynchronous`].
    pub(super) masks: [AsyncMask; 6],
    pub(super) controller_id: u16,
    pub(super) monitors: Monitors,
    pub(super) bundles: BTreeMap<u32, Bundle>,
}

/// Kinds of asynchronous messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asynchronous {
    PortStatus = 1,
    FlowRemoved = 2,
}

/// How much of a message that failed is sent back at most, so that the error is a message.
const MAX_HEAD_LEN: usize = 65_000;

/// The xid of a whole message.
pub(super) fn xid_of(message: &[u8]) -> Xid {
    Xid(message.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |xid| u32::from_be_bytes(*xid)))
}

impl Connection {
    pub(super) fn new(now: Instant, config: Config) -> Self {
        let mask = |primary, secondary| AsyncMask { primary, secondary };
        Self {
            deframer: Deframer::default(),
            channel: Channel::new(now, Config { shows_bad_messages: true, ..config }),
            is_open: false,
            out: Vec::new(),
            role: ControllerRole::EQUAL,
            miss_send_len: 128,
            // As Open vSwitch begins: `ofputil_async_cfg_default`.
            masks: [mask(3, 0), mask(7, 7), mask(0xf, 0), mask(0, 0), mask(0, 0), mask(0, 0)],
            controller_id: 0,
            monitors: Monitors::default(),
            bundles: BTreeMap::new(),
        }
    }

    pub(super) fn send(&mut self, xid: Xid, message: &Message) {
        message.encode(xid, &mut self.out).expect("what a switch says fits into a message");
    }

    /// Answers with as many messages as it takes.
    pub(super) fn send_reply(&mut self, xid: Xid, body: MultipartReplyBody) {
        let reply = crate::openflow::MultipartReply::from(body);
        reply.encode_parts(xid, &mut self.out).expect("an item fits into a message");
    }

    /// Says why a message failed.
    pub(super) fn send_error(&mut self, message: &[u8], code: ErrorCode) {
        let data = message[..message.len().min(MAX_HEAD_LEN)].to_vec();
        self.send(xid_of(message), &Message::Error(ErrorMsg { code, data }));
    }

    /// Whether it gets asynchronous messages of that kind and reason.
    pub(super) fn gets(&self, kind: Asynchronous, reason: u8) -> bool {
        let mask = self.masks[kind as usize];
        let mask = if self.is_secondary() { mask.secondary } else { mask.primary };
        self.is_open && mask & 1_u32.checked_shl(reason.into()).unwrap_or(0) != 0
    }

    pub(super) fn is_secondary(&self) -> bool {
        self.role == ControllerRole::SECONDARY
    }
}
