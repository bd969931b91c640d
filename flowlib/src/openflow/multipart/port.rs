//! What ports counted.

use crate::types::PortNo;
use crate::wire::{DecodeError, Reader, Wire, Writer};

/// What a port counted. All ones in a counter: the switch does not count that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct PortStats {
    /// The port.
    pub port: PortNo,
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_frame_errors: u64,
    pub rx_over_errors: u64,
    pub rx_crc_errors: u64,
    pub collisions: u64,
    /// Whole seconds it has been there.
    pub duration_s: u32,
    /// Nanoseconds beyond.
    pub duration_ns: u32,
}

/// Shape: port `u32`, 4 zeros, twelve counters `u64`, seconds `u32`, nanoseconds `u32`.
///
/// Source: OpenFlow 1.3.5 §7.3.5.6.
impl Wire for PortStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let port = PortNo(r.u32()?);
        r.skip(4)?;
        Ok(Self {
            port,
            rx_packets: r.u64()?,
            tx_packets: r.u64()?,
            rx_bytes: r.u64()?,
            tx_bytes: r.u64()?,
            rx_dropped: r.u64()?,
            tx_dropped: r.u64()?,
            rx_errors: r.u64()?,
            tx_errors: r.u64()?,
            rx_frame_errors: r.u64()?,
            rx_over_errors: r.u64()?,
            rx_crc_errors: r.u64()?,
            collisions: r.u64()?,
            duration_s: r.u32()?,
            duration_ns: r.u32()?,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.port.0);
        w.zeros(4);
        for counter in [
            self.rx_packets,
            self.tx_packets,
            self.rx_bytes,
            self.tx_bytes,
            self.rx_dropped,
            self.tx_dropped,
            self.rx_errors,
            self.tx_errors,
            self.rx_frame_errors,
            self.rx_over_errors,
            self.rx_crc_errors,
            self.collisions,
        ] {
            w.u64(counter);
        }
        w.u32(self.duration_s);
        w.u32(self.duration_ns);
    }
}
