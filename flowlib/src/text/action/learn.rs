//! Flows that packets make.

use super::hex;
use crate::openflow::action::{Learn, LearnFlags, LearnSource, LearnSpec, LearnTarget};
use crate::openflow::{Field, FieldValue, SubField};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::field_value::{self, Use};
use crate::text::names::Names;
use crate::text::port::parse_table;
use crate::text::printer::{Printer, Role};
use crate::text::subfield;
use crate::types::{Cookie, Priority, TableId};

/// Appends `learn(table=1,…)`.
pub(super) fn format(out: &mut Printer<'_>, learn: &Learn) {
    out.put(Role::Learn, "learn(");
    out.put(Role::Special, "table=");
    out.table(learn.table);
    let seconds = [
        ("idle_timeout=", learn.idle_timeout_s),
        ("hard_timeout=", learn.hard_timeout_s),
        ("fin_idle_timeout=", learn.fin_idle_timeout_s),
        ("fin_hard_timeout=", learn.fin_hard_timeout_s),
    ];
    for (key, seconds) in seconds.into_iter().filter(|(_, seconds)| *seconds != 0) {
        argument(out, Role::Param, key, seconds);
    }
    if learn.priority != Priority(0x8000) {
        argument(out, Role::Special, "priority=", learn.priority);
    }
    for (flag, word) in FLAGS {
        if learn.flags.contains(*flag) {
            argument(out, Role::Value, word, "");
        }
    }
    if learn.cookie != Cookie(0) {
        argument(out, Role::Param, "cookie=", learn.cookie);
    }
    if learn.limit != 0 {
        argument(out, Role::Param, "limit=", learn.limit);
    }
    if let Some(dst) = learn.result_dst {
        argument(out, Role::Param, "result_dst=", "");
        subfield::format(out, dst);
    }
    for spec in &learn.specs {
        out.push_str(",");
        format_spec(out, spec);
    }
    out.put(Role::Learn, ")");
}

const FLAGS: &[(LearnFlags, &str)] =
    &[(LearnFlags::SEND_FLOW_REM, "send_flow_rem"), (LearnFlags::DELETE_LEARNED, "delete_learned")];

fn argument(out: &mut Printer<'_>, role: Role, key: &str, value: impl std::fmt::Display) {
    out.push_str(",");
    super::value(out, role, key, value);
}

fn format_spec(out: &mut Printer<'_>, spec: &LearnSpec) {
    match (&spec.src, spec.dst) {
        (LearnSource::Value(value), LearnTarget::Match(dst)) => format_match(out, value, dst),
        (LearnSource::Field(src), LearnTarget::Match(dst)) => {
            out.begin(Role::Param);
            subfield::format(out, dst);
            out.end();
            if *src != dst {
                out.push_str("=");
                subfield::format(out, *src);
            }
        }
        (LearnSource::Value(value), LearnTarget::Load(dst)) => {
            out.put(Role::Special, "load:");
            format_number(out, value);
            out.put(Role::Special, "->");
            subfield::format(out, dst);
        }
        (LearnSource::Field(src), LearnTarget::Load(dst)) => {
            out.put(Role::Special, "load:");
            subfield::format(out, *src);
            out.put(Role::Special, "->");
            subfield::format(out, dst);
        }
        (LearnSource::Field(src), LearnTarget::Output) => {
            out.put(Role::Special, "output:");
            subfield::format(out, *src);
        }
        (LearnSource::Value(value), LearnTarget::Output) => {
            out.put(Role::Special, "output:");
            format_number(out, value);
        }
    }
}

/// A whole field has its own way to show a value; of some of its bits it is a number.
fn format_match(out: &mut Printer<'_>, value: &[u8], dst: SubField) {
    if dst != SubField::all(dst.field) {
        out.begin(Role::Param);
        subfield::format(out, dst);
        out.push_str("=");
        out.end();
        return format_number(out, value);
    }
    out.put_name(Role::Param, dst.field.name());
    match FieldValue::from_be_bytes(value) {
        Some(value) => field_value::format(out, dst.field, value, None, Use::Action),
        None => field_value::format_wide(out, value),
    }
}

/// A number of any width in hex.
fn format_number(out: &mut Printer<'_>, bytes: &[u8]) {
    match FieldValue::from_be_bytes(bytes) {
        Some(number) => hex(out, number.to_u128()),
        None => field_value::format_wide(out, bytes),
    }
}

