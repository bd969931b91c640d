//! Match fields and matches (OXM, the OpenFlow extensible match, and its Nicira and ONF extensions).
//!
//! The fields are one list, in `registry`. A field that is not in it is kept byte for byte in a match.

mod flow_match;
mod names;
mod prerequisite;
mod registry;
mod subfield;
mod value;
mod wide;

use std::fmt;

pub use flow_match::{Match, MatchField, RawOxm};
pub use prerequisite::{MissingPrerequisite, Packets};
pub use registry::field;
pub use subfield::SubField;
pub use value::FieldValue;
pub use wide::WideField;

use crate::wire::{DecodeError, Problem, Reader, Writer};

/// OFPVID_PRESENT: set in `vlan_vid` of a tagged packet. Source: OpenFlow 1.3.5 §7.2.3.7.
pub const VLAN_PRESENT: u16 = 0x1000;

/// A match field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(u16);

/// The name of a field on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OxmId {
    /// Its class.
    pub class: u16,
    /// Its number in the class, 7 bits.
    pub number: u8,
    /// Whose number it is, if the class is [`OxmId::EXPERIMENTER`]; else 0.
    pub experimenter: u32,
}

impl OxmId {
    /// OFPXMC_OPENFLOW_BASIC.
    pub const OPENFLOW_BASIC: u16 = 0x8000;
    /// OFPXMC_PACKET_REGS, of OpenFlow 1.5 and Open vSwitch.
    pub const PACKET_REGISTERS: u16 = 0x8001;
    /// OFPXMC_NXM_0.
    pub const NXM_0: u16 = 0;
    /// OFPXMC_NXM_1.
    pub const NXM_1: u16 = 1;
    /// Ericsson's class in Open vSwitch.
    pub const ERICSSON: u16 = 0x1000;
    /// OFPXMC_EXPERIMENTER.
    pub const EXPERIMENTER: u16 = 0xffff;
    /// The Open Networking Foundation's experimenter number.
    pub const ONF: u32 = 0x4f4e_4600;
    /// Nicira's experimenter number.
    pub const NICIRA: u32 = 0x0000_2320;
    /// The experimenter number of Nicira's fields of NSH headers.
    pub const NSH: u32 = 0x005a_d650;

    /// The 32-bit header of the field with a body of that many bytes.
    #[must_use]
    pub fn header(self, has_mask: bool, len: u8) -> u32 {
        u32::from(self.class) << 16 | u32::from(self.number) << 9 | u32::from(has_mask) << 8 | u32::from(len)
    }

    /// Writes the header for a value of `n_bytes`, and perhaps a mask, to follow.
    ///
    /// Shape: [`read_header`]. The length counts the experimenter number.
    #[inline]
    pub(crate) fn encode_header(self, w: &mut Writer<'_>, has_mask: bool, n_bytes: u8) {
        let body = n_bytes << u8::from(has_mask);
        if self.class == Self::EXPERIMENTER {
            w.u32(self.header(has_mask, body + 4));
            w.u32(self.experimenter);
        } else {
            w.u32(self.header(has_mask, body));
        }
    }
}

/// What the registry knows of a field.
#[derive(Debug)]
pub struct FieldInfo {
    /// Its name in ovs-fields(7).
    pub name: &'static str,
    /// Its name where text speaks of bits of it.
    pub nxm_name: &'static str,
    /// Its names on the wire; the first is the one we write.
    pub ids: &'static [OxmId],
    /// Its width in bits.
    pub n_bits: u16,
    /// The bits that its value may have in a match: one more of `vlan_vid`.
    pub value_bits: u16,
    /// Its width on the wire in bytes.
    pub n_bytes: u8,
    /// Whether a match bears a mask even of all its bits.
    pub(crate) spells_mask: bool,
    /// Whether it may be matched in part.
    pub maskable: bool,
    /// Whether an action may change it.
    pub writable: bool,
    /// The name on the wire that actions write, but for set-field.
    pub action_id: OxmId,
    /// What the packet must be for the field to exist.
    pub prerequisite: Prerequisite,
    /// How text shows it.
    pub format: Format,
    /// The mask that covers it all.
    pub(crate) full_mask: FieldValue,
    /// A mask of its bytes on the wire, which may have more bits than the field.
    pub(crate) wire_mask: FieldValue,
}

/// What a packet must be for a field to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Prerequisite {
    None,
    Ethernet,
    Vlan,
    Mpls,
    Arp,
    Ip,
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Sctp,
    Icmpv4,
    Icmpv6,
    Nd,
    NdSolicit,
    NdAdvert,
    Nsh,
    Ct,
}

/// How text shows a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Decimal,
    Hex,
    Port,
    Mac,
    Ipv4,
    Ipv6,
    Frag,
    CtState,
    TcpFlags,
    TunFlags,
    PacketType,
}

