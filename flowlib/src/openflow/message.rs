//! Messages: the header, and which body follows it.

use crate::types::{PortNo, Xid};
use crate::wire::{DecodeError, EncodeError, Part, Problem, Reader, Wire, Writer};

use super::async_config::{AsyncConfig, AsyncProperty};
use super::bundle::{self, BundleAdd, BundleControl};
use super::error::ErrorMsg;
use super::features::{FeaturesReply, SwitchConfig};
use super::flow_mod::FlowMod;
use super::flow_removed::FlowRemoved;
use super::group::GroupMod;
use super::header::Header;
use super::hello::Hello;
use super::message_len;
use super::meter::MeterMod;
use super::multipart::{MultipartReply, MultipartRequest};
use super::nicira::{self, CtFlush, PacketIn2, PacketInFormat, TlvTable, TlvTableMod};
use super::oxm::OxmId;
use super::packet_in::PacketIn;
use super::packet_out::PacketOut;
use super::port::{PortMod, PortStatus};
use super::queue::QueueConfig;
use super::request_forward::RequestForward;
use super::role::{NxRole, Role, RoleStatus};
use super::table_mod::TableMod;

/// The version of OpenFlow that is spoken here: 1.3.
pub const VERSION: u8 = 4;

/// An OpenFlow message, without its xid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Message {
    /// Which versions the sender speaks.
    Hello(Hello),
    /// Something went wrong with the message of the same xid.
    Error(ErrorMsg),
    /// Are you there? With any bytes.
    EchoRequest(Vec<u8>),
    /// I am; the same bytes.
    EchoReply(Vec<u8>),
    /// Someone's own message that is not known here.
    Experimenter {
        /// Whose.
        experimenter: u32,
        /// Which.
        experimenter_type: u32,
        /// The rest, byte for byte.
        body: Box<[u8]>,
    },
    /// What are you?
    FeaturesRequest,
    /// What a switch is.
    FeaturesReply(FeaturesReply),
    /// How are you set?
    GetConfigRequest,
    /// How a switch is set.
    GetConfigReply(SwitchConfig),
    /// How a switch should be set.
    SetConfig(SwitchConfig),
    /// A packet for the controller.
    PacketIn(PacketIn),
    /// A flow is gone.
    FlowRemoved(FlowRemoved),
    /// A port has changed.
    PortStatus(PortStatus),
    /// A packet to send.
    PacketOut(PacketOut),
    /// A change of a flow table.
    FlowMod(FlowMod),
    /// A change of a group.
    GroupMod(GroupMod),
    /// A change of a port.
    PortMod(PortMod),
    /// A change of a table's configuration.
    TableMod(TableMod),
    /// A question whose answer may take several messages.
    MultipartRequest(MultipartRequest),
    /// One part of the answer.
    MultipartReply(MultipartReply),
    /// Finish what came before.
    BarrierRequest,
    /// It is finished.
    BarrierReply,
    /// Which queues does that port have? `PortNo::ANY`: every port.
    QueueGetConfigRequest(PortNo),
    /// Its queues.
    QueueGetConfigReply(QueueConfig),
    /// A role asked for.
    RoleRequest(Role),
    /// The role granted.
    RoleReply(Role),
    /// Which asynchronous messages do I get?
    GetAsyncRequest,
    /// Those.
    GetAsyncReply(AsyncConfig),
    /// Which asynchronous messages the sender wants.
    SetAsync(AsyncConfig),
    /// A change of a meter.
    MeterMod(MeterMod),
    /// ONFT_FLOW_MONITOR_CANCEL: no more reports of the monitor of that number.
    FlowMonitorCancel(u32),
    /// ONFT_FLOW_MONITOR_PAUSED: the monitors report nothing for now.
    FlowMonitorPaused,
    /// ONFT_FLOW_MONITOR_RESUMED: the monitors report again.
    FlowMonitorResumed,
    /// ONFT_ROLE_STATUS: the controller's role has changed.
    RoleStatus(RoleStatus),
    /// ONFT_REQUESTFORWARD: what another controller changed.
    RequestForward(RequestForward),
    /// A bundle opens, closes or ends.
    BundleControl(BundleControl),
    /// A message for a bundle.
    BundleAdd(BundleAdd),
    /// NXT_ROLE_REQUEST.
    NxRoleRequest(NxRole),
    /// NXT_ROLE_REPLY.
    NxRoleReply(NxRole),
    /// NXT_FLOW_MOD; it has no cookie mask and no out group.
    NxFlowMod(FlowMod),
    /// NXT_FLOW_REMOVED; its hard timeout is not said.
    NxFlowRemoved(FlowRemoved),
    /// NXT_FLOW_MOD_TABLE_ID: whether the commands of OpenFlow 1.0 flow mods name a table.
    NxFlowModTableId(bool),
    /// NXT_SET_PACKET_IN_FORMAT.
    NxSetPacketInFormat(PacketInFormat),
    /// NXT_PACKET_IN.
    NxPacketIn(PacketIn),
    /// NXT_PACKET_IN2.
    NxPacketIn2(Box<PacketIn2>),
    /// NXT_RESUME: a packet-in that stopped the pipeline comes back.
    NxResume(Box<PacketIn2>),
    /// NXT_FLOW_AGE.
    NxFlowAge,
    /// NXT_SET_ASYNC_CONFIG.
    NxSetAsyncConfig(AsyncConfig),
    /// NXT_SET_ASYNC_CONFIG2.
    NxSetAsyncConfig2(Vec<AsyncProperty>),
    /// NXT_SET_CONTROLLER_ID: the number by which controller actions name this connection.
    NxSetControllerId(u16),
    /// NXT_TLV_TABLE_MOD.
    NxTlvTableMod(TlvTableMod),
    /// NXT_TLV_TABLE_REQUEST.
    NxTlvTableRequest,
    /// NXT_TLV_TABLE_REPLY.
    NxTlvTableReply(TlvTable),
    /// NXT_CT_FLUSH_ZONE: forgets the connections of a zone.
    NxCtFlushZone(u16),
    /// NXT_CT_FLUSH.
    NxCtFlush(Box<CtFlush>),
    /// A type that is not known here, byte for byte.
    Unknown {
        /// The type.
        message_type: u8,
        /// All that follows the header.
        body: Box<[u8]>,
    },
}

