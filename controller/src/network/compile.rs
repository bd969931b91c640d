//! From changes of the intent to flows: keeps what is intended in the compiler's terms, and marks what a change
//! touches.
//!
//! Pure. A mark is an owner of a segment; compiling a mark looks only at the present facts, so that what comes out
//! does not depend on the order in which they came. Every fact that an owner's flows depend on must mark it: the
//! test at the bottom compares with a compile from nothing, on random histories.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use flowlib::compile;
use flowlib::compile::model::{Endpoint, Neighbour, Network, Node, Placement};
use flowlib::openflow::Flow;
use flowlib::segment::Step;
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::types::{EndpointId, MacAddr, NetworkId, NodeId, PoolId};
use ipnet::Ipv4Net;
use rayon::prelude::*;

use crate::openflow::board::Update;

/// So many marks are compiled before another processor would have begun to help.
const FEW: usize = 256;

/// What is intended, and what has not been compiled since it changed.
#[derive(Debug, Default)]
pub struct Compiler {
    nodes: BTreeMap<NodeId, (PoolId, Node)>,
    networks: BTreeMap<NetworkId, Network>,
    /// By first address: blocks of a network do not overlap.
    blocks: BTreeMap<(NetworkId, Ipv4Addr), (Ipv4Net, NodeId)>,
    /// The same, by whose they are.
    blocks_by_node: BTreeSet<(NodeId, NetworkId, Ipv4Addr)>,
    endpoints: HashMap<EndpointId, (NodeId, Endpoint)>,
    by_address: BTreeMap<(NetworkId, Ipv4Addr), EndpointId>,
    by_node: BTreeSet<(NodeId, EndpointId)>,
    neighbours: BTreeMap<(NetworkId, Ipv4Addr), MacAddr>,
    /// How many blocks and endpoints of a network a node has.
    presence: BTreeMap<(NodeId, NetworkId), u32>,
    /// The same pairs, by network.
    holders: BTreeSet<(NetworkId, NodeId)>,
    marks: BTreeSet<(SegmentId, Owner)>,
    moved_in_or_out: BTreeSet<NodeId>,
    /// Networks that went since the last compile; one that came back begins from nothing.
    gone: BTreeSet<NetworkId>,
}

/// Something the compiler knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant is what identifies it.
pub enum Fact {
    Node(NodeId),
    Network(NetworkId),
    Block(NetworkId, Ipv4Net),
    Endpoint(EndpointId),
    Neighbour(NetworkId, Ipv4Addr),
}

impl Compiler {
    /// A node is there, has changed, or (`None`) is no more.
    pub fn set_node(&mut self, id: NodeId, node: Option<(PoolId, Node)>) {
        let before = self.nodes.get(&id).copied();
        // Also if nothing changes for flows: somebody may wait to hear that the switch is up to date.
        self.mark(SegmentId::Node(id), Owner::Segment);
        if before == node {
            return;
        }
        for pool in [before, node].into_iter().flatten().map(|(pool, _)| pool) {
            self.mark(SegmentId::Pool(pool), Owner::Node(id));
            self.mark(SegmentId::Pool(pool), Owner::Segment);
        }
        match node {
            Some(node) => self.nodes.insert(id, node),
            None => self.nodes.remove(&id),
        };
        self.moved_in_or_out.insert(id);
        self.mark_all_of(id);
    }

    /// A network is there, has changed, or (`None`) is no more.
    pub fn set_network(&mut self, id: NetworkId, network: Option<Network>) {
        let before = match network {
            Some(network) => self.networks.insert(id, network),
            None => {
                self.gone.insert(id);
                self.networks.remove(&id)
            }
        };
        if before == network {
            return;
        }
        self.mark(SegmentId::Network(id), Owner::Segment);
        let blocks: Vec<_> = self.blocks_of(id).collect();
        for (prefix, node) in blocks {
            self.mark_placement(id, prefix);
            self.mark_presence(node, id);
        }
        let endpoints: Vec<_> = self.endpoints_in(id, all_addresses()).collect();
        for (node, endpoint) in endpoints {
            self.mark_endpoint(node, &endpoint);
            self.mark_presence(node, id);
        }
        let neighbours: Vec<_> = self.neighbours_of(id).map(|n| n.address).collect();
        for address in neighbours {
            self.mark_neighbour(id, address);
        }
    }

