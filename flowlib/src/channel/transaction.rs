//! Requests that wait for an answer.

use std::collections::HashMap;

use crate::openflow::{Message, MultipartReply, MultipartReplyBody, bundle};
use crate::types::Xid;

use super::CloseReason;

/// The requests that wait for an answer, and what has come of it.
#[derive(Debug)]
pub(super) struct Transactions {
    last_xid: u32,
    waiting: HashMap<Xid, Waiting>,
    max_multipart_len: usize,
}

#[derive(Debug)]
struct Waiting {
    /// What the answer will be.
    answer: AnswerKind,
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
    /// An answer, but to nothing that waits for it.
    Stray(Message),
    /// No answer.
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
        if let Some(answer) = AnswerKind::to(message) {
            self.waiting.insert(xid, Waiting { answer, parts: None, len: 0 });
        }
    }

    /// Nothing more is wanted of that request: an error came, or the user gave it up.
    pub(super) fn forget(&mut self, xid: Xid) {
        self.waiting.remove(&xid);
    }

    /// How many requests wait.
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Finds the request that a message answers; `bytes` are its own.
    ///
    /// # Errors
    /// If a multipart answer grows too long, or its parts do not belong together.
    pub(super) fn join(&mut self, xid: Xid, message: Message, bytes: &[u8]) -> Result<Joined, CloseReason> {
        let Some(answer) = AnswerKind::of(bytes) else {
            return Ok(Joined::Unasked(message));
        };
        let Some(waiting) = self.waiting.get_mut(&xid).filter(|waiting| waiting.answer == answer) else {
            return Ok(if is_flow_update(&message) {
                Joined::Unasked(message)
            } else {
                Joined::Stray(message)
            });
        };
        let Message::MultipartReply(part) = message else {
            self.waiting.remove(&xid);
            return Ok(Joined::Reply(message));
        };
        waiting.len += bytes.len();
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

/// Whether a monitor reports changes: an answer in form, but one that comes again and again.
fn is_flow_update(message: &Message) -> bool {
    matches!(message, Message::MultipartReply(reply) if matches!(reply.body, MultipartReplyBody::FlowMonitor(_)))
}

/// Which answer a request has, by what is the same in all of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerKind {
    /// Its type in the header.
    message_type: u8,
    /// Its multipart type, if it is one.
    multipart_type: u16,
    /// Whose it is, its type, and of a bundle what happens; if it is an experimenter's.
    experimenter: (u32, u32, u16),
}

const EXPERIMENTER: u8 = 4;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
/// OFPMPF_REPLY_MORE.
const REPLY_MORE: u16 = 1;
const NICIRA: u32 = 0x2320;

/// The types of requests that the next type answers: features, configuration, multipart, barrier, queues, role,
/// asynchronous.
const REQUESTS: [u8; 7] = [5, 7, MULTIPART_REQUEST, 20, 22, 24, 26];

/// Nicira's role and TLV table request, and their answers.
const NICIRA_REQUESTS: [(u32, u32); 2] = [(10, 11), (25, 26)];

impl AnswerKind {
    /// The answer that an encoded message will have; none if it has none unless it fails.
    #[must_use]
    pub fn to(message: &[u8]) -> Option<Self> {
        let message_type = *message.get(1)?;
        let mut found =
            Self { message_type: message_type.wrapping_add(1), multipart_type: 0, experimenter: (0, 0, 0) };
        match message_type {
            EXPERIMENTER => {
                found.message_type = EXPERIMENTER;
                found.experimenter = match (u32_at(message, 8)?, u32_at(message, 12)?) {
                    (NICIRA, subtype) => {
                        let (_, reply) = NICIRA_REQUESTS.iter().find(|(request, _)| *request == subtype)?;
                        (NICIRA, *reply, 0)
                    }
                    (who, bundle::CONTROL) => {
                        let control_type =
                            u16_at(message, 20).filter(|control_type| control_type % 2 == 0)?;
                        (who, bundle::CONTROL, control_type.wrapping_add(1))
                    }
                    _ => return None,
                };
            }
            MULTIPART_REQUEST => found.set_multipart(message)?,
            _ if REQUESTS.contains(&message_type) => {}
            _ => return None,
        }
        Some(found)
    }

    /// The answer that an encoded message is; nothing if it is none.
    #[must_use]
    pub fn of(message: &[u8]) -> Option<Self> {
        let message_type = *message.get(1)?;
        let mut found = Self { message_type, multipart_type: 0, experimenter: (0, 0, 0) };
        match message_type {
            EXPERIMENTER => {
                found.experimenter = match (u32_at(message, 8)?, u32_at(message, 12)?) {
                    (NICIRA, subtype) if NICIRA_REQUESTS.iter().any(|(_, reply)| *reply == subtype) => {
                        (NICIRA, subtype, 0)
                    }
                    (who, bundle::CONTROL) => {
                        let control_type =
                            u16_at(message, 20).filter(|control_type| control_type % 2 == 1)?;
                        (who, bundle::CONTROL, control_type)
                    }
                    _ => return None,
                };
            }
            MULTIPART_REPLY => found.set_multipart(message)?,
            _ if REQUESTS.iter().any(|request| request + 1 == message_type) => {}
            _ => return None,
        }
        Some(found)
    }

    fn set_multipart(&mut self, message: &[u8]) -> Option<()> {
        self.multipart_type = u16_at(message, 8)?;
        if self.multipart_type == 0xffff {
            self.experimenter = (u32_at(message, 16)?, u32_at(message, 20)?, 0);
        }
        Some(())
    }
}

/// Whether more parts of a multipart answer follow this one.
#[must_use]
pub fn has_more(message: &[u8]) -> bool {
    message.get(1) == Some(&MULTIPART_REPLY)
        && u16_at(message, 10).is_some_and(|flags| flags & REPLY_MORE != 0)
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_type_that_was_asked_for() {
        let kind = |message: &[u8]| AnswerKind::of(message);
        let part = |multipart_type: u8, flags: u8| {
            [4, 19, 0, 16, 0, 0, 0, 1, 0, multipart_type, 0, flags, 0, 0, 0, 0]
        };
        let asked = AnswerKind::to(&[4, 18, 0, 16, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert!(asked.is_some());
        assert_eq!(kind(&part(1, 1)), asked);
        assert_ne!(kind(&part(2, 1)), asked);
        assert_eq!(kind(&[4, 19, 0, 8, 0, 0, 0, 1]), None, "cut off");
        assert!(has_more(&part(1, 1)) && !has_more(&part(1, 0)));
        let features = AnswerKind::to(&[4, 5, 0, 8, 0, 0, 0, 1]);
        assert_eq!(kind(&[4, 6, 0, 8, 0, 0, 0, 1]), features);
        assert_ne!(kind(&[4, 8, 0, 8, 0, 0, 0, 1]), features);
    }
}
