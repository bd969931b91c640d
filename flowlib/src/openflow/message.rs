//! Messages: the header, and which body follows it.

use crate::types::Xid;
use crate::wire::{DecodeError, EncodeError, Part, Problem, Reader, Wire, Writer};

use super::bundle::{self, BundleAdd, BundleControl};
use super::error::ErrorMsg;
use super::features::{FeaturesReply, SwitchConfig};
use super::flow_mod::FlowMod;
use super::flow_removed::FlowRemoved;
use super::group::GroupMod;
use super::hello::Hello;
use super::meter::MeterMod;
use super::multipart::{MultipartReply, MultipartRequest};
use super::oxm::OxmId;
use super::packet_in::PacketIn;
use super::packet_out::PacketOut;
use super::port::{PortMod, PortStatus};
use super::role::Role;

/// The version of OpenFlow that is spoken here: 1.3.
pub const VERSION: u8 = 4;

/// The length of a message's header in bytes.
pub const HEADER_LEN: usize = 8;

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
    /// A question whose answer may take several messages.
    MultipartRequest(MultipartRequest),
    /// One part of the answer.
    MultipartReply(MultipartReply),
    /// Finish what came before.
    BarrierRequest,
    /// It is finished.
    BarrierReply,
    /// A role asked for.
    RoleRequest(Role),
    /// The role granted.
    RoleReply(Role),
    /// A change of a meter.
    MeterMod(MeterMod),
    /// A bundle opens, closes or ends.
    BundleControl(BundleControl),
    /// A message for a bundle.
    BundleAdd(BundleAdd),
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
const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
pub(super) const EXPERIMENTER: u8 = 4;
const FEATURES_REQUEST: u8 = 5;
const FEATURES_REPLY: u8 = 6;
const GET_CONFIG_REQUEST: u8 = 7;
const GET_CONFIG_REPLY: u8 = 8;
const SET_CONFIG: u8 = 9;
const PACKET_IN: u8 = 10;
const FLOW_REMOVED: u8 = 11;
const PORT_STATUS: u8 = 12;
const PACKET_OUT: u8 = 13;
pub(super) const FLOW_MOD: u8 = 14;
const GROUP_MOD: u8 = 15;
const PORT_MOD: u8 = 16;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
const BARRIER_REQUEST: u8 = 20;
const BARRIER_REPLY: u8 = 21;
const ROLE_REQUEST: u8 = 24;
const ROLE_REPLY: u8 = 25;
const METER_MOD: u8 = 29;

/// Where a message lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// On its own.
    Outermost,
    /// In a bundle-add, which holds no further one.
    InBundle,
}

impl Message {
    /// Reads one message that is exactly `bytes`.
    ///
    /// Shape: version `u8`, type `u8`, length `u16` of it all, xid `u32`, the body. A HELLO or an error may bear
    /// any version, since they are sent before one is agreed on. Types that are not known are kept.
    ///
    /// # Errors
    /// Says what of which structure was wrong, and where.
    ///
    /// Source: OpenFlow 1.3.5 §7.1.
    pub fn decode(bytes: &[u8]) -> Result<(Xid, Self), DecodeError> {
        Self::decode_at(Reader::new(bytes, Part::Message), Nesting::Outermost)
    }

    /// Reads one message that is all of `r`; bundles must not nest.
    pub(super) fn decode_at(mut r: Reader<'_>, nesting: Nesting) -> Result<(Xid, Self), DecodeError> {
        let at = r.clone();
        let (version, message_type) = (r.u8()?, r.u8()?);
        let len = usize::from(r.u16()?);
        let xid = Xid(r.u32()?);
        if len != at.len() {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        if version != VERSION && !matches!(message_type, HELLO | ERROR) {
            return Err(at.error(Problem::BadVersion { found: version }));
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
            SET_CONFIG => Self::SetConfig(Wire::decode(r)?),
            PACKET_IN => Self::PacketIn(Wire::decode(r)?),
            FLOW_REMOVED => Self::FlowRemoved(Wire::decode(r)?),
            PORT_STATUS => Self::PortStatus(Wire::decode(r)?),
            PACKET_OUT => Self::PacketOut(Wire::decode(r)?),
            FLOW_MOD => Self::FlowMod(Wire::decode(r)?),
            GROUP_MOD => Self::GroupMod(Wire::decode(r)?),
            PORT_MOD => Self::PortMod(Wire::decode(r)?),
            MULTIPART_REQUEST => Self::MultipartRequest(Wire::decode(r)?),
            MULTIPART_REPLY => Self::MultipartReply(Wire::decode(r)?),
            BARRIER_REQUEST => Self::BarrierRequest,
            BARRIER_REPLY => Self::BarrierReply,
            ROLE_REQUEST => Self::RoleRequest(Wire::decode(r)?),
            ROLE_REPLY => Self::RoleReply(Wire::decode(r)?),
            METER_MOD => Self::MeterMod(Wire::decode(r)?),
            _ => Self::Unknown { message_type, body: r.rest().into() },
        })
    }

