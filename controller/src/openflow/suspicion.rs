//! What is not trusted of a switch: what others are reported to have changed, and what the audit comes to. It is
//! compared with what should be, and what differs is put right.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use flowlib::openflow::{FlowStatsRequest, Message, MultipartReplyBody};
use flowlib::segment::fixture::{Fixture, Mending};
use flowlib::segment::id::SegmentId;
use flowlib::segment::{Key, Step, plan};
use flowlib::types::Cookie;
use tokio::time::Instant;

use super::audit::Turn;
use super::converge::{Held, Work};
use super::fixtures;
use super::session::{Session, SessionError};
use super::switch::SwitchError;
use super::watch::{self, Marks};

/// Between two looks at what others have changed: whoever goes on changing flows must not keep the switch dumping.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Flows that are named one by one when many were changed.
const NAMED: usize = 16;
/// How often meters and groups are read and made before it is given up: the agent may be giving some back.
const FIXTURE_TRIES: usize = 3;

/// What is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    segments: BTreeSet<SegmentId>,
    /// There may be flows of no segment.
    strange: bool,
    /// When the last look was.
    looked: Option<Instant>,
    /// The last segment that was audited in this round.
    audited: Option<SegmentId>,
}

impl Suspicion {
    pub(super) fn is_any(&self) -> bool {
        self.strange || !self.segments.is_empty()
    }

    /// When the next look may be.
    pub(super) fn look_at(&self) -> Instant {
        self.looked.map_or_else(Instant::now, |looked| looked + LOOK_PAUSE)
    }
}

