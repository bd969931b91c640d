//! What a switch does with each message.

use std::time::Instant;

use super::answer::{GROUP_FEATURES, METER_FEATURES};
use super::bundle::Order;
use super::connection::xid_of;
use super::datapath::{FlowChange, Log, N_TABLES};
use super::{ConnectionId, Switch};
use crate::openflow::bundle::BundleControlType;
use crate::openflow::fixed_text::FixedText;
use crate::openflow::multipart::Desc;
use crate::openflow::port::PortReason;
use crate::openflow::{
    BundleAdd, BundleControl, BundleFlags, ErrorCode, FeaturesReply, GroupMod, Message, MultipartReplyBody,
    MultipartRequest, MultipartRequestBody, QueueConfig, SwitchConfig,
};
use crate::types::Xid;

type Done = Result<(), ErrorCode>;

impl Switch {
    /// Does what a message says, or answers why not.
    pub(super) fn obey(&mut self, now: Instant, id: ConnectionId, bytes: &[u8], message: Message) {
        let result = if is_write(&message) { self.check_writes(id) } else { Ok(()) }
            .and_then(|()| message.check_known())
            .and_then(|()| self.carry_out(now, id, bytes, message));
        if let Err(code) = result {
            self.refuse(id, bytes, code);
        }
    }

    fn carry_out(&mut self, now: Instant, id: ConnectionId, bytes: &[u8], message: Message) -> Done {
        let xid = xid_of(bytes);
        match message {
            Message::FlowMod(body) => {
                let change = FlowChange::new(body, &self.datapath.bodies)?;
                self.change_flows(now, id, xid, &change)
            }
            Message::GroupMod(body) => self.group_mod(now, &body),
            Message::MeterMod(body) => {
                let (mut log, age) = (Log::new(), self.age(now));
                self.datapath.change_meters(body, age, &mut log)?;
                self.tell(&log, None, now);
                self.flush_monitors();
                Ok(())
            }
            Message::PortMod(body) => {
                self.datapath.check_port(&body)?;
                self.apply_port(id, &body);
                Ok(())
            }
            Message::TableMod(body) => match body.table.0 {
                0..N_TABLES | 0xff => Ok(()),
                N_TABLES => Err(ErrorCode::OFPTMFC_EPERM),
            },
            Message::PacketOut(body) => {
                self.datapath.check_packet(&body)?;
                self.counts.packet_outs += 1;
                Ok(())
            }
            Message::BundleControl(body) => self.bundle_control(now, id, bytes, &body),
            Message::BundleAdd(body) => self.bundle_add(now, id, bytes, body),
            Message::MultipartRequest(body) => self.answer(now, id, xid, body),
            message => self.configure(id, xid, message),
        }
    }

    pub(super) fn change_flows(
        &mut self,
        now: Instant,
        id: ConnectionId,
        xid: Xid,
        change: &FlowChange,
    ) -> Done {
        let (mut log, age) = (Log::new(), self.age(now));
        self.datapath.change_flows(change, age, &mut log)?;
        self.counts.flow_mods += 1;
        self.tell(&log, Some((id, xid)), now);
        self.flush_monitors();
        Ok(())
    }

    fn group_mod(&mut self, now: Instant, body: &GroupMod) -> Done {
        let (mut log, age) = (Log::new(), self.age(now));
        self.datapath.change_groups(body, age, &mut log)?;
        // Flows that go with their group are nobody's own change.
        self.tell(&log, None, now);
        self.flush_monitors();
        Ok(())
    }

    fn apply_port(&mut self, id: ConnectionId, port_mod: &crate::openflow::PortMod) {
        if let Some(port) = self.datapath.change_port(port_mod) {
            self.tell_port(PortReason::MODIFY, port, Some(id));
        }
    }

    fn bundle_control(&mut self, now: Instant, id: ConnectionId, bytes: &[u8], body: &BundleControl) -> Done {
        if body.control_type == BundleControlType::COMMIT_REQUEST {
            self.commit(now, id, body)?;
        } else if let Some(connection) = self.connections.get_mut(&id) {
            connection.control_bundle(body, bytes, now)?;
        }
        let answer = BundleControlType(body.control_type.0.wrapping_add(1));
        let reply = BundleControl::new(body.bundle_id, answer, BundleFlags::empty());
        self.send(id, xid_of(bytes), &Message::BundleControl(reply));
        Ok(())
    }

    fn commit(&mut self, now: Instant, id: ConnectionId, body: &BundleControl) -> Done {
        let age = self.age(now);
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let committed = connection.commit_bundle(body, &mut self.datapath, age)?;
        self.counts.bundles += 1;
        for (message, order, log) in committed {
            match order {
                Order::Flow(_) => {
                    self.counts.flow_mods += 1;
                    self.tell(&log, Some((id, xid_of(&message))), now);
                }
                Order::Group(_) => self.tell(&log, None, now),
                Order::Port(port_mod) => self.apply_port(id, &port_mod),
                Order::Packet(_) => self.counts.packet_outs += 1,
            }
        }
        self.flush_monitors();
        Ok(())
    }

    fn bundle_add(&mut self, now: Instant, id: ConnectionId, bytes: &[u8], body: BundleAdd) -> Done {
        let order = match *body.message {
            Message::FlowMod(body) => Order::Flow(FlowChange::new(body, &self.datapath.bodies)?),
            Message::GroupMod(body) => Order::Group(Box::new(body)),
            Message::PortMod(body) => Order::Port(body),
            Message::PacketOut(body) => {
                self.datapath.check_packet(&body)?;
                Order::Packet(Box::new(body))
            }
            _ => return Err(ErrorCode::OFPBFC_MSG_UNSUP),
        };
        self.add_to_bundle(now, id, (body.bundle_id, body.flags), bytes, order)
    }

