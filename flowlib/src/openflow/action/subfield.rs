//! Actions on a field, or on some bits of it.

use crate::openflow::oxm::{
    Field, FieldValue, MatchField, OxmId, SubField, WideField, read_field, read_header,
};
use crate::wire::{DecodeError, EncodeError, Fixed, Problem, Reader, Writer};

use super::{Action, EXPERIMENTER};

/// ONFACT_COPY_FIELD. Source: ONF EXT-320.
const COPY_FIELD: u16 = 3200;

/// Reads NXAST_REG_MOVE behind its subtype.
///
/// Shape: n_bits `u16`, lowest bit of source `u16`, of destination `u16`, source OXM header, destination OXM
/// header; zeros to a multiple of 8 where an experimenter's header is longer.
pub(super) fn reg_move(r: &mut Reader<'_>) -> Result<(SubField, SubField), DecodeError> {
    let at = r.clone();
    let (n_bits, src_start, dst_start) = (r.u16()?, r.u16()?, r.u16()?);
    let src = SubField { field: read_field(r)?, start_bit: src_start, n_bits };
    let dst = SubField { field: read_field(r)?, start_bit: dst_start, n_bits };
    r.skip(r.len().min(7))?;
    for sub in [src, dst] {
        check(&at, sub)?;
    }
    Ok((src, dst))
}

/// Writes NXAST_REG_MOVE behind its subtype.
pub(super) fn encode_reg_move(w: &mut Writer<'_>, src: SubField, dst: SubField) {
    check_move(w, src, dst);
    w.u16(src.n_bits);
    w.u16(src.start_bit);
    w.u16(dst.start_bit);
    src.field.encode_header(w, false);
    dst.field.encode_header(w, false);
}

fn check_move(w: &mut Writer<'_>, src: SubField, dst: SubField) {
    if src.n_bits != dst.n_bits || !src.is_valid() || !dst.is_valid() {
        w.fail(EncodeError::BadSubField { start: dst.start_bit, len: dst.n_bits });
    }
}

/// Reads an ONF action behind the experimenter number; of a type that is not known, nothing.
///
/// Shape: type `u16`, 2 zeros, then as [`reg_move`] with 2 zeros before the headers.
pub(super) fn decode_onf(r: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    if r.u16()? != COPY_FIELD {
        return Ok(None);
    }
    r.skip(2)?;
    let at = r.clone();
    let (n_bits, src_start, dst_start) = (r.u16()?, r.u16()?, r.u16()?);
    r.skip(2)?;
    let src = SubField { field: read_field(r)?, start_bit: src_start, n_bits };
    let dst = SubField { field: read_field(r)?, start_bit: dst_start, n_bits };
    r.skip(r.len().min(7))?;
    check(&at, src)?;
    check(&at, dst)?;
    Ok(Some(Action::CopyField { src, dst }))
}

/// Writes ONFACT_COPY_FIELD with its header.
pub(super) fn encode_onf(w: &mut Writer<'_>, src: SubField, dst: SubField) {
    check_move(w, src, dst);
    let mark = w.mark();
    w.u16(EXPERIMENTER);
    w.u16(0);
    w.u32(OxmId::ONF);
    w.u16(COPY_FIELD);
    w.zeros(2);
    w.u16(src.n_bits);
    w.u16(src.start_bit);
    w.u16(dst.start_bit);
    w.zeros(2);
    src.field.encode_header(w, false);
    dst.field.encode_header(w, false);
    w.pad8(mark);
    w.patch_len(mark, 2);
}

/// Shape: lowest bit 10 bits, n_bits − 1 6 bits, destination OXM header `u32`, value `u64`.
#[inline(always)]
pub(super) fn reg_load(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let mut fixed = r.fixed::<14>()?;
    let bits = fixed.u16()?;
    let dst = unpack(&at, bits, read_field(&mut fixed)?)?;
    let value = fixed.u64()?;
    if !FieldValue::from(value).fits(dst.n_bits) {
        return Err(at.error(Problem::BadValue { found: value }));
    }
    Ok(Action::RegLoad { dst, value })
}

/// Writes NXAST_REG_LOAD behind its subtype.
pub(super) fn encode_reg_load(w: &mut Writer<'_>, dst: SubField, value: u64) {
    let mut fixed = Fixed::<14>::default();
    fixed.u16(packed(w, dst));
    fixed.u32(short_header_of(w, dst.field));
    fixed.u64(value);
    fixed.append_to(w);
}

/// Shape: an OXM with or without mask, zeros to a multiple of 8. Of a field that is not known, nothing.
pub(super) fn reg_load2(r: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    let header = read_header(&mut r.clone())?;
    let Some(field) = header.field else {
        r.rest();
        return Ok(None);
    };
    let action = if field.is_wide() {
        Action::WideRegLoad2(Box::new(WideField::decode(r)?))
    } else {
        Action::RegLoad2(Box::new(MatchField::decode(r)?))
    };
    r.skip(r.len().min(7))?;
    Ok(Some(action))
}

/// Shape: bits as in `reg_load`, source OXM header, max_len `u16`, 6 zeros.
pub(super) fn output_reg(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let bits = r.u16()?;
    let src = unpack(&at, bits, read_short_field(r)?)?;
    let max_len = r.u16()?;
    r.skip(6)?;
    Ok(Action::OutputReg { src, max_len })
}