    /// A block belongs to that node, or (`None`) to nobody.
    pub fn set_block(&mut self, network: NetworkId, prefix: Ipv4Net, node: Option<NodeId>) {
        let key = (network, prefix.network());
        let before = match node {
            Some(node) => self.blocks.insert(key, (prefix, node)),
            None => self.blocks.remove(&key),
        };
        if before == node.map(|node| (prefix, node)) {
            return;
        }
        if let Some((prefix, node)) = before {
            self.blocks_by_node.remove(&(node, network, prefix.network()));
        }
        if let Some(node) = node {
            self.blocks_by_node.insert((node, network, prefix.network()));
        }
        for (prefix, node) in [before, node.map(|node| (prefix, node))].into_iter().flatten() {
            self.mark_placement(network, prefix);
            self.mark(SegmentId::Node(node), Owner::Network(network));
            // Whether an endpoint of the block is an exception depends on whose the block is.
            let inside: Vec<_> = self.endpoints_in(network, (prefix.network(), prefix.broadcast())).collect();
            for (node, endpoint) in inside {
                self.mark_endpoint(node, &endpoint);
            }
        }
        if let Some((_, node)) = before {
            self.leave(node, network);
        }
        if let Some(node) = node {
            self.enter(node, network);
        }
    }

    /// An endpoint is on that node, or (`None`) is no more.
    pub fn set_endpoint(&mut self, id: EndpointId, endpoint: Option<(NodeId, Endpoint)>) {
        let before = match endpoint {
            Some(endpoint) => self.endpoints.insert(id, endpoint),
            None => self.endpoints.remove(&id),
        };
        if before == endpoint {
            return;
        }
        if let Some((node, endpoint)) = before {
            let key = (endpoint.network, endpoint.address);
            if self.by_address.get(&key) == Some(&id) {
                self.by_address.remove(&key);
            }
            self.by_node.remove(&(node, id));
            self.mark_endpoint(node, &endpoint);
            self.leave(node, endpoint.network);
        }
        if let Some((node, endpoint)) = endpoint {
            self.by_address.insert((endpoint.network, endpoint.address), id);
            self.by_node.insert((node, id));
            self.mark_endpoint(node, &endpoint);
            self.enter(node, endpoint.network);
        }
    }

    /// A host of a VLAN has that MAC address, or (`None`) is not known any more.
    pub fn set_neighbour(&mut self, network: NetworkId, address: Ipv4Addr, mac: Option<MacAddr>) {
        let before = match mac {
            Some(mac) => self.neighbours.insert((network, address), mac),
            None => self.neighbours.remove(&(network, address)),
        };
        if before != mac {
            self.mark_neighbour(network, address);
        }
    }

    /// Whether nothing is intended that it knows of.
    pub fn is_empty(&self) -> bool {
        let Self { nodes, networks, blocks, endpoints, neighbours, .. } = self;
        nodes.is_empty()
            && networks.is_empty()
            && blocks.is_empty()
            && endpoints.is_empty()
            && neighbours.is_empty()
    }

    /// Forgets the facts that are not to be kept; gives back the nodes among them.
    pub fn retain(&mut self, keep: impl Fn(&Fact) -> bool) -> Vec<NodeId> {
        let endpoints = self.endpoints.keys().map(|id| Fact::Endpoint(*id));
        let blocks = self.blocks.iter().map(|((network, _), (prefix, _))| Fact::Block(*network, *prefix));
        let neighbours = self.neighbours.keys().map(|(network, address)| Fact::Neighbour(*network, *address));
        let networks = self.networks.keys().map(|id| Fact::Network(*id));
        let nodes = self.nodes.keys().map(|id| Fact::Node(*id));
        let all = endpoints.chain(blocks).chain(neighbours).chain(networks).chain(nodes);
        let gone: Vec<Fact> = all.filter(|fact| !keep(fact)).collect();
        let mut gone_nodes = Vec::new();
        for fact in gone {
            match fact {
                Fact::Endpoint(id) => self.set_endpoint(id, None),
                Fact::Block(network, prefix) => self.set_block(network, prefix, None),
                Fact::Neighbour(network, address) => self.set_neighbour(network, address, None),
                Fact::Network(id) => self.set_network(id, None),
                Fact::Node(id) => {
                    self.set_node(id, None);
                    gone_nodes.push(id);
                }
            }
        }
        gone_nodes
    }

    /// Compiles what is marked.
    pub fn compile(&mut self) -> Update {
        let marks = std::mem::take(&mut self.marks);
        let mut update = self.compile_marks(marks);
        for node in std::mem::take(&mut self.moved_in_or_out) {
            update.subscriptions.insert(node, self.segments_of(node));
        }
        update
    }

