//! Answers to questions about what a switch holds.

use std::sync::Arc;

use super::body::{Body, Used};
use super::datapath::{Datapath, MAX_BANDS, N_TABLES};
use super::flows::Criteria;
use super::parts::Parts;
use crate::openflow::multipart::BucketCounter;
use crate::openflow::{
    AggregateStats, ErrorCode, FlowStatsRequest, GroupFeatures, GroupStats, MeterFeatures, MeterStats,
    MultipartReplyBody, PortStats, TableStats,
};
use crate::types::{GroupId, MeterId, PortNo, TableId, Xid};
use crate::wire::Writer;

type Answer = Result<MultipartReplyBody, ErrorCode>;

/// A life in milliseconds as seconds and nanoseconds.
pub(super) fn duration(now: u64, created: u64) -> (u32, u32) {
    let ms = now.saturating_sub(created);
    let seconds = u32::try_from(ms / 1000).unwrap_or(u32::MAX);
    (seconds, (ms % 1000) as u32 * 1_000_000)
}

/// What of a switch's flows is asked for.
fn criteria(request: FlowStatsRequest) -> Criteria {
    Criteria {
        table: request.table,
        cookie: request.cookie,
        cookie_mask: request.cookie_mask,
        out_port: request.out_port,
        out_group: request.out_group,
        flow_match: request.flow_match,
    }
}

impl Datapath {
    /// The flows that are asked for, encoded.
    pub(super) fn dump(&self, xid: Xid, request: FlowStatsRequest, now: u64) -> Vec<u8> {
        let criteria = criteria(request);
        let mut parts = Parts::new(xid, MultipartReplyBody::Flow(Vec::new()));
        for body in self.flows.select(&criteria) {
            let created = self.flows.created(body);
            parts.item(|out| write_stats(out, body, duration(now, created)));
        }
        parts.finish()
    }

    /// How many flows there are of those that are asked for.
    pub(super) fn aggregate(&self, request: FlowStatsRequest) -> MultipartReplyBody {
        let n = self.flows.select(&criteria(request)).count();
        let flow_count = u32::try_from(n).unwrap_or(u32::MAX);
        MultipartReplyBody::Aggregate(AggregateStats { packet_count: 0, byte_count: 0, flow_count })
    }

    pub(super) fn tables(&self) -> MultipartReplyBody {
        let stats = |table| TableStats {
            table,
            active_count: self.flows.n_in(table),
            lookup_count: 0,
            matched_count: 0,
        };
        MultipartReplyBody::Table((0..N_TABLES).map(|number| stats(TableId(number))).collect())
    }

    pub(super) fn port_descriptions(&self) -> MultipartReplyBody {
        MultipartReplyBody::PortDesc(self.ports.values().copied().collect())
    }

    /// No packet ever passes a port.
    pub(super) fn port_stats(&self, wanted: PortNo, now: u64) -> MultipartReplyBody {
        let (duration_s, duration_ns) = duration(now, 0);
        let stats = |port: &PortNo| PortStats {
            port: *port,
            rx_packets: 0,
            tx_packets: 0,
            rx_bytes: 0,
            tx_bytes: 0,
            rx_dropped: u64::MAX,
            tx_dropped: u64::MAX,
            rx_errors: u64::MAX,
            tx_errors: u64::MAX,
            rx_frame_errors: u64::MAX,
            rx_over_errors: u64::MAX,
            rx_crc_errors: u64::MAX,
            collisions: u64::MAX,
            duration_s,
            duration_ns,
        };
        let ports = self.ports.keys().filter(|port| wanted == PortNo::ANY || **port == wanted);
        MultipartReplyBody::PortStats(ports.map(stats).collect())
    }

    pub(super) fn group_descriptions(&self) -> MultipartReplyBody {
        MultipartReplyBody::GroupDesc(self.groups.values().map(|group| (*group.what).clone()).collect())
    }

    pub(super) fn group_stats(&self, wanted: GroupId, now: u64) -> MultipartReplyBody {
        let groups = self.groups.iter().filter(|(id, _)| wanted == GroupId::ALL || **id == wanted);
        let stats = groups.map(|(id, group)| {
            let (duration_s, duration_ns) = duration(now, group.created);
            GroupStats {
                group: *id,
                ref_count: self.flows.n_uses(Used::Group(*id)),
                packet_count: 0,
                byte_count: 0,
                duration_s,
                duration_ns,
                buckets: vec![NOTHING; group.what.buckets.len()],
            }
        });
        MultipartReplyBody::GroupStats(stats.collect())
    }

    pub(super) fn meters(&self, wanted: MeterId) -> Answer {
        let found: Vec<_> = self.wanted_meters(wanted)?;
        let meters = found.iter().map(|id| (*self.meters[id].what).clone());
        Ok(MultipartReplyBody::MeterConfig(meters.collect()))
    }

    pub(super) fn meter_stats(&self, wanted: MeterId, now: u64) -> Answer {
        let stats = self.wanted_meters(wanted)?.into_iter().map(|id| {
            let meter = &self.meters[&id];
            let (duration_s, duration_ns) = duration(now, meter.created);
            MeterStats {
                meter: id,
                flow_count: self.flows.n_uses(Used::Meter(id)),
                packet_in_count: 0,
                byte_in_count: 0,
                duration_s,
                duration_ns,
                bands: vec![NOTHING; meter.what.bands.len()],
            }
        });
        Ok(MultipartReplyBody::MeterStats(stats.collect()))
    }

    fn wanted_meters(&self, wanted: MeterId) -> Result<Vec<MeterId>, ErrorCode> {
        match wanted {
            MeterId::ALL => Ok(self.meters.keys().copied().collect()),
            id if self.meters.contains_key(&id) => Ok(vec![id]),
            _ => Err(ErrorCode::OFPMMFC_UNKNOWN_METER),
        }
    }
}

const NOTHING: BucketCounter = BucketCounter { packet_count: 0, byte_count: 0 };

/// What the groups of Open vSwitch 3.1 can do.
pub(super) const GROUP_FEATURES: GroupFeatures =
    GroupFeatures { types: 0xf, capabilities: 0x7, max_groups: [0xffff_ff00; 4], actions: [0x03ff_8001; 4] };

/// What the meters of Open vSwitch 3.1 can do in user space.
pub(super) const METER_FEATURES: MeterFeatures = MeterFeatures {
    max_meters: 262_144,
    band_types: 2,
    capabilities: 0xf,
    max_bands: MAX_BANDS as u8,
    max_color: 0,
};

/// Appends an entry of a dump.
///
/// Shape: see [`FlowStats`](crate::openflow::FlowStats).
fn write_stats(out: &mut Vec<u8>, body: &Arc<Body>, (seconds, nanoseconds): (u32, u32)) {
    let mut w = Writer::new(out);
    let mark = w.mark();
    w.u16(0);
    w.u8(body.table().0);
    w.zeros(1);
    w.u32(seconds);
    w.u32(nanoseconds);
    w.u16(body.priority().0);
    let (idle, hard) = body.timeouts();
    w.u16(idle);
    w.u16(hard);
    w.u16(body.flags().bits());
    w.zeros(4);
    w.u64(body.cookie().0);
    w.zeros(16);
    w.bytes(body.match_bytes());
    w.bytes(body.instruction_bytes());
    w.patch_len(mark, 0);
    w.finish().expect("its flow mod was as long");
}
