//! What tables can do.

use crate::openflow::fixed_text::FixedText;
use crate::openflow::oxm::{Field, OxmId};
use crate::openflow::property::{self, RawProperty};
use crate::types::TableId;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

/// What a table can do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableFeatures {
    /// The table.
    pub table: TableId,
    /// Its name.
    pub name: FixedText<32>,
    /// Bits of the metadata it can match.
    pub metadata_match: u64,
    /// Bits of the metadata it can write.
    pub metadata_write: u64,
    /// OFPTC_ bits.
    pub config: u32,
    /// How many flows it can hold.
    pub max_entries: u32,
    /// What else it can do.
    pub properties: Vec<TableFeature>,
}

open_enum! {
    /// What a property of a table says. Those of table-miss flows are odd. Source: OpenFlow 1.3.5 §7.3.5.5.2.
    pub struct TableFeatureType(u16) {
        /// OFPTFPT_INSTRUCTIONS.
        INSTRUCTIONS = 0 => "instructions",
        /// OFPTFPT_INSTRUCTIONS_MISS.
        INSTRUCTIONS_MISS = 1 => "instructions_miss",
        /// OFPTFPT_NEXT_TABLES.
        NEXT_TABLES = 2 => "next_tables",
        /// OFPTFPT_NEXT_TABLES_MISS.
        NEXT_TABLES_MISS = 3 => "next_tables_miss",
        /// OFPTFPT_WRITE_ACTIONS.
        WRITE_ACTIONS = 4 => "write_actions",
        /// OFPTFPT_WRITE_ACTIONS_MISS.
        WRITE_ACTIONS_MISS = 5 => "write_actions_miss",
        /// OFPTFPT_APPLY_ACTIONS.
        APPLY_ACTIONS = 6 => "apply_actions",
        /// OFPTFPT_APPLY_ACTIONS_MISS.
        APPLY_ACTIONS_MISS = 7 => "apply_actions_miss",
        /// OFPTFPT_MATCH.
        MATCH = 8 => "match",
        /// OFPTFPT_WILDCARDS.
        WILDCARDS = 10 => "wildcards",
        /// OFPTFPT_WRITE_SETFIELD.
        WRITE_SET_FIELD = 12 => "write_set_field",
        /// OFPTFPT_WRITE_SETFIELD_MISS.
        WRITE_SET_FIELD_MISS = 13 => "write_set_field_miss",
        /// OFPTFPT_APPLY_SETFIELD.
        APPLY_SET_FIELD = 14 => "apply_set_field",
        /// OFPTFPT_APPLY_SETFIELD_MISS.
        APPLY_SET_FIELD_MISS = 15 => "apply_set_field_miss",
    }
}

/// One thing that a table can do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableFeature {
    /// Instructions or actions it knows.
    Codes {
        /// What for.
        feature_type: TableFeatureType,
        /// Which.
        codes: Vec<CodePoint>,
    },
    /// Tables that a packet may go to from it.
    Tables {
        /// What for.
        feature_type: TableFeatureType,
        /// Which.
        tables: Vec<TableId>,
    },
    /// Fields it can match or set.
    Fields {
        /// What for.
        feature_type: TableFeatureType,
        /// Which.
        fields: Vec<FieldId>,
    },
    /// Anything else, byte for byte.
    Unknown(RawProperty),
}

/// A kind of instruction or action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodePoint {
    /// Its type: 0xffff for an experimenter's.
    pub code: u16,
    /// What follows type and length: an experimenter's number, or padding of 1.3.0.
    pub body: Box<[u8]>,
}

/// A field as an OXM header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldId {
    /// The OXM header as it came.
    pub header: u32,
    /// Whose field it is, if its class is [`OxmId::EXPERIMENTER`]; else 0.
    pub experimenter: u32,
}

impl FieldId {
    /// The field, perhaps with a mask.
    #[must_use]
    pub fn new(field: Field, has_mask: bool) -> Self {
        let id = field.id();
        let extra = if id.class == OxmId::EXPERIMENTER { 4 } else { 0 };
        let len = (field.n_bytes() << u8::from(has_mask)) + extra;
        Self { header: id.header(has_mask, len), experimenter: id.experimenter }
    }

