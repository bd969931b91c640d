//! The segments as they are now, and which switch should hold which: written by the network's task, read by the
//! sessions.
//!
//! A change wakes the sessions it concerns and does not queue: a session looks up what has changed since the version
//! it applied, so that a slow switch is sent the sum of what it missed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use flowlib::openflow::Flow;
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::segment::{Segment, Step, ledger};
use flowlib::types::{DatapathId, NodeId};
use rayon::prelude::*;
use tokio::sync::watch;

use super::complaints::Complaints;
use super::learning::{LearnerSeat, LearnerSeats, LearningSwitch};
use super::turns::Turns;

/// So many segments have changed before another processor would have begun to help.
const FEW: usize = 64;

/// What all sessions share. Copies are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Board {
    inner: Arc<RwLock<Inner>>,
    complaints: Complaints,
    turns: Turns,
}

#[derive(Debug, Default)]
struct Inner {
    /// The intent's revision that the segments hold.
    revision: u64,
    /// Where the versions of the next new segment begin.
    next_version: u64,
    segments: HashMap<SegmentId, Segment>,
    /// The intent's revision at which a segment changed last.
    changed_at: HashMap<SegmentId, u64>,
    nodes: HashMap<NodeId, Seat>,
    datapaths: HashMap<DatapathId, NodeId>,
    /// Which nodes should hold a segment.
    holders: HashMap<SegmentId, BTreeSet<NodeId>>,
    learners: LearnerSeats,
}

#[derive(Debug)]
struct Seat {
    datapath: DatapathId,
    /// The session that sits here, if any.
    sitter: Weak<()>,
    segments: BTreeSet<SegmentId>,
    changed: watch::Sender<()>,
    /// The revision that concerned it last.
    concerned: u64,
    /// The revision that its switch has confirmed.
    settled: AtomicU64,
}

/// How far switches are behind what is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Switches that are being served.
    pub connected: usize,
    /// Those of them that have not confirmed all that concerns them.
    pub behind: usize,
    /// Segments that have changed since their switches confirmed them, counted once for each switch.
    pub dirty_segments: usize,
    /// How many revisions the one furthest behind has to go.
    pub lag: u64,
}

/// What a change of the intent comes to.
#[derive(Debug, Default)]
pub struct Update {
    /// The datapath ids of nodes that are new or have another; `None` for a node that is no more.
    pub seats: Vec<(NodeId, Option<DatapathId>)>,
    /// What adds the new flows of owners, by segment.
    pub segments: BTreeMap<SegmentId, Vec<(Owner, Vec<Step>)>>,
    /// Segments that are no more, or begin from nothing: they go before the new flows come.
    pub dropped: Vec<SegmentId>,
    /// The segments of nodes for which they changed; empty for a node that is no more.
    pub subscriptions: BTreeMap<NodeId, BTreeSet<SegmentId>>,
}

impl Update {
    /// Gives an owner new flows in a segment: the steps that add them.
    pub fn give(&mut self, segment: SegmentId, owner: Owner, steps: Vec<Step>) {
        self.segments.entry(segment).or_default().push((owner, steps));
    }

    /// With new flows of owners in a segment.
    #[must_use]
    pub fn with(mut self, segment: SegmentId, owners: impl IntoIterator<Item = (Owner, Vec<Flow>)>) -> Self {
        for (owner, flows) in owners {
            self.give(segment, owner, Step::add_all(segment, owner, flows));
        }
        self
    }
}

/// Why a session gets no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSeat {
    /// No node has that datapath id.
    #[error("no node of any pool has the datapath id {0}; is its agent registered?")]
    Unknown(DatapathId),
    /// Another connection of that datapath id is being served: if it is dead, its echoes will tell.
    #[error("the datapath id {0} is connected already")]
    Taken(DatapathId),
}

/// A session's place, for as long as this lives.
#[derive(Debug)]
pub struct Seated {
    /// Whose switch it serves.
    pub node: NodeId,
    /// Keeps others away.
    _sitter: Arc<()>,
    /// Marked changed whenever what the switch should hold changes; closes when the node is no more.
    pub changed: watch::Receiver<()>,
}

/// What one switch should hold, with the intent's revision at which that is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The intent's revision.
    pub revision: u64,
    /// Its segments.
    pub segments: BTreeSet<SegmentId>,
}

