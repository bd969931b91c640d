//! What numbers mean in a bridge of Weir's: registers and reasons of drops by name.

use std::fmt::Write;

use flowlib::openflow::oxm::field;
use flowlib::openflow::{Action, Field, Flow, Instruction};
use flowlib::pipeline::drop_reason::DropReason;
use flowlib::pipeline::register::{DROP_REASON, ORIGIN, REGISTERS, Register};
use flowlib::pipeline::table::Table;

/// The reason whose packets a flow of the drop table counts.
pub(super) fn drop_reason(flow: &Flow) -> Option<DropReason> {
    let number = flow.flow_match.exact(field::REG7)?.to_u32();
    (Table::from_id(flow.table) == Some(Table::Drop)).then(|| DropReason::from_number(number))?
}

/// Appends what the registers in the match and in the actions of a flow mean, as a comment: ` # network=5`.
pub(super) fn print_remark(out: &mut String, flow: &Flow) {
    let start = out.len();
    for register in &REGISTERS {
        if let Some(value) = flow.flow_match.exact(register.field) {
            remark(out, start, flow, register, value.to_u32(), "=");
        }
    }
    for instruction in &flow.instructions {
        let (Instruction::ApplyActions(actions) | Instruction::WriteActions(actions)) = instruction else {
            continue;
        };
        for action in actions {
            if let Some((register, value)) = load(action) {
                remark(out, start, flow, register, value, "<-");
            }
        }
    }
}

/// The register that an action loads all of, and with what.
fn load(action: &Action) -> Option<(&'static Register, u32)> {
    let Action::RegLoad { dst, value } = action else { return None };
    let is_whole = |field: Field| dst.field == field && dst.start_bit == 0 && dst.n_bits == 32;
    let register = REGISTERS.iter().find(|register| is_whole(register.field))?;
    Some((register, u32::try_from(*value).ok()?))
}

fn remark(out: &mut String, start: usize, flow: &Flow, register: &Register, value: u32, sign: &str) {
    if Table::from_id(flow.table).is_none_or(|table| table < register.from || table > register.to) {
        return;
    }
    out.push_str(if out.len() == start { " # " } else { ", " });
    let name = register.name;
    let value_name = match register.field {
        field if field == DROP_REASON.field => DropReason::from_number(value).map(DropReason::name),
        field if field == ORIGIN.field => origin(value),
        _ => None,
    };
    let written = match value_name {
        Some(value) => write!(out, "{name}{sign}{value}"),
        None => write!(out, "{name}{sign}{value}"),
    };
    written.expect("a String takes all that is written");
}

fn origin(value: u32) -> Option<&'static str> {
    let words = ORIGIN
        .values
        .split(", ")
        .find_map(|word| word.split_once(' ').filter(|(n, _)| n.parse() == Ok(value)));
    words.map(|(_, name)| name)
}
