//! Actions: what happens to a packet. One file a family.
//!
//! An action that is not known here is kept byte for byte.

mod controller;
mod nicira;
mod standard;

pub use controller::{Controller, PacketInReason};

use crate::types::{GroupId, PortNo, TableId};
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

use super::oxm::{Field, FieldValue, OxmId, SubField};

/// One action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// To a port. `max_len` is how much of the packet a packet-in shows (`PortNo::CONTROLLER` only).
    Output {
        /// The port.
        port: PortNo,
        /// Bytes, or [`Action::NO_BUFFER`] for all.
        max_len: u16,
    },
    /// OFPAT_COPY_TTL_OUT.
    CopyTtlOut,
    /// OFPAT_COPY_TTL_IN.
    CopyTtlIn,
    /// OFPAT_SET_MPLS_TTL.
    SetMplsTtl(u8),
    /// OFPAT_DEC_MPLS_TTL.
    DecMplsTtl,
    /// A new tag of that ethertype (0x8100 or 0x88a8).
    PushVlan(u16),
    /// The outermost tag off.
    PopVlan,
    /// A new MPLS label of that ethertype.
    PushMpls(u16),
    /// The outermost label off; the ethertype of what is left.
    PopMpls(u16),
    /// The queue for a later output.
    SetQueue(u32),
    /// To a group.
    Group(GroupId),
    /// OFPAT_SET_NW_TTL.
    SetNwTtl(u8),
    /// OFPAT_DEC_NW_TTL.
    DecNwTtl,
    /// OFPAT_PUSH_PBB.
    PushPbb(u16),
    /// OFPAT_POP_PBB.
    PopPbb,
    /// A field's new value; with a mask, of those bits (then NXAST_REG_LOAD2 on the wire).
    SetField {
        /// The field.
        field: Field,
        /// The value.
        value: FieldValue,
        /// The bits that are set, if not all.
        mask: Option<FieldValue>,
    },
    /// NXAST_REG_MOVE: as many bits from one field to another.
    RegMove {
        /// From here.
        src: SubField,
        /// To here; as many bits.
        dst: SubField,
    },
    /// NXAST_REG_LOAD: a number into bits of a field.
    RegLoad {
        /// Into these bits; at most 64.
        dst: SubField,
        /// The number.
        value: u64,
    },
    /// NXAST_RESUBMIT and NXAST_RESUBMIT_TABLE: looks the packet up in another table, then goes on.
    Resubmit {
        /// As if it had come from here; `None`: from where it came.
        port: Option<PortNo>,
        /// The table; `None`: this one.
        table: Option<TableId>,
    },
    /// NXAST_OUTPUT_REG: to the port whose number is in a field.
    OutputReg {
        /// The field.
        src: SubField,
        /// As in [`Action::Output`].
        max_len: u16,
    },
    /// NXAST_CONTROLLER and NXAST_CONTROLLER2: a packet-in.
    Controller(Box<Controller>),
    /// NXAST_EXIT: no further actions.
    Exit,
    /// NXAST_CT_CLEAR.
    CtClear,
    /// NXAST_NOTE: nothing; the bytes are for whoever reads them, with the padding that came.
    Note(Box<[u8]>),
    /// NXAST_CONJUNCTION.
    Conjunction {
        /// Which dimension, from 0.
        clause: u8,
        /// How many dimensions.
        n_clauses: u8,
        /// The conjunction.
        id: u32,
    },
    /// Anything else, byte for byte.
    Unknown {
        /// The type: 0xffff for an experimenter's.
        action_type: u16,
        /// All that follows type and length.
        body: Box<[u8]>,
    },
}

impl Action {
    /// OFPCML_NO_BUFFER: the whole packet.
    pub const NO_BUFFER: u16 = 0xffff;

    /// To a port; to the controller with the whole packet.
    #[must_use]
    pub fn output(port: PortNo) -> Self {
        let max_len = if port == PortNo::CONTROLLER { Self::NO_BUFFER } else { 0 };
        Self::Output { port, max_len }
    }

    /// A field's new value.
    #[must_use]
    pub fn set_field(field: Field, value: impl Into<FieldValue>) -> Self {
        Self::SetField { field, value: value.into().and(field.full_mask()), mask: None }
    }

    /// New values for those bits of a field that `mask` has.
    #[must_use]
    pub fn set_field_masked(field: Field, value: impl Into<FieldValue>, mask: impl Into<FieldValue>) -> Self {
        let full = field.full_mask();
        let mask = mask.into().and(full);
        Self::SetField { field, value: value.into().and(mask), mask: (mask != full).then_some(mask) }
    }

    /// A number into bits of a field.
    #[must_use]
    pub fn load(dst: impl Into<SubField>, value: u64) -> Self {
        Self::RegLoad { dst: dst.into(), value }
    }

    /// Bits of a field into another.
    #[must_use]
    pub fn reg_move(src: impl Into<SubField>, dst: impl Into<SubField>) -> Self {
        Self::RegMove { src: src.into(), dst: dst.into() }
    }

    /// Looks the packet up in another table, then goes on.
    #[must_use]
    pub fn resubmit(table: TableId) -> Self {
        Self::Resubmit { port: None, table: Some(table) }
    }

    /// To the port whose number is in a field.
    #[must_use]
    pub fn output_reg(src: impl Into<SubField>) -> Self {
        Self::OutputReg { src: src.into(), max_len: Self::NO_BUFFER }
    }

    /// Reads actions until `r` is empty.
    ///
    /// # Errors
    /// As [`Action::decode`].
    pub(crate) fn decode_list(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut actions = Vec::with_capacity((r.len() / 16).min(16));
        while !r.is_empty() {
            actions.push(Self::decode(r)?);
        }
        Ok(actions)
    }

    /// Writes actions one after another.
    pub(crate) fn encode_list(actions: &[Self], w: &mut Writer<'_>) {
        for action in actions {
            action.encode(w);
        }
    }
}

const EXPERIMENTER: u16 = 0xffff;

/// Loose: what is not known is kept.
///
/// Shape: type `u16`, length `u16` of the whole action, a multiple of 8; the rest by type.
///
/// Source: OpenFlow 1.3.5 §7.2.5; Nicira's: ovs-actions(7) and `lib/ofp-actions.c` of Open vSwitch 3.1.
impl Wire for Action {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let part = r.part();
        r.set_part(Part::Action);
        let at = r.clone();
        let action_type = r.u16()?;
        let len = usize::from(r.u16()?);
        if len < 8 || len % 8 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 4, Part::Action)?;
        r.set_part(part);
        let raw = body.peek();
        let known = match action_type {
            EXPERIMENTER => {
                let mut inner = body.clone();
                let found = if inner.u32()? == OxmId::NICIRA { nicira::decode(&mut inner)? } else { None };
                body = inner;
                found
            }
            _ => standard::decode(action_type, &mut body)?,
        };
        match known {
            Some(action) => body.finish().map(|()| action),
            None => Ok(Self::Unknown { action_type, body: raw.into() }),
        }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Self::Unknown { action_type, body } => {
                let mark = w.mark();
                w.u16(*action_type);
                w.u16(0);
                w.bytes(body);
                w.patch_len(mark, 2);
            }
            Self::SetField { mask: Some(_), .. } => nicira::encode(self, w),
            _ if nicira::is_nicira(self) => nicira::encode(self, w),
            _ => standard::encode(self, w),
        }
    }
}
