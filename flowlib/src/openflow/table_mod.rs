//! Changes of a table's configuration.

use crate::types::TableId;
use crate::wire::{DecodeError, Part, Reader, Wire, Writer};

/// A change of a table's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableMod {
    /// The table, or [`TableId::ALL`].
    pub table: TableId,
    /// OFPTC_ bits: 3 were the treatment of table misses before OpenFlow 1.3 and mean nothing since.
    pub config: u32,
}

/// Shape: table `u8`, 3 zeros, config `u32`.
///
/// Source: OpenFlow 1.3.5 §7.3.3.
impl Wire for TableMod {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::TableMod);
        let table = TableId(r.u8()?);
        r.skip(3)?;
        Ok(Self { table, config: r.u32()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.table.0);
        w.zeros(3);
        w.u32(self.config);
    }
}
