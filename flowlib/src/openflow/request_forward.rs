//! Changes by one controller that another one hears of.

use crate::types::Xid;
use crate::wire::{DecodeError, Part, Problem, Reader, Writer};

use super::bundle::take_message;
use super::message::{Message, Nesting};

/// A group mod or meter mod of another controller, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestForward {
    /// Its xid.
    pub xid: Xid,
    /// The group mod or meter mod.
    pub request: Box<Message>,
    /// What follows it, byte for byte.
    pub rest: Box<[u8]>,
}

impl RequestForward {
    /// Reads what follows the experimenter header.
    ///
    /// Shape: a whole message, and what may follow it.
    ///
    /// # Errors
    /// `BadType` if it is neither a group mod nor a meter mod.
    ///
    /// Source: ONF EXT-236; OpenFlow 1.4.1 §7.4.6.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let inner = take_message(r)?;
        let mut at = inner.clone();
        let (xid, request) = Message::decode_at(inner, Nesting::Inner)?;
        if !matches!(request, Message::Unknown { .. }) {
            at.set_part(Part::Bundle);
        }
        if !matches!(request, Message::GroupMod(_) | Message::MeterMod(_)) {
            return Err(at.error(Problem::BadType { found: request.message_type().into() }));
        }
        Ok(Self { xid, request: Box::new(request), rest: r.rest().into() })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        self.request.write(self.xid, w);
        w.bytes(&self.rest);
    }
}
