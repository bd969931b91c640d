//! What groups counted and what they can do.

use crate::types::GroupId;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

/// What a group counted. All ones in a counter: the switch does not count that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupStats {
    /// The group.
    pub group: GroupId,
    /// How many flows and groups refer to it.
    pub ref_count: u32,
    /// Packets that went through it.
    pub packet_count: u64,
    /// Bytes of those packets.
    pub byte_count: u64,
    /// Whole seconds it has lived.
    pub duration_s: u32,
    /// Nanoseconds beyond.
    pub duration_ns: u32,
    /// What its buckets counted, in their order.
    pub buckets: Vec<BucketCounter>,
}

/// What a bucket, or a meter's band, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketCounter {
    /// Packets.
    pub packet_count: u64,
    /// Bytes of those packets.
    pub byte_count: u64,
}

/// Shape: packets `u64`, bytes `u64`.
impl Wire for BucketCounter {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { packet_count: r.u64()?, byte_count: r.u64()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.packet_count);
        w.u64(self.byte_count);
    }
}

/// Shape: length `u16`, 2 zeros, group `u32`, references `u32`, 4 zeros, packets `u64`, bytes `u64`, seconds `u32`,
/// nanoseconds `u32`, a pair of counters for each bucket.
///
/// Source: OpenFlow 1.3.5 §7.3.5.8.
impl Wire for GroupStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let len = usize::from(r.u16()?);
        let mut r = r.body(len, 2, Part::Multipart)?;
        r.skip(2)?;
        let (group, ref_count) = (GroupId(r.u32()?), r.u32()?);
        r.skip(4)?;
        let (packet_count, byte_count) = (r.u64()?, r.u64()?);
        let (duration_s, duration_ns) = (r.u32()?, r.u32()?);
        if r.len() % 16 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let buckets = super::decode_list(&mut r)?;
        Ok(Self { group, ref_count, packet_count, byte_count, duration_s, duration_ns, buckets })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.zeros(4);
        w.u32(self.group.0);
        w.u32(self.ref_count);
        w.zeros(4);
        w.u64(self.packet_count);
        w.u64(self.byte_count);
        w.u32(self.duration_s);
        w.u32(self.duration_ns);
        super::encode_list(&self.buckets, w);
        w.patch_len(mark, 0);
    }
}

/// What a switch's groups can do. The lists are by group type: all, select, indirect, fast failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupFeatures {
    /// A bit for each type it has.
    pub types: u32,
    /// OFPGFC_ bits.
    pub capabilities: u32,
    /// How many groups of each type it can hold.
    pub max_groups: [u32; 4],
    /// Which actions buckets of each type may have: bit `n` is action type `n`.
    pub actions: [u32; 4],
}

/// Shape: types `u32`, capabilities `u32`, four counts `u32`, four sets of actions `u32`.
///
/// Source: OpenFlow 1.3.5 §7.3.5.10.
impl Wire for GroupFeatures {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut found = Self { types: r.u32()?, capabilities: r.u32()?, max_groups: [0; 4], actions: [0; 4] };
        for place in found.max_groups.iter_mut().chain(&mut found.actions) {
            *place = r.u32()?;
        }
        Ok(found)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.types);
        w.u32(self.capabilities);
        for number in self.max_groups.iter().chain(&self.actions) {
            w.u32(*number);
        }
    }
}
