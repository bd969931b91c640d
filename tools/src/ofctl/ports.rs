//! Ports and what they counted.

use anyhow::{Result, bail};
use flowlib::openflow::multipart::PortStats;
use flowlib::openflow::{MultipartReplyBody, Port};
use flowlib::text::format_port;

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

/// The names of the bits that are set, or 0.
pub(super) fn bit_names(bits: u32, names: &[(u32, &str)]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut unknown = bits;
    for (bit, name) in names {
        if bits >> bit & 1 == 1 {
            words.push((*name).to_owned());
            unknown &= !(1 << bit);
        }
    }
    if unknown != 0 || bits == 0 {
        words.push(if bits == 0 { "0".to_owned() } else { format!("{unknown:#x}") });
    }
    words.join(" ")
}

/// The ports of an answer, in the order of their numbers.
pub(super) fn format_descriptions(body: &MultipartReplyBody) -> Result<String> {
    let MultipartReplyBody::PortDesc(ports) = body else {
        bail!("the switch answered with something else than ports");
    };
    let mut ports: Vec<&Port> = ports.iter().collect();
    ports.sort_by_key(|port| port.port);
    let mut text = "OFPST_PORT_DESC reply (OF1.3):\n".to_owned();
    for port in ports {
        text.push_str(&format_description(port));
    }
    Ok(text)
}

fn format_description(port: &Port) -> String {
    let mut text = format!(" {}({}): addr:{}\n", format_port(port.port), port.name, port.hw_addr);
    let mut line = |key: &str, value: String| text.push_str(&format!("     {key:<12}{value}\n"));
    line("config:", bit_names(port.config.bits(), CONFIG));
    line("state:", bit_names(port.state.bits(), STATE));
    for (key, bits) in [
        ("current:", port.current),
        ("advertised:", port.advertised),
        ("supported:", port.supported),
        ("peer:", port.peer),
    ] {
        if bits != 0 {
            line(key, bit_names(bits, FEATURES));
        }
    }
    let (now, max) = (port.current_speed_kbps / 1000, port.max_speed_kbps / 1000);
    text.push_str(&format!("     speed: {now} Mbps now, {max} Mbps max\n"));
    text
}

/// What ports counted, in the order of their numbers.
pub(super) fn format_stats(body: &MultipartReplyBody) -> Result<String> {
    let MultipartReplyBody::PortStats(stats) = body else {
        bail!("the switch answered with something else than port statistics");
    };
    let mut stats: Vec<&PortStats> = stats.iter().collect();
    stats.sort_by_key(|port| port.port);
    let mut text = format!("OFPST_PORT reply (OF1.3): {} ports\n", stats.len());
    for port in stats {
        text.push_str(&format_port_stats(port));
    }
    Ok(text)
}

fn format_port_stats(port: &PortStats) -> String {
    let rx = [
        ("rx pkts", port.rx_packets),
        ("bytes", port.rx_bytes),
        ("drop", port.rx_dropped),
        ("errs", port.rx_errors),
        ("frame", port.rx_frame_errors),
        ("over", port.rx_over_errors),
        ("crc", port.rx_crc_errors),
    ];
    let tx = [
        ("tx pkts", port.tx_packets),
        ("bytes", port.tx_bytes),
        ("drop", port.tx_dropped),
        ("errs", port.tx_errors),
        ("coll", port.collisions),
    ];
    let millis = port.duration_ns / 1_000_000;
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    format!(
        "  port {:>2}: {}\n           {}\n           duration={}{fraction}s\n",
        format_port(port.port),
        counters(&rx),
        counters(&tx),
        port.duration_s
    )
}

/// A counter of all ones is one that the switch does not have.
fn counters(list: &[(&str, u64)]) -> String {
    let words: Vec<String> = list
        .iter()
        .map(|(name, value)| match value {
            &u64::MAX => format!("{name}=?"),
            value => format!("{name}={value}"),
        })
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_are_printed_in_hex() {
        assert_eq!(bit_names(0, STATE), "0");
        assert_eq!(bit_names(5, STATE), "LINK_DOWN LIVE");
        assert_eq!(bit_names(0x84, STATE), "LIVE 0x80");
    }
}
