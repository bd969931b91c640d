//! Messages of every type.

use flowlib::openflow::action::PacketInReason;
use flowlib::openflow::async_config::AsyncPropertyType;
use flowlib::openflow::bundle::BundleControlType;
use flowlib::openflow::fixed_text::FixedText;
use flowlib::openflow::flow_removed::FlowRemovedReason;
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::hello::HelloElement;
use flowlib::openflow::meter::MeterCommand;
use flowlib::openflow::nicira::TlvTableCommand;
use flowlib::openflow::oxm::field;
use flowlib::openflow::port::{PortConfig, PortReason, PortState};
use flowlib::openflow::role::{ControllerRole, RoleReason};
use flowlib::openflow::*;
use flowlib::types::{Cookie, DatapathId, GroupId, MacAddr, MeterId, PortNo, Priority, TableId, Xid};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::multipart;

/// Any message.
pub fn message() -> BoxedStrategy<Message> {
    prop_oneof![
        3 => immutable(),
        6 => standard(),
        4 => experimenter(),
        8 => nicira(),
        9 => multipart::request().prop_map(Message::MultipartRequest),
        9 => multipart::reply().prop_map(Message::MultipartReply),
    ]
    .boxed()
}

/// A message with some bytes changed, cut off or added; its header is still right.
pub fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..3);
    (message(), changes, any::<Index>(), 0usize..3).prop_map(|(message, changes, at, what)| {
        let mut bytes = Vec::new();
        message.encode(Xid(1), &mut bytes).unwrap();
        for (place, value) in changes {
            let place = 8 + place.index(bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        match what {
            0 => bytes.truncate(8 + at.index(bytes.len())),
            1 => bytes.extend(std::iter::repeat_n(0, at.index(17))),
            _ => {}
        }
        let len = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        bytes
    })
}

pub fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

/// A port that Open vSwitch can have.
pub fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![(1u32..0xff00).prop_map(PortNo), Just(PortNo::LOCAL), Just(PortNo::CONTROLLER)]
}

pub fn flow_match() -> impl Strategy<Value = Match> {
    let fields = (option::of(1u32..0xff00), option::of(any::<u32>()), option::of(any::<[u8; 4]>()));
    (fields, any::<u64>(), any::<u64>()).prop_map(|((port, reg, ip), metadata, mask)| {
        let mut found = Match::new();
        if let Some(port) = port {
            found = found.with(field::IN_PORT, port);
        }
        if let Some(reg) = reg {
            found = found.with(field::REG0, reg);
        }
        if let Some(ip) = ip {
            let address = u32::from_be_bytes(ip);
            found = found.with(field::ETH_TYPE, 0x0800_u16).with(field::IPV4_SRC, address);
        }
        found.with_masked(field::METADATA, metadata & mask, mask)
    })
}

/// Metadata of a packet: no field with a mask.
fn metadata() -> impl Strategy<Value = Match> {
    (1u32..0xff00, any::<u32>())
        .prop_map(|(port, reg)| Match::new().with(field::IN_PORT, port).with(field::REG3, reg))
}

pub fn actions() -> impl Strategy<Value = Vec<Action>> {
    vec(
        prop_oneof![
            port().prop_map(Action::output),
            any::<u8>().prop_map(|value| Action::set_field(field::REG1, u32::from(value))),
            Just(Action::PushVlan(0x8100)),
            any::<u32>().prop_map(Action::SetQueue),
        ],
        0..4,
    )
}

pub fn instructions() -> impl Strategy<Value = Vec<Instruction>> {
    (option::of(1u32..99), option::of(actions()), option::of(200u8..250)).prop_map(|(meter, apply, table)| {
        let meter = meter.map(|meter| Instruction::Meter(MeterId(meter)));
        let apply = apply.filter(|list| !list.is_empty()).map(Instruction::ApplyActions);
        let goto = table.map(|table| Instruction::GotoTable(TableId(table)));
        [meter, apply, goto].into_iter().flatten().collect()
    })
}

/// A property of an experimenter that nobody knows.
pub fn raw_property() -> impl Strategy<Value = RawProperty> {
    bytes(9).prop_map(|rest| {
        let body = [&[0, 0, 0, 9, 0, 0, 0, 99], &rest[..]].concat().into();
        RawProperty { property_type: 0xffff, body }
    })
}

