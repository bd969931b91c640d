//! Multipart requests and replies of every type.

use flowlib::openflow::fixed_text::FixedText;
use flowlib::openflow::multipart::*;
use flowlib::openflow::oxm::Field;
use flowlib::openflow::{Flow, FlowModFlags};
use flowlib::types::{Cookie, GroupId, MeterId, PortNo, Priority, TableId, Xid};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::message::{a_port, flow_match, group, instructions, meter, port, raw_property};

/// Any request.
pub fn request() -> impl Strategy<Value = MultipartRequest> {
    use MultipartRequestBody as Body;
    let port_or_any = || prop_oneof![port(), Just(PortNo::ANY)];
    let queue = (port_or_any(), any::<u32>()).prop_map(|(port, queue)| QueueStatsRequest { port, queue });
    prop_oneof![
        9 => select(vec![
            Body::Desc,
            Body::Table,
            Body::GroupDesc,
            Body::GroupFeatures,
            Body::MeterFeatures,
            Body::PortDesc,
            Body::IpfixBridge,
            Body::IpfixFlow,
            Body::TableFeatures(vec![]),
        ]),
        1 => flow_request().prop_map(Body::Flow),
        1 => flow_request().prop_map(Body::Aggregate),
        1 => port_or_any().prop_map(Body::PortStats),
        1 => queue.prop_map(Body::QueueStats),
        1 => any::<u32>().prop_map(|group| Body::GroupStats(GroupId(group))),
        1 => any::<u32>().prop_map(|meter| Body::MeterStats(MeterId(meter))),
        1 => any::<u32>().prop_map(|meter| Body::MeterConfig(MeterId(meter))),
        1 => vec(table_features(), 1..3).prop_map(Body::TableFeatures),
        1 => vec(monitor(), 0..3).prop_map(Body::FlowMonitor),
    ]
    .prop_map(MultipartRequest::from)
}

/// Any reply.
pub fn reply() -> impl Strategy<Value = MultipartReply> {
    prop_oneof![of_tables_and_flows(), of_ports_and_queues(), of_groups_and_meters(), of_ipfix()]
        .prop_map(MultipartReply::from)
}

fn flow_request() -> impl Strategy<Value = FlowStatsRequest> {
    (any::<u8>(), option::of(port()), option::of(1u32..0xff00), any::<(u64, u64)>(), flow_match()).prop_map(
        |(table, out_port, out_group, (cookie, cookie_mask), flow_match)| FlowStatsRequest {
            table: TableId(table),
            out_port,
            out_group: out_group.map(GroupId),
            cookie: Cookie(cookie),
            cookie_mask,
            flow_match,
        },
    )
}

fn monitor() -> impl Strategy<Value = MonitorRequest> {
    (any::<u32>(), 1u16..8, any::<u8>(), option::of(port()), any::<u8>(), flow_match()).prop_map(
        |(monitor, changes, others, out_port, table, flow_match)| MonitorRequest {
            monitor,
            flags: MonitorFlags::from_bits_retain(changes << 1 | u16::from(others) & 0x31),
            out_port,
            table: TableId(table),
            flow_match,
        },
    )
}

fn flow_update() -> impl Strategy<Value = FlowUpdate> {
    let full = (0u16..3, 0u16..6, any::<(u16, u16, u16, u8, u64)>(), flow_match(), instructions()).prop_map(
        |(event, reason, (priority, idle, hard, table, cookie), flow_match, instructions)| FlowUpdate::Full {
            event: FlowEvent(event),
            reason,
            priority: Priority(priority),
            idle_timeout_s: idle,
            hard_timeout_s: hard,
            table: TableId(table),
            cookie: Cookie(cookie),
            flow_match,
            instructions,
        },
    );
    prop_oneof![full, any::<u32>().prop_map(|xid| FlowUpdate::Abbreviated(Xid(xid)))]
}

