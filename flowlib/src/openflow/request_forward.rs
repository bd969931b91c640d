//! Changes by one controller that another one hears of.

use crate::types::Xid;
use crate::wire::{DecodeError, Part, Problem, Reader, Writer};

use super::header::HEADER_LEN;
use super::message::{Message, Nesting};

/// A group mod or meter mod of another controller, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestForward {
    /// Its xid.
    pub xid: Xid,
    /// The group mod or meter mod.
    pub request: Box<Message>,
}

impl RequestForward {
    /// Reads what follows the experimenter header.
    ///
    /// Shape: a whole message.
    ///
    /// # Errors
    /// `BadType` if it is neither a group mod nor a meter mod.
    ///
    /// Source: ONF EXT-236; OpenFlow 1.4.1 §7.4.6.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = Reader::at(r.peek(), Part::Bundle, r.offset());
        let inner = r.sub(r.len(), Part::Message)?;
        if inner.len() < HEADER_LEN {
            return Err(inner.error(Problem::BadLength { found: inner.len() }));
        }
        let (xid, request) = Message::decode_at(inner, Nesting::Inner)?;
        if !matches!(request, Message::GroupMod(_) | Message::MeterMod(_)) {
            return Err(at.error(Problem::BadType { found: request.message_type().into() }));
        }
        Ok(Self { xid, request: Box::new(request) })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        self.request.write(self.xid, w);
    }
}