pub(super) const HELLO: u8 = 0;
pub(super) const ERROR: u8 = 1;
pub(super) const ECHO_REQUEST: u8 = 2;
pub(super) const ECHO_REPLY: u8 = 3;
pub(super) const EXPERIMENTER: u8 = 4;
pub(super) const FEATURES_REQUEST: u8 = 5;
pub(super) const FEATURES_REPLY: u8 = 6;
pub(super) const GET_CONFIG_REQUEST: u8 = 7;
pub(super) const GET_CONFIG_REPLY: u8 = 8;
pub(super) const SET_CONFIG: u8 = 9;
pub(super) const PACKET_IN: u8 = 10;
pub(super) const FLOW_REMOVED: u8 = 11;
pub(super) const PORT_STATUS: u8 = 12;
pub(super) const PACKET_OUT: u8 = 13;
pub(super) const FLOW_MOD: u8 = 14;
pub(super) const GROUP_MOD: u8 = 15;
pub(super) const PORT_MOD: u8 = 16;
pub(super) const TABLE_MOD: u8 = 17;
pub(super) const MULTIPART_REQUEST: u8 = 18;
pub(super) const MULTIPART_REPLY: u8 = 19;
pub(super) const BARRIER_REQUEST: u8 = 20;
pub(super) const BARRIER_REPLY: u8 = 21;
pub(super) const QUEUE_GET_CONFIG_REQUEST: u8 = 22;
pub(super) const QUEUE_GET_CONFIG_REPLY: u8 = 23;
pub(super) const ROLE_REQUEST: u8 = 24;
pub(super) const ROLE_REPLY: u8 = 25;
pub(super) const GET_ASYNC_REQUEST: u8 = 26;
pub(super) const GET_ASYNC_REPLY: u8 = 27;
pub(super) const SET_ASYNC: u8 = 28;
pub(super) const METER_MOD: u8 = 29;

