//! The switch itself, groups, meters and what else is not large.

use flowlib::openflow::multipart::{BucketCounter, Desc};
use flowlib::openflow::{
    AggregateStats, Band, BandKind, Bucket, FeaturesReply, Group, GroupFeatures, GroupStats, IpfixStats,
    Meter, MeterFeatures, MeterStats, SwitchConfig, TlvTable,
};
use flowlib::text::{Names, format_action};
use flowlib::types::{GroupId, PortNo};
use serde_json::{Value, json};

use super::port::number;

/// A counter; null if the switch does not keep it, which it says by all ones.
pub(super) fn counter(count: u64) -> Value {
    if count == u64::MAX { Value::Null } else { json!(count) }
}

/// A time; null if the switch does not know it.
pub(super) fn seconds(seconds: u32, nanoseconds: u32) -> Value {
    if seconds == u32::MAX { Value::Null } else { json!(f64::from(seconds) + f64::from(nanoseconds) / 1e9) }
}

pub(super) fn desc(desc: &Desc) -> Value {
    json!({
        "manufacturer": desc.manufacturer.to_string(),
        "hardware": desc.hardware.to_string(),
        "software": desc.software.to_string(),
        "serial_number": desc.serial_number.to_string(),
        "datapath": desc.datapath.to_string(),
    })
}

pub(super) fn features(features: &FeaturesReply) -> Value {
    json!({
        "datapath_id": format!("{:016x}", features.datapath_id.0),
        "n_buffers": features.n_buffers,
        "n_tables": features.n_tables,
        "auxiliary_id": features.auxiliary_id,
        "capabilities": features.capabilities,
    })
}

pub(super) fn config(config: SwitchConfig) -> Value {
    json!({ "flags": config.flags, "miss_send_len": config.miss_send_len })
}

pub(super) fn aggregate(sums: AggregateStats) -> Value {
    json!({
        "n_packets": counter(sums.packet_count),
        "n_bytes": counter(sums.byte_count),
        "n_flows": sums.flow_count,
    })
}

pub(super) fn group(group: &Group, names: Option<&Names>) -> Value {
    let bucket = |bucket: &Bucket| {
        json!({
            "weight": bucket.weight,
            "watch_port": (bucket.watch_port != PortNo::ANY).then(|| number(bucket.watch_port)),
            "watch_port_name": names.and_then(|names| names.port_name(bucket.watch_port)),
            "watch_group": (bucket.watch_group != GroupId::ANY).then_some(bucket.watch_group.0),
            "actions": bucket.actions.iter().map(format_action).collect::<Vec<_>>().join(","),
        })
    };
    json!({
        "group": group.group.0,
        "type": group.group_type.to_string(),
        "buckets": group.buckets.iter().map(bucket).collect::<Vec<_>>(),
    })
}

fn counters(counters: &[BucketCounter]) -> Vec<Value> {
    let entry = |counted: &BucketCounter| json!({ "n_packets": counter(counted.packet_count), "n_bytes": counter(counted.byte_count) });
    counters.iter().map(entry).collect()
}

pub(super) fn group_stats(stats: &GroupStats) -> Value {
    json!({
        "group": stats.group.0,
        "ref_count": stats.ref_count,
        "n_packets": counter(stats.packet_count),
        "n_bytes": counter(stats.byte_count),
        "duration_s": seconds(stats.duration_s, stats.duration_ns),
        "buckets": counters(&stats.buckets),
    })
}

pub(super) fn group_features(features: &GroupFeatures) -> Value {
    let kinds = ["all", "select", "indirect", "ff"];
    let by_kind = |values: &[u32; 4]| -> Value {
        kinds.iter().zip(values).map(|(kind, value)| ((*kind).to_owned(), json!(value))).collect()
    };
    json!({
        "types": features.types,
        "capabilities": features.capabilities,
        "max_groups": by_kind(&features.max_groups),
        "actions": by_kind(&features.actions),
    })
}

pub(super) fn meter(meter: &Meter) -> Value {
    let band = |band: &Band| {
        let (kind, prec_level) = match &band.kind {
            BandKind::Drop => (json!("drop"), None),
            BandKind::DscpRemark(prec_level) => (json!("dscp_remark"), Some(*prec_level)),
            _ => (Value::Null, None),
        };
        json!({ "type": kind, "rate": band.rate, "burst_size": band.burst, "prec_level": prec_level })
    };
    json!({
        "meter": meter.meter.0,
        "flags": meter.flags.iter_names().map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>(),
        "bands": meter.bands.iter().map(band).collect::<Vec<_>>(),
    })
}

pub(super) fn meter_stats(stats: &MeterStats) -> Value {
    json!({
        "meter": stats.meter.0,
        "n_flows": stats.flow_count,
        "n_packets": counter(stats.packet_in_count),
        "n_bytes": counter(stats.byte_in_count),
        "duration_s": seconds(stats.duration_s, stats.duration_ns),
        "bands": counters(&stats.bands),
    })
}

pub(super) fn meter_features(features: &MeterFeatures) -> Value {
    json!({
        "max_meters": features.max_meters,
        "band_types": features.band_types,
        "capabilities": features.capabilities,
        "max_bands": features.max_bands,
        "max_color": features.max_color,
    })
}

pub(super) fn tlv_table(table: &TlvTable) -> Value {
    let map = |map: &flowlib::openflow::TlvMap| {
        json!({
            "class": map.option_class,
            "type": map.option_type,
            "len": map.option_len,
            "field": format!("tun_metadata{}", map.index),
        })
    };
    json!({
        "max_option_space": table.max_option_space,
        "max_fields": table.max_fields,
        "maps": table.maps.iter().map(map).collect::<Vec<_>>(),
    })
}

pub(super) fn ipfix(stats: &IpfixStats) -> Value {
    json!({
        "collector_set": stats.collector_set,
        "total_flows": stats.total_flows,
        "current_flows": stats.current_flows,
        "packets": stats.packets,
        "ipv4_packets": stats.ipv4_packets,
        "ipv6_packets": stats.ipv6_packets,
        "error_packets": stats.error_packets,
        "ipv4_error_packets": stats.ipv4_error_packets,
        "ipv6_error_packets": stats.ipv6_error_packets,
        "tx_packets": stats.tx_packets,
        "tx_errors": stats.tx_errors,
    })
}