    /// Shape: experimenter `u32`, type `u32`, the rest by both.
    fn decode_experimenter(xid: Xid, r: &mut Reader<'_>, nesting: Nesting) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (experimenter, experimenter_type) = (r.u32()?, r.u32()?);
        match (experimenter, experimenter_type) {
            (OxmId::ONF, bundle::CONTROL | bundle::ADD) if nesting == Nesting::InBundle => {
                Err(at.error(Problem::BadType { found: experimenter_type }))
            }
            (OxmId::ONF, bundle::CONTROL) => Ok(Self::BundleControl(Wire::decode(r)?)),
            (OxmId::ONF, bundle::ADD) => Ok(Self::BundleAdd(BundleAdd::decode(xid, r)?)),
            _ => Ok(Self::Experimenter { experimenter, experimenter_type, body: r.rest().into() }),
        }
    }

    /// Its type in the header.
    #[must_use]
    pub fn message_type(&self) -> u8 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Error(_) => ERROR,
            Self::EchoRequest(_) => ECHO_REQUEST,
            Self::EchoReply(_) => ECHO_REPLY,
            Self::Experimenter { .. } | Self::BundleControl(_) | Self::BundleAdd(_) => EXPERIMENTER,
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
            Self::MultipartRequest(_) => MULTIPART_REQUEST,
            Self::MultipartReply(_) => MULTIPART_REPLY,
            Self::BarrierRequest => BARRIER_REQUEST,
            Self::BarrierReply => BARRIER_REPLY,
            Self::RoleRequest(_) => ROLE_REQUEST,
            Self::RoleReply(_) => ROLE_REPLY,
            Self::MeterMod(_) => METER_MOD,
            Self::Unknown { message_type, .. } => *message_type,
        }
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
        w.u8(if let Self::Hello(hello) = self { hello.version } else { VERSION });
        w.u8(self.message_type());
        w.u16(0);
        w.u32(xid.0);
        self.write_body(xid, w);
        w.patch_len(mark, 2);
    }

    fn write_body(&self, xid: Xid, w: &mut Writer<'_>) {
        match self {
            Self::Hello(hello) => hello.encode(w),
            Self::Error(error) => error.encode(w),
            Self::EchoRequest(bytes) | Self::EchoReply(bytes) => w.bytes(bytes),
            Self::Experimenter { experimenter, experimenter_type, body } => {
                w.u32(*experimenter);
                w.u32(*experimenter_type);
                w.bytes(body);
            }
            Self::FeaturesRequest | Self::GetConfigRequest | Self::BarrierRequest | Self::BarrierReply => {}
            Self::FeaturesReply(body) => body.encode(w),
            Self::GetConfigReply(body) | Self::SetConfig(body) => body.encode(w),
            Self::PacketIn(body) => body.encode(w),
            Self::FlowRemoved(body) => body.encode(w),
            Self::PortStatus(body) => body.encode(w),
            Self::PacketOut(body) => body.encode(w),
            Self::FlowMod(body) => body.encode(w),
            Self::GroupMod(body) => body.encode(w),
            Self::PortMod(body) => body.encode(w),
            Self::MultipartRequest(body) => body.encode(w),
            Self::MultipartReply(body) => body.encode(w),
            Self::RoleRequest(body) | Self::RoleReply(body) => body.encode(w),
            Self::MeterMod(body) => body.encode(w),
            Self::BundleControl(body) => {
                w.u32(OxmId::ONF);
                w.u32(bundle::CONTROL);
                body.encode(w);
            }
            Self::BundleAdd(body) => {
                w.u32(OxmId::ONF);
                w.u32(bundle::ADD);
                body.encode(xid, w);
            }
            Self::Unknown { body, .. } => w.bytes(body),
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
