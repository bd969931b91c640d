//! Actions and instructions in hexadecimal, one list on each line of standard input.

use std::fmt::Write;
use std::io;

use anyhow::{Context, Result, bail};
use flowlib::openflow::error::error_code;
use flowlib::openflow::{Action, ErrorCode, Instruction};
use flowlib::text::print_instructions;
use flowlib::wire::{Part, Reader};

use super::messages::bytes_of_hex;
use crate::ofctl::globals::Globals;
use crate::ofctl::out::Out;

/// What stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ofctl) enum Kind {
    Actions,
    Instructions,
}

/// `parse-actions` and `parse-instructions`. What follows a # is a comment.
///
/// # Errors
/// If the version is not OpenFlow13, or a line has something else than hexadecimal digits.
pub(in crate::ofctl) fn print_parts(globals: &Globals, protocol: &str, kind: Kind) -> Result<()> {
    if !protocol.eq_ignore_ascii_case("OpenFlow13") {
        bail!("{protocol}: only OpenFlow13 is spoken here");
    }
    let mut out = Out::default();
    for line in io::stdin().lines() {
        let line = line.context("cannot read standard input")?;
        let said = line.split('#').next().unwrap_or_default();
        if said.trim().is_empty() {
            continue;
        }
        match read(&bytes_of_hex(said)?, kind) {
            Ok(instructions) => {
                out.text().push_str("actions=");
                print_instructions(out.text(), &instructions, globals.style(None));
            }
            Err(code) => {
                let kind = if kind == Kind::Actions { "actions" } else { "instructions" };
                write!(out.text(), "bad OpenFlow13 {kind}: {code}")?;
            }
        }
        out.text().push_str("\n\n");
        out.flow()?;
    }
    out.flush()
}

/// Reads a list; actions as what an instruction applies.
fn read(bytes: &[u8], kind: Kind) -> Result<Vec<Instruction>, ErrorCode> {
    let mut whole = Vec::new();
    if kind == Kind::Actions {
        let len = u16::try_from(bytes.len() + APPLY_LEN).map_err(|_| ErrorCode::OFPBRC_BAD_LEN)?;
        if !len.is_multiple_of(8) {
            return Err(ErrorCode::OFPBRC_BAD_LEN);
        }
        whole.extend([0, APPLY_ACTIONS]);
        whole.extend(len.to_be_bytes());
        whole.extend([0; 4]);
    }
    whole.extend_from_slice(bytes);
    let reader = Reader::new(&whole, Part::Instruction);
    let instructions = Instruction::decode_list(reader).map_err(|error| error_code(&error))?;
    match instructions.iter().find_map(unknown) {
        Some(code) => Err(code),
        None => Ok(instructions),
    }
}

/// The error for what an instruction has that is kept, but means nothing to a switch.
fn unknown(instruction: &Instruction) -> Option<ErrorCode> {
    match instruction {
        Instruction::Unknown { instruction_type: 0xffff, .. } => Some(ErrorCode::OFPBIC_BAD_EXPERIMENTER),
        Instruction::Unknown { .. } => Some(ErrorCode::OFPBIC_UNKNOWN_INST),
        Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
            let is_unknown = actions.iter().any(|action| matches!(action, Action::Unknown { .. }));
            is_unknown.then_some(ErrorCode::OFPBAC_BAD_TYPE)
        }
        _ => None,
    }
}

/// OFPIT_APPLY_ACTIONS, and its length without actions.
const APPLY_ACTIONS: u8 = 4;
const APPLY_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_or_have_an_error_code() {
        let output = bytes_of_hex("0000 0010 0000 0001 0000 0000 0000 0000").unwrap();
        assert_eq!(read(&output, Kind::Actions).unwrap().len(), 1);
        assert_eq!(read(&output[..14], Kind::Actions), Err(ErrorCode::OFPBRC_BAD_LEN));
        assert_eq!(read(&output, Kind::Instructions), Err(ErrorCode::OFPBIC_UNKNOWN_INST));
        assert_eq!(read(&[0, 77, 0, 8, 0, 0, 0, 0], Kind::Actions), Err(ErrorCode::OFPBAC_BAD_TYPE));
        assert_eq!(read(&[0, 1, 0, 8, 5, 0, 0, 0], Kind::Instructions).unwrap().len(), 1);
    }
}
