//! Table guard: what an endpoint may send.
//!
//! Promises that what goes on comes from an endpoint's port with that endpoint's MAC and IP address, and that an
//! endpoint which asks whether its own address is taken is not answered.

use super::flow::{IPV6, Matching, Then, discard, flow, load};
use super::model::Endpoint;
use crate::openflow::oxm::field;
use crate::openflow::{Flow, Match};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::priority::{HIGH, LOW, MISS, NORMAL};
use crate::pipeline::register::{self, Origin};
use crate::pipeline::table::Table;

/// What holds for every endpoint. An ARP probe has the sender address 0.0.0.0. Source: RFC 5227 §1.1.
pub(super) fn fixed() -> Vec<Flow> {
    let probe = Match::new().arp().with(field::ARP_SPA, std::net::Ipv4Addr::UNSPECIFIED);
    let ipv6 = Match::new().with(field::ETH_TYPE, IPV6);
    vec![
        flow(Table::Guard, HIGH, probe, discard(DropReason::OwnAddress)),
        flow(Table::Guard, LOW, ipv6, discard(DropReason::Ipv6)),
        flow(Table::Guard, MISS, Match::new(), discard(DropReason::Spoofed)),
    ]
}

/// What bears the endpoint's own addresses: it is the endpoint's, and of its network.
pub(super) fn endpoint(endpoint: &Endpoint) -> Vec<Flow> {
    let from = Match::new().with(field::IN_PORT, endpoint.ofport);
    let own = from.clone().with(field::ETH_SRC, endpoint.mac);
    let ip = own.clone().ipv4().with(field::IPV4_SRC, endpoint.address);
    let arp = own.arp().with(field::ARP_SPA, endpoint.address).with(field::ARP_SHA, endpoint.mac);
    let for_itself = from.arp().with(field::ARP_TPA, endpoint.address);
    let genuine =
        vec![load(register::NETWORK, endpoint.network.0), load(register::ORIGIN, Origin::Endpoint as u32)];
    vec![
        flow(Table::Guard, NORMAL, ip, genuine.clone()).then(Table::Neighbour),
        flow(Table::Guard, NORMAL, arp, genuine).then(Table::Neighbour),
        flow(Table::Guard, HIGH, for_itself, discard(DropReason::OwnAddress)),
    ]
}
