//! Flows that packets make.

use crate::openflow::oxm::{SubField, read_field};
use crate::types::{Cookie, Priority, TableId};
use crate::wire::{DecodeError, EncodeError, Problem, Reader, Writer};

use super::subfield::short_header;

bitflags::bitflags! {
    /// NX_LEARN_F_*.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct LearnFlags: u16 {
        /// The switch says when the new flow goes.
        const SEND_FLOW_REM = 1;
        /// The new flow goes with this one.
        const DELETE_LEARNED = 1 << 1;
        /// Whether there is room for the flow is written to a bit.
        const WRITE_RESULT = 1 << 2;
        const _ = !0;
    }
}

/// Adds a flow, or changes the one of the same match and priority.
///
/// Source: ovs-actions(7), "learn".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Learn {
    /// Seconds; 0: never.
    pub idle_timeout_s: u16,
    /// Seconds; 0: never.
    pub hard_timeout_s: u16,
    /// Seconds from the end of a TCP connection; 0: no shorter than without.
    pub fin_idle_timeout_s: u16,
    /// Seconds from the end of a TCP connection; 0: no shorter than without.
    pub fin_hard_timeout_s: u16,
    /// The priority.
    pub priority: Priority,
    /// The cookie.
    pub cookie: Cookie,
    /// The table.
    pub table: TableId,
    /// See [`LearnFlags`]; `WRITE_RESULT` is there if there is a `result_dst`.
    pub flags: LearnFlags,
    /// How many flows there may be with this cookie in this table; 0: any number.
    pub limit: u32,
    /// The bit that says whether there was room.
    pub result_dst: Option<SubField>,
    /// What the flow matches and does.
    pub specs: Vec<LearnSpec>,
}

impl Default for Learn {
    fn default() -> Self {
        Self {
            idle_timeout_s: 0,
            hard_timeout_s: 0,
            fin_idle_timeout_s: 0,
            fin_hard_timeout_s: 0,
            priority: Priority(0x8000),
            cookie: Cookie(0),
            table: TableId(1),
            flags: LearnFlags::empty(),
            limit: 0,
            result_dst: None,
            specs: Vec::new(),
        }
    }
}

/// One thing that a new flow matches or does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnSpec {
    /// How many bits of the source.
    pub n_bits: u16,
    /// Whence they come.
    pub src: LearnSource,
    /// What becomes of them.
    pub dst: LearnTarget,
}

/// Where bits for a new flow come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LearnSource {
    /// Bits of the packet.
    Field(SubField),
    /// A number, big-endian, in as many bytes as its bits need.
    Value(Box<[u8]>),
}

/// What becomes of bits in a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LearnTarget {
    /// It matches packets that have them here.
    Match(SubField),
    /// It loads them here.
    Load(SubField),
    /// It outputs to the port of that number.
    Output,
}

const N_BITS: u16 = 0x07ff;
const DST_LOAD: u16 = 1 << 11;
const DST_OUTPUT: u16 = 2 << 11;
const DST: u16 = 3 << 11;
const SRC_VALUE: u16 = 1 << 13;
const RESERVED: u16 = 3 << 14;

impl Learn {
    /// Whether only NXAST_LEARN2 can say it.
    pub(super) fn needs_second_form(&self) -> bool {
        self.limit != 0 || self.result_dst.is_some()
    }

    /// Reads NXAST_LEARN or NXAST_LEARN2 behind its subtype.
    ///
    /// Shape: idle and hard timeout `u16`, priority `u16`, cookie `u64`, flags `u16`, table `u8`, a zero, idle and
    /// hard timeout after FIN `u16`; the second form: limit `u32`, lowest bit of the result `u16`, 2 zeros and, if
    /// the flags say so, the header of its field; specifications up to one of 0, zeros.
    ///
    /// # Errors
    /// `BadValue` on a table, a flag or a specification that cannot be.
    pub(super) fn decode(r: &mut Reader<'_>, is_second: bool) -> Result<Self, DecodeError> {
        let at = r.clone();
        let mut found = Self {
            idle_timeout_s: r.u16()?,
            hard_timeout_s: r.u16()?,
            priority: Priority(r.u16()?),
            cookie: Cookie(r.u64()?),
            flags: LearnFlags::from_bits_retain(r.u16()?),
            table: TableId(r.u8()?),
            ..Self::default()
        };
        r.skip(1)?;
        (found.fin_idle_timeout_s, found.fin_hard_timeout_s) = (r.u16()?, r.u16()?);
        let mut known = LearnFlags::SEND_FLOW_REM | LearnFlags::DELETE_LEARNED;
        if is_second {
            found.limit = r.u32()?;
            let start_bit = r.u16()?;
            r.skip(2)?;
            known |= LearnFlags::WRITE_RESULT;
            if found.flags.contains(LearnFlags::WRITE_RESULT) {
                found.result_dst = Some(SubField { field: read_field(r)?, start_bit, n_bits: 1 });
            }
        }
        let is_valid = found.result_dst.is_none_or(SubField::is_valid);
        if found.table == TableId::ALL || !known.contains(found.flags) || !is_valid {
            return Err(at.error(Problem::BadValue { found: found.flags.bits().into() }));
        }
        while let Some(spec) = LearnSpec::decode(r)? {
            found.specs.push(spec);
        }
        Ok(found)
    }

