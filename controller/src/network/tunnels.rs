//! Which tunnels between switches have been used since both connected: the first packet into another is lost.

use std::collections::BTreeSet;

use flowlib::types::NodeId;
use hashbrown::HashMap;

/// The tunnels of all nodes, each from one node to another.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    nodes: HashMap<NodeId, Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// How often its switch has connected.
    times: u32,
    /// To whom its tunnels have been used, and how often the other switch had connected by then.
    warm: HashMap<NodeId, u32>,
    /// To whom they are to be.
    cold: BTreeSet<NodeId>,
}

impl Tunnels {
    /// A switch has connected, and may have begun from nothing: no tunnel from or to it is known to have been used.
    pub(super) fn connected(&mut self, node: NodeId) {
        let node = self.nodes.entry(node).or_default();
        *node = Node { times: node.times.wrapping_add(1), ..Node::default() };
    }

    /// A tunnel is there to be used. Says whether it has never been, and then keeps it for [`Self::take_cold`].
    pub(super) fn expect(&mut self, from: NodeId, to: NodeId) -> bool {
        let times = self.times(to);
        let from = self.nodes.entry(from).or_default();
        let is_cold = from.warm.get(&to) != Some(&times);
        if is_cold {
            from.cold.insert(to);
        }
        is_cold
    }

    /// A tunnel is used.
    pub(super) fn used(&mut self, from: NodeId, to: NodeId) {
        let times = self.times(to);
        let from = self.nodes.entry(from).or_default();
        from.cold.remove(&to);
        from.warm.insert(to, times);
    }

    /// Where the tunnels go that are there and have never been used.
    pub(super) fn take_cold(&mut self, from: NodeId) -> BTreeSet<NodeId> {
        self.nodes.get_mut(&from).map(|node| std::mem::take(&mut node.cold)).unwrap_or_default()
    }

    /// A node is no more.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    fn times(&self, node: NodeId) -> u32 {
        self.nodes.get(&node).map_or(0, |node| node.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_is_cold_until_used_and_again_when_either_end_has_connected_anew() {
        let mut tunnels = Tunnels::default();
        let [a, b, c] = [1, 2, 3].map(NodeId);
        [a, b].iter().for_each(|node| tunnels.connected(*node));
        assert!(tunnels.expect(a, b) && tunnels.expect(a, c) && tunnels.expect(b, a));
        assert_eq!(tunnels.take_cold(a), [b, c].into());
        for (from, to) in [(a, b), (a, c), (b, a)] {
            tunnels.used(from, to);
            assert!(!tunnels.expect(from, to));
        }
        assert!(tunnels.take_cold(a).is_empty() && tunnels.take_cold(b).is_empty());
        tunnels.connected(b);
        assert!(tunnels.expect(a, b) && tunnels.expect(b, a) && !tunnels.expect(a, c));
        tunnels.used(a, b);
        assert!(!tunnels.expect(a, b) && tunnels.take_cold(a).is_empty());
        tunnels.forget(a);
        assert!(tunnels.take_cold(a).is_empty() && tunnels.expect(a, c));
    }
}