    /// Compiles so much of what is marked, if more is; which segments nodes should hold comes with the rest. It takes less
    /// memory than all at once, and is for when nobody is served yet.
    pub fn compile_portion(&mut self, n_marks: usize) -> Option<Update> {
        let next = self.marks.iter().nth(n_marks).copied()?;
        let rest = self.marks.split_off(&next);
        let marks = std::mem::replace(&mut self.marks, rest);
        Some(self.compile_marks(marks))
    }

    fn compile_marks(&mut self, marks: BTreeSet<(SegmentId, Owner)>) -> Update {
        let mut update = Update::default();
        let gone = std::mem::take(&mut self.gone);
        update.dropped.extend(gone.into_iter().map(SegmentId::Network));
        let marks: Vec<_> = marks.into_iter().collect();
        let mut there = Vec::with_capacity(marks.len());
        for marks in marks.chunk_by(|(segment, _), (next, _)| segment == next) {
            match marks {
                [(segment, _), ..] if !self.exists(*segment) => update.dropped.push(*segment),
                marks => there.extend_from_slice(marks),
            }
        }
        let steps = |(segment, owner): &(SegmentId, Owner)| {
            Step::add_all(*segment, *owner, self.flows(*segment, *owner))
        };
        let all: Vec<Vec<Step>> = match there.len() {
            ..=FEW => there.iter().map(steps).collect(),
            _ => there.par_iter().map(steps).collect(),
        };
        for ((segment, owner), steps) in there.into_iter().zip(all) {
            update.give(segment, owner, steps);
        }
        update
    }

    /// The networks present on a node.
    pub fn networks_on(&self, node: NodeId) -> impl Iterator<Item = &Network> {
        self.presence
            .range((node, NetworkId(0))..=(node, NetworkId(u32::MAX)))
            .filter_map(|((_, network), _)| self.networks.get(network))
    }

    /// The nodes on which a network is present.
    pub fn nodes_with(&self, network: NetworkId) -> impl Iterator<Item = &Node> {
        let pairs = self.holders.range((network, NodeId(0))..=(network, NodeId(u32::MAX)));
        pairs.filter_map(|(_, node)| self.node(*node))
    }

