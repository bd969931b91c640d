//! Packets that a switch shows the controller.

use crate::types::{Cookie, PortNo, TableId};
use crate::wire::{DecodeError, Reader, Wire, Writer};

use super::action::PacketInReason;
use super::oxm::{Field, FieldValue, Match, field};

/// A packet from a switch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PacketIn {
    /// The switch's name for the packet, if it has kept it.
    pub buffer_id: Option<u32>,
    /// The packet's length; `data` may be less of it.
    pub total_len: u16,
    /// Why it came.
    pub reason: PacketInReason,
    /// The table it came from.
    pub table: TableId,
    /// The cookie of the flow that sent it; all ones if none did.
    pub cookie: Cookie,
    /// Its metadata: port, registers, tunnel.
    pub flow_match: Match,
    /// The packet, from its first byte.
    pub data: Vec<u8>,
}

impl PacketIn {
    /// The port it came in by.
    #[must_use]
    pub fn in_port(&self) -> Option<PortNo> {
        self.flow_match.exact(field::IN_PORT).map(|value| PortNo(value.to_u32()))
    }

    /// A metadata field or register of it; a switch leaves out those that are 0.
    #[must_use]
    pub fn metadata(&self, field: Field) -> FieldValue {
        self.flow_match.get(field).map(|entry| entry.value).unwrap_or_default()
    }
}

/// Shape: buffer `u32`, total length `u16`, reason `u8`, table `u8`, cookie `u64`, match, 2 zeros, packet.
///
/// Source: OpenFlow 1.3.5 §7.4.1.
impl Wire for PacketIn {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let buffer_id = Some(r.u32()?).filter(|id| *id != u32::MAX);
        let total_len = r.u16()?;
        let reason = PacketInReason(r.u8()?);
        let table = TableId(r.u8()?);
        let cookie = Cookie(r.u64()?);
        let flow_match = Match::decode(r)?;
        r.skip(2)?;
        Ok(Self { buffer_id, total_len, reason, table, cookie, flow_match, data: r.rest().to_vec() })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.buffer_id.unwrap_or(u32::MAX));
        w.u16(self.total_len);
        w.u8(self.reason.0);
        w.u8(self.table.0);
        w.u64(self.cookie.0);
        self.flow_match.encode(w);
        w.zeros(2);
        w.bytes(&self.data);
    }
}
