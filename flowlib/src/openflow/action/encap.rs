//! New headers around a packet.

use crate::wire::{DecodeError, EncodeError, Problem, Reader, Writer};

/// A new header around the packet. Source: ovs-actions(7), "encap".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encap {
    /// The header's length in bytes; 0: not said.
    pub header_len: u16,
    /// The kind of packet there is then: namespace in the upper 16 bits.
    pub packet_type: u32,
    /// What the header says.
    pub properties: Vec<EncapProperty>,
}

/// Something that a new header says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EncapProperty {
    /// The metadata type of an NSH header: 1 or 2.
    NshMdType(u8),
    /// Metadata of an NSH header of type 2.
    NshTlv {
        /// Its class.
        class: u16,
        /// Its type.
        tlv_type: u8,
        /// Its value, at most 240 bytes.
        value: Box<[u8]>,
    },
}

impl Encap {
    /// A packet that begins with an Ethernet header.
    pub const ETHERNET: u32 = 0;
    /// A packet that begins with an NSH header: ethertype 0x894f.
    pub const NSH: u32 = 0x0001_894f;

    /// A packet that begins with an MPLS label: ethertype 0x8847.
    pub const MPLS: u32 = 0x0001_8847;
    /// A packet that begins with an MPLS label: ethertype 0x8848.
    pub const MPLS_MULTICAST: u32 = 0x0001_8848;
    /// The kinds that a switch can make, and their names.
    pub const KINDS: [(u32, &'static str); 4] = [
        (Self::ETHERNET, "ethernet"),
        (Self::NSH, "nsh"),
        (Self::MPLS, "mpls"),
        (Self::MPLS_MULTICAST, "mpls_mc"),
    ];

    /// Reads NXAST_ENCAP behind its subtype.
    ///
    /// Shape: header length `u16`, packet type `u32`, properties.
    ///
    /// # Errors
    /// `BadHeader` on a kind of header, `BadProperty` on a property that is not known.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (header_len, packet_type) = (r.u16()?, r.u32()?);
        if !Self::KINDS.iter().any(|(known, _)| *known == packet_type) {
            return Err(at.error(Problem::BadHeader { found: packet_type }));
        }
        let mut properties = Vec::new();
        while !r.is_empty() {
            properties.push(EncapProperty::decode(r)?);
        }
        Ok(Self { header_len, packet_type, properties })
    }

    /// Writes NXAST_ENCAP behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.header_len);
        w.u32(self.packet_type);
        for property in &self.properties {
            property.encode(w);
        }
    }
}

/// The class of NSH's properties.
const NSH_CLASS: u16 = 4;
const MD_TYPE: u8 = 1;
const TLV: u8 = 2;
/// The bytes of a TLV property before its value.
const TLV_HEADER_LEN: usize = 8;

impl EncapProperty {
    /// Shape: class `u16`, type `u8`, length `u8` without padding, the rest by type, zeros to a multiple of 8. A
    /// metadata type is a `u8`; metadata is class `u16`, type `u8`, length `u8`, value, zeros that count.
    ///
    /// Source: `include/openflow/openflow-common.h` and `lib/ofp-ed-props.c` of Open vSwitch 3.1.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (class, kind, len) = (r.u16()?, r.u8()?, usize::from(r.u8()?));
        let mut body = r.body(len.next_multiple_of(8).max(8), 4, r.part())?;
        match (class, kind) {
            (NSH_CLASS, MD_TYPE) if len <= 8 => {
                let md_type = body.u8()?;
                Ok(Self::NshMdType(md_type))
            }
            (NSH_CLASS, TLV) => {
                let (class, tlv_type) = (body.u16()?, body.u8()?);
                let value_len = usize::from(body.u8()?);
                if len != TLV_HEADER_LEN + value_len.next_multiple_of(8) {
                    return Err(at.error(Problem::BadProperty { found: kind.into() }));
                }
                Ok(Self::NshTlv { class, tlv_type, value: body.bytes(value_len)?.into() })
            }
            _ => Err(at.error(Problem::BadProperty { found: u32::from(class) << 8 | u32::from(kind) })),
        }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(NSH_CLASS);
        match self {
            Self::NshMdType(md_type) => {
                w.bytes(&[MD_TYPE, 5, *md_type]);
                w.pad8(mark);
            }
            Self::NshTlv { class, tlv_type, value } => {
                let len = TLV_HEADER_LEN + value.len().next_multiple_of(8);
                let (Ok(len), Ok(value_len)) = (u8::try_from(len), u8::try_from(value.len())) else {
                    w.fail(EncodeError::TooLong { len });
                    return;
                };
                w.bytes(&[TLV, len]);
                w.u16(*class);
                w.bytes(&[*tlv_type, value_len]);
                w.bytes(value);
                w.pad8(mark);
            }
        }
    }
}
