//! Adds, changes and deletes groups.

use std::path::Path;

use anyhow::Result;
use flowlib::openflow::Message;
use flowlib::openflow::group::GroupCommand;
use flowlib::text::{Names, ParseError, parse_group_mod};

use super::manner;
use crate::ofctl::batch::Batch;
use crate::ofctl::deliver::Changes;
use crate::ofctl::file::Lines;
use crate::ofctl::switch::Switch;

/// `add-group`, `mod-group` and `del-groups`: one group, or with `-` those of standard input.
///
/// # Errors
/// [`BadText`](crate::ofctl::file::BadText), or what [`Changes::send`] says.
pub(in crate::ofctl) fn one(switch: &Switch<'_>, group: Option<&str>, command: GroupCommand) -> Result<()> {
    match group {
        Some("-") => file(switch, Path::new("-"), command),
        group => {
            let parse = parser(Some(command));
            let batch = Batch::of_argument(switch, group.unwrap_or_default(), parse)?;
            Changes { batch, lines: None }.send(switch, manner(switch))
        }
    }
}

/// `add-groups`: each line of a file, which may begin with a command if it is to add.
///
/// # Errors
/// See [`one`].
pub(in crate::ofctl) fn file(switch: &Switch<'_>, path: &Path, command: GroupCommand) -> Result<()> {
    let lines = Lines::read(path)?;
    let command = Some(command).filter(|command| *command != GroupCommand::ADD);
    let batch = Batch::of_lines(switch, &lines, parser(command))?;
    Changes { batch, lines: Some(&lines) }.send(switch, manner(switch))
}

fn parser(
    command: Option<GroupCommand>,
) -> impl Fn(&str, Option<&Names>) -> Result<Message, ParseError> + Sync {
    move |text, names| parse_group_mod(text, command, names).map(Message::GroupMod)
}
