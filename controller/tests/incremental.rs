//! What is compiled change by change equals what is compiled from nothing, whatever the history.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use controller::network::compile::Compiler;
use controller::openflow::board::Board;
use flowlib::compile::model::{Driver, Endpoint, Network, Node};
use flowlib::segment::digest::Digest;
use flowlib::types::{DatapathId, EndpointId, MacAddr, NetworkId, NodeId, PoolId, PortNo, VlanVid, Vni};
use ipnet::Ipv4Net;
use proptest::prelude::*;

const NODES: u32 = 4;
const NETWORKS: u32 = 3;
const BLOCKS: u32 = 4;
const HOSTS: u32 = 16;
const EVENTS: usize = 50;
const HISTORIES: u32 = 1000;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A node joins, changes its VTEP's address, or (`None`) is lost.
    Node(u32, Option<u8>),
    /// A network is made or deleted.
    Network(u32, bool),
    /// A block is given to a node, or (`None`) taken back.
    Block(u32, u32, Option<u32>),
    /// An endpoint starts or moves (then perhaps off its block), or (`None`) is deleted.
    Endpoint(u32, u32, Option<u32>),
    /// An external neighbour is resolved, changes, or (`None`) is forgotten.
    Neighbour(u32, u32, Option<u8>),
    /// What has changed is compiled.
    Compile,
}

fn event() -> impl Strategy<Value = Event> {
    let (node, network) = (1..=NODES, 1..=NETWORKS);
    prop_oneof![
        1 => (node.clone(), prop::option::weighted(0.7, 1..4u8)).prop_map(|(n, v)| Event::Node(n, v)),
        1 => (network.clone(), prop::bool::weighted(0.7)).prop_map(|(n, there)| Event::Network(n, there)),
        2 => (network.clone(), 0..BLOCKS, prop::option::weighted(0.7, node.clone()))
            .prop_map(|(n, b, k)| Event::Block(n, b, k)),
        4 => (network.clone(), 0..BLOCKS * HOSTS, prop::option::weighted(0.7, node))
            .prop_map(|(n, h, k)| Event::Endpoint(n, h, k)),
        1 => (network, 0..4u32, prop::option::weighted(0.7, 1..4u8)).prop_map(|(n, h, m)| Event::Neighbour(n, h, m)),
        2 => Just(Event::Compile),
    ]
}

/// What there is, whatever led to it.
#[derive(Clone, Debug, Default)]
struct Facts {
    nodes: BTreeMap<u32, u8>,
    networks: BTreeMap<u32, ()>,
    blocks: BTreeMap<(u32, u32), u32>,
    endpoints: BTreeMap<(u32, u32), u32>,
    neighbours: BTreeMap<(u32, u32), u8>,
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn node(id: u32, version: u8) -> (PoolId, Node) {
    let node = Node {
        id: NodeId(id),
        nat_mac: MacAddr([0x0e, 0, 0, 0, version, id as u8]),
        tunnel_address: Ipv4Addr::new(172, 31, version, id as u8),
    };
    (PoolId(1 + id % 2), node)
}

fn network(id: u32) -> Network {
    let driver = if id == NETWORKS {
        Driver::Vxlan(Vni::new(200).expect("in range"))
    } else {
        Driver::Vlan(VlanVid::new(100 + id as u16).expect("in range"))
    };
    let subnet = Ipv4Net::new(Ipv4Addr::new(10, id as u8, 0, 0), 16).expect("in range");
    Network { id: NetworkId(id), driver, subnet, gateway: Some(Ipv4Addr::new(10, id as u8, 255, 0)) }
}

fn host(net: u32, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + (net << 16) + offset)
}

fn block(net: u32, n: u32) -> (NetworkId, Ipv4Net) {
    (NetworkId(net), Ipv4Net::new(host(net, n * HOSTS), 28).expect("in range"))
}

