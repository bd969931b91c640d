//! Flows that packets make.

use super::hex;
use crate::openflow::action::{Learn, LearnFlags, LearnSource, LearnSpec, LearnTarget};
use crate::openflow::{FieldValue, SubField};
use crate::text::printer::{Printer, Role};
use crate::text::{field_value, subfield};
use crate::types::{Cookie, Priority};

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
            out.put(Role::Param, "");
            subfield::format(out, dst);
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
    let whole = FieldValue::from_be_bytes(value).filter(|_| dst == SubField::all(dst.field));
    match whole {
        Some(value) => {
            out.put(Role::Param, dst.field.name());
            out.put(Role::Param, "=");
            field_value::format(out, dst.field, value, None);
        }
        None => {
            subfield::format(out, dst);
            out.push_str("=");
            format_number(out, value);
        }
    }
}

/// A number of any width in hex.
fn format_number(out: &mut Printer<'_>, bytes: &[u8]) {
    match FieldValue::from_be_bytes(bytes) {
        Some(number) => hex(out, number.to_u128()),
        None => field_value::format_wide(out, bytes),
    }
}
