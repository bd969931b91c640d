//! Which kind of message bytes are, by their headers alone.
//!
//! Source: `include/openvswitch/ofp-msgs.h` of Open vSwitch 3.1, whose names and lengths these are.

use super::other_version;
use crate::openflow::oxm::OxmId;
use crate::openflow::{ErrorCode, HEADER_LEN, VERSION};

/// What follows the header decides over the kind: a type, or an experimenter and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A type of the header.
    Type(u8),
    /// A type of a multipart request.
    Request(u16),
    /// A type of a multipart reply.
    Reply(u16),
    /// An experimenter's message.
    Experimenter(u32, u32),
    /// An experimenter's multipart request.
    ExperimenterRequest(u32, u32),
    /// An experimenter's multipart reply.
    ExperimenterReply(u32, u32),
}

/// What is known of a kind of message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The kind.
    pub(super) kind: Kind,
    /// Its name as ovs-ofctl prints it.
    pub(super) name: &'static str,
    pub(super) versions: (u8, u8),
    pub(super) key: Key,
    /// The least length of its body.
    pub(super) min: usize,
    /// The body is longer than that by a multiple of this; 0: never.
    pub(super) step: usize,
}

/// The kinds of OpenFlow 1.3 messages that are printed by their parts, by the names that ovs-ofctl gives them.
pub fn message_names() -> impl Iterator<Item = &'static str> {
    let speaks = |entry: &&Entry| (entry.versions.0..=entry.versions.1).contains(&VERSION);
    ENTRIES.iter().filter(speaks).map(|entry| entry.name)
}

/// The headers of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers {
    /// What kind it is.
    pub(super) entry: &'static Entry,
    /// How many bytes they are.
    pub(super) len: usize,
    /// The flags, if it is a multipart message.
    pub(super) flags: Option<u16>,
}

macro_rules! kinds {
    ($($kind:ident $name:literal $versions:expr, $key:expr, $min:literal $(+ $step:literal)?;)*) => {
        /// A kind of message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $(#[doc = $name] $kind,)*
            /// A message of another version, of which only the headers are read.
            Unread,
        }

        const ENTRIES: &[Entry] = &[$(Entry {
            kind: Kind::$kind,
            name: $name,
            versions: $versions,
            key: $key,
            min: $min,
            step: 0 $(+ $step)?,
        },)*];
    };
}

const ALL: (u8, u8) = (1, 255);
/// OpenFlow 1.0 to 1.5.
const KNOWN: (u8, u8) = (1, 6);
const OF11: (u8, u8) = (2, 6);
const OF12: (u8, u8) = (3, 6);
const OF13: (u8, u8) = (4, 4);
const OF13_UP: (u8, u8) = (4, 6);
pub(super) const NX: u32 = OxmId::NICIRA;
const ONF: u32 = OxmId::ONF;

use Key::{Experimenter, ExperimenterReply, ExperimenterRequest, Reply, Request, Type};

