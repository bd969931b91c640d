//! Ports, their changes and what they counted.

use super::super::flow::format_duration;
use super::super::printer::Printer;
use super::{Received, Result, Verbosity, bits, put};
use crate::openflow::multipart::PortStats;
use crate::openflow::{ErrorCode, Port, PortMod, PortStatus};
use crate::types::PortNo;

const CONFIG: &[(u32, &str)] = &[(0, "PORT_DOWN"), (2, "NO_RECV"), (5, "NO_FWD"), (6, "NO_PACKET_IN")];
const STATE: &[(u32, &str)] = &[(0, "LINK_DOWN"), (1, "BLOCKED"), (2, "LIVE")];

/// OFPPF_ bits. Source: OpenFlow 1.3.5 §7.2.1.
const FEATURES: &[(u32, &str)] = &[
    (0, "10MB-HD"),
    (1, "10MB-FD"),
    (2, "100MB-HD"),
    (3, "100MB-FD"),
    (4, "1GB-HD"),
    (5, "1GB-FD"),
    (6, "10GB-FD"),
    (7, "40GB-FD"),
    (8, "100GB-FD"),
    (9, "1TB-FD"),
    (10, "OTHER"),
    (11, "COPPER"),
    (12, "FIBER"),
    (13, "AUTO_NEG"),
    (14, "AUTO_PAUSE"),
    (15, "AUTO_PAUSE_ASYM"),
];

/// The port, if Open vSwitch can have it: those above 0xfeff that are not among the last 256 it cannot.
pub(super) fn check_no(port: PortNo) -> Result<PortNo> {
    if port <= PortNo::MAX_OVS || port >= PortNo::MAX {
        Ok(port)
    } else {
        Err(ErrorCode::OFPBAC_BAD_OUT_PORT)
    }
}

fn bit_line(p: &mut Printer<'_>, key: &str, set: u32, names: &[(u32, &str)]) {
    put(p, format_args!("     {key:<12}"));
    let known = names.iter().fold(0, |known, (bit, _)| known | 1 << bit);
    bits::format(p, set & known, names);
    p.push_str("\n");
}

/// Appends a port as `dump-ports-desc` and `show` print it.
pub(super) fn format_description(p: &mut Printer<'_>, port: &Port) {
    p.push_str(" ");
    // The name follows, so that the number is never a name.
    match port.port.reserved_name() {
        Some(name) => p.push_str(name),
        None => p.dec(port.port.0 & 0xffff),
    }
    p.push_str("(");
    // A name takes at most 15 characters and ends before what is no printable ASCII.
    for byte in port.name.as_bytes().iter().take(15) {
        match super::hex_dump::printable(*byte) {
            Some(c) => p.push_char(c),
            None => break,
        }
    }
    put(p, format_args!("): addr:{}\n", port.hw_addr));
    bit_line(p, "config:", port.config.bits(), CONFIG);
    bit_line(p, "state:", port.state.bits(), STATE);
    for (key, set) in [
        ("current:", port.current),
        ("advertised:", port.advertised),
        ("supported:", port.supported),
        ("peer:", port.peer),
    ] {
        if set & 0xffff != 0 {
            bit_line(p, key, set, FEATURES);
        }
    }
    let (now, max) = (port.current_speed_kbps / 1000, port.max_speed_kbps / 1000);
    put(p, format_args!("     speed: {now} Mbps now, {max} Mbps max\n"));
}

pub(super) fn format_status(p: &mut Printer<'_>, status: &PortStatus) -> Result {
    let reason = status.reason.name().ok_or(ErrorCode::NXBRC_BAD_REASON)?;
    check_no(status.port.port)?;
    put(p, format_args!(" {reason}:"));
    format_description(p, &status.port);
    Ok(())
}

pub(super) fn format_mod(p: &mut Printer<'_>, change: &PortMod) -> Result {
    check_no(change.port)?;
    p.push_str(" port: ");
    p.port(change.port);
    put(p, format_args!(": addr:{}\n", change.hw_addr));
    for (key, config) in [("     config: ", change.config & change.mask), ("     mask:   ", change.mask)] {
        p.push_str(key);
        let known = CONFIG.iter().fold(0, |known, (bit, _)| known | 1 << bit);
        bits::format(p, config.bits() & known, CONFIG);
        p.push_str("\n");
    }
    p.push_str("     advertise: ");
    match change.advertise & 0xffff {
        0 => p.push_str("UNCHANGED"),
        advertise => bits::format(p, advertise, FEATURES),
    }
    p.push_str("\n");
    Ok(())
}

pub(super) fn format_stats_request(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let port = check_no(PortNo(message.first_u32()?))?;
    p.push_str(" port_no=");
    p.port(port);
    Ok(())
}

/// Ports in the order of their numbers, those before a bad one too.
pub(super) fn format_desc_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let mut ports = Vec::new();
    let result = message.read_list(|port: Port| {
        check_no(port.port)?;
        ports.push(port);
        Ok(())
    });
    p.push_str("\n");
    ports.sort_by_key(|port| port.port);
    for port in &ports {
        format_description(p, port);
    }
    result
}

pub(super) fn format_stats_reply(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    const LEN: usize = 112;
    put(p, format_args!(" {} ports\n", message.body.len() / LEN));
    if message.verbosity < Verbosity::REPLY {
        return Ok(());
    }
    message.read_list(|stats: PortStats| {
        check_no(stats.port)?;
        format_stats(p, &stats);
        Ok(())
    })
}

/// Appends what a port counted as `dump-ports` prints it. A counter of all ones is one that the switch lacks.
pub(super) fn format_stats(p: &mut Printer<'_>, stats: &PortStats) {
    p.push_str("  port ");
    if stats.port.0 & 0xffff < 10 {
        p.push_str(" ");
    }
    p.port(stats.port);
    counters(
        p,
        ": rx ",
        &[
            ("pkts", stats.rx_packets),
            ("bytes", stats.rx_bytes),
            ("drop", stats.rx_dropped),
            ("errs", stats.rx_errors),
            ("frame", stats.rx_frame_errors),
            ("over", stats.rx_over_errors),
            ("crc", stats.rx_crc_errors),
        ],
    );
    counters(
        p,
        "           tx ",
        &[
            ("pkts", stats.tx_packets),
            ("bytes", stats.tx_bytes),
            ("drop", stats.tx_dropped),
            ("errs", stats.tx_errors),
            ("coll", stats.collisions),
        ],
    );
    if stats.duration_s != u32::MAX {
        p.push_str("           duration=");
        format_duration(p, stats.duration_s, stats.duration_ns);
        p.push_str("\n");
    }
}

fn counters(p: &mut Printer<'_>, leader: &str, list: &[(&str, u64)]) {
    let mut separator = leader;
    for (name, value) in list {
        put(p, format_args!("{separator}{name}="));
        format_counter(p, *value);
        separator = ", ";
    }
    p.push_str("\n");
}

/// Appends a counter, or a question mark for one that the switch does not have.
pub(super) fn format_counter(p: &mut Printer<'_>, value: u64) {
    match value {
        u64::MAX => p.push_str("?"),
        value => put(p, format_args!("{value}")),
    }
}
