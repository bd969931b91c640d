//! Actions: what happens to a packet. One file a family.
//!
//! An action that is not known here is kept byte for byte. Those that Open vSwitch accepts under several spellings
//! are one variant and are written in the spelling that Open vSwitch writes in OpenFlow 1.3; those whose spelling
//! shows in text ([`Legacy`], [`Action::CopyField`]) keep it.

mod bundle;
mod check;
mod controller;
mod ct;
mod encap;
mod learn;
mod legacy;
mod nicira;
mod sample;
mod standard;
mod subfield;

pub use bundle::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};
pub use check::{CheckError, Within};
pub use controller::{Controller, PacketInReason};
pub use ct::{Ct, CtFlags, CtZone, Nat, NatFlags, NatRange};
pub use encap::{Encap, EncapProperty};
pub use learn::{Learn, LearnFlags, LearnSource, LearnSpec, LearnTarget};
pub use legacy::Legacy;
pub use sample::{Sample, SampleDirection};
pub(super) use standard::SET_FIELD;

use crate::types::{GroupId, PortNo, TableId};
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

use super::oxm::{Field, FieldValue, MatchField, OxmId, SubField, WideField};

/// One action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u64)]
pub enum Action {
    /// To a port. `max_len` is how much of the packet a packet-in shows (`PortNo::CONTROLLER` only).
    Output {
        /// The port.
        port: PortNo,
        /// Bytes, or [`Action::NO_BUFFER`] for all.
        max_len: u16,
    },
    /// NXAST_OUTPUT_TRUNC: to a port, cut to a length.
    OutputTrunc {
        /// The port.
        port: PortNo,
        /// The length in bytes; at least 14.
        max_len: u32,
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
    /// To a group.
    Group(GroupId),
    /// NXAST_BUNDLE and NXAST_BUNDLE_LOAD: to one of several ports, or the number of one into a field.
    Bundle(Box<Bundle>),
    /// NXAST_MULTIPATH: a hash of the packet into a field.
    Multipath(Box<Multipath>),
    /// The queue for a later output.
    SetQueue(u32),
    /// NXAST_POP_QUEUE: the queue that was set first.
    PopQueue,

    /// A new tag of that ethertype (0x8100 or 0x88a8).
    PushVlan(u16),
    /// The outermost tag off.
    PopVlan,
    /// A new MPLS label of that ethertype.
    PushMpls(u16),
    /// The outermost label off; the ethertype of what is left.
    PopMpls(u16),
    /// OFPAT_PUSH_PBB.
    PushPbb(u16),
    /// OFPAT_POP_PBB.
    PopPbb,
    /// NXAST_ENCAP: a new header.
    Encap(Box<Encap>),
    /// NXAST_DECAP: the outermost header off.
    Decap {
        /// What kind of packet is left; [`Action::USE_NEXT_PROTO`]: whatever the header says.
        packet_type: u32,
    },

    /// OFPAT_COPY_TTL_OUT.
    CopyTtlOut,
    /// OFPAT_COPY_TTL_IN.
    CopyTtlIn,
    /// OFPAT_SET_MPLS_TTL.
    SetMplsTtl(u8),
    /// OFPAT_DEC_MPLS_TTL.
    DecMplsTtl,
    /// OFPAT_SET_NW_TTL.
    SetNwTtl(u8),
    /// OFPAT_DEC_NW_TTL.
    DecNwTtl,
    /// NXAST_DEC_TTL_CNT_IDS: as [`Action::DecNwTtl`]; a TTL that ran out is told to these controllers.
    DecTtlCntIds(Box<[u16]>),
    /// NXAST_DEC_NSH_TTL.
    DecNshTtl,

    /// A field's new value.
    SetField {
        /// The field.
        field: Field,
        /// The value.
        value: FieldValue,
    },
    /// A new value of a field of tunnel metadata.
    SetWideField(Box<WideField>),
    /// NXAST_REG_LOAD2: a field's new value, or that of some bits of it.
    RegLoad2(Box<MatchField>),
    /// NXAST_REG_LOAD2 of a field of tunnel metadata.
    WideRegLoad2(Box<WideField>),
    /// NXAST_REG_LOAD: a number into bits of a field.
    RegLoad {
        /// Into these bits; at most 64.
        dst: SubField,
        /// The number.
        value: u64,
    },
    /// NXAST_REG_MOVE: as many bits from one field to another.
    RegMove {
        /// From here.
        src: SubField,
        /// To here; as many bits.
        dst: SubField,
    },
    /// ONFACT_COPY_FIELD: as [`Action::RegMove`], in the ONF's spelling.
    CopyField {
        /// From here.
        src: SubField,
        /// To here; as many bits.
        dst: SubField,
    },
    /// NXAST_STACK_PUSH.
    StackPush(SubField),
    /// NXAST_STACK_POP.
    StackPop(SubField),
    /// NXAST_DELETE_FIELD: takes a field of tunnel metadata away.
    DeleteField(Field),
    /// NXAST_CHECK_PKT_LARGER: whether a packet is longer, into one bit.
    CheckPktLarger {
        /// The bit.
        dst: SubField,
        /// The length in bytes.
        pkt_len: u16,
    },
    /// NXAST_WRITE_METADATA: what the instruction of that name does.
    WriteMetadata {
        /// The bits.
        metadata: u64,
        /// Which of them are written.
        mask: u64,
    },
    /// An action that a newer one replaces.
    Legacy(Legacy),

    /// NXAST_RESUBMIT and NXAST_RESUBMIT_TABLE: looks the packet up in another table, then goes on.
    Resubmit {
        /// As if it had come from here; `None`: from where it came.
        port: Option<PortNo>,
        /// The table, [`TableId::ALL`] for this one; `None` is NXAST_RESUBMIT, which means this one too.
        table: Option<TableId>,
        /// NXAST_RESUBMIT_TABLE_CT: as if the packet had the addresses of its connection's first one.
        with_ct_orig: bool,
    },
    /// NXAST_CLONE: the actions, on a copy.
    Clone(Vec<Action>),
    /// NXAST_CT: through the connection tracker.
    Ct(Box<Ct>),
    /// NXAST_NAT; only within [`Action::Ct`].
    Nat(Box<Nat>),
    /// NXAST_CT_CLEAR.
    CtClear,
    /// NXAST_LEARN and NXAST_LEARN2: a new flow.
    Learn(Box<Learn>),
    /// NXAST_CONJUNCTION.
    Conjunction {
        /// Which dimension, from 0.
        clause: u8,
        /// How many dimensions.
        n_clauses: u8,
        /// The conjunction.
        id: u32,
    },
    /// NXAST_FIN_TIMEOUT: shorter timeouts of the flow once a connection ends; 0 leaves one alone.
    FinTimeout {
        /// Seconds.
        idle_timeout_s: u16,
        /// Seconds.
        hard_timeout_s: u16,
    },
    /// NXAST_SAMPLE, NXAST_SAMPLE2 and NXAST_SAMPLE3: some packets to a collector.
    Sample(Box<Sample>),
    /// NXAST_EXIT: no further actions.
    Exit,
    /// NXAST_NOTE: nothing; the bytes are for whoever reads them, with the padding that came.
    Note(Box<[u8]>),
    /// NXAST_DEBUG_SLOW: the packet leaves the fast path.
    DebugSlow,
    /// NXAST_DEBUG_RECIRC: the packet recirculates.
    DebugRecirc,
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
    /// OFPHTN_USE_NEXT_PROTO: the kind of packet that the header says. Source: `lib/packets.h` of Open vSwitch 3.1.
    pub const USE_NEXT_PROTO: u32 = 0xfffe;
    /// How deep actions may lie in actions; Open vSwitch reads no text deeper than this either.
    pub const MAX_DEPTH: u8 = 100;

    /// To a port; to the controller with the whole packet.
    #[must_use]
    pub fn output(port: PortNo) -> Self {
        let max_len = if port == PortNo::CONTROLLER { Self::NO_BUFFER } else { 0 };
        Self::Output { port, max_len }
    }

    /// A field's new value.
    #[must_use]
    pub fn set_field(field: Field, value: impl Into<FieldValue>) -> Self {
        Self::SetField { field, value: value.into().and(field.full_mask()) }
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
        Self::Resubmit { port: None, table: Some(table), with_ct_orig: false }
    }

    /// To the port whose number is in a field.
    #[must_use]
    pub fn output_reg(src: impl Into<SubField>) -> Self {
        Self::OutputReg { src: src.into(), max_len: Self::NO_BUFFER }
    }

    /// The actions within this one.
    #[must_use]
    pub fn nested(&self) -> &[Self] {
        match self {
            Self::Clone(actions) => actions,
            Self::Ct(ct) => &ct.actions,
            _ => &[],
        }
    }

    /// Reads actions that are all of `r`.
    ///
    /// # Errors
    /// As [`Action::decode`].
    pub(crate) fn decode_list(r: Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        Self::decode_nested(r, 0)
    }

    /// Reads actions that are all of `r` and lie in `depth` others.
    fn decode_nested(mut r: Reader<'_>, depth: u8) -> Result<Vec<Self>, DecodeError> {
        if depth > Self::MAX_DEPTH {
            return Err(r.error(Problem::TooDeep));
        }
        r.set_part(Part::Action);
        let mut actions = Vec::with_capacity((r.len() / 16).min(16));
        while !r.is_empty() {
            Self::decode_into(&mut actions, &mut r, depth)?;
        }
        Ok(actions)
    }

    /// Reads one action to the end of others: they are too large to be handed over often. That is also why what this
    /// calls for the usual actions is always inlined.
    #[inline(always)]
    fn decode_into(actions: &mut Vec<Self>, r: &mut Reader<'_>, depth: u8) -> Result<(), DecodeError> {
        let at = r.clone();
        let mut header = r.fixed::<4>()?;
        let (action_type, len) = (header.u16()?, usize::from(header.u16()?));
        if len < 8 || len % 8 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 4, Part::Action)?;
        let raw = body.peek();
        let is_known = match action_type {
            EXPERIMENTER => match body.u32()? {
                OxmId::NICIRA => nicira::decode(actions, &mut body, depth)?,
                OxmId::ONF => keep(actions, subfield::decode_onf(&mut body)?),
                _ => false,
            },
            _ => standard::decode(actions, action_type, &mut body)?,
        };
        if is_known {
            return body.finish();
        }
        actions.push(Self::Unknown { action_type, body: raw.into() });
        Ok(())
    }

    /// Writes actions one after another.
    pub(crate) fn encode_list(actions: &[Self], w: &mut Writer<'_>) {
        for action in actions {
            action.encode(w);
        }
    }
}

/// Appends an action if there is one; says whether there was.
fn keep(actions: &mut Vec<Action>, found: Option<Action>) -> bool {
    let Some(action) = found else { return false };
    actions.push(action);
    true
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
        let mut actions = Vec::with_capacity(1);
        Self::decode_into(&mut actions, r, 0)?;
        r.set_part(part);
        Ok(actions.pop().expect("an action was read"))
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
            Self::Legacy(legacy) => legacy.encode(w),
            Self::CopyField { src, dst } => subfield::encode_onf(w, *src, *dst),
            _ if standard::is_standard(self) => standard::encode(self, w),
            _ => nicira::encode(self, w),
        }
    }
}