kinds! {
    Hello "OFPT_HELLO" ALL, Type(0), 0 + 1;
    Error "OFPT_ERROR" ALL, Type(1), 4 + 1;
    EchoRequest "OFPT_ECHO_REQUEST" ALL, Type(2), 0 + 1;
    EchoReply "OFPT_ECHO_REPLY" ALL, Type(3), 0 + 1;
    FeaturesRequest "OFPT_FEATURES_REQUEST" KNOWN, Type(5), 0;
    FeaturesReply "OFPT_FEATURES_REPLY" OF13_UP, Type(6), 24;
    GetConfigRequest "OFPT_GET_CONFIG_REQUEST" KNOWN, Type(7), 0;
    GetConfigReply "OFPT_GET_CONFIG_REPLY" KNOWN, Type(8), 4;
    SetConfig "OFPT_SET_CONFIG" KNOWN, Type(9), 4;
    PacketIn "OFPT_PACKET_IN" OF13_UP, Type(10), 16 + 1;
    FlowRemoved "OFPT_FLOW_REMOVED" (4, 5), Type(11), 40 + 8;
    PortStatus "OFPT_PORT_STATUS" (2, 4), Type(12), 72;
    PacketOut "OFPT_PACKET_OUT" (2, 5), Type(13), 16 + 1;
    FlowMod "OFPT_FLOW_MOD" OF13, Type(14), 40 + 8;
    GroupMod "OFPT_GROUP_MOD" (4, 5), Type(15), 8 + 8;
    PortMod "OFPT_PORT_MOD" (2, 4), Type(16), 32;
    TableMod "OFPT_TABLE_MOD" OF13, Type(17), 8;
    BarrierRequest "OFPT_BARRIER_REQUEST" OF11, Type(20), 0;
    BarrierReply "OFPT_BARRIER_REPLY" OF11, Type(21), 0;
    QueueGetConfigRequest "OFPT_QUEUE_GET_CONFIG_REQUEST" (2, 4), Type(22), 8;
    QueueGetConfigReply "OFPT_QUEUE_GET_CONFIG_REPLY" (3, 4), Type(23), 8 + 8;
    RoleRequest "OFPT_ROLE_REQUEST" (3, 5), Type(24), 16;
    RoleReply "OFPT_ROLE_REPLY" (3, 5), Type(25), 16;
    GetAsyncRequest "OFPT_GET_ASYNC_REQUEST" OF13_UP, Type(26), 0;
    GetAsyncReply "OFPT_GET_ASYNC_REPLY" OF13, Type(27), 24;
    SetAsync "OFPT_SET_ASYNC" OF13, Type(28), 24;
    MeterMod "OFPT_METER_MOD" OF13_UP, Type(29), 8 + 8;

    DescRequest "OFPST_DESC request" KNOWN, Request(0), 0;
    DescReply "OFPST_DESC reply" KNOWN, Reply(0), 1056;
    FlowStatsRequest "OFPST_FLOW request" OF12, Request(1), 32 + 8;
    FlowStatsReply "OFPST_FLOW reply" (4, 5), Reply(1), 0 + 1;
    AggregateRequest "OFPST_AGGREGATE request" OF12, Request(2), 32 + 8;
    AggregateReply "OFPST_AGGREGATE reply" (2, 5), Reply(2), 24;
    TableStatsRequest "OFPST_TABLE request" KNOWN, Request(3), 0;
    TableStatsReply "OFPST_TABLE reply" OF13_UP, Reply(3), 0 + 24;
    PortStatsRequest "OFPST_PORT request" OF11, Request(4), 8;
    PortStatsReply "OFPST_PORT reply" OF13, Reply(4), 0 + 112;
    QueueStatsRequest "OFPST_QUEUE request" OF11, Request(5), 8;
    QueueStatsReply "OFPST_QUEUE reply" OF13, Reply(5), 0 + 40;
    GroupStatsRequest "OFPST_GROUP request" OF11, Request(6), 8;
    GroupStatsReply "OFPST_GROUP reply" OF13_UP, Reply(6), 0 + 8;
    GroupDescRequest "OFPST_GROUP_DESC request" (2, 5), Request(7), 0;
    GroupDescReply "OFPST_GROUP_DESC reply" OF13, Reply(7), 0 + 8;
    GroupFeaturesRequest "OFPST_GROUP_FEATURES request" OF12, Request(8), 0;
    GroupFeaturesReply "OFPST_GROUP_FEATURES reply" OF13_UP, Reply(8), 40;
    MeterStatsRequest "OFPST_METER request" OF13_UP, Request(9), 8;
    MeterStatsReply "OFPST_METER reply" OF13_UP, Reply(9), 0 + 8;
    MeterConfigRequest "OFPST_METER_CONFIG request" OF13_UP, Request(10), 8;
    MeterConfigReply "OFPST_METER_CONFIG reply" OF13_UP, Reply(10), 0 + 8;
    MeterFeaturesRequest "OFPST_METER_FEATURES request" OF13_UP, Request(11), 0;
    MeterFeaturesReply "OFPST_METER_FEATURES reply" OF13_UP, Reply(11), 16;
    TableFeaturesRequest "OFPST_TABLE_FEATURES request" OF13, Request(12), 0 + 8;
    TableFeaturesReply "OFPST_TABLE_FEATURES reply" OF13, Reply(12), 64 + 8;
    PortDescRequest "OFPST_PORT_DESC request" (1, 5), Request(13), 0;
    PortDescReply "OFPST_PORT_DESC reply" (2, 4), Reply(13), 0 + 64;

    NxRoleRequest "NXT_ROLE_REQUEST" KNOWN, Experimenter(NX, 10), 4;
    NxRoleReply "NXT_ROLE_REPLY" KNOWN, Experimenter(NX, 11), 4;
    NxFlowMod "NXT_FLOW_MOD" OF13, Experimenter(NX, 13), 32 + 8;
    NxFlowRemoved "NXT_FLOW_REMOVED" OF13, Experimenter(NX, 14), 40 + 8;
    FlowModTableId "NXT_FLOW_MOD_TABLE_ID" KNOWN, Experimenter(NX, 15), 8;
    SetPacketInFormat "NXT_SET_PACKET_IN_FORMAT" KNOWN, Experimenter(NX, 16), 4;
    NxPacketIn "NXT_PACKET_IN" OF13, Experimenter(NX, 17), 24 + 1;
    FlowAge "NXT_FLOW_AGE" KNOWN, Experimenter(NX, 18), 0;
    NxSetAsyncConfig "NXT_SET_ASYNC_CONFIG" OF13, Experimenter(NX, 19), 24;
    SetControllerId "NXT_SET_CONTROLLER_ID" KNOWN, Experimenter(NX, 20), 8;
    TlvTableMod "NXT_TLV_TABLE_MOD" KNOWN, Experimenter(NX, 24), 8 + 8;
    TlvTableRequest "NXT_TLV_TABLE_REQUEST" KNOWN, Experimenter(NX, 25), 0;
    TlvTableReply "NXT_TLV_TABLE_REPLY" KNOWN, Experimenter(NX, 26), 16 + 8;
    NxSetAsyncConfig2 "NXT_SET_ASYNC_CONFIG2" OF13, Experimenter(NX, 27), 0 + 8;
    Resume "NXT_RESUME" OF13, Experimenter(NX, 28), 0 + 8;
    CtFlushZone "NXT_CT_FLUSH_ZONE" KNOWN, Experimenter(NX, 29), 8;
    PacketIn2 "NXT_PACKET_IN2" OF13, Experimenter(NX, 30), 0 + 8;
    CtFlush "NXT_CT_FLUSH" KNOWN, Experimenter(NX, 32), 8 + 8;
    MonitorCancel "ONFT_FLOW_MONITOR_CANCEL" OF13, Experimenter(ONF, 1870), 4;
    MonitorPaused "ONFT_FLOW_MONITOR_PAUSED" OF13, Experimenter(ONF, 1871), 0;
    MonitorResumed "ONFT_FLOW_MONITOR_RESUMED" OF13, Experimenter(ONF, 1872), 0;
    RoleStatus "ONFT_ROLE_STATUS" OF13, Experimenter(ONF, 1911), 16 + 8;
    BundleControl "ONFT_BUNDLE_CONTROL" OF13, Experimenter(ONF, 2300), 8 + 8;
    BundleAdd "ONFT_BUNDLE_ADD_MESSAGE" OF13, Experimenter(ONF, 2301), 8 + 1;
    RequestForward "ONFT_REQUESTFORWARD" OF13, Experimenter(ONF, 2350), 8 + 8;
    IpfixBridgeRequest "NXST_IPFIX_BRIDGE request" OF11, ExperimenterRequest(NX, 3), 0;
    IpfixBridgeReply "NXST_IPFIX_BRIDGE reply" OF13_UP, ExperimenterReply(NX, 3), 88;
    IpfixFlowRequest "NXST_IPFIX_FLOW request" OF11, ExperimenterRequest(NX, 4), 0;
    IpfixFlowReply "NXST_IPFIX_FLOW reply" OF13_UP, ExperimenterReply(NX, 4), 0 + 88;
    MonitorRequest "ONFST_FLOW_MONITOR request" OF13, ExperimenterRequest(ONF, 1870), 0 + 8;
    MonitorReply "ONFST_FLOW_MONITOR reply" OF13, ExperimenterReply(ONF, 1870), 0 + 8;
}

