//! Actions on a field, or on some bits of it.

use super::hex;
use crate::openflow::oxm::WideField;
use crate::openflow::{Action, SubField};
use crate::text::printer::{Printer, Role};
use crate::text::{field_value, subfield};

/// Appends an action that names a field.
pub(super) fn format(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::SetField { field, value } => {
            out.put(Role::Special, "set_field:");
            field_value::format(out, *field, *value, None);
            to_field(out, field.name());
        }
        Action::RegLoad2(entry) => {
            out.put(Role::Special, "set_field:");
            field_value::format(out, entry.field, entry.value, entry.mask);
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
    field_value::format_wide(out, &entry.value);
    if let Some(mask) = &entry.mask {
        out.push_str("/");
        field_value::format_wide(out, mask);
    }
    to_field(out, entry.field.name());
}