/// ONF's experimenter types; those of bundles are in `bundle`.
pub(super) const FLOW_MONITOR_CANCEL: u32 = 1870;
pub(super) const FLOW_MONITOR_PAUSED: u32 = 1871;
pub(super) const FLOW_MONITOR_RESUMED: u32 = 1872;
pub(super) const ROLE_STATUS: u32 = 1911;
pub(super) const REQUEST_FORWARD: u32 = 2350;

/// Where a message lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// On its own.
    Outermost,
    /// In another one, and holds no further one.
    Inner,
}

impl Message {
    /// Reads one message that is exactly `bytes`.
    ///
    /// Shape: [`Header`], the body. A HELLO, an error and an echo may bear any version, since they are sent before one
    /// is agreed on. Types that are not known are kept. Costs at most 32 times the memory of `bytes`: the worst is a
    /// report of 8 bytes, which becomes a [`FlowUpdate`](super::FlowUpdate) in a list that doubles when it is full.
    ///
    /// # Errors
    /// Says what of which structure was wrong, and where.
    ///
    /// Source: OpenFlow 1.3.5 §7.1.
    pub fn decode(bytes: &[u8]) -> Result<(Xid, Self), DecodeError> {
        Self::decode_at(Reader::new(bytes, Part::Message), Nesting::Outermost)
    }

