//! A segment: its flows by key and owner, its version and digest, and its last deltas, encoded once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use crate::openflow::{Flow, FlowMod, Match, Message};
use crate::segment::digest::Digest;
use crate::segment::fixture::Fixture;
use crate::segment::id::{Owner, SegmentId};
use crate::types::{Priority, TableId, Xid};

/// How many flow changes a segment remembers at least for sessions that lag behind; beyond it they compare dumps.
const REMEMBERED_CHANGES: usize = 4096;

/// What makes a flow the same flow: adding one with an equal key replaces it. Source: OpenFlow 1.3.5 §6.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its table.
    pub table: TableId,
    /// Its priority.
    pub priority: Priority,
    /// Its match.
    pub flow_match: Match,
}

impl From<&Flow> for Key {
    fn from(flow: &Flow) -> Self {
        Self { table: flow.table, priority: flow.priority, flow_match: flow.flow_match.clone() }
    }
}

/// A flow of a segment with its messages.
#[derive(Debug)]
pub struct Entry {
    /// The flow; its cookie names segment and owner.
    pub flow: Flow,
    /// The flow mod that adds it, xid 0.
    pub add: Arc<[u8]>,
    delete: OnceLock<Arc<[u8]>>,
}

impl Entry {
    /// Encodes the flow.
    #[must_use]
    pub fn new(flow: Flow) -> Self {
        let add = encoded(FlowMod::add(&flow));
        Self { flow, add, delete: OnceLock::new() }
    }

    /// The flow mod that deletes just it, xid 0.
    pub fn delete(&self) -> Arc<[u8]> {
        self.delete.get_or_init(|| encoded(FlowMod::delete_strict(&self.flow))).clone()
    }
}

/// A flow mod's bytes, xid 0.
pub(super) fn encoded(flow_mod: FlowMod) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(256);
    Message::FlowMod(flow_mod).encode(Xid(0), &mut bytes).expect("a flow of ours is far below 64 KiB");
    bytes.into()
}

/// One step of a delta.
#[derive(Clone, Debug)]
pub enum Change {
    /// Add the flow, or put it in the place of the one with its key.
    Add(Arc<Entry>),
    /// Delete the flow.
    Delete(Arc<Entry>),
}

impl Change {
    /// The flow it adds or deletes.
    #[must_use]
    pub fn entry(&self) -> &Arc<Entry> {
        match self {
            Self::Add(entry) | Self::Delete(entry) => entry,
        }
    }
}

/// Two owners want a flow with the same key: the compiler or the intent is wrong, since a switch would silently
/// keep the later one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{segment}: {owner:?} wants a flow that {holder:?} has: {key:?}")]
pub struct Conflict {
    /// The segment.
    pub segment: SegmentId,
    /// Who comes later; its flow is left out.
    pub owner: Owner,
    /// Who has it.
    pub holder: Owner,
    /// The key.
    pub key: Key,
}

/// A set of flows that switches hold as one.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    version: u64,
    digest: Digest,
    flows: HashMap<Key, Arc<Entry>>,
    owners: BTreeMap<Owner, Vec<Key>>,
    deltas: VecDeque<(u64, Vec<Change>)>,
    remembered: usize,
    fixtures: Vec<Fixture>,
}

