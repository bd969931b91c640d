//! Which address an endpoint gets: one of a block of its node, so that others reach it by one prefix; else one of
//! another's block, as an exception; never one that is not free. All but the first is the same for all nodes.
//!
//! Pure: it says what to take, the caller takes it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use flowlib::compile::model::{self as compiled, EndpointId, NetworkId};
use ipnet::Ipv4Net;

use crate::intent::Space;
use crate::intent::model::Network;

/// A request for an address.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The network it is to be of.
    pub network: &'a Network,
    /// Who has which of its addresses.
    pub space: &'a Space,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// How long a released address is not given again by choice.
    pub cool_down_ms: u64,
}

/// The blocks of a node, whatever their network.
pub type Blocks = BTreeSet<(NetworkId, Ipv4Net)>;

/// An address to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The address.
    pub address: Ipv4Addr,
    /// A block that the node is to be given with it.
    pub new_block: Option<Ipv4Net>,
}

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The fields are what the sentences name.
pub enum AddressError {
    /// It is not of the network's subnet.
    #[error("the address {address} is not in the subnet {subnet}")]
    Outside { address: Ipv4Addr, subnet: Ipv4Net },
    /// It is the first or the last of the subnet.
    #[error("the address {address} is the {what} address of the subnet {subnet}; hosts have those between")]
    NotAHost { address: Ipv4Addr, subnet: Ipv4Net, what: &'static str },
    /// It is the gateway's.
    #[error("the address {address} is the gateway's")]
    Gateway { address: Ipv4Addr },
    /// It is the own address of the node that has its block, or will have it.
    #[error("the address {address} is kept for the node that has the block {block}")]
    Node { address: Ipv4Addr, block: Ipv4Net },
    /// A host outside of our control has it.
    #[error("the address {address} is used by a host on the VLAN that is no container")]
    External { address: Ipv4Addr },
    /// An endpoint has it.
    #[error("the address {address} is taken")]
    Taken { address: Ipv4Addr, holder: EndpointId },
    /// All addresses are in use.
    #[error("the subnet {subnet} is full: each of its addresses is in use{}", next_free(*.next_free_ms))]
    Full { subnet: Ipv4Net, next_free_ms: Option<u64> },
}

fn next_free(next_free_ms: Option<u64>) -> String {
    next_free_ms.map_or_else(String::new, |ms| {
        format!(" or was a moment ago; the next becomes free in {} s", ms.div_ceil(1000))
    })
}

/// Addresses of a block that no container is given, at most: the first and the last of the subnet, the gateway's, the node's.
const NO_HOSTS: usize = 4;

impl Ask<'_> {
    /// An address of the network's choice for an endpoint on the node that has these blocks.
    ///
    /// # Errors
    /// [`AddressError::Full`] if there is none left anywhere in the subnet, and only then.
    pub fn any(&self, own: &Blocks) -> Result<Grant, AddressError> {
        self.of_own_block(own).map_or_else(|| self.of_no_own_block(), Ok)
    }

    /// A certain address, also one that was in use until just now.
    ///
    /// # Errors
    /// The address cannot be had, and why.
    pub fn fixed(&self, address: Ipv4Addr) -> Result<Grant, AddressError> {
        let subnet = self.network.subnet;
        if !subnet.contains(&address) {
            return Err(AddressError::Outside { address, subnet });
        }
        if let Some(what) = self.not_a_host(address) {
            return Err(AddressError::NotAHost { address, subnet, what });
        }
        if self.network.gateway == Some(address) {
            return Err(AddressError::Gateway { address });
        }
        if let Some(block) = self.block_with_own(address) {
            return Err(AddressError::Node { address, block });
        }
        if let Some(holder) = self.space.used.get(&address).and_then(|holders| holders.first()) {
            return Err(AddressError::Taken { address, holder: *holder });
        }
        if self.space.neighbours.contains_key(&address) {
            return Err(AddressError::External { address });
        }
        Ok(self.kept(address))
    }