/// Shape: bits as in `reg_load`, max_len `u16`, source OXM header, zeros to 24 bytes.
pub(super) fn output_reg2(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let (bits, max_len) = (r.u16()?, r.u16()?);
    let src = unpack(&at, bits, read_field(r)?)?;
    r.skip(r.len().min(6))?;
    Ok(Action::OutputReg { src, max_len })
}

/// Writes NXAST_OUTPUT_REG, or NXAST_OUTPUT_REG2 if the first has no room for the field, without a subtype.
pub(super) fn encode_output_reg(w: &mut Writer<'_>, src: SubField, max_len: u16) {
    pack(w, src);
    if src.field.is_experimenter() {
        w.u16(max_len);
        src.field.encode_header(w, false);
        w.zeros(2);
    } else {
        src.field.encode_header(w, false);
        w.u16(max_len);
        w.zeros(6);
    }
}

/// Shape: lowest bit `u16`, OXM header, n_bits `u16`, zeros to 24 bytes.
pub(super) fn stack(r: &mut Reader<'_>) -> Result<SubField, DecodeError> {
    let at = r.clone();
    let start_bit = r.u16()?;
    let sub = SubField { field: read_field(r)?, start_bit, n_bits: r.u16()? };
    r.zeros(r.len().min(6))?;
    check(&at, sub)?;
    Ok(sub)
}

/// Writes NXAST_STACK_PUSH or NXAST_STACK_POP behind its subtype.
pub(super) fn encode_stack(w: &mut Writer<'_>, sub: SubField) {
    if !sub.is_valid() {
        w.fail(EncodeError::BadSubField { start: sub.start_bit, len: sub.n_bits });
    }
    w.u16(sub.start_bit);
    sub.field.encode_header(w, false);
    w.u16(sub.n_bits);
    w.zeros(if sub.field.is_experimenter() { 2 } else { 6 });
}

/// Shape: OXM header, zeros to 24 bytes.
///
/// # Errors
/// `BadField` if it is not one of tunnel metadata: no other can be taken away.
pub(super) fn delete_field(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let header = read_header(&mut at.clone())?;
    let field = read_field(r)?;
    if !field.is_wide() {
        return Err(at.error(Problem::BadField { header: header.raw }));
    }
    r.skip(r.len().min(10))?;
    Ok(Action::DeleteField(field))
}

/// Shape: length `u16`, bit `u16`, OXM header, zeros to 24 bytes.
pub(super) fn check_pkt_larger(r: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let at = r.clone();
    let (pkt_len, start_bit) = (r.u16()?, r.u16()?);
    let dst = SubField { field: read_field(r)?, start_bit, n_bits: 1 };
    check(&at, dst)?;
    r.skip(r.len().min(6))?;
    Ok(Action::CheckPktLarger { dst, pkt_len })
}

/// Writes NXAST_CHECK_PKT_LARGER behind its subtype.
pub(super) fn encode_check_pkt_larger(w: &mut Writer<'_>, dst: SubField, pkt_len: u16) {
    if !dst.is_valid() || dst.n_bits != 1 {
        w.fail(EncodeError::BadSubField { start: dst.start_bit, len: dst.n_bits });
    }
    w.u16(pkt_len);
    w.u16(dst.start_bit);
    dst.field.encode_header(w, false);
    w.zeros(if dst.field.is_experimenter() { 2 } else { 6 });
}

/// Reads the header of a field where there is no room for an experimenter's.
pub(super) fn read_short_field(r: &mut Reader<'_>) -> Result<Field, DecodeError> {
    let at = r.clone();
    let field = read_field(r)?;
    if r.offset() - at.offset() == 4 {
        Ok(field)
    } else {
        Err(at.error(Problem::BadField { header: u32::from(OxmId::EXPERIMENTER) << 16 }))
    }
}

/// The bits that `bits` names.
///
/// # Errors
/// `BadValue` if the field does not have them.
#[inline]
pub(super) fn unpack(at: &Reader<'_>, bits: u16, field: Field) -> Result<SubField, DecodeError> {
    let sub = SubField { field, start_bit: bits >> 6, n_bits: (bits & 0x3f) + 1 };
    check(at, sub).map(|()| sub)
}

fn check(at: &Reader<'_>, sub: SubField) -> Result<(), DecodeError> {
    if sub.is_valid() { Ok(()) } else { Err(at.error(Problem::BadValue { found: sub.start_bit.into() })) }
}

/// Writes what [`unpack`] reads.
pub(super) fn pack(w: &mut Writer<'_>, sub: SubField) {
    let bits = packed(w, sub);
    w.u16(bits);
}

fn packed(w: &mut Writer<'_>, sub: SubField) -> u16 {
    if !sub.is_valid() || sub.n_bits > 64 {
        w.fail(EncodeError::BadSubField { start: sub.start_bit, len: sub.n_bits });
        return 0;
    }
    sub.start_bit << 6 | (sub.n_bits - 1)
}

/// Writes a header where there is no room for an experimenter's.
pub(super) fn short_header(w: &mut Writer<'_>, field: Field) {
    let header = short_header_of(w, field);
    w.u32(header);
}

fn short_header_of(w: &mut Writer<'_>, field: Field) -> u32 {
    if field.is_experimenter() {
        w.fail(EncodeError::BadField(field.name()));
    }
    field.info().action_id.header(false, field.n_bytes())
}
