//! Whole flows.

use super::error::ParseError;
use super::flow_match;
use super::flow_mod::parse_flow_mod;
use super::instruction;
use super::printer::{Printer, Role, Style};
use crate::openflow::{Flow, FlowModCommand, FlowModFlags, FlowStats};
use crate::types::{Cookie, TableId};

pub(super) const FLAGS: &[(FlowModFlags, &str)] = &[
    (FlowModFlags::SEND_FLOW_REM, "send_flow_rem"),
    (FlowModFlags::CHECK_OVERLAP, "check_overlap"),
    (FlowModFlags::RESET_COUNTS, "reset_counts"),
    (FlowModFlags::NO_PKT_COUNTS, "no_packet_counts"),
    (FlowModFlags::NO_BYT_COUNTS, "no_byte_counts"),
];

/// A flow as a line that ovs-ofctl takes: `table=0, priority=10,in_port=1 actions=output:2`.
#[must_use]
pub fn format_flow(flow: &Flow) -> String {
    let mut out = String::new();
    print_flow(&mut out, flow, Style::default());
    out
}

/// Appends a flow as a line that ovs-ofctl takes; see [`format_flow`].
pub fn print_flow(out: &mut String, flow: &Flow, style: Style<'_>) {
    let out = &mut Printer::new(out, style);
    if flow.cookie != Cookie(0) {
        format_cookie(out, flow);
    }
    format_table(out, flow.table);
    format_rest(out, flow);
}

/// A flow entry with its statistics, as `ovs-ofctl dump-flows` prints it.
#[must_use]
pub fn format_flow_stats(stats: &FlowStats) -> String {
    let mut out = String::new();
    print_flow_stats(&mut out, stats, true, Style::default());
    out
}

/// Appends a flow entry as `ovs-ofctl dump-flows` prints it, or as `dump-flows --no-stats` does.
///
/// Source: `ofputil_flow_stats_format` in `lib/ofp-flow.c` of Open vSwitch 3.1.
pub fn print_flow_stats(out: &mut String, stats: &FlowStats, with_statistics: bool, style: Style<'_>) {
    format_stats(&mut Printer::new(out, style), stats, with_statistics);
}

/// Appends a flow entry.
pub(super) fn format_stats(out: &mut Printer<'_>, stats: &FlowStats, with_statistics: bool) {
    let flow = &stats.flow;
    if with_statistics || flow.cookie != Cookie(0) {
        format_cookie(out, flow);
    }
    if with_statistics {
        out.put_name(Role::Param, "duration");
        format_duration(out, stats.duration_s, stats.duration_ns);
        out.push_str(", ");
    }
    let names = out.names;
    let is_named = || names.is_some_and(|names| names.table_name(flow.table).is_some());
    if with_statistics || flow.table != TableId(0) || is_named() {
        format_table(out, flow.table);
    }
    if with_statistics {
        for (name, count) in [("n_packets", stats.packet_count), ("n_bytes", stats.byte_count)] {
            out.put_name(Role::Param, name);
            out.dec(count);
            out.push_str(", ");
        }
    }
    format_rest(out, flow);
}

fn format_cookie(out: &mut Printer<'_>, flow: &Flow) {
    out.put_name(Role::Param, "cookie");
    out.hex(flow.cookie.0);
    out.push_str(", ");
}

fn format_table(out: &mut Printer<'_>, table: TableId) {
    out.put_name(Role::Special, "table");
    out.table(table);
    out.push_str(", ");
}

/// Appends a duration: `5s`, `5.012s`, or with as many digits as it needs.
pub(super) fn format_duration(out: &mut Printer<'_>, seconds: u32, nanoseconds: u32) {
    out.dec(seconds);
    if nanoseconds != 0 {
        let (mut fraction, mut width) = (nanoseconds, 9);
        let least = if nanoseconds.is_multiple_of(1_000_000) { 3 } else { 0 };
        while width > least && fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        out.push_str(".");
        out.dec_digits(fraction.into(), width);
    }
    out.push_str("s");
}

/// Appends the names of flags, each with a space behind it.
pub(super) fn format_flags(out: &mut Printer<'_>, flags: FlowModFlags) {
    for (_, name) in FLAGS.iter().filter(|(flag, _)| flags.contains(*flag)) {
        out.push_str(name);
        out.push_str(" ");
    }
}

fn format_rest(out: &mut Printer<'_>, flow: &Flow) {
    for (name, seconds) in [("idle_timeout", flow.idle_timeout_s), ("hard_timeout", flow.hard_timeout_s)] {
        if seconds != 0 {
            out.put_name(Role::Param, name);
            out.dec(seconds);
            out.push_str(", ");
        }
    }
    format_flags(out, flow.flags);
    if flow_match::format(out, flow.priority, &flow.flow_match) {
        out.push_str(" ");
    }
    out.put(Role::Actions, "actions=");
    instruction::format_list(out, &flow.instructions);
}

/// Reads a flow as ovs-ofctl(8) takes it to be added; statistics of a dump are passed over.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_flow(text: &str) -> Result<Flow, ParseError> {
    parse_flow_mod(text, Some(FlowModCommand::ADD), None).map(|parsed| parsed.flow_mod.into_flow())
}