    /// An address that its endpoint has already and keeps.
    #[must_use]
    pub fn kept(&self, address: Ipv4Addr) -> Grant {
        Grant { address, new_block: self.unowned_block_of(address) }
    }

    /// An address of a block that the node has.
    #[must_use]
    pub fn of_own_block(&self, own: &Blocks) -> Option<Grant> {
        let free = self.blocks_of(own).find_map(|block| self.first_free(block));
        free.map(|address| Grant { address, new_block: None })
    }

    /// Whether [`Self::of_own_block`] would give one: for most nodes that is told without a look at each address.
    #[must_use]
    pub fn has_own(&self, own: &Blocks) -> bool {
        self.blocks_of(own).any(|block| self.has_room(block) || self.first_free(block).is_some())
    }

    /// The network's among the blocks of a node.
    fn blocks_of(&self, own: &Blocks) -> impl Iterator<Item = Ipv4Net> {
        let network = self.network.id;
        let own = own.range((network, Ipv4Net::default())..).take_while(move |(of, _)| *of == network);
        own.map(|(_, block)| *block)
    }

    /// Whether a block has more addresses than are used or could be kept back.
    fn has_room(&self, block: Ipv4Net) -> bool {
        let range = block.network()..=block.broadcast();
        let kept_back =
            self.space.cooling.range(range.clone()).count() + self.space.neighbours.range(range).count();
        let taken = self.space.used_in(&block) + kept_back + NO_HOSTS;
        (taken as u64) < 1 << (32 - block.prefix_len())
    }

    /// An address for a node none of whose blocks has one left.
    ///
    /// # Errors
    /// [`AddressError::Full`].
    pub fn of_no_own_block(&self) -> Result<Grant, AddressError> {
        self.of_new_block().or_else(|| self.of_anothers_block()).ok_or_else(|| AddressError::Full {
            subnet: self.network.subnet,
            next_free_ms: self.next_free_ms(),
        })
    }

    /// The first block that nobody has and that has an address left; blocks are kept in the order of their addresses.
    fn of_new_block(&self) -> Option<Grant> {
        let mut owned = self.space.blocks.keys().peekable();
        let blocks = self.network.subnet.subnets(self.network.block_prefix_len).ok()?;
        for block in blocks {
            if owned.next_if(|prefix| **prefix == block).is_some() {
                continue;
            }
            if let Some(address) = self.first_free(block) {
                return Some(Grant { address, new_block: Some(block) });
            }
        }
        None
    }

    /// An exception, from the block with the fewest addresses in use: its node is the last to miss it.
    fn of_anothers_block(&self) -> Option<Grant> {
        let mut blocks: Vec<_> =
            self.space.blocks.keys().map(|block| (self.space.used_in(block), *block)).collect();
        blocks.sort_unstable();
        let address = blocks.into_iter().find_map(|(_, block)| self.first_free(block))?;
        Some(Grant { address, new_block: None })
    }

    fn first_free(&self, block: Ipv4Net) -> Option<Ipv4Addr> {
        if self.space.used_in(&block) as u64 >= 1 << (32 - block.prefix_len()) {
            return None;
        }
        let mut used = self.space.used.range(block.network()..=block.broadcast()).peekable();
        let mut unused =
            addresses(block).filter(|address| used.next_if(|(next, _)| *next == address).is_none());
        unused.find(|address| self.could_be_given(*address) && self.cooling_ms(*address) == 0)
    }

    /// Whether endpoints may have it at all.
    fn could_be_given(&self, address: Ipv4Addr) -> bool {
        self.not_a_host(address).is_none()
            && self.network.gateway != Some(address)
            && self.block_with_own(address).is_none()
            && !self.space.neighbours.contains_key(&address)
    }