pub fn a_port() -> impl Strategy<Value = Port> {
    (port(), any::<[u8; 6]>(), "[a-z]{1,15}", any::<[u32; 2]>(), any::<[u32; 6]>()).prop_map(
        |(port, mac, name, [config, state], features)| Port {
            port,
            hw_addr: MacAddr(mac),
            name: FixedText::new(&name),
            config: PortConfig::from_bits_retain(config),
            state: PortState::from_bits_retain(state),
            current: features[0],
            advertised: features[1],
            supported: features[2],
            peer: features[3],
            current_speed_kbps: features[4],
            max_speed_kbps: features[5],
        },
    )
}

/// A group, for an add.
pub fn group() -> impl Strategy<Value = Group> {
    let bucket = |group_type: GroupType| {
        (1u16..9, port(), actions()).prop_map(move |(weight, watch_port, actions)| Bucket {
            weight: if group_type == GroupType::SELECT { weight } else { 0 },
            watch_port: if group_type == GroupType::FAST_FAILOVER { watch_port } else { PortNo::ANY },
            watch_group: GroupId::ANY,
            actions,
        })
    };
    let types = [GroupType::ALL, GroupType::SELECT, GroupType::INDIRECT, GroupType::FAST_FAILOVER];
    (1u32..0xffff_ff00, select(types.to_vec())).prop_flat_map(move |(group, group_type)| {
        let n = if group_type == GroupType::INDIRECT { 1..2 } else { 0..4 };
        vec(bucket(group_type), n).prop_map(move |buckets| Group {
            group: GroupId(group),
            group_type,
            buckets,
        })
    })
}

pub fn meter() -> impl Strategy<Value = Meter> {
    let kind = prop_oneof![Just(BandKind::Drop), (0u8..8).prop_map(BandKind::DscpRemark)];
    let band = (any::<u32>(), any::<u32>(), kind).prop_map(|(rate, burst, kind)| Band { rate, burst, kind });
    let units = [MeterFlags::KBPS, MeterFlags::PKTPS];
    (1u32..0xffff_0000, select(units.to_vec()), any::<bool>(), any::<bool>(), vec(band, 0..4)).prop_map(
        |(meter, mut flags, burst, stats, bands)| {
            flags.set(MeterFlags::BURST, burst);
            flags.set(MeterFlags::STATS, stats);
            Meter { meter: MeterId(meter), flags, bands }
        },
    )
}

/// Messages that are the same in all versions.
fn immutable() -> impl Strategy<Value = Message> {
    let hello = (1u8..7, any::<u32>(), option::of(bytes(6))).prop_map(|(version, bitmap, unknown)| {
        let mut elements = vec![HelloElement::VersionBitmap(vec![bitmap | 1 << 4])];
        let unknown = unknown.map(|body| HelloElement::Unknown { element_type: 99, body: body.into() });
        elements.extend(unknown);
        Message::Hello(Hello { version, elements })
    });
    let error = (select(ErrorCode::NAMED), bytes(80))
        .prop_map(|(code, data)| Message::Error(ErrorMsg { code, data }));
    prop_oneof![
        hello,
        error,
        bytes(40).prop_map(Message::EchoRequest),
        bytes(40).prop_map(Message::EchoReply),
    ]
}

fn standard() -> impl Strategy<Value = Message> {
    prop_oneof![
        4 => select(vec![
            Message::FeaturesRequest,
            Message::GetConfigRequest,
            Message::BarrierRequest,
            Message::BarrierReply,
            Message::GetAsyncRequest,
        ]),
        4 => switch(),
        4 => asynchronous(),
        4 => changes(),
        2 => queues(),
        2 => roles(),
    ]
}

