//! The two messages of the benchmark as bytes: the packet-in that is sent over and over, and what answers it.

use flowlib::openflow::action::PacketInReason;
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Match, Message, PacketIn};
use flowlib::types::{Cookie, MacAddr, TableId, Xid};

/// A packet-in that is filled in anew each time.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<u8>);

/// Where things stand in it: header 8, buffer id 4, length 2, reason 1, table 1, cookie 8, match 16 (header 4, OXM header 4,
/// port 4, padding 4), padding 2, packet. Source: OpenFlow 1.3.5 §7.4.1.
const BUFFER_ID: usize = 8;
const IN_PORT: usize = 32;
const PACKET: usize = 42;
/// Behind destination, source and ethertype: the packet's own number.
const NUMBER_IN_PACKET: usize = 14;
const PACKET_LEN: usize = 60;

impl Template {
    pub(super) fn new() -> Self {
        let mut data = vec![0; PACKET_LEN];
        // An ethertype for experiments. Source: IEEE 802-2014 §9.2.4.
        data[12..14].copy_from_slice(&[0x88, 0xb5]);
        // As of a table-miss flow: ovs-testcontroller takes no other for its own (OVS v3.1.0, lib/learning-switch.c).
        let packet = PacketIn {
            buffer_id: None,
            total_len: PACKET_LEN as u16,
            reason: PacketInReason::NO_MATCH,
            table: TableId(0),
            cookie: Cookie(0),
            flow_match: Match::new().with(field::IN_PORT, 1_u32),
            data,
        };
        let mut bytes = Vec::new();
        Message::PacketIn(packet).encode(Xid(0), &mut bytes).expect("it fits a message");
        Self(bytes)
    }

    /// Appends a packet of that number from one address to another to `out`.
    pub(super) fn append(
        &mut self,
        number: u32,
        carried: bool,
        in_port: u32,
        [from, to]: [MacAddr; 2],
        out: &mut Vec<u8>,
    ) {
        let mut put = |at: usize, bytes: &[u8]| self.0[at..at + bytes.len()].copy_from_slice(bytes);
        put(BUFFER_ID, &if carried { u32::MAX } else { number }.to_be_bytes());
        put(IN_PORT, &in_port.to_be_bytes());
        put(PACKET, &to.0);
        put(PACKET + 6, &from.0);
        put(PACKET + NUMBER_IN_PACKET, &number.to_be_bytes());
        out.extend_from_slice(&self.0);
    }
}

/// What a message of the controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It sends the packet of that number on.
    Answer { number: u32, is_flow_mod: bool },
    /// A flow mod that sends nothing on.
    FlowMod,
    /// A packet-out of something else.
    PacketOut,
    /// Another message.
    Other,
}

/// Shape: a flow mod has its buffer id behind header, cookie, mask and 8 bytes more; a packet-out behind the header, and
/// the length of its actions 8 bytes on. Source: OpenFlow 1.3.5 §7.3.4.1, §7.3.7.
pub(super) fn read(message: &[u8]) -> Said {
    match message.get(1) {
        Some(14) => match number(message, 32) {
            Some(number) if number != u32::MAX => Said::Answer { number, is_flow_mod: true },
            _ => Said::FlowMod,
        },
        Some(13) => match number(message, 8) {
            Some(u32::MAX) => {
                carried(message).map_or(Said::PacketOut, |number| Said::Answer { number, is_flow_mod: false })
            }
            Some(number) => Said::Answer { number, is_flow_mod: false },
            None => Said::PacketOut,
        },
        _ => Said::Other,
    }
}

/// The number of the packet that a packet-out carries.
fn carried(packet_out: &[u8]) -> Option<u32> {
    let len = u16::from_be_bytes(*packet_out.get(16..)?.first_chunk()?);
    number(packet_out, 24 + usize::from(len) + NUMBER_IN_PACKET)
}

fn number(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use flowlib::openflow::{Action, FlowMod, PacketOut};
    use flowlib::types::PortNo;

    use super::*;

    fn encoded(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(Xid(0), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_template_is_filled_in_where_it_should_be() {
        let (from, to) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        for (carried, wanted) in [(false, Some(77)), (true, None)] {
            let mut bytes = Vec::new();
            Template::new().append(77, carried, 5, [from, to], &mut bytes);
            let Ok((_, Message::PacketIn(packet))) = Message::decode(&bytes) else { panic!("{bytes:?}") };
            assert_eq!((packet.buffer_id, packet.in_port()), (wanted, Some(PortNo(5))));
            assert_eq!(packet.data[..12], [to.0, from.0].concat());
            let out = PacketOut {
                buffer_id: packet.buffer_id,
                in_port: PortNo(5),
                actions: vec![Action::output(PortNo(1)); 2],
                data: if carried { packet.data } else { Vec::new() },
            };
            let said = read(&encoded(&Message::PacketOut(out)));
            assert_eq!(said, Said::Answer { number: 77, is_flow_mod: false });
        }
    }

    #[test]
    fn a_flow_mod_answers_if_it_names_the_buffer() {
        let flow_mod = |buffer_id| encoded(&Message::FlowMod(FlowMod { buffer_id, ..FlowMod::default() }));
        assert_eq!(read(&flow_mod(Some(9))), Said::Answer { number: 9, is_flow_mod: true });
        assert_eq!(read(&flow_mod(None)), Said::FlowMod);
        assert_eq!(read(&encoded(&Message::BarrierRequest)), Said::Other);
    }
}
