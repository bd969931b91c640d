//! A network's addresses: who has which. An index over records; changed by the state alone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use flowlib::compile::model::EndpointId;
use ipnet::Ipv4Net;
use smallvec::SmallVec;

use super::model::{Block, Cooling, Neighbour};

/// A network's addresses: who has which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Blocks given to nodes; disjoint, all of the network's block length.
    pub blocks: BTreeMap<Ipv4Net, Arc<Block>>,
    /// Addresses of endpoints, live or retiring, and who has them.
    pub used: BTreeMap<Ipv4Addr, Holders>,
    /// Addresses released a short while ago.
    pub cooling: BTreeMap<Ipv4Addr, Arc<Cooling>>,
    /// Addresses that hosts were found to use which are no endpoints.
    pub neighbours: BTreeMap<Ipv4Addr, Arc<Neighbour>>,
    /// How many addresses of each block are used, of those that have any.
    counts: BTreeMap<Ipv4Net, usize>,
}

/// The endpoints that have an address, in the order of their numbers: more than one only while a container moves.
pub type Holders = SmallVec<[EndpointId; 2]>;

/// A network of which nothing is used.
pub(super) static NO_SPACE: Space = Space {
    blocks: BTreeMap::new(),
    used: BTreeMap::new(),
    cooling: BTreeMap::new(),
    neighbours: BTreeMap::new(),
    counts: BTreeMap::new(),
};

impl Space {
    /// How many addresses of a block that was given to a node are used.
    #[must_use]
    pub fn used_in(&self, block: &Ipv4Net) -> usize {
        self.counts.get(block).copied().unwrap_or(0)
    }

    /// Notes a block as given to its node.
    pub(crate) fn give(&mut self, block: Arc<Block>) {
        let prefix = block.prefix;
        let used = self.used.range(prefix.network()..=prefix.broadcast()).count();
        self.blocks.insert(prefix, block);
        if used > 0 {
            self.counts.insert(prefix, used);
        }
    }

    /// Notes a block as nobody's.
    pub(crate) fn take_back(&mut self, prefix: &Ipv4Net) {
        self.blocks.remove(prefix);
        self.counts.remove(prefix);
    }

    /// Notes an address as an endpoint's.
    pub(crate) fn occupy(&mut self, address: Ipv4Addr, endpoint: EndpointId) {
        let holders = self.used.entry(address).or_default();
        let is_first = holders.is_empty();
        if let Err(place) = holders.binary_search(&endpoint) {
            holders.insert(place, endpoint);
        }
        if is_first && let Some(block) = self.block_around(address) {
            *self.counts.entry(block).or_default() += 1;
        }
    }

    /// Notes an address as an endpoint's no longer.
    pub(crate) fn vacate(&mut self, address: Ipv4Addr, endpoint: EndpointId) {
        let Some(holders) = self.used.get_mut(&address) else { return };
        holders.retain(|holder| *holder != endpoint);
        if !holders.is_empty() {
            return;
        }
        self.used.remove(&address);
        if let Some(block) = self.block_around(address)
            && let Some(count) = self.counts.get_mut(&block)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&block);
            }
        }
    }

    /// The given block that an address is in; blocks are disjoint, so it is the last that begins at or before it.
    #[must_use]
    pub fn block_around(&self, address: Ipv4Addr) -> Option<Ipv4Net> {
        let (block, _) = self.blocks.range(..=Ipv4Net::from(address)).next_back()?;
        block.contains(&address).then_some(*block)
    }
}

#[cfg(test)]
mod tests {
    use flowlib::compile::model::{NetworkId, NodeId};
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Give(u8),
        TakeBack(u8),
        Occupy(u8, u32),
        Vacate(u8, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4u8).prop_map(Step::Give),
            (0..4u8).prop_map(Step::TakeBack),
            (0..16u8, 0..3u32).prop_map(|(address, endpoint)| Step::Occupy(address, endpoint)),
            (0..16u8, 0..3u32).prop_map(|(address, endpoint)| Step::Vacate(address, endpoint)),
        ]
    }

    fn address(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, n)
    }

    fn prefix(n: u8) -> Ipv4Net {
        Ipv4Net::new_assert(address(4 * n), 30)
    }

    proptest! {
        #[test]
        fn a_blocks_count_is_what_a_walk_would_count(steps in prop::collection::vec(step(), 1..60)) {
            let mut space = Space::default();
            for step in steps {
                match step {
                    Step::Give(n) => space.give(Arc::new(Block {
                        network: NetworkId(1), prefix: prefix(n), node: NodeId(1), revision: 1,
                    })),
                    Step::TakeBack(n) => space.take_back(&prefix(n)),
                    Step::Occupy(n, endpoint) => space.occupy(address(n), EndpointId(endpoint)),
                    Step::Vacate(n, endpoint) => space.vacate(address(n), EndpointId(endpoint)),
                }
                for n in 0..4 {
                    let given = space.blocks.contains_key(&prefix(n));
                    let walked = space.used.keys().filter(|a| given && prefix(n).contains(*a)).count();
                    prop_assert_eq!(space.used_in(&prefix(n)), walked);
                }
                prop_assert!(space.counts.values().all(|count| *count > 0), "what is empty is not kept");
            }
        }
    }
}
