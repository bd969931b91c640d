//! Numbers with a meaning: each has a type of its own, so that a port cannot be given for a table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Declares newtypes over unsigned integers, with the given way to print them.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($int:ty) prints $format:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(", $format, ")"), self.0)
            }
        }
    )*};
}

numbers! {
    /// A switch's identity. Source: OpenFlow 1.3.5 §7.3.1.
    DatapathId(u64) prints "{:016x}";
    /// An OpenFlow port number; Open vSwitch uses 16 bits of it. Source: OpenFlow 1.3.5 §7.2.1.
    PortNo(u32) prints "{}";
    /// A flow table's number. Source: OpenFlow 1.3.5 §7.3.4.1.
    TableId(u8) prints "{}";
    /// A group's number. Source: OpenFlow 1.3.5 §7.3.4.2.
    GroupId(u32) prints "{}";
    /// A meter's number. Source: OpenFlow 1.3.5 §7.3.4.4.
    MeterId(u32) prints "{}";
    /// A transaction id: replies and errors bear their request's. Source: OpenFlow 1.3.5 §7.1.
    Xid(u32) prints "{:#x}";
    /// An opaque number in each flow, set by the controller. Source: OpenFlow 1.3.5 §7.3.4.1.
    Cookie(u64) prints "{:#x}";
    /// A flow's priority; the highest match wins. Source: OpenFlow 1.3.5 §5.2.
    Priority(u16) prints "{}";
    /// A pool's identity: given once by the store and never again, from 1, 28 bits.
    PoolId(u32) prints "{}";
    /// A network's identity, in reg0 of its packets; given once, from 1, 28 bits.
    NetworkId(u32) prints "{}";
    /// A node's identity; given once, from 1, 28 bits.
    NodeId(u32) prints "{}";
    /// An endpoint's identity, in the lower half of its flows' cookies; given once, from 1, 30 bits.
    EndpointId(u32) prints "{}";
}

impl DatapathId {
    /// That of a node's switch: the same on every start, another for every node of every pool.
    #[must_use]
    pub fn of_node(pool: &str, node: &str) -> Self {
        Self(xxh3_64(format!("{pool}/{node}").as_bytes()))
    }
}

impl PortNo {
    /// The highest number a port may have in Open vSwitch, where ports have 16 bits.
    pub const MAX_OVS: Self = Self(0xfeff);
    /// OFPP_MAX: the highest number of a port.
    pub const MAX: Self = Self(0xffff_ff00);
    /// Open vSwitch's own: no port yet, as an action set without an output has it.
    pub const UNSET: Self = Self(0xffff_fff7);
    /// OFPP_IN_PORT: back to where the packet came from.
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// OFPP_TABLE: through the pipeline, for a packet-out.
    pub const TABLE: Self = Self(0xffff_fff9);
    /// OFPP_NORMAL: the switch's own L2 forwarding.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// OFPP_FLOOD: the switch's own flooding.
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// OFPP_ALL: every port but the packet's own.
    pub const ALL: Self = Self(0xffff_fffc);
    /// OFPP_CONTROLLER: a packet-in.
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// OFPP_LOCAL: the bridge's own interface.
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// OFPP_ANY: no port in particular.
    pub const ANY: Self = Self(0xffff_ffff);

    /// The name of a reserved port.
    #[must_use]
    pub fn reserved_name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNSET => "UNSET",
            Self::IN_PORT => "IN_PORT",
            Self::TABLE => "TABLE",
            Self::NORMAL => "NORMAL",
            Self::FLOOD => "FLOOD",
            Self::ALL => "ALL",
            Self::CONTROLLER => "CONTROLLER",
            Self::LOCAL => "LOCAL",
            Self::ANY => "ANY",
            _ => return None,
        })
    }
}

impl TableId {
    /// OFPTT_ALL: every table.
    pub const ALL: Self = Self(0xff);
}

impl GroupId {
    /// OFPG_MAX: the highest number of a group.
    pub const MAX: Self = Self(0xffff_ff00);
    /// OFPG_ALL: every group.
    pub const ALL: Self = Self(0xffff_fffc);
    /// OFPG_ANY: no group in particular.
    pub const ANY: Self = Self(0xffff_ffff);
}

