//! From bytes to a key: the link layer.

use super::key::{Key, VlanTag, ethertype};
use super::network;
use crate::types::MacAddr;

/// A frame and what could be read of it.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Its headers' fields.
    pub key: Key,
    /// All that follows the network layer's header, without what pads the frame; of a frame that has none, nothing.
    pub transport: Option<&'a [u8]>,
}

impl<'a> Packet<'a> {
    /// Reads an Ethernet frame.
    ///
    /// Shape: destination, source, tags of 802.1Q, ethertype (or a length, then LLC and SNAP), MPLS labels, network
    /// header, transport header. A frame that ends early, or whose lengths are wrong, is read as far as they are
    /// right; from there on its fields are zero.
    ///
    /// Source: `miniflow_extract` in `lib/flow.c` of Open vSwitch 3.1.
    #[must_use]
    pub fn parse(frame: &'a [u8]) -> Self {
        Self::parse_limited(frame, Key::MAX_VLANS)
    }

    /// Reads an Ethernet frame and at most that many of its tags; a further one is an ethertype.
    #[must_use]
    pub fn parse_limited(frame: &'a [u8], max_vlans: usize) -> Self {
        let mut packet = Self { key: Key::default(), transport: None };
        let mut data = frame;
        if frame.len() >= ETHERNET_HEADER_LEN && packet.link(&mut data, max_vlans).is_some() {
            packet.above_link(data);
        }
        packet
    }

    /// Reads a packet without an Ethernet header, of that `packet_type`.
    #[must_use]
    pub fn parse_bare(data: &'a [u8], packet_type: u32) -> Self {
        let key = Key { packet_type, eth_type: packet_type as u16, ..Key::default() };
        let mut packet = Self { key, transport: None };
        packet.above_link(data);
        packet
    }

    fn link(&mut self, data: &mut &'a [u8], max_vlans: usize) -> Option<()> {
        self.key.eth_dst = MacAddr(pull(data)?);
        self.key.eth_src = MacAddr(pull(data)?);
        for tag in self.key.vlans.iter_mut().take(max_vlans) {
            let next = data.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
            // A tag without an ethertype behind it is none.
            if !ethertype::is_vlan(next) || data.len() < 6 {
                break;
            }
            tag.tpid = u16::from_be_bytes(pull(data)?);
            tag.tci = u16::from_be_bytes(pull(data)?) | VlanTag::PRESENT;
        }
        self.key.eth_type = pull_ethertype(data)?;
        Some(())
    }

    /// Reads what follows the ethertype.
    fn above_link(&mut self, mut data: &'a [u8]) {
        if ethertype::is_mpls(self.key.eth_type) {
            let mut n = 0;
            while let Some(label) = pull(&mut data).map(u32::from_be_bytes) {
                if let Some(place) = self.key.mpls.get_mut(n) {
                    *place = label;
                }
                n += 1;
                if label & Key::MPLS_BOTTOM != 0 {
                    break;
                }
            }
        }
        self.transport = network::parse(&mut self.key, data);
    }
}

const ETHERNET_HEADER_LEN: usize = 14;

/// The least number that is an ethertype and no length. Source: IEEE 802.3 §3.2.6.
const MIN_ETHERTYPE: u16 = 0x600;

/// LLC for SNAP, with the organization whose numbers are ethertypes. Source: RFC 1042.
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

fn pull_ethertype(data: &mut &[u8]) -> Option<u16> {
    let number = u16::from_be_bytes(pull(data)?);
    if number >= MIN_ETHERTYPE {
        return Some(number);
    }
    let Some(rest) = data.strip_prefix(&SNAP).filter(|rest| rest.len() >= 2) else {
        return Some(ethertype::NONE);
    };
    *data = rest;
    let number = u16::from_be_bytes(pull(data)?);
    Some(if number >= MIN_ETHERTYPE { number } else { ethertype::NONE })
}

/// Takes so many bytes from the front; nothing if there are fewer.
pub(super) fn pull<const N: usize>(data: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = data.split_first_chunk::<N>()?;
    *data = rest;
    Some(*front)
}

/// Drops so many bytes from the front; nothing happens if there are fewer.
pub(super) fn skip(data: &mut &[u8], len: usize) -> Option<()> {
    *data = data.get(len..)?;
    Some(())
}
