//! What queues counted.

use crate::types::PortNo;
use crate::wire::{DecodeError, Reader, Wire, Writer};

/// Which queues are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueStatsRequest {
    /// Of this port; `PortNo::ANY`: of every port.
    pub port: PortNo,
    /// This queue; [`ALL`](crate::openflow::queue::ALL): every queue.
    pub queue: u32,
}

/// Shape: port `u32`, queue `u32`.
///
/// Source: OpenFlow 1.3.5 §7.3.5.7.
impl Wire for QueueStatsRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { port: PortNo(r.u32()?), queue: r.u32()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.port.0);
        w.u32(self.queue);
    }
}

/// What a queue counted. All ones in a counter: the switch does not count that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueStats {
    /// Its port.
    pub port: PortNo,
    /// Its number.
    pub queue: u32,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets lost because it was full.
    pub tx_errors: u64,
    /// Whole seconds it has been there.
    pub duration_s: u32,
    /// Nanoseconds beyond.
    pub duration_ns: u32,
}

/// Shape: port `u32`, queue `u32`, bytes `u64`, packets `u64`, errors `u64`, seconds `u32`, nanoseconds `u32`.
///
/// Source: OpenFlow 1.3.5 §7.3.5.7.
impl Wire for QueueStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            port: PortNo(r.u32()?),
            queue: r.u32()?,
            tx_bytes: r.u64()?,
            tx_packets: r.u64()?,
            tx_errors: r.u64()?,
            duration_s: r.u32()?,
            duration_ns: r.u32()?,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.port.0);
        w.u32(self.queue);
        w.u64(self.tx_bytes);
        w.u64(self.tx_packets);
        w.u64(self.tx_errors);
        w.u32(self.duration_s);
        w.u32(self.duration_ns);
    }
}
