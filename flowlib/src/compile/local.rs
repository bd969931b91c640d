//! Table local: this node's endpoints.

use super::flow::{Matching, Then, ask, discard, flow, load};
use super::model::{Endpoint, Network};
use crate::openflow::oxm::field;
use crate::openflow::{Action, Flow, Match};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::priority::{LOW, MISS, NORMAL};
use crate::pipeline::register;
use crate::pipeline::table::Table;

/// What holds whatever endpoints there are.
pub(super) fn fixed() -> Flow {
    flow(Table::Local, MISS, Match::new(), discard(DropReason::NoEndpoint))
}

/// An address of a VLAN that is in a block of this node but no endpoint's: the controller asks the fabric who has it.
pub(super) fn unknown(network: &Network) -> Flow {
    let to_nobody = Match::new().network(network.id).ipv4();
    flow(Table::Local, LOW, to_nobody, ask(DropReason::NoEndpoint))
}

/// Delivery to an endpoint.
pub(super) fn endpoint(endpoint: &Endpoint) -> Flow {
    let to = Match::new().network(endpoint.network).to(endpoint.address.into());
    let actions =
        vec![Action::set_field(field::ETH_DST, endpoint.mac), load(register::PORT, endpoint.ofport.0)];
    flow(Table::Local, NORMAL, to, actions).then(Table::Output)
}
