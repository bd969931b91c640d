//! Table classify: where a packet comes from.
//!
//! Promises that nothing of the fabric goes on but from a network's VLAN, that a tunnel brings only what a node of the
//! pool has sent, that anything else must be untagged and is an endpoint's to prove, and that nothing of an endpoint's
//! ARP is looked into which its meter does not let through.

use super::flow::{Matching, Then, VLAN_PRESENT, discard, flow, load};
use super::limit::{ARP_GROUP, arp_meter};
use super::model::{Endpoint, Network, Node};
use crate::openflow::oxm::field;
use crate::openflow::{Action, Flow, Match};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::port;
use crate::pipeline::priority::{LOW, MIDDLE, MISS, NORMAL};
use crate::pipeline::register::{self, Origin};
use crate::pipeline::table::Table;
use crate::types::VlanVid;

/// What holds whatever networks, nodes and endpoints there are.
pub(super) fn fixed() -> Vec<Flow> {
    let from = |port: crate::types::PortNo| Match::new().with(field::IN_PORT, port);
    let tagged = Match::new().with_masked(field::VLAN_VID, VLAN_PRESENT, VLAN_PRESENT);
    vec![
        flow(Table::Classify, MIDDLE, from(port::UPLINK), discard(DropReason::UnknownOrigin)),
        flow(Table::Classify, MIDDLE, from(port::TUNNEL), discard(DropReason::TunnelSource)),
        flow(Table::Classify, LOW, tagged, discard(DropReason::Tagged)),
        flow(Table::Classify, MISS, Match::new(), vec![]).then(Table::Guard),
    ]
}

/// What that node has encapsulated; an inner tag is not let through. Source: RFC 7348 §6.1.
pub(super) fn pool_node(node: &Node) -> Flow {
    let from = Match::new()
        .with(field::IN_PORT, port::TUNNEL)
        .with(field::TUN_IPV4_SRC, node.tunnel_address)
        .untagged();
    flow(Table::Classify, NORMAL, from, vec![load(register::ORIGIN, Origin::Tunnel as u32)]).then(Table::Vni)
}

/// An endpoint's ARP: it passes the endpoint's meter, and what the meter lets through goes on to guard.
pub(super) fn endpoint(endpoint: &Endpoint) -> Flow {
    let arp = Match::new().with(field::IN_PORT, endpoint.ofport).arp().untagged();
    flow(Table::Classify, NORMAL, arp, vec![Action::Group(ARP_GROUP)]).metered(arp_meter(endpoint))
}

/// What comes from the fabric on the network's VLAN.
pub(super) fn vlan(network: &Network, vid: VlanVid) -> Flow {
    let from =
        Match::new().with(field::IN_PORT, port::UPLINK).with(field::VLAN_VID, VLAN_PRESENT | vid.get());
    let actions = vec![
        Action::PopVlan,
        load(register::NETWORK, network.id.0),
        load(register::ORIGIN, Origin::Uplink as u32),
    ];
    flow(Table::Classify, NORMAL, from, actions).then(Table::Neighbour)
}
