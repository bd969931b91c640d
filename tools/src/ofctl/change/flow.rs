//! Adds, changes and deletes flows.

use std::path::Path;

use anyhow::Result;
use flowlib::openflow::{FlowModCommand, Message};
use flowlib::text::{Names, ParseError, ParsedFlowMod, parse_flow_mod};

use super::manner;
use crate::ofctl::batch::Batch;
use crate::ofctl::deliver::Changes;
use crate::ofctl::file::Lines;
use crate::ofctl::switch::Switch;

/// `add-flow`, `mod-flows` and `del-flows`: one flow, or with `-` those of standard input.
///
/// # Errors
/// [`BadText`](crate::ofctl::file::BadText), or what [`Changes::send`] says.
pub(in crate::ofctl) fn one(switch: &Switch<'_>, flow: Option<&str>, command: FlowModCommand) -> Result<()> {
    match flow {
        Some("-") => file(switch, Path::new("-"), command),
        flow => {
            let parse = parser(Some(command));
            let batch = Batch::of_argument(switch, flow.unwrap_or_default(), parse)?;
            Changes { batch, lines: None }.send(switch, manner(switch))
        }
    }
}

/// `add-flows`: each line of a file, which may begin with a command if it is to add.
///
/// # Errors
/// See [`one`].
pub(in crate::ofctl) fn file(switch: &Switch<'_>, path: &Path, command: FlowModCommand) -> Result<()> {
    let lines = Lines::read(path)?;
    let command = Some(command).filter(|command| *command != FlowModCommand::ADD);
    let batch = Batch::of_lines(switch, &lines, parser(command))?;
    Changes { batch, lines: Some(&lines) }.send(switch, manner(switch))
}

/// What reads a flow mod; without a command the text may name one.
fn parser(
    command: Option<FlowModCommand>,
) -> impl Fn(&str, Option<&Names>) -> Result<Message, ParseError> + Sync {
    move |text, names| {
        let parsed = parse_flow_mod(text, command, names)?;
        warn(&parsed);
        Ok(Message::FlowMod(parsed.flow_mod))
    }
}

/// Says on standard error what was left out of the match of a flow.
pub(in crate::ofctl) fn warn(parsed: &ParsedFlowMod) {
    if let Some(normalized) = &parsed.normalized {
        eprintln!("ofctl: normalization changed the match, details:");
        eprintln!("ofctl:  pre: {}", normalized.before);
        eprintln!("ofctl: post: {}", normalized.after);
    }
}
