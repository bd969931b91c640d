//! What the sessions have sent and met, counted since the controller started.

use crate::measure::{Counter, Gauge, Histogram, Metrics, Unit};

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Count(Counter);

impl Count {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }
}

/// One connection's part of a gauge that all add to; nothing when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    sum: Gauge,
    part: i64,
}

impl Share {
    pub(super) fn of(sum: &Gauge) -> Self {
        Self { sum: sum.clone(), part: 0 }
    }

    /// Makes this part so large.
    pub(super) fn set(&mut self, n: usize) {
        let part = i64::try_from(n).unwrap_or(i64::MAX);
        if part != self.part {
            self.sum.inc_by(part - self.part);
            self.part = part;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Counters that all sessions share.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Connections that became sessions.
    pub sessions: Count,
    /// Connections that were refused or broke a rule of the protocol.
    pub refused_connections: Count,
    /// Flow mods in bundles that were sent.
    pub flow_mods_sent: Count,
    /// Flow mods that switches refused.
    pub flow_mods_refused: Count,
    /// Bundles that were committed.
    pub bundles_committed: Count,
    /// Segments that a switch was found to hold as it should, when it connected.
    pub segments_equal: Count,
    /// Segments that were dumped and mended.
    pub segments_mended: Count,
    /// Segments that were compared with what they should be without a reason to doubt them.
    pub segments_audited: Count,
    /// Segments in which somebody else had changed something, which was put right.
    pub segments_repaired: Count,
    /// Changes of flows by others that switches reported.
    pub flows_changed_by_others: Count,
    /// Flows of no segment that were deleted.
    pub strange_flows_deleted: Count,
    /// Meters and groups that switches lacked, or had otherwise.
    pub fixtures_made: Count,
    /// Sessions that ended because the switch obeys a controller of a later term.
    pub sessions_deposed: Count,
    /// Packets that switches showed.
    pub packet_ins: Count,
    /// Packets that switches showed and nobody had time for.
    pub packet_ins_dropped: Count,
    /// Bytes that wait for slow switches.
    pub backlog: Gauge,
    /// What bundles took.
    pub bundle: Histogram,
}

impl Counts {
    /// The sessions' counters among all.
    #[must_use]
    pub fn among(all: &Metrics) -> Self {
        let count = |name, help| Count(all.counter(name, help));
        Self {
            sessions: count("openflow_sessions", "Connections that became sessions"),
            refused_connections: count(
                "openflow_connections_refused",
                "Connections of switches that were refused, or broke a rule of the protocol",
            ),
            flow_mods_sent: count("flow_mods_sent", "Flow mods in bundles that were sent"),
            flow_mods_refused: count("flow_mods_refused", "Flow mods that switches refused"),
            bundles_committed: count("bundles_committed", "Bundles that switches have committed"),
            segments_equal: count(
                "segments_equal",
                "Segments that a switch was found to hold as it should when it connected",
            ),
            segments_mended: count("segments_mended", "Segments that were dumped and mended"),
            segments_audited: count(
                "segments_audited",
                "Segments that were compared with what they should be without a reason to doubt them",
            ),
            segments_repaired: count(
                "segments_repaired",
                "Segments in which somebody else had changed something, which was put right",
            ),
            flows_changed_by_others: count(
                "flows_changed_by_others",
                "Changes of flows by others that switches reported",
            ),
            strange_flows_deleted: count("strange_flows_deleted", "Flows of no segment that were deleted"),
            fixtures_made: count("fixtures_made", "Meters and groups that switches lacked, or had otherwise"),
            sessions_deposed: count(
                "sessions_deposed",
                "Sessions that ended because the switch obeys a controller of a later term",
            ),
            packet_ins: count("packet_ins", "Packets that switches showed"),
            packet_ins_dropped: count(
                "packet_ins_dropped",
                "Packets that switches showed and nobody had time for",
            ),
            backlog: all.gauge("openflow_backlog", "Bytes that wait for slow switches", Unit::Bytes),
            bundle: all.times("bundle", "From handing a bundle to the socket to its confirmed commit"),
        }
    }
}
