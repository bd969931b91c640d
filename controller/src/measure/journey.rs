//! Follows each create from its request until it is ready, and says where the time went.
//!
//! Whoever brings a create on says so with the time; each is told of by its endpoint, or by what the teller knows: the
//! network knows a revision, a session its node and a revision. A create that does not end (its container is deleted, or
//! never ready) is forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use flowlib::types::{EndpointId, NodeId};
use tracing::Span;

use super::{Counter, Histogram, Metrics, Milestone, Milestones, TraceId};

/// Creates that are followed at the same time; when there are more, the oldest are let go.
const UNDER_WAY: usize = 16_384;
/// Creates that are remembered after their end.
const REMEMBERED: usize = 4096;

/// A request, from the head of its HTTP message until it is understood.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What it is called.
    pub trace: TraceId,
    /// When its head was there.
    pub received: Instant,
    /// When it was there and made sense.
    pub decoded: Instant,
}

/// A new endpoint that a request has put into a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its node.
    pub node: NodeId,
    /// The revision that its commit will make.
    pub revision: u64,
}

/// The way of one create.
#[derive(Clone, Copy, Debug)]
pub struct Journey {
    /// What its request is called.
    pub trace: TraceId,
    /// What it has reached, and when.
    pub reached: Milestones,
}

/// All creates under way, and the last that have arrived.
#[derive(Debug)]
pub struct Journal {
    /// How many are under way, so that whoever has none to tell of need not wait for the lock.
    n_under_way: AtomicUsize,
    inner: Mutex<Inner>,
    phases: [Histogram; Milestone::N - 1],
    to_barrier: Histogram,
    to_ready: Histogram,
    let_go: Counter,
}

#[derive(Debug, Default)]
struct Inner {
    /// Endpoints are numbered as they come: the first is the oldest.
    under_way: BTreeMap<EndpointId, UnderWay>,
    unpublished: BTreeSet<(u64, EndpointId)>,
    unconfirmed: BTreeSet<(NodeId, EndpointId)>,
    arrived: HashMap<EndpointId, Journey>,
    order: VecDeque<EndpointId>,
}

#[derive(Debug)]
struct UnderWay {
    journey: Journey,
    node: NodeId,
    revision: u64,
    span: Span,
}

impl Journal {
    /// A journal whose figures are among all.
    #[must_use]
    pub fn among(metrics: &Metrics) -> Self {
        let words = std::array::from_fn(|nth| Milestone::ALL[nth + 1].word());
        let help = "What a create takes, by the phase that ends with being decoded, scheduled, committed, …";
        Self {
            n_under_way: AtomicUsize::new(0),
            inner: Mutex::default(),
            phases: metrics.times_by("create_phase", help, ("phase", words)),
            to_barrier: metrics.times("create_to_barrier", "From a create's request to its confirmed flows"),
            to_ready: metrics.times("create_to_ready", "From a create's request to its being ready"),
            let_go: metrics
                .counter("creates_not_followed", "Creates that were too many to be followed to their end"),
        }
    }

    /// A request's endpoint is in a transaction that is to be committed.
    pub fn begin(&self, Begun { endpoint, node, revision }: Begun, request: Request) {
        let now = Instant::now();
        let span =
            tracing::debug_span!("create", trace = %request.trace, endpoint = endpoint.0, node = node.0);
        let mut reached = Milestones::default();
        reached.reach(Milestone::Received, request.received);
        reached.reach(Milestone::Decoded, request.decoded);
        reached.reach(Milestone::Scheduled, now);
        let journey = Journey { trace: request.trace, reached };
        let mut inner = self.inner();
        if inner.under_way.len() >= UNDER_WAY
            && let Some(oldest) = inner.under_way.keys().next().copied()
        {
            inner.forget(oldest);
            self.let_go.inc();
        }
        inner.unpublished.insert((revision, endpoint));
        inner.unconfirmed.insert((node, endpoint));
        inner.under_way.insert(endpoint, UnderWay { journey, node, revision, span });
        self.note(&inner);
    }