fn endpoint(net: u32, offset: u32) -> Endpoint {
    Endpoint {
        id: EndpointId(net * 1000 + offset),
        network: NetworkId(net),
        address: host(net, offset),
        mac: MacAddr([2, 0x42, 10, net as u8, 0, offset as u8]),
        ofport: PortNo(2000 + net * 1000 + offset),
    }
}

fn neighbour(net: u32, offset: u32) -> (NetworkId, Ipv4Addr) {
    (NetworkId(net), host(net, 0xff00 + offset))
}

struct World {
    compiler: Compiler,
    board: Board,
    revision: u64,
}

impl World {
    fn new() -> Self {
        Self { compiler: Compiler::default(), board: Board::default(), revision: 0 }
    }

    fn of(facts: &Facts) -> Self {
        let mut world = Self::new();
        for (id, version) in &facts.nodes {
            world.happen(&Event::Node(*id, Some(*version)));
        }
        facts.networks.keys().for_each(|id| world.happen(&Event::Network(*id, true)));
        facts.blocks.iter().for_each(|((net, n), node)| world.happen(&Event::Block(*net, *n, Some(*node))));
        facts
            .endpoints
            .iter()
            .for_each(|((net, h), node)| world.happen(&Event::Endpoint(*net, *h, Some(*node))));
        facts.neighbours.iter().for_each(|((net, h), m)| world.happen(&Event::Neighbour(*net, *h, Some(*m))));
        world.happen(&Event::Compile);
        world
    }

    fn happen(&mut self, event: &Event) {
        let c = &mut self.compiler;
        match *event {
            Event::Node(id, version) => {
                if version.is_some() {
                    self.board.seat_node(NodeId(id), Some(DatapathId(id.into())));
                }
                c.set_node(NodeId(id), version.map(|v| node(id, v)));
            }
            Event::Network(id, there) => c.set_network(NetworkId(id), there.then(|| network(id))),
            Event::Block(net, n, node) => {
                let (id, prefix) = block(net, n);
                c.set_block(id, prefix, node.map(NodeId));
            }
            Event::Endpoint(net, offset, node) => {
                let endpoint = endpoint(net, offset);
                c.set_endpoint(endpoint.id, node.map(|node| (NodeId(node), endpoint)));
            }
            Event::Neighbour(net, offset, mac) => {
                let (id, address) = neighbour(net, offset);
                c.set_neighbour(id, address, mac.map(|m| MacAddr([4, 0, 0, 0, 0, m])));
            }
            Event::Compile => {
                self.revision += 1;
                self.board.publish(self.revision, self.compiler.compile());
            }
        }
    }

    /// What each node's switch should hold: the digests of its segments and how many flows they have.
    fn wanted(&self) -> BTreeMap<u32, BTreeMap<String, (Digest, usize)>> {
        let of = |node| {
            let segments = self.board.wanted(NodeId(node)).segments.into_iter();
            segments
                .map(|id| {
                    let seen = self.board.with_segment(id, |s| (s.digest(), s.n_flows()));
                    (id.to_string(), seen.unwrap_or((Digest::empty(), 0)))
                })
                .collect()
        };
        (1..=NODES).map(|node| (node, of(node))).collect()
    }
}

fn remember(facts: &mut Facts, event: &Event) {
    match *event {
        Event::Node(id, version) => set(&mut facts.nodes, id, version),
        Event::Network(id, there) => set(&mut facts.networks, id, there.then_some(())),
        Event::Block(net, n, node) => set(&mut facts.blocks, (net, n), node),
        Event::Endpoint(net, offset, node) => set(&mut facts.endpoints, (net, offset), node),
        Event::Neighbour(net, offset, mac) => set(&mut facts.neighbours, (net, offset), mac),
        Event::Compile => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_from_scratch(events in prop::collection::vec(event(), EVENTS)) {
        let (mut world, mut facts) = (World::new(), Facts::default());
        for event in &events {
            world.happen(event);
            remember(&mut facts, event);
        }
        world.happen(&Event::Compile);
        prop_assert_eq!(world.wanted(), World::of(&facts).wanted());
    }
}
