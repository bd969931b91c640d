//! Flow mods: add, change and delete flows.

use std::path::Path;

use anyhow::Result;
use flowlib::openflow::{FlowModCommand, Message};
use flowlib::text::{Names, ParseError, ParsedFlowMod, parse_flow_mod};

use super::batch::Batch;
use super::change::{Changes, Manner};
use super::file::Lines;
use super::switch::Switch;

/// `add-flow`, `mod-flows` and `del-flows`: one flow, or with `-` those of standard input.
///
/// # Errors
/// [`BadText`](super::file::BadText), or what [`Changes::send`] says.
pub(super) fn one(switch: &Switch<'_>, flow: Option<&str>, command: FlowModCommand) -> Result<()> {
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
pub(super) fn file(switch: &Switch<'_>, path: &Path, command: FlowModCommand) -> Result<()> {
    let lines = Lines::read(path)?;
    let command = Some(command).filter(|command| *command != FlowModCommand::ADD);
    let batch = Batch::of_lines(switch, &lines, parser(command))?;
    Changes { batch, lines: Some(&lines) }.send(switch, manner(switch))
}

/// As a bundle if that is asked for.
pub(super) fn manner(switch: &Switch<'_>) -> Manner {
    if switch.globals.bundle { Manner::Bundle } else { Manner::Each }
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
pub(super) fn warn(parsed: &ParsedFlowMod) {
    if let Some(normalized) = &parsed.normalized {
        eprintln!("ofctl: normalization changed the match, details:");
        eprintln!("ofctl:  pre: {}", normalized.before);
        eprintln!("ofctl: post: {}", normalized.after);
    }
}