fn flow_stats() -> impl Strategy<Value = FlowStats> {
    let numbers = any::<(u64, u16, u16, u16, u32, u32, u64, u64)>();
    (0u8..100, 0u16..32, numbers, flow_match(), instructions()).prop_map(
        |(table, flags, (cookie, priority, idle, hard, s, ns, packets, bytes), flow_match, instructions)| {
            FlowStats {
                flow: Flow {
                    table: TableId(table),
                    priority: Priority(priority),
                    cookie: Cookie(cookie),
                    flow_match,
                    instructions,
                    idle_timeout_s: idle,
                    hard_timeout_s: hard,
                    flags: FlowModFlags::from_bits_retain(flags),
                },
                duration_s: s,
                duration_ns: ns,
                packet_count: packets,
                byte_count: bytes,
            }
        },
    )
}

/// A property of each type that a table must have, and some others.
fn table_feature_list() -> impl Strategy<Value = Vec<TableFeature>> {
    let codes = vec(1u16..6, 0..4)
        .prop_map(|codes| codes.into_iter().map(|code| CodePoint { code, body: Box::default() }).collect());
    let tables = vec(0u8..255, 0..20).prop_map(|tables| tables.into_iter().map(TableId).collect());
    let known = Field::all().filter(|known| known.name().starts_with("eth_") || known.name() == "metadata");
    let fields = vec(select(known.collect::<Vec<_>>()), 0..4)
        .prop_map(|fields| fields.into_iter().map(|field| FieldId::new(field, false)).collect());
    let one = |feature_type: u16, (codes, tables, fields): (Vec<CodePoint>, Vec<TableId>, Vec<FieldId>)| {
        let feature_type = TableFeatureType(feature_type);
        match feature_type.0 {
            0 | 1 | 4..=7 => TableFeature::Codes { feature_type, codes },
            2 | 3 => TableFeature::Tables { feature_type, tables },
            _ => TableFeature::Fields { feature_type, fields },
        }
    };
    let miss = select(vec![None, Some(1u16), Some(3), Some(5), Some(7), Some(13), Some(15)]);
    (vec((codes, tables, fields), 9), miss, option::of(raw_property())).prop_map(
        move |(values, miss, raw)| {
            let types = [0, 2, 4, 6, 8, 10, 12, 14].into_iter().chain(miss);
            let known = types.zip(values).map(|(feature_type, value)| one(feature_type, value));
            known.chain(raw.map(TableFeature::Unknown)).collect()
        },
    )
}

fn table_features() -> impl Strategy<Value = TableFeatures> {
    ("[a-z]{0,31}", (0u8..255, any::<u64>(), any::<u64>(), any::<u32>()), table_feature_list()).prop_map(
        |(name, (table, metadata_match, metadata_write, max_entries), properties)| TableFeatures {
            table: TableId(table),
            name: FixedText::new(&name),
            metadata_match,
            metadata_write,
            config: 0,
            max_entries,
            properties,
        },
    )
}

fn of_tables_and_flows() -> impl Strategy<Value = MultipartReplyBody> {
    use MultipartReplyBody as Body;
    let desc = ["[ -~]{0,255}", "[ -~]{0,255}", "[ -~]{0,255}", "[ -~]{0,31}", "[ -~]{0,255}"];
    let desc = desc.prop_map(|[manufacturer, hardware, software, serial_number, datapath]| {
        Body::Desc(Box::new(Desc {
            manufacturer: FixedText::new(&manufacturer),
            hardware: FixedText::new(&hardware),
            software: FixedText::new(&software),
            serial_number: FixedText::new(&serial_number),
            datapath: FixedText::new(&datapath),
        }))
    });
    let aggregate = any::<(u64, u64, u32)>().prop_map(|(packet_count, byte_count, flow_count)| {
        Body::Aggregate(AggregateStats { packet_count, byte_count, flow_count })
    });
    let table =
        any::<(u8, u32, u64, u64)>().prop_map(|(table, active_count, lookup_count, matched_count)| {
            TableStats { table: TableId(table), active_count, lookup_count, matched_count }
        });
    prop_oneof![
        desc,
        aggregate,
        vec(flow_stats(), 0..4).prop_map(Body::Flow),
        vec(table, 0..4).prop_map(Body::Table),
        vec(table_features(), 1..4).prop_map(Body::TableFeatures),
        vec(flow_update(), 0..4).prop_map(Body::FlowMonitor),
    ]
}

