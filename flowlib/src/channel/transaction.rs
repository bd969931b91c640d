//! Requests that wait for an answer.

use std::collections::HashMap;

use crate::openflow::{HEADER_LEN, Message, MultipartReply, bundle};
use crate::types::Xid;

use super::CloseReason;

const EXPERIMENTER: u8 = 4;

/// The requests that wait for an answer, and what has come of it.
#[derive(Debug)]
pub(super) struct Transactions {
    last_xid: u32,
    waiting: HashMap<Xid, Waiting>,
    max_multipart_len: usize,
}

#[derive(Debug)]
struct Waiting {
    /// The type of the answer.
    reply_type: u8,
    /// The parts of it that have come.
    parts: Option<MultipartReply>,
    /// Their bytes.
    len: usize,
}

/// What a message that came is.
#[derive(Debug)]
pub(super) enum Joined {
    /// A whole answer.
    Reply(Message),
    /// Part of an answer, kept.
    Part,
    /// No answer to anything.
    Unasked(Message),
}

impl Transactions {
    pub(super) fn new(max_multipart_len: usize) -> Self {
        Self { last_xid: 0, waiting: HashMap::new(), max_multipart_len }
    }

    /// The next xid; 0 is left to messages of no transaction.
    pub(super) fn allocate(&mut self) -> Xid {
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        Xid(self.last_xid)
    }

    /// Remembers that `message`, which is being sent, will have an answer, if it is of that kind.
    pub(super) fn sent(&mut self, xid: Xid, message: &[u8]) {
        if let Some(reply_type) = reply_type(message) {
            self.waiting.insert(xid, Waiting { reply_type, parts: None, len: 0 });
        }
    }

    /// An error came: nothing else will.
    pub(super) fn failed(&mut self, xid: Xid) {
        self.waiting.remove(&xid);
    }

    /// Finds the request that a message of `len` bytes answers.
    ///
    /// # Errors
    /// If a multipart answer grows too long, or its parts do not belong together.
    pub(super) fn join(&mut self, xid: Xid, message: Message, len: usize) -> Result<Joined, CloseReason> {
        let Some(waiting) = self.waiting.get_mut(&xid) else {
            return Ok(Joined::Unasked(message));
        };
        if waiting.reply_type != message.message_type() {
            return Ok(Joined::Unasked(message));
        }
        let Message::MultipartReply(part) = message else {
            self.waiting.remove(&xid);
            return Ok(Joined::Reply(message));
        };
        waiting.len += len;
        if waiting.len > self.max_multipart_len {
            return Err(CloseReason::MultipartTooLong { limit: self.max_multipart_len });
        }
        let parts = match waiting.parts.take() {
            None => part,
            Some(mut parts) => {
                parts.join(part).map_err(|_| CloseReason::MultipartMixed)?;
                parts
            }
        };
        if parts.has_more() {
            waiting.parts = Some(parts);
            return Ok(Joined::Part);
        }
        self.waiting.remove(&xid);
        Ok(Joined::Reply(Message::MultipartReply(parts)))
    }
}

/// The type of the answer that an encoded message will have.
fn reply_type(message: &[u8]) -> Option<u8> {
    let message_type = *message.get(1)?;
    match message_type {
        // Features, configuration, multipart, barrier, queues, role, asynchronous.
        5 | 7 | 18 | 20 | 22 | 24 | 26 => Some(message_type + 1),
        EXPERIMENTER => {
            let experimenter_type = message.get(HEADER_LEN + 4..HEADER_LEN + 8)?;
            let control_type = u16::from_be_bytes(*message.get(20..22)?.first_chunk()?);
            (experimenter_type == bundle::CONTROL.to_be_bytes() && control_type % 2 == 0)
                .then_some(EXPERIMENTER)
        }
        _ => None,
    }
}