    /// One create has reached something.
    pub fn reach(&self, endpoint: EndpointId, milestone: Milestone, at: Instant) {
        if self.has_none() {
            return;
        }
        let mut inner = self.inner();
        let Some(under_way) = inner.under_way.get_mut(&endpoint) else { return };
        under_way.reach(milestone, at);
        // What the request's own task tells may come after the end.
        let has_ended = [Milestone::Committed, Milestone::Ready];
        if has_ended.iter().all(|last| under_way.journey.reached.at(*last).is_some()) {
            self.arrive(&mut inner, endpoint);
        }
    }

    /// What was committed up to a revision is compiled and published.
    pub fn published(&self, revision: u64, at: Instant) {
        if self.has_none() {
            return;
        }
        let inner = &mut *self.inner();
        while let Some((first, endpoint)) = inner.unpublished.first().copied()
            && first <= revision
        {
            inner.unpublished.pop_first();
            if let Some(under_way) = inner.under_way.get_mut(&endpoint) {
                under_way.reach(Milestone::Published, at);
            }
        }
    }

    /// A node's session has brought what was published up to a revision as far as that.
    pub fn session(&self, node: NodeId, revision: u64, milestones: &[(Milestone, Instant)]) {
        if self.has_none() {
            return;
        }
        let inner = &mut *self.inner();
        let mut confirmed = Vec::new();
        for (_, endpoint) in inner.unconfirmed.range(of(node)) {
            let Some(under_way) = inner.under_way.get_mut(endpoint).filter(|it| it.revision <= revision)
            else {
                continue;
            };
            for (milestone, at) in milestones {
                under_way.reach(*milestone, *at);
            }
            if under_way.journey.reached.at(Milestone::Confirmed).is_some() {
                confirmed.push((node, *endpoint));
            }
        }
        for done in confirmed {
            inner.unconfirmed.remove(&done);
        }
    }

    /// An endpoint is no more, or will not be.
    pub fn forget(&self, endpoint: EndpointId) {
        let mut inner = self.inner();
        inner.forget(endpoint);
        self.note(&inner);
    }

    /// The way of an endpoint's create, if it has arrived not too long ago.
    #[must_use]
    pub fn of(&self, endpoint: EndpointId) -> Option<Journey> {
        self.inner().arrived.get(&endpoint).copied()
    }

