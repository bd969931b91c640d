//! Actions on a field, or on some bits of it.

use super::hex;
use super::read::{ActionReader, Place};
use crate::openflow::oxm::{MatchField, WideField, field};
use crate::openflow::{Action, FieldValue, SubField};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::field_value::{self, Use};
use crate::text::printer::{Printer, Role};
use crate::text::protocols::Protocols;
use crate::text::subfield;

/// Appends an action that names a field.
pub(super) fn format(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::SetField { field, value } => {
            out.put(Role::Special, "set_field:");
            field_value::format(out, *field, *value, None, Use::Action);
            to_field(out, field.name());
        }
        Action::RegLoad2(entry) => {
            out.put(Role::Special, "set_field:");
            field_value::format(out, entry.field, entry.value, entry.mask, Use::Action);
            to_field(out, entry.field.name());
        }
        Action::SetWideField(entry) | Action::WideRegLoad2(entry) => format_wide(out, entry),
        Action::RegLoad { dst, value } => {
            out.put(Role::Special, "load:");
            hex(out, (*value).into());
            out.put(Role::Special, "->");
            subfield::format(out, *dst);
        }
        Action::RegMove { src, dst } | Action::CopyField { src, dst } => {
            out.put(Role::Special, "move:");
            subfield::format(out, *src);
            out.put(Role::Special, "->");
            subfield::format(out, *dst);
        }
        Action::OutputReg { src, .. } => with_subfield(out, Role::Special, "output:", *src),
        Action::StackPush(src) => with_subfield(out, Role::Param, "push:", *src),
        Action::StackPop(dst) => with_subfield(out, Role::Param, "pop:", *dst),
        Action::DeleteField(field) => super::value(out, Role::Param, "delete_field:", field),
        Action::CheckPktLarger { dst, pkt_len } => {
            out.put(Role::Param, "check_pkt_larger(");
            put!(out, "{pkt_len})->");
            subfield::format(out, *dst);
        }
        _ => unreachable!("format prints the others itself"),
    }
}

fn with_subfield(out: &mut Printer<'_>, role: Role, word: &str, sub: SubField) {
    out.put(role, word);
    subfield::format(out, sub);
}

fn to_field(out: &mut Printer<'_>, name: &str) {
    out.put(Role::Special, "->");
    out.push_str(name);
}

fn format_wide(out: &mut Printer<'_>, entry: &WideField) {
    out.put(Role::Special, "set_field:");
    match &entry.mask {
        Some(mask) if mask.iter().all(|byte| *byte == 0) => out.push_str("ANY"),
        Some(mask) => {
            field_value::format_wide(out, &entry.value);
            out.push_str("/");
            field_value::format_wide(out, mask);
        }
        None => field_value::format_wide(out, &entry.value),
    }
    to_field(out, entry.field.name());
}

/// The pieces before and behind the arrow.
pub(super) fn arrow(piece: Piece<'_>) -> Result<(Piece<'_>, Piece<'_>), ParseError> {
    let (from, to) = piece
        .split_once("->")
        .ok_or_else(|| piece.error(Problem::Expected("two things with -> between them")))?;
    if to.trim().is_empty() {
        return Err(piece.error(Problem::Expected("a field behind ->")));
    }
    Ok((from.trim(), to.trim()))
}

/// Reads `VALUE->FIELD` or `VALUE/MASK->FIELD`; a mask makes it loads, which OpenFlow 1.3 can say.
pub(super) fn read_set_field(
    reader: &mut ActionReader<'_>,
    value: Piece<'_>,
    place: &mut Place<'_, '_>,
) -> Result<(), ParseError> {
    let (value, name) = arrow(value)?;
    let field = subfield::find_short_name(name.text());
    let field = field.ok_or_else(|| name.error(Problem::UnknownSubField))?;
    if !field.info().writable {
        return Err(name.error(Problem::ReadOnly));
    }
    reader.protocols &= Protocols::of_field(field, None);
    if field.is_wide() {
        let entry = field_value::parse_wide(field, value)?;
        let action = match entry.mask {
            None => Action::SetWideField(Box::new(entry)),
            Some(_) => Action::WideRegLoad2(Box::new(entry)),
        };
        return reader.push(action, place);
    }
    let (parsed, mask) = field_value::parse(field, value, reader.names)?;
    if !parsed.fits(field.info().value_bits) {
        return Err(value.error(Problem::TooBig(field.info().value_bits)));
    }
    if field == field::NW_TOS && parsed.to_u16() & 3 != 0 {
        return Err(value.error(Problem::Expected("a multiple of 4")));
    }
    match mask.filter(|mask| *mask != field.wire_mask()) {
        None => reader.push(Action::SetField { field, value: parsed }, place),
        Some(mask) => push_loads(reader, place, MatchField { field, value: parsed, mask: Some(mask) }),
    }
}

