//! Questions whose answers may take several messages.
//!
//! Types that are not known here are kept byte for byte. Answers are *reports*: unknown parts are kept.

mod flow;
mod group;
mod ipfix;
mod meter;
mod monitor;
mod port;
mod queue;
mod reply;
mod request;
mod table;
mod table_features;

pub use flow::{AggregateStats, FlowStats, FlowStatsRequest};
pub use group::{BucketCounter, GroupFeatures, GroupStats};
pub use ipfix::IpfixStats;
pub use meter::{MeterFeatures, MeterStats};
pub use monitor::{FlowEvent, FlowUpdate, MonitorFlags, MonitorRequest};
pub use port::PortStats;
pub use queue::{QueueStats, QueueStatsRequest};
pub use reply::{MultipartReply, MultipartReplyBody};
pub use request::{MultipartRequest, MultipartRequestBody};
pub use table::{Desc, TableStats};
pub use table_features::{CodePoint, FieldId, TableFeature, TableFeatureType, TableFeatures};

use crate::wire::{DecodeError, Mark, Reader, Wire, Writer};

pub(super) const DESC: u16 = 0;
pub(super) const FLOW: u16 = 1;
pub(super) const AGGREGATE: u16 = 2;
pub(super) const TABLE: u16 = 3;
pub(super) const PORT_STATS: u16 = 4;
pub(super) const QUEUE_STATS: u16 = 5;
pub(super) const GROUP_STATS: u16 = 6;
pub(super) const GROUP_DESC: u16 = 7;
pub(super) const GROUP_FEATURES: u16 = 8;
pub(super) const METER_STATS: u16 = 9;
pub(super) const METER_CONFIG: u16 = 10;
pub(super) const METER_FEATURES: u16 = 11;
pub(super) const TABLE_FEATURES: u16 = 12;
pub(super) const PORT_DESC: u16 = 13;
pub(super) const EXPERIMENTER: u16 = 0xffff;

/// ONF's type of flow monitors.
pub(super) const FLOW_MONITOR: u32 = 1870;
/// Nicira's type of what the bridge's IPFIX exporter counted.
pub(super) const IPFIX_BRIDGE: u32 = 3;
/// Nicira's type of what the IPFIX exporters of collector sets counted.
pub(super) const IPFIX_FLOW: u32 = 4;

/// OFPMPF_REQ_MORE and OFPMPF_REPLY_MORE: another message follows.
const MORE: u16 = 1;

/// Where the flags stand in a multipart message.
const MULTIPART_FLAGS_AT: usize = 10;

fn experimenter_header(experimenter: u32, experimenter_type: u32, w: &mut Writer<'_>) {
    w.u32(experimenter);
    w.u32(experimenter_type);
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
