//! Flows in a switch, and their sums.

use std::time::Duration;

use crate::openflow::flow::Flow;
use crate::openflow::flow_mod::FlowModFlags;
use crate::openflow::instruction::Instruction;
use crate::openflow::oxm::Match;
use crate::types::{Cookie, GroupId, PortNo, Priority, TableId};
use crate::wire::{DecodeError, Part, Reader, Wire, Writer};

/// Which flows are asked for: those that pass every filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowStatsRequest {
    /// Of this table; [`TableId::ALL`]: of all.
    pub table: TableId,
    /// That send to this port.
    pub out_port: Option<PortNo>,
    /// That send to this group.
    pub out_group: Option<GroupId>,
    /// Whose cookie has these bits where `cookie_mask` has ones.
    pub cookie: Cookie,
    /// See `cookie`; 0: any cookie.
    pub cookie_mask: u64,
    /// Whose match is at least as narrow.
    pub flow_match: Match,
}

impl Default for FlowStatsRequest {
    fn default() -> Self {
        Self {
            table: TableId::ALL,
            out_port: None,
            out_group: None,
            cookie: Cookie(0),
            cookie_mask: 0,
            flow_match: Match::new(),
        }
    }
}

impl FlowStatsRequest {
    /// Every flow whose cookie is `cookie` where `mask` has ones.
    #[must_use]
    pub fn by_cookie(cookie: Cookie, mask: u64) -> Self {
        Self { cookie, cookie_mask: mask, ..Self::default() }
    }

    /// Every flow of a table.
    #[must_use]
    pub fn of_table(table: TableId) -> Self {
        Self { table, ..Self::default() }
    }
}

/// Shape: table `u8`, 3 zeros, out port `u32`, out group `u32`, 4 zeros, cookie `u64`, mask `u64`, match.
///
/// Source: OpenFlow 1.3.5 §7.3.5.2.
impl Wire for FlowStatsRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table = TableId(r.u8()?);
        r.skip(3)?;
        let out_port = Some(PortNo(r.u32()?)).filter(|port| *port != PortNo::ANY);
        let out_group = Some(GroupId(r.u32()?)).filter(|group| *group != GroupId::ANY);
        r.skip(4)?;
        let (cookie, cookie_mask) = (Cookie(r.u64()?), r.u64()?);
        Ok(Self { table, out_port, out_group, cookie, cookie_mask, flow_match: Match::decode(r)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.table.0);
        w.zeros(3);
        w.u32(self.out_port.unwrap_or(PortNo::ANY).0);
        w.u32(self.out_group.unwrap_or(GroupId::ANY).0);
        w.zeros(4);
        w.u64(self.cookie.0);
        w.u64(self.cookie_mask);
        self.flow_match.encode(w);
    }
}

/// A flow entry of a switch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowStats {
    /// The flow.
    pub flow: Flow,
    /// Whole seconds it has lived.
    pub duration_s: u32,
    /// Nanoseconds beyond.
    pub duration_ns: u32,
    /// Packets it matched.
    pub packet_count: u64,
    /// Bytes of those packets.
    pub byte_count: u64,
}

impl FlowStats {
    /// How long it has lived.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.duration_s.into()) + Duration::from_nanos(self.duration_ns.into())
    }
}

/// Shape: length `u16`, table `u8`, a zero, seconds `u32`, nanoseconds `u32`, priority `u16`, idle and hard timeout
/// `u16`, flags `u16`, 4 zeros, cookie `u64`, packets `u64`, bytes `u64`, match, instructions.
///
/// Source: OpenFlow 1.3.5 §7.3.5.2.
impl Wire for FlowStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = r.clone();
        let len = usize::from(r.u16()?);
        let table = TableId(r.u8()?);
        r.skip(1)?;
        let (duration_s, duration_ns) = (r.u32()?, r.u32()?);
        let priority = Priority(r.u16()?);
        let (idle_timeout_s, hard_timeout_s) = (r.u16()?, r.u16()?);
        let flags = FlowModFlags::from_bits_retain(r.u16()?);
        r.skip(4)?;
        let cookie = Cookie(r.u64()?);
        let (packet_count, byte_count) = (r.u64()?, r.u64()?);
        let flow_match = Match::decode(r)?;
        // The length is known to be wrong only here, where what it leaves for instructions is.
        r.set_part(Part::Instruction);
        let rest = r.body(len, start.len() - r.len(), Part::Instruction)?;
        r.set_part(start.part());
        let instructions = Instruction::decode_list(rest)?;
        let flow =
            Flow { table, priority, cookie, flow_match, instructions, idle_timeout_s, hard_timeout_s, flags };
        Ok(Self { flow, duration_s, duration_ns, packet_count, byte_count })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        let flow = &self.flow;
        w.u16(0);
        w.u8(flow.table.0);
        w.zeros(1);
        w.u32(self.duration_s);
        w.u32(self.duration_ns);
        w.u16(flow.priority.0);
        w.u16(flow.idle_timeout_s);
        w.u16(flow.hard_timeout_s);
        w.u16(flow.flags.bits());
        w.zeros(4);
        w.u64(flow.cookie.0);
        w.u64(self.packet_count);
        w.u64(self.byte_count);
        flow.flow_match.encode(w);
        for instruction in &flow.instructions {
            instruction.encode(w);
        }
        w.patch_len(mark, 0);
    }
}

/// What flows counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AggregateStats {
    /// Packets they matched.
    pub packet_count: u64,
    /// Bytes of those packets.
    pub byte_count: u64,
    /// How many flows.
    pub flow_count: u32,
}

/// Shape: packets `u64`, bytes `u64`, flows `u32`, 4 zeros.
///
/// Source: OpenFlow 1.3.5 §7.3.5.3.
impl Wire for AggregateStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (packet_count, byte_count) = (r.u64()?, r.u64()?);
        let flow_count = r.u32()?;
        r.skip(4)?;
        Ok(Self { packet_count, byte_count, flow_count })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.packet_count);
        w.u64(self.byte_count);
        w.u32(self.flow_count);
        w.zeros(4);
    }
}
