//! The switch itself and its tables.

use crate::openflow::fixed_text::FixedText;
use crate::types::TableId;
use crate::wire::{DecodeError, Reader, Wire, Writer};

/// Who made a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Desc {
    /// The maker.
    pub manufacturer: FixedText<256>,
    /// The hardware.
    pub hardware: FixedText<256>,
    /// The software.
    pub software: FixedText<256>,
    /// The serial number.
    pub serial_number: FixedText<32>,
    /// What people call it.
    pub datapath: FixedText<256>,
}

/// Shape: texts of 256, 256, 256, 32 and 256 bytes.
///
/// Source: OpenFlow 1.3.5 §7.3.5.1.
impl Wire for Desc {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            manufacturer: FixedText(r.array()?),
            hardware: FixedText(r.array()?),
            software: FixedText(r.array()?),
            serial_number: FixedText(r.array()?),
            datapath: FixedText(r.array()?),
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(&self.manufacturer.0);
        w.bytes(&self.hardware.0);
        w.bytes(&self.software.0);
        w.bytes(&self.serial_number.0);
        w.bytes(&self.datapath.0);
    }
}

/// How full a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableStats {
    /// The table.
    pub table: TableId,
    /// Its flows.
    pub active_count: u32,
    /// Packets looked up in it.
    pub lookup_count: u64,
    /// Packets that found a flow.
    pub matched_count: u64,
}

/// Shape: table `u8`, 3 zeros, flows `u32`, looked up `u64`, matched `u64`.
///
/// Source: OpenFlow 1.3.5 §7.3.5.4.
impl Wire for TableStats {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table = TableId(r.u8()?);
        r.skip(3)?;
        Ok(Self { table, active_count: r.u32()?, lookup_count: r.u64()?, matched_count: r.u64()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.table.0);
        w.zeros(3);
        w.u32(self.active_count);
        w.u64(self.lookup_count);
        w.u64(self.matched_count);
    }
}
