//! What "the node that holds this block" becomes, by the network's driver: a file each.

mod vlan;
mod vxlan;

use super::model::{Driver, Network, Node};
use crate::openflow::Action;
use crate::pipeline::table::Table;

pub(super) use vlan::{egress, to_neighbour};

/// What is done to a packet for another node, and where it goes on.
pub(super) fn to_node(network: &Network, node: &Node) -> (Vec<Action>, Table) {
    match network.driver {
        Driver::Vlan(_) => vlan::to_neighbour(node.nat_mac),
        Driver::Vxlan(vni) => vxlan::to_node(vni, node.tunnel_address),
    }
}
