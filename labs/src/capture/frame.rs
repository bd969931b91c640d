//! One frame, and what can be said about it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use etherparse::{ArpPacketSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};
use pnet_datalink::MacAddr;

/// A frame and when it was read.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it was read from the kernel.
    pub at: SystemTime,
    /// All of it, from the destination address on, without checksum.
    pub bytes: Vec<u8>,
}

/// What can be said about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Source MAC address.
    pub source: MacAddr,
    /// Destination MAC address.
    pub destination: MacAddr,
    /// The outermost VLAN tag's id; none for an untagged frame.
    pub vlan: Option<u16>,
    /// What it carries.
    pub payload: Payload,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// ARP for IPv4 over Ethernet.
    Arp(Arp),
    /// An IPv4 packet.
    Ipv4 {
        /// Source address.
        source: Ipv4Addr,
        /// Destination address.
        destination: Ipv4Addr,
        /// The IP protocol number.
        protocol: u8,
        /// Source and destination port of UDP and TCP.
        ports: Option<(u16, u16)>,
        /// Type and code of ICMP.
        icmp: Option<(u8, u8)>,
    },
    /// An IPv6 packet.
    Ipv6 {
        /// Source address.
        source: Ipv6Addr,
        /// Destination address.
        destination: Ipv6Addr,
    },
    /// Anything else: the EtherType behind the tags.
    Other(u16),
}

/// An ARP message, RFC 826.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender's MAC address.
    pub sender_mac: MacAddr,
    /// Sender's address; 0.0.0.0 in a probe.
    pub sender: Ipv4Addr,
    /// Target's MAC address.
    pub target_mac: MacAddr,
    /// Target's address.
    pub target: Ipv4Addr,
}

impl Frame {
    /// Reads the headers; nothing if this is no Ethernet II frame. Truncated packets are read as far as they go.
    pub fn summary(&self) -> Option<Summary> {
        let packet = LaxSlicedPacket::from_ethernet(&self.bytes).ok()?;
        let LinkSlice::Ethernet2(link) = packet.link.as_ref()? else { return None };
        let tags = packet.link_exts.iter().filter_map(|ext| match ext {
            LaxLinkExtSlice::Vlan(tag) => Some(tag),
            LaxLinkExtSlice::Macsec(_) => None,
        });
        let ethertype = tags.clone().next_back().map_or(link.ether_type(), |tag| tag.ether_type());
        Some(Summary {
            source: mac(link.source()),
            destination: mac(link.destination()),
            vlan: tags.clone().next().map(|tag| tag.vlan_identifier().value()),
            payload: payload(&packet).unwrap_or(Payload::Other(ethertype.0)),
        })
    }
}

impl Summary {
    /// The ARP message, if it is one.
    pub fn arp(&self) -> Option<&Arp> {
        match &self.payload {
            Payload::Arp(arp) => Some(arp),
            _ => None,
        }
    }

    /// Source and destination, if it is an IPv4 packet.
    pub fn ipv4(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        match self.payload {
            Payload::Ipv4 { source, destination, .. } => Some((source, destination)),
            _ => None,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.source, self.destination)?;
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        match &self.payload {
            Payload::Arp(a) if a.operation == 1 => {
                write!(f, " arp who-has {} tell {} ({})", a.target, a.sender, a.sender_mac)
            }
            Payload::Arp(a) if a.operation == 2 => {
                write!(f, " arp {} is-at {} to {}", a.sender, a.sender_mac, a.target)
            }
            Payload::Arp(a) => write!(f, " arp operation {}", a.operation),
            Payload::Ipv4 { source, destination, protocol, ports, icmp } => {
                write!(f, " ip {source} > {destination} protocol {protocol}")?;
                if let Some((from, to)) = ports {
                    write!(f, " ports {from} > {to}")?;
                }
                icmp.map_or(Ok(()), |(kind, code)| write!(f, " icmp {kind}/{code}"))
            }
            Payload::Ipv6 { source, destination } => write!(f, " ip6 {source} > {destination}"),
            Payload::Other(ethertype) => write!(f, " ethertype {ethertype:#06x}"),
        }
    }
}

fn payload(packet: &LaxSlicedPacket<'_>) -> Option<Payload> {
    match packet.net.as_ref()? {
        LaxNetSlice::Arp(slice) => arp(slice).map(Payload::Arp),
        LaxNetSlice::Ipv4(slice) => Some(Payload::Ipv4 {
            source: slice.header().source_addr(),
            destination: slice.header().destination_addr(),
            protocol: slice.payload_ip_number().0,
            ports: match packet.transport.as_ref() {
                Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
                Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
                _ => None,
            },
            icmp: match packet.transport.as_ref() {
                Some(TransportSlice::Icmpv4(icmp)) => Some((icmp.type_u8(), icmp.code_u8())),
                _ => None,
            },
        }),
        LaxNetSlice::Ipv6(slice) => Some(Payload::Ipv6 {
            source: slice.header().source_addr(),
            destination: slice.header().destination_addr(),
        }),
    }
}

/// Only ARP for IPv4 over Ethernet; other kinds are told by their EtherType.
fn arp(slice: &ArpPacketSlice<'_>) -> Option<Arp> {
    let arp = slice.to_packet().try_eth_ipv4().ok()?;
    Some(Arp {
        operation: arp.operation.0,
        sender_mac: mac(arp.sender_mac),
        sender: arp.sender_ipv4.into(),
        target_mac: mac(arp.target_mac),
        target: arp.target_ipv4.into(),
    })
}

fn mac(octets: [u8; 6]) -> MacAddr {
    MacAddr::from(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(hex: &str) -> Option<Summary> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        Frame { at: SystemTime::UNIX_EPOCH, bytes }.summary()
    }

    const TAGGED_ARP: &str = "ffffffffffff 0242 0ad1a408 8100 0064 0806 0001 0800 06 04 0001
        02420ad1a408 0ad1a408 000000000000 0ad1a401";

    #[test]
    fn reads_a_tagged_arp_request() {
        let read = summary(TAGGED_ARP).unwrap();
        assert_eq!(read.vlan, Some(100));
        let arp = read.arp().unwrap();
        assert_eq!((arp.operation, arp.target), (1, Ipv4Addr::new(10, 209, 164, 1)));
        assert_eq!(arp.sender_mac, read.source);
        assert_eq!(
            read.to_string(),
            "02:42:0a:d1:a4:08 > ff:ff:ff:ff:ff:ff vlan 100 arp who-has 10.209.164.1 tell 10.209.164.8 (02:42:0a:d1:a4:08)"
        );
    }

    #[test]
    fn every_cut_off_frame_is_read_without_panic() {
        for end in 0..TAGGED_ARP.len() {
            summary(&TAGGED_ARP[..end]);
        }
    }
}
