//! What a switch is known to hold, and what is to be done to it. Pure.
//!
//! ```text
//!            row and count agree                    nothing is known
//!  connect ───────────────▶ At(version)   Unknown ◀──────────────── connect, refusal
//!                              │  ▲          │
//!             changes since it │  │ bundle   │ dump by cookie, difference
//!                              ▼  │ done     ▼
//!                             plan ◀───── changes
//!
//!  What others have changed makes At(version) Unknown.
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use flowlib::openflow::Flow;
use flowlib::pipeline::table::Table;
use flowlib::segment::digest::Digest;
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::segment::ledger;
use flowlib::segment::plan::Target;
use flowlib::segment::{Key, Segment, Step};
use flowlib::types::EndpointId;

use super::event::{Rejection, Subject};

/// What a switch is known to hold of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// That version, but for what was refused.
    At(u64),
    /// Something; a dump will tell.
    Unknown,
}

/// What a switch holds and refuses.
#[derive(Debug, Default)]
pub struct Holdings {
    /// By segment.
    pub segments: BTreeMap<SegmentId, Held>,
    /// Segments of no meaning here, by number: to be deleted.
    pub strangers: BTreeSet<u32>,
    /// Whose flows the switch has refused, and why. They are left out until they are tried again.
    pub refused: BTreeMap<(SegmentId, Owner), String>,
    last_tried: Option<(SegmentId, Owner)>,
}

/// What brings a switch from what it holds to what it should.
#[derive(Debug, Default)]
pub struct Work {
    /// Deletes of whole segments.
    pub first: Vec<Step>,
    /// Changes of flows.
    pub changes: Vec<Step>,
    /// The rows to write.
    pub targets: Vec<Target>,
    /// What the switch holds when all is done.
    pub reached: Vec<(SegmentId, u64)>,
}

impl Holdings {
    /// Takes down what a ledger says: the rows of table 62 as dumped.
    ///
    /// What agrees with the segment as it is now, by digest and number of flows, is held; `count` gives the number of
    /// flows with the segment's cookie, its row counted. What is not `wanted` is a stranger.
    pub fn read_row(&mut self, row: &Flow, wanted: &BTreeSet<SegmentId>) -> Option<(SegmentId, Digest)> {
        let number = (row.cookie.0 >> 32) as u32;
        let known = SegmentId::from_number(number).filter(|id| wanted.contains(id));
        match (known, ledger::read_row(row)) {
            (Some(id), Some((_, digest))) => Some((id, digest)),
            (Some(_), None) => None,
            (None, _) => {
                self.strangers.insert(number);
                None
            }
        }
    }

    /// Whether nothing is to be done for `wanted`, whose versions are `version`.
    #[must_use]
    pub fn is_at(&self, id: SegmentId, version: u64) -> bool {
        self.segments.get(&id) == Some(&Held::At(version))
    }

    /// Adds to `work` what brings the switch to `segment`; `dump` is what it holds now, where that is not known.
    ///
    /// Nothing if a dump is needed first.
    pub fn plan(&self, segment: &Segment, dump: Option<&[Step]>, work: &mut Work) -> Option<()> {
        let id = segment.id();
        let changes = match (self.segments.get(&id), dump) {
            (_, Some(dump)) => {
                if dump.is_empty() {
                    // Until the ledger has a row of it, the agent may give back an older table at any moment.
                    work.first.push(ledger::delete_all(id.number()));
                }
                difference(segment, dump)
            }
            (Some(Held::At(version)), None) => segment.since(*version)?,
            _ => return None,
        };
        if !self.is_at(id, segment.version()) {
            work.targets.push(Target { segment: id, digest: self.claim(segment) });
            work.changes.extend(changes.into_iter().filter(|change| !self.is_left_out(id, change)));
            work.reached.push((id, segment.version()));
        }
        Some(())
    }

    /// The segments, by number, that the switch should hold no more.
    #[must_use]
    pub fn leaving(&self, wanted: &BTreeSet<SegmentId>) -> BTreeSet<u32> {
        let left = self.segments.keys().filter(|id| !wanted.contains(id)).map(|id| id.number());
        self.strangers.iter().copied().chain(left).collect()
    }

    /// What others have changed in a segment, as what puts it right: by `dump`, what the switch holds now.
    ///
    /// Nothing if that cannot be told: what the switch is known to hold is too old, or not known at all.
    #[must_use]
    pub fn foreign(&self, segment: &Segment, dump: &[Step]) -> Option<Vec<Step>> {
        let id = segment.id();
        let Held::At(version) = *self.segments.get(&id)? else { return None };
        // What the switch has not been given yet is nobody's fault.
        let since = segment.since(version)?;
        let coming: HashSet<Key<'_>> = since.iter().map(Step::key).collect();
        let row = ledger::write_row(id, self.claim(segment).unwrap_or(Digest::IN_PROGRESS));
        let mut changes = difference(segment, dump);
        changes.retain(|change| !self.is_left_out(id, change) && !coming.contains(&change.key()));
        if version == segment.version() && !dump.contains(&row) {
            changes.push(row);
        }
        Some(changes)
    }