    /// How many creates are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.n_under_way.load(Ordering::Relaxed)
    }

    fn arrive(&self, inner: &mut Inner, endpoint: EndpointId) {
        let Some(UnderWay { journey, span, .. }) = inner.forget(endpoint) else { return };
        self.note(inner);
        let Journey { reached, .. } = &journey;
        for (milestone, times) in Milestone::ALL.iter().skip(1).zip(&self.phases) {
            if let Some(took) = reached.took(*milestone) {
                times.observe(took.as_secs_f64());
            }
        }
        let ends = [(Milestone::Confirmed, &self.to_barrier), (Milestone::Ready, &self.to_ready)];
        for (milestone, times) in ends {
            if let Some(took) = reached.since_received(milestone) {
                times.observe(took.as_secs_f64());
            }
        }
        let us = |milestone| reached.since_received(milestone).map(|time| time.as_micros());
        let (barrier_us, ready_us) = (us(Milestone::Confirmed), us(Milestone::Ready));
        tracing::debug!(parent: &span, barrier_us, ready_us, "created");
        if inner.order.len() == REMEMBERED
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.arrived.remove(&oldest);
        }
        inner.order.push_back(endpoint);
        inner.arrived.insert(endpoint, journey);
    }

    /// Whether a teller can save itself the lock. What was begun before is seen: it was told of by way of a channel.
    fn has_none(&self) -> bool {
        self.under_way() == 0
    }

    fn note(&self, inner: &Inner) {
        self.n_under_way.store(inner.under_way.len(), Ordering::Relaxed);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Journal {
    /// A journal whose figures nobody sees.
    fn default() -> Self {
        Self::among(&Metrics::default())
    }
}

impl Inner {
    fn forget(&mut self, endpoint: EndpointId) -> Option<UnderWay> {
        let gone = self.under_way.remove(&endpoint)?;
        self.unpublished.remove(&(gone.revision, endpoint));
        self.unconfirmed.remove(&(gone.node, endpoint));
        Some(gone)
    }
}

impl UnderWay {
    fn reach(&mut self, milestone: Milestone, at: Instant) {
        if self.journey.reached.at(milestone).is_none() {
            self.journey.reached.reach(milestone, at);
            let since_us = self.journey.reached.since_received(milestone).map(|time| time.as_micros());
            tracing::debug!(parent: &self.span, milestone = milestone.word(), since_us, "reached");
        }
    }
}

/// All endpoints of a node, as a range.
fn of(node: NodeId) -> RangeInclusive<(NodeId, EndpointId)> {
    (node, EndpointId(0))..=(node, EndpointId(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Exposition;

    const NODE: NodeId = NodeId(1);

    fn begin(journal: &Journal, endpoint: u32, revision: u64) -> Instant {
        let received = Instant::now();
        let request = Request { trace: TraceId::random(), received, decoded: received };
        journal.begin(Begun { endpoint: EndpointId(endpoint), node: NODE, revision }, request);
        received
    }

    #[test]
    fn a_create_that_arrives_is_counted_once_and_told() {
        let metrics = Metrics::default();
        let journal = Journal::among(&metrics);
        let endpoint = EndpointId(3);
        let start = begin(&journal, 3, 10);
        let at = |ms| start + Duration::from_millis(ms);
        journal.published(9, at(1));
        journal.published(11, at(2));
        journal.session(NODE, 9, &[(Milestone::Woken, at(2))]);
        journal.session(NodeId(2), 10, &[(Milestone::Woken, at(2))]);
        journal.session(NODE, 10, &[(Milestone::Woken, at(3)), (Milestone::Sent, at(4))]);
        journal.session(NODE, 10, &[(Milestone::Barrier, at(5)), (Milestone::Confirmed, at(6))]);
        journal.reach(endpoint, Milestone::Told, at(3));
        journal.reach(endpoint, Milestone::PortUp, at(8));
        journal.reach(endpoint, Milestone::Ready, at(9));
        assert!(journal.of(endpoint).is_none(), "its own task has not told when it was committed");
        journal.reach(endpoint, Milestone::Committed, at(1));
        let reached = journal.of(endpoint).unwrap().reached;
        assert_eq!(reached.at(Milestone::Woken), Some(at(3)));
        assert_eq!(reached.took(Milestone::Confirmed), Some(Duration::from_millis(1)));
        assert_eq!(
            (reached.took(Milestone::Ready), journal.under_way()),
            (Some(Duration::from_millis(1)), 0)
        );
        journal.reach(endpoint, Milestone::Ready, at(20));
        let text = metrics.render(Exposition::OpenMetrics);
        for line in ["create_to_ready_seconds_count 1", "create_phase_seconds_count{phase=\"port_up\"} 1"] {
            assert!(text.contains(&format!("\nweir_{line}\n")), "{line} is not in\n{text}");
        }
        assert!(!text.contains("phase=\"received\""), "nothing comes before the request");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let journal = Journal::default();
        let n = u32::try_from(UNDER_WAY).unwrap();
        for endpoint in 1..=n + 5 {
            begin(&journal, endpoint, endpoint.into());
        }
        assert_eq!((journal.under_way(), journal.let_go.get()), (UNDER_WAY, 5));
        (1..=n + 5).for_each(|endpoint| {
            for last in [Milestone::Committed, Milestone::Ready] {
                journal.reach(EndpointId(endpoint), last, Instant::now());
            }
        });
        let inner = journal.inner();
        assert_eq!((inner.under_way.len(), inner.unpublished.len(), inner.unconfirmed.len()), (0, 0, 0));
        assert_eq!((inner.arrived.len(), inner.order.len()), (REMEMBERED, REMEMBERED));
    }
}
