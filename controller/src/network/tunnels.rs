//! Which tunnels between switches are to be used: the first packet into another is lost, so one is sent ahead.
//!
//! There are as many tunnels as pairs of nodes; so what is kept is nodes. One that is *fresh* uses its tunnels, and its
//! peers use theirs to it.

use std::collections::BTreeSet;

use flowlib::types::{NetworkId, NodeId};
use hashbrown::HashMap;

/// The tunnels of all nodes.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    /// For which of its networks a node has been fresh since its switch connected.
    known: HashMap<NodeId, Vec<NetworkId>>,
    fresh: BTreeSet<NodeId>,
    /// The nodes that were fresh when the round began.
    round: BTreeSet<NodeId>,
    /// Those that have a network of one of them, and have not had their turn.
    waiting: BTreeSet<NodeId>,
    /// Nodes that use all their tunnels when nobody else has to use one.
    again: BTreeSet<NodeId>,
}

/// Whose turn it is, and to whom it uses its tunnels.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// To all its peers.
    All(NodeId),
    /// To those of its peers that are fresh.
    Fresh(NodeId),
}

impl Tunnels {
    /// A switch has connected, and may have begun from nothing: no tunnel from or to it is known to have been used.
    pub(super) fn connected(&mut self, node: NodeId) {
        self.known.remove(&node);
    }

    /// These are the networks of a connected node that have tunnels. Says whether it is fresh for one of them.
    pub(super) fn expect(&mut self, node: NodeId, networks: Vec<NetworkId>) -> bool {
        let known = self.known.entry(node).or_default();
        let is_fresh = networks.iter().any(|network| !known.contains(network));
        *known = networks;
        is_fresh && self.fresh.insert(node)
    }

    /// All tunnels are used once more.
    pub(super) fn expect_all(&mut self) {
        let tunnelled = self.known.iter().filter(|(_, networks)| !networks.is_empty());
        self.again.extend(tunnelled.map(|(node, _)| *node));
    }

    /// A node is no more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.known.remove(&node);
        for nodes in [&mut self.fresh, &mut self.round, &mut self.waiting, &mut self.again] {
            nodes.remove(&node);
        }
    }

    /// Takes the next turn; `holders` gives the nodes that have a network.
    pub(super) fn next<I: IntoIterator<Item = NodeId>>(
        &mut self,
        holders: impl Fn(NetworkId) -> I,
    ) -> Option<Turn> {
        if self.waiting.is_empty() {
            self.round = std::mem::take(&mut self.fresh);
            let networks: BTreeSet<_> =
                self.round.iter().filter_map(|node| self.known.get(node)).flatten().collect();
            self.waiting = networks.into_iter().flat_map(|network| holders(*network)).collect();
        }
        match self.waiting.pop_first() {
            Some(node) if self.round.contains(&node) => Some(Turn::All(node)),
            Some(node) => Some(Turn::Fresh(node)),
            None => self.again.pop_first().map(Turn::All),
        }
    }

    /// The nodes that were fresh when the round began.
    pub(super) fn round(&self) -> &BTreeSet<NodeId> {
        &self.round
    }

    /// Whether anybody has a turn to come.
    pub(super) fn is_idle(&self) -> bool {
        [&self.fresh, &self.waiting, &self.again].into_iter().all(BTreeSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: NetworkId = NetworkId(1);
    const OTHER: NetworkId = NetworkId(2);

    fn turns(tunnels: &mut Tunnels, holders: &[NodeId]) -> Vec<Turn> {
        std::iter::from_fn(|| tunnels.next(|_| holders.to_vec())).collect()
    }

    #[test]
    fn a_node_is_fresh_for_each_network_and_again_when_its_switch_has_connected_anew() {
        let mut tunnels = Tunnels::default();
        let [a, b] = [1, 2].map(NodeId);
        assert!(tunnels.expect(a, vec![NET]) && tunnels.expect(b, vec![NET]));
        assert_eq!(turns(&mut tunnels, &[a, b]), [Turn::All(a), Turn::All(b)]);
        assert!(tunnels.is_idle() && !tunnels.expect(a, vec![NET]));
        assert!(tunnels.expect(b, vec![NET, OTHER]));
        assert_eq!(turns(&mut tunnels, &[a, b]), [Turn::Fresh(a), Turn::All(b)]);
        assert!(!tunnels.expect(b, vec![OTHER]) && tunnels.expect(b, vec![NET, OTHER]));
        tunnels.connected(a);
        assert!(tunnels.expect(a, vec![NET]));
        tunnels.forget(b);
        assert_eq!(turns(&mut tunnels, &[a]), [Turn::All(a)]);
        tunnels.forget(a);
        assert!(tunnels.is_idle());
    }

    #[test]
    fn who_is_fresh_comes_before_those_that_were() {
        let mut tunnels = Tunnels::default();
        let [a, b] = [1, 2].map(NodeId);
        tunnels.expect(a, vec![NET]);
        tunnels.expect(b, vec![]);
        turns(&mut tunnels, &[a]);
        tunnels.expect_all();
        tunnels.expect(b, vec![NET]);
        assert_eq!(turns(&mut tunnels, &[a, b]), [Turn::Fresh(a), Turn::All(b), Turn::All(a)]);
    }
}
