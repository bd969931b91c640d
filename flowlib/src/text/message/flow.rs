//! Flows: their changes, removals and statistics.

use super::super::flow::{format_duration, format_stats};
use super::super::printer::Printer;
use super::super::{flow_match, flow_mod};
use super::{Received, Result, port, put};
use crate::openflow::multipart::{AggregateStats, FlowStats, FlowStatsRequest};
use crate::openflow::{FlowRemoved, Message, refusal};
use crate::types::{Cookie, TableId};

pub(super) fn format_mod(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let whole = message.read_whole()?;
    whole.check_known()?;
    if let Message::FlowMod(change) | Message::NxFlowMod(change) = &whole {
        p.push_str(" ");
        flow_mod::format(p, change);
    }
    Ok(())
}

pub(super) fn format_nx_removed(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    match message.read_whole()? {
        Message::NxFlowRemoved(removed) => format_removed(p, &removed),
        _ => Ok(()),
    }
}

pub(super) fn format_removed(p: &mut Printer<'_>, removed: &FlowRemoved) -> Result {
    refusal::fields(&removed.flow_match)?;
    p.push_str(" ");
    flow_match::format(p, removed.priority, &removed.flow_match);
    p.push_str(" reason=");
    match removed.reason.name() {
        Some(name) => p.push_str(name),
        None => p.dec(removed.reason.0),
    }
    if removed.table != TableId::ALL {
        p.push_str(" table_id=");
        p.table(removed.table);
    }
    if removed.cookie != Cookie(0) {
        put(p, format_args!(" cookie:{}", removed.cookie));
    }
    p.push_str(" duration");
    format_duration(p, removed.duration_s, removed.duration_ns);
    put(p, format_args!(" idle{}", removed.idle_timeout_s));
    if removed.hard_timeout_s != 0 {
        put(p, format_args!(" hard{}", removed.hard_timeout_s));
    }
    put(p, format_args!(" pkts{} bytes{}\n", removed.packet_count, removed.byte_count));
    Ok(())
}

pub(super) fn format_stats_request(p: &mut Printer<'_>, request: &FlowStatsRequest) -> Result {
    if let Some(port) = request.out_port {
        port::check_no(port)?;
    }
    refusal::fields(&request.flow_match)?;
    if request.table != TableId::ALL {
        p.push_str(" table=");
        p.table(request.table);
    }
    if let Some(port) = request.out_port {
        p.push_str(" out_port=");
        p.port(port);
    }
    p.push_str(" ");
    flow_match::format(p, flow_match::DEFAULT_PRIORITY, &request.flow_match);
    Ok(())
}

pub(super) fn format_stats_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    message.read_list(|stats: FlowStats| {
        refusal::fields(&stats.flow.flow_match)?;
        refusal::flags(stats.flow.flags)?;
        refusal::instructions(&stats.flow.instructions)?;
        p.push_str("\n ");
        format_stats(p, &stats, true);
        Ok(())
    })
}

pub(super) fn format_aggregate_reply(p: &mut Printer<'_>, stats: &AggregateStats) -> Result {
    put(p, format_args!(" packet_count={} byte_count={}", stats.packet_count, stats.byte_count));
    put(p, format_args!(" flow_count={}", stats.flow_count));
    Ok(())
}
