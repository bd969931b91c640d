//! Whole flows.

use super::error::{ParseError, Piece, Problem};
use super::flow_match::{self, MatchWords};
use super::instruction;
use crate::openflow::{Flow, FlowModFlags, FlowStats, Match};
use crate::types::{Cookie, Priority, TableId};

/// The priority of a flow that says none. Source: ovs-ofctl(8).
const DEFAULT_PRIORITY: Priority = Priority(0x8000);

const FLAGS: &[(FlowModFlags, &str)] = &[
    (FlowModFlags::SEND_FLOW_REM, "send_flow_rem"),
    (FlowModFlags::CHECK_OVERLAP, "check_overlap"),
    (FlowModFlags::RESET_COUNTS, "reset_counts"),
    (FlowModFlags::NO_PKT_COUNTS, "no_packet_counts"),
    (FlowModFlags::NO_BYT_COUNTS, "no_byte_counts"),
];

/// Keys of statistics in a dump, which are no part of a flow.
const STATISTICS: &[&str] = &["duration", "n_packets", "n_bytes", "idle_age", "hard_age"];

/// A flow as a line that ovs-ofctl takes: `table=0, priority=10,in_port=1 actions=output:2`.
#[must_use]
pub fn format_flow(flow: &Flow) -> String {
    let mut out = String::new();
    if flow.cookie != Cookie(0) {
        out.push_str(&format!("cookie={}, ", flow.cookie));
    }
    out.push_str(&format!("table={}, ", flow.table));
    format_rest(&mut out, flow);
    out
}

/// A flow entry with its statistics, as `ovs-ofctl dump-flows` prints it.
#[must_use]
pub fn format_flow_stats(stats: &FlowStats) -> String {
    let flow = &stats.flow;
    let millis = stats.duration_ns / 1_000_000;
    // ovs-ofctl prints whole seconds without a fraction.
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    let mut out = format!(
        "cookie={}, duration={}{fraction}s, table={}, n_packets={}, n_bytes={}, ",
        flow.cookie, stats.duration_s, flow.table, stats.packet_count, stats.byte_count
    );
    format_rest(&mut out, flow);
    out
}

fn format_rest(out: &mut String, flow: &Flow) {
    if flow.idle_timeout_s != 0 {
        out.push_str(&format!("idle_timeout={}, ", flow.idle_timeout_s));
    }
    if flow.hard_timeout_s != 0 {
        out.push_str(&format!("hard_timeout={}, ", flow.hard_timeout_s));
    }
    for (_, name) in FLAGS.iter().filter(|(flag, _)| flow.flags.contains(*flag)) {
        out.push_str(name);
        out.push(' ');
    }
    if flow.priority != DEFAULT_PRIORITY {
        out.push_str(&format!("priority={}", flow.priority));
        if !flow.flow_match.is_empty() {
            out.push(',');
        }
    }
    out.push_str(&flow_match::format_match(&flow.flow_match));
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out.push_str("actions=");
    out.push_str(&instruction::format_instructions(&flow.instructions));
}

/// Reads a flow as ovs-ofctl(8) takes it; statistics of a dump are passed over.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_flow(text: &str) -> Result<Flow, ParseError> {
    let whole = Piece::new(text);
    // The word may stand at the start, behind a comma or behind a space.
    let (before, actions) = whole
        .split_once("actions=")
        .or_else(|| whole.split_once("action="))
        .ok_or_else(|| whole.error(Problem::NoActions))?;
    let mut flow = Flow { priority: DEFAULT_PRIORITY, ..Flow::default() };
    let mut words = MatchWords::default();
    for piece in before.split_list(|c| c == ',' || c.is_whitespace())? {
        let (key, value) = match piece.split_once("=") {
            Some((key, value)) => (key, Some(value)),
            None => (piece, None),
        };
        if !parse_setting(&mut flow, key, value)? {
            words.push(key, value);
        }
    }
    flow.flow_match = words.resolve()?;
    flow.instructions = instruction::parse(actions.trim())?;
    Ok(flow)
}

/// Reads a match in the syntax of a flow, perhaps with a table.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_flow_match(text: &str) -> Result<(Option<TableId>, Match), ParseError> {
    let mut table = None;
    let mut words = MatchWords::default();
    for piece in Piece::new(text).split_list(|c| c == ',' || c.is_whitespace())? {
        match piece.split_once("=") {
            Some((key, value)) if key.text() == "table" => table = Some(TableId(value.u8()?)),
            Some((key, value)) => words.push(key, Some(value)),
            None => words.push(piece, None),
        }
    }
    Ok((table, words.resolve()?))
}

/// Takes a key that is no field of the match; says whether it was one.
fn parse_setting(flow: &mut Flow, key: Piece<'_>, value: Option<Piece<'_>>) -> Result<bool, ParseError> {
    let needed = || value.ok_or_else(|| key.error(Problem::MissingValue));
    match key.text() {
        "table" => flow.table = TableId(needed()?.u8()?),
        "priority" => flow.priority = Priority(needed()?.u16()?),
        "cookie" => flow.cookie = Cookie(needed()?.u64()?),
        "idle_timeout" => flow.idle_timeout_s = needed()?.u16()?,
        "hard_timeout" => flow.hard_timeout_s = needed()?.u16()?,
        name if STATISTICS.contains(&name) => {}
        name => match FLAGS.iter().find(|(_, flag)| *flag == name) {
            Some((flag, _)) if value.is_none() => flow.flags |= *flag,
            _ => return Ok(false),
        },
    }
    Ok(true)
}
