//! Tables output and drop: the two ends of the pipeline.

use super::flow::flow;
use crate::openflow::{Action, Flow, Match, SubField};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::priority::{MISS, NORMAL};
use crate::pipeline::register;
use crate::pipeline::table::Table;

/// To the port that was decided on.
pub(super) fn fixed() -> Flow {
    let to_port = Action::output_reg(SubField::all(register::PORT.field));
    flow(Table::Output, MISS, Match::new(), vec![to_port])
}

/// A counter for every reason to discard a packet.
pub(super) fn drops() -> impl Iterator<Item = Flow> {
    DropReason::ALL.into_iter().map(|reason| {
        let of = Match::new().with(register::DROP_REASON.field, reason.number());
        flow(Table::Drop, NORMAL, of, vec![])
    })
}
