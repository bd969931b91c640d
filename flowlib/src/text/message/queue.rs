//! Queues of ports.

use super::super::flow::format_duration;
use super::super::printer::Printer;
use super::{Received, Result, Verbosity, decoded, port, put};
use crate::openflow::multipart::{QueueStats, QueueStatsRequest};
use crate::openflow::queue::ALL;
use crate::openflow::{ErrorCode, Queue, QueueProperty};
use crate::types::PortNo;

pub(super) fn format_config_request(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let port = port::check_no(PortNo(message.first_u32()?))?;
    if port > PortNo::MAX_OVS && port != PortNo::ANY {
        return Err(ErrorCode::OFPQOFC_BAD_PORT);
    }
    p.push_str(" port=");
    p.port(port);
    Ok(())
}

/// Queues in the order of their numbers, those before a bad one too.
pub(super) fn format_config_reply(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let port = PortNo(message.first_u32()?);
    decoded(message.body.skip(4))?;
    if !message.body.is_empty() {
        port::check_no(port)?;
    }
    let mut queues = Vec::new();
    let result = message.read_list(|queue: Queue| {
        queues.push(queue);
        Ok(())
    });
    if !queues.is_empty() {
        p.push_str(" ");
    }
    if !queues.is_empty() && port != PortNo(0) {
        p.push_str("port=");
        p.port(port);
        p.push_str("\n");
    }
    queues.sort_by_key(|queue| queue.queue);
    queues.iter().for_each(|queue| format_queue(p, queue));
    result
}

fn format_queue(p: &mut Printer<'_>, queue: &Queue) {
    put(p, format_args!("queue {}:", queue.queue));
    let last = |pick: fn(&QueueProperty) -> Option<u16>| queue.properties.iter().filter_map(pick).next_back();
    let min = last(|property| if let QueueProperty::MinRate(rate) = property { Some(*rate) } else { None });
    let max = last(|property| if let QueueProperty::MaxRate(rate) = property { Some(*rate) } else { None });
    for (name, rate) in [("min_rate", min), ("max_rate", max)] {
        match rate {
            Some(rate @ 0..=1000) => put(p, format_args!(" {name}:{}.{}%", rate / 10, rate % 10)),
            Some(1001..0xffff) => put(p, format_args!(" {name}:(disabled)")),
            Some(0xffff) | None => {}
        }
    }
    p.push_str("\n");
}

fn format_id(p: &mut Printer<'_>, queue: u32) {
    match queue {
        ALL => p.push_str("ALL"),
        number => put(p, format_args!("{number}")),
    }
}

pub(super) fn format_stats_request(p: &mut Printer<'_>, request: &QueueStatsRequest) -> Result {
    port::check_no(request.port)?;
    p.push_str(" port=");
    p.port(request.port);
    p.push_str(" queue=");
    format_id(p, request.queue);
    Ok(())
}

pub(super) fn format_stats_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    const LEN: usize = 40;
    // ovs-ofctl counts up to the first queue whose port cannot be.
    let ports = message.body.peek().chunks_exact(LEN).map_while(|queue| queue.first_chunk());
    let is_possible = |port: &[u8; 4]| port::check_no(PortNo(u32::from_be_bytes(*port))).is_ok();
    put(p, format_args!(" {} queues\n", ports.take_while(|port| is_possible(port)).count()));
    if message.verbosity < Verbosity::REPLY {
        return Ok(());
    }
    message.read_list(|stats: QueueStats| {
        port::check_no(stats.port)?;
        format_stats(p, &stats);
        Ok(())
    })
}

/// Appends what a queue counted as `queue-stats` prints it. A counter of all ones is one that the switch lacks.
pub(super) fn format_stats(p: &mut Printer<'_>, stats: &QueueStats) {
    p.push_str("  port ");
    p.port(stats.port);
    p.push_str(" queue ");
    format_id(p, stats.queue);
    let counters = [("bytes", stats.tx_bytes), ("pkts", stats.tx_packets), ("errors", stats.tx_errors)];
    let mut separator = ": ";
    for (name, value) in counters {
        put(p, format_args!("{separator}{name}="));
        port::format_counter(p, value);
        separator = ", ";
    }
    p.push_str(", duration=");
    match stats.duration_s {
        u32::MAX => p.push_str("?"),
        seconds => format_duration(p, seconds, stats.duration_ns),
    }
    p.push_str("\n");
}
