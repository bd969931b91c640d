//! Which nodes count as alive: pure, the clock comes with each event.
//!
//! ```text
//!                 the agent says something, or the switch connects
//!           ┌────────────────────────────────────────────────────────┐
//!           ▼                                                        │
//!         alive ──── the lease is over, and the switch is gone ───▶ lost
//! ```
//!
//! The agent's lease is over by itself too: then it is silent, but its switch may be there still.
//!
//! When the controller starts, nodes come one after another: of one that has not been heard of yet, a lease is not over while
//! others are still coming.
//!
//! A switch that has just gone is given a little time of its own: one that only connects anew while no agent runs must
//! not move what is on its node.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use flowlib::compile::model::NodeId;

/// How long a switch may be gone, at most a lease, before its node is lost if its agent is silent too.
const SWITCH_GRACE: Duration = Duration::from_secs(5);

/// How many leases long a node is waited for, at most, while others come.
const WAITED: u32 = 10;

/// The leases of all nodes.
#[derive(Debug)]
pub(super) struct Leases {
    lease: Duration,
    /// When a node was last heard of for the first time.
    newest: Option<Instant>,
    nodes: HashMap<NodeId, Lease>,
    /// When each node's lease has something to say next.
    due: BTreeSet<(Instant, NodeId)>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    begun: Instant,
    /// Agent or switch has been heard of.
    known: bool,
    /// The agent counts as alive until then.
    until: Instant,
    /// The agent's stream is open.
    open: bool,
    /// That time has come.
    over: bool,
    /// When the switch's connection, if it ends, has ended for long enough; `None` while it is up.
    switch_gone: Option<Instant>,
    lost: bool,
}

impl Lease {
    /// When something is to be said of it, if nothing is heard before.
    fn due(&self) -> Option<Instant> {
        let over = (!self.over).then_some(self.until);
        [over, self.ends()].into_iter().flatten().min()
    }

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
        Self { lease, newest: None, nodes: HashMap::new(), due: BTreeSet::new() }
    }

    /// Gives a node a whole lease, if it has none.
    pub(super) fn begin(&mut self, node: NodeId, clock: Instant) {
        self.change(node, clock, |_| ());
    }

    /// Changes a node's lease, which it is given if it has none.
    fn change<T>(&mut self, node: NodeId, clock: Instant, change: impl FnOnce(&mut Lease) -> T) -> T {
        let until = clock + self.lease;
        let (begun, switch_gone) = (clock, Some(clock));
        let new = Lease { begun, known: false, until, open: false, over: false, switch_gone, lost: false };
        let lease = self.nodes.entry(node).or_insert(new);
        let before = lease.due();
        let changed = change(lease);
        let after = lease.due();
        if let Some(due) = before {
            self.due.remove(&(due, node));
        }
        self.due.extend(after.map(|due| (due, node)));
        changed
    }

    /// The agent has said something; `true` if the node had been lost.
    #[must_use]
    pub(super) fn heard(&mut self, node: NodeId, clock: Instant) -> bool {
        let until = clock + self.lease;
        self.come(node, clock, |lease| (lease.until, lease.open, lease.over) = (until, true, false))
    }

    /// Something is heard of a node; `true` if it had been lost.
    fn come(&mut self, node: NodeId, clock: Instant, change: impl FnOnce(&mut Lease)) -> bool {
        let (was_known, was_lost) = self.change(node, clock, |lease| {
            change(lease);
            (std::mem::replace(&mut lease.known, true), std::mem::take(&mut lease.lost))
        });
        if !was_known {
            self.newest = Some(clock);
        }
        was_lost
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
        self.come(node, clock, |lease| lease.switch_gone = None)
    }

    /// The switch's connection has ended.
    pub(super) fn switch_down(&mut self, node: NodeId, clock: Instant) {
        let gone = clock + SWITCH_GRACE.min(self.lease);
        self.change(node, clock, |lease| {
            lease.switch_gone.get_or_insert(gone);
        });
    }

    /// Whether a node's agent has said nothing for a lease.
    pub(super) fn is_over(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|lease| lease.over)
    }

    /// Whether a node is lost.
    pub(super) fn is_lost(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|lease| lease.lost)
    }

    /// When [`Self::take_over`] has something to say next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// What has ended by now; each end is told once.
    pub(super) fn take_over(&mut self, clock: Instant) -> Over {
        let mut over = Over::default();
        let (lease_of, newest) = (self.lease, self.newest);
        while let Some((due, node)) = self.due.first().copied().filter(|(due, _)| *due <= clock) {
            self.due.remove(&(due, node));
            self.change(node, clock, |lease| {
                if let Some(newest) = newest.filter(|_| !lease.known) {
                    let until = (newest + lease_of).min(lease.begun + lease_of * WAITED);
                    lease.until = lease.until.max(until);
                }
                lease.over |= lease.until <= clock;
                if lease.over && std::mem::take(&mut lease.open) {
                    over.silent.push(node);
                }
                if lease.ends().is_some_and(|ends| ends <= clock) {
                    lease.lost = true;
                    over.lost.push(node);
                }
            });
        }
        over.silent.sort();
        over.lost.sort();
        over
    }

    /// Forgets a node.
    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some(due) = self.nodes.remove(&node).and_then(|lease| lease.due()) {
            self.due.remove(&(due, node));
        }
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
    fn while_nodes_come_one_after_another_those_that_have_not_come_yet_are_waited_for() {
        let (t, mut leases) = (Instant::now(), Leases::new(LEASE));
        let late = (1..=30).map(NodeId);
        late.clone().for_each(|node| leases.begin(node, t));
        // One every ten seconds: the last but one has been waited for as long as any.
        for (n, node) in late.take(14).enumerate() {
            let now = t + s(10) * u32::try_from(n).unwrap();
            assert!(!leases.heard(node, now) && !leases.switch_up(node, now));
            assert_eq!(leases.take_over(now).lost, [], "{n}");
        }
        assert_eq!(leases.take_over(t + s(140)).lost, []);
        assert_eq!(leases.take_over(t + s(130) + LEASE).lost.len(), 16, "nobody came any more");

        let (mut leases, forever) = (Leases::new(LEASE), NodeId(1));
        leases.begin(forever, t);
        for n in 2..20 {
            let now = t + s(10) * n;
            assert!(!leases.switch_up(NodeId(n), now));
            assert_eq!(leases.take_over(now).lost.is_empty(), n != 15, "{n}: not for ever");
        }
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
        assert_eq!((leases.next(), leases.is_over(NODE)), (Some(t + LEASE), false));
        assert_eq!(leases.take_over(t + LEASE), lost());
        assert!(leases.is_over(NODE));
        leases.begin(NodeId(2), t + s(20));
        leases.forget(NodeId(2));
        assert_eq!(leases.next(), None);
        leases.forget(NODE);
        assert!(!leases.is_lost(NODE));
    }
}
