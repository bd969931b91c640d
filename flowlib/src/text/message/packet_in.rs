//! Packets from and to a switch.

use super::super::flow_match;
use super::super::packet::print_frame;
use super::super::printer::Printer;
use super::continuation::Continuation;
use super::{Received, Result, Verbosity, format_actions, hex_dump, port, put};
use crate::openflow::action::PacketInReason;
use crate::openflow::nicira::PacketInFormat;
use crate::openflow::{ErrorCode, Match, Message, PacketIn2, PacketOut, refusal};
use crate::types::{Cookie, PortNo, TableId};

/// What all kinds of packet-in have.
struct Common<'a> {
    buffer_id: Option<u32>,
    total_len: u32,
    reason: PacketInReason,
    table: TableId,
    cookie: Cookie,
    metadata: &'a Match,
    data: &'a [u8],
}

pub(super) fn format_in(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let (Message::PacketIn(found) | Message::NxPacketIn(found)) = message.read_whole()? else {
        return Ok(());
    };
    let common = Common {
        buffer_id: found.buffer_id,
        total_len: found.total_len.into(),
        reason: found.reason,
        table: found.table,
        cookie: found.cookie,
        metadata: &found.flow_match,
        data: &found.data,
    };
    format_common(p, &common)?;
    format_data(p, &found.data, message.verbosity);
    Ok(())
}

/// A packet-in with properties, or the order to let its packet go on.
pub(super) fn format_in2(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let verbosity = message.verbosity;
    let found: PacketIn2 = message.read()?;
    let len = u32::try_from(found.data.len()).unwrap_or(u32::MAX);
    let total_len = found.full_len.filter(|full| *full != 0).unwrap_or(len);
    if total_len < len {
        return Err(ErrorCode::OFPBRC_BAD_LEN);
    }
    let continuation = found.continuation.as_deref().unwrap_or_default();
    let continuation = Continuation::read(continuation)?;
    let common = Common {
        buffer_id: found.buffer_id.filter(|id| *id != u32::MAX),
        total_len,
        reason: found.reason.unwrap_or(PacketInReason::NO_MATCH),
        table: found.table.unwrap_or(TableId(0)),
        cookie: found.cookie.unwrap_or(Cookie(u64::MAX)),
        metadata: &found.metadata,
        data: &found.data,
    };
    format_common(p, &common)?;
    if !found.userdata.is_empty() {
        p.push_str(" userdata=");
        let mut separator = "";
        for byte in &found.userdata {
            put(p, format_args!("{separator}{byte:02x}"));
            separator = ".";
        }
        p.push_str("\n");
    }
    continuation.format(p);
    format_data(p, &found.data, verbosity);
    Ok(())
}

/// How packet-ins are to come.
pub(super) fn format_format(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let format = PacketInFormat(message.first_u32()?);
    match format.name() {
        Some(name) => put(p, format_args!(" format={name}")),
        None => return Err(ErrorCode::OFPBRC_EPERM),
    }
    Ok(())
}

/// The first line.
fn format_common(p: &mut Printer<'_>, common: &Common<'_>) -> Result {
    refusal::values(common.metadata)?;
    if common.table != TableId(0) || p.names.is_some_and(|names| names.table_name(common.table).is_some()) {
        p.push_str(" table_id=");
        p.table(common.table);
    }
    if common.cookie != Cookie(u64::MAX) {
        put(p, format_args!(" cookie={}", common.cookie));
    }
    put(p, format_args!(" total_len={} ", common.total_len));
    // Fields that are not known are none of the packet's.
    let metadata = common.metadata.without_unknown();
    flow_match::format(p, flow_match::DEFAULT_PRIORITY, &metadata);
    p.push_str(" (via ");
    match common.reason.0 {
        // What a table miss was before OpenFlow 1.3, which has no name.
        6 | 7 => {}
        number => match common.reason.name() {
            Some(name) => p.push_str(name),
            None => put(p, format_args!("{number}")),
        },
    }
    let len = common.data.len() as u64;
    put(p, format_args!(") data_len={len}"));
    match common.buffer_id {
        None => p.push_str(" (unbuffered)"),
        Some(id) => put(p, format_args!(" buffer={id:#010x}")),
    }
    match common.buffer_id {
        None if u64::from(common.total_len) != len => p.push_str(" (***total_len != data_len***)"),
        Some(_) if u64::from(common.total_len) < len => p.push_str(" (***total_len < data_len***)"),
        _ => {}
    }
    p.push_str("\n");
    Ok(())
}

fn format_data(p: &mut Printer<'_>, data: &[u8], verbosity: Verbosity) {
    if verbosity >= Verbosity::REPLY {
        print_frame(p, data);
        p.push_str("\n");
    }
    if verbosity >= Verbosity::PACKETS {
        hex_dump::format_plain(p, data);
    }
}

pub(super) fn format_out(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let verbosity = message.verbosity;
    let out: PacketOut = message.read()?;
    port::check_no(out.in_port)?;
    refusal::actions(&out.actions)?;
    check_in_port(out.in_port)?;
    p.push_str(" in_port=");
    p.port(out.in_port);
    p.push_str(" actions=");
    format_actions(p, &out.actions);
    match out.buffer_id {
        Some(id) => put(p, format_args!(" buffer={id:#010x}")),
        None => {
            put(p, format_args!(" data_len={}", out.data.len()));
            if !out.data.is_empty() && verbosity >= Verbosity::REPLY {
                p.push_str("\n");
                print_frame(p, &out.data);
                p.push_str("\n");
            }
            if verbosity >= Verbosity::PACKETS {
                hex_dump::format_plain(p, &out.data);
            }
        }
    }
    Ok(())
}

/// Where a packet can come from: a port, LOCAL, the controller, or nowhere.
fn check_in_port(in_port: PortNo) -> Result {
    match in_port {
        PortNo::LOCAL | PortNo::CONTROLLER | PortNo::ANY => Ok(()),
        port if port <= PortNo::MAX_OVS => Ok(()),
        _ => Err(ErrorCode::OFPBRC_BAD_PORT),
    }
}