fn of_ports_and_queues() -> impl Strategy<Value = MultipartReplyBody> {
    use MultipartReplyBody as Body;
    let port_stats =
        (port(), any::<[u64; 12]>(), any::<(u32, u32)>()).prop_map(|(port, n, (s, ns))| PortStats {
            port,
            rx_packets: n[0],
            tx_packets: n[1],
            rx_bytes: n[2],
            tx_bytes: n[3],
            rx_dropped: n[4],
            tx_dropped: n[5],
            rx_errors: n[6],
            tx_errors: n[7],
            rx_frame_errors: n[8],
            rx_over_errors: n[9],
            rx_crc_errors: n[10],
            collisions: n[11],
            duration_s: s,
            duration_ns: ns,
        });
    let queue_stats = (port(), any::<(u32, u64, u64, u64, u32, u32)>()).prop_map(
        |(port, (queue, tx_bytes, tx_packets, tx_errors, duration_s, duration_ns))| QueueStats {
            port,
            queue,
            tx_bytes,
            tx_packets,
            tx_errors,
            duration_s,
            duration_ns,
        },
    );
    prop_oneof![
        vec(port_stats, 0..4).prop_map(Body::PortStats),
        vec(queue_stats, 0..4).prop_map(Body::QueueStats),
        vec(a_port(), 0..4).prop_map(Body::PortDesc),
    ]
}

fn counters() -> impl Strategy<Value = Vec<BucketCounter>> {
    let counter = any::<(u64, u64)>();
    vec(counter.prop_map(|(packet_count, byte_count)| BucketCounter { packet_count, byte_count }), 0..4)
}

fn of_groups_and_meters() -> impl Strategy<Value = MultipartReplyBody> {
    use MultipartReplyBody as Body;
    let numbers = || any::<(u32, u32, u64, u64, u32, u32)>();
    let group_stats = (numbers(), counters()).prop_map(
        |((group, ref_count, packet_count, byte_count, duration_s, duration_ns), buckets)| GroupStats {
            group: GroupId(group),
            ref_count,
            packet_count,
            byte_count,
            duration_s,
            duration_ns,
            buckets,
        },
    );
    let meter_stats = (numbers(), counters()).prop_map(
        |((meter, flow_count, packet_in_count, byte_in_count, duration_s, duration_ns), bands)| MeterStats {
            meter: MeterId(meter),
            flow_count,
            packet_in_count,
            byte_in_count,
            duration_s,
            duration_ns,
            bands,
        },
    );
    let group_features =
        any::<(u32, u32, [u32; 4], [u32; 4])>().prop_map(|(types, capabilities, max_groups, actions)| {
            Body::GroupFeatures(GroupFeatures { types, capabilities, max_groups, actions })
        });
    let meter_features = any::<(u32, u32, u32, u8, u8)>().prop_map(
        |(max_meters, band_types, capabilities, max_bands, max_color)| {
            Body::MeterFeatures(MeterFeatures { max_meters, band_types, capabilities, max_bands, max_color })
        },
    );
    prop_oneof![
        vec(group_stats, 0..4).prop_map(Body::GroupStats),
        vec(group(), 0..4).prop_map(Body::GroupDesc),
        group_features,
        vec(meter_stats, 0..4).prop_map(Body::MeterStats),
        vec(meter(), 0..4).prop_map(Body::MeterConfig),
        meter_features,
    ]
}

fn of_ipfix() -> impl Strategy<Value = MultipartReplyBody> {
    use MultipartReplyBody as Body;
    let stats = || {
        (any::<[u64; 10]>(), any::<u32>()).prop_map(|(n, collector_set)| IpfixStats {
            total_flows: n[0],
            current_flows: n[1],
            packets: n[2],
            ipv4_packets: n[3],
            ipv6_packets: n[4],
            error_packets: n[5],
            ipv4_error_packets: n[6],
            ipv6_error_packets: n[7],
            tx_packets: n[8],
            tx_errors: n[9],
            collector_set,
        })
    };
    prop_oneof![
        stats().prop_map(|stats| Body::IpfixBridge(Box::new(stats))),
        vec(stats(), 0..4).prop_map(Body::IpfixFlow),
    ]
}
