//! `diff-flows`: what two tables do not share.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use flowlib::openflow::{FlowModCommand, FlowStatsRequest, Message, MultipartRequestBody};
use flowlib::text::{Names, Style, parse_flow_mod, print_instructions, print_match};

use super::view::{Key, View, add_of, flow_of};
use crate::ofctl::ask::{ask, multipart};
use crate::ofctl::batch::Batch;
use crate::ofctl::entries::entries;
use crate::ofctl::file::Lines;
use crate::ofctl::globals::Globals;
use crate::ofctl::link::Target;
use crate::ofctl::out::Out;
use crate::ofctl::switch::Switch;

/// Prints what is in one of two sources only; whether there is anything.
///
/// # Errors
/// What a file, a switch or the output says.
pub(in crate::ofctl) fn diff(globals: &Globals, sources: [&str; 2]) -> Result<bool> {
    let targets = sources.map(|source| source.parse::<Target>().unwrap_or_else(|never| match never {}));
    let switches = [Switch::new(&targets[0], globals), Switch::new(&targets[1], globals)];
    // A port has one name; that of the first switch is taken for both sources.
    let named = (0..2).find(|at| !is_file(sources[*at])).map(|at| &switches[at]);
    let tables = [0, 1].map(|at| table_of(sources[at], &switches[at], named));
    let [one, other] = tables;
    let (one, other) = (one?, other?);
    let pairs = pairs(&one, &other);
    let names = match named {
        Some(switch) => switch.printed_names()?,
        None => None,
    };
    let mut out = Out::default();
    for pair in &pairs {
        for (sign, add) in ["-", "+"].into_iter().zip(pair) {
            if let Some(add) = add {
                out.text().push_str(sign);
                format(out.text(), add, globals.style(names))?;
            }
        }
        out.flow()?;
    }
    out.flush()?;
    Ok(!pairs.is_empty())
}

/// Whether a source is a file and no switch.
fn is_file(source: &str) -> bool {
    source.starts_with(['/', '.']) || source == "-" || !source.contains(':') && Path::new(source).exists()
}

/// The flow mods that add the flows of a source.
fn table_of(source: &str, switch: &Switch<'_>, named: Option<&Switch<'_>>) -> Result<Vec<Batch>> {
    if is_file(source) {
        return of_file(&Lines::read(Path::new(source))?, named);
    }
    let mut batch = Batch::default();
    let all = multipart(MultipartRequestBody::Flow(FlowStatsRequest::default()))?;
    ask(&mut switch.open()?, &all, |part| {
        for entry in entries(part) {
            batch.push_encoded(&add_of(&flow_of(entry?)?)?, 0);
        }
        Ok(())
    })?;
    Ok(vec![batch])
}

fn of_file(lines: &Lines, named: Option<&Switch<'_>>) -> Result<Vec<Batch>> {
    lines.in_pieces(|piece| {
        let mut batch = Batch::default();
        for line in piece {
            let parse = |names: Option<&Names>| parse_flow_mod(line.text, Some(FlowModCommand::ADD), names);
            let parsed = match named {
                Some(switch) => switch.parse_more(parse)?,
                None => parse(None),
            };
            let flow_mod = parsed.map_err(|error| lines.bad(line, error))?.flow_mod;
            batch.push(&Message::FlowMod(flow_mod), line)?;
        }
        Ok(batch)
    })
}

/// The flows that are in one table only, or not the same in both, by table.
fn pairs<'a>(one: &'a [Batch], other: &'a [Batch]) -> Vec<[Option<&'a [u8]>; 2]> {
    let mut index: HashMap<Key<'_>, usize> = HashMap::new();
    let mut pairs: Vec<(Key<'_>, [Option<&[u8]>; 2])> = Vec::new();
    for (side, table) in [one, other].into_iter().enumerate() {
        for (_, add) in table.iter().flat_map(Batch::iter) {
            let Some(view) = View::of_flow_mod(add) else { continue };
            let at = *index.entry(view.key).or_insert_with(|| {
                pairs.push((view.key, [None, None]));
                pairs.len() - 1
            });
            pairs[at].1[side] = Some(add);
        }
    }
    pairs.retain(|(_, pair)| match pair.map(|add| add.and_then(View::of_flow_mod)) {
        [Some(one), Some(other)] => !one.is_same(&other),
        _ => true,
    });
    pairs.sort_by_key(|(key, _)| key.table);
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

/// Appends a flow as ovs-ofctl prints one that differs.
fn format(out: &mut String, add: &[u8], style: Style<'_>) -> Result<()> {
    let (_, message) = Message::decode(add)?;
    let Message::FlowMod(flow) = message else { return Ok(()) };
    if flow.table.0 != 0 {
        write!(out, "table={} ", flow.table)?;
    }
    print_match(out, flow.priority, &flow.flow_match, style);
    if flow.cookie.0 != 0 {
        write!(out, " cookie={}", flow.cookie)?;
    }
    for (name, seconds) in [("idle_timeout", flow.idle_timeout_s), ("hard_timeout", flow.hard_timeout_s)] {
        if seconds != 0 {
            write!(out, " {name}={seconds}")?;
        }
    }
    out.push_str(" actions=");
    print_instructions(out, &flow.instructions, style);
    out.push('\n');
    Ok(())
}