    /// Reads one message that is all of `r`; messages in others must not nest further.
    pub(super) fn decode_at(mut r: Reader<'_>, nesting: Nesting) -> Result<(Xid, Self), DecodeError> {
        let at = r.clone();
        let Header { version, message_type, len, xid } = Wire::decode(&mut r)?;
        let len = usize::from(len);
        if len != at.len() {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        if version != VERSION && !matches!(message_type, HELLO | ERROR | ECHO_REQUEST | ECHO_REPLY) {
            return Err(at.error(Problem::BadVersion { found: version }));
        }
        if !message_len::is_possible(message_type, at.peek()) {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let message = match message_type {
            HELLO => Self::Hello(Hello::decode(version, &mut r)?),
            EXPERIMENTER => Self::decode_experimenter(xid, &mut r, nesting)?,
            _ => Self::decode_body(message_type, &mut r)?,
        };
        r.finish().map(|()| (xid, message))
    }

    fn decode_body(message_type: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match message_type {
            ERROR => Self::Error(ErrorMsg::decode(r)?),
            ECHO_REQUEST => Self::EchoRequest(r.rest().to_vec()),
            ECHO_REPLY => Self::EchoReply(r.rest().to_vec()),
            FEATURES_REQUEST => Self::FeaturesRequest,
            FEATURES_REPLY => Self::FeaturesReply(Wire::decode(r)?),
            GET_CONFIG_REQUEST => Self::GetConfigRequest,
            GET_CONFIG_REPLY => Self::GetConfigReply(Wire::decode(r)?),
            SET_CONFIG => Self::SetConfig(SwitchConfig::decode_request(r)?),
            PACKET_IN => Self::PacketIn(Wire::decode(r)?),
            FLOW_REMOVED => Self::FlowRemoved(Wire::decode(r)?),
            PORT_STATUS => Self::PortStatus(Wire::decode(r)?),
            PACKET_OUT => Self::PacketOut(Wire::decode(r)?),
            FLOW_MOD => Self::FlowMod(Wire::decode(r)?),
            GROUP_MOD => Self::GroupMod(Wire::decode(r)?),
            PORT_MOD => Self::PortMod(Wire::decode(r)?),
            TABLE_MOD => Self::TableMod(Wire::decode(r)?),
            MULTIPART_REQUEST => Self::MultipartRequest(Wire::decode(r)?),
            MULTIPART_REPLY => Self::MultipartReply(Wire::decode(r)?),
            BARRIER_REQUEST => Self::BarrierRequest,
            BARRIER_REPLY => Self::BarrierReply,
            QUEUE_GET_CONFIG_REQUEST => {
                let port = PortNo(r.u32()?);
                r.skip(4)?;
                Self::QueueGetConfigRequest(port)
            }
            QUEUE_GET_CONFIG_REPLY => Self::QueueGetConfigReply(Wire::decode(r)?),
            ROLE_REQUEST => Self::RoleRequest(Wire::decode(r)?),
            ROLE_REPLY => Self::RoleReply(Wire::decode(r)?),
            GET_ASYNC_REQUEST => Self::GetAsyncRequest,
            GET_ASYNC_REPLY => Self::GetAsyncReply(Wire::decode(r)?),
            SET_ASYNC => Self::SetAsync(Wire::decode(r)?),
            METER_MOD => Self::MeterMod(Wire::decode(r)?),
            _ => Self::Unknown { message_type, body: r.rest().into() },
        })
    }

    /// Shape: experimenter `u32`, type `u32`, the rest by both.
    fn decode_experimenter(xid: Xid, r: &mut Reader<'_>, nesting: Nesting) -> Result<Self, DecodeError> {
        let at = Reader::at(r.peek(), Part::Bundle, r.offset());
        let (experimenter, experimenter_type) = (r.u32()?, r.u32()?);
        let known = match (experimenter, experimenter_type) {
            (OxmId::NICIRA, subtype) => nicira::decode(subtype, r)?,
            (OxmId::ONF, bundle::CONTROL | bundle::ADD | REQUEST_FORWARD) if nesting == Nesting::Inner => {
                return Err(at.error(Problem::BadType { found: experimenter_type }));
            }
            (OxmId::ONF, FLOW_MONITOR_CANCEL) => Some(Self::FlowMonitorCancel(r.u32()?)),
            (OxmId::ONF, FLOW_MONITOR_PAUSED) => Some(Self::FlowMonitorPaused),
            (OxmId::ONF, FLOW_MONITOR_RESUMED) => Some(Self::FlowMonitorResumed),
            (OxmId::ONF, ROLE_STATUS) => Some(Self::RoleStatus(Wire::decode(r)?)),
            (OxmId::ONF, REQUEST_FORWARD) => Some(Self::RequestForward(RequestForward::decode(r)?)),
            (OxmId::ONF, bundle::CONTROL) => Some(Self::BundleControl(Wire::decode(r)?)),
            (OxmId::ONF, bundle::ADD) => Some(Self::BundleAdd(BundleAdd::decode(xid, r)?)),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| Self::Experimenter {
            experimenter,
            experimenter_type,
            body: r.rest().into(),
        }))
    }

