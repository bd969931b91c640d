//! Random histories: messages about few flows, groups and meters, so that they meet.

use flowlib::openflow::async_config::AsyncPropertyType;
use flowlib::openflow::bundle::BundleControlType;
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::meter::MeterCommand;
use flowlib::openflow::multipart::MonitorFlags;
use flowlib::openflow::oxm::field;
use flowlib::openflow::port::PortConfig;
use flowlib::openflow::role::ControllerRole;
use flowlib::openflow::*;
use flowlib::types::{Cookie, GroupId, MacAddr, MeterId, PortNo, Priority, TableId};
use ipnet::IpNet;

use super::LIMITED;

/// A source of numbers that a seed gives again: SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }

    fn maybe<T>(&mut self, n: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.once_in(n).then(|| value(self))
    }

    fn port(&mut self) -> PortNo {
        let odd = [PortNo::CONTROLLER, PortNo::IN_PORT, PortNo::LOCAL, PortNo(0xfff0)];
        if self.once_in(12) { self.pick(&odd) } else { PortNo(1 + self.below(3) as u32) }
    }

    fn table(&mut self) -> TableId {
        let limited = LIMITED.0;
        match self.below(60) {
            0 => TableId(254),
            1 => TableId(253),
            2 => TableId::ALL,
            _ => TableId(self.pick(&[0, 0, 1, 1, limited])),
        }
    }

    fn group(&mut self) -> GroupId {
        if self.once_in(40) { GroupId(0xffff_ff01) } else { GroupId(1 + self.below(4) as u32) }
    }

    fn meter(&mut self) -> MeterId {
        let odd = [MeterId(0), MeterId(0xffff_0001), MeterId::CONTROLLER];
        if self.once_in(30) { self.pick(&odd) } else { MeterId(1 + self.below(3) as u32) }
    }

    fn cookie(&mut self) -> Cookie {
        Cookie(self.pick(&[1, 2, 3]) << 32 | self.below(4))
    }

    fn flow_match(&mut self) -> Match {
        let mut found = Match::new();
        if self.once_in(2) {
            found = found.with(field::IN_PORT, 1 + self.below(3) as u32);
        }
        match self.below(6) {
            0 => found.with(field::ETH_TYPE, 0x0800_u16),
            1 | 2 => {
                let net: IpNet =
                    self.pick(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "10.2.0.0/16"]).parse().unwrap();
                found.with(field::ETH_TYPE, 0x0800_u16).with_prefix(field::IPV4_DST, net)
            }
            3 => found.with_masked(field::METADATA, self.below(4), self.pick(&[1_u64, 2, 3])),
            4 if self.once_in(8) => found.with(field::TCP_DST, 80_u16),
            _ => found,
        }
    }

    fn action(&mut self) -> Action {
        match self.below(24) {
            0..12 => Action::output(self.port()),
            12..15 => Action::Group(self.group()),
            15..19 => Action::set_field(field::REG1, self.below(3) as u32),
            19 => Action::load(SubField::all(field::REG2), self.below(3)),
            20 => Action::resubmit(TableId(1)),
            21 => Action::Clone(vec![Action::output(self.port())]),
            22 if self.once_in(4) => Action::set_field(field::TCP_DST, 80_u16),
            23 if self.once_in(4) => Action::Unknown { action_type: 77, body: [0; 4].into() },
            _ => Action::output(PortNo(1)),
        }
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut list: Vec<Action> = Vec::new();
        for _ in 0..self.below(4) {
            let action = self.action();
            if !matches!(action, Action::Group(_)) || !list.contains(&action) {
                list.push(action);
            }
        }
        list
    }

    fn instructions(&mut self) -> Vec<Instruction> {
        let mut list = Vec::new();
        if self.once_in(12) {
            list.push(Instruction::GotoTable(TableId(self.below(10) as u8)));
        }
        if !self.once_in(5) {
            list.push(Instruction::ApplyActions(self.actions()));
        }
        if self.once_in(10) {
            let written = [Action::Group(self.group()), Action::output(self.port())];
            let written = self.pick(&written);
            // Open vSwitch 3.1 ends when a group is deleted that a flow uses twice.
            for instruction in &mut list {
                if let Instruction::ApplyActions(actions) = instruction {
                    actions.retain(|action| *action != written || !matches!(action, Action::Group(_)));
                }
            }
            list.push(Instruction::WriteActions(vec![written]));
        }
        if self.once_in(10) {
            list.push(Instruction::Meter(self.meter()));
        }
        if self.once_in(15) {
            list.push(Instruction::ClearActions);
        }
        if self.once_in(15) {
            list.push(Instruction::WriteMetadata { metadata: self.below(4), mask: 3 });
        }
        list
    }

    fn flow_mod(&mut self) -> FlowMod {
        let commands = [
            FlowModCommand::ADD,
            FlowModCommand::ADD,
            FlowModCommand::ADD,
            FlowModCommand::ADD,
            FlowModCommand::MODIFY,
            FlowModCommand::MODIFY_STRICT,
            FlowModCommand::DELETE,
            FlowModCommand::DELETE_STRICT,
        ];
        let command = if self.once_in(80) { FlowModCommand(9) } else { self.pick(&commands) };
        let is_delete = matches!(command, FlowModCommand::DELETE | FlowModCommand::DELETE_STRICT);
        let mut flags = FlowModFlags::empty();
        for flag in [FlowModFlags::SEND_FLOW_REM, FlowModFlags::CHECK_OVERLAP, FlowModFlags::RESET_COUNTS] {
            flags.set(flag, self.once_in(5));
        }
        FlowMod {
            command,
            table: if is_delete && self.once_in(2) { TableId::ALL } else { self.table() },
            priority: Priority(self.pick(&[1, 1, 5])),
            cookie: self.cookie(),
            cookie_mask: self.pick(&[0, u64::MAX, 0xffff_ffff << 32, 1]),
            idle_timeout_s: if self.once_in(20) { 3600 } else { 0 },
            hard_timeout_s: if self.once_in(20) { 3600 } else { 0 },
            buffer_id: self.maybe(60, |dice| dice.below(9) as u32),
            out_port: self.maybe(6, Self::port),
            out_group: self.maybe(8, Self::group),
            flags,
            flow_match: self.flow_match(),
            instructions: if is_delete { Vec::new() } else { self.instructions() },
        }
    }

    fn group_mod(&mut self) -> GroupMod {
        let commands = [
            GroupCommand::ADD,
            GroupCommand::ADD,
            GroupCommand::MODIFY,
            GroupCommand::ADD_OR_MODIFY,
            GroupCommand::DELETE,
            GroupCommand::INSERT_BUCKET,
            GroupCommand::REMOVE_BUCKET,
        ];
        let command = self.pick(&commands);
        let types = [GroupType::ALL, GroupType::SELECT, GroupType::INDIRECT, GroupType::FAST_FAILOVER];
        let group_type = self.pick(&types);
        let n = match command {
            GroupCommand::DELETE | GroupCommand::REMOVE_BUCKET => u64::from(self.once_in(9)),
            _ if group_type == GroupType::INDIRECT && !self.once_in(5) => 1,
            _ => self.below(4),
        };
        let bucket = |dice: &mut Self| Bucket {
            weight: if group_type == GroupType::SELECT || dice.once_in(20) {
                1 + dice.below(9) as u16
            } else {
                0
            },
            watch_port: if group_type == GroupType::FAST_FAILOVER { PortNo(1) } else { PortNo::ANY },
            watch_group: GroupId::ANY,
            actions: dice.actions(),
        };
        let buckets = (0..n).map(|_| bucket(self)).collect();
        let group =
            if command == GroupCommand::DELETE && self.once_in(4) { GroupId::ALL } else { self.group() };
        GroupMod { command, group: Group { group, group_type, buckets } }
    }

    fn meter_mod(&mut self) -> MeterMod {
        let command =
            self.pick(&[MeterCommand::ADD, MeterCommand::ADD, MeterCommand::MODIFY, MeterCommand::DELETE]);
        let mut flags = self.pick(&[MeterFlags::KBPS, MeterFlags::PKTPS]);
        flags.set(MeterFlags::STATS, self.once_in(2));
        flags.set(MeterFlags::BURST, self.once_in(3));
        let kind = |dice: &mut Self| match dice.below(12) {
            0 => BandKind::DscpRemark(1),
            _ => BandKind::Drop,
        };
        let n = if self.once_in(20) { 9 } else { self.below(3) };
        let bands = (0..n)
            .map(|_| Band {
                rate: 1 + self.below(1000) as u32,
                burst: self.below(10) as u32,
                kind: kind(self),
            })
            .collect();
        let meter =
            if command == MeterCommand::DELETE && self.once_in(5) { MeterId::ALL } else { self.meter() };
        MeterMod { command, meter: Meter { meter, flags, bands } }
    }

    fn packet_out(&mut self) -> PacketOut {
        PacketOut {
            buffer_id: self.maybe(9, |dice| dice.below(9) as u32),
            in_port: self.pick(&[PortNo::CONTROLLER, PortNo(1), PortNo::ALL]),
            actions: self.actions().into_iter().filter(|action| !shows_in_counters(action)).collect(),
            data: vec![0; 60],
        }
    }

    fn port_mod(&mut self, ports: &[Port]) -> PortMod {
        let port = self.pick(ports);
        let bits = [PortConfig::NO_FWD, PortConfig::NO_RECV, PortConfig::NO_PACKET_IN, PortConfig::empty()];
        PortMod {
            port: if self.once_in(5) { PortNo(99) } else { port.port },
            hw_addr: if self.once_in(5) { MacAddr([2; 6]) } else { port.hw_addr },
            config: self.pick(&bits),
            mask: self.pick(&bits),
            advertise: 0,
        }
    }

    fn bundle(&mut self, ports: &[Port]) -> Message {
        let id = self.below(3) as u32;
        let flags =
            self.pick(&[BundleFlags::ATOMIC, BundleFlags::ATOMIC, BundleFlags::ATOMIC, BundleFlags::ORDERED]);
        let flags = if self.once_in(40) { BundleFlags::from_bits_retain(0x80) } else { flags };
        if self.below(8) < 5 {
            let message = match self.below(20) {
                0 => Message::PortMod(self.port_mod(ports)),
                1 => Message::PacketOut(self.packet_out()),
                2 => Message::MeterMod(self.meter_mod()),
                3 | 4 => Message::GroupMod(self.group_mod()),
                _ => Message::FlowMod(self.flow_mod()),
            };
            return Message::BundleAdd(BundleAdd::new(id, flags, message));
        }
        let types = [
            BundleControlType::OPEN_REQUEST,
            BundleControlType::CLOSE_REQUEST,
            BundleControlType::COMMIT_REQUEST,
            BundleControlType::COMMIT_REQUEST,
            BundleControlType::DISCARD_REQUEST,
            BundleControlType::COMMIT_REPLY,
        ];
        Message::BundleControl(BundleControl::new(id, self.pick(&types), flags))
    }

    fn question(&mut self) -> Message {
        use MultipartRequestBody as Body;
        let flows = |dice: &mut Self| FlowStatsRequest {
            table: dice.table(),
            out_port: dice.maybe(6, Self::port),
            out_group: dice.maybe(8, Self::group),
            cookie: dice.cookie(),
            cookie_mask: dice.pick(&[0, u64::MAX, 0xffff_ffff << 32]),
            flow_match: dice.flow_match(),
        };
        let body = match self.below(13) {
            0 | 1 => Body::Flow(flows(self)),
            2 => Body::Aggregate(flows(self)),
            3 => Body::Table,
            4 => Body::GroupStats(self.pick(&[GroupId::ALL, GroupId(1), GroupId(77)])),
            5 => Body::GroupDesc,
            6 => Body::GroupFeatures,
            7 => Body::MeterStats(self.pick(&[MeterId::ALL, MeterId(1), MeterId(77)])),
            8 => Body::MeterConfig(self.pick(&[MeterId::ALL, MeterId(1), MeterId(77)])),
            9 => Body::MeterFeatures,
            10 => Body::PortDesc,
            11 => Body::PortStats(self.pick(&[PortNo::ANY, PortNo(1), PortNo(77), PortNo::LOCAL])),
            _ => Body::Desc,
        };
        Message::MultipartRequest(body.into())
    }

    fn monitor(&mut self) -> Message {
        let number = self.below(3) as u32;
        if self.once_in(3) {
            return Message::FlowMonitorCancel(number);
        }
        let mut flags = self.pick(&[MonitorFlags::ADD, MonitorFlags::DELETE, MonitorFlags::MODIFY]);
        for flag in [
            MonitorFlags::INITIAL,
            MonitorFlags::ADD,
            MonitorFlags::DELETE,
            MonitorFlags::MODIFY,
            MonitorFlags::INSTRUCTIONS,
            MonitorFlags::OWN,
        ] {
            flags |= if self.once_in(2) { flag } else { MonitorFlags::empty() };
        }
        let request = MonitorRequest {
            monitor: number,
            flags,
            out_port: self.maybe(6, |dice| PortNo(1 + dice.below(3) as u32)),
            table: if self.once_in(3) { TableId(1) } else { TableId::ALL },
            flow_match: if self.once_in(3) { self.flow_match() } else { Match::new() },
        };
        Message::MultipartRequest(MultipartRequestBody::FlowMonitor(vec![request]).into())
    }

    fn role(&mut self) -> Message {
        let roles = [
            ControllerRole::NO_CHANGE,
            ControllerRole::EQUAL,
            ControllerRole::EQUAL,
            ControllerRole::PRIMARY,
            ControllerRole::SECONDARY,
        ];
        match self.below(8) {
            0 => Message::NxRoleRequest(self.pick(&[NxRole::OTHER, NxRole::PRIMARY, NxRole::SECONDARY])),
            _ => Message::RoleRequest(Role {
                role: self.pick(&roles),
                generation_id: 104 - u64::from(self.once_in(4)),
            }),
        }
    }

    fn setting(&mut self) -> Message {
        let mask =
            |dice: &mut Self| AsyncMask { primary: dice.below(16) as u32, secondary: dice.below(16) as u32 };
        match self.below(9) {
            0 => Message::FeaturesRequest,
            1 => Message::GetConfigRequest,
            2 => Message::SetConfig(SwitchConfig { flags: self.below(3) as u16, miss_send_len: 99 }),
            3 => Message::GetAsyncRequest,
            4 => Message::SetAsync(AsyncConfig {
                packet_in: mask(self),
                port_status: AsyncMask { primary: 7, secondary: 7 },
                flow_removed: mask(self),
            }),
            5 => Message::NxSetAsyncConfig2(vec![AsyncProperty::Mask {
                property_type: self.pick(&[
                    AsyncPropertyType::FLOW_REMOVED_PRIMARY,
                    AsyncPropertyType::FLOW_REMOVED_SECONDARY,
                    AsyncPropertyType::ROLE_STATUS_PRIMARY,
                ]),
                mask: self.below(8) as u32,
            }]),
            6 => Message::NxSetControllerId(self.below(9) as u16),
            7 => Message::TableMod(TableMod { table: self.table(), config: 0 }),
            _ => Message::BarrierReply,
        }
    }

    /// The next message of a history.
    pub(crate) fn message(&mut self, ports: &[Port]) -> Message {
        match self.below(100) {
            0..38 => Message::FlowMod(self.flow_mod()),
            38..46 => Message::GroupMod(self.group_mod()),
            46..52 => Message::MeterMod(self.meter_mod()),
            52..74 => self.bundle(ports),
            74..84 => self.question(),
            84..88 => self.monitor(),
            88..92 => self.role(),
            92..95 => self.setting(),
            95..97 => Message::PortMod(self.port_mod(ports)),
            _ => Message::PacketOut(self.packet_out()),
        }
    }
}

/// Whether only a data plane can see what becomes of a packet: it would go out, or through tables or groups, or is of
/// another protocol.
fn shows_in_counters(action: &Action) -> bool {
    let ports = [PortNo(1), PortNo(2), PortNo::LOCAL, PortNo::IN_PORT, PortNo::CONTROLLER];
    matches!(
        action,
        Action::Resubmit { .. }
            | Action::Clone(_)
            | Action::Group(_)
            | Action::SetField { field: field::TCP_DST, .. }
    ) || matches!(action, Action::Output { port, .. } if ports.contains(port))
}