impl Field {
    /// Every field, in the order of an encoded match.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u16..).zip(registry::REGISTRY).map(|(index, _)| Self(index))
    }

    /// How many fields there are.
    pub(crate) const COUNT: usize = registry::COUNT;

    /// Its place in [`Field::all`], below [`Field::COUNT`].
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// The name of the field at a place in [`Field::all`], which must be below [`Field::COUNT`].
    pub(crate) const fn name_at(index: usize) -> &'static str {
        registry::REGISTRY[index].name
    }

    /// The field of that name on the wire.
    #[must_use]
    pub fn from_id(id: OxmId) -> Option<Self> {
        registry::find(id)
    }

    /// What is known of it.
    #[must_use]
    #[inline]
    pub fn info(self) -> &'static FieldInfo {
        &registry::REGISTRY[usize::from(self.0)]
    }

    /// Its name in ovs-fields(7).
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Its width in bits.
    #[must_use]
    pub fn n_bits(self) -> u16 {
        self.info().n_bits
    }

    /// Its width on the wire in bytes; of tunnel metadata, the most there may be.
    #[must_use]
    #[inline]
    pub fn n_bytes(self) -> u8 {
        self.info().n_bytes
    }

    /// Whether it is one of tunnel metadata, whose values [`FieldValue`] cannot hold.
    #[must_use]
    #[inline]
    pub fn is_wide(self) -> bool {
        self >= field::TUN_METADATA0 && self <= field::TUN_METADATA63
    }

    /// Whether its header in actions is that of an experimenter, of eight bytes.
    #[must_use]
    pub fn is_experimenter(self) -> bool {
        self.info().action_id.class == OxmId::EXPERIMENTER
    }

    /// Its name on the wire.
    #[must_use]
    pub fn id(self) -> OxmId {
        self.info().ids[0]
    }

    /// Whether a value of it may have that length on the wire.
    #[inline]
    fn is_len(self, len: Option<usize>) -> bool {
        let n_bytes = usize::from(self.n_bytes());
        len.is_some_and(|len| if self.is_wide() { len <= n_bytes } else { len == n_bytes })
    }

    /// The mask that covers it all.
    #[must_use]
    #[inline]
    pub fn full_mask(self) -> FieldValue {
        self.info().full_mask
    }

    /// A mask of its bytes on the wire, which may have more bits than the field.
    #[inline]
    pub(crate) fn wire_mask(self) -> FieldValue {
        self.info().wire_mask
    }

    /// Writes its header as Nicira's actions name it, for a value and perhaps a mask to follow.
    pub(crate) fn encode_header(self, w: &mut Writer<'_>, has_mask: bool) {
        self.info().action_id.encode_header(w, has_mask, self.n_bytes());
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An OXM header as it came: the four bytes, and the field they name if it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// The four bytes, without an experimenter number.
    pub(crate) raw: u32,
    /// The field.
    pub(crate) field: Option<Field>,
}

impl Header {
    /// Whether a mask follows the value.
    pub(crate) fn has_mask(self) -> bool {
        self.raw & 0x100 != 0
    }

    fn is_experimenter(self) -> bool {
        self.raw >> 16 == u32::from(OxmId::EXPERIMENTER)
    }

    /// The length of value and mask in bytes; `None` if the length cannot even hold the experimenter number.
    pub(crate) fn body_len(self) -> Option<usize> {
        let len = (self.raw & 0xff) as usize;
        if self.is_experimenter() { len.checked_sub(4) } else { Some(len) }
    }
}

/// Reads an OXM header from the front of `r`.
///
/// Shape: class `u16`, field 7 bits, hasmask 1 bit, length `u8`; with class 0xffff an experimenter number `u32`
/// follows and is counted in the length.
///
/// # Errors
/// `Truncated`.
///
/// Source: OpenFlow 1.3.5 §7.2.3.2.
#[inline]
pub(crate) fn read_header(r: &mut Reader<'_>) -> Result<Header, DecodeError> {
    let raw = r.u32()?;
    let class = (raw >> 16) as u16;
    let experimenter = if class == OxmId::EXPERIMENTER { r.u32()? } else { 0 };
    let id = OxmId { class, number: (raw >> 9 & 0x7f) as u8, experimenter };
    Ok(Header { raw, field: Field::from_id(id) })
}

/// Reads the header of a field that must be known, as actions name their fields; its length must be the field's.
#[inline(always)]
pub(crate) fn read_field(r: &mut Reader<'_>) -> Result<Field, DecodeError> {
    let at = r.clone();
    let header = read_header(r)?;
    match header.field {
        Some(field) if !header.has_mask() && field.is_len(header.body_len()) => Ok(field),
        _ => Err(at.error(Problem::BadField { header: header.raw })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_each_of_its_ids() {
        for known in Field::all() {
            for id in known.info().ids {
                assert_eq!(Field::from_id(*id), Some(known), "{known} {id:?}");
            }
            assert!(known.n_bits() <= 128 || known.is_wide());
        }
    }
}