    /// Writes it behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.idle_timeout_s);
        w.u16(self.hard_timeout_s);
        w.u16(self.priority.0);
        w.u64(self.cookie.0);
        let result = if self.result_dst.is_some() { LearnFlags::WRITE_RESULT } else { LearnFlags::empty() };
        w.u16((self.flags.difference(LearnFlags::WRITE_RESULT) | result).bits());
        w.u8(self.table.0);
        w.u8(0);
        w.u16(self.fin_idle_timeout_s);
        w.u16(self.fin_hard_timeout_s);
        if self.needs_second_form() {
            w.u32(self.limit);
            w.u16(self.result_dst.map_or(0, |dst| dst.start_bit));
            w.zeros(2);
            if let Some(dst) = self.result_dst {
                dst.field.encode_header(w, false);
            }
        }
        for spec in &self.specs {
            spec.encode(w);
        }
    }
}

impl LearnSpec {
    /// Shape: 2 zero bits, source 1 bit, destination 2 bits, number of bits 11 bits; source: a header `u32` and its
    /// lowest bit `u16`, or a number in as many `u16` as its bits need; destination: a header and its lowest bit, or
    /// nothing if it is a port. A specification of 0 ends them.
    fn decode(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if r.len() < 2 {
            return Ok(None);
        }
        let at = r.clone();
        let header = r.u16()?;
        if header == 0 {
            r.skip(r.len().min(7))?;
            return Ok(None);
        }
        let n_bits = header & N_BITS;
        let bad = || at.error(Problem::BadValue { found: header.into() });
        let src = if header & SRC_VALUE == 0 {
            LearnSource::Field(subfield(r, n_bits)?)
        } else {
            let padded = r.bytes(2 * usize::from(n_bits.div_ceil(16)))?;
            let value = &padded[padded.len() - usize::from(n_bits.div_ceil(8))..];
            LearnSource::Value(value.into())
        };
        let dst = match header & DST {
            0 => LearnTarget::Match(subfield(r, n_bits)?),
            DST_LOAD => LearnTarget::Load(subfield(r, n_bits)?),
            DST_OUTPUT if header & SRC_VALUE == 0 => LearnTarget::Output,
            _ => return Err(bad()),
        };
        let is_in_field = |sub: SubField| sub.is_valid();
        let src_fits = match &src {
            LearnSource::Field(sub) => is_in_field(*sub),
            LearnSource::Value(value) => {
                let unused = value.len() * 8 - usize::from(n_bits);
                value.first().is_none_or(|first| first.leading_zeros() as usize >= unused)
            }
        };
        let dst_fits = match dst {
            LearnTarget::Match(sub) | LearnTarget::Load(sub) => is_in_field(sub),
            LearnTarget::Output => true,
        };
        if header & RESERVED != 0 || !src_fits || !dst_fits {
            Err(bad())
        } else {
            Ok(Some(Self { n_bits, src, dst }))
        }
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let source = if matches!(self.src, LearnSource::Value(_)) { SRC_VALUE } else { 0 };
        let target = match self.dst {
            LearnTarget::Match(_) => 0,
            LearnTarget::Load(_) => DST_LOAD,
            LearnTarget::Output => DST_OUTPUT,
        };
        if self.n_bits > N_BITS {
            w.fail(EncodeError::BadSubField { start: 0, len: self.n_bits });
        }
        w.u16(source | target | self.n_bits & N_BITS);
        match &self.src {
            LearnSource::Field(sub) => encode_subfield(w, *sub),
            LearnSource::Value(value) => {
                let n_bytes = 2 * usize::from(self.n_bits.div_ceil(16));
                let Some(zeros) = n_bytes.checked_sub(value.len()) else {
                    w.fail(EncodeError::TooLong { len: value.len() });
                    return;
                };
                w.zeros(zeros);
                w.bytes(value);
            }
        }
        if let LearnTarget::Match(sub) | LearnTarget::Load(sub) = self.dst {
            encode_subfield(w, sub);
        }
    }
}

fn subfield(r: &mut Reader<'_>, n_bits: u16) -> Result<SubField, DecodeError> {
    let field = read_field(r)?;
    Ok(SubField { field, start_bit: r.u16()?, n_bits })
}

fn encode_subfield(w: &mut Writer<'_>, sub: SubField) {
    short_header(w, sub.field);
    w.u16(sub.start_bit);
}
