//! What the sessions have sent and met, counted since the controller started.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::Counters;

/// A number that only grows.
#[derive(Clone, Debug)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
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
    /// Packets that switches showed.
    pub packet_ins: Count,
    /// Packets that switches showed and nobody had time for.
    pub packet_ins_dropped: Count,
}

impl Counts {
    /// The sessions' counters among all.
    #[must_use]
    pub fn among(all: &Counters) -> Self {
        let count = |name| Count(all.counter(name));
        Self {
            sessions: count("openflow_sessions"),
            refused_connections: count("openflow_connections_refused"),
            flow_mods_sent: count("flow_mods_sent"),
            flow_mods_refused: count("flow_mods_refused"),
            bundles_committed: count("bundles_committed"),
            segments_equal: count("segments_equal"),
            segments_mended: count("segments_mended"),
            packet_ins: count("packet_ins"),
            packet_ins_dropped: count("packet_ins_dropped"),
        }
    }
}