    /// Whether a network is present on a node.
    #[must_use]
    pub fn is_present(&self, node: NodeId, network: NetworkId) -> bool {
        self.presence.contains_key(&(node, network))
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id).map(|(_, node)| node)
    }

    /// A network.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<&Network> {
        self.networks.get(&id)
    }

    /// An endpoint and its node.
    #[must_use]
    pub fn endpoint(&self, id: EndpointId) -> Option<(NodeId, &Endpoint)> {
        self.endpoints.get(&id).map(|(node, endpoint)| (*node, endpoint))
    }

    /// The endpoint of that network that has the address.
    #[must_use]
    pub fn holder(&self, network: NetworkId, address: Ipv4Addr) -> Option<EndpointId> {
        self.by_address.get(&(network, address)).copied()
    }

    /// Whether an endpoint of that network has the address.
    #[must_use]
    pub fn is_taken(&self, network: NetworkId, address: Ipv4Addr) -> bool {
        self.by_address.contains_key(&(network, address))
    }

    /// Whether the address is the own one of the node that has its block.
    #[must_use]
    pub fn is_own_address(&self, network: NetworkId, address: Ipv4Addr) -> bool {
        !self.is_used(network, address) && self.own_address_of(network, address).is_some()
    }

    /// Whether that is a node's NAT MAC.
    #[must_use]
    pub fn is_nat_mac(&self, mac: MacAddr) -> bool {
        self.nodes.values().any(|(_, node)| node.nat_mac == mac)
    }

    /// The segments a node's switch should hold.
    fn segments_of(&self, id: NodeId) -> BTreeSet<SegmentId> {
        let Some((pool, _)) = self.nodes.get(&id) else { return BTreeSet::new() };
        let networks = self.networks_on(id).map(|network| SegmentId::Network(network.id));
        networks.chain([SegmentId::Pool(*pool), SegmentId::Node(id)]).collect()
    }

    fn exists(&self, segment: SegmentId) -> bool {
        match segment {
            SegmentId::Pool(pool) => self.nodes.values().any(|(p, _)| *p == pool),
            SegmentId::Network(network) => self.networks.contains_key(&network),
            SegmentId::Node(node) => self.nodes.contains_key(&node),
        }
    }

    /// The flows that an owner has by the present facts.
    fn flows(&self, segment: SegmentId, owner: Owner) -> Vec<Flow> {
        match segment {
            SegmentId::Pool(pool) => self.pool_flows(pool, owner),
            SegmentId::Network(id) => {
                self.networks.get(&id).map(|network| self.network_flows(network, owner)).unwrap_or_default()
            }
            SegmentId::Node(id) => {
                self.nodes.get(&id).map(|(_, node)| self.node_flows(node, owner)).unwrap_or_default()
            }
        }
    }

    fn pool_flows(&self, pool: PoolId, owner: Owner) -> Vec<Flow> {
        match owner {
            Owner::Segment => compile::fixed(),
            Owner::Node(id) => match self.nodes.get(&id) {
                Some((of, node)) if *of == pool => compile::pool_node(node),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn network_flows(&self, network: &Network, owner: Owner) -> Vec<Flow> {
        let address = |offset: u32| Ipv4Addr::from(u32::from(network.subnet.network()).wrapping_add(offset));
        let placed = |prefix, node| {
            let placement = Placement { network: network.id, prefix, node };
            let node = self.nodes.get(&node).map(|(_, node)| node);
            node.map(|node| compile::placement(network, &placement, node)).unwrap_or_default()
        };
        match owner {
            Owner::Segment => compile::network(network),
            Owner::Placement { offset, exception: false } => {
                match self.blocks.get(&(network.id, address(offset))) {
                    Some((prefix, node)) => placed(*prefix, *node),
                    None => Vec::new(),
                }
            }
            Owner::Placement { offset, exception: true } => {
                match self
                    .by_address
                    .get(&(network.id, address(offset)))
                    .and_then(|id| self.endpoints.get(id))
                {
                    Some((node, endpoint)) if self.is_exception(*node, endpoint) => {
                        placed(endpoint.address.into(), *node)
                    }
                    _ => Vec::new(),
                }
            }
            Owner::Neighbour { offset } => {
                let address = address(offset);
                let neighbour =
                    self.neighbours.get(&(network.id, address)).map(|mac| Neighbour { address, mac: *mac });
                neighbour.map(|n| compile::neighbour(network, &n)).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn node_flows(&self, node: &Node, owner: Owner) -> Vec<Flow> {
        match owner {
            Owner::Segment => compile::node(node),
            Owner::Network(id) if self.presence.contains_key(&(node.id, id)) => {
                match self.networks.get(&id) {
                    Some(network) => {
                        let own = self.own_placements(node.id, id);
                        let mut addresses: Vec<_> =
                            own.iter().filter_map(|block| network.own_address(block.prefix)).collect();
                        addresses.retain(|address| !self.is_used(id, *address));
                        compile::node_network(node, network, &own, &addresses)
                    }
                    None => Vec::new(),
                }
            }
            Owner::Endpoint(id) => match self.endpoints.get(&id) {
                Some((on, endpoint)) if *on == node.id => match self.networks.get(&endpoint.network) {
                    Some(network) => {
                        let exception = self.is_exception(node.id, endpoint);
                        compile::endpoint(node, network, endpoint, exception)
                    }
                    None => Vec::new(),
                },
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn own_placements(&self, node: NodeId, network: NetworkId) -> Vec<Placement> {
        let of_node = (node, network, Ipv4Addr::UNSPECIFIED)..=(node, network, Ipv4Addr::BROADCAST);
        let own = self.blocks_by_node.range(of_node);
        own.filter_map(|(_, _, first)| self.blocks.get(&(network, *first)))
            .map(|(prefix, node)| Placement { network, prefix: *prefix, node: *node })
            .collect()
    }

    /// Whether the endpoint's address is in no block of its node.
    fn is_exception(&self, node: NodeId, endpoint: &Endpoint) -> bool {
        self.block_around(endpoint.network, endpoint.address).is_none_or(|(_, holder)| holder != node)
    }

    /// The block that an address is in, and whose it is.
    fn block_around(&self, network: NetworkId, address: Ipv4Addr) -> Option<(Ipv4Net, NodeId)> {
        let upto = (network, Ipv4Addr::UNSPECIFIED)..=(network, address);
        let (_, block) = self.blocks.range(upto).next_back()?;
        Some(*block).filter(|(prefix, _)| prefix.contains(&address))
    }

    /// The node whose own address that is, or would be if nobody had it.
    fn own_address_of(&self, id: NetworkId, address: Ipv4Addr) -> Option<NodeId> {
        let (prefix, node) = self.block_around(id, address)?;
        (self.network(id)?.own_address(prefix) == Some(address)).then_some(node)
    }

    /// Whether an endpoint or a host of the VLAN has the address.
    fn is_used(&self, network: NetworkId, address: Ipv4Addr) -> bool {
        self.is_taken(network, address) || self.neighbours.contains_key(&(network, address))
    }

    fn blocks_of(&self, network: NetworkId) -> impl Iterator<Item = (Ipv4Net, NodeId)> {
        let (first, last) = all_addresses();
        self.blocks.range((network, first)..=(network, last)).map(|(_, block)| *block)
    }

    fn endpoints_in(
        &self,
        network: NetworkId,
        (first, last): (Ipv4Addr, Ipv4Addr),
    ) -> impl Iterator<Item = (NodeId, Endpoint)> {
        let ids = self.by_address.range((network, first)..=(network, last)).map(|(_, id)| id);
        ids.filter_map(|id| self.endpoints.get(id)).copied()
    }

    fn neighbours_of(&self, network: NetworkId) -> impl Iterator<Item = Neighbour> {
        let (first, last) = all_addresses();
        let entries = self.neighbours.range((network, first)..=(network, last));
        entries.map(|((_, address), mac)| Neighbour { address: *address, mac: *mac })
    }

    fn enter(&mut self, node: NodeId, network: NetworkId) {
        let count = self.presence.entry((node, network)).or_default();
        *count += 1;
        if *count == 1 {
            self.holders.insert((network, node));
            self.mark_presence(node, network);
        }
    }

    fn leave(&mut self, node: NodeId, network: NetworkId) {
        if let Some(count) = self.presence.get_mut(&(node, network)) {
            *count -= 1;
            if *count == 0 {
                self.presence.remove(&(node, network));
                self.holders.remove(&(network, node));
                self.mark_presence(node, network);
            }
        }
    }

    fn mark_presence(&mut self, node: NodeId, network: NetworkId) {
        self.moved_in_or_out.insert(node);
        self.mark(SegmentId::Node(node), Owner::Network(network));
    }

    fn mark_endpoint(&mut self, node: NodeId, endpoint: &Endpoint) {
        self.mark(SegmentId::Node(node), Owner::Endpoint(endpoint.id));
        self.mark_placement(endpoint.network, endpoint.address.into());
        self.mark_own_address(endpoint.network, endpoint.address);
    }

    fn mark_placement(&mut self, network: NetworkId, prefix: Ipv4Net) {
        if let Some(n) = self.networks.get(&network) {
            // A host prefix may be an exception's or, where blocks are that small, a block's.
            let offset = compile::offset(n, prefix.network());
            let exception = prefix.prefix_len() == 32;
            self.marks.insert((SegmentId::Network(network), Owner::Placement { offset, exception: false }));
            if exception {
                self.marks
                    .insert((SegmentId::Network(network), Owner::Placement { offset, exception: true }));
            }
        }
    }

    fn mark_neighbour(&mut self, network: NetworkId, address: Ipv4Addr) {
        if let Some(n) = self.networks.get(&network) {
            let owner = Owner::Neighbour { offset: compile::offset(n, address) };
            self.mark(SegmentId::Network(network), owner);
        }
        self.mark_own_address(network, address);
    }

    /// Somebody has, or has no longer, an address that may be a node's own.
    fn mark_own_address(&mut self, network: NetworkId, address: Ipv4Addr) {
        if let Some(node) = self.own_address_of(network, address) {
            self.mark(SegmentId::Node(node), Owner::Network(network));
        }
    }

    /// Everything that mentions a node's addresses.
    fn mark_all_of(&mut self, id: NodeId) {
        let endpoints: Vec<_> = self
            .by_node
            .range((id, EndpointId(0))..=(id, EndpointId(u32::MAX)))
            .filter_map(|(_, endpoint)| self.endpoints.get(endpoint).copied())
            .collect();
        for (node, endpoint) in endpoints {
            self.mark_endpoint(node, &endpoint);
        }
        let networks: Vec<NetworkId> = self.networks_on(id).map(|network| network.id).collect();
        for network in networks {
            self.mark(SegmentId::Node(id), Owner::Network(network));
            let own = self.own_placements(id, network);
            for placement in own {
                self.mark_placement(network, placement.prefix);
            }
        }
    }

    fn mark(&mut self, segment: SegmentId, owner: Owner) {
        self.marks.insert((segment, owner));
    }
}

fn all_addresses() -> (Ipv4Addr, Ipv4Addr) {
    (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
}
