//! Questions whose answers may take several messages.
//!
//! Types that are not known here are kept byte for byte. Answers are *reports*: unknown parts are kept.

mod flow;
mod port;
mod table;

pub use flow::{AggregateStats, FlowStats, FlowStatsRequest};
pub use port::PortStats;
pub use table::{Desc, TableStats};

use crate::types::{GroupId, MeterId, PortNo};
use crate::wire::{DecodeError, Part, Reader, Wire, Writer};

use super::group::Group;
use super::meter::Meter;
use super::port::Port;

const DESC: u16 = 0;
const FLOW: u16 = 1;
const AGGREGATE: u16 = 2;
const TABLE: u16 = 3;
const PORT_STATS: u16 = 4;
const GROUP_STATS: u16 = 6;
const GROUP_DESC: u16 = 7;
const METER_STATS: u16 = 9;
const METER_CONFIG: u16 = 10;
const PORT_DESC: u16 = 13;

/// OFPMPF_REQ_MORE and OFPMPF_REPLY_MORE: another message follows.
const MORE: u16 = 1;

/// OFPM_ALL: every meter.
const ALL_METERS: MeterId = MeterId(0xffff_ffff);

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
    /// What a group counted; `GroupId::ALL`: every group.
    GroupStats(GroupId),
    /// Its groups.
    GroupDesc,
    /// What a meter counted.
    MeterStats(MeterId),
    /// A meter.
    MeterConfig(MeterId),
    /// Its ports.
    PortDesc,
    /// Anything else, byte for byte.
    Unknown {
        /// The type: 0xffff for an experimenter's.
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

impl MultipartRequestBody {
    /// Asks for every meter.
    #[must_use]
    pub fn all_meters() -> Self {
        Self::MeterConfig(ALL_METERS)
    }

    fn multipart_type(&self) -> u16 {
        match self {
            Self::Desc => DESC,
            Self::Flow(_) => FLOW,
            Self::Aggregate(_) => AGGREGATE,
            Self::Table => TABLE,
            Self::PortStats(_) => PORT_STATS,
            Self::GroupStats(_) => GROUP_STATS,
            Self::GroupDesc => GROUP_DESC,
            Self::MeterStats(_) => METER_STATS,
            Self::MeterConfig(_) => METER_CONFIG,
            Self::PortDesc => PORT_DESC,
            Self::Unknown { multipart_type, .. } => *multipart_type,
        }
    }
}

/// Shape: type `u16`, flags `u16`, 4 zeros, the rest by type.
///
/// Source: OpenFlow 1.3.5 §7.3.5.
impl Wire for MultipartRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Multipart);
        let (multipart_type, flags) = (r.u16()?, r.u16()?);
        r.skip(4)?;
        let body = match multipart_type {
            DESC => MultipartRequestBody::Desc,
            FLOW => MultipartRequestBody::Flow(Wire::decode(r)?),
            AGGREGATE => MultipartRequestBody::Aggregate(Wire::decode(r)?),
            TABLE => MultipartRequestBody::Table,
            PORT_STATS => MultipartRequestBody::PortStats(PortNo(padded_u32(r)?)),
            GROUP_STATS => MultipartRequestBody::GroupStats(GroupId(padded_u32(r)?)),
            GROUP_DESC => MultipartRequestBody::GroupDesc,
            METER_STATS => MultipartRequestBody::MeterStats(MeterId(padded_u32(r)?)),
            METER_CONFIG => MultipartRequestBody::MeterConfig(MeterId(padded_u32(r)?)),
            PORT_DESC => MultipartRequestBody::PortDesc,
            _ => MultipartRequestBody::Unknown { multipart_type, body: r.rest().into() },
        };
        Ok(Self { flags, body })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.body.multipart_type());
        w.u16(self.flags);
        w.zeros(4);
        match &self.body {
            MultipartRequestBody::Desc
            | MultipartRequestBody::Table
            | MultipartRequestBody::GroupDesc
            | MultipartRequestBody::PortDesc => {}
            MultipartRequestBody::Flow(body) | MultipartRequestBody::Aggregate(body) => body.encode(w),
            MultipartRequestBody::PortStats(PortNo(number))
            | MultipartRequestBody::GroupStats(GroupId(number))
            | MultipartRequestBody::MeterStats(MeterId(number))
            | MultipartRequestBody::MeterConfig(MeterId(number)) => {
                w.u32(*number);
                w.zeros(4);
            }
            MultipartRequestBody::Unknown { body, .. } => w.bytes(body),
        }
    }
}

fn padded_u32(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let number = r.u32()?;
    r.skip(4)?;
    Ok(number)
}

