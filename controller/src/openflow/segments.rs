//! What a segment has besides flows: the pool's meters and groups.

use flowlib::compile;
use flowlib::segment::Segment;
use flowlib::segment::fixture::Fixture;
use flowlib::segment::id::SegmentId;

/// A segment without flows, with its meters and groups.
#[must_use]
pub(super) fn empty(id: SegmentId, version: u64) -> Segment {
    let mut segment = Segment::new(id, version);
    if let SegmentId::Pool(_) = id {
        let meters = compile::meters().into_iter().map(Fixture::Meter);
        let all = meters.chain(compile::groups().into_iter().map(Fixture::Group));
        all.for_each(|fixture| segment.add_fixture(fixture));
    }
    segment
}
