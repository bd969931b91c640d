//! The front of an Ethernet frame: all that a learning switch looks at.

use flowlib::openflow::oxm::VLAN_PRESENT;
use flowlib::packet::ethertype;
use flowlib::types::MacAddr;

use super::table::Station;

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) from: Station,
    pub(super) to: Station,
}

impl Front {
    /// Reads it; `None` if the frame is too short to have one.
    ///
    /// Shape: destination 6 bytes, source 6 bytes, ethertype `u16`; if that says so a tag, whose lower 12 bits are the
    /// VLAN.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let (to, rest) = frame.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (eth_type, rest) = rest.split_first_chunk()?;
        let tag = if ethertype::is_vlan(u16::from_be_bytes(*eth_type)) { rest.first_chunk() } else { None };
        let vlan = tag.map_or(0, |tag| u16::from_be_bytes(*tag) & 0xfff | VLAN_PRESENT);
        let station = |mac: &[u8; 6]| Station { vlan, mac: MacAddr(*mac) };
        Some(Self { from: station(from), to: station(to) })
    }

    /// Whether it is for the bridges of a link (spanning tree, LLDP, LACP), which pass it to nobody.
    ///
    /// Source: IEEE 802.1Q-2022 §8.6.3.
    pub(super) fn is_for_bridges(&self) -> bool {
        let [.., last] = self.to.mac.0;
        self.to.mac.0[..5] == LINK_LOCAL.0[..5] && last & 0xf0 == 0
    }
}

/// The first of the 16 addresses that no bridge forwards.
pub(super) const LINK_LOCAL: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]);
/// The bits in which those 16 are equal.
pub(super) const LINK_LOCAL_MASK: MacAddr = MacAddr([0xff, 0xff, 0xff, 0xff, 0xff, 0xf0]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tagged_and_untagged_frames_and_no_shorter_ones() {
        let mut frame = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0xe0, 0x05];
        let station = |vlan, n| Station { vlan, mac: MacAddr([2, 0, 0, 0, 0, n]) };
        assert_eq!(Front::of(&frame), Some(Front { from: station(0x1005, 1), to: station(0x1005, 2) }));
        frame[12] = 8;
        assert_eq!(Front::of(&frame), Some(Front { from: station(0, 1), to: station(0, 2) }));
        assert_eq!(Front::of(&frame[..13]), None);
    }

    #[test]
    fn knows_what_is_for_bridges() {
        for (last_two, wanted) in [([0, 0], true), ([0, 0x0e], true), ([0, 0x10], false), ([1, 0], false)] {
            let mut frame = [0; 14];
            frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, last_two[0], last_two[1]]);
            assert_eq!(Front::of(&frame).map(|front| front.is_for_bridges()), Some(wanted), "{last_two:?}");
        }
    }
}