const EXPERIMENTER: u8 = 4;
const EXPERIMENTER_MULTIPART: u16 = 0xffff;

/// A big-endian number of two bytes, if there are two.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// A big-endian number of four bytes, if there are four.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The types that multipart requests and replies have in a version's headers. Source: OpenFlow 1.0.2 §5.1.
fn multipart_types(version: u8) -> (u8, u8) {
    if version == 1 { (16, 17) } else { (18, 19) }
}

impl Headers {
    /// Reads the headers of a message that may be cut off behind them.
    ///
    /// # Errors
    /// What ovs-ofctl says of bytes that are no message it knows.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ErrorCode> {
        let [version, message_type, ..] = *bytes else { return Err(ErrorCode::OFPBRC_BAD_LEN) };
        let (request, reply) = multipart_types(version);
        let number = |at| u32_at(bytes, at).ok_or(ErrorCode::OFPBRC_BAD_LEN);
        let (key, len, flags) = match message_type {
            EXPERIMENTER => {
                let (who, what) = (number(8)?, number(12)?);
                (Experimenter(known(who)?, what), 16, None)
            }
            other if other == request || other == reply => {
                Self::read_multipart(bytes, version, other == request)?
            }
            other => (Type(other), HEADER_LEN, None),
        };
        let entry = ENTRIES.iter().chain(other_version::ENTRIES).find(|entry| {
            let (first, last) = entry.versions;
            entry.key == key && first <= version && version <= last
        });
        match entry {
            Some(entry) => Ok(Self { entry, len, flags }),
            None => Err(unknown(key, version)),
        }
    }

    fn read_multipart(
        bytes: &[u8],
        version: u8,
        is_request: bool,
    ) -> Result<(Key, usize, Option<u16>), ErrorCode> {
        // OpenFlow 1.0 has no padding behind type and flags.
        let len = if version == 1 { 12 } else { 16 };
        let (Some(multipart_type), Some(flags), true) =
            (u16_at(bytes, 8), u16_at(bytes, 10), bytes.len() >= len)
        else {
            return Err(ErrorCode::OFPBRC_BAD_LEN);
        };
        let (key, len) = if multipart_type == EXPERIMENTER_MULTIPART {
            let number = |at| u32_at(bytes, at).ok_or(ErrorCode::OFPBRC_BAD_LEN);
            let (who, what) = (number(len)?, number(len + 4)?);
            let who = known(who)?;
            let key = if is_request { ExperimenterRequest(who, what) } else { ExperimenterReply(who, what) };
            (key, len + 8)
        } else {
            (if is_request { Request(multipart_type) } else { Reply(multipart_type) }, len)
        };
        Ok((key, len, Some(flags)))
    }

    /// Checks that a message may be `len` bytes long.
    ///
    /// # Errors
    /// `OFPBRC_BAD_LEN`.
    pub(super) fn check_len(&self, len: usize) -> Result<(), ErrorCode> {
        let Entry { min, step, .. } = *self.entry;
        match len.checked_sub(self.len + min) {
            Some(0) => Ok(()),
            Some(more) if step != 0 && more.is_multiple_of(step) => Ok(()),
            _ => Err(ErrorCode::OFPBRC_BAD_LEN),
        }
    }
}

/// The experimenter, if it is one that has messages in the list.
fn known(experimenter: u32) -> Result<u32, ErrorCode> {
    if matches!(experimenter, NX | ONF) { Ok(experimenter) } else { Err(ErrorCode::OFPBRC_BAD_VENDOR) }
}

/// What is wrong with a message that is not in the list.
fn unknown(key: Key, version: u8) -> ErrorCode {
    match key {
        Request(_) | Reply(_) if (1..=6).contains(&version) => ErrorCode::OFPBRC_BAD_STAT,
        Type(_) | Request(_) | Reply(_) => ErrorCode::OFPBRC_BAD_TYPE,
        Experimenter(..) | ExperimenterRequest(..) | ExperimenterReply(..) => ErrorCode::OFPBRC_BAD_SUBTYPE,
    }
}
