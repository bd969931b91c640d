//! The few frames that the controller itself puts on the fabric, and the reading of those it is shown.

use std::net::Ipv4Addr;

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, LaxNetSlice, LaxSlicedPacket, LinkSlice,
    SingleVlanHeader, VlanId,
};
use flowlib::types::{MacAddr, VlanVid};

/// EtherType of RARP. Source: RFC 903.
const RARP: EtherType = EtherType(0x8035);
/// RARP operation: request reverse.
const REQUEST_REVERSE: ArpOperation = ArpOperation(3);
/// The shortest payload of an Ethernet frame, of which a tag takes 4 bytes. Source: IEEE 802.3 §3.2.8.
const MIN_PAYLOAD: usize = 46;

/// What a frame that was shown to the controller asks or tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A host of the fabric says what its MAC address is.
    Reply {
        /// Its IP address.
        address: Ipv4Addr,
        /// Its MAC address.
        mac: MacAddr,
    },
    /// An IP packet to an address that is in no block.
    Packet {
        /// Who has sent it on its last hop.
        source: MacAddr,
        /// The address.
        destination: Ipv4Addr,
    },
}

/// Reads a frame of a packet-in, which may be cut short; what is neither ARP reply nor IPv4 says nothing.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Seen> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let LinkSlice::Ethernet2(link) = packet.link? else { return None };
    match packet.net? {
        LaxNetSlice::Ipv4(ip) => {
            let destination = ip.header().destination_addr();
            Some(Seen::Packet { source: MacAddr(link.source()), destination })
        }
        LaxNetSlice::Arp(arp) => {
            let arp = arp.to_packet().try_eth_ipv4().ok()?;
            let (address, mac) = (arp.sender_ipv4_addr(), MacAddr(arp.sender_mac));
            let told = arp.operation == ArpOperation::REPLY && !mac.is_multicast() && mac != MacAddr::ZERO;
            told.then_some(Seen::Reply { address, mac })
        }
        LaxNetSlice::Ipv6(_) => None,
    }
}

/// An ARP probe for `target`: who hears it does not take down the sender. Source: RFC 5227 §2.1.1.
#[must_use]
pub fn probe(nat_mac: MacAddr, target: Ipv4Addr, vid: VlanVid) -> Vec<u8> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: nat_mac.0,
        sender_ipv4: Ipv4Addr::UNSPECIFIED.octets(),
        target_mac: MacAddr::ZERO.0,
        target_ipv4: target.octets(),
    };
    broadcast(nat_mac, vid, EtherType::ARP, &arp)
}

/// Tells everyone on the VLAN that `address` is at `nat_mac` now. Source: RFC 5227 §3 (an ARP announcement).
#[must_use]
pub fn announcement(nat_mac: MacAddr, address: Ipv4Addr, vid: VlanVid) -> Vec<u8> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: nat_mac.0,
        sender_ipv4: address.octets(),
        target_mac: MacAddr::ZERO.0,
        target_ipv4: address.octets(),
    };
    broadcast(nat_mac, vid, EtherType::ARP, &arp)
}

/// Keeps `nat_mac` in the tables of the switches: a RARP request that nobody answers.
#[must_use]
pub fn presence(nat_mac: MacAddr, vid: VlanVid) -> Vec<u8> {
    let rarp = ArpEthIpv4Packet {
        operation: REQUEST_REVERSE,
        sender_mac: nat_mac.0,
        sender_ipv4: Ipv4Addr::UNSPECIFIED.octets(),
        target_mac: nat_mac.0,
        target_ipv4: Ipv4Addr::UNSPECIFIED.octets(),
    };
    broadcast(nat_mac, vid, RARP, &rarp)
}

/// An untagged broadcast frame without meaning: what it is for is the way there.
#[must_use]
pub fn warm_up(nat_mac: MacAddr) -> Vec<u8> {
    let ethernet = Ethernet2Header {
        source: nat_mac.0,
        destination: MacAddr::BROADCAST.0,
        // Local experimental EtherType 1. Source: IEEE 802 §9.2.4.
        ether_type: EtherType(0x88b5),
    };
    let mut frame = ethernet.to_bytes().to_vec();
    frame.resize(Ethernet2Header::LEN + MIN_PAYLOAD, 0);
    frame
}

fn broadcast(source: MacAddr, vid: VlanVid, ether_type: EtherType, arp: &ArpEthIpv4Packet) -> Vec<u8> {
    let ethernet = Ethernet2Header {
        source: source.0,
        destination: MacAddr::BROADCAST.0,
        ether_type: EtherType(0x8100),
    };
    let tag = SingleVlanHeader {
        vlan_id: VlanId::try_new(vid.get()).expect("a VlanVid has 12 bits"),
        ether_type,
        ..SingleVlanHeader::default()
    };
    let mut frame = Vec::with_capacity(64);
    frame.extend_from_slice(&ethernet.to_bytes());
    frame.extend_from_slice(&tag.to_bytes());
    frame.extend_from_slice(&arp.to_bytes());
    frame.resize(Ethernet2Header::LEN + MIN_PAYLOAD, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x0e, 1, 2, 3, 4, 5]);
    const HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 9);

    #[test]
    fn reads_a_reply_but_no_request() {
        let vid = VlanVid::new(100).expect("in range");
        let mut frame = announcement(MAC, HOST, vid);
        assert_eq!(read(&frame), None);
        frame[25] = 2;
        assert_eq!(read(&frame), Some(Seen::Reply { address: HOST, mac: MAC }));
    }

    #[test]
    fn a_frame_cut_anywhere_is_no_harm() {
        let vid = VlanVid::new(100).expect("in range");
        for frame in [probe(MAC, HOST, vid), presence(MAC, vid), warm_up(MAC)] {
            assert_eq!(frame.len(), 60);
            for end in 0..frame.len() {
                assert_eq!(read(&frame[..end]), None);
            }
        }
    }
}
