//! Ports and queues.

use flowlib::openflow::{Port, PortStats, QueueConfig, QueueProperty, QueueStats};
use flowlib::text::{Names, format_port};
use flowlib::types::PortNo;
use serde_json::{Value, json};

use super::value::{counter, seconds};

/// A port's number, or the name of a reserved one.
pub(super) fn number(port: PortNo) -> Value {
    let text = format_port(port);
    text.parse::<u32>().map_or_else(|_| json!(text), |number| json!(number))
}

/// A port's name, where names are printed.
fn name(port: PortNo, names: Option<&Names>) -> Value {
    json!(names.and_then(|names| names.port_name(port)))
}

pub(super) fn description(port: &Port) -> Value {
    json!({
        "port": number(port.port),
        "name": port.name.to_string(),
        "hw_addr": port.hw_addr.to_string(),
        "config": port.config.iter_names().map(|(name, _)| name).collect::<Vec<_>>(),
        "state": port.state.iter_names().map(|(name, _)| name).collect::<Vec<_>>(),
        "current": port.current,
        "advertised": port.advertised,
        "supported": port.supported,
        "peer": port.peer,
        "current_speed_kbps": port.current_speed_kbps,
        "max_speed_kbps": port.max_speed_kbps,
    })
}

pub(super) fn stats(stats: &PortStats, names: Option<&Names>) -> Value {
    json!({
        "port": number(stats.port),
        "name": name(stats.port, names),
        "rx_packets": counter(stats.rx_packets),
        "rx_bytes": counter(stats.rx_bytes),
        "rx_dropped": counter(stats.rx_dropped),
        "rx_errors": counter(stats.rx_errors),
        "rx_frame_errors": counter(stats.rx_frame_errors),
        "rx_over_errors": counter(stats.rx_over_errors),
        "rx_crc_errors": counter(stats.rx_crc_errors),
        "tx_packets": counter(stats.tx_packets),
        "tx_bytes": counter(stats.tx_bytes),
        "tx_dropped": counter(stats.tx_dropped),
        "tx_errors": counter(stats.tx_errors),
        "collisions": counter(stats.collisions),
        "duration_s": seconds(stats.duration_s, stats.duration_ns),
    })
}

pub(super) fn queue_stats(stats: &QueueStats, names: Option<&Names>) -> Value {
    json!({
        "port": number(stats.port),
        "name": name(stats.port, names),
        "queue": stats.queue,
        "tx_bytes": counter(stats.tx_bytes),
        "tx_packets": counter(stats.tx_packets),
        "tx_errors": counter(stats.tx_errors),
        "duration_s": seconds(stats.duration_s, stats.duration_ns),
    })
}

/// Rates are in percent of the port's.
pub(super) fn queues(config: &QueueConfig, names: Option<&Names>) -> Vec<Value> {
    let percent = |wanted: fn(&QueueProperty) -> Option<u16>| {
        move |properties: &[QueueProperty]| {
            properties.iter().find_map(wanted).map(|rate| f64::from(rate) / 10.0)
        }
    };
    let min = percent(|property| match property {
        QueueProperty::MinRate(rate) if *rate <= 1000 => Some(*rate),
        _ => None,
    });
    let max = percent(|property| match property {
        QueueProperty::MaxRate(rate) if *rate <= 1000 => Some(*rate),
        _ => None,
    });
    let entry = |queue: &flowlib::openflow::Queue| {
        json!({
            "port": number(queue.port),
            "name": name(queue.port, names),
            "queue": queue.queue,
            "min_rate_percent": min(&queue.properties),
            "max_rate_percent": max(&queue.properties),
        })
    };
    config.queues.iter().map(entry).collect()
}