    /// The segments that a change of that flow by somebody else may concern: its own, and the one whose flow it took
    /// the place of. None: it is a flow of no segment.
    pub fn concerned<'a>(
        &'a self,
        changed: &'a Step,
        holds: impl Fn(SegmentId, &Key<'_>) -> bool + 'a,
    ) -> impl Iterator<Item = SegmentId> + 'a {
        let (own, key) = (SegmentId::of(changed.cookie()), changed.key());
        let is = move |id: SegmentId| own == Some(id) || key.table == ledger::TABLE || holds(id, &key);
        self.segments.keys().copied().filter(move |id| is(*id))
    }

    /// What the row of a segment is to say: nothing, if some of it is left out.
    fn claim(&self, segment: &Segment) -> Option<Digest> {
        let whole = !self.refused.keys().any(|(of, _)| *of == segment.id());
        whole.then(|| segment.digest())
    }

    fn is_left_out(&self, id: SegmentId, change: &Step) -> bool {
        change.is_add() && self.refused.contains_key(&(id, Owner::of(id, change.cookie())))
    }

    /// All of that work has been done.
    pub fn done(&mut self, work: &Work, wanted: &BTreeSet<SegmentId>) {
        self.strangers.clear();
        self.segments.retain(|id, _| wanted.contains(id));
        self.refused.retain(|(id, _), _| wanted.contains(id));
        for (id, version) in &work.reached {
            self.segments.insert(*id, Held::At(*version));
        }
    }

    /// Some of that work may have been done: what it touched is not known any more.
    pub fn unsure(&mut self, work: &Work) {
        for (id, _) in &work.reached {
            self.segments.insert(*id, Held::Unknown);
        }
    }

    /// Leaves out, from now on, the owner of a refused step. False if it has none that could be left out.
    pub fn refuse(&mut self, step: &Step, error: String) -> bool {
        let Some(id) = SegmentId::of(step.cookie()) else { return false };
        let owner = Owner::of(id, step.cookie());
        owner != Owner::Row && self.refused.insert((id, owner), error).is_none()
    }

    /// Lets one owner try again whose flows were refused, another each time. One, for a switch names one refused flow a
    /// bundle: all together would cost as many bundles as there are owners.
    pub fn try_again(&mut self) -> Option<(SegmentId, Owner)> {
        let after = self.last_tried.map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.refused.range((after, Bound::Unbounded)).next().or_else(|| self.refused.iter().next());
        let owner = next.map(|(owner, _)| *owner)?;
        self.last_tried = Some(owner);
        self.refused.remove(&owner);
        self.segments.insert(owner.0, Held::Unknown);
        Some(owner)
    }

    /// What the switch refuses, for those who wait for it.
    #[must_use]
    pub fn rejections(&self) -> Vec<Rejection> {
        let rejection = |((id, owner), error): (&(SegmentId, Owner), &String)| Rejection {
            subject: match (id, owner) {
                (_, Owner::Endpoint(endpoint)) => Subject::Endpoint(*endpoint),
                (_, Owner::Network(network)) | (SegmentId::Network(network), _) => Subject::Network(*network),
                _ => Subject::Node,
            },
            message: format!("flow of {id} refused: {error}"),
        };
        self.refused.iter().map(rejection).collect()
    }
}

impl Work {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.changes.is_empty() && self.targets.is_empty()
    }

    /// The endpoints of which the switch is given flows: new ones, or such that have changed.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointId> {
        let delivered = self.changes.iter().filter(|step| step.is_add() && step.table() == Table::Local.id());
        delivered
            .filter_map(|step| match Owner::of(SegmentId::of(step.cookie())?, step.cookie()) {
                Owner::Endpoint(endpoint) => Some(endpoint),
                _ => None,
            })
            .collect()
    }
}

/// What is to be done to a switch that holds those flows of a segment.
fn difference(segment: &Segment, dump: &[Step]) -> Vec<Step> {
    let row = ledger::write_row(segment.id(), Digest::IN_PROGRESS);
    let wanted: Vec<Step> = segment.steps().collect();
    let mut held: HashMap<Key<'_>, &Step> = dump.iter().map(|step| (step.key(), step)).collect();
    // It is written anyway.
    held.remove(&row.key());
    let mut changes = Vec::new();
    for step in &wanted {
        if held.remove(&step.key()) != Some(step) {
            changes.push(step.clone());
        }
    }
    changes.extend(held.into_values().map(Step::deleting));
    changes
}

#[cfg(test)]
mod tests {
    use flowlib::types::{Cookie, NodeId, Priority, TableId};

    use super::*;

    const ID: SegmentId = SegmentId::Node(NodeId(7));