    /// The field, if it is known.
    #[must_use]
    pub fn field(self) -> Option<Field> {
        let (class, number) = ((self.header >> 16) as u16, (self.header >> 9 & 0x7f) as u8);
        Field::from_id(OxmId { class, number, experimenter: self.experimenter })
    }

    /// Whether it is said with a mask.
    #[must_use]
    pub fn has_mask(self) -> bool {
        self.header & 0x100 != 0
    }
}

/// The first type of an experimenter's property: its odd sibling is for table-miss flows.
const EXPERIMENTERS: u32 = 0xfffe;

/// Shape: length `u16`, table `u8`, 5 zeros, name 32 bytes, metadata that it matches `u64` and writes `u64`, config
/// `u32`, size `u32`, properties.
///
/// Source: OpenFlow 1.3.5 §7.3.5.5.1.
impl Wire for TableFeatures {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::TableFeatures);
        let at = r.clone();
        let len = usize::from(r.u16()?);
        if len % 8 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 2, Part::TableFeatures)?;
        let table = TableId(body.u8()?);
        body.skip(5)?;
        let name = FixedText(body.array()?);
        let (metadata_match, metadata_write) = (body.u64()?, body.u64()?);
        let (config, max_entries) = (body.u32()?, body.u32()?);
        let properties = super::decode_list(&mut body)?;
        Ok(Self { table, name, metadata_match, metadata_write, config, max_entries, properties })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(0);
        w.u8(self.table.0);
        w.zeros(5);
        w.bytes(&self.name.0);
        w.u64(self.metadata_match);
        w.u64(self.metadata_write);
        w.u32(self.config);
        w.u32(self.max_entries);
        super::encode_list(&self.properties, w);
        w.patch_len(mark, 0);
    }
}

/// Shape: a property: code points, table numbers `u8`, or OXM headers.
///
/// Source: OpenFlow 1.3.5 §7.3.5.5.2.
impl Wire for TableFeature {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (property_type, mut value) = property::take(r, EXPERIMENTERS)?;
        let feature_type = TableFeatureType(property_type);
        Ok(match property_type {
            0 | 1 | 4..=7 => Self::Codes { feature_type, codes: super::decode_list(&mut value)? },
            2 | 3 => Self::Tables {
                feature_type,
                tables: value.rest().iter().map(|table| TableId(*table)).collect(),
            },
            8 | 10 | 12..=15 => {
                value.set_part(Part::Match);
                Self::Fields { feature_type, fields: super::decode_list(&mut value)? }
            }
            _ => Self::Unknown(RawProperty::keep(property_type, value)),
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Codes { feature_type, codes } => {
                property::put(w, feature_type.0, |w| super::encode_list(codes, w));
            }
            Self::Tables { feature_type, tables } => {
                property::put(w, feature_type.0, |w| tables.iter().for_each(|table| w.u8(table.0)));
            }
            Self::Fields { feature_type, fields } => {
                property::put(w, feature_type.0, |w| super::encode_list(fields, w));
            }
            Self::Unknown(raw) => raw.encode(w),
        }
    }
}

/// Shape: type `u16`, length `u16` of both and the body, the body.
impl Wire for CodePoint {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (code, len) = (r.u16()?, usize::from(r.u16()?));
        Ok(Self { code, body: r.body(len, 4, Part::Property)?.rest().into() })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(self.code);
        w.u16(0);
        w.bytes(&self.body);
        w.patch_len(mark, 2);
    }
}

/// Shape: an OXM header `u32`, and if its class says so an experimenter `u32`.
impl Wire for FieldId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = r.u32()?;
        let is_experimenter = header >> 16 == u32::from(OxmId::EXPERIMENTER);
        Ok(Self { header, experimenter: if is_experimenter { r.u32()? } else { 0 } })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.header);
        if self.header >> 16 == u32::from(OxmId::EXPERIMENTER) {
            w.u32(self.experimenter);
        }
    }
}
