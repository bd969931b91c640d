//! VLAN: out of the uplink, tagged, from the node's NAT MAC to the NAT MAC of the node that holds the address.

use crate::compile::flow::{Matching, VLAN_PRESENT, flow};
use crate::compile::model::{Network, Node};
use crate::openflow::oxm::field;
use crate::openflow::{Action, Flow, Match};
use crate::pipeline::port;
use crate::pipeline::priority::NORMAL;
use crate::pipeline::table::Table;
use crate::types::{MacAddr, VlanVid};

/// EtherType of a VLAN tag.
const VLAN: u16 = 0x8100;

/// To a host of the VLAN: another node, or one that is none.
pub(in crate::compile) fn to_neighbour(mac: MacAddr) -> (Vec<Action>, Table) {
    (vec![Action::set_field(field::ETH_DST, mac)], Table::Egress)
}

/// MAC NAT: what leaves bears the node's one address and the network's tag.
pub(in crate::compile) fn egress(node: &Node, network: &Network, vid: VlanVid) -> Flow {
    let actions = vec![
        Action::set_field(field::ETH_SRC, node.nat_mac),
        Action::PushVlan(VLAN),
        Action::set_field(field::VLAN_VID, VLAN_PRESENT | vid.get()),
        Action::output(port::UPLINK),
    ];
    flow(Table::Egress, NORMAL, Match::new().network(network.id), actions)
}
