//! Parts of flows that stand on their own: ports, tables, fields, matches, instructions.

use super::error::{ParseError, Piece};
use super::names::Names;
use super::printer::{Printer, Style};
use super::{flow_match, instruction, port, subfield};
use crate::openflow::{Field, Instruction, Match};
use crate::types::{PortNo, Priority, TableId};

/// Reads a port: a number, the name of a reserved port in any case, or a name that the switch gave it.
///
/// # Errors
/// If it is none of them.
pub fn parse_port(text: &str, names: Option<&Names>) -> Result<PortNo, ParseError> {
    port::parse_port(Piece::new(text), names)
}

/// Reads a table: a number, or a name that the switch gave it.
///
/// # Errors
/// If it is none of them.
pub fn parse_table(text: &str, names: Option<&Names>) -> Result<TableId, ParseError> {
    port::parse_table(Piece::new(text), names)
}

/// The field of that name in any spelling of ovs-fields(7).
#[must_use]
pub fn find_field(name: &str) -> Option<Field> {
    subfield::find_field(name)
}

/// Appends a match, and before it the priority if it is not the usual one: `priority=5,ip,nw_dst=10.0.0.1`.
pub fn print_match(out: &mut String, priority: Priority, flow_match: &Match, style: Style<'_>) {
    flow_match::format(&mut Printer::new(out, style), priority, flow_match);
}

/// Appends instructions as they stand behind `actions=`.
pub fn print_instructions(out: &mut String, instructions: &[Instruction], style: Style<'_>) {
    instruction::format_list(&mut Printer::new(out, style), instructions);
}
