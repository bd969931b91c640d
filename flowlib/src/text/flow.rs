//! Whole flows.

use super::error::{ParseError, Piece, Problem};
use super::flow_match::{self, MatchWords};
use super::printer::{Printer, Role};
use super::{field_value, instruction};
use crate::openflow::{Flow, FlowModFlags, FlowStats, FlowStatsRequest};
use crate::types::{Cookie, GroupId, Priority, TableId};

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
    format_rest(&mut Printer::plain(&mut out), flow);
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
    format_rest(&mut Printer::plain(&mut out), flow);
    out
}

fn format_rest(out: &mut Printer<'_>, flow: &Flow) {
    if flow.idle_timeout_s != 0 {
        out.push_str(&format!("idle_timeout={}, ", flow.idle_timeout_s));
    }
    if flow.hard_timeout_s != 0 {
        out.push_str(&format!("hard_timeout={}, ", flow.hard_timeout_s));
    }
    for (_, name) in FLAGS.iter().filter(|(flag, _)| flow.flags.contains(*flag)) {
        out.push_str(name);
        out.push_str(" ");
    }
    if flow.priority != DEFAULT_PRIORITY {
        out.push_str(&format!("priority={}", flow.priority));
        if !flow.flow_match.is_empty() {
            out.push_str(",");
        }
    }
    out.push_str(&flow_match::format_match(&flow.flow_match));
    if !out.text().ends_with(' ') {
        out.push_str(" ");
    }
    out.put(Role::Actions, "actions=");
    instruction::format_list(out, &flow.instructions);
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

/// Reads which flows are meant, in the syntax of a flow: a match, and `table`, `cookie=VALUE/MASK`, `out_port` and
/// `out_group`.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_flow_filter(text: &str) -> Result<FlowStatsRequest, ParseError> {
    let mut filter = FlowStatsRequest::default();
    let mut words = MatchWords::default();
    for piece in Piece::new(text).split_list(|c| c == ',' || c.is_whitespace())? {
        let (key, value) = match piece.split_once("=") {
            Some((key, value)) => (key, Some(value)),
            None => (piece, None),
        };
        let needed = || value.ok_or_else(|| key.error(Problem::MissingValue));
        match key.text() {
            "table" => filter.table = TableId(needed()?.u8()?),
            "out_port" => filter.out_port = Some(field_value::parse_port(needed()?)?),
            "out_group" => filter.out_group = Some(GroupId(needed()?.u32()?)),
            "cookie" => (filter.cookie, filter.cookie_mask) = parse_cookie_mask(needed()?)?,
            _ => words.push(key, value),
        }
    }
    filter.flow_match = words.resolve()?;
    Ok(filter)
}

/// Reads `VALUE` or `VALUE/MASK`; the mask -1 is all ones.
fn parse_cookie_mask(piece: Piece<'_>) -> Result<(Cookie, u64), ParseError> {
    Ok(match piece.split_once("/") {
        Some((value, mask)) if mask.text() == "-1" => (Cookie(value.u64()?), u64::MAX),
        Some((value, mask)) => (Cookie(value.u64()?), mask.u64()?),
        None => (Cookie(piece.u64()?), u64::MAX),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::field;

    #[test]
    fn a_filter_is_a_match_and_more() {
        let filter = parse_flow_filter("table=5, cookie=0x700000000/0xffffffff00000000,ip,reg0=1").unwrap();
        assert_eq!(filter.table, TableId(5));
        assert_eq!((filter.cookie, filter.cookie_mask), (Cookie(7 << 32), 0xffff_ffff << 32));
        assert_eq!(filter.flow_match.iter().count(), 2);
        assert!(filter.flow_match.exact(field::REG0).is_some());
        assert_eq!(parse_flow_filter("").unwrap(), FlowStatsRequest::default());
    }

    #[test]
    fn errors_say_the_column() {
        for (text, column) in [
            ("table=300,actions=drop", 7),
            ("ip,nw_src=10.0.0.300,actions=drop", 11),
            ("tp_src=5,actions=drop", 1),
            ("actions=load:5->NXM_NX_REG0[0..32]", 29),
            ("in_port=1", 1),
            ("actions=output:1,frobnicate(2)", 18),
        ] {
            assert_eq!(parse_flow(text).unwrap_err().column, column, "{text}");
        }
    }
}