/// One part of an answer, or several joined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultipartReply {
    /// OFPMPF_REPLY_ bits.
    pub flags: u16,
    /// What is answered.
    pub body: MultipartReplyBody,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MultipartReplyBody {
    /// Who made the switch.
    Desc(Box<Desc>),
    /// Its flows.
    Flow(Vec<FlowStats>),
    /// How many flows, and what they counted together.
    Aggregate(AggregateStats),
    /// How full its tables are.
    Table(Vec<TableStats>),
    /// What ports counted.
    PortStats(Vec<PortStats>),
    /// Groups.
    GroupDesc(Vec<Group>),
    /// Meters.
    MeterConfig(Vec<Meter>),
    /// Ports.
    PortDesc(Vec<Port>),
    /// Anything else, byte for byte.
    Unknown {
        /// The type: 0xffff for an experimenter's.
        multipart_type: u16,
        /// All that follows type, flags and padding.
        body: Vec<u8>,
    },
}

impl MultipartReply {
    /// Whether another part follows.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }

    /// Takes in the part that follows this one. A part of another type is given back.
    ///
    /// # Errors
    /// The part, if it cannot follow this one.
    pub fn join(&mut self, next: Self) -> Result<(), Self> {
        use MultipartReplyBody as Body;
        match (&mut self.body, next.body) {
            (Body::Flow(all), Body::Flow(more)) => all.extend(more),
            (Body::Table(all), Body::Table(more)) => all.extend(more),
            (Body::PortStats(all), Body::PortStats(more)) => all.extend(more),
            (Body::GroupDesc(all), Body::GroupDesc(more)) => all.extend(more),
            (Body::MeterConfig(all), Body::MeterConfig(more)) => all.extend(more),
            (Body::PortDesc(all), Body::PortDesc(more)) => all.extend(more),
            (
                Body::Unknown { multipart_type: one, body: all },
                Body::Unknown { multipart_type: other, body: more },
            ) if *one == other => {
                all.extend(more);
            }
            (_, body) => return Err(Self { flags: next.flags, body }),
        }
        self.flags = next.flags;
        Ok(())
    }
}

impl MultipartReplyBody {
    fn multipart_type(&self) -> u16 {
        match self {
            Self::Desc(_) => DESC,
            Self::Flow(_) => FLOW,
            Self::Aggregate(_) => AGGREGATE,
            Self::Table(_) => TABLE,
            Self::PortStats(_) => PORT_STATS,
            Self::GroupDesc(_) => GROUP_DESC,
            Self::MeterConfig(_) => METER_CONFIG,
            Self::PortDesc(_) => PORT_DESC,
            Self::Unknown { multipart_type, .. } => *multipart_type,
        }
    }
}

/// Shape: type `u16`, flags `u16`, 4 zeros, the rest by type.
///
/// Source: OpenFlow 1.3.5 §7.3.5.
impl Wire for MultipartReply {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Multipart);
        let (multipart_type, flags) = (r.u16()?, r.u16()?);
        r.skip(4)?;
        let body = match multipart_type {
            DESC => MultipartReplyBody::Desc(Box::new(Wire::decode(r)?)),
            FLOW => MultipartReplyBody::Flow(decode_list(r)?),
            AGGREGATE => MultipartReplyBody::Aggregate(Wire::decode(r)?),
            TABLE => MultipartReplyBody::Table(decode_list(r)?),
            PORT_STATS => MultipartReplyBody::PortStats(decode_list(r)?),
            GROUP_DESC => MultipartReplyBody::GroupDesc(decode_list(r)?),
            METER_CONFIG => MultipartReplyBody::MeterConfig(decode_list(r)?),
            PORT_DESC => MultipartReplyBody::PortDesc(decode_list(r)?),
            _ => MultipartReplyBody::Unknown { multipart_type, body: r.rest().to_vec() },
        };
        Ok(Self { flags, body })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.body.multipart_type());
        w.u16(self.flags);
        w.zeros(4);
        match &self.body {
            MultipartReplyBody::Desc(body) => body.encode(w),
            MultipartReplyBody::Flow(list) => encode_list(list, w),
            MultipartReplyBody::Aggregate(body) => body.encode(w),
            MultipartReplyBody::Table(list) => encode_list(list, w),
            MultipartReplyBody::PortStats(list) => encode_list(list, w),
            MultipartReplyBody::GroupDesc(list) => encode_list(list, w),
            MultipartReplyBody::MeterConfig(list) => encode_list(list, w),
            MultipartReplyBody::PortDesc(list) => encode_list(list, w),
            MultipartReplyBody::Unknown { body, .. } => w.bytes(body),
        }
    }
}

fn decode_list<T: Wire>(r: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        list.push(T::decode(r)?);
    }
    Ok(list)
}

fn encode_list<T: Wire>(list: &[T], w: &mut Writer<'_>) {
    for item in list {
        item.encode(w);
    }
}