/// What a switch is and how it is set.
fn switch() -> impl Strategy<Value = Message> {
    let features = any::<(u64, u32, u8, u8, u32, u32)>().prop_map(
        |(dpid, n_buffers, n_tables, auxiliary_id, capabilities, reserved)| {
            Message::FeaturesReply(FeaturesReply {
                datapath_id: DatapathId(dpid),
                n_buffers,
                n_tables,
                auxiliary_id,
                capabilities,
                reserved,
            })
        },
    );
    let config =
        (0u16..4, any::<u16>()).prop_map(|(flags, miss_send_len)| SwitchConfig { flags, miss_send_len });
    prop_oneof![
        features,
        config.clone().prop_map(Message::GetConfigReply),
        config.prop_map(Message::SetConfig),
        asynchronous_config().prop_map(Message::GetAsyncReply),
        asynchronous_config().prop_map(Message::SetAsync),
    ]
}

fn asynchronous_config() -> impl Strategy<Value = AsyncConfig> {
    let mask = || any::<(u32, u32)>().prop_map(|(primary, secondary)| AsyncMask { primary, secondary });
    (mask(), mask(), mask()).prop_map(|(packet_in, port_status, flow_removed)| AsyncConfig {
        packet_in,
        port_status,
        flow_removed,
    })
}

fn packet_in() -> impl Strategy<Value = PacketIn> {
    (option::of(0..u32::MAX), 64u16.., 0u8..6, any::<u8>(), any::<u64>(), metadata(), bytes(64)).prop_map(
        |(buffer_id, total_len, reason, table, cookie, flow_match, data)| PacketIn {
            buffer_id,
            total_len,
            reason: PacketInReason(reason),
            table: TableId(table),
            cookie: Cookie(cookie),
            flow_match,
            data,
        },
    )
}

fn flow_removed() -> impl Strategy<Value = FlowRemoved> {
    (any::<(u64, u16, u8, u32, u32)>(), any::<(u16, u16, u64, u64)>(), 0u8..6, flow_match()).prop_map(
        |(
            (cookie, priority, table, duration_s, duration_ns),
            (idle, hard, packets, bytes),
            reason,
            flow_match,
        )| {
            FlowRemoved {
                cookie: Cookie(cookie),
                priority: Priority(priority),
                reason: FlowRemovedReason(reason),
                table: TableId(table),
                duration_s,
                duration_ns,
                idle_timeout_s: idle,
                hard_timeout_s: hard,
                packet_count: packets,
                byte_count: bytes,
                flow_match,
            }
        },
    )
}

fn asynchronous() -> impl Strategy<Value = Message> {
    let port_status = (0u8..3, a_port())
        .prop_map(|(reason, port)| Message::PortStatus(PortStatus { reason: PortReason(reason), port }));
    prop_oneof![
        packet_in().prop_map(Message::PacketIn),
        flow_removed().prop_map(Message::FlowRemoved),
        port_status,
    ]
}

pub fn flow_mod() -> impl Strategy<Value = FlowMod> {
    let fixed = any::<(u64, u64, u16, u16, u16)>();
    (0u8..5, 0u8..100, fixed, option::of(0..u32::MAX), option::of(port()), flow_match(), instructions())
        .prop_map(
            |(
                command,
                table,
                (cookie, cookie_mask, idle, hard, priority),
                buffer_id,
                out_port,
                flow_match,
                instructions,
            )| {
                FlowMod {
                    command: FlowModCommand(command),
                    table: TableId(table),
                    priority: Priority(priority),
                    cookie: Cookie(cookie),
                    cookie_mask,
                    idle_timeout_s: idle,
                    hard_timeout_s: hard,
                    buffer_id,
                    out_port,
                    out_group: None,
                    flags: FlowModFlags::SEND_FLOW_REM,
                    flow_match,
                    instructions,
                }
            },
        )
}

fn group_mod() -> impl Strategy<Value = GroupMod> {
    let commands = [GroupCommand::ADD, GroupCommand::MODIFY, GroupCommand::ADD_OR_MODIFY];
    prop_oneof![
        (select(commands.to_vec()), group()).prop_map(|(command, group)| GroupMod { command, group }),
        any::<u32>().prop_map(|group| GroupMod::delete(GroupId(group))),
    ]
}

fn meter_mod() -> impl Strategy<Value = MeterMod> {
    prop_oneof![
        meter().prop_map(MeterMod::add),
        meter().prop_map(|meter| MeterMod { command: MeterCommand::MODIFY, meter }),
        any::<u32>().prop_map(|meter| MeterMod::delete(MeterId(meter))),
    ]
}

