//! Which switches' tables are about to rest, and so are worth keeping by their agents: pure, the clock comes with each event.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use flowlib::compile::model::NodeId;

/// How long a switch must have been left alone before its table is worth keeping.
const QUIET: Duration = Duration::from_millis(200);
/// How long a table that never rests is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The tables that have changed and have not been said to rest since. Each operation costs as much as one map's.
#[derive(Debug, Default)]
pub(super) struct Settling {
    nodes: HashMap<NodeId, Wait>,
    /// When each counts as resting.
    due: BTreeSet<(Instant, NodeId)>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    due: Instant,
    latest: Instant,
}

impl Settling {
    /// A node's table has changed: it rests when it has been left alone, and after some time in any case.
    pub(super) fn touch(&mut self, node: NodeId, clock: Instant) {
        let latest = self.forget(node).map_or(clock + PATIENCE, |wait| wait.latest);
        let due = (clock + QUIET).min(latest);
        self.nodes.insert(node, Wait { due, latest });
        self.due.insert((due, node));
    }

    /// A node's table is of no interest any more.
    pub(super) fn cancel(&mut self, node: NodeId) {
        self.forget(node);
    }

    fn forget(&mut self, node: NodeId) -> Option<Wait> {
        let wait = self.nodes.remove(&node)?;
        self.due.remove(&(wait.due, node));
        Some(wait)
    }

    /// When the next table rests.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The nodes whose tables rest now; each is told once.
    pub(super) fn take_over(&mut self, clock: Instant) -> Vec<NodeId> {
        let mut over = Vec::new();
        while let Some((_, node)) = self.due.first().copied().filter(|(due, _)| *due <= clock) {
            self.forget(node);
            over.push(node);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    #[test]
    fn a_table_rests_when_it_is_left_alone_or_never_is() {
        let (start, mut settling) = (Instant::now(), Settling::default());
        settling.touch(NODE, start);
        settling.touch(NodeId(2), start + QUIET / 4);
        settling.touch(NODE, start + QUIET / 2);
        assert_eq!(settling.next(), Some(start + QUIET / 4 + QUIET));
        assert_eq!(settling.take_over(start + QUIET + QUIET / 4), [NodeId(2)]);
        assert_eq!(settling.take_over(start + QUIET + QUIET / 2), [NODE]);
        assert_eq!((settling.next(), settling.take_over(start + PATIENCE)), (None, vec![]), "told once");

        let mut changes = (0..).map(|n| start + QUIET / 2 * n);
        let over = changes.find(|at| {
            settling.touch(NODE, *at);
            !settling.take_over(*at).is_empty()
        });
        assert_eq!(over, Some(start + PATIENCE));

        settling.touch(NODE, start);
        settling.cancel(NODE);
        assert_eq!(settling.next(), None);
    }
}
