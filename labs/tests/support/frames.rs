//! Frames made by hand.

use std::net::Ipv4Addr;

use etherparse::PacketBuilder;

/// What endpoints are told for every peer.
pub(crate) const VIRTUAL_MAC: [u8; 6] = flowlib::pipeline::VIRTUAL_MAC.0;
/// Everybody.
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// An ARP message; what matters in a test is changed with struct update syntax.
#[derive(Clone, Copy)]
pub(crate) struct Arp {
    pub(crate) destination: [u8; 6],
    pub(crate) source: [u8; 6],
    pub(crate) operation: u8,
    pub(crate) sender_mac: [u8; 6],
    pub(crate) sender: Ipv4Addr,
    pub(crate) target: Ipv4Addr,
}

impl Arp {
    /// The ordinary question of who has an address.
    pub(crate) fn request(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Arp {
        Arp { destination: BROADCAST, source: mac, operation: 1, sender_mac: mac, sender, target }
    }

    /// As it is on the wire, padded to the shortest frame.
    pub(crate) fn frame(self) -> Vec<u8> {
        let mut body = vec![0, 1, 8, 0, 6, 4, 0, self.operation];
        body.extend(self.sender_mac);
        body.extend(self.sender.octets());
        body.extend([0; 6]);
        body.extend(self.target.octets());
        body.resize(46, 0);
        ethernet(self.destination, self.source, 0x0806, &body)
    }
}

/// An Ethernet II frame.
pub(crate) fn ethernet(destination: [u8; 6], source: [u8; 6], ethertype: u16, body: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &ethertype.to_be_bytes(), body].concat()
}

/// A UDP packet to port 9 in an Ethernet frame.
pub(crate) fn ipv4_udp(
    (source_mac, source): ([u8; 6], Ipv4Addr),
    (destination_mac, destination): ([u8; 6], Ipv4Addr),
    payload: &[u8],
) -> Vec<u8> {
    let packet = PacketBuilder::ethernet2(source_mac, destination_mac)
        .ipv4(source.octets(), destination.octets(), 64)
        .udp(40_000, 9);
    let mut frame = Vec::new();
    packet.write(&mut frame, payload).unwrap();
    frame
}

/// The same frame with a VLAN tag.
pub(crate) fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0], &vlan.to_be_bytes(), rest].concat()
}

/// Reads `aa:bb:cc:dd:ee:ff`.
pub(crate) fn mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}