/// Reads the arguments of `learn`.
pub(super) fn read(value: Piece<'_>, names: Option<&Names>) -> Result<Learn, ParseError> {
    let mut found = Learn::default();
    for (key, value) in value.key_values() {
        match key.text() {
            "table" => {
                found.table = parse_table(value, names)?;
                if found.table == TableId::ALL {
                    return Err(value.error(Problem::Expected("a table up to 254")));
                }
            }
            "priority" => found.priority = Priority(value.u16()?),
            "idle_timeout" => found.idle_timeout_s = value.u16()?,
            "hard_timeout" => found.hard_timeout_s = value.u16()?,
            "fin_idle_timeout" => found.fin_idle_timeout_s = value.u16()?,
            "fin_hard_timeout" => found.fin_hard_timeout_s = value.u16()?,
            "cookie" => found.cookie = Cookie(value.u64()?),
            "send_flow_rem" => found.flags |= LearnFlags::SEND_FLOW_REM,
            "delete_learned" => found.flags |= LearnFlags::DELETE_LEARNED,
            "limit" => found.limit = value.u32()?,
            "result_dst" => {
                let dst = subfield::parse(value)?;
                if dst.n_bits != 1 {
                    return Err(value.error(Problem::Expected("one bit of a field: NXM_NX_REG0[8]")));
                }
                found.result_dst = Some(dst);
                found.flags |= LearnFlags::WRITE_RESULT;
            }
            _ => found.specs.push(read_spec(key, value, names)?),
        }
    }
    Ok(found)
}

/// Reads `FIELD=VALUE`, `FIELD[BITS]=FIELD[BITS]`, `FIELD[BITS]`, `load:…->FIELD[BITS]` or `output:FIELD[BITS]`.
fn read_spec(key: Piece<'_>, value: Piece<'_>, names: Option<&Names>) -> Result<LearnSpec, ParseError> {
    match key.text() {
        "load" => return read_load(value),
        "output" => {
            let src = short_subfield(value)?;
            return Ok(LearnSpec {
                n_bits: src.n_bits,
                src: LearnSource::Field(src),
                dst: LearnTarget::Output,
            });
        }
        _ => {}
    }
    let dst = short_subfield(key).map_err(|error| match error.problem {
        Problem::UnknownSubField => key.error(Problem::Expected("an argument of learn, or a field")),
        _ => error,
    })?;
    let target = LearnTarget::Match(dst);
    if value.is_empty() {
        return Ok(LearnSpec { n_bits: dst.n_bits, src: LearnSource::Field(dst), dst: target });
    }
    // What names no field is a value.
    let src = if subfield::names_field(value) {
        let src = short_subfield(value)?;
        if src.n_bits != dst.n_bits {
            return Err(value.error(Problem::BitsFor(dst.field.name(), dst.n_bits)));
        }
        LearnSource::Field(src)
    } else {
        LearnSource::Value(read_value(dst, value, names)?)
    };
    Ok(LearnSpec { n_bits: dst.n_bits, src, dst: target })
}

/// Reads `NUMBER->FIELD[BITS]` or `FIELD[BITS]->FIELD[BITS]`.
fn read_load(value: Piece<'_>) -> Result<LearnSpec, ParseError> {
    let (from, to) = super::field::arrow(value)?;
    let dst = short_subfield(to)?;
    let target = LearnTarget::Load(dst);
    if from.text().starts_with(|c: char| c.is_ascii_digit()) {
        let number = if dst.field.is_wide() {
            field_value::parse_wide_number(from, dst.n_bits)?
        } else {
            from.number(dst.n_bits)?.to_be_bytes().to_vec()
        };
        let src = LearnSource::Value(cut(&number, dst.n_bits));
        return Ok(LearnSpec { n_bits: dst.n_bits, src, dst: target });
    }
    let src = short_subfield(from)?;
    if src.n_bits != dst.n_bits {
        return Err(to.error(Problem::BitsFor(src.field.name(), src.n_bits)));
    }
    Ok(LearnSpec { n_bits: dst.n_bits, src: LearnSource::Field(src), dst: target })
}

/// A value of a field, of which these bits are matched.
fn read_value(dst: SubField, value: Piece<'_>, names: Option<&Names>) -> Result<Box<[u8]>, ParseError> {
    if dst.field.is_wide() {
        return Ok(cut(&field_value::parse_wide_number(value, dst.n_bits)?, dst.n_bits));
    }
    if dst != SubField::all(dst.field) {
        return Ok(cut(&value.number(dst.n_bits)?.to_be_bytes(), dst.n_bits));
    }
    let (parsed, mask) = field_value::parse(dst.field, value, names)?;
    if mask.is_some() {
        return Err(value.error(Problem::NoMask));
    }
    if !parsed.fits(dst.field.info().value_bits) {
        return Err(value.error(Problem::TooBig(dst.field.info().value_bits)));
    }
    Ok(cut(&parsed.to_be_bytes(), dst.n_bits))
}

/// The last bytes of a number, as many as its bits need.
fn cut(number: &[u8], n_bits: u16) -> Box<[u8]> {
    let n_bytes = usize::from(n_bits.div_ceil(8));
    let mut bytes = vec![0; n_bytes.saturating_sub(number.len())];
    bytes.extend_from_slice(&number[number.len().saturating_sub(n_bytes)..]);
    bytes.into()
}

/// Bits of a field that a flow that is learned can name: the header has no room for an experimenter's.
fn short_subfield(piece: Piece<'_>) -> Result<SubField, ParseError> {
    let sub = subfield::parse(piece)?;
    let is_short = |field: Field| !field.is_experimenter();
    if is_short(sub.field) {
        Ok(sub)
    } else {
        Err(piece.error(Problem::Expected("no field of an experimenter")))
    }
}
