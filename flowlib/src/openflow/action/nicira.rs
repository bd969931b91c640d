//! Nicira's actions, which Open vSwitch adds to every version of OpenFlow.

use crate::openflow::oxm::{FieldValue, OxmId, SubField, read_field, read_header};
use crate::openflow::port_no;
use crate::types::TableId;
use crate::wire::{DecodeError, EncodeError, Problem, Reader, Writer};

use super::{Action, Controller, EXPERIMENTER};

const RESUBMIT: u16 = 1;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const NOTE: u16 = 8;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const EXIT: u16 = 17;
const CONTROLLER: u16 = 20;
const OUTPUT_REG2: u16 = 32;
const REG_LOAD2: u16 = 33;
const CONJUNCTION: u16 = 34;
const CONTROLLER2: u16 = 37;
const CT_CLEAR: u16 = 43;

/// OFPP_IN_PORT in 16 bits.
const IN_PORT: u16 = 0xfff8;

/// Reads the action behind the experimenter number; of a subtype that is not known, nothing.
///
/// Shape: subtype `u16`, the rest by subtype.
///
/// Source: `lib/ofp-actions.c` of Open vSwitch 3.1.
#[inline]
pub(super) fn decode(r: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let action = match r.u16()? {
        RESUBMIT => {
            let port = resubmit_port(r)?;
            r.skip(4)?;
            Action::Resubmit { port, table: None }
        }
        RESUBMIT_TABLE => {
            let port = resubmit_port(r)?;
            let table = Some(TableId(r.u8()?)).filter(|table| *table != TableId::ALL);
            r.skip(3)?;
            Action::Resubmit { port, table }
        }
        REG_MOVE => reg_move(r)?,
        REG_LOAD => reg_load(r)?,
        REG_LOAD2 => return reg_load2(r),
        OUTPUT_REG | OUTPUT_REG2 => output_reg(r)?,
        NOTE => Action::Note(r.rest().into()),
        EXIT => padded(r, 6, Action::Exit)?,
        CT_CLEAR => padded(r, 6, Action::CtClear)?,
        CONTROLLER => Action::Controller(Box::new(Controller::decode(r)?)),
        CONTROLLER2 => Action::Controller(Box::new(Controller::decode_properties(r)?)),
        CONJUNCTION => Action::Conjunction { clause: r.u8()?, n_clauses: r.u8()?, id: r.u32()? },
        _ => {
            r.rest();
            return Ok(None);
        }
    };
    Ok(Some(action))
}

fn padded(r: &mut Reader<'_>, n: usize, action: Action) -> Result<Action, DecodeError> {
    r.skip(n)?;
    Ok(action)
}

fn resubmit_port(r: &mut Reader<'_>) -> Result<Option<crate::types::PortNo>, DecodeError> {
    let port = r.u16()?;
    Ok((port != IN_PORT).then(|| port_no::from_u16(port)))
}

/// Shape: n_bits `u16`, lowest bit of source `u16`, of destination `u16`, source OXM header, destination OXM
/// header; zeros to a multiple of 8 where an experimenter's header is longer.
fn reg_move(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let (n_bits, src_start, dst_start) = (r.u16()?, r.u16()?, r.u16()?);
    let src = SubField { field: read_field(r)?, start_bit: src_start, n_bits };
    let dst = SubField { field: read_field(r)?, start_bit: dst_start, n_bits };
    r.skip(r.len().min(7))?;
    for sub in [src, dst] {
        check(&at, sub)?;
    }
    Ok(Action::RegMove { src, dst })
}

/// Shape: lowest bit 10 bits, n_bits − 1 6 bits, destination OXM header `u32`, value `u64`.
fn reg_load(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let bits = r.u16()?;
    let dst = unpack(bits, read_field(r)?);
    check(&at, dst)?;
    let value = r.u64()?;
    if !FieldValue::from(value).fits(dst.n_bits) {
        return Err(at.error(Problem::BadValue { found: value }));
    }
    Ok(Action::RegLoad { dst, value })
}

/// Shape: 6 zeros, an OXM with or without mask, zeros to a multiple of 8.
fn reg_load2(r: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    r.skip(6)?;
    let at = r.clone();
    let header = read_header(r)?;
    let Some(field) = header.field else {
        r.rest();
        return Ok(None);
    };
    let n_bytes = usize::from(field.n_bytes());
    if header.body_len() != Some(n_bytes << u32::from(header.has_mask())) {
        return Err(at.error(Problem::BadLength { found: (header.raw & 0xff) as usize }));
    }
    let value = FieldValue::from_be_bytes(r.bytes(n_bytes)?).unwrap_or_default();
    let full = field.full_mask();
    let mask = if header.has_mask() {
        FieldValue::from_be_bytes(r.bytes(n_bytes)?).unwrap_or_default()
    } else {
        full
    };
    if value.and(mask.and(full)) != value {
        return Err(at.error(Problem::BadWildcards { header: header.raw }));
    }
    r.skip(r.len().min(7))?;
    Ok(Some(Action::set_field_masked(field, value, mask)))
}