fn changes() -> impl Strategy<Value = Message> {
    let packet_out = (option::of(0..u32::MAX), port(), actions(), bytes(64)).prop_map(
        |(buffer_id, in_port, actions, data)| {
            let data = if buffer_id.is_some() { vec![] } else { data };
            Message::PacketOut(PacketOut { buffer_id, in_port, actions, data })
        },
    );
    let port_mod = (port(), any::<[u8; 6]>(), any::<[u32; 2]>(), 0u32..0x10000).prop_map(
        |(port, mac, [config, mask], advertise)| {
            let known = |bits: u32| PortConfig::from_bits_retain(bits & 0x65);
            let (config, mask) = (known(config), known(mask));
            Message::PortMod(PortMod { port, hw_addr: MacAddr(mac), config, mask, advertise })
        },
    );
    let table_mod = (any::<u8>(), 0u32..4)
        .prop_map(|(table, config)| Message::TableMod(TableMod { table: TableId(table), config }));
    prop_oneof![
        packet_out,
        port_mod,
        table_mod,
        flow_mod().prop_map(Message::FlowMod),
        group_mod().prop_map(Message::GroupMod),
        meter_mod().prop_map(Message::MeterMod),
    ]
}

fn queues() -> impl Strategy<Value = Message> {
    let property = prop_oneof![
        any::<u16>().prop_map(QueueProperty::MinRate),
        any::<u16>().prop_map(QueueProperty::MaxRate),
        any::<[u8; 8]>().prop_map(|body| QueueProperty::Unknown { property_type: 0xffff, body: body.into() }),
    ];
    let queue = (any::<u32>(), port(), vec(property, 0..4)).prop_map(|(queue, port, properties)| Queue {
        queue,
        port,
        properties,
    });
    let reply = (port(), vec(queue, 0..4))
        .prop_map(|(port, queues)| Message::QueueGetConfigReply(QueueConfig { port, queues }));
    prop_oneof![(1u32..0xff00).prop_map(|port| Message::QueueGetConfigRequest(PortNo(port))), reply]
}

fn roles() -> impl Strategy<Value = Message> {
    let role = (0u32..4, any::<u64>())
        .prop_map(|(role, generation_id)| Role { role: ControllerRole(role), generation_id });
    let status = (0u32..4, 0u8..3, any::<u64>(), any::<bool>()).prop_map(
        |(role, reason, generation_id, has_property)| RoleStatus {
            role: ControllerRole(role),
            reason: RoleReason(reason),
            generation_id,
            properties: if has_property { PROPERTY.into() } else { Box::default() },
        },
    );
    prop_oneof![
        role.clone().prop_map(Message::RoleRequest),
        role.prop_map(Message::RoleReply),
        status.prop_map(Message::RoleStatus),
        (0u32..3).prop_map(|role| Message::NxRoleRequest(NxRole(role))),
        (0u32..3).prop_map(|role| Message::NxRoleReply(NxRole(role))),
    ]
}

fn experimenter() -> impl Strategy<Value = Message> {
    let control = (any::<u32>(), 0u16..8, 0u16..4, any::<bool>()).prop_map(
        |(bundle_id, control_type, flags, has_property)| {
            Message::BundleControl(BundleControl {
                bundle_id,
                control_type: BundleControlType(control_type),
                flags: BundleFlags::from_bits_retain(flags),
                properties: if has_property { PROPERTY.into() } else { Box::default() },
            })
        },
    );
    let inner = prop_oneof![flow_mod().prop_map(Message::FlowMod), group_mod().prop_map(Message::GroupMod),];
    let add = (any::<u32>(), 0u16..4, inner).prop_map(|(bundle_id, flags, message)| {
        Message::BundleAdd(BundleAdd::new(bundle_id, BundleFlags::from_bits_retain(flags), message))
    });
    let forwarded =
        prop_oneof![group_mod().prop_map(Message::GroupMod), meter_mod().prop_map(Message::MeterMod),];
    let forward = (any::<u32>(), forwarded).prop_map(|(xid, request)| {
        Message::RequestForward(RequestForward {
            xid: Xid(xid),
            request: Box::new(request),
            rest: Box::default(),
        })
    });
    prop_oneof![
        control,
        add,
        forward,
        any::<u32>().prop_map(Message::FlowMonitorCancel),
        Just(Message::FlowMonitorPaused),
        Just(Message::FlowMonitorResumed),
    ]
}

