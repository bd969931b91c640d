//! ARP on the fabric: what each captured frame is, and whose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use etherparse::{ArpOperation, EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// A MAC address.
pub(super) type MacBytes = [u8; 6];

/// Who is who on the fabric.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Containers' own MAC addresses: they must never be seen.
    pub(super) container_macs: BTreeSet<MacBytes>,
    /// Containers' addresses.
    pub(super) container_addresses: BTreeSet<Ipv4Addr>,
    /// Each node's NAT MAC, with the node's name.
    pub(super) nat_macs: BTreeMap<MacBytes, String>,
}

/// How many ARP frames of each kind were seen. A frame is counted on the uplink of the node that sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ArpCounts {
    /// Sent by a container, or in a container's name, but for announcements and answers.
    pub(super) from_containers: usize,
    /// A node says where an endpoint's address is: sender and target address are the endpoint's.
    pub(super) announcements: usize,
    /// A node shows its NAT MAC: RARP, which nobody answers.
    pub(super) nat_mac_refreshes: usize,
    /// A node looks for an external neighbour: a probe from 0.0.0.0.
    pub(super) resolutions: usize,
    /// A node answers a host outside for an endpoint.
    pub(super) answers: usize,
}

impl ArpCounts {
    /// Counts a frame captured on the uplink of `node`.
    pub(super) fn count(&mut self, node: &str, frame: &[u8], known: &Known) {
        let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else { return };
        if let Some(inner) = tunnelled(&packet) {
            // A container's ARP has no business in a tunnel either.
            let mut carried = ArpCounts::default();
            carried.count(node, inner, known);
            self.from_containers += carried.from_containers;
            return;
        }
        let Some(source) = frame.get(6..12) else { return };
        let is_nodes_own = known.nat_macs.iter().any(|(mac, owner)| mac == source && owner == node);
        if is_rarp(&packet) {
            self.nat_mac_refreshes += usize::from(is_nodes_own);
            return;
        }
        let Some(LaxNetSlice::Arp(arp)) = packet.net else { return };
        let Ok(arp) = arp.to_packet().try_eth_ipv4() else { return };
        let sent_by_container =
            known.container_macs.iter().any(|mac| mac == source || *mac == arp.sender_mac);
        let (sender, target) = (arp.sender_ipv4_addr(), arp.target_ipv4_addr());
        if sent_by_container {
            self.from_containers += 1;
        } else if !is_nodes_own {
            // A host outside, or another node's frame on its way in.
        } else if known.container_addresses.contains(&sender) {
            match arp.operation {
                _ if sender == target => self.announcements += 1,
                ArpOperation::REPLY => self.answers += 1,
                _ => self.from_containers += 1,
            }
        } else {
            self.resolutions += 1;
        }
    }
}

fn is_rarp(packet: &LaxSlicedPacket<'_>) -> bool {
    packet.ether_payload().is_some_and(|payload| payload.ether_type == RARP)
}

/// The frame a VXLAN packet carries, RFC 7348 §5: after 8 bytes of header.
fn tunnelled<'a>(packet: &LaxSlicedPacket<'a>) -> Option<&'a [u8]> {
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) if udp.destination_port() == VXLAN_PORT => udp.payload().get(8..),
        _ => None,
    }
}

/// RFC 903.
const RARP: EtherType = EtherType(0x8035);
/// The UDP port of VXLAN, RFC 7348 §5.
const VXLAN_PORT: u16 = 4789;

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINER: MacBytes = [2, 0x42, 10, 0, 0, 1];
    const NAT: MacBytes = [0x0e, 0, 0, 0, 0, 1];
    const OTHER_NAT: MacBytes = [0x0e, 0, 0, 0, 0, 2];
    const OUTSIDE: MacBytes = [6, 1, 2, 3, 4, 5];
    const ENDPOINT: [u8; 4] = [10, 0, 0, 1];
    const GATEWAY: [u8; 4] = [10, 0, 0, 254];
    const NOBODY: [u8; 4] = [0, 0, 0, 0];

    fn known() -> Known {
        Known {
            container_macs: BTreeSet::from([CONTAINER]),
            container_addresses: BTreeSet::from([ENDPOINT.into()]),
            nat_macs: BTreeMap::from([(NAT, "n1".to_owned()), (OTHER_NAT, "n2".to_owned())]),
        }
    }

    /// A tagged ARP frame.
    fn frame(source: MacBytes, operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![0xff; 6];
        frame.extend(source);
        frame.extend([0x81, 0, 0, 100, 8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend(source);
        frame.extend(sender);
        frame.extend([0; 6]);
        frame.extend(target);
        frame
    }

    fn counted(frames: &[Vec<u8>]) -> ArpCounts {
        let mut counts = ArpCounts::default();
        for frame in frames {
            counts.count("n1", frame, &known());
        }
        counts
    }

    #[test]
    fn what_a_node_sends_by_itself_is_told_apart() {
        let mut presence = frame(NAT, 3, NOBODY, NOBODY);
        presence[16..18].copy_from_slice(&[0x80, 0x35]);
        let counts = counted(&[
            frame(NAT, 1, ENDPOINT, ENDPOINT),
            frame(NAT, 1, NOBODY, GATEWAY),
            presence,
            frame(NAT, 2, ENDPOINT, GATEWAY),
        ]);
        let expected = ArpCounts {
            announcements: 1,
            resolutions: 1,
            nat_mac_refreshes: 1,
            answers: 1,
            from_containers: 0,
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn a_containers_arp_is_found_under_any_disguise() {
        let mut mixed = frame(NAT, 1, ENDPOINT, GATEWAY);
        mixed[24..30].copy_from_slice(&CONTAINER);
        let counts =
            counted(&[frame(CONTAINER, 1, ENDPOINT, GATEWAY), frame(NAT, 1, ENDPOINT, GATEWAY), mixed]);
        assert_eq!(counts, ArpCounts { from_containers: 3, ..ArpCounts::default() });
    }

    #[test]
    fn frames_of_others_and_garbage_are_not_counted() {
        let mut frames = vec![frame(OUTSIDE, 1, GATEWAY, ENDPOINT), frame(OTHER_NAT, 1, ENDPOINT, ENDPOINT)];
        let announcement = frame(NAT, 1, ENDPOINT, ENDPOINT);
        frames.extend((0..announcement.len()).map(|len| announcement[..len].to_vec()));
        assert_eq!(counted(&frames), ArpCounts::default());
    }
}
