//! From intent to flows: functions, one for each owner of flows, put together from one file a table or driver.
//!
//! An event of the intent touches few owners: creating a container compiles [`endpoint`] and nothing else; a block
//! given to a node compiles [`placement`] for all nodes of the network and [`node_network`] for its own.

mod classify;
mod driver;
mod flow;
mod forward;
mod guard;
mod limit;
mod local;
pub mod model;
mod neighbour;
mod output;
mod policy;
mod vni;

use std::net::Ipv4Addr;

use model::{Driver, Endpoint, Neighbour, Network, Node, Placement};

pub use limit::{REPLY_METER, UNKNOWN_METER, groups, meters};

use crate::openflow::Flow;

/// What every switch holds (segment pool, owner segment).
#[must_use]
pub fn fixed() -> Vec<Flow> {
    let mut flows = classify::fixed();
    flows.push(vni::fixed());
    flows.extend(guard::fixed());
    flows.extend(neighbour::fixed());
    flows.extend([policy::fixed(), forward::fixed(), local::fixed(), output::fixed()]);
    flows.extend(output::drops());
    flows
}

/// What every switch of a pool knows of each of its nodes (segment pool, owner node).
#[must_use]
pub fn pool_node(node: &Node) -> Vec<Flow> {
    vec![classify::pool_node(node)]
}

/// What every switch holds on which a network is present (segment network, owner segment).
#[must_use]
pub fn network(network: &Network) -> Vec<Flow> {
    let answer = neighbour::network(network);
    match network.driver {
        Driver::Vlan(vid) => {
            vec![classify::vlan(network, vid), answer, forward::unknown(network), local::unknown(network)]
        }
        Driver::Vxlan(vni) => vec![vni::network(network, vni), answer],
    }
}

/// Where a block or an exception is (segment network, owner placement).
#[must_use]
pub fn placement(network: &Network, placement: &Placement, node: &Node) -> Vec<Flow> {
    vec![forward::placement(network, placement.prefix, node)]
}

/// Where a host of the VLAN is that is no endpoint (segment network, owner neighbour).
#[must_use]
pub fn neighbour(network: &Network, neighbour: &Neighbour) -> Vec<Flow> {
    forward::neighbour(network, neighbour)
}

/// What a node holds whatever is on it (segment node, owner segment).
#[must_use]
pub fn node(node: &Node) -> Vec<Flow> {
    vec![neighbour::node(node)]
}

/// What a node holds for a network that is present on it (segment node, owner network): its blocks, and which addresses of
/// them are its own ([`Network::own_address`]) and nobody else's.
#[must_use]
pub fn node_network(node: &Node, network: &Network, own: &[Placement], addresses: &[Ipv4Addr]) -> Vec<Flow> {
    let mut flows: Vec<Flow> = own.iter().map(forward::own_placement).collect();
    if let Driver::Vlan(vid) = network.driver {
        flows.push(driver::egress(node, network, vid));
        let answered = |address: &Ipv4Addr| neighbour::own_address(network.id, *address, vid, node.nat_mac);
        flows.extend(addresses.iter().map(answered));
    }
    flows
}

/// What a node holds for one of its endpoints (segment node, owner endpoint); `exception`: its address is in no block
/// of the node.
#[must_use]
pub fn endpoint(node: &Node, network: &Network, endpoint: &Endpoint, exception: bool) -> Vec<Flow> {
    let mut flows = vec![classify::endpoint(endpoint)];
    flows.extend(guard::endpoint(endpoint));
    if let Driver::Vlan(vid) = network.driver {
        flows.push(neighbour::vlan_endpoint(endpoint, vid, node.nat_mac));
    }
    if exception {
        let here = Placement { network: network.id, prefix: endpoint.address.into(), node: node.id };
        flows.push(forward::own_placement(&here));
    }
    flows.push(local::endpoint(endpoint));
    flows
}

/// How many addresses lie between the subnet's first and this one: how owners of a network's segment are numbered.
#[must_use]
pub fn offset(network: &Network, address: Ipv4Addr) -> u32 {
    u32::from(address).wrapping_sub(u32::from(network.subnet.network()))
}