    pub(super) fn add_to_bundle(
        &mut self,
        now: Instant,
        id: ConnectionId,
        bundle: (u32, BundleFlags),
        outer: &[u8],
        order: Order,
    ) -> Done {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        connection.add_to_bundle(bundle, outer, order, now)
    }

    fn answer(&mut self, now: Instant, id: ConnectionId, xid: Xid, request: MultipartRequest) -> Done {
        use MultipartReplyBody as Reply;
        use MultipartRequestBody as Body;
        let age = self.age(now);
        let datapath = &self.datapath;
        let reply = match request.body {
            Body::Desc => Reply::Desc(Box::new(Self::description())),
            Body::Flow(body) => {
                let bytes = datapath.dump(xid, body, age);
                self.send_bytes(id, bytes);
                return Ok(());
            }
            Body::FlowMonitor(list) => {
                let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
                let bytes = connection.monitors.add(xid, &list, &datapath.flows)?;
                connection.out.extend(bytes);
                return Ok(());
            }
            Body::Aggregate(body) => datapath.aggregate(body),
            Body::Table => datapath.tables(),
            Body::PortStats(port) => datapath.port_stats(port, age),
            Body::GroupStats(group) => datapath.group_stats(group, age),
            Body::GroupDesc => datapath.group_descriptions(),
            Body::GroupFeatures => Reply::GroupFeatures(GROUP_FEATURES),
            Body::MeterStats(meter) => datapath.meter_stats(meter, age)?,
            Body::MeterConfig(meter) => datapath.meters(meter)?,
            Body::MeterFeatures => Reply::MeterFeatures(METER_FEATURES),
            Body::PortDesc => datapath.port_descriptions(),
            _ => return Err(ErrorCode::OFPBRC_BAD_STAT),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send_reply(xid, reply);
        }
        Ok(())
    }

    fn description() -> Desc {
        Desc {
            manufacturer: FixedText::new("Nicira, Inc."),
            hardware: FixedText::new("Open vSwitch"),
            software: FixedText::new("3.1.0"),
            serial_number: FixedText::new("None"),
            datapath: FixedText::new("None"),
        }
    }

    fn configure(&mut self, id: ConnectionId, xid: Xid, message: Message) -> Done {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        match message {
            Message::FeaturesRequest => {
                let features = FeaturesReply {
                    datapath_id: self.config.datapath_id,
                    n_buffers: 0,
                    n_tables: N_TABLES,
                    auxiliary_id: 0,
                    capabilities: 0x4f,
                    reserved: 0,
                };
                connection.send(xid, &Message::FeaturesReply(features));
            }
            Message::GetConfigRequest => {
                let config = SwitchConfig { flags: self.fragments, miss_send_len: connection.miss_send_len };
                connection.send(xid, &Message::GetConfigReply(config));
            }
            Message::SetConfig(config) => {
                let fragments = config.flags & SwitchConfig::FRAG_MASK;
                // Open vSwitch cannot put fragments together.
                if !connection.is_secondary() && fragments != REASSEMBLE {
                    self.fragments = fragments;
                }
                connection.miss_send_len = config.miss_send_len;
            }
            Message::BarrierRequest => connection.send(xid, &Message::BarrierReply),
            Message::QueueGetConfigRequest(port) => {
                let queues = QueueConfig { port, queues: Vec::new() };
                connection.send(xid, &Message::QueueGetConfigReply(queues));
            }
            Message::FlowMonitorCancel(number) => connection.monitors.cancel(number)?,
            Message::NxSetControllerId(number) => connection.controller_id = number,
            Message::RoleRequest(_)
            | Message::NxRoleRequest(_)
            | Message::GetAsyncRequest
            | Message::SetAsync(_)
            | Message::NxSetAsyncConfig(_)
            | Message::NxSetAsyncConfig2(_) => self.change_role(id, xid, message)?,
            Message::NxFlowModTableId(_)
            | Message::NxSetPacketInFormat(_)
            | Message::NxFlowAge
            | Message::NxCtFlushZone(_)
            | Message::NxCtFlush(_) => {}
            _ => return Err(ErrorCode::OFPBRC_BAD_TYPE),
        }
        Ok(())
    }

    fn send(&mut self, id: ConnectionId, xid: Xid, message: &Message) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(xid, message);
        }
    }

    fn send_bytes(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.out.extend(bytes);
        }
    }

    /// Whether a connection may change anything.
    pub(super) fn check_writes(&self, id: ConnectionId) -> Done {
        match self.connections.get(&id) {
            Some(connection) if connection.is_secondary() => Err(ErrorCode::OFPBRC_IS_SECONDARY),
            _ => Ok(()),
        }
    }

    /// What is answered to a message that cannot be decoded, if its connection may not change anything anyway.
    pub(super) fn refusal_of_write(&self, id: ConnectionId, bytes: &[u8]) -> Option<ErrorCode> {
        const WRITES: [u8; 6] = [13, 14, 15, 16, 17, 29];
        let is_write = bytes.get(1).is_some_and(|message_type| WRITES.contains(message_type))
            || bytes.get(8..12) == Some(&super::BUNDLE_ADD[..4]);
        self.check_writes(id).err().filter(|_| is_write)
    }
}

/// OFPC_FRAG_REASM.
const REASSEMBLE: u16 = 2;

fn is_write(message: &Message) -> bool {
    matches!(
        message,
        Message::FlowMod(_)
            | Message::NxFlowMod(_)
            | Message::GroupMod(_)
            | Message::MeterMod(_)
            | Message::PortMod(_)
            | Message::TableMod(_)
            | Message::PacketOut(_)
            | Message::BundleControl(_)
            | Message::BundleAdd(_)
            | Message::NxTlvTableMod(_)
    )
}
