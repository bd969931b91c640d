//! Flows that a switch has removed.

use crate::types::{Cookie, Priority, TableId};
use crate::wire::{DecodeError, Reader, Wire, Writer, open_enum};

use super::oxm::Match;

open_enum! {
    /// Why a flow is gone. Source: OpenFlow 1.3.5 §7.4.2.
    pub struct FlowRemovedReason(u8) {
        /// No packet came for its idle timeout.
        IDLE_TIMEOUT = 0 => "idle",
        /// Its hard timeout passed.
        HARD_TIMEOUT = 1 => "hard",
        /// A flow mod deleted it.
        DELETE = 2 => "delete",
        /// Its group was deleted.
        GROUP_DELETE = 3 => "group_delete",
        /// Its meter was deleted.
        METER_DELETE = 4 => "meter_delete",
        /// The switch made room.
        EVICTION = 5 => "eviction",
    }
}

/// A flow that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowRemoved {
    /// Its cookie.
    pub cookie: Cookie,
    /// Its priority.
    pub priority: Priority,
    /// Why.
    pub reason: FlowRemovedReason,
    /// Its table.
    pub table: TableId,
    /// Whole seconds it lived.
    pub duration_s: u32,
    /// Nanoseconds beyond.
    pub duration_ns: u32,
    /// Its idle timeout in seconds.
    pub idle_timeout_s: u16,
    /// Its hard timeout in seconds.
    pub hard_timeout_s: u16,
    /// Packets it matched.
    pub packet_count: u64,
    /// Bytes of those packets.
    pub byte_count: u64,
    /// Its match.
    pub flow_match: Match,
}

/// Shape: cookie `u64`, priority `u16`, reason `u8`, table `u8`, seconds `u32`, nanoseconds `u32`, timeouts `u16`
/// each, packets `u64`, bytes `u64`, match.
///
/// Source: OpenFlow 1.3.5 §7.4.2.
impl Wire for FlowRemoved {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            cookie: Cookie(r.u64()?),
            priority: Priority(r.u16()?),
            reason: FlowRemovedReason(r.u8()?),
            table: TableId(r.u8()?),
            duration_s: r.u32()?,
            duration_ns: r.u32()?,
            idle_timeout_s: r.u16()?,
            hard_timeout_s: r.u16()?,
            packet_count: r.u64()?,
            byte_count: r.u64()?,
            flow_match: Match::decode(r)?,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.cookie.0);
        w.u16(self.priority.0);
        w.u8(self.reason.0);
        w.u8(self.table.0);
        w.u32(self.duration_s);
        w.u32(self.duration_ns);
        w.u16(self.idle_timeout_s);
        w.u16(self.hard_timeout_s);
        w.u64(self.packet_count);
        w.u64(self.byte_count);
        self.flow_match.encode(w);
    }
}
