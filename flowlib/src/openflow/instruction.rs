//! Instructions: what a flow does with the packets it matches.

use crate::types::{MeterId, TableId};
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

use super::action::{Action, CheckError, Within};
use super::oxm::Packets;

/// One instruction of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum Instruction {
    /// On to a later table.
    GotoTable(TableId),
    /// Bits of the metadata for later tables.
    WriteMetadata {
        /// The bits.
        metadata: u64,
        /// Which of them are written.
        mask: u64,
    },
    /// Into the action set.
    WriteActions(Vec<Action>),
    /// At once, in this order.
    ApplyActions(Vec<Action>),
    /// Empties the action set.
    ClearActions,
    /// Through a meter, which may drop it.
    Meter(MeterId),
    /// Anything else, byte for byte.
    Unknown {
        /// The type: 0xffff for an experimenter's.
        instruction_type: u16,
        /// All that follows type and length.
        body: Box<[u8]>,
    },
}

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;

impl Instruction {
    /// Reads instructions that are all of `r`.
    ///
    /// # Errors
    /// As [`Instruction::decode`].
    pub fn decode_list(mut r: Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        // Most flows have one or two.
        let mut instructions = Vec::with_capacity((r.len() / 8).min(2));
        while !r.is_empty() {
            instructions.push(Self::decode(&mut r)?);
        }
        Ok(instructions)
    }

    /// Checks the instructions of a flow in `table` for packets of `packets`.
    ///
    /// # Errors
    /// Says what is wrong with the first that cannot stand there.
    pub fn check_list(
        instructions: &[Self],
        mut packets: Packets,
        table: Option<TableId>,
    ) -> Result<(), CheckError> {
        for (n, instruction) in instructions.iter().enumerate() {
            let is_again = |other: &Self| other.rank() == instruction.rank() && other.rank() != UNKNOWN_RANK;
            if instructions.iter().skip(n + 1).any(is_again) {
                return Err(CheckError::Duplicate(instruction.name()));
            }
            instruction.check(&mut packets, table)?;
        }
        Ok(())
    }

    /// Checks one instruction of a flow in `table` for packets of `packets`, which it changes as it changes packets.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&self, packets: &mut Packets, table: Option<TableId>) -> Result<(), CheckError> {
        match self {
            Self::GotoTable(next) if table.is_some_and(|table| *next <= table) => {
                Err(CheckError::NotALaterTable(next.0))
            }
            Self::Meter(meter) if meter.0 == 0 || meter.0 > MAX_METER => Err(CheckError::BadMeter(meter.0)),
            Self::ApplyActions(actions) => Action::check_each(actions, packets, Within::List),
            Self::WriteActions(actions) => {
                match Action::check_list(actions, *packets, Within::ActionSet) {
                    // What an action set does depends on packets that come later.
                    Err(error) if error.is_inconsistency() => Ok(()),
                    checked => checked,
                }
            }
            _ => Ok(()),
        }
    }

    /// Its place among the others, as they are carried out.
    #[must_use]
    pub fn rank(&self) -> u8 {
        match self {
            Self::Meter(_) => 0,
            Self::ApplyActions(_) => 1,
            Self::ClearActions => 2,
            Self::WriteActions(_) => 3,
            Self::WriteMetadata { .. } => 4,
            Self::GotoTable(_) => 5,
            Self::Unknown { .. } => UNKNOWN_RANK,
        }
    }

    /// Its name in text.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Meter(_) => "meter",
            Self::ApplyActions(_) => "apply_actions",
            Self::ClearActions => "clear_actions",
            Self::WriteActions(_) => "write_actions",
            Self::WriteMetadata { .. } => "write_metadata",
            Self::GotoTable(_) => "goto_table",
            Self::Unknown { .. } => "unknown",
        }
    }
}

const UNKNOWN_RANK: u8 = 6;

/// OFPM_MAX.
const MAX_METER: u32 = 0xffff_0000;

/// Loose: what is not known is kept.
///
/// Shape: type `u16`, length `u16` of the whole instruction; the rest by type.
///
/// Source: OpenFlow 1.3.5 §7.2.4.
impl Wire for Instruction {
    #[inline]
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let part = r.part();
        r.set_part(Part::Instruction);
        let at = r.clone();
        let mut header = r.fixed::<4>()?;
        let (instruction_type, len) = (header.u16()?, usize::from(header.u16()?));
        if len % 8 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 4, Part::Instruction)?;
        r.set_part(part);
        let found = match instruction_type {
            GOTO_TABLE => {
                let table = TableId(body.u8()?);
                body.skip(3)?;
                Self::GotoTable(table)
            }
            WRITE_METADATA => {
                body.skip(4)?;
                Self::WriteMetadata { metadata: body.u64()?, mask: body.u64()? }
            }
            WRITE_ACTIONS => {
                body.skip(4)?;
                Self::WriteActions(Action::decode_list(body.take())?)
            }
            APPLY_ACTIONS => {
                body.skip(4)?;
                Self::ApplyActions(Action::decode_list(body.take())?)
            }
            CLEAR_ACTIONS => {
                body.skip(4)?;
                Self::ClearActions
            }
            METER => Self::Meter(MeterId(body.u32()?)),
            _ => Self::Unknown { instruction_type, body: body.rest().into() },
        };
        body.finish().map(|()| found)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(match self {
            Self::GotoTable(_) => GOTO_TABLE,
            Self::WriteMetadata { .. } => WRITE_METADATA,
            Self::WriteActions(_) => WRITE_ACTIONS,
            Self::ApplyActions(_) => APPLY_ACTIONS,
            Self::ClearActions => CLEAR_ACTIONS,
            Self::Meter(_) => METER,
            Self::Unknown { instruction_type, .. } => *instruction_type,
        });
        w.u16(0);
        match self {
            Self::GotoTable(table) => {
                w.u8(table.0);
                w.zeros(3);
            }
            Self::WriteMetadata { metadata, mask } => {
                w.zeros(4);
                w.u64(*metadata);
                w.u64(*mask);
            }
            Self::WriteActions(actions) | Self::ApplyActions(actions) => {
                w.u32(0);
                Action::encode_list(actions, w);
            }
            Self::ClearActions => w.zeros(4),
            Self::Meter(meter) => w.u32(meter.0),
            Self::Unknown { body, .. } => w.bytes(body),
        }
        w.patch_len(mark, 2);
    }
}
