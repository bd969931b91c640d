//! What a switch is and how it is set up: features and configuration.

use crate::types::DatapathId;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

/// What a switch says of itself. Source: OpenFlow 1.3.5 §7.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeaturesReply {
    /// Its identity.
    pub datapath_id: DatapathId,
    /// How many packets it keeps for packet-ins.
    pub n_buffers: u32,
    /// How many tables it has.
    pub n_tables: u8,
    /// The number of an auxiliary connection; 0 for the main one.
    pub auxiliary_id: u8,
    /// OFPC_ bits.
    pub capabilities: u32,
    /// Reserved by the standard.
    pub reserved: u32,
}

/// Shape: dpid `u64`, buffers `u32`, tables `u8`, auxiliary id `u8`, 2 zeros, capabilities `u32`, reserved `u32`.
impl Wire for FeaturesReply {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let datapath_id = DatapathId(r.u64()?);
        let n_buffers = r.u32()?;
        let (n_tables, auxiliary_id) = (r.u8()?, r.u8()?);
        r.skip(2)?;
        Ok(Self {
            datapath_id,
            n_buffers,
            n_tables,
            auxiliary_id,
            capabilities: r.u32()?,
            reserved: r.u32()?,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.datapath_id.0);
        w.u32(self.n_buffers);
        w.u8(self.n_tables);
        w.u8(self.auxiliary_id);
        w.zeros(2);
        w.u32(self.capabilities);
        w.u32(self.reserved);
    }
}

/// How a switch treats fragments, and how much of a packet a table miss shows. Source: OpenFlow 1.3.5 §7.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SwitchConfig {
    /// OFPC_FRAG_ bits.
    pub flags: u16,
    /// Bytes of a packet in a packet-in that no action asked for.
    pub miss_send_len: u16,
}

impl SwitchConfig {
    /// OFPC_FRAG_MASK: the bits that say how fragments are treated; in OpenFlow 1.3 there are no others.
    pub const FRAG_MASK: u16 = 3;

    /// Reads one that is asked for. Strict: flags that do not exist are an error.
    pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Config);
        let at = r.clone();
        let found = Self::decode(r)?;
        if found.flags & !Self::FRAG_MASK != 0 {
            return Err(at.error(Problem::BadFlags { found: found.flags.into() }));
        }
        Ok(found)
    }
}

/// Shape: flags `u16`, length `u16`.
impl Wire for SwitchConfig {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { flags: r.u16()?, miss_send_len: r.u16()? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.flags);
        w.u16(self.miss_send_len);
    }
}
