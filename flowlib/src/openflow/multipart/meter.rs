//! What meters counted and what they can do.

use crate::types::MeterId;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

use super::group::BucketCounter;

/// What a meter counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterStats {
    /// The meter.
    pub meter: MeterId,
    /// How many flows use it.
    pub flow_count: u32,
    /// Packets that came to it.
    pub packet_in_count: u64,
    /// Bytes of those packets.
    pub byte_in_count: u64,
    /// Whole seconds it has lived.
    pub duration_s: u32,
    /// Nanoseconds beyond.
    pub duration_ns: u32,
    /// What its bands took hold of, in their order.
    pub bands: Vec<BucketCounter>,
}

/// Shape: meter `u32`, length `u16`, 6 zeros, flows `u32`, packets `u64`, bytes `u64`, seconds `u32`, nanoseconds
/// `u32`, a pair of counters for each band.
///
/// Source: OpenFlow 1.3.5 §7.3.5.12.
impl Wire for MeterStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let meter = MeterId(r.u32()?);
        let len = usize::from(r.u16()?);
        let mut r = r.body(len, 6, Part::Multipart)?;
        r.skip(6)?;
        let flow_count = r.u32()?;
        let (packet_in_count, byte_in_count) = (r.u64()?, r.u64()?);
        let (duration_s, duration_ns) = (r.u32()?, r.u32()?);
        if r.len() % 16 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let bands = super::decode_list(&mut r)?;
        Ok(Self { meter, flow_count, packet_in_count, byte_in_count, duration_s, duration_ns, bands })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u32(self.meter.0);
        w.u16(0);
        w.zeros(6);
        w.u32(self.flow_count);
        w.u64(self.packet_in_count);
        w.u64(self.byte_in_count);
        w.u32(self.duration_s);
        w.u32(self.duration_ns);
        super::encode_list(&self.bands, w);
        w.patch_len(mark, 4);
    }
}

/// What a switch's meters can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MeterFeatures {
    /// How many meters it can hold.
    pub max_meters: u32,
    /// Which bands it has: bit `n` is band type `n`.
    pub band_types: u32,
    /// Which [`MeterFlags`](crate::openflow::MeterFlags) it has.
    pub capabilities: u32,
    /// How many bands a meter can have.
    pub max_bands: u8,
    /// The highest colour.
    pub max_color: u8,
}

/// Shape: meters `u32`, band types `u32`, capabilities `u32`, bands `u8`, colour `u8`, 2 zeros.
///
/// Source: OpenFlow 1.3.5 §7.3.5.14.
impl Wire for MeterFeatures {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (max_meters, band_types, capabilities) = (r.u32()?, r.u32()?, r.u32()?);
        let (max_bands, max_color) = (r.u8()?, r.u8()?);
        r.skip(2)?;
        Ok(Self { max_meters, band_types, capabilities, max_bands, max_color })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.max_meters);
        w.u32(self.band_types);
        w.u32(self.capabilities);
        w.u8(self.max_bands);
        w.u8(self.max_color);
        w.zeros(2);
    }
}
