//! The ledger: one row a segment in table 62 of the switch itself.
//!
//! A row is a flow whose `metadata` match is the segment's number, whose cookie's lower half is all ones, and whose
//! actions hold the digest. Adding it again overwrites it; one delete by cookie takes segment and row together.

use crate::openflow::oxm::field;
use crate::openflow::{Action, Flow, FlowMod, Instruction, Match, SubField};
use crate::segment::digest::Digest;
use crate::segment::id::{Owner, SegmentId};
use crate::segment::step::Step;
use crate::types::{Cookie, Priority, TableId};

/// The table of the ledger. Never moves.
pub const TABLE: TableId = TableId(62);
const PRIORITY: Priority = Priority(1);

/// The row that says the switch holds `segment` with `digest`.
#[must_use]
pub fn row(segment: SegmentId, digest: Digest) -> Flow {
    let half = |register, value: u128| Action::load(SubField::all(register), value as u64);
    Flow {
        table: TABLE,
        priority: PRIORITY,
        cookie: segment.cookie(Owner::Row),
        flow_match: Match::new().with(field::METADATA, u64::from(segment.number())),
        instructions: vec![Instruction::ApplyActions(vec![
            half(field::XREG0, digest.0 >> 64),
            half(field::XREG1, digest.0),
        ])],
        ..Flow::default()
    }
}

/// The flow mod that writes the row, xid 0.
#[must_use]
pub fn write_row(segment: SegmentId, digest: Digest) -> Step {
    Step::add(&row(segment, digest))
}

/// The flow mod that deletes everything with that number in the upper half of its cookie, its row too; xid 0.
#[must_use]
pub fn delete_all(segment_number: u32) -> Step {
    Step::of(FlowMod::delete_by_cookie(Cookie(u64::from(segment_number) << 32), SegmentId::COOKIE_MASK.0))
}

/// The flow mod that deletes the row of that segment number, xid 0.
#[must_use]
pub fn delete_row(segment_number: u32) -> Step {
    let cookie = Cookie(u64::from(segment_number) << 32 | u64::from(u32::MAX));
    Step::of(FlowMod::delete_by_cookie(cookie, u64::MAX))
}

/// The segment number and digest in a flow of table 62; nothing if it is not a row as [`row`] writes them.
#[must_use]
pub fn read_row(flow: &Flow) -> Option<(u32, Digest)> {
    let number = (flow.cookie.0 >> 32) as u32;
    let [Instruction::ApplyActions(actions)] = &flow.instructions[..] else { return None };
    let [high, low] = &actions[..] else { return None };
    let half = |action: &Action, register| match action {
        Action::RegLoad { dst, value } if *dst == SubField::all(register) => Some(u128::from(*value)),
        _ => None,
    };
    let digest = Digest(half(high, field::XREG0)? << 64 | half(low, field::XREG1)?);
    let expected = Match::new().with(field::METADATA, u64::from(number));
    let is_row = flow.table == TABLE && flow.cookie.0 as u32 == u32::MAX && flow.flow_match == expected;
    is_row.then_some((number, digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NetworkId;

    #[test]
    fn reads_what_it_writes() {
        let segment = SegmentId::Network(NetworkId(7));
        let digest = Digest(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(read_row(&row(segment, digest)), Some((segment.number(), digest)));
    }

    #[test]
    fn a_flow_that_is_no_row_claims_nothing() {
        let mut flow = row(SegmentId::Network(NetworkId(7)), Digest(1));
        flow.cookie.0 ^= 1 << 32;
        assert_eq!(read_row(&flow), None);
        assert_eq!(read_row(&Flow { table: TABLE, ..Flow::default() }), None);
    }
}
