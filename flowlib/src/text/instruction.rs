//! Instructions, which text writes among the actions.

use super::action;
use super::error::{ParseError, Piece, Problem};
use super::printer::{Printer, Role};
use crate::openflow::Instruction;
use crate::types::{MeterId, TableId};

/// Instructions as they stand behind `actions=`.
#[must_use]
pub fn format_instructions(instructions: &[Instruction]) -> String {
    let mut out = String::new();
    format_list(&mut Printer::plain(&mut out), instructions);
    out
}

/// Appends instructions with commas between them; none is `drop`.
pub(super) fn format_list(out: &mut Printer<'_>, instructions: &[Instruction]) {
    let is_silent = |instruction: &&Instruction| matches!(instruction, Instruction::ApplyActions(actions) if actions.is_empty());
    let mut separator = "";
    for instruction in instructions.iter().filter(|instruction| !is_silent(instruction)) {
        out.push_str(separator);
        format(out, instruction);
        separator = ",";
    }
    if separator.is_empty() {
        out.put(Role::Drop, "drop");
    }
}

fn format(out: &mut Printer<'_>, instruction: &Instruction) {
    match instruction {
        Instruction::GotoTable(table) => out.push_str(&format!("goto_table:{table}")),
        Instruction::WriteMetadata { metadata, mask: u64::MAX } => {
            out.push_str(&format!("write_metadata:{metadata:#x}"));
        }
        Instruction::WriteMetadata { metadata, mask } => {
            out.push_str(&format!("write_metadata:{metadata:#x}/{mask:#x}"));
        }
        Instruction::ApplyActions(actions) => action::format_list(out, actions),
        Instruction::WriteActions(actions) => {
            out.push_str("write_actions(");
            action::format_list(out, actions);
            out.push_str(")");
        }
        Instruction::ClearActions => out.push_str("clear_actions"),
        Instruction::Meter(meter) => out.push_str(&format!("meter:{meter}")),
        Instruction::Unknown { instruction_type, body } => {
            out.push_str(&format!("unknown_instruction({instruction_type:#x},{} bytes)", body.len()));
        }
    }
}

/// Reads what stands behind `actions=`. All actions become one instruction to apply them, where the first stands.
pub(super) fn parse(piece: Piece<'_>) -> Result<Vec<Instruction>, ParseError> {
    let mut instructions: Vec<Instruction> = Vec::new();
    let pieces = piece.split_list(|c| c == ',')?;
    if let [only] = pieces[..]
        && only.text() == "drop"
    {
        return Ok(instructions);
    }
    for piece in pieces {
        let (name, argument) = action::split_call(piece)?;
        let value = argument.ok_or_else(|| piece.error(Problem::MissingValue));
        let instruction = match name {
            "goto_table" => Instruction::GotoTable(TableId(value?.u8()?)),
            "meter" => Instruction::Meter(MeterId(value?.u32()?)),
            "clear_actions" => Instruction::ClearActions,
            "write_actions" => Instruction::WriteActions(action::parse_list(value?)?),
            "write_metadata" => parse_metadata(value?)?,
            _ => {
                let action = action::parse(piece)?;
                let applied = instructions.iter_mut().find_map(|instruction| match instruction {
                    Instruction::ApplyActions(actions) => Some(actions),
                    _ => None,
                });
                match applied {
                    Some(actions) => {
                        actions.push(action);
                        continue;
                    }
                    None => Instruction::ApplyActions(vec![action]),
                }
            }
        };
        instructions.push(instruction);
    }
    Ok(instructions)
}

fn parse_metadata(piece: Piece<'_>) -> Result<Instruction, ParseError> {
    Ok(match piece.split_once("/") {
        Some((metadata, mask)) => Instruction::WriteMetadata { metadata: metadata.u64()?, mask: mask.u64()? },
        None => Instruction::WriteMetadata { metadata: piece.u64()?, mask: u64::MAX },
    })
}
