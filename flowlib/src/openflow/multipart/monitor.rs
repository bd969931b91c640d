//! Flow monitors: a switch reports changes of its flows (ONF extension 187, for OpenFlow 1.3).

use crate::openflow::instruction::Instruction;
use crate::openflow::oxm::Match;
use crate::types::{Cookie, PortNo, Priority, TableId, Xid};
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

bitflags::bitflags! {
    /// What a monitor reports. Source: ONF EXT-187; `lib/ofp-monitor.c` of Open vSwitch 3.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct MonitorFlags: u16 {
        /// The flows that are there when it begins.
        const INITIAL = 1;
        /// New flows.
        const ADD = 1 << 1;
        /// Flows that go.
        const DELETE = 1 << 2;
        /// Flows that change.
        const MODIFY = 1 << 3;
        /// With what they do.
        const INSTRUCTIONS = 1 << 4;
        /// What its own connection does in full, not only that it was done.
        const OWN = 1 << 5;
        const _ = !0;
    }
}

/// A monitor that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MonitorRequest {
    /// Its number, unique on its connection.
    pub monitor: u32,
    /// What it reports.
    pub flags: MonitorFlags,
    /// Only of flows that send to this port.
    pub out_port: Option<PortNo>,
    /// Only of this table; [`TableId::ALL`]: of all.
    pub table: TableId,
    /// Only of flows whose match is at least as narrow.
    pub flow_match: Match,
}

/// Strict: flags that do not exist, or none of add, delete and modify, are an error.
///
/// Shape: number `u32`, flags `u16`, length of the match without its padding `u16`, out port `u32`, table `u8`,
/// 3 zeros, match.
///
/// Source: ONF EXT-187; `lib/ofp-monitor.c` of Open vSwitch 3.1.
impl Wire for MonitorRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Monitor);
        let at = r.clone();
        let monitor = r.u32()?;
        let bits = r.u16()?;
        // The match says its length itself, and Open vSwitch takes that one.
        r.skip(2)?;
        let out_port = Some(PortNo(r.u32()?)).filter(|port| *port != PortNo::ANY);
        let table = TableId(r.u8()?);
        let pad = r.clone();
        r.skip(3)?;
        let flags = MonitorFlags::from_bits_retain(bits);
        let changes = MonitorFlags::ADD | MonitorFlags::DELETE | MonitorFlags::MODIFY;
        if bits >> 6 != 0 || !flags.intersects(changes) {
            return Err(at.error(Problem::BadFlags { found: bits.into() }));
        }
        pad.clone().zeros(3)?;
        Ok(Self { monitor, flags, out_port, table, flow_match: Match::decode(r)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.monitor);
        w.u16(self.flags.bits());
        let len_at = w.mark();
        w.u16(0);
        w.u32(self.out_port.unwrap_or(PortNo::ANY).0);
        w.u8(self.table.0);
        w.zeros(3);
        encode_match(&self.flow_match, len_at, w);
    }
}

/// Writes a match, and its length without padding at `len_at`.
fn encode_match(flow_match: &Match, len_at: crate::wire::Mark, w: &mut Writer<'_>) {
    let at = w.mark();
    flow_match.encode(w);
    let len = w.u16_at(at, 2);
    w.set_u16_len(len_at, len.into());
}

open_enum! {
    /// What happened to a flow. Source: ONF EXT-187.
    pub struct FlowEvent(u16) {
        /// It is new.
        ADDED = 0 => "ADDED",
        /// It is gone.
        DELETED = 1 => "DELETED",
        /// It does something else now.
        MODIFIED = 2 => "MODIFIED",
        /// What the controller asked for under that xid was done.
        ABBREV = 3 => "ABBREV",
    }
}

/// A report of a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FlowUpdate {
    /// Something happened to a flow.
    Full {
        /// What: one of added, deleted, modified.
        event: FlowEvent,
        /// Why it is gone: a [`FlowRemovedReason`](crate::openflow::flow_removed::FlowRemovedReason).
        reason: u16,
        /// Its priority.
        priority: Priority,
        /// Its idle timeout in seconds.
        idle_timeout_s: u16,
        /// Its hard timeout in seconds.
        hard_timeout_s: u16,
        /// Its table.
        table: TableId,
        /// Its cookie.
        cookie: Cookie,
        /// Its match.
        flow_match: Match,
        /// What it does, if that was asked for.
        instructions: Vec<Instruction>,
    },
    /// What the controller itself asked for under that xid was done.
    Abbreviated(Xid),
}

/// Shape: length `u16`, event `u16`; an abbreviated one ends with an xid `u32`. A full one goes on with reason
/// `u16`, priority `u16`, idle and hard timeout `u16`, length of the match without its padding `u16`, table `u8`, a
/// zero, cookie `u64`, match, instructions.
///
/// # Errors
/// `BadType` for an event that is not known: what follows it cannot be cut.
///
/// Source: ONF EXT-187; `lib/ofp-monitor.c` of Open vSwitch 3.1.
impl Wire for FlowUpdate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let len = usize::from(r.u16()?);
        let event = FlowEvent(r.u16()?);
        if len % 8 != 0 || len > at.len() {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        if event.name().is_none() {
            let at = Reader::at(at.peek(), Part::Monitor, at.offset());
            return Err(at.error(Problem::BadType { found: event.0.into() }));
        }
        let mut body = r.body(len, 4, at.part())?;
        if event == FlowEvent::ABBREV {
            let xid = Xid(body.u32()?);
            return body.finish().map(|()| Self::Abbreviated(xid));
        }
        let reason = body.u16()?;
        let priority = Priority(body.u16()?);
        let (idle_timeout_s, hard_timeout_s) = (body.u16()?, body.u16()?);
        let match_len = usize::from(body.u16()?);
        let table = TableId(body.u8()?);
        body.skip(1)?;
        let cookie = Cookie(body.u64()?);
        if match_len > body.len() {
            return Err(at.error(Problem::BadLength { found: match_len }));
        }
        // The match says its length itself, and Open vSwitch takes that one.
        let flow_match = Match::decode(&mut body)?;
        let instructions = Instruction::decode_list(body)?;
        Ok(Self::Full {
            event,
            reason,
            priority,
            idle_timeout_s,
            hard_timeout_s,
            table,
            cookie,
            flow_match,
            instructions,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(0);
        match self {
            Self::Abbreviated(xid) => {
                w.u16(FlowEvent::ABBREV.0);
                w.u32(xid.0);
            }
            Self::Full {
                event,
                reason,
                priority,
                idle_timeout_s,
                hard_timeout_s,
                table,
                cookie,
                flow_match,
                instructions,
            } => {
                w.u16(event.0);
                w.u16(*reason);
                w.u16(priority.0);
                w.u16(*idle_timeout_s);
                w.u16(*hard_timeout_s);
                let len_at = w.mark();
                w.u16(0);
                w.u8(table.0);
                w.zeros(1);
                w.u64(cookie.0);
                encode_match(flow_match, len_at, w);
                super::encode_list(instructions, w);
            }
        }
        w.patch_len(mark, 0);
    }
}
