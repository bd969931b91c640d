//! Which switches are served as learning switches, and how each is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use flowlib::types::DatapathId;
use tokio_util::sync::CancellationToken;

/// A switch that no node has, as `weir status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearningSwitch {
    /// Its datapath id.
    pub datapath: DatapathId,
    /// Where it connects from.
    pub peer: SocketAddr,
    /// Since when it is served.
    pub since: SystemTime,
    /// How many addresses are known of it.
    pub addresses: u64,
    /// How many packets it has shown.
    pub packet_ins: u64,
    /// How many flows were installed in it, one that has gone and come again counted twice.
    pub flows_installed: u64,
}

/// A learning switch's place, for as long as this lives.
#[derive(Debug)]
pub(in crate::openflow) struct LearnerSeat {
    /// Whose.
    pub(super) datapath: DatapathId,
    /// What is counted of it.
    pub(super) tally: Arc<Tally>,
    /// Set when a node has the datapath id by now: another kind of session is due.
    pub(super) known: CancellationToken,
}

/// What is counted of a learning switch: written by its session, read by whoever asks.
#[derive(Debug)]
pub(super) struct Tally {
    peer: SocketAddr,
    since: SystemTime,
    pub(super) addresses: AtomicU64,
    pub(super) packet_ins: AtomicU64,
    pub(super) flows_installed: AtomicU64,
}

/// The seats of all learning switches.
#[derive(Debug, Default)]
pub(in crate::openflow) struct LearnerSeats(HashMap<DatapathId, (Weak<Tally>, CancellationToken)>);

impl LearnerSeats {
    /// Takes a seat; `None` if a session sits there.
    pub(in crate::openflow) fn take(
        &mut self,
        datapath: DatapathId,
        peer: SocketAddr,
    ) -> Option<LearnerSeat> {
        if self.0.get(&datapath).is_some_and(|(sitter, _)| sitter.strong_count() > 0) {
            return None;
        }
        // Those who have left are swept out rather than room made for more.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, (sitter, _)| sitter.strong_count() > 0);
        }
        let zero = AtomicU64::default;
        let (addresses, packet_ins, flows_installed) = (zero(), zero(), zero());
        let tally =
            Arc::new(Tally { peer, since: SystemTime::now(), addresses, packet_ins, flows_installed });
        let known = CancellationToken::new();
        self.0.insert(datapath, (Arc::downgrade(&tally), known.clone()));
        Some(LearnerSeat { datapath, tally, known })
    }

    /// Sends away who sits at a datapath id that a node has now.
    pub(in crate::openflow) fn known(&mut self, datapath: DatapathId) {
        if let Some((_, known)) = self.0.remove(&datapath) {
            known.cancel();
        }
    }

    /// All that are served, by datapath id.
    pub(in crate::openflow) fn list(&self) -> Vec<LearningSwitch> {
        let mut all: Vec<_> =
            self.0.iter().filter_map(|(id, (tally, _))| tally.upgrade()?.read(*id)).collect();
        all.sort_by_key(|switch| switch.datapath);
        all
    }
}

impl Tally {
    fn read(&self, datapath: DatapathId) -> Option<LearningSwitch> {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Some(LearningSwitch {
            datapath,
            peer: self.peer,
            since: self.since,
            addresses: read(&self.addresses),
            packet_ins: read(&self.packet_ins),
            flows_installed: read(&self.flows_installed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_session_ends() {
        let (mut seats, datapath) = (LearnerSeats::default(), DatapathId(7));
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let seat = seats.take(datapath, peer).unwrap();
        assert!(seats.take(datapath, peer).is_none());
        assert_eq!(seats.list().len(), 1);
        seats.known(datapath);
        assert!(seat.known.is_cancelled());
        assert!(seats.take(datapath, peer).is_some());
        assert_eq!(seats.list(), []);
    }
}
