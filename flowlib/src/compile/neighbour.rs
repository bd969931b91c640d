//! Table neighbour: ARP answered in the switch, and who is addressed.
//!
//! Promises that no ARP of an endpoint goes further than this table, that the fabric is answered only by the node
//! that holds the address, and that IP goes on only if it is addressed to this hop.

use std::net::Ipv4Addr;

use super::flow::{ARP_REPLY, ARP_REQUEST, Matching, Then, VLAN_PRESENT, discard, flow};
use super::limit::REPLY_METER;
use super::model::{Endpoint, Network, NetworkId, Node};
use crate::openflow::oxm::field;
use crate::openflow::{Action, Flow, Match};
use crate::pipeline::VIRTUAL_MAC;
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::priority::{HIGH, LOW, MISS, NORMAL};
use crate::pipeline::register::{self, Origin};
use crate::pipeline::table::Table;
use crate::types::{MacAddr, PortNo, Priority, VlanVid};

/// EtherType of a VLAN tag.
const VLAN: u16 = 0x8100;

/// What holds whatever networks and endpoints there are.
///
/// An ARP reply from the fabric is an external neighbour's answer to a probe, or its announcement: the controller's.
pub(super) fn fixed() -> Vec<Flow> {
    let reply = Match::new().origin(Origin::Uplink).arp().with(field::ARP_OP, ARP_REPLY);
    let to_this_hop = Match::new().origin(Origin::Endpoint).ipv4().with(field::ETH_DST, VIRTUAL_MAC);
    vec![
        flow(Table::Neighbour, NORMAL, reply, vec![Action::output(PortNo::CONTROLLER)]).metered(REPLY_METER),
        flow(Table::Neighbour, LOW, Match::new().arp(), discard(DropReason::NeighbourUnanswered)),
        flow(Table::Neighbour, NORMAL, to_this_hop, vec![]).then(Table::Policy),
        flow(Table::Neighbour, MISS, Match::new(), discard(DropReason::NotAddressedHere)),
    ]
}

/// The one answer of a network: the virtual MAC, for every address of its subnet.
///
/// The mask lets through requests to the broadcast address and to the virtual MAC (an entry being revalidated), and
/// of all other addresses only those with the same eight bits set.
pub(super) fn network(network: &Network) -> Flow {
    let asked = Match::new()
        .network(network.id)
        .origin(Origin::Endpoint)
        .with_masked(field::ETH_DST, VIRTUAL_MAC, VIRTUAL_MAC)
        .arp()
        .with(field::ARP_OP, ARP_REQUEST)
        .with_prefix(field::ARP_TPA, network.subnet);
    let mut actions = answer(VIRTUAL_MAC);
    actions.push(Action::output(PortNo::IN_PORT));
    flow(Table::Neighbour, HIGH, asked, actions)
}

/// What comes from the fabric to the node's one address.
pub(super) fn node(node: &Node) -> Flow {
    let to_this_hop = Match::new().origin(Origin::Uplink).ipv4().with(field::ETH_DST, node.nat_mac);
    flow(Table::Neighbour, NORMAL, to_this_hop, vec![]).then(Table::Policy)
}

/// The fabric's requests for an endpoint of a VLAN, answered with its node's NAT MAC.
pub(super) fn vlan_endpoint(endpoint: &Endpoint, vid: VlanVid, nat_mac: MacAddr) -> Flow {
    to_fabric(HIGH, endpoint.network, endpoint.address, vid, nat_mac)
}

/// The fabric's requests for a node's own address of a block. An endpoint that has it from before there were such
/// addresses goes first.
pub(super) fn own_address(network: NetworkId, address: Ipv4Addr, vid: VlanVid, nat_mac: MacAddr) -> Flow {
    to_fabric(NORMAL, network, address, vid, nat_mac)
}

fn to_fabric(
    priority: Priority,
    network: NetworkId,
    address: Ipv4Addr,
    vid: VlanVid,
    nat_mac: MacAddr,
) -> Flow {
    let asked = Match::new()
        .network(network)
        .origin(Origin::Uplink)
        .arp()
        .with(field::ARP_OP, ARP_REQUEST)
        .with(field::ARP_TPA, address);
    let mut actions = answer(nat_mac);
    actions.extend([
        Action::PushVlan(VLAN),
        Action::set_field(field::VLAN_VID, VLAN_PRESENT | vid.get()),
        Action::output(PortNo::IN_PORT),
    ]);
    flow(Table::Neighbour, priority, asked, actions)
}

/// Turns an ARP request into the reply that `mac` has the address asked for. Source: RFC 826.
fn answer(mac: MacAddr) -> Vec<Action> {
    vec![
        Action::reg_move(field::ETH_SRC, field::ETH_DST),
        Action::set_field(field::ETH_SRC, mac),
        Action::set_field(field::ARP_OP, ARP_REPLY),
        Action::reg_move(field::ARP_SHA, field::ARP_THA),
        Action::set_field(field::ARP_SHA, mac),
        Action::reg_move(field::ARP_TPA, register::SCRATCH.field),
        Action::reg_move(field::ARP_SPA, field::ARP_TPA),
        Action::reg_move(register::SCRATCH.field, field::ARP_SPA),
    ]
}
