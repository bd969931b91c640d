//! `bundle`: changes of all kinds, all or nothing.

use std::path::Path;

use anyhow::Result;
use flowlib::openflow::Message;
use flowlib::text::{Names, ParseError, Problem, parse_flow_mod, parse_group_mod, parse_packet_out};

use super::flow::warn;
use crate::ofctl::batch::Batch;
use crate::ofctl::deliver::{Changes, Manner};
use crate::ofctl::file::Lines;
use crate::ofctl::switch::Switch;

/// `bundle`: flow mods, group mods and packet-outs of a file, all or nothing.
///
/// # Errors
/// [`BadText`](crate::ofctl::file::BadText), or what [`Changes::send`] says.
pub(in crate::ofctl) fn file(switch: &Switch<'_>, path: &Path) -> Result<()> {
    let lines = Lines::read(path)?;
    let batch = Batch::of_lines(switch, &lines, parse_member)?;
    Changes { batch, lines: Some(&lines) }.send(switch, Manner::Bundle)
}

/// Reads a line of a bundle: a word that says what it is, and the rest as elsewhere.
fn parse_member(text: &str, names: Option<&Names>) -> Result<Message, ParseError> {
    let start = text.len() - text.trim_start().len();
    let end = text[start..].find([' ', '\t', ',']).map_or(text.len(), |len| start + len);
    let (word, rest) = (&text[start..end], &text[end..]);
    let parsed = match word {
        "flow" => parse_flow_mod(rest, None, names).map(|parsed| {
            warn(&parsed);
            Message::FlowMod(parsed.flow_mod)
        }),
        "group" => parse_group_mod(rest, None, names).map(Message::GroupMod),
        "packet-out" => parse_packet_out(rest, names).map(Message::PacketOut),
        _ => {
            let column = text[..start].chars().count() + 1;
            let problem = Problem::Expected("flow, group or packet-out");
            return Err(ParseError { column, found: word.to_owned(), problem });
        }
    };
    // Columns count from the start of the line.
    parsed.map_err(|error| ParseError { column: error.column + text[..end].chars().count(), ..error })
}
