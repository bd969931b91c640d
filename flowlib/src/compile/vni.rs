//! Table vni: a tunnel's network.

use super::flow::{Then, discard, flow, load};
use super::model::Network;
use crate::openflow::oxm::field;
use crate::openflow::{Flow, Match};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::priority::{MISS, NORMAL};
use crate::pipeline::register;
use crate::pipeline::table::Table;
use crate::types::Vni;

/// What holds whatever networks there are.
pub(super) fn fixed() -> Flow {
    flow(Table::Vni, MISS, Match::new(), discard(DropReason::TunnelSource))
}

/// The network of that VNI. What a node of the pool has encapsulated has passed guard and neighbour there.
pub(super) fn network(network: &Network, vni: Vni) -> Flow {
    let of = Match::new().with(field::TUNNEL_ID, u64::from(vni.get()));
    flow(Table::Vni, NORMAL, of, vec![load(register::NETWORK, network.id.0)]).then(Table::Policy)
}