    /// The name of an address that no host has; two-address and one-address subnets have none (RFC 3021).
    fn not_a_host(&self, address: Ipv4Addr) -> Option<&'static str> {
        let subnet = self.network.subnet;
        if subnet.prefix_len() >= 31 {
            None
        } else if address == subnet.network() {
            Some("network")
        } else if address == subnet.broadcast() {
            Some("broadcast")
        } else {
            None
        }
    }

    /// The block whose own address that is.
    fn block_with_own(&self, address: Ipv4Addr) -> Option<Ipv4Net> {
        let own =
            |block: &Ipv4Net| compiled::Network::from(self.network).own_address(*block) == Some(address);
        block_of(self.network, address).filter(own)
    }

    /// How long an address is still kept back. A clock that was set back makes it no longer than the cool-down.
    fn cooling_ms(&self, address: Ipv4Addr) -> u64 {
        self.space.cooling.get(&address).map_or(0, |cooling| {
            let elapsed = self.now_ms.saturating_sub(cooling.released_ms);
            self.cool_down_ms.saturating_sub(elapsed)
        })
    }

    fn next_free_ms(&self) -> Option<u64> {
        let cooling = self.space.cooling.keys();
        let candidates = cooling.filter(|a| self.could_be_given(**a) && !self.space.used.contains_key(*a));
        candidates.map(|address| self.cooling_ms(*address)).min()
    }

    fn unowned_block_of(&self, address: Ipv4Addr) -> Option<Ipv4Net> {
        let block = block_of(self.network, address)?;
        (!self.space.blocks.contains_key(&block)).then_some(block)
    }
}

/// The block that an address belongs to, given to a node or not.
#[must_use]
pub fn block_of(network: &Network, address: Ipv4Addr) -> Option<Ipv4Net> {
    Ipv4Net::new(address, network.block_prefix_len).ok().map(|net| net.trunc())
}

