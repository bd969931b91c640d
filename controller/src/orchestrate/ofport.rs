//! OpenFlow port numbers of endpoints, chosen by the controller so that flows can be compiled before the port exists.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flowlib::compile::model::{EndpointId, NodeId};
use flowlib::types::PortNo;

/// The lowest number of an endpoint's port.
pub const FIRST: PortNo = PortNo(1024);
/// The highest number of a port in Open vSwitch.
pub const LAST: PortNo = PortNo::MAX_OVS;

/// What is known of the nodes' port numbers beyond the intent: which of them others use, and where to go on.
#[derive(Debug, Default)]
pub struct Ports {
    nodes: Mutex<HashMap<NodeId, Book>>,
}

#[derive(Debug, Default)]
struct Book {
    /// The last number given. The next is sought above it, so that a number rests as long as possible.
    last: Option<PortNo>,
    /// Ports of the bridge that are not ours, by the agent's last report.
    foreign: BTreeSet<PortNo>,
    /// Numbers that the switch did not give when asked, since the agent's stream was opened.
    taken: BTreeSet<PortNo>,
}

impl Ports {
    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, Book>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses a number that is neither in `used` nor known to be someone else's; `None` if there is none left.
    pub fn choose(&self, node: NodeId, used: &BTreeMap<PortNo, EndpointId>) -> Option<PortNo> {
        let mut nodes = self.nodes();
        let book = nodes.entry(node).or_default();
        // After a restart the highest number in use stands for the last one given.
        let last = book.last.or_else(|| used.keys().next_back().copied()).unwrap_or(LAST);
        let above = last.0.saturating_add(1).max(FIRST.0)..=LAST.0;
        let below = FIRST.0..=last.0.min(LAST.0);
        let port = above.chain(below).map(PortNo).find(|port| {
            !used.contains_key(port) && !book.foreign.contains(port) && !book.taken.contains(port)
        })?;
        book.last = Some(port);
        Some(port)
    }

    /// Notes which ports of a node are not ours.
    pub fn set_foreign(&self, node: NodeId, foreign: BTreeSet<PortNo>) {
        self.nodes().entry(node).or_default().foreign = foreign;
    }

    /// Notes that a switch gave another number when asked for this one.
    pub fn note_taken(&self, node: NodeId, port: PortNo) {
        self.nodes().entry(node).or_default().taken.insert(port);
    }

    /// A node's agent has connected anew: what was taken is seen anew, too.
    pub fn forget_reports(&self, node: NodeId) {
        if let Some(book) = self.nodes().get_mut(&node) {
            book.taken.clear();
            book.foreign.clear();
        }
    }

    /// Forgets a node.
    pub fn forget(&self, node: NodeId) {
        self.nodes().remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    #[test]
    fn goes_on_above_the_last_number_and_wraps() {
        let ports = Ports::default();
        let mut used = BTreeMap::new();
        assert_eq!(ports.choose(NODE, &used), Some(PortNo(1024)));
        assert_eq!(ports.choose(NODE, &used), Some(PortNo(1025)), "1024 is free again, but rests");
        used.insert(LAST, EndpointId(1));
        assert_eq!(
            Ports::default().choose(NODE, &used),
            Some(PortNo(1024)),
            "after a restart, from the highest"
        );
        assert_eq!(ports.choose(NodeId(2), &BTreeMap::new()), Some(PortNo(1024)), "each node has its own");
    }

    #[test]
    fn leaves_out_what_others_use_and_gives_up_when_all_are_in_use() {
        let ports = Ports::default();
        ports.set_foreign(NODE, BTreeSet::from([PortNo(1024)]));
        ports.note_taken(NODE, PortNo(1025));
        assert_eq!(ports.choose(NODE, &BTreeMap::new()), Some(PortNo(1026)));
        let used: BTreeMap<_, _> = (FIRST.0..=LAST.0).map(|n| (PortNo(n), EndpointId(n))).collect();
        assert_eq!(ports.choose(NODE, &used), None);
        let mut one_left = used;
        one_left.remove(&PortNo(1024));
        assert_eq!(ports.choose(NODE, &one_left), None, "it is foreign");
        ports.forget_reports(NODE);
        assert_eq!(ports.choose(NODE, &one_left), Some(PortNo(1024)));
    }
}
