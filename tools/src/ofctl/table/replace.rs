//! `replace-flows`: the fewest changes that make a switch hold the flows of a file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use flowlib::openflow::{
    FlowMod, FlowModCommand, FlowModFlags, FlowStatsRequest, Message, MultipartRequestBody,
};
use flowlib::text::parse_flow_mod;

use super::view::{Key, View, add_of, flow_of};
use crate::ofctl::ask::{ask, multipart};
use crate::ofctl::batch::Batch;
use crate::ofctl::deliver::{Changes, Manner};
use crate::ofctl::entries::entries;
use crate::ofctl::file::Lines;
use crate::ofctl::switch::Switch;

/// A flow of the file.
struct Wanted<'a> {
    add: &'a [u8],
    line: u32,
    /// Whether the switch holds it as the file wants it, or another of the same match comes behind it.
    is_done: bool,
}

/// Makes the switch hold the flows of the file and no others: in each table it first deletes, then adds.
///
/// # Errors
/// What the file, the switch or the connection says; as a bundle, nothing has changed then.
pub(in crate::ofctl) fn replace(switch: &Switch<'_>, path: &Path) -> Result<()> {
    let lines = Lines::read(path)?;
    let pieces = wanted_of(switch, &lines)?;
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut index: HashMap<Key<'_>, usize> = HashMap::new();
    for (line, add) in pieces.iter().flat_map(|piece| piece.iter()) {
        let Some(view) = View::of_flow_mod(add) else { continue };
        if let Some(earlier) = index.insert(view.key, wanted.len()) {
            wanted[earlier].is_done = true;
        }
        wanted.push(Wanted { add, line, is_done: false });
    }

    let mut connection = switch.open()?;
    let mut deletes = Batch::default();
    let all = multipart(MultipartRequestBody::Flow(FlowStatsRequest::default()))?;
    ask(&mut connection, &all, |part| {
        for entry in entries(part) {
            let entry = entry?;
            // The switch may spell a match in another way than we do.
            let flow;
            let respelled;
            let found = match View::of_stats(entry).and_then(|view| find(&index, view)) {
                Some(found) => Some(found),
                None => {
                    flow = flow_of(entry)?;
                    respelled = add_of(&flow)?;
                    let found = View::of_flow_mod(&respelled).and_then(|view| find(&index, view));
                    if found.is_none() {
                        deletes.add(&Message::FlowMod(delete(flow)))?;
                    }
                    found
                }
            };
            if let Some((at, view)) = found {
                let is_same = View::of_flow_mod(wanted[at].add).is_some_and(|wanted| wanted.is_same(&view));
                wanted[at].is_done |= is_same && !switch.globals.readd;
            }
        }
        Ok(())
    })?;
    let adds = wanted.iter().filter(|flow| !flow.is_done).map(|flow| (flow.line, flow.add));
    let batch = in_order(&deletes, adds);
    if batch.is_empty() {
        return Ok(());
    }
    let manner = if switch.globals.bundle { Manner::Bundle } else { Manner::Together };
    Changes { batch, lines: Some(&lines) }.send_over(&mut connection, switch, manner)
}

/// Table by table: what is deleted, then what is added.
fn in_order<'a>(deletes: &'a Batch, adds: impl Iterator<Item = (u32, &'a [u8])>) -> Batch {
    let table = |message: &[u8]| View::of_flow_mod(message).map(|view| view.key.table);
    let deletes = deletes.iter().map(|(line, message)| (table(message), false, line, message));
    let adds = adds.map(|(line, message)| (table(message), true, line, message));
    let mut changes: Vec<_> = deletes.chain(adds).collect();
    changes.sort_by_key(|(table, is_add, ..)| (*table, *is_add));
    let mut batch = Batch::default();
    for (_, _, line, message) in changes {
        batch.push_encoded(message, line);
    }
    batch
}

/// The flow of the file that is the one of the view.
fn find<'v>(index: &HashMap<Key<'_>, usize>, view: View<'v>) -> Option<(usize, View<'v>)> {
    index.get(&view.key).map(|at| (*at, view))
}

/// The flow mods that add the flows of the file, with their lines, in pieces.
fn wanted_of(switch: &Switch<'_>, lines: &Lines) -> Result<Vec<Batch>> {
    let pieces = lines.in_pieces(|piece| {
        let mut batch = Batch::default();
        for line in piece {
            let parse = |names: Option<&_>| parse_flow_mod(line.text, Some(FlowModCommand::ADD), names);
            let mut add = switch.parse_more(parse)?.map_err(|error| lines.bad(line, error))?.flow_mod;
            // What a switch does not report would always look changed.
            add.flags &= FlowModFlags::SEND_FLOW_REM;
            batch.push(&Message::FlowMod(add), line)?;
        }
        Ok(batch)
    })?;
    switch.leave_out_xids();
    Ok(pieces)
}

fn delete(flow: flowlib::openflow::Flow) -> FlowMod {
    FlowMod {
        command: FlowModCommand::DELETE_STRICT,
        instructions: Vec::new(),
        idle_timeout_s: 0,
        hard_timeout_s: 0,
        flags: FlowModFlags::empty(),
        cookie_mask: 0,
        ..FlowMod::add(&flow)
    }
}
