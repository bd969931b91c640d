//! Nicira's messages, which Open vSwitch adds to every version of OpenFlow.
//!
//! Those that say the same as a standard message share its struct; they differ in its spelling on the wire.

mod ct_flush;
mod packet_in2;
mod spelling;
mod tlv_table;

pub use ct_flush::{CtFlush, CtTuple};
pub use packet_in2::PacketIn2;
pub use tlv_table::{TlvMap, TlvTable, TlvTableCommand, TlvTableMod};

use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

use super::async_config::AsyncProperty;
use super::message::Message;

open_enum! {
    /// How packet-ins are to be sent. Source: NXT_SET_PACKET_IN_FORMAT in `nicira-ext.h` of Open vSwitch 3.1.
    pub struct PacketInFormat(u32) {
        /// OFPT_PACKET_IN.
        STANDARD = 0 => "standard",
        /// NXT_PACKET_IN.
        NXT_PACKET_IN = 1 => "nxt_packet_in",
        /// NXT_PACKET_IN2.
        NXT_PACKET_IN2 = 2 => "nxt_packet_in2",
    }
}

pub(super) const ROLE_REQUEST: u32 = 10;
pub(super) const ROLE_REPLY: u32 = 11;
pub(super) const FLOW_MOD: u32 = 13;
pub(super) const FLOW_REMOVED: u32 = 14;
pub(super) const FLOW_MOD_TABLE_ID: u32 = 15;
pub(super) const SET_PACKET_IN_FORMAT: u32 = 16;
pub(super) const PACKET_IN: u32 = 17;
pub(super) const FLOW_AGE: u32 = 18;
pub(super) const SET_ASYNC_CONFIG: u32 = 19;
pub(super) const SET_CONTROLLER_ID: u32 = 20;
pub(super) const TLV_TABLE_MOD: u32 = 24;
pub(super) const TLV_TABLE_REQUEST: u32 = 25;
pub(super) const TLV_TABLE_REPLY: u32 = 26;
pub(super) const SET_ASYNC_CONFIG2: u32 = 27;
pub(super) const RESUME: u32 = 28;
pub(super) const CT_FLUSH_ZONE: u32 = 29;
pub(super) const PACKET_IN2: u32 = 30;
pub(super) const CT_FLUSH: u32 = 32;

/// Reads the message behind Nicira's experimenter header; of a subtype that is not known, nothing.
///
/// Source: `include/openvswitch/ofp-msgs.h` and `nicira-ext.h` of Open vSwitch 3.1.
pub(super) fn decode(subtype: u32, r: &mut Reader<'_>) -> Result<Option<Message>, DecodeError> {
    Ok(Some(match subtype {
        ROLE_REQUEST => Message::NxRoleRequest(Wire::decode(r)?),
        ROLE_REPLY => Message::NxRoleReply(Wire::decode(r)?),
        FLOW_MOD => Message::NxFlowMod(spelling::decode_flow_mod(r)?),
        FLOW_REMOVED => Message::NxFlowRemoved(spelling::decode_flow_removed(r)?),
        FLOW_MOD_TABLE_ID => {
            let is_on = r.u8()? != 0;
            r.skip(7)?;
            Message::NxFlowModTableId(is_on)
        }
        SET_PACKET_IN_FORMAT => Message::NxSetPacketInFormat(decode_format(r)?),
        PACKET_IN => Message::NxPacketIn(spelling::decode_packet_in(r)?),
        FLOW_AGE => Message::NxFlowAge,
        SET_ASYNC_CONFIG => Message::NxSetAsyncConfig(Wire::decode(r)?),
        SET_CONTROLLER_ID => Message::NxSetControllerId(zeros_u16(r)?),
        TLV_TABLE_MOD => Message::NxTlvTableMod(Wire::decode(r)?),
        TLV_TABLE_REQUEST => Message::NxTlvTableRequest,
        TLV_TABLE_REPLY => Message::NxTlvTableReply(Wire::decode(r)?),
        SET_ASYNC_CONFIG2 => Message::NxSetAsyncConfig2(AsyncProperty::decode_list(r)?),
        RESUME => Message::NxResume(Box::new(Wire::decode(r)?)),
        CT_FLUSH_ZONE => Message::NxCtFlushZone(zeros_u16(r)?),
        PACKET_IN2 => Message::NxPacketIn2(Box::new(Wire::decode(r)?)),
        CT_FLUSH => Message::NxCtFlush(Box::new(Wire::decode(r)?)),
        _ => return Ok(None),
    }))
}

/// Writes what follows Nicira's experimenter header of a message of hers.
pub(super) fn encode(message: &Message, w: &mut Writer<'_>) {
    match message {
        Message::NxRoleRequest(role) | Message::NxRoleReply(role) => role.encode(w),
        Message::NxFlowMod(body) => spelling::encode_flow_mod(body, w),
        Message::NxFlowRemoved(body) => spelling::encode_flow_removed(body, w),
        Message::NxFlowModTableId(is_on) => {
            w.u8((*is_on).into());
            w.zeros(7);
        }
        Message::NxSetPacketInFormat(format) => w.u32(format.0),
        Message::NxPacketIn(body) => spelling::encode_packet_in(body, w),
        Message::NxSetAsyncConfig(body) => body.encode(w),
        Message::NxSetControllerId(number) | Message::NxCtFlushZone(number) => {
            w.zeros(6);
            w.u16(*number);
        }
        Message::NxTlvTableMod(body) => body.encode(w),
        Message::NxTlvTableReply(body) => body.encode(w),
        Message::NxSetAsyncConfig2(list) => list.iter().for_each(|property| property.encode(w)),
        Message::NxResume(body) | Message::NxPacketIn2(body) => body.encode(w),
        Message::NxCtFlush(body) => body.encode(w),
        _ => {}
    }
}

/// Strict: a format that does not exist is an error.
fn decode_format(r: &mut Reader<'_>) -> Result<PacketInFormat, DecodeError> {
    let at = Reader::at(r.peek(), Part::Config, r.offset());
    let format = PacketInFormat(r.u32()?);
    match format.name() {
        Some(_) => Ok(format),
        None => Err(at.error(Problem::BadValue { found: format.0.into() })),
    }
}

/// Shape: 6 zeros, number `u16`.
fn zeros_u16(r: &mut Reader<'_>) -> Result<u16, DecodeError> {
    r.zeros(6)?;
    r.u16()
}
