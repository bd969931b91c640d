//! What a segment has besides flows: the pool's meters and groups.

use flowlib::compile::{PACKET_IN_BURST, PACKET_IN_RATE, REPLY_METER, UNKNOWN_METER};
use flowlib::openflow::meter::BandKind;
use flowlib::openflow::{Band, Meter, MeterFlags};
use flowlib::segment::Segment;
use flowlib::segment::fixture::Fixture;
use flowlib::segment::id::SegmentId;
use flowlib::types::MeterId;

/// A segment without flows, with its meters.
#[must_use]
pub(super) fn empty(id: SegmentId, version: u64) -> Segment {
    let mut segment = Segment::new(id, version);
    if let SegmentId::Pool(_) = id {
        for meter in [REPLY_METER, UNKNOWN_METER] {
            segment.add_fixture(packet_in_meter(meter));
        }
    }
    segment
}

/// Bounds what one switch sends to the controller: a guest can provoke it.
fn packet_in_meter(meter: MeterId) -> Fixture {
    let band = Band { rate: PACKET_IN_RATE, burst: PACKET_IN_BURST, kind: BandKind::Drop };
    let flags = MeterFlags::PKTPS | MeterFlags::BURST | MeterFlags::STATS;
    Fixture::Meter(Meter { meter, flags, bands: vec![band] })
}
