//! Table policy: who may talk to whom. Within a network, everybody.

use super::flow::{Then, flow};
use crate::openflow::{Flow, Match};
use crate::pipeline::priority::MISS;
use crate::pipeline::table::Table;

/// What holds where nothing narrower does.
pub(super) fn fixed() -> Flow {
    flow(Table::Policy, MISS, Match::new(), vec![]).then(Table::Forward)
}
