//! Table forward: which node an address is on.
//!
//! Shared flows match only what an endpoint sent (split horizon): what came from the fabric or a tunnel is delivered
//! here or discarded. How a packet gets to another node is the network's driver's.

use ipnet::Ipv4Net;

use super::driver;
use super::flow::{Matching, Then, ask, discard, flow};
use super::model::{Neighbour, Network, Node, Placement};
use crate::openflow::{Flow, Match};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::priority::{MISS, own_prefix, remote_prefix, unknown_prefix};
use crate::pipeline::register::Origin;
use crate::pipeline::table::Table;

/// What holds whatever networks there are.
pub(super) fn fixed() -> Flow {
    flow(Table::Forward, MISS, Match::new(), discard(DropReason::NoRoute))
}

/// A block or exception, as all nodes see it: endpoints' packets go to its node.
pub(super) fn placement(network: &Network, prefix: Ipv4Net, node: &Node) -> Flow {
    let (actions, next) = driver::to_node(network, node);
    flow(Table::Forward, remote_prefix(prefix.prefix_len()), sent(network, prefix), actions).then(next)
}

/// A block or exception on its own node: delivered here or nowhere.
pub(super) fn own_placement(placement: &Placement) -> Flow {
    let here = Match::new().network(placement.network).to(placement.prefix);
    flow(Table::Forward, own_prefix(placement.prefix.prefix_len()), here, vec![]).then(Table::Local)
}

/// A host of the VLAN; for the gateway also what is beyond it.
pub(super) fn neighbour(network: &Network, neighbour: &Neighbour) -> Vec<Flow> {
    let to = |prefix: Ipv4Net| {
        let (actions, next) = driver::to_neighbour(neighbour.mac);
        flow(Table::Forward, remote_prefix(prefix.prefix_len()), sent(network, prefix), actions).then(next)
    };
    let mut flows = vec![to(neighbour.address.into())];
    if network.gateway == Some(neighbour.address) {
        flows.push(to(Ipv4Net::default()));
    }
    flows
}

/// Addresses of a VLAN that are in no block: the controller asks the fabric who has them.
pub(super) fn unknown(network: &Network) -> Flow {
    let priority = unknown_prefix(network.subnet.prefix_len());
    flow(Table::Forward, priority, sent(network, network.subnet), ask(DropReason::NoRoute))
}

/// What the network's endpoints send to those addresses.
fn sent(network: &Network, prefix: Ipv4Net) -> Match {
    Match::new().network(network.id).origin(Origin::Endpoint).to(prefix)
}