impl Board {
    /// Takes the seat of the node that has that datapath id.
    ///
    /// # Errors
    /// There is no such node, or somebody sits there: two sessions would undo each other's work.
    pub fn seat(&self, datapath: DatapathId) -> Result<Seated, NoSeat> {
        self.write(|inner| {
            let node = *inner.datapaths.get(&datapath).ok_or(NoSeat::Unknown(datapath))?;
            let seat = inner.nodes.get_mut(&node).ok_or(NoSeat::Unknown(datapath))?;
            if seat.sitter.strong_count() > 0 {
                return Err(NoSeat::Taken(datapath));
            }
            let sitter = Arc::new(());
            seat.sitter = Arc::downgrade(&sitter);
            seat.settled.store(0, Ordering::Relaxed);
            Ok(Seated { node, _sitter: sitter, changed: seat.changed.subscribe() })
        })
    }

    /// Takes a seat for a learning switch.
    ///
    /// # Errors
    /// Somebody sits there, or a node has that datapath id by now.
    pub(super) fn seat_learner(&self, datapath: DatapathId, peer: SocketAddr) -> Result<LearnerSeat, NoSeat> {
        self.write(|inner| {
            let is_known = inner.datapaths.contains_key(&datapath);
            (!is_known).then(|| inner.learners.take(datapath, peer)).flatten().ok_or(NoSeat::Taken(datapath))
        })
    }

    /// The learning switches that are served, by datapath id.
    #[must_use]
    pub fn learning(&self) -> Vec<LearningSwitch> {
        self.read(|inner| inner.learners.list())
    }

    /// What is wrong with switches.
    #[must_use]
    pub fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    /// Whose turn it is to be looked at and filled.
    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The intent's revision that the segments hold.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.read(|inner| inner.revision)
    }

    /// What a node's switch should hold.
    #[must_use]
    pub fn wanted(&self, node: NodeId) -> Wanted {
        self.read(|inner| Wanted {
            revision: inner.revision,
            segments: inner.nodes.get(&node).map(|seat| seat.segments.clone()).unwrap_or_default(),
        })
    }

    /// A node's switch has confirmed all that concerns it, up to a revision.
    pub fn settled(&self, node: NodeId, revision: u64) {
        self.read(|inner| {
            if let Some(seat) = inner.nodes.get(&node) {
                seat.settled.store(revision, Ordering::Relaxed);
            }
        });
    }

    /// How far switches are behind. Takes time in proportion to the nodes.
    #[must_use]
    pub fn load(&self) -> Load {
        self.read(|inner| {
            let mut load = Load::default();
            for seat in inner.nodes.values().filter(|seat| seat.sitter.strong_count() > 0) {
                load.connected += 1;
                let settled = seat.settled.load(Ordering::Relaxed);
                if settled < seat.concerned {
                    load.behind += 1;
                    load.lag = load.lag.max(inner.revision - settled);
                    let changed_at = |id: &&SegmentId| inner.changed_at.get(id).copied().unwrap_or_default();
                    load.dirty_segments += seat.segments.iter().filter(|id| changed_at(id) > settled).count();
                }
            }
            load
        })
    }

    /// Looks at a segment; `look` must be short.
    pub fn with_segment<T>(&self, id: SegmentId, look: impl FnOnce(&Segment) -> T) -> Option<T> {
        self.read(|inner| inner.segments.get(&id).map(look))
    }

    /// The flows that a segment comes to in a switch, sorted: its own, and its row.
    #[must_use]
    pub fn flows(&self, id: SegmentId) -> Vec<Flow> {
        let copy = |segment: &Segment| {
            let row = ledger::row(id, segment.digest());
            segment.steps().map(|step| step.flow()).chain([row]).collect()
        };
        let mut flows: Vec<Flow> = self.with_segment(id, copy).unwrap_or_default();
        flows.sort_unstable();
        flows
    }

    /// Takes over what was compiled from the intent up to `revision`, and wakes whom it concerns.
    pub fn publish(&self, revision: u64, update: Update) {
        self.write(|inner| {
            inner.revision = revision;
            // Only together with what a node should hold: a session would take everything away that is not wanted.
            let (new, gone): (Vec<_>, Vec<_>) = update.seats.into_iter().partition(|(_, id)| id.is_some());
            for (node, datapath) in new {
                inner.seat_node(node, datapath);
            }
            let mut concerned: BTreeSet<NodeId> = BTreeSet::new();
            for (node, segments) in update.subscriptions {
                inner.subscribe(node, segments);
                concerned.insert(node);
            }
            for id in update.dropped {
                inner.changed_at.remove(&id);
                if let Some(segment) = inner.segments.remove(&id) {
                    inner.next_version = inner.next_version.max(segment.version() + 1);
                }
            }
            for (id, changed) in inner.replace_all(update.segments) {
                // Somebody may wait to hear that the node's own switch has taken in a change that came to nothing.
                if let SegmentId::Node(node) = id {
                    concerned.insert(node);
                } else if changed {
                    concerned.extend(inner.holders.get(&id).into_iter().flatten());
                }
            }
            for node in concerned {
                if let Some(seat) = inner.nodes.get_mut(&node) {
                    seat.concerned = revision;
                    seat.changed.send_replace(());
                }
            }
            for (node, _) in gone {
                inner.seat_node(node, None);
            }
        });
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    /// Puts a node's datapath id in force, or (`None`) forgets the node.
    fn seat_node(&mut self, node: NodeId, datapath: Option<DatapathId>) {
        if self.nodes.get(&node).map(|seat| seat.datapath) == datapath {
            return;
        }
        let before = self.nodes.remove(&node);
        // A node of the same name may have come in its place.
        if let Some(before) = &before
            && self.datapaths.get(&before.datapath) == Some(&node)
        {
            self.datapaths.remove(&before.datapath);
        }
        match datapath {
            Some(datapath) => {
                let segments = before.map(|seat| seat.segments).unwrap_or_default();
                let changed = watch::Sender::new(());
                let (sitter, concerned, settled) = (Weak::new(), self.revision, AtomicU64::new(0));
                self.nodes.insert(node, Seat { datapath, sitter, segments, changed, concerned, settled });
                self.datapaths.insert(datapath, node);
                self.learners.known(datapath);
            }
            None => {
                for id in before.into_iter().flat_map(|seat| seat.segments) {
                    self.release(id, node);
                }
            }
        }
    }

    fn release(&mut self, id: SegmentId, node: NodeId) {
        if let Some(holders) = self.holders.get_mut(&id) {
            holders.remove(&node);
            if holders.is_empty() {
                self.holders.remove(&id);
            }
        }
    }

    fn subscribe(&mut self, node: NodeId, segments: BTreeSet<SegmentId>) {
        let Some(seat) = self.nodes.get_mut(&node) else { return };
        let before = std::mem::replace(&mut seat.segments, segments.clone());
        for left in before.difference(&segments) {
            self.release(*left, node);
        }
        for id in segments {
            self.holders.entry(id).or_default().insert(node);
        }
    }

    /// Gives owners their new flows; of each segment, whether that changed it.
    fn replace_all(
        &mut self,
        owners: BTreeMap<SegmentId, Vec<(Owner, Vec<Step>)>>,
    ) -> Vec<(SegmentId, bool)> {
        let first = self.next_version;
        let mut take = |id| self.segments.remove(&id).unwrap_or_else(|| super::segments::empty(id, first));
        let taken: Vec<_> = owners.into_iter().map(|(id, owners)| (take(id), owners)).collect();
        // Segments have nothing to do with each other.
        let replaced: Vec<_> = if taken.len() > FEW {
            taken.into_par_iter().map(replace).collect()
        } else {
            taken.into_iter().map(replace).collect()
        };
        let mut all = Vec::with_capacity(replaced.len());
        for (segment, is_other) in replaced {
            let id = segment.id();
            if is_other {
                self.changed_at.insert(id, self.revision);
            }
            self.segments.insert(id, segment);
            all.push((id, is_other));
        }
        all
    }
}