impl MeterId {
    /// OFPM_MAX: the highest number of a meter.
    pub const MAX: Self = Self(0xffff_0000);
    /// OFPM_SLOWPATH: for packets that the switch treats in software.
    pub const SLOWPATH: Self = Self(0xffff_fffd);
    /// OFPM_CONTROLLER: for packet-ins.
    pub const CONTROLLER: Self = Self(0xffff_fffe);
    /// OFPM_ALL: every meter.
    pub const ALL: Self = Self(0xffff_ffff);
}

/// A VXLAN network identifier, 24 bits. Source: RFC 7348 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vni(u32);

impl Vni {
    /// The VNI of that number, if it has at most 24 bits and is not 0, which many VTEPs refuse.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (1..1 << 24).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A VLAN identifier, 1–4094. Source: IEEE 802.1Q §9.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VlanVid(u16);

impl VlanVid {
    /// The VLAN of that number, if it is one that frames may bear: 0 and 4095 are reserved.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (1..=4094).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// A number outside its type's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} is not a {kind}: {range}")]
pub struct OutOfRange {
    number: u32,
    kind: &'static str,
    range: &'static str,
}

impl TryFrom<u32> for Vni {
    type Error = OutOfRange;

    fn try_from(number: u32) -> Result<Self, OutOfRange> {
        Self::new(number).ok_or(OutOfRange { number, kind: "VNI", range: "1 to 16777215" })
    }
}

impl TryFrom<u32> for VlanVid {
    type Error = OutOfRange;

    fn try_from(number: u32) -> Result<Self, OutOfRange> {
        u16::try_from(number).ok().and_then(Self::new).ok_or(OutOfRange {
            number,
            kind: "VLAN id",
            range: "1 to 4094",
        })
    }
}

impl From<Vni> for u32 {
    fn from(vni: Vni) -> Self {
        vni.0
    }
}

impl From<VlanVid> for u32 {
    fn from(vid: VlanVid) -> Self {
        vid.0.into()
    }
}

/// An EUI-48 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// To everyone on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No address.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether it names a group rather than one interface (the I/G bit; broadcast included).
    #[must_use]
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a MAC address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address: six octets in hex, as in 02:42:0a:01:00:05")]
pub struct BadMacAddr(String);

impl FromStr for MacAddr {
    type Err = BadMacAddr;

    fn from_str(text: &str) -> Result<Self, BadMacAddr> {
        let bad = || BadMacAddr(text.to_owned());
        let mut octets = [0_u8; 6];
        let (mut place, mut digits) = (0, 0);
        for byte in text.bytes() {
            if byte == b':' && digits > 0 {
                (place, digits) = (place + 1, 0);
                continue;
            }
            let digit = char::from(byte).to_digit(16).filter(|_| digits < 2).ok_or_else(bad)?;
            let octet = octets.get_mut(place).ok_or_else(bad)?;
            *octet = *octet << 4 | digit as u8;
            digits += 1;
        }
        if place == 5 && digits > 0 { Ok(Self(octets)) } else { Err(bad()) }
    }
}

impl TryFrom<String> for MacAddr {
    type Error = BadMacAddr;

    fn try_from(text: String) -> Result<Self, BadMacAddr> {
        text.parse()
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Switches keep their datapath ids: what a node's is must not change.
    #[test]
    fn a_nodes_datapath_id_is_its_own_for_ever() {
        assert_eq!(DatapathId::of_node("p", "n1").to_string(), "685aa3ee5033efae");
        assert_ne!(DatapathId::of_node("p", "n1"), DatapathId::of_node("q", "n1"));
    }

    #[test]
    fn reads_what_it_prints() {
        let mac = MacAddr([0x02, 0x42, 0x0a, 0x01, 0x00, 0xfe]);
        assert_eq!(mac.to_string(), "02:42:0a:01:00:fe");
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn refuses_what_is_no_mac_address() {
        for text in
            ["", "02:42", "02:42:0a:01:00:fe:00", "02:42:0a:01:00:+f", "02:42:0a:01:00:", "0242:0a:01:00:fe"]
        {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_the_ranges_of_vlan_and_vni() {
        assert_eq!(VlanVid::new(0), None);
        assert_eq!(VlanVid::new(4095), None);
        assert_eq!(VlanVid::new(4094).map(VlanVid::get), Some(4094));
        assert_eq!(Vni::new(1 << 24), None);
        assert_eq!(Vni::new((1 << 24) - 1).map(Vni::get), Some(0xff_ffff));
    }
}