impl Segment {
    /// An empty segment. One that takes the place of an earlier one begins at a later version.
    #[must_use]
    pub fn new(id: SegmentId, version: u64) -> Self {
        Self {
            id,
            version,
            digest: Digest::empty(),
            flows: HashMap::new(),
            owners: BTreeMap::new(),
            deltas: VecDeque::new(),
            remembered: 0,
            fixtures: Vec::new(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Grows with each change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What its row in the ledger says.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many flows it has, its row not counted.
    #[must_use]
    pub fn n_flows(&self) -> usize {
        self.flows.len()
    }

    /// Its flows, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.flows.values()
    }

    /// The flow with that key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.flows.get(key)
    }

    /// The meters and groups that its flows use.
    #[must_use]
    pub fn fixtures(&self) -> &[Fixture] {
        &self.fixtures
    }

    /// Gives it a meter or group, which its digest vouches for too.
    pub fn add_fixture(&mut self, fixture: Fixture) {
        let mut bytes = Vec::new();
        fixture.add().encode(Xid(0), &mut bytes).expect("a meter or group of ours is far below 64 KiB");
        self.digest = self.digest.with(&bytes);
        self.fixtures.push(fixture);
    }

    /// Gives each of the owners just the flows listed with it, and remembers what that changed.
    ///
    /// Flows that stay as they were are not touched. A flow whose key another owner holds is left out and returned.
    pub fn replace(&mut self, owners: impl IntoIterator<Item = (Owner, Vec<Flow>)>) -> Vec<Conflict> {
        let owners: Vec<_> = owners.into_iter().collect();
        let mut before: HashMap<Key, Arc<Entry>> = HashMap::new();
        for (owner, _) in &owners {
            for key in self.owners.remove(owner).unwrap_or_default() {
                if let Some(entry) = self.flows.remove(&key) {
                    before.insert(key, entry);
                }
            }
        }
        let mut conflicts = Vec::new();
        let mut changes = Vec::new();
        for (owner, flows) in owners {
            self.give(owner, flows, &mut before, &mut changes, &mut conflicts);
        }
        for entry in before.into_values() {
            self.digest = self.digest.without(&entry.add);
            changes.push(Change::Delete(entry));
        }
        self.remember(changes);
        conflicts
    }

    /// What is to be done to a switch that has version `from`; nothing if that is too long ago to know.
    #[must_use]
    pub fn since(&self, from: u64) -> Option<Vec<Change>> {
        if from == self.version {
            return Some(Vec::new());
        }
        let first = self.deltas.front().map(|(version, _)| *version)?;
        if from > self.version || from + 1 < first {
            return None;
        }
        let mut last: HashMap<Key, Change> = HashMap::new();
        for (_, changes) in self.deltas.iter().filter(|(version, _)| *version > from) {
            for change in changes {
                last.insert(Key::from(&change.entry().flow), change.clone());
            }
        }
        Some(last.into_values().collect())
    }

    fn give(
        &mut self,
        owner: Owner,
        flows: Vec<Flow>,
        before: &mut HashMap<Key, Arc<Entry>>,
        changes: &mut Vec<Change>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let mut keys = Vec::with_capacity(flows.len());
        for mut flow in flows {
            flow.cookie = self.id.cookie(owner);
            let key = Key::from(&flow);
            if let Some(held) = self.flows.get(&key) {
                let holder = Owner::of(self.id, held.flow.cookie);
                conflicts.push(Conflict { segment: self.id, owner, holder, key });
                continue;
            }
            let old = before.remove(&key);
            let entry = match old {
                Some(old) if old.flow == flow => old,
                old => {
                    let entry = Arc::new(Entry::new(flow));
                    if let Some(old) = old {
                        self.digest = self.digest.without(&old.add);
                    }
                    self.digest = self.digest.with(&entry.add);
                    changes.push(Change::Add(entry.clone()));
                    entry
                }
            };
            self.flows.insert(key.clone(), entry);
            keys.push(key);
        }
        if !keys.is_empty() {
            self.owners.insert(owner, keys);
        }
    }

    fn remember(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.version += 1;
        self.remembered += changes.len();
        self.deltas.push_back((self.version, changes));
        while self.deltas.len() > 1 && self.remembered > REMEMBERED_CHANGES.max(2 * self.flows.len()) {
            if let Some((_, changes)) = self.deltas.pop_front() {
                self.remembered -= changes.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::oxm::field;
    use crate::types::{EndpointId, NodeId};

    fn flow(port: u32, priority: u16) -> Flow {
        Flow {
            priority: Priority(priority),
            flow_match: Match::new().with(field::IN_PORT, port),
            ..Flow::default()
        }
    }

    fn endpoint(number: u32) -> Owner {
        Owner::Endpoint(EndpointId(number))
    }

    fn segment() -> Segment {
        Segment::new(SegmentId::Node(NodeId(1)), 0)
    }

    #[test]
    fn a_port_passes_from_one_owner_to_another_in_one_change() {
        let mut s = segment();
        assert!(s.replace([(endpoint(1), vec![flow(5, 1)])]).is_empty());
        assert!(s.replace([(endpoint(2), vec![flow(5, 1)]), (endpoint(1), vec![])]).is_empty());
        let changes = s.since(1).expect("remembered");
        assert!(matches!(&changes[..], [Change::Add(e)] if e.flow.cookie == s.id().cookie(endpoint(2))));
        assert_eq!(s.n_flows(), 1);
    }

    #[test]
    fn a_key_of_another_owner_is_refused() {
        let mut s = segment();
        s.replace([(endpoint(1), vec![flow(5, 1)])]);
        let before = s.digest();
        assert_eq!(s.replace([(endpoint(2), vec![flow(5, 1)])]).len(), 1);
        assert_eq!((s.digest(), s.version()), (before, 1));
    }

    #[test]
    fn the_digest_depends_on_the_flows_alone() {
        let mut a = segment();
        a.replace([(endpoint(1), vec![flow(1, 1)])]);
        a.replace([(endpoint(2), vec![flow(2, 1), flow(2, 2)])]);
        a.replace([(endpoint(1), vec![])]);
        let mut b = segment();
        b.replace([(endpoint(2), vec![flow(2, 2), flow(2, 1)])]);
        assert_eq!(a.digest(), b.digest());
        assert_eq!(segment().digest(), Digest::empty());
    }

    #[test]
    fn a_lagging_reader_gets_the_sum() {
        let mut s = segment();
        s.replace([(endpoint(1), vec![flow(1, 1)])]);
        s.replace([(endpoint(2), vec![flow(2, 1)])]);
        s.replace([(endpoint(1), vec![])]);
        let mut sum = s.since(0).expect("remembered");
        sum.sort_by_key(|c| c.entry().flow.cookie);
        assert!(matches!(&sum[..], [Change::Delete(_), Change::Add(_)]));
        assert!(s.since(3).is_some_and(|c| c.is_empty()));
        assert!(s.since(4).is_none());
    }

    #[test]
    fn what_stays_is_not_sent_again() {
        let mut s = segment();
        s.replace([(endpoint(1), vec![flow(1, 1), flow(1, 2)])]);
        s.replace([(endpoint(1), vec![flow(1, 2), flow(1, 3)])]);
        assert_eq!(s.since(1).expect("remembered").len(), 2);
        s.replace([(endpoint(1), vec![flow(1, 3), flow(1, 2)])]);
        assert_eq!(s.version(), 2);
    }
}