/// Gives owners their new flows; whether that changed the segment.
fn replace((mut segment, owners): (Segment, Vec<(Owner, Vec<Step>)>)) -> (Segment, bool) {
    let before = segment.version();
    for conflict in segment.replace(owners) {
        tracing::error!(%conflict, "two intents want the same flow; the later one is left out");
    }
    let is_other = segment.version() != before;
    (segment, is_other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_seated_only_with_what_its_switch_should_hold() {
        let (board, node, datapath) = (Board::default(), NodeId(1), DatapathId(7));
        assert_eq!(board.seat(datapath).unwrap_err(), NoSeat::Unknown(datapath));
        let segments = BTreeSet::from([SegmentId::Node(node)]);
        let update = Update {
            seats: vec![(node, Some(datapath))],
            subscriptions: BTreeMap::from([(node, segments.clone())]),
            ..Update::default()
        };
        board.publish(5, update);
        let seated = board.seat(datapath).unwrap();
        let behind = Load { connected: 1, behind: 1, dirty_segments: 0, lag: 5 };
        assert_eq!(board.load(), behind, "it has confirmed nothing yet");
        board.settled(node, 5);
        assert_eq!(board.load(), Load { connected: 1, ..Load::default() });
        assert_eq!(board.wanted(node), Wanted { revision: 5, segments });
        assert_eq!(board.seat(datapath).unwrap_err(), NoSeat::Taken(datapath));

        let again = NodeId(2);
        let seats = vec![(again, Some(datapath)), (node, None)];
        board.publish(6, Update { seats, ..Update::default() });
        assert!(seated.changed.has_changed().is_err());
        assert_eq!(board.seat(datapath).map(|seated| seated.node), Ok(again));
    }
}
