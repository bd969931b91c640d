//! Instructions, which text writes among the actions.

use super::action::{self, ActionReader};
use super::error::{ParseError, Piece, Problem};
use super::port::parse_table;
use super::printer::{Printer, Role};
use super::protocols::Protocols;
use crate::openflow::Instruction;
use crate::openflow::action::{CheckError, Within};
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
        Instruction::GotoTable(table) => {
            out.put(Role::Param, "goto_table:");
            out.table(*table);
        }
        Instruction::WriteMetadata { metadata, mask } => action::format_metadata(out, *metadata, *mask),
        Instruction::ApplyActions(actions) => action::format_list(out, actions),
        Instruction::WriteActions(actions) => {
            out.put(Role::Paren, "write_actions(");
            action::format_list_or_drop(out, actions);
            out.put(Role::Paren, ")");
        }
        Instruction::ClearActions => out.put(Role::Value, "clear_actions"),
        Instruction::Meter(meter) => {
            out.put(Role::Param, "meter:");
            out.dec(meter.0);
        }
        Instruction::Unknown { instruction_type, body } => {
            out.push_str("unknown_instruction(");
            out.hex(*instruction_type);
            out.push_str(",");
            out.dec(body.len() as u64);
            out.push_str(" bytes)");
        }
    }
}

/// Reads what stands behind `actions=`, for a flow in `table` (if it is known) whose packets the reader knows. All
/// actions become one instruction to apply them.
pub(super) fn parse(
    piece: Piece<'_>,
    reader: &mut ActionReader<'_>,
    table: Option<TableId>,
) -> Result<Vec<Instruction>, ParseError> {
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut drop = None;
    // The instruction before, of those that say something and those that do not.
    let mut before: Option<(u8, &'static str)> = None;
    for (key, value) in piece.key_values() {
        if action::is_drop(key) {
            drop = Some(key);
            continue;
        }
        let instruction = match parse_instruction(key, value, reader)? {
            Some(instruction) => {
                // Behind the actions, packets are what those have made of them.
                let checked = instruction.check(&mut reader.packets(), table);
                checked.map_err(|error| key.up_to(value).error(error.into()))?;
                instruction
            }
            None => {
                let mut actions = match instructions.last_mut() {
                    Some(Instruction::ApplyActions(actions)) => std::mem::take(actions),
                    _ => Vec::new(),
                };
                let is_first = actions.is_empty();
                reader.action(key, value, Within::List, &mut actions)?;
                if !is_first {
                    instructions.pop();
                }
                Instruction::ApplyActions(actions)
            }
        };
        let this = (instruction.rank(), instruction.name());
        let is_apply = matches!(instruction, Instruction::ApplyActions(_));
        match before {
            Some((rank, earlier)) if rank > this.0 => {
                let error = CheckError::Order { later: earlier, earlier: this.1 };
                return Err(key.up_to(value).error(error.into()));
            }
            Some((rank, name)) if rank == this.0 && !is_apply => {
                return Err(key.up_to(value).error(CheckError::Duplicate(name).into()));
            }
            _ => before = Some(this),
        }
        instructions.push(instruction);
    }
    if let Some(key) = drop.filter(|_| before.is_some()) {
        return Err(key.error(Problem::DropBesideOthers));
    }
    // An instruction that writes no action is not sent.
    instructions.retain(
        |instruction| !matches!(instruction, Instruction::WriteActions(actions) if actions.is_empty()),
    );
    Ok(instructions)
}

/// Reads an instruction, if it is one and no action.
fn parse_instruction(
    key: Piece<'_>,
    value: Piece<'_>,
    reader: &mut ActionReader<'_>,
) -> Result<Option<Instruction>, ParseError> {
    let needed = || if value.is_empty() { Err(key.error(Problem::MissingValue)) } else { Ok(value) };
    let is = |name: &str| key.text().eq_ignore_ascii_case(name);
    Ok(Some(match key.text().as_bytes() {
        [b'g' | b'G', ..] if is("goto_table") => {
            Instruction::GotoTable(parse_table(needed()?, reader.names())?)
        }
        [b'm' | b'M', ..] if is("meter") => {
            reader.protocols &= Protocols::OF13_UP;
            Instruction::Meter(MeterId(needed()?.u32()?))
        }
        [b'c' | b'C', ..] if is("clear_actions") => Instruction::ClearActions,
        [b'w' | b'W', ..] if is("write_actions") => {
            Instruction::WriteActions(reader.nested(value, Within::ActionSet)?)
        }
        [b'w' | b'W', ..] if is("write_metadata") => {
            reader.protocols &= Protocols::NXM | Protocols::OF11_UP;
            parse_metadata(needed()?)?
        }
        [b'a' | b'A', ..] if is("apply_actions") => {
            return Err(key.error(Problem::Expected("the actions themselves: they are applied anyway")));
        }
        _ => return Ok(None),
    }))
}

fn parse_metadata(piece: Piece<'_>) -> Result<Instruction, ParseError> {
    Ok(match piece.split_once("/") {
        Some((metadata, mask)) => Instruction::WriteMetadata { metadata: metadata.u64()?, mask: mask.u64()? },
        None => Instruction::WriteMetadata { metadata: piece.u64()?, mask: u64::MAX },
    })
}
