//! Nicira's spelling of flow mods, flow removals and packet-ins: matches without a header, ports of 16 bits.

use crate::openflow::action::PacketInReason;
use crate::openflow::flow_mod::{FlowMod, FlowModCommand, FlowModFlags};
use crate::openflow::flow_removed::{FlowRemoved, FlowRemovedReason};
use crate::openflow::instruction::Instruction;
use crate::openflow::oxm::Match;
use crate::openflow::packet_in::PacketIn;
use crate::openflow::port_no;
use crate::types::{Cookie, PortNo, Priority, TableId};
use crate::wire::{DecodeError, Mark, Part, Reader, Wire, Writer};

/// Reads a match of `len` bytes, which bears no header, and the zeros behind it up to a multiple of 8.
fn decode_match(r: &mut Reader<'_>, len: usize) -> Result<Match, DecodeError> {
    let mut at = Reader::at(r.peek(), Part::Match, r.offset());
    let body = at.body(len, 0, Part::Match)?;
    at.skip(len.next_multiple_of(8) - len)?;
    r.skip(len.next_multiple_of(8))?;
    Match::decode_oxms(body)
}

/// Writes a match in that form, and its length at `len_at`.
fn encode_match(flow_match: &Match, len_at: Mark, w: &mut Writer<'_>) {
    let mark = w.mark();
    flow_match.encode_oxms(w);
    w.set_u16_len(len_at, w.len_since(mark));
    w.pad8(mark);
}

/// Shape: cookie `u64`, table `u8`, command `u8`, idle and hard timeout `u16`, priority `u16`, buffer `u32`, out port
/// `u16`, flags `u16`, length of the match `u16`, 6 zeros, match, instructions
/// (before OpenFlow 1.1: actions).
///
/// Source: NXT_FLOW_MOD in `nicira-ext.h` and `lib/ofp-flow.c` of Open vSwitch 3.1.
pub(super) fn decode_flow_mod(r: &mut Reader<'_>) -> Result<FlowMod, DecodeError> {
    r.set_part(Part::FlowMod);
    let cookie = Cookie(r.u64()?);
    let (table, command) = (TableId(r.u8()?), FlowModCommand(r.u8()?));
    let (idle_timeout_s, hard_timeout_s) = (r.u16()?, r.u16()?);
    let priority = Priority(r.u16()?);
    let buffer_id = Some(r.u32()?).filter(|id| *id != u32::MAX);
    let out_port = Some(port_no::from_u16(r.u16()?)).filter(|port| *port != PortNo::ANY);
    let flags = FlowModFlags::from_bits_retain(r.u16()?);
    let match_len = usize::from(r.u16()?);
    r.skip(6)?;
    let flow_match = decode_match(r, match_len)?;
    Ok(FlowMod {
        command,
        table,
        priority,
        cookie,
        idle_timeout_s,
        hard_timeout_s,
        buffer_id,
        out_port,
        flags,
        flow_match,
        instructions: Instruction::decode_list(r.take())?,
        ..FlowMod::default()
    })
}

pub(super) fn encode_flow_mod(flow_mod: &FlowMod, w: &mut Writer<'_>) {
    w.u64(flow_mod.cookie.0);
    w.u8(flow_mod.table.0);
    w.u8(flow_mod.command.0);
    w.u16(flow_mod.idle_timeout_s);
    w.u16(flow_mod.hard_timeout_s);
    w.u16(flow_mod.priority.0);
    w.u32(flow_mod.buffer_id.unwrap_or(u32::MAX));
    let out_port = port_no::to_u16(flow_mod.out_port.unwrap_or(PortNo::ANY), w);
    w.u16(out_port);
    w.u16(flow_mod.flags.bits());
    let len_at = w.mark();
    w.zeros(8);
    encode_match(&flow_mod.flow_match, len_at, w);
    flow_mod.instructions.iter().for_each(|instruction| instruction.encode(w));
}

/// Shape: cookie `u64`, priority `u16`, reason `u8`, table plus one `u8` (0: not known, here [`TableId::ALL`]),
/// seconds `u32`, nanoseconds `u32`, idle timeout `u16`, length of the match `u16`, packets `u64`, bytes `u64`, match.
///
/// Source: NXT_FLOW_REMOVED in `nicira-ext.h` of Open vSwitch 3.1.
pub(super) fn decode_flow_removed(r: &mut Reader<'_>) -> Result<FlowRemoved, DecodeError> {
    let cookie = Cookie(r.u64()?);
    let priority = Priority(r.u16()?);
    let reason = FlowRemovedReason(r.u8()?);
    let table = TableId(r.u8()?.wrapping_sub(1));
    let (duration_s, duration_ns) = (r.u32()?, r.u32()?);
    let idle_timeout_s = r.u16()?;
    let match_len = usize::from(r.u16()?);
    let (packet_count, byte_count) = (r.u64()?, r.u64()?);
    Ok(FlowRemoved {
        cookie,
        priority,
        reason,
        table,
        duration_s,
        duration_ns,
        idle_timeout_s,
        hard_timeout_s: 0,
        packet_count,
        byte_count,
        flow_match: decode_match(r, match_len)?,
    })
}

pub(super) fn encode_flow_removed(removed: &FlowRemoved, w: &mut Writer<'_>) {
    w.u64(removed.cookie.0);
    w.u16(removed.priority.0);
    w.u8(removed.reason.0);
    w.u8(removed.table.0.wrapping_add(1));
    w.u32(removed.duration_s);
    w.u32(removed.duration_ns);
    w.u16(removed.idle_timeout_s);
    let len_at = w.mark();
    w.u16(0);
    w.u64(removed.packet_count);
    w.u64(removed.byte_count);
    encode_match(&removed.flow_match, len_at, w);
}

/// Shape: buffer `u32`, total length `u16`, reason `u8`, table `u8`, cookie `u64`, length of the match `u16`, 6 zeros,
/// match, 2 zeros, packet.
///
/// Source: NXT_PACKET_IN in `nicira-ext.h` of Open vSwitch 3.1.
pub(super) fn decode_packet_in(r: &mut Reader<'_>) -> Result<PacketIn, DecodeError> {
    let buffer_id = Some(r.u32()?).filter(|id| *id != u32::MAX);
    let total_len = r.u16()?;
    let (reason, table) = (PacketInReason(r.u8()?), TableId(r.u8()?));
    let cookie = Cookie(r.u64()?);
    let match_len = usize::from(r.u16()?);
    r.skip(6)?;
    let flow_match = decode_match(r, match_len)?;
    r.skip(2)?;
    Ok(PacketIn { buffer_id, total_len, reason, table, cookie, flow_match, data: r.rest().to_vec() })
}

pub(super) fn encode_packet_in(packet_in: &PacketIn, w: &mut Writer<'_>) {
    w.u32(packet_in.buffer_id.unwrap_or(u32::MAX));
    w.u16(packet_in.total_len);
    w.u8(packet_in.reason.0);
    w.u8(packet_in.table.0);
    w.u64(packet_in.cookie.0);
    let len_at = w.mark();
    w.zeros(8);
    encode_match(&packet_in.flow_match, len_at, w);
    w.zeros(2);
    w.bytes(&packet_in.data);
}