    /// Its type in the header.
    #[must_use]
    pub fn message_type(&self) -> u8 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Error(_) => ERROR,
            Self::EchoRequest(_) => ECHO_REQUEST,
            Self::EchoReply(_) => ECHO_REPLY,
            Self::FeaturesRequest => FEATURES_REQUEST,
            Self::FeaturesReply(_) => FEATURES_REPLY,
            Self::GetConfigRequest => GET_CONFIG_REQUEST,
            Self::GetConfigReply(_) => GET_CONFIG_REPLY,
            Self::SetConfig(_) => SET_CONFIG,
            Self::PacketIn(_) => PACKET_IN,
            Self::FlowRemoved(_) => FLOW_REMOVED,
            Self::PortStatus(_) => PORT_STATUS,
            Self::PacketOut(_) => PACKET_OUT,
            Self::FlowMod(_) => FLOW_MOD,
            Self::GroupMod(_) => GROUP_MOD,
            Self::PortMod(_) => PORT_MOD,
            Self::TableMod(_) => TABLE_MOD,
            Self::MultipartRequest(_) => MULTIPART_REQUEST,
            Self::MultipartReply(_) => MULTIPART_REPLY,
            Self::BarrierRequest => BARRIER_REQUEST,
            Self::BarrierReply => BARRIER_REPLY,
            Self::QueueGetConfigRequest(_) => QUEUE_GET_CONFIG_REQUEST,
            Self::QueueGetConfigReply(_) => QUEUE_GET_CONFIG_REPLY,
            Self::RoleRequest(_) => ROLE_REQUEST,
            Self::RoleReply(_) => ROLE_REPLY,
            Self::GetAsyncRequest => GET_ASYNC_REQUEST,
            Self::GetAsyncReply(_) => GET_ASYNC_REPLY,
            Self::SetAsync(_) => SET_ASYNC,
            Self::MeterMod(_) => METER_MOD,
            Self::Unknown { message_type, .. } => *message_type,
            _ => EXPERIMENTER,
        }
    }

    /// Whose message it is and of which type, if it is an experimenter's.
    #[must_use]
    pub fn experimenter(&self) -> Option<(u32, u32)> {
        Some(match self {
            Self::Experimenter { experimenter, experimenter_type, .. } => (*experimenter, *experimenter_type),
            Self::FlowMonitorCancel(_) => (OxmId::ONF, FLOW_MONITOR_CANCEL),
            Self::FlowMonitorPaused => (OxmId::ONF, FLOW_MONITOR_PAUSED),
            Self::FlowMonitorResumed => (OxmId::ONF, FLOW_MONITOR_RESUMED),
            Self::RoleStatus(_) => (OxmId::ONF, ROLE_STATUS),
            Self::RequestForward(_) => (OxmId::ONF, REQUEST_FORWARD),
            Self::BundleControl(_) => (OxmId::ONF, bundle::CONTROL),
            Self::BundleAdd(_) => (OxmId::ONF, bundle::ADD),
            Self::NxRoleRequest(_) => (OxmId::NICIRA, nicira::ROLE_REQUEST),
            Self::NxRoleReply(_) => (OxmId::NICIRA, nicira::ROLE_REPLY),
            Self::NxFlowMod(_) => (OxmId::NICIRA, nicira::FLOW_MOD),
            Self::NxFlowRemoved(_) => (OxmId::NICIRA, nicira::FLOW_REMOVED),
            Self::NxFlowModTableId(_) => (OxmId::NICIRA, nicira::FLOW_MOD_TABLE_ID),
            Self::NxSetPacketInFormat(_) => (OxmId::NICIRA, nicira::SET_PACKET_IN_FORMAT),
            Self::NxPacketIn(_) => (OxmId::NICIRA, nicira::PACKET_IN),
            Self::NxPacketIn2(_) => (OxmId::NICIRA, nicira::PACKET_IN2),
            Self::NxResume(_) => (OxmId::NICIRA, nicira::RESUME),
            Self::NxFlowAge => (OxmId::NICIRA, nicira::FLOW_AGE),
            Self::NxSetAsyncConfig(_) => (OxmId::NICIRA, nicira::SET_ASYNC_CONFIG),
            Self::NxSetAsyncConfig2(_) => (OxmId::NICIRA, nicira::SET_ASYNC_CONFIG2),
            Self::NxSetControllerId(_) => (OxmId::NICIRA, nicira::SET_CONTROLLER_ID),
            Self::NxTlvTableMod(_) => (OxmId::NICIRA, nicira::TLV_TABLE_MOD),
            Self::NxTlvTableRequest => (OxmId::NICIRA, nicira::TLV_TABLE_REQUEST),
            Self::NxTlvTableReply(_) => (OxmId::NICIRA, nicira::TLV_TABLE_REPLY),
            Self::NxCtFlushZone(_) => (OxmId::NICIRA, nicira::CT_FLUSH_ZONE),
            Self::NxCtFlush(_) => (OxmId::NICIRA, nicira::CT_FLUSH),
            _ => return None,
        })
    }

    /// Appends the message with that xid to `out`.
    ///
    /// # Errors
    /// If a length does not fit its field, or a number its place; `out` is then as it was.
    pub fn encode(&self, xid: Xid, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut w = Writer::new(out);
        self.write(xid, &mut w);
        w.finish()
    }

    pub(super) fn write(&self, xid: Xid, w: &mut Writer<'_>) {
        let mark = w.mark();
        let mut header = Header::ours(self.message_type(), xid);
        if let Self::Hello(hello) = self {
            header.version = hello.version;
        }
        header.encode(w);
        if let Some((experimenter, experimenter_type)) = self.experimenter() {
            w.u32(experimenter);
            w.u32(experimenter_type);
        }
        self.write_body(xid, w);
        w.patch_len(mark, 2);
    }

    fn write_body(&self, xid: Xid, w: &mut Writer<'_>) {
        match self {
            Self::Hello(hello) => hello.encode(w),
            Self::Error(error) => error.encode(w),
            Self::EchoRequest(bytes) | Self::EchoReply(bytes) => w.bytes(bytes),
            Self::FeaturesReply(body) => body.encode(w),
            Self::GetConfigReply(body) | Self::SetConfig(body) => body.encode(w),
            Self::PacketIn(body) => body.encode(w),
            Self::FlowRemoved(body) => body.encode(w),
            Self::PortStatus(body) => body.encode(w),
            Self::PacketOut(body) => body.encode(w),
            Self::FlowMod(body) => body.encode(w),
            Self::GroupMod(body) => body.encode(w),
            Self::PortMod(body) => body.encode(w),
            Self::TableMod(body) => body.encode(w),
            Self::MultipartRequest(body) => body.encode(w),
            Self::MultipartReply(body) => body.encode(w),
            Self::QueueGetConfigRequest(port) => {
                w.u32(port.0);
                w.zeros(4);
            }
            Self::QueueGetConfigReply(body) => body.encode(w),
            Self::RoleRequest(body) | Self::RoleReply(body) => body.encode(w),
            Self::GetAsyncReply(body) | Self::SetAsync(body) => body.encode(w),
            Self::MeterMod(body) => body.encode(w),
            Self::FlowMonitorCancel(monitor) => w.u32(*monitor),
            Self::RoleStatus(body) => body.encode(w),
            Self::RequestForward(body) => body.encode(w),
            Self::BundleControl(body) => body.encode(w),
            Self::BundleAdd(body) => body.encode(xid, w),
            Self::Experimenter { body, .. } | Self::Unknown { body, .. } => w.bytes(body),
            // Those that are left are Nicira's or have no body.
            _ => nicira::encode(self, w),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bundle::BundleFlags;
    use super::*;

    #[test]
    fn a_wrapped_message_is_a_bundle_add() {
        let mut inner = Vec::new();
        let add = Message::FlowMod(FlowMod::default());
        add.encode(Xid(7), &mut inner).unwrap();
        let mut wrapped = Vec::new();
        BundleAdd::wrap(Xid(7), 3, BundleFlags::ATOMIC, &inner, &mut wrapped).unwrap();
        let (xid, message) = Message::decode(&wrapped).unwrap();
        assert_eq!(xid, Xid(7));
        assert_eq!(message, Message::BundleAdd(BundleAdd::new(3, BundleFlags::ATOMIC, add)));
        assert_eq!(&wrapped[bundle::INNER_OFFSET..], &inner);
    }

    #[test]
    fn bundles_do_not_nest() {
        let inner = Message::BundleAdd(BundleAdd::new(1, BundleFlags::empty(), Message::BarrierRequest));
        let outer = Message::BundleAdd(BundleAdd::new(1, BundleFlags::empty(), inner));
        let mut bytes = Vec::new();
        outer.encode(Xid(1), &mut bytes).unwrap();
        assert!(Message::decode(&bytes).is_err());
    }
}
