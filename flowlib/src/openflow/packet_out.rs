//! Packets that the controller sends through a switch.

use crate::types::PortNo;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

use super::action::Action;

/// A packet for a switch to send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PacketOut {
    /// A packet that the switch has kept, instead of `data`.
    pub buffer_id: Option<u32>,
    /// Where it is said to have come from; `PortNo::CONTROLLER` if from nowhere else.
    pub in_port: PortNo,
    /// What is done with it.
    pub actions: Vec<Action>,
    /// The packet, from its first byte.
    pub data: Vec<u8>,
}

/// Shape: buffer `u32`, in_port `u32`, length of the actions `u16`, 6 zeros, actions, packet.
///
/// Source: OpenFlow 1.3.5 §7.3.7.
impl Wire for PacketOut {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let buffer_id = Some(r.u32()?).filter(|id| *id != u32::MAX);
        let in_port = PortNo(r.u32()?);
        let len = usize::from(r.u16()?);
        r.skip(6)?;
        let actions = Action::decode_list(take_actions(r, len)?)?;
        Ok(Self { buffer_id, in_port, actions, data: r.rest().to_vec() })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.buffer_id.unwrap_or(u32::MAX));
        w.u32(self.in_port.0);
        let len_at = w.mark();
        w.u16(0);
        w.zeros(6);
        let actions = w.mark();
        Action::encode_list(&self.actions, w);
        w.set_u16_len(len_at, w.len_since(actions));
        w.bytes(&self.data);
    }
}

/// Takes the actions by their length; that length being wrong lies in the message, not in the actions.
fn take_actions<'a>(r: &mut Reader<'a>, len: usize) -> Result<Reader<'a>, DecodeError> {
    if !len.is_multiple_of(8) || len > r.len() {
        return Err(r.error(Problem::BadLength { found: len }));
    }
    r.sub(len, Part::Action)
}
