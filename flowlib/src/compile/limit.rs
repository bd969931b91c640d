//! Limits: how often an endpoint may trouble ovs-vswitchd, and a switch the controller.
//!
//! An answer to ARP is an upcall to ovs-vswitchd, and so is each packet unlike those before it. A meter spares it those
//! only if it drops packets before anything is looked into: an endpoint's ARP passes its meter first, by a flow that
//! matches port and EtherType alone, and then a group of type select, at which Open vSwitch ends the cached flow and
//! begins another for what the meter has let through.

use super::model::Endpoint;
use crate::openflow::{Action, Band, BandKind, Bucket, Group, GroupType, Meter, MeterFlags};
use crate::pipeline::table::Table;
use crate::types::{GroupId, MeterId, PortNo};

/// The meter that bounds the answers of external neighbours that one node's switch shows the controller.
pub const REPLY_METER: MeterId = MeterId(1);
/// The meter that bounds the packets to unknown addresses that one node's switch shows the controller: a guest can
/// send as many as it likes, and must not drown the answers.
pub const UNKNOWN_METER: MeterId = MeterId(2);
/// The rate of either, packets a second.
const PACKET_IN_RATE: u32 = 200;
/// The burst of either, packets.
const PACKET_IN_BURST: u32 = 50;

/// The first of the meters of endpoints' ARP.
const FIRST_ARP_METER: u32 = 16;
/// How many those are. Endpoints share them by their port numbers: whom one of them disturbs is few.
const N_ARP_METERS: u32 = 64;
/// The rate of each, packets a second.
const ARP_RATE: u32 = 200;
/// The burst of each: an endpoint may begin to talk to that many peers at once.
const ARP_BURST: u32 = 400;

/// The group behind the ARP meters.
pub(super) const ARP_GROUP: GroupId = GroupId(1);

/// The meter of an endpoint's ARP.
pub(super) fn arp_meter(endpoint: &Endpoint) -> MeterId {
    MeterId(FIRST_ARP_METER + endpoint.ofport.0 % N_ARP_METERS)
}

/// The meters that every switch has (segment pool).
#[must_use]
pub fn meters() -> Vec<Meter> {
    let packet_in = [REPLY_METER, UNKNOWN_METER].map(|meter| limit(meter, PACKET_IN_RATE, PACKET_IN_BURST));
    let arp = (0..N_ARP_METERS).map(|n| limit(MeterId(FIRST_ARP_METER + n), ARP_RATE, ARP_BURST));
    packet_in.into_iter().chain(arp).collect()
}

/// The groups that every switch has (segment pool). A resubmit, but forward: from classify to guard.
#[must_use]
pub fn groups() -> Vec<Group> {
    let actions = vec![Action::resubmit(Table::Guard.id())];
    let bucket = Bucket { weight: 1, watch_port: PortNo::ANY, watch_group: GroupId::ANY, actions };
    vec![Group { group: ARP_GROUP, group_type: GroupType::SELECT, buckets: vec![bucket] }]
}

fn limit(meter: MeterId, rate: u32, burst: u32) -> Meter {
    let flags = MeterFlags::PKTPS | MeterFlags::BURST | MeterFlags::STATS;
    Meter { meter, flags, bands: vec![Band { rate, burst, kind: BandKind::Drop }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_a_meter_that_is_there_and_neighbours_have_different_ones() {
        let there: Vec<MeterId> = meters().into_iter().map(|meter| meter.meter).collect();
        let of = |port| {
            let (mac, address) = (crate::types::MacAddr([0; 6]), std::net::Ipv4Addr::UNSPECIFIED);
            let (id, network) = (crate::types::EndpointId(1), crate::types::NetworkId(1));
            arp_meter(&Endpoint { id, network, address, mac, ofport: PortNo(port) })
        };
        for port in crate::pipeline::port::ENDPOINTS {
            assert!(there.contains(&of(port)) && of(port) != of(port + 1), "{port}");
        }
    }
}