impl Session {
    /// Has the switch report what others change.
    pub(super) async fn watch_flows(&self) -> Result<(), SessionError> {
        match self.switch.multipart("to report changes of flows", watch::request()).await {
            Ok(MultipartReplyBody::FlowMonitor(_)) => Ok(()),
            Ok(_) => Err(SwitchError::Mismatch("a flow monitor").into()),
            Err(SwitchError::Refused { error, .. }) => {
                tracing::warn!(node = %self.node, %error, "the switch reports no changes: only the audit finds them");
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Finds out what a report is about.
    pub(super) fn suspect(&mut self, marks: Marks) {
        if marks.all {
            self.suspicion.segments.extend(self.holdings.segments.keys());
            self.suspicion.strange = true;
            return;
        }
        let board = &self.around.board;
        let holds =
            |id, key: &Key<'_>| board.with_segment(id, |segment| segment.may_have(key)).unwrap_or(false);
        for changed in &marks.changed {
            let concerned: Vec<SegmentId> = self.holdings.concerned(changed, holds).collect();
            let own = SegmentId::of(changed.cookie());
            self.suspicion.strange |= !concerned.iter().any(|id| own == Some(*id));
            self.suspicion.segments.extend(concerned);
        }
    }

    /// Looks at all that is suspect, and puts it right.
    pub(super) async fn look(&mut self) -> Result<(), SessionError> {
        for id in std::mem::take(&mut self.suspicion.segments) {
            self.compare(id).await?;
        }
        if self.holdings.segments.values().any(|held| *held == Held::Unknown) {
            self.converge().await?;
        }
        if std::mem::take(&mut self.suspicion.strange) {
            self.remove_strange_flows().await?;
        }
        self.suspicion.looked = Some(Instant::now());
        Ok(())
    }

    /// Looks at the next segment, or, when all have been looked at, at what else there is: meters, groups, and flows
    /// of no segment.
    pub(super) async fn audit(&mut self, front: Turn) -> Result<(), SessionError> {
        let after = self.suspicion.audited.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.holdings.segments.range((after, Bound::Unbounded)).next().map(|(id, _)| *id);
        self.suspicion.audited = next;
        let Some(id) = next else {
            front.spend(0);
            let strange = self.mend_fixtures().await?;
            if self.counts_agree().await? == Some(false) {
                self.remove_strange_flows().await?;
            }
            return Ok(self.switch.confirmed("a meter or group that is nobody's", strange).await?);
        };
        front.spend(self.around.board.with_segment(id, |segment| segment.n_flows()).unwrap_or(0));
        self.around.counts.segments_audited.add(1);
        self.compare(id).await?;
        if self.holdings.segments.get(&id) == Some(&Held::Unknown) { self.converge().await } else { Ok(()) }
    }

    /// Compares what a switch holds of a segment with what it was given. What differs is named, and the segment not
    /// known any more, so that it is mended.
    async fn compare(&mut self, id: SegmentId) -> Result<(), SessionError> {
        if !matches!(self.holdings.segments.get(&id), Some(Held::At(_))) {
            return Ok(());
        }
        let dump = self.dump(id.number()).await?;
        let foreign = self.around.board.with_segment(id, |segment| self.holdings.foreign(segment, &dump));
        match foreign.flatten() {
            Some(changes) if changes.is_empty() => return Ok(()),
            Some(changes) => {
                self.around.counts.segments_repaired.add(1);
                self.name(id, &changes);
            }
            None => {}
        }
        self.holdings.segments.insert(id, Held::Unknown);
        Ok(())
    }

    fn name(&self, id: SegmentId, changes: &[Step]) {
        for change in changes.iter().take(NAMED) {
            let done = if change.is_add() { "put as it was" } else { "deleted" };
            let (table, priority, cookie) = (change.table(), change.priority(), change.cookie());
            tracing::warn!(
                node = %self.node, segment = %id, %table, %priority, %cookie, done, "somebody else has changed a flow"
            );
        }
        if let Some(n) = changes.len().checked_sub(NAMED).filter(|n| *n > 0) {
            tracing::warn!(node = %self.node, segment = %id, n, "and so many further flows");
        }
    }

    /// Makes the meters and groups that the switch lacks or has otherwise; gives back what removes those that are
    /// nobody's, for when no flow uses them any more.
    pub(super) async fn mend_fixtures(&self) -> Result<Vec<Message>, SessionError> {
        let board = &self.around.board;
        let of = |id: &SegmentId| board.with_segment(*id, |segment| segment.fixtures().to_vec());
        let wanted: Vec<Fixture> = board.wanted(self.node).segments.iter().filter_map(of).flatten().collect();
        let mut tries = 1;
        loop {
            let Mending { make, remove } = Mending::of(&wanted, &fixtures::read(&self.switch).await?);
            if make.is_empty() {
                return Ok(remove);
            }
            let n = make.len();
            match self.switch.confirmed("a meter or group", make).await {
                Ok(()) => {
                    self.around.counts.fixtures_made.add(n as u64);
                    tracing::info!(node = %self.node, n, "meters and groups made");
                    return Ok(remove);
                }
                Err(SwitchError::Refused { .. }) if tries < FIXTURE_TRIES => tries += 1,
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Whether the switch has as many flows as its segments together. Nothing if that says nothing: something is
    /// refused, or not given to it yet.
    pub(super) async fn counts_agree(&self) -> Result<Option<bool>, SessionError> {
        let held = |(id, held): (&SegmentId, &Held)| {
            let look = |segment: &flowlib::segment::Segment| {
                (*held == Held::At(segment.version())).then(|| segment.n_flows() + 1)
            };
            self.around.board.with_segment(*id, look).flatten()
        };
        let expected: Option<usize> = self.holdings.segments.iter().map(held).sum();
        match expected.filter(|_| self.holdings.refused.is_empty()) {
            Some(expected) => Ok(Some(self.switch.count(Cookie(0), 0).await? == expected)),
            None => Ok(None),
        }
    }

    /// Deletes flows that belong to no segment.
    pub(super) async fn remove_strange_flows(&self) -> Result<(), SessionError> {
        let what = "all its flows";
        let flows = self.switch.flows(what, FlowStatsRequest::by_cookie(Cookie(0), 0)).await?;
        let is_known = |id| self.holdings.segments.contains_key(&id);
        let strange = flows.iter().filter(|flow| !SegmentId::of(flow.cookie).is_some_and(is_known));
        let flows: Option<Vec<Step>> = strange.map(Step::of_switch).collect();
        let flows = flows.ok_or(SwitchError::Mismatch(what))?;
        for flow in flows.iter().take(NAMED) {
            let (table, priority, cookie) = (flow.table(), flow.priority(), flow.cookie());
            tracing::warn!(node = %self.node, %table, %priority, %cookie, "deleting a flow that is nobody's");
        }
        if let Some(n) = flows.len().checked_sub(NAMED).filter(|n| *n > 0) {
            tracing::warn!(node = %self.node, n, "and so many further flows");
        }
        self.around.counts.strange_flows_deleted.add(flows.len() as u64);
        let work = Work { first: plan::deletes(flows), ..Work::default() };
        match self.carry_out(&work).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(SessionError::BundleRefused("strange flows stay".to_owned())),
        }
    }
}