/// All addresses of a prefix, the first and the last included.
fn addresses(prefix: Ipv4Net) -> impl Iterator<Item = Ipv4Addr> {
    (u32::from(prefix.network())..=u32::from(prefix.broadcast())).map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flowlib::compile::model::{Driver, NodeId, PoolId};
    use flowlib::types::{MacAddr, VlanVid};
    use proptest::prelude::*;

    use super::*;
    use crate::intent::model::{Block, Cooling, Neighbour};

    fn network(subnet: &str, gateway: Option<&str>, block_prefix_len: u8) -> Network {
        Network {
            id: NetworkId(1),
            pool: PoolId(1),
            name: "net".to_owned(),
            driver: Driver::Vlan(VlanVid::new(100).unwrap()),
            subnet: subnet.parse().unwrap(),
            gateway: gateway.map(|text| text.parse().unwrap()),
            mtu: 1500,
            block_prefix_len,
            request_key: String::new(),
            revision: 1,
        }
    }

    /// A network, its space, and what a history of requests did to it.
    struct World {
        network: Network,
        space: Space,
        now_ms: u64,
    }

    impl World {
        fn new(network: Network) -> Self {
            Self { network, space: Space::default(), now_ms: 1_000_000 }
        }

        fn ask(&self) -> Ask<'_> {
            Ask { network: &self.network, space: &self.space, now_ms: self.now_ms, cool_down_ms: 60_000 }
        }

        /// The blocks of a node, and one of another network, which is not to matter.
        fn own(&self, node: u32) -> Blocks {
            let own = self.space.blocks.values().filter(|block| block.node == NodeId(node));
            let other = [0, 2].map(|network| (NetworkId(network), "10.0.0.0/26".parse().unwrap()));
            own.map(|block| (NetworkId(1), block.prefix)).chain(other).collect()
        }

        fn choose(&self, node: u32) -> Result<Grant, AddressError> {
            self.ask().any(&self.own(node))
        }

        fn is_free(&self, address: Ipv4Addr) -> bool {
            let ask = self.ask();
            ask.could_be_given(address)
                && !self.space.used.contains_key(&address)
                && ask.cooling_ms(address) == 0
        }

        fn find_host(&mut self, address: Ipv4Addr) {
            let host = Neighbour { network: NetworkId(1), address, mac: MacAddr::ZERO, revision: 1 };
            self.space.neighbours.insert(address, Arc::new(host));
        }

        fn take(&mut self, node: u32, grant: Grant) {
            if let Some(prefix) = grant.new_block {
                let block = Block { network: NetworkId(1), prefix, node: NodeId(node), revision: 1 };
                assert!(!self.space.blocks.contains_key(&prefix), "block given twice");
                self.space.give(Arc::new(block));
            }
            assert!(!self.space.used.contains_key(&grant.address), "{} given twice", grant.address);
            self.space.occupy(grant.address, EndpointId(1));
            self.space.cooling.remove(&grant.address);
        }

        fn any(&mut self, node: u32) -> Result<Grant, AddressError> {
            let grant = self.choose(node)?;
            self.take(node, grant);
            Ok(grant)
        }

        fn release(&mut self, address: Ipv4Addr) {
            self.space.vacate(address, EndpointId(1));
            let cooling = Cooling { network: NetworkId(1), address, released_ms: self.now_ms, revision: 1 };
            self.space.cooling.insert(address, Arc::new(cooling));
        }
    }

    #[test]
    fn a_node_fills_its_block_and_is_given_another() {
        let mut world = World::new(network("10.0.0.0/24", Some("10.0.0.1"), 26));
        let first = world.any(1).unwrap();
        assert_eq!(first.address, Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(first.new_block, Some("10.0.0.0/26".parse().unwrap()));
        assert_eq!(world.any(2).unwrap().new_block, Some("10.0.0.64/26".parse().unwrap()));
        for _ in 0..60 {
            assert_eq!(world.any(1).unwrap().new_block, None);
        }
        assert_eq!(world.any(1).unwrap().new_block, Some("10.0.0.128/26".parse().unwrap()));
    }

    #[test]
    fn without_a_free_block_an_exception_is_made_and_only_a_full_subnet_refuses() {
        let mut world = World::new(network("10.0.0.0/29", Some("10.0.0.1"), 30));
        assert_eq!(world.any(1).unwrap().address, Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(world.any(2).unwrap().address, Ipv4Addr::new(10, 0, 0, 4));
        let exception = world.any(3).unwrap();
        assert_eq!((exception.address, exception.new_block), (Ipv4Addr::new(10, 0, 0, 3), None));
        world.any(3).unwrap();
        world.any(3).unwrap();
        assert_eq!(
            world.any(3),
            Err(AddressError::Full { subnet: "10.0.0.0/29".parse().unwrap(), next_free_ms: None })
        );
    }

    #[test]
    fn a_released_address_cools_down_unless_it_is_asked_for() {
        let mut world = World::new(network("10.0.0.0/30", None, 30));
        let first = world.any(1).unwrap().address;
        world.any(1).unwrap();
        world.release(first);
        world.now_ms += 20_000;
        let error = world.any(1).unwrap_err();
        assert_eq!(error, AddressError::Full { subnet: world.network.subnet, next_free_ms: Some(40_000) });
        assert!(error.to_string().ends_with("the next becomes free in 40 s"), "{error}");
        assert_eq!(world.ask().fixed(first), Ok(Grant { address: first, new_block: None }));
        world.now_ms += 40_000;
        assert_eq!(world.any(1).unwrap().address, first);
    }

    #[test]
    fn a_fixed_address_brings_its_block_if_nobody_has_it() {
        let mut world = World::new(network("10.0.0.0/24", None, 26));
        let address = Ipv4Addr::new(10, 0, 0, 200);
        let grant = world.ask().fixed(address).unwrap();
        assert_eq!(grant.new_block, Some("10.0.0.192/26".parse().unwrap()));
        world.take(1, grant);
        let other = world.ask().fixed(Ipv4Addr::new(10, 0, 0, 201)).unwrap();
        assert_eq!(other.new_block, None, "an exception");
        assert!(matches!(world.ask().fixed(address), Err(AddressError::Taken { .. })));
    }

    #[test]
    fn some_addresses_are_never_given() {
        let mut world = World::new(network("10.0.0.0/24", Some("10.0.0.254"), 26));
        world.find_host(Ipv4Addr::new(10, 0, 0, 9));
        let refused = |text: &str| world.ask().fixed(text.parse().unwrap()).unwrap_err();
        assert!(matches!(refused("10.0.1.1"), AddressError::Outside { .. }));
        assert!(matches!(refused("10.0.0.0"), AddressError::NotAHost { what: "network", .. }));
        assert!(matches!(refused("10.0.0.255"), AddressError::NotAHost { what: "broadcast", .. }));
        assert!(matches!(refused("10.0.0.254"), AddressError::Gateway { .. }));
        assert!(matches!(refused("10.0.0.9"), AddressError::External { .. }));
    }

    #[test]
    fn small_subnets_have_no_network_and_broadcast_address() {
        for (subnet, n) in [("10.0.0.4/31", 2), ("10.0.0.4/32", 1), ("10.0.0.4/30", 2)] {
            let prefix_len = subnet.parse::<Ipv4Net>().unwrap().prefix_len();
            let mut world = World::new(network(subnet, None, prefix_len));
            for _ in 0..n {
                world.any(1).unwrap();
            }
            assert!(matches!(world.any(1), Err(AddressError::Full { .. })), "{subnet}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Any(u32),
        Fixed(u32, u8),
        Release(prop::sample::Index),
        LoseNode(u32),
        External(u8),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (1..5u32).prop_map(Step::Any),
            2 => (1..5u32, any::<u8>()).prop_map(|(n, a)| Step::Fixed(n, a)),
            4 => any::<prop::sample::Index>().prop_map(Step::Release),
            1 => (1..5u32).prop_map(Step::LoseNode),
            1 => any::<u8>().prop_map(Step::External),
            1 => (0..90_000u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn gives_each_address_once_and_refuses_only_when_full(
            prefix_len in 26..=32u8,
            block_more in 0..=4u8,
            gateway in prop::option::of(any::<u8>()),
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let subnet = Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 0), prefix_len).unwrap();
            let within = |n: u8| Ipv4Addr::from(u32::from(subnet.network()) + u32::from(n) % (1 << (32 - prefix_len)));
            let mut world = World::new(network(&subnet.to_string(), None, (prefix_len + block_more).min(32)));
            world.network.gateway = gateway.map(within);
            for step in steps {
                let own = world.own(1);
                prop_assert_eq!(world.ask().has_own(&own), world.ask().of_own_block(&own).is_some());
                match step {
                    Step::Any(node) => match world.choose(node) {
                        Ok(grant) => {
                            prop_assert!(subnet.contains(&grant.address));
                            prop_assert!(world.ask().could_be_given(grant.address));
                            world.take(node, grant);
                        }
                        Err(error) => {
                            prop_assert!(matches!(error, AddressError::Full { .. }), "not full");
                            let free = addresses(subnet).filter(|a| world.is_free(*a)).count();
                            prop_assert_eq!(free, 0);
                        }
                    },
                    Step::Fixed(node, n) => {
                        if let Ok(grant) = world.ask().fixed(within(n)) {
                            prop_assert_eq!(grant.address, within(n));
                            prop_assert!(world.ask().could_be_given(grant.address));
                            world.take(node, grant);
                        }
                    }
                    Step::Release(index) => {
                        let used: Vec<_> = world.space.used.keys().copied().collect();
                        if !used.is_empty() {
                            world.release(*index.get(&used));
                        }
                    }
                    Step::LoseNode(node) => {
                        for (_, block) in world.own(node).into_iter().filter(|(network, _)| network.0 == 1) {
                            world.space.take_back(&block);
                        }
                    }
                    Step::External(n) => world.find_host(within(n)),
                    Step::Wait(ms) => world.now_ms += ms,
                }
            }
        }
    }
}
