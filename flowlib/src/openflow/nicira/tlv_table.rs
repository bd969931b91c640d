//! Which options of tunnels are in which of the fields `tun_metadata0` to `tun_metadata63`.

use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

open_enum! {
    /// What happens to the table. Source: NXT_TLV_TABLE_MOD in `nicira-ext.h` of Open vSwitch 3.1.
    pub struct TlvTableCommand(u16) {
        /// New mappings.
        ADD = 0 => "ADD",
        /// These mappings go.
        DELETE = 1 => "DEL",
        /// All mappings go.
        CLEAR = 2 => "CLEAR",
    }
}

/// One option of a tunnel and the field it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlvMap {
    /// The option's class.
    pub option_class: u16,
    /// Its type.
    pub option_type: u8,
    /// The length of its value in bytes: a multiple of 4, at most 124.
    pub option_len: u8,
    /// Which of the fields `tun_metadata0` to `tun_metadata63`.
    pub index: u16,
}

impl TlvMap {
    /// The longest value of an option.
    pub const MAX_OPTION_LEN: u8 = 124;
    /// How many fields there are.
    pub const N_FIELDS: u16 = 64;

    fn decode_list(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut maps = Vec::with_capacity(r.len() / 8);
        while !r.is_empty() {
            maps.push(Self::decode(r)?);
        }
        Ok(maps)
    }
}

/// Strict: an option or a field that cannot be is an error.
///
/// Shape: class `u16`, type `u8`, length `u8`, field `u16`, 2 zeros.
impl Wire for TlvMap {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (option_class, option_type, option_len, index) = (r.u16()?, r.u8()?, r.u8()?, r.u16()?);
        r.skip(2)?;
        if option_len % 4 != 0 || option_len > Self::MAX_OPTION_LEN {
            return Err(at.error(Problem::BadLength { found: option_len.into() }));
        }
        if index >= Self::N_FIELDS {
            return Err(at.error(Problem::BadValue { found: index.into() }));
        }
        Ok(Self { option_class, option_type, option_len, index })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.option_class);
        w.u8(self.option_type);
        w.u8(self.option_len);
        w.u16(self.index);
        w.zeros(2);
    }
}

/// A change of the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlvTableMod {
    /// What happens.
    pub command: TlvTableCommand,
    /// To which mappings.
    pub maps: Vec<TlvMap>,
}

/// Shape: command `u16`, 6 zeros, mappings.
///
/// Source: NXT_TLV_TABLE_MOD in `nicira-ext.h` of Open vSwitch 3.1.
impl Wire for TlvTableMod {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::TlvTable);
        let at = r.clone();
        let command = TlvTableCommand(r.u16()?);
        r.skip(6)?;
        if command.name().is_none() {
            return Err(at.error(Problem::BadCommand { found: command.0.into() }));
        }
        Ok(Self { command, maps: TlvMap::decode_list(r)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.command.0);
        w.zeros(6);
        self.maps.iter().for_each(|map| map.encode(w));
    }
}

/// The table, and how much it can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlvTable {
    /// How many bytes all options together may have.
    pub max_option_space: u32,
    /// How many fields may be in use.
    pub max_fields: u16,
    /// The mappings.
    pub maps: Vec<TlvMap>,
}

/// Shape: option space `u32`, fields `u16`, 10 zeros, mappings.
///
/// Source: NXT_TLV_TABLE_REPLY in `nicira-ext.h` of Open vSwitch 3.1.
impl Wire for TlvTable {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::TlvTable);
        let (max_option_space, max_fields) = (r.u32()?, r.u16()?);
        r.skip(10)?;
        Ok(Self { max_option_space, max_fields, maps: TlvMap::decode_list(r)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.max_option_space);
        w.u16(self.max_fields);
        w.zeros(10);
        self.maps.iter().for_each(|map| map.encode(w));
    }
}
