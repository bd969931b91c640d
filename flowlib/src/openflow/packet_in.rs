//! Packets that a switch shows the controller.

use crate::types::{Cookie, PortNo, TableId};
use crate::wire::{DecodeError, Part, Reader, Wire, Writer};

use super::action::PacketInReason;
use super::header::Header;
use super::message::{PACKET_IN, VERSION};
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

/// A packet from a switch that lies in its message still: what a learning switch must know, and nothing is copied.
///
/// Of the match only the port is looked for; what else it holds is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInRef<'a> {
    /// See [`PacketIn::buffer_id`].
    pub buffer_id: Option<u32>,
    /// See [`PacketIn::total_len`].
    pub total_len: u16,
    /// The port it came in by.
    pub in_port: Option<PortNo>,
    /// The packet, from its first byte.
    pub data: &'a [u8],
}

impl<'a> PacketInRef<'a> {
    /// Whether a message is a packet-in.
    #[must_use]
    pub fn is_one(message: &[u8]) -> bool {
        message.first_chunk() == Some(&[VERSION, PACKET_IN])
    }

    /// Reads a whole message, which is a packet-in by its header.
    ///
    /// # Errors
    /// It ends early, or the match's length is wrong.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(message, Part::Message);
        Header::decode(&mut r)?;
        let buffer_id = Some(r.u32()?).filter(|id| *id != u32::MAX);
        let total_len = r.u16()?;
        // Reason, table, cookie.
        r.skip(10)?;
        let in_port = Match::find_in_port(&mut r)?;
        r.skip(2)?;
        Ok(Self { buffer_id, total_len, in_port, data: r.rest() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use crate::types::Xid;

    fn packet_in(flow_match: Match, buffer_id: Option<u32>) -> PacketIn {
        let (reason, table, cookie) = (PacketInReason::NO_MATCH, TableId(0), Cookie(u64::MAX));
        PacketIn { buffer_id, total_len: 60, reason, table, cookie, flow_match, data: vec![7; 60] }
    }

    #[test]
    fn the_reference_says_what_the_packet_in_says() {
        let port = Match::new().with(field::IN_PORT, 3_u32);
        for flow_match in
            [Match::new(), port.clone(), port.with(field::METADATA, 5_u64).with(field::TUNNEL_ID, 1_u64)]
        {
            for buffer_id in [None, Some(9)] {
                let whole = packet_in(flow_match.clone(), buffer_id);
                let mut bytes = Vec::new();
                Message::PacketIn(whole.clone()).encode(Xid(1), &mut bytes).unwrap();
                let found = PacketInRef::decode(&bytes).unwrap();
                assert_eq!((found.buffer_id, found.total_len), (whole.buffer_id, whole.total_len));
                assert_eq!((found.in_port, found.data), (whole.in_port(), &whole.data[..]));
                for cut in 0..bytes.len() - 60 {
                    assert!(PacketInRef::decode(&bytes[..cut]).is_err(), "{cut}");
                }
            }
        }
    }
}