/// An experimenter's property, as it is on the wire.
const PROPERTY: [u8; 16] = [0xff, 0xff, 0, 12, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0];

fn nicira() -> impl Strategy<Value = Message> {
    prop_oneof![
        select(vec![Message::NxFlowAge, Message::NxTlvTableRequest]),
        packet_in().prop_map(Message::NxPacketIn),
        flow_removed()
            .prop_map(|removed| Message::NxFlowRemoved(FlowRemoved { hard_timeout_s: 0, ..removed })),
        flow_mod().prop_map(|flow_mod| Message::NxFlowMod(FlowMod { cookie_mask: 0, ..flow_mod })),
        any::<bool>().prop_map(Message::NxFlowModTableId),
        (0u32..3).prop_map(|format| Message::NxSetPacketInFormat(PacketInFormat(format))),
        packet_in2().prop_map(|packet_in| Message::NxPacketIn2(Box::new(packet_in))),
        packet_in2().prop_map(|packet_in| Message::NxResume(Box::new(packet_in))),
        asynchronous_config().prop_map(Message::NxSetAsyncConfig),
        asynchronous_properties().prop_map(Message::NxSetAsyncConfig2),
        any::<u16>().prop_map(Message::NxSetControllerId),
        tlv_tables(),
        any::<u16>().prop_map(Message::NxCtFlushZone),
        ct_flush().prop_map(|flush| Message::NxCtFlush(Box::new(flush))),
    ]
}

fn packet_in2() -> impl Strategy<Value = PacketIn2> {
    let numbers =
        (option::of(64u32..), option::of(any::<u32>()), option::of(any::<u8>()), option::of(any::<u64>()));
    (vec(any::<u8>(), 1..64), numbers, option::of(0u8..6), metadata(), bytes(9)).prop_map(
        |(data, (full_len, buffer_id, table, cookie), reason, metadata, userdata)| PacketIn2 {
            data,
            full_len,
            buffer_id,
            table: table.map(TableId),
            cookie: cookie.map(Cookie),
            reason: reason.map(PacketInReason),
            metadata,
            userdata,
            continuation: None,
            unknown: vec![],
        },
    )
}

fn asynchronous_properties() -> impl Strategy<Value = Vec<AsyncProperty>> {
    vec((0u16..12, any::<u32>()), 0..6).prop_map(|list| {
        let one = |(property_type, mask)| {
            let property_type = AsyncPropertyType(property_type);
            AsyncProperty::Mask { property_type, mask: mask & property_type.reasons() }
        };
        list.into_iter().map(one).collect()
    })
}

fn tlv_tables() -> impl Strategy<Value = Message> {
    let map = (any::<u16>(), any::<u8>(), 0u8..32, 0u16..64).prop_map(
        |(option_class, option_type, words, index)| TlvMap {
            option_class,
            option_type,
            option_len: words * 4,
            index,
        },
    );
    let maps = vec(map, 0..4);
    prop_oneof![
        (0u16..3, maps.clone()).prop_map(|(command, maps)| Message::NxTlvTableMod(TlvTableMod {
            command: TlvTableCommand(command),
            maps
        })),
        (any::<u32>(), any::<u16>(), maps).prop_map(|(max_option_space, max_fields, maps)| {
            Message::NxTlvTableReply(TlvTable { max_option_space, max_fields, maps })
        }),
    ]
}

fn ct_flush() -> impl Strategy<Value = CtFlush> {
    let tuple = || {
        (option::of(any::<[u8; 4]>()), option::of(any::<u16>()), option::of(any::<u8>())).prop_map(
            |(address, port, icmp_type)| CtTuple {
                src: address.map(|address| std::net::Ipv4Addr::from(address).to_ipv6_mapped()),
                dst_port: port,
                icmp_type,
                ..CtTuple::default()
            },
        )
    };
    (any::<u8>(), option::of(tuple()), option::of(tuple()), option::of(any::<u16>())).prop_map(
        |(ip_proto, original, reply, zone)| CtFlush { ip_proto, original, reply, zone, unknown: vec![] },
    )
}
