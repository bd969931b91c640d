//! A segment: its flows by key and owner, its version and digest, and its last deltas, encoded once.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hashbrown::HashSet;

use crate::openflow::Flow;
use crate::segment::digest::Digest;
use crate::segment::fixture::Fixture;
use crate::segment::id::{Owner, SegmentId};
use crate::segment::kept::{Kept, Packer};
use crate::segment::keys::Keys;
use crate::segment::step::{ByKey, Key, Step};
use crate::types::Xid;

/// How many flow changes a segment remembers at least for sessions that lag behind; beyond it they compare dumps.
const REMEMBERED_CHANGES: usize = 4096;

/// Two owners want a flow with the same key: the compiler or the intent is wrong, since a switch would silently
/// keep the later one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{segment}: {owner:?} wants a flow that {holder:?} has: {flow:?}")]
pub struct Conflict {
    /// The segment.
    pub segment: SegmentId,
    /// Who comes later; its flow is left out.
    pub owner: Owner,
    /// Who has it.
    pub holder: Owner,
    /// The flow.
    pub flow: Box<Flow>,
}

/// A set of flows that switches hold as one.
#[derive(Debug)]
pub struct Segment {
    id: SegmentId,
    version: u64,
    digest: Digest,
    keys: Keys,
    owners: BTreeMap<Owner, Kept>,
    deltas: VecDeque<(u64, Kept)>,
    remembered: usize,
    /// Of a segment that one switch alone is sent.
    packer: Option<Packer>,
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
            keys: Keys::default(),
            owners: BTreeMap::new(),
            deltas: VecDeque::new(),
            remembered: 0,
            packer: matches!(id, SegmentId::Node(_)).then(Packer::default),
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
        self.keys.len()
    }

    /// What adds its flows, in no order.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.owners.values().flat_map(|kept| kept.steps().into_owned())
    }

    /// Whether it has a flow with that key: `true` for each that it has, and by chance, for each of those, for one in 2³²
    /// others.
    #[must_use]
    pub fn may_have(&self, key: &Key<'_>) -> bool {
        self.keys.may_have(key)
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

    /// Gives each of the owners just the flows listed with it, as [`Step::add_all`] encodes them, and remembers what that
    /// changed.
    ///
    /// Flows that stay as they were are not touched. A flow whose key another owner holds is left out and returned.
    pub fn replace(&mut self, owners: Vec<(Owner, Vec<Step>)>) -> Vec<Conflict> {
        let mut before: HashSet<ByKey> = HashSet::new();
        for (owner, _) in &owners {
            if let Some(kept) = self.owners.remove(owner) {
                for step in kept.steps().iter() {
                    self.keys.remove(&step.key());
                    before.insert(ByKey(step.clone()));
                }
            }
        }
        let mut conflicts = Vec::new();
        let mut changes = Vec::new();
        for (owner, steps) in owners {
            self.give(owner, steps, &mut before, &mut changes, &mut conflicts);
        }
        for ByKey(step) in before {
            self.digest = self.digest.without(step.bytes());
            changes.push(step.deleting());
        }
        self.remember(changes);
        conflicts
    }

    /// What is to be done to a switch that has version `from`; nothing if that is too long ago to know.
    #[must_use]
    pub fn since(&self, from: u64) -> Option<Vec<Step>> {
        if from == self.version {
            return Some(Vec::new());
        }
        let first = self.deltas.front().map(|(version, _)| *version)?;
        if from > self.version || from + 1 < first {
            return None;
        }
        let changes = self.deltas.iter().filter(|(version, _)| *version > from);
        let changes: Vec<_> = changes.map(|(_, kept)| kept.steps()).collect();
        let last: HashMap<Key<'_>, &Step> =
            changes.iter().flat_map(|steps| steps.iter()).map(|step| (step.key(), step)).collect();
        Some(last.into_values().cloned().collect())
    }

    fn give(
        &mut self,
        owner: Owner,
        steps: Vec<Step>,
        before: &mut HashSet<ByKey>,
        changes: &mut Vec<Step>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let mut given: Vec<Step> = Vec::with_capacity(steps.len());
        for new in steps {
            if let Some(holder) = self.holder(&new.key(), (owner, &given)) {
                conflicts.push(Conflict { segment: self.id, owner, holder, flow: Box::new(new.flow()) });
                continue;
            }
            let step = match before.take(&new.key()) {
                Some(ByKey(old)) if old == new => old,
                old => {
                    if let Some(ByKey(old)) = old {
                        self.digest = self.digest.without(old.bytes());
                    }
                    self.digest = self.digest.with(new.bytes());
                    changes.push(new.clone());
                    new
                }
            };
            self.keys.insert(&step.key());
            given.push(step);
        }
        if !given.is_empty() {
            let kept = self.keep(given);
            self.owners.insert(owner, kept);
        }
    }

    /// Who has a flow with that key: one of its owners, or the one that is being given steps.
    fn holder(&self, key: &Key<'_>, (owner, given): (Owner, &[Step])) -> Option<Owner> {
        if !self.keys.may_have(key) {
            return None;
        }
        let has = |steps: &[Step]| steps.iter().any(|step| step.key() == *key);
        let holder = self.owners.iter().find(|(_, kept)| has(&kept.steps())).map(|(owner, _)| *owner);
        holder.or_else(|| has(given).then_some(owner))
    }

    fn keep(&mut self, steps: Vec<Step>) -> Kept {
        match &mut self.packer {
            Some(packer) => Kept::Packed(packer.pack(&steps)),
            None => Kept::Plain(steps.into()),
        }
    }

    fn remember(&mut self, changes: Vec<Step>) {
        if changes.is_empty() {
            return;
        }
        self.version += 1;
        self.remembered += changes.len();
        let kept = self.keep(changes);
        self.deltas.push_back((self.version, kept));
        while self.deltas.len() > 1 && self.remembered > REMEMBERED_CHANGES.max(2 * self.keys.len()) {
            if let Some((_, changes)) = self.deltas.pop_front() {
                self.remembered -= changes.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::Match;
    use crate::openflow::oxm::field;
    use crate::types::{EndpointId, NodeId, Priority};

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

    fn give<const N: usize>(segment: &mut Segment, owners: [(Owner, Vec<Flow>); N]) -> Vec<Conflict> {
        let id = segment.id();
        segment.replace(owners.map(|(owner, flows)| (owner, Step::add_all(id, owner, flows))).into())
    }

    #[test]
    fn a_port_passes_from_one_owner_to_another_in_one_change() {
        let mut s = segment();
        assert!(give(&mut s, [(endpoint(1), vec![flow(5, 1)])]).is_empty());
        assert!(give(&mut s, [(endpoint(2), vec![flow(5, 1)]), (endpoint(1), vec![])]).is_empty());
        let changes = s.since(1).expect("remembered");
        assert!(
            matches!(&changes[..], [step] if step.is_add() && step.cookie() == s.id().cookie(endpoint(2)))
        );
        assert_eq!(s.n_flows(), 1);
    }

    #[test]
    fn a_key_of_another_owner_is_refused() {
        let mut s = segment();
        give(&mut s, [(endpoint(1), vec![flow(5, 1)])]);
        let before = s.digest();
        assert_eq!(give(&mut s, [(endpoint(2), vec![flow(5, 1)])]).len(), 1);
        assert_eq!((s.digest(), s.version()), (before, 1));
    }

    #[test]
    fn the_digest_depends_on_the_flows_alone() {
        let mut a = segment();
        give(&mut a, [(endpoint(1), vec![flow(1, 1)])]);
        give(&mut a, [(endpoint(2), vec![flow(2, 1), flow(2, 2)])]);
        give(&mut a, [(endpoint(1), vec![])]);
        let mut b = segment();
        give(&mut b, [(endpoint(2), vec![flow(2, 2), flow(2, 1)])]);
        assert_eq!(a.digest(), b.digest());
        assert_eq!(segment().digest(), Digest::empty());
    }

    #[test]
    fn a_lagging_reader_gets_the_sum() {
        let mut s = segment();
        give(&mut s, [(endpoint(1), vec![flow(1, 1)])]);
        give(&mut s, [(endpoint(2), vec![flow(2, 1)])]);
        give(&mut s, [(endpoint(1), vec![])]);
        let mut sum = s.since(0).expect("remembered");
        sum.sort_by_key(Step::cookie);
        assert_eq!(sum.iter().map(Step::is_add).collect::<Vec<_>>(), [false, true]);
        assert!(s.since(3).is_some_and(|c| c.is_empty()));
        assert!(s.since(4).is_none());
    }

    #[test]
    fn what_stays_is_not_sent_again() {
        let mut s = segment();
        give(&mut s, [(endpoint(1), vec![flow(1, 1), flow(1, 2)])]);
        give(&mut s, [(endpoint(1), vec![flow(1, 2), flow(1, 3)])]);
        assert_eq!(s.since(1).expect("remembered").len(), 2);
        give(&mut s, [(endpoint(1), vec![flow(1, 3), flow(1, 2)])]);
        assert_eq!(s.version(), 2);
    }
}
