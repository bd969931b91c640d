//! What is compiled change by change equals what is compiled from nothing, whatever the history.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use controller::network::compile::Compiler;
use controller::openflow::board::{Board, Update};
use flowlib::compile;
use flowlib::compile::model::{Driver, Endpoint, Neighbour, Network, Node, Placement};
use flowlib::openflow::Flow;
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::segment::{Segment, Step};
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
    /// What has changed is compiled, a few owners at a time.
    Portions,
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
        1 => Just(Event::Portions),
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

    fn happen(&mut self, event: &Event) {
        let c = &mut self.compiler;
        match *event {
            Event::Node(id, version) => {
                if version.is_some() {
                    let seats = vec![(NodeId(id), Some(DatapathId(id.into())))];
                    self.board.publish(self.revision, Update { seats, ..Update::default() });
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
            Event::Portions => {
                while let Some(portion) = self.compiler.compile_portion(3) {
                    self.board.publish(self.revision, portion);
                }
            }
        }
    }

    /// What each node's switch should hold, by segment: its flows, encoded.
    fn wanted(&self) -> Wanted {
        let of = |node| {
            let segments = self.board.wanted(NodeId(node)).segments.into_iter();
            segments
                .map(|id| (id.to_string(), self.board.with_segment(id, encoded).unwrap_or_default()))
                .collect()
        };
        (1..=NODES).map(|node| (node, of(node))).collect()
    }
}

type Wanted = BTreeMap<u32, BTreeMap<String, BTreeSet<Vec<u8>>>>;

fn encoded(segment: &Segment) -> BTreeSet<Vec<u8>> {
    segment.steps().map(|step| step.bytes().to_vec()).collect()
}

/// The same from nothing: every owner there is by the facts, without a compiler that remembers anything.
impl Facts {
    fn wanted(&self) -> Wanted {
        (1..=NODES).map(|id| (id, self.segments_of(id))).collect()
    }

    fn segments_of(&self, id: u32) -> BTreeMap<String, BTreeSet<Vec<u8>>> {
        let Some(version) = self.nodes.get(&id) else { return BTreeMap::new() };
        let (pool, node) = node(id, *version);
        let mut segments = vec![self.pool(pool), self.own(&node)];
        segments.extend(self.present(id).map(|net| self.shared(&network(net))));
        segments.into_iter().map(|segment| (segment.id().to_string(), encoded(&segment))).collect()
    }

    fn present(&self, id: u32) -> impl Iterator<Item = u32> {
        let here = move |((net, _), on): (&(u32, u32), &u32)| (*on == id).then_some(*net);
        let nets: BTreeSet<u32> =
            self.blocks.iter().filter_map(here).chain(self.endpoints.iter().filter_map(here)).collect();
        nets.into_iter().filter(|net| self.networks.contains_key(net))
    }

    fn in_block_of(&self, net: u32, offset: u32, node: u32) -> bool {
        self.blocks.get(&(net, offset / HOSTS)) == Some(&node)
    }

    fn pool(&self, id: PoolId) -> Segment {
        let members =
            self.nodes.iter().map(|(id, version)| node(*id, *version)).filter(|(pool, _)| *pool == id);
        let nodes = members.map(|(_, node)| (Owner::Node(node.id), compile::pool_node(&node)));
        segment(SegmentId::Pool(id), nodes.chain([(Owner::Segment, compile::fixed())]))
    }

    fn shared(&self, network: &Network) -> Segment {
        let of = |id: u32| self.nodes.get(&id).map(|version| node(id, *version).1);
        let net = network.id.0;
        let blocks =
            self.blocks.iter().filter(|((n, _), _)| *n == net).map(|((_, n), on)| (block(net, *n).1, *on));
        let off_block =
            |((n, offset), on): &(&(u32, u32), &u32)| *n == net && !self.in_block_of(net, *offset, **on);
        let exceptions = self.endpoints.iter().filter(off_block);
        let exceptions = exceptions.map(|((_, offset), on)| (Ipv4Net::from(host(net, *offset)), *on));
        let placements = blocks.chain(exceptions).filter_map(|(prefix, on)| {
            let placement = Placement { network: network.id, prefix, node: NodeId(on) };
            let offset = compile::offset(network, prefix.network());
            let owner = Owner::Placement { offset, exception: prefix.prefix_len() == 32 };
            Some((owner, compile::placement(network, &placement, &of(on)?)))
        });
        let neighbours = self.neighbours.iter().filter(|((n, _), _)| *n == net).map(|((_, offset), mac)| {
            let (_, address) = neighbour(net, *offset);
            let owner = Owner::Neighbour { offset: compile::offset(network, address) };
            (owner, compile::neighbour(network, &Neighbour { address, mac: MacAddr([4, 0, 0, 0, 0, *mac]) }))
        });
        let fixed = [(Owner::Segment, compile::network(network))];
        segment(SegmentId::Network(network.id), placements.chain(neighbours).chain(fixed))
    }

    fn own(&self, node: &Node) -> Segment {
        let networks = self.present(node.id.0).map(|net| {
            let own = self.blocks.iter().filter(|((n, _), on)| *n == net && **on == node.id.0);
            let own: Vec<_> = own
                .map(|((_, n), _)| Placement {
                    network: NetworkId(net),
                    prefix: block(net, *n).1,
                    node: node.id,
                })
                .collect();
            let network = network(net);
            let is_used = |address: &Ipv4Addr| {
                let of = |offset| endpoint(net, offset).address;
                let taken = self.endpoints.keys().any(|(n, offset)| *n == net && of(*offset) == *address);
                taken
                    || self
                        .neighbours
                        .keys()
                        .any(|(n, offset)| *n == net && neighbour(net, *offset).1 == *address)
            };
            let mut addresses: Vec<_> =
                own.iter().filter_map(|block| network.own_address(block.prefix)).collect();
            addresses.retain(|address| !is_used(address));
            (Owner::Network(NetworkId(net)), compile::node_network(node, &network, &own, &addresses))
        });
        let here = self
            .endpoints
            .iter()
            .filter(|((net, _), on)| **on == node.id.0 && self.networks.contains_key(net));
        let endpoints = here.map(|((net, offset), on)| {
            let (endpoint, exception) = (endpoint(*net, *offset), !self.in_block_of(*net, *offset, *on));
            (Owner::Endpoint(endpoint.id), compile::endpoint(node, &network(*net), &endpoint, exception))
        });
        segment(
            SegmentId::Node(node.id),
            networks.chain(endpoints).chain([(Owner::Segment, compile::node(node))]),
        )
    }
}

fn segment(id: SegmentId, owners: impl IntoIterator<Item = (Owner, Vec<Flow>)>) -> Segment {
    let mut segment = Segment::new(id, 0);
    let owners = owners.into_iter().map(|(owner, flows)| (owner, Step::add_all(id, owner, flows)));
    assert!(segment.replace(owners.collect()).is_empty(), "two owners want one flow");
    segment
}

fn remember(facts: &mut Facts, event: &Event) {
    match *event {
        Event::Node(id, version) => set(&mut facts.nodes, id, version),
        Event::Network(id, there) => set(&mut facts.networks, id, there.then_some(())),
        Event::Block(net, n, node) => set(&mut facts.blocks, (net, n), node),
        Event::Endpoint(net, offset, node) => set(&mut facts.endpoints, (net, offset), node),
        Event::Neighbour(net, offset, mac) => set(&mut facts.neighbours, (net, offset), mac),
        Event::Compile | Event::Portions => {}
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
        prop_assert_eq!(world.wanted(), facts.wanted());
    }
}

#[test]
fn a_node_of_which_nothing_changes_for_flows_is_compiled_so_that_its_switch_reports() {
    let mut compiler = Compiler::default();
    compiler.set_node(NodeId(1), Some(node(1, 0)));
    compiler.compile();
    compiler.set_node(NodeId(1), Some(node(1, 0)));
    let segments: Vec<_> = compiler.compile().segments.into_keys().collect();
    assert_eq!(segments, [SegmentId::Node(NodeId(1))]);
}
