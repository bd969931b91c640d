//! Flows that are checked and printed as they would be sent.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::{FlowModCommand, Message};
use flowlib::text::{Protocols, Verbosity, parse_flow_mod, print_message};

use crate::ofctl::batch::Batch;
use crate::ofctl::change::flow::warn;
use crate::ofctl::file::{BadText, Lines};
use crate::ofctl::globals::Globals;
use crate::ofctl::out::Out;
use crate::ofctl::parallel;

/// `parse-flow`.
///
/// # Errors
/// [`BadText`], or that the flow cannot be said in OpenFlow 1.3.
pub(in crate::ofctl) fn parse_flow(globals: &Globals, flow: &str) -> Result<()> {
    let parsed = parse_flow_mod(flow, Some(FlowModCommand::ADD), None)
        .map_err(|error| BadText::argument(flow, error))?;
    warn(&parsed);
    let mut batch = Batch::default();
    batch.add(&Message::FlowMod(parsed.flow_mod))?;
    print(globals, vec![(batch, parsed.protocols)])
}

/// `parse-flows`.
///
/// # Errors
/// See [`parse_flow`].
pub(in crate::ofctl) fn parse_flows(globals: &Globals, path: &Path) -> Result<()> {
    let lines = Lines::read(path)?;
    let pieces = lines.in_pieces(|piece| {
        let (mut batch, mut protocols) = (Batch::default(), Protocols::all());
        for line in piece {
            let parsed = parse_flow_mod(line.text, Some(FlowModCommand::ADD), None)
                .map_err(|error| lines.bad(line, error))?;
            warn(&parsed);
            protocols &= parsed.protocols;
            batch.push(&Message::FlowMod(parsed.flow_mod), line)?;
        }
        Ok((batch, protocols))
    })?;
    print(globals, pieces)
}

/// `parse-group`.
///
/// # Errors
/// See [`parse_flow`].
pub(in crate::ofctl) fn parse_group(globals: &Globals, group: &str) -> Result<()> {
    let add = Some(GroupCommand::ADD);
    let parsed =
        flowlib::text::parse_group(group, add, None).map_err(|error| BadText::argument(group, error))?;
    let mut batch = Batch::default();
    batch.add(&Message::GroupMod(parsed.group_mod))?;
    batch.number(1);
    let mut out = Out::default();
    writeln!(out.text(), "usable protocols: {}", parsed.protocols)?;
    if !parsed.protocols.contains(Protocols::OF13) {
        out.flush()?;
        bail!("no usable protocol");
    }
    out.text().push_str("chosen version: OpenFlow13\n");
    for (_, message) in batch.iter() {
        print_message(out.text(), message, globals.style(None), Verbosity(globals.verbosity(0)));
    }
    out.flush()
}

/// Prints which protocols can say the flows, which one is taken, and the flows.
fn print(globals: &Globals, pieces: Vec<(Batch, Protocols)>) -> Result<()> {
    let protocols = pieces.iter().fold(Protocols::all(), |all, (_, protocols)| all & *protocols);
    let mut out = Out::default();
    writeln!(out.text(), "usable protocols: {protocols}")?;
    if !protocols.contains(Protocols::OF13) {
        out.flush()?;
        bail!("no usable protocol");
    }
    writeln!(out.text(), "chosen protocol: {}", Protocols::OF13)?;
    let mut batches: Vec<Batch> = pieces.into_iter().map(|(batch, _)| batch).collect();
    batches.iter_mut().for_each(|batch| batch.number(1));
    let verbosity = Verbosity(globals.verbosity(0));
    let texts = parallel::map(batches.len(), |at| {
        let mut text = String::new();
        for (_, message) in batches[at].iter() {
            print_message(&mut text, message, globals.style(None), verbosity);
        }
        text
    });
    for text in texts {
        out.text().push_str(&text);
        out.flow()?;
    }
    out.flush()
}