/// Reads `NUMBER->FIELD[BITS]`.
pub(super) fn read_load(
    reader: &mut ActionReader<'_>,
    value: Piece<'_>,
    place: &mut Place<'_, '_>,
) -> Result<(), ParseError> {
    let (value, name) = arrow(value)?;
    let dst = subfield::parse(name)?;
    if dst.field.is_wide() {
        let entry = field_value::wide_bits(dst, &field_value::parse_wide_number(value, dst.n_bits)?);
        return reader.push(Action::WideRegLoad2(Box::new(entry)), place);
    }
    let number = leading_number(value).number(dst.n_bits)?;
    if dst.n_bits <= 64 && !dst.field.is_experimenter() {
        return reader.push(Action::RegLoad { dst, value: number as u64 }, place);
    }
    let mask = FieldValue::ones(dst.n_bits).to_u128() << dst.start_bit;
    let entry =
        MatchField { field: dst.field, value: (number << dst.start_bit).into(), mask: Some(mask.into()) };
    push_loads(reader, place, entry)
}

/// What of a text is a number: ovs-ofctl passes over what follows.
fn leading_number(piece: Piece<'_>) -> Piece<'_> {
    let is_hex = piece.text().starts_with("0x") || piece.text().starts_with("0X");
    let start = if is_hex { 2 } else { 0 };
    let is_digit = |c: char| if is_hex { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    let digits = piece.slice(start, piece.text().len());
    match digits.text().find(|c| !is_digit(c)) {
        Some(len) if len > 0 => piece.slice(0, start + len),
        _ => piece,
    }
}

/// Appends loads of at most 64 bits each, from the lowest up, or one load that has room for the field's name.
fn push_loads(
    reader: &mut ActionReader<'_>,
    place: &mut Place<'_, '_>,
    entry: MatchField,
) -> Result<(), ParseError> {
    let MatchField { field, value, mask } = entry;
    let mask = mask.unwrap_or(field.wire_mask());
    if field.is_experimenter() {
        let mask = Some(mask).filter(|mask| *mask != field.wire_mask());
        let entry = MatchField { field, value: value.and(mask.unwrap_or(field.full_mask())), mask };
        return reader.push(Action::RegLoad2(Box::new(entry)), place);
    }
    if mask == FieldValue::ZERO {
        // It does nothing, but where it stands it must be right.
        let load = Action::RegLoad { dst: SubField::all(field), value: 0 };
        let checked = load.check(&mut reader.packets, place.within());
        return reader.note_inconsistency(checked, place);
    }
    let (value, mut left) = (value.to_u128(), mask.and(FieldValue::ones(field.n_bits())).to_u128());
    while left != 0 {
        let start = left.trailing_zeros();
        let n_bits = (left >> start).trailing_ones().min(64);
        let ones = FieldValue::ones(n_bits as u16).to_u128();
        let dst = SubField { field, start_bit: start as u16, n_bits: n_bits as u16 };
        reader.push(Action::RegLoad { dst, value: (value >> start & ones) as u64 }, place)?;
        left &= !(ones << start);
    }
    Ok(())
}

/// Reads `FIELD[BITS]->FIELD[BITS]`.
pub(super) fn read_move(value: Piece<'_>) -> Result<Action, ParseError> {
    let (from, to) = arrow(value)?;
    let (src, dst) = (subfield::parse(from)?, subfield::parse(to)?);
    if src.n_bits != dst.n_bits {
        return Err(to.error(Problem::BitsFor(src.field.name(), src.n_bits)));
    }
    if !dst.field.info().writable {
        return Err(to.error(Problem::ReadOnly));
    }
    Ok(Action::RegMove { src, dst })
}

/// Reads `LENGTH)->FIELD[BIT]`.
pub(super) fn read_check_pkt_larger(value: Piece<'_>) -> Result<Action, ParseError> {
    let (len, name) = arrow(value)?;
    let pkt_len = len.strip_suffix(")").unwrap_or(len).u16()?;
    let dst = subfield::parse(name)?;
    if dst.n_bits != 1 {
        return Err(name.error(Problem::Expected("one bit of a field: NXM_NX_REG0[0]")));
    }
    Ok(Action::CheckPktLarger { dst, pkt_len })
}