    fn flow(priority: u16) -> Flow {
        let cookie = ID.cookie(Owner::Endpoint(EndpointId(priority.into())));
        Flow { table: TableId(6), priority: Priority(priority), cookie, ..Flow::default() }
    }

    fn segment(flows: &[Flow]) -> Segment {
        let mut segment = Segment::new(ID, 1);
        let owners = flows.iter().map(|flow| (Owner::of(ID, flow.cookie), vec![Step::add(flow)]));
        assert!(segment.replace(owners.collect()).is_empty());
        segment
    }

    fn encoded(dump: &[Flow]) -> Vec<Step> {
        dump.iter().map(Step::add).collect()
    }

    fn planned(holdings: &Holdings, segment: &Segment, dump: &[Flow]) -> Work {
        let mut work = Work::default();
        holdings.plan(segment, Some(&encoded(dump)), &mut work).unwrap();
        work
    }

    #[test]
    fn a_segment_of_which_nothing_is_there_is_deleted_first() {
        let work = planned(&Holdings::default(), &segment(&[flow(1)]), &[]);
        assert_eq!(work.first, [ledger::delete_all(ID.number())]);
        assert_eq!(work.changes.len(), 1);
    }

    #[test]
    fn only_what_differs_is_mended() {
        let segment = segment(&[flow(1), flow(2)]);
        let stray = Flow { table: ledger::TABLE, priority: Priority(9), ..flow(9) };
        let row = ledger::row(ID, segment.digest());
        let work = planned(&Holdings::default(), &segment, &[flow(1), flow(3), row, stray.clone()]);
        assert!(work.first.is_empty());
        let changes: BTreeSet<_> = work.changes.iter().map(shown).collect();
        assert_eq!(changes, BTreeSet::from([(true, flow(2)), (false, flow(3)), (false, stray)]));
    }

    fn shown(change: &Step) -> (bool, Flow) {
        (change.is_add(), change.flow())
    }

    fn foreign(holdings: &Holdings, segment: &Segment, dump: &[Flow]) -> Vec<(bool, Flow)> {
        holdings.foreign(segment, &encoded(dump)).unwrap().iter().map(shown).collect()
    }

    #[test]
    fn what_others_changed_is_told_from_what_is_still_to_come() {
        let mut segment = segment(&[flow(1), flow(2)]);
        let mut holdings = Holdings::default();
        assert!(holdings.foreign(&segment, &[]).is_none(), "nothing is known");
        holdings.segments.insert(ID, Held::At(segment.version()));
        let row = ledger::row(ID, segment.digest());
        assert_eq!(foreign(&holdings, &segment, &[flow(2), row.clone(), flow(1)]), []);
        assert_eq!(foreign(&holdings, &segment, &[flow(2), flow(1)]), [(true, row.clone())]);

        let owner = |n: u32| Owner::Endpoint(EndpointId(n));
        segment.replace(vec![(owner(1), vec![]), (owner(4), encoded(&[flow(4)]))]);
        assert_eq!(foreign(&holdings, &segment, &[flow(2), row.clone(), flow(1)]), []);
        let changed = foreign(&holdings, &segment, &[flow(1), flow(3), row]);
        assert_eq!(BTreeSet::from_iter(changed), BTreeSet::from([(false, flow(3)), (true, flow(2))]));
    }

    #[test]
    fn a_flow_that_took_the_place_of_ours_concerns_its_segment_whatever_its_cookie() {
        let mut holdings = Holdings::default();
        holdings.segments.insert(ID, Held::At(1));
        let ours = |cookie: Cookie, held: bool| {
            let changed = Step::add(&Flow { cookie, ..flow(1) });
            holdings.concerned(&changed, |_, _| held).collect::<Vec<_>>()
        };
        assert_eq!(ours(Cookie(0), false), []);
        assert_eq!(ours(Cookie(0), true), [ID]);
        assert_eq!(ours(flow(7).cookie, false), [ID]);
    }

    #[test]
    fn a_refused_owner_is_left_out_and_the_row_claims_nothing() {
        let segment = segment(&[flow(1), flow(2)]);
        let mut holdings = Holdings::default();
        let step = Step::add(&flow(2));
        assert!(holdings.refuse(&step, "full".to_owned()));
        assert!(!holdings.refuse(&step, "full".to_owned()), "it was left out already");
        let work = planned(&holdings, &segment, &[]);
        assert_eq!(work.targets, [Target { segment: ID, digest: None }]);
        assert_eq!(work.changes, [Step::add(&flow(1))]);
        assert_eq!(holdings.rejections()[0].subject, Subject::Endpoint(EndpointId(2)));
        assert!(holdings.try_again().is_some());
        let work = planned(&holdings, &segment, &[flow(1)]);
        assert_eq!(work.targets, [Target { segment: ID, digest: Some(segment.digest()) }]);
    }
}
