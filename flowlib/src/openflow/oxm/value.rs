//! The value of a field.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::types::{Cookie, GroupId, MacAddr, PortNo, VlanVid, Vni};
use crate::wire::{DecodeError, Reader, Writer};

/// The value, or the mask, of a field: up to 128 bits.
///
/// Shape: a number; under a field of `n` bytes it is written as its last `n` bytes, big-endian.
///
/// Two words: the alignment of a `u128` would make an entry of a match a third larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FieldValue {
    high: u64,
    low: u64,
}

impl FieldValue {
    /// No bit set.
    pub const ZERO: Self = Self { high: 0, low: 0 };

    /// The lowest `n_bits` set.
    #[must_use]
    pub const fn ones(n_bits: u16) -> Self {
        Self::from_u128(if n_bits >= 128 { u128::MAX } else { (1 << n_bits) - 1 })
    }

    const fn from_u128(number: u128) -> Self {
        Self { high: (number >> 64) as u64, low: number as u64 }
    }

    /// The value in at most 16 big-endian bytes; of longer ones, `None`.
    #[must_use]
    #[inline]
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        // The widths that fields have are read whole, which is much faster than to copy some bytes.
        Some(match *bytes {
            [a] => a.into(),
            [a, b] => u16::from_be_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f] => u64::from_be_bytes([0, 0, a, b, c, d, e, f]).into(),
            [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]).into(),
            _ => Self::from_odd_bytes(bytes)?,
        })
    }

    fn from_odd_bytes(bytes: &[u8]) -> Option<Self> {
        let mut value = [0; 16];
        let start = value.len().checked_sub(bytes.len())?;
        value[start..].copy_from_slice(bytes);
        Some(Self::from_u128(u128::from_be_bytes(value)))
    }

    /// All its bytes, big-endian.
    #[must_use]
    #[inline]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.to_u128().to_be_bytes()
    }

    /// Reads the value in the next `n` bytes, at most 16.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub(crate) fn decode(r: &mut Reader<'_>, n: u8) -> Result<Self, DecodeError> {
        // Where a whole word can be read its end is cut off, which is much faster than to copy some bytes.
        if let (1..=8, Some(word)) = (n, r.peek().first_chunk()) {
            r.skip(n.into())?;
            return Ok((u64::from_be_bytes(*word) >> (64 - 8 * u32::from(n))).into());
        }
        r.bytes(n.into()).map(|bytes| Self::from_be_bytes(bytes).unwrap_or_default())
    }

    /// Writes its last `n` bytes, big-endian.
    #[inline]
    pub(crate) fn encode(&self, w: &mut Writer<'_>, n: u8) {
        let [a, b, c, d, e, f, g, h] = self.low.to_be_bytes();
        // The widths that fields have are written whole, which is faster than to copy some bytes.
        match n {
            1 => w.u8(h),
            2 => w.bytes(&[g, h]),
            4 => w.bytes(&[e, f, g, h]),
            6 => w.bytes(&[c, d, e, f, g, h]),
            8 => w.bytes(&[a, b, c, d, e, f, g, h]),
            n => w.bytes(&self.to_be_bytes()[16_usize.saturating_sub(n.into())..]),
        }
    }

    /// As a number.
    #[must_use]
    #[inline]
    pub const fn to_u128(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// Its lower 32 bits.
    #[must_use]
    #[inline]
    pub const fn to_u32(self) -> u32 {
        self.low as u32
    }

    /// Its lower 16 bits.
    #[must_use]
    #[inline]
    pub const fn to_u16(self) -> u16 {
        self.low as u16
    }

    /// Its lower 32 bits as an address.
    #[must_use]
    #[inline]
    pub const fn to_ipv4(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.to_u32())
    }

    /// All its bits as an address.
    #[must_use]
    #[inline]
    pub const fn to_ipv6(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.to_u128())
    }

    /// Its lower 48 bits as an address.
    #[must_use]
    #[inline]
    pub const fn to_mac(self) -> MacAddr {
        let [_, _, a, b, c, d, e, f] = self.low.to_be_bytes();
        MacAddr([a, b, c, d, e, f])
    }

    /// The bits that both have.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self { high: self.high & other.high, low: self.low & other.low }
    }

    /// Whether it needs no more than `n_bits` bits.
    #[must_use]
    #[inline]
    pub const fn fits(self, n_bits: u16) -> bool {
        n_bits >= 128 || self.to_u128() >> n_bits == 0
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.to_u128())
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.to_u128())
    }
}

macro_rules! from_numbers {
    ($($int:ty),*) => {$(
        impl From<$int> for FieldValue {
            #[inline]
            fn from(number: $int) -> Self {
                Self::from_u128(u128::from(number))
            }
        }
    )*};
}

from_numbers!(u8, u16, u32, u64, u128);

impl From<MacAddr> for FieldValue {
    fn from(mac: MacAddr) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        Self::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl From<Ipv4Addr> for FieldValue {
    fn from(address: Ipv4Addr) -> Self {
        Self::from(address.to_bits())
    }
}

impl From<Ipv6Addr> for FieldValue {
    fn from(address: Ipv6Addr) -> Self {
        Self::from(address.to_bits())
    }
}

impl From<IpAddr> for FieldValue {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<PortNo> for FieldValue {
    fn from(port: PortNo) -> Self {
        Self::from(port.0)
    }
}

impl From<GroupId> for FieldValue {
    fn from(group: GroupId) -> Self {
        Self::from(group.0)
    }
}

impl From<Cookie> for FieldValue {
    fn from(cookie: Cookie) -> Self {
        Self::from(cookie.0)
    }
}

impl From<Vni> for FieldValue {
    fn from(vni: Vni) -> Self {
        Self::from(vni.get())
    }
}

/// The VLAN with OFPVID_PRESENT set, as `vlan_vid` has it. Source: OpenFlow 1.3.5 §7.2.3.7.
impl From<VlanVid> for FieldValue {
    fn from(vid: VlanVid) -> Self {
        Self::from(vid.get() | super::VLAN_PRESENT)
    }
}
