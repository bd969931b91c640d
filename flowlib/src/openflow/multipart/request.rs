//! What is asked in a multipart request.

use crate::openflow::oxm::OxmId;
use crate::types::{GroupId, MeterId, PortNo};
use crate::wire::{DecodeError, Part, Reader, Wire, Writer};

use super::*;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultipartRequest {
    /// OFPMPF_REQ_ bits.
    pub flags: u16,
    /// What is asked.
    pub body: MultipartRequestBody,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MultipartRequestBody {
    /// Who made the switch.
    Desc,
    /// Its flows.
    Flow(FlowStatsRequest),
    /// How many flows, and what they counted together.
    Aggregate(FlowStatsRequest),
    /// How full its tables are.
    Table,
    /// What a port counted; `PortNo::ANY`: every port.
    PortStats(PortNo),
    /// What queues counted.
    QueueStats(QueueStatsRequest),
    /// What a group counted; `GroupId::ALL`: every group.
    GroupStats(GroupId),
    /// Its groups.
    GroupDesc,
    /// What its groups can do.
    GroupFeatures,
    /// What a meter counted.
    MeterStats(MeterId),
    /// A meter.
    MeterConfig(MeterId),
    /// What its meters can do.
    MeterFeatures,
    /// What its tables can do; if not empty, what they should.
    TableFeatures(Vec<TableFeatures>),
    /// Its ports.
    PortDesc,
    /// Changes of its flows from now on.
    FlowMonitor(Vec<MonitorRequest>),
    /// What the bridge's IPFIX exporter counted.
    IpfixBridge,
    /// What the IPFIX exporters of collector sets counted.
    IpfixFlow,
    /// An experimenter's question that is not known here, byte for byte.
    Experimenter {
        /// Whose.
        experimenter: u32,
        /// Which.
        experimenter_type: u32,
        /// The rest.
        body: Box<[u8]>,
    },
    /// A type that is not known here, byte for byte.
    Unknown {
        /// The type.
        multipart_type: u16,
        /// All that follows type, flags and padding.
        body: Box<[u8]>,
    },
}

impl From<MultipartRequestBody> for MultipartRequest {
    fn from(body: MultipartRequestBody) -> Self {
        Self { flags: 0, body }
    }
}

impl MultipartRequest {
    /// Whether another part of the question follows.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }
}

impl MultipartRequestBody {
    /// Asks for every meter.
    #[must_use]
    pub fn all_meters() -> Self {
        Self::MeterConfig(MeterId::ALL)
    }

    fn multipart_type(&self) -> u16 {
        match self {
            Self::Desc => DESC,
            Self::Flow(_) => FLOW,
            Self::Aggregate(_) => AGGREGATE,
            Self::Table => TABLE,
            Self::PortStats(_) => PORT_STATS,
            Self::QueueStats(_) => QUEUE_STATS,
            Self::GroupStats(_) => GROUP_STATS,
            Self::GroupDesc => GROUP_DESC,
            Self::GroupFeatures => GROUP_FEATURES,
            Self::MeterStats(_) => METER_STATS,
            Self::MeterConfig(_) => METER_CONFIG,
            Self::MeterFeatures => METER_FEATURES,
            Self::TableFeatures(_) => TABLE_FEATURES,
            Self::PortDesc => PORT_DESC,
            Self::FlowMonitor(_) | Self::IpfixBridge | Self::IpfixFlow | Self::Experimenter { .. } => {
                EXPERIMENTER
            }
            Self::Unknown { multipart_type, .. } => *multipart_type,
        }
    }

    /// Shape: experimenter `u32`, its type `u32`, the rest by both.
    fn decode_experimenter(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (experimenter, experimenter_type) = (r.u32()?, r.u32()?);
        Ok(match (experimenter, experimenter_type) {
            (OxmId::ONF, FLOW_MONITOR) => Self::FlowMonitor(decode_list(r)?),
            (OxmId::NICIRA, IPFIX_BRIDGE) => Self::IpfixBridge,
            (OxmId::NICIRA, IPFIX_FLOW) => Self::IpfixFlow,
            _ => Self::Experimenter { experimenter, experimenter_type, body: r.rest().into() },
        })
    }
}

/// Shape: type `u16`, flags `u16`, 4 zeros, the rest by type.
///
/// Source: OpenFlow 1.3.5 §7.3.5.
impl Wire for MultipartRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        use MultipartRequestBody as Body;
        r.set_part(Part::Multipart);
        let (multipart_type, flags) = (r.u16()?, r.u16()?);
        r.skip(4)?;
        let body = match multipart_type {
            DESC => Body::Desc,
            FLOW => Body::Flow(Wire::decode(r)?),
            AGGREGATE => Body::Aggregate(Wire::decode(r)?),
            TABLE => Body::Table,
            PORT_STATS => Body::PortStats(PortNo(padded_u32(r)?)),
            QUEUE_STATS => Body::QueueStats(Wire::decode(r)?),
            GROUP_STATS => Body::GroupStats(GroupId(padded_u32(r)?)),
            GROUP_DESC => Body::GroupDesc,
            GROUP_FEATURES => Body::GroupFeatures,
            METER_STATS => Body::MeterStats(MeterId(padded_u32(r)?)),
            METER_CONFIG => Body::MeterConfig(MeterId(padded_u32(r)?)),
            METER_FEATURES => Body::MeterFeatures,
            TABLE_FEATURES => Body::TableFeatures(decode_list(r)?),
            PORT_DESC => Body::PortDesc,
            EXPERIMENTER => Body::decode_experimenter(r)?,
            _ => Body::Unknown { multipart_type, body: r.rest().into() },
        };
        Ok(Self { flags, body })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        use MultipartRequestBody as Body;
        w.u16(self.body.multipart_type());
        w.u16(self.flags);
        w.zeros(4);
        match &self.body {
            Body::Desc
            | Body::Table
            | Body::GroupDesc
            | Body::GroupFeatures
            | Body::MeterFeatures
            | Body::PortDesc => {}
            Body::Flow(body) | Body::Aggregate(body) => body.encode(w),
            Body::QueueStats(body) => body.encode(w),
            Body::PortStats(PortNo(number))
            | Body::GroupStats(GroupId(number))
            | Body::MeterStats(MeterId(number))
            | Body::MeterConfig(MeterId(number)) => {
                w.u32(*number);
                w.zeros(4);
            }
            Body::TableFeatures(list) => encode_list(list, w),
            Body::FlowMonitor(list) => {
                experimenter_header(OxmId::ONF, FLOW_MONITOR, w);
                encode_list(list, w);
            }
            Body::IpfixBridge => experimenter_header(OxmId::NICIRA, IPFIX_BRIDGE, w),
            Body::IpfixFlow => experimenter_header(OxmId::NICIRA, IPFIX_FLOW, w),
            Body::Experimenter { experimenter, experimenter_type, body } => {
                experimenter_header(*experimenter, *experimenter_type, w);
                w.bytes(body);
            }
            Body::Unknown { body, .. } => w.bytes(body),
        }
    }
}

fn padded_u32(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let number = r.u32()?;
    r.skip(4)?;
    Ok(number)
}