/// Shape: bits as in `reg_load`, source OXM header, max_len `u16`, 6 zeros; in the second form max_len stands
/// before the header, since an experimenter's header is longer.
fn output_reg(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let bits = r.u16()?;
    // The two forms differ in where the length limit stands; the whole action is 24 bytes in both.
    let (src, max_len) = if is_second_form(&at) {
        let max_len = r.u16()?;
        (unpack(bits, read_field(r)?), max_len)
    } else {
        (unpack(bits, read_field(r)?), r.u16()?)
    };
    check(&at, src)?;
    r.rest();
    Ok(Action::OutputReg { src, max_len })
}

/// Whether an experimenter's header follows behind max_len, which the first form cannot hold.
fn is_second_form(at: &Reader<'_>) -> bool {
    at.peek().get(4..6) == Some(&OxmId::EXPERIMENTER.to_be_bytes())
}

fn unpack(bits: u16, field: crate::openflow::oxm::Field) -> SubField {
    SubField { field, start_bit: bits >> 6, n_bits: (bits & 0x3f) + 1 }
}

fn check(at: &Reader<'_>, sub: SubField) -> Result<(), DecodeError> {
    if sub.is_valid() { Ok(()) } else { Err(at.error(Problem::BadValue { found: sub.start_bit.into() })) }
}

/// Whether [`encode`] is for this action.
#[inline]
pub(super) fn is_nicira(action: &Action) -> bool {
    matches!(
        action,
        Action::RegMove { .. }
            | Action::RegLoad { .. }
            | Action::Resubmit { .. }
            | Action::OutputReg { .. }
            | Action::Controller(_)
            | Action::Exit
            | Action::CtClear
            | Action::Note(_)
            | Action::Conjunction { .. }
    )
}

/// Writes a Nicira action with its header.
#[inline]
pub(super) fn encode(action: &Action, w: &mut Writer<'_>) {
    let mark = w.mark();
    w.u16(EXPERIMENTER);
    w.u16(0);
    w.u32(OxmId::NICIRA);
    encode_body(action, w);
    w.pad8(mark);
    w.patch_len(mark, 2);
}

fn encode_body(action: &Action, w: &mut Writer<'_>) {
    match action {
        Action::Resubmit { port, table } => {
            w.u16(if table.is_some() { RESUBMIT_TABLE } else { RESUBMIT });
            let port = port.map_or(IN_PORT, |port| port_no::to_u16(port, w));
            w.u16(port);
            w.u8(table.map_or(0, |table| table.0));
            w.zeros(3);
        }
        Action::RegMove { src, dst } => {
            w.u16(REG_MOVE);
            if src.n_bits != dst.n_bits || !src.is_valid() || !dst.is_valid() {
                w.fail(EncodeError::BadSubField { start: dst.start_bit, len: dst.n_bits });
            }
            w.u16(src.n_bits);
            w.u16(src.start_bit);
            w.u16(dst.start_bit);
            src.field.encode_header(w, false);
            dst.field.encode_header(w, false);
        }
        Action::RegLoad { dst, value } => {
            w.u16(REG_LOAD);
            pack(w, *dst);
            short_header(w, *dst);
            w.u64(*value);
        }
        Action::SetField { field, value, mask } => {
            w.u16(REG_LOAD2);
            w.zeros(6);
            field.encode_header(w, mask.is_some());
            w.bytes(value.be_bytes(field.n_bytes().into()));
            if let Some(mask) = mask {
                w.bytes(mask.be_bytes(field.n_bytes().into()));
            }
        }
        Action::OutputReg { src, max_len } => encode_output_reg(w, *src, *max_len),
        Action::Controller(controller) if controller.needs_properties() => {
            w.u16(CONTROLLER2);
            controller.encode_properties(w);
        }
        Action::Controller(controller) => {
            w.u16(CONTROLLER);
            controller.encode(w);
        }
        Action::Exit => padded_subtype(w, EXIT),
        Action::CtClear => padded_subtype(w, CT_CLEAR),
        Action::Note(bytes) => {
            w.u16(NOTE);
            w.bytes(bytes);
        }
        Action::Conjunction { clause, n_clauses, id } => {
            w.u16(CONJUNCTION);
            w.u8(*clause);
            w.u8(*n_clauses);
            w.u32(*id);
        }
        _ => unreachable!("Action::encode sends the others elsewhere"),
    }
}

fn encode_output_reg(w: &mut Writer<'_>, src: SubField, max_len: u16) {
    if src.field.id().class == OxmId::EXPERIMENTER {
        w.u16(OUTPUT_REG2);
        pack(w, src);
        w.u16(max_len);
        src.field.encode_header(w, false);
        w.zeros(2);
    } else {
        w.u16(OUTPUT_REG);
        pack(w, src);
        src.field.encode_header(w, false);
        w.u16(max_len);
        w.zeros(6);
    }
}

fn padded_subtype(w: &mut Writer<'_>, subtype: u16) {
    w.u16(subtype);
    w.zeros(6);
}

fn pack(w: &mut Writer<'_>, sub: SubField) {
    if !sub.is_valid() || sub.n_bits > 64 {
        w.fail(EncodeError::BadSubField { start: sub.start_bit, len: sub.n_bits });
        return;
    }
    w.u16(sub.start_bit << 6 | (sub.n_bits - 1));
}

fn short_header(w: &mut Writer<'_>, sub: SubField) {
    if sub.field.id().class == OxmId::EXPERIMENTER {
        w.fail(EncodeError::BadField(sub.field.name()));
    }
    sub.field.encode_header(w, false);
}
