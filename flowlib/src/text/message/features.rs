//! What a switch says of itself.

use super::super::printer::Printer;
use super::{Received, Result, bits, decoded, put};
use crate::openflow::multipart::Desc;
use crate::openflow::{ErrorCode, FeaturesReply, SwitchConfig};

/// OFPC_ bits. Source: OpenFlow 1.3.5 §7.3.1.
const CAPABILITIES: &[(u32, &str)] = &[
    (0, "FLOW_STATS"),
    (1, "TABLE_STATS"),
    (2, "PORT_STATS"),
    (3, "GROUP_STATS"),
    (5, "IP_REASM"),
    (6, "QUEUE_STATS"),
    (8, "PORT_BLOCKED"),
];

/// The bits of a configuration that say what happens to fragments.
const FRAGMENTS: u16 = 3;

pub(super) fn format_reply(p: &mut Printer<'_>, reply: &FeaturesReply) -> Result {
    put(p, format_args!(" dpid:{}\n", reply.datapath_id));
    put(p, format_args!("n_tables:{}, n_buffers:{}", reply.n_tables, reply.n_buffers));
    if reply.auxiliary_id != 0 {
        put(p, format_args!(", auxiliary_id:{}", reply.auxiliary_id));
    }
    p.push_str("\ncapabilities: ");
    // Bits that ovs-ofctl does not know it does not print.
    let known = CAPABILITIES.iter().fold(0, |known, (bit, _)| known | 1 << bit);
    bits::format(p, reply.capabilities & known, CAPABILITIES);
    p.push_str("\n");
    Ok(())
}

pub(super) fn format_config(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let to_controller = invalid_ttl_to_controller(message.version);
    let config: SwitchConfig = message.read()?;
    p.push_str(match config.flags & FRAGMENTS {
        0 => " frags=normal",
        1 => " frags=drop",
        2 => " frags=reassemble",
        _ => " frags=nx-match",
    });
    if config.flags & to_controller != 0 {
        p.push_str(" invalid_ttl_to_controller");
    }
    put(p, format_args!(" miss_send_len={}\n", config.miss_send_len));
    Ok(())
}

pub(super) fn format_set_config(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let flags = decoded(message.body.clone().u16())?;
    if flags & !(FRAGMENTS | invalid_ttl_to_controller(message.version)) != 0 {
        return Err(ErrorCode::OFPSCFC_BAD_FLAGS);
    }
    format_config(p, message)
}

/// OFPC_INVALID_TTL_TO_CONTROLLER, which is gone since OpenFlow 1.3.
fn invalid_ttl_to_controller(version: u8) -> u16 {
    if version < 4 { 1 << 2 } else { 0 }
}

pub(super) fn format_desc(p: &mut Printer<'_>, desc: &Desc) -> Result {
    put(p, format_args!("\nManufacturer: {}\n", desc.manufacturer));
    put(p, format_args!("Hardware: {}\n", desc.hardware));
    put(p, format_args!("Software: {}\n", desc.software));
    put(p, format_args!("Serial Num: {}\n", desc.serial_number));
    put(p, format_args!("DP Description: {}\n", desc.datapath));
    Ok(())
}
