//! Which nodes count as alive: pure, the clock comes with each event.
//!
//! ```text
//!                 the agent says something, or the switch connects
//!           ┌────────────────────────────────────────────────────────┐
//!           ▼                                                        │
//!         alive ──── the lease is over, and the switch is gone ───▶ lost
//! ```
//!
//! A switch that has just gone is given a little time of its own: one that only connects anew while no agent runs must
//! not move what is on its node.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use flowlib::compile::model::NodeId;

/// How long a switch may be gone, at most a lease, before its node is lost if its agent is silent too.
const SWITCH_GRACE: Duration = Duration::from_secs(5);

/// The leases of all nodes.
#[derive(Debug)]
pub(super) struct Leases {
    lease: Duration,
    nodes: HashMap<NodeId, Lease>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    /// The agent counts as alive until then.
    until: Instant,
    /// The agent's stream is open.
    open: bool,
    /// When the switch's connection, if it ends, has ended for long enough; `None` while it is up.
    switch_gone: Option<Instant>,
    lost: bool,
}

impl Lease {
    /// When its node is lost, if nothing is heard before.
    fn ends(&self) -> Option<Instant> {
        let gone = self.switch_gone.filter(|_| !self.lost)?;
        Some(gone.max(self.until))
    }
}

/// What the passing of time has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Over {
    /// Nodes whose agents' streams are open, but silent.
    pub(super) silent: Vec<NodeId>,
    /// Nodes that are lost now.
    pub(super) lost: Vec<NodeId>,
}

impl Leases {
    /// No node has a lease yet.
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, nodes: HashMap::new() }
    }

    /// Gives a node a whole lease, if it has none.
    pub(super) fn begin(&mut self, node: NodeId, clock: Instant) {
        self.entry(node, clock);
    }

    fn entry(&mut self, node: NodeId, clock: Instant) -> &mut Lease {
        let until = clock + self.lease;
        self.nodes.entry(node).or_insert(Lease { until, open: false, switch_gone: Some(clock), lost: false })
    }

    /// The agent has said something; `true` if the node had been lost.
    #[must_use]
    pub(super) fn heard(&mut self, node: NodeId, clock: Instant) -> bool {
        let until = clock + self.lease;
        let lease = self.entry(node, clock);
        (lease.until, lease.open) = (until, true);
        std::mem::take(&mut lease.lost)
    }

    /// The agent's stream has ended.
    pub(super) fn closed(&mut self, node: NodeId) {
        if let Some(lease) = self.nodes.get_mut(&node) {
            lease.open = false;
        }
    }

    /// The switch has connected; `true` if the node had been lost.
    #[must_use]
    pub(super) fn switch_up(&mut self, node: NodeId, clock: Instant) -> bool {
        let lease = self.entry(node, clock);
        lease.switch_gone = None;
        std::mem::take(&mut lease.lost)
    }

    /// The switch's connection has ended.
    pub(super) fn switch_down(&mut self, node: NodeId, clock: Instant) {
        let gone = clock + SWITCH_GRACE.min(self.lease);
        self.entry(node, clock).switch_gone.get_or_insert(gone);
    }

    /// Whether a node is lost.
    pub(super) fn is_lost(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|lease| lease.lost)
    }

    /// When [`Self::take_over`] has something to say next.
    pub(super) fn next(&self) -> Option<Instant> {
        let of = |lease: &Lease| [lease.open.then_some(lease.until), lease.ends()];
        self.nodes.values().flat_map(of).flatten().min()
    }

    /// What has ended by now; each end is told once.
    pub(super) fn take_over(&mut self, clock: Instant) -> Over {
        let mut over = Over::default();
        for (node, lease) in &mut self.nodes {
            if lease.open && lease.until <= clock {
                lease.open = false;
                over.silent.push(*node);
            }
            if lease.ends().is_some_and(|ends| ends <= clock) {
                lease.lost = true;
                over.lost.push(*node);
            }
        }
        over.silent.sort();
        over.lost.sort();
        over
    }

    /// Forgets a node.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);
    const LEASE: Duration = Duration::from_secs(15);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lost() -> Over {
        Over { silent: Vec::new(), lost: vec![NODE] }
    }

    #[test]
    fn a_node_that_is_never_heard_of_is_lost_after_a_whole_lease() {
        let (t, mut leases) = (Instant::now(), Leases::new(LEASE));
        leases.begin(NODE, t);
        leases.begin(NODE, t + s(10));
        assert_eq!(leases.next(), Some(t + LEASE));
        assert_eq!(leases.take_over(t + s(14)), Over::default());
        assert_eq!(leases.take_over(t + LEASE), lost());
        assert_eq!((leases.next(), leases.take_over(t + s(99))), (None, Over::default()), "it is told once");
        assert!(leases.is_lost(NODE) && leases.heard(NODE, t + s(99)) && !leases.is_lost(NODE));
    }

    #[test]
    fn each_word_of_the_agent_extends_the_lease_and_silence_closes_its_stream() {
        let (t, mut leases) = (Instant::now(), Leases::new(LEASE));
        assert!(!leases.heard(NODE, t) && !leases.switch_up(NODE, t) && !leases.heard(NODE, t + s(10)));
        assert_eq!(leases.take_over(t + s(24)), Over::default());
        let silent = Over { silent: vec![NODE], lost: Vec::new() };
        assert_eq!(leases.take_over(t + s(25)), silent, "but its switch is connected: it is not lost");
        assert_eq!(leases.next(), None);
        leases.switch_down(NODE, t + s(100));
        assert_eq!(leases.take_over(t + s(104)), Over::default(), "it may only connect anew");
        assert_eq!(leases.take_over(t + s(105)), lost());
        assert!(leases.switch_up(NODE, t + s(106)), "it is back");
    }

    #[test]
    fn a_switch_that_goes_with_its_agent_takes_no_more_than_the_lease() {
        let (t, mut leases) = (Instant::now(), Leases::new(LEASE));
        assert!(!leases.heard(NODE, t) && !leases.switch_up(NODE, t));
        leases.switch_down(NODE, t + s(1));
        leases.closed(NODE);
        assert_eq!(leases.next(), Some(t + LEASE));
        assert_eq!(leases.take_over(t + LEASE), lost());
        leases.forget(NODE);
        assert!(!leases.is_lost(NODE));
    }
}
