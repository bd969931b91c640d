//! The network as one task sees it: what is intended, which switches are connected, which frames are due.
//!
//! Sans-I/O: takes events with their time, publishes segments on the [`Board`], and leaves messages for switches in
//! [`Fabric::outgoing`].

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use flowlib::compile::model::{Driver, Network, Node};
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Action, Message, PacketIn, PacketOut};
use flowlib::pipeline::register::{self, Origin};
use flowlib::pipeline::{port, table::Table};
use flowlib::types::{DatapathId, EndpointId, MacAddr, NetworkId, NodeId, PortNo, VlanVid};

use super::compile::{Compiler, Fact};
use super::frame::{self, Seen};
use super::resolver::{self, Resolver};
use super::timetable::Timetable;
use super::tunnels::{Tunnels, Turn};
use crate::intent::model::{Change, Endpoint, Key, Record};
use crate::openflow::board::{Board, Update};

/// How many owners are compiled at once while nobody is served.
const PORTION: usize = 16_384;
/// When an endpoint that was started or moved is announced: one lost frame costs a gateway up to 35 s.
const ANNOUNCEMENTS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// Between two frames into each tunnel; Open vSwitch forgets a neighbour after 15 minutes.
const TUNNEL_REFRESH: Duration = Duration::from_secs(300);
/// When a switch connects, others often do: each of their peers uses its tunnels to all of them at once, after this.
const MANY_CONNECT: Duration = Duration::from_millis(100);
/// A thousand nodes have a million tunnels: when all connect at once, those are used little by little, so that nothing
/// else waits for them.
const TUNNELS_AT_ONCE: usize = 1000;
/// Between so many and the next, a hundred thousand a second.
const TUNNEL_PAUSE: Duration = Duration::from_millis(10);
/// The VNI of frames that are only to warm a tunnel: no [`flowlib::types::Vni`] is 0.
const WARM_UP_VNI: u64 = 0;
/// Tunnels warmed by one message.
const TUNNELS_A_MESSAGE: usize = 100;

/// How often the fabric is spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two frames that keep a NAT MAC in the switches' tables.
    pub mac_refresh: Duration,
    /// How long an external neighbour's answer is believed.
    pub neighbour_refresh: Duration,
}

/// A frame that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Due {
    /// An endpoint's announcement, of three.
    Announcement(EndpointId, usize),
    /// The NAT MAC of a node on a VLAN.
    Presence(NodeId, NetworkId),
    /// Some of the tunnels that are to be used.
    Tunnels,
    /// All tunnels, once more.
    TunnelsAgain,
}

/// The network.
#[derive(Debug)]
pub struct Fabric {
    compiler: Compiler,
    board: Board,
    resolver: Resolver,
    timetable: Timetable<Due>,
    tunnels: Tunnels,
    /// Which node asks next.
    probe_turn: usize,
    connected: BTreeSet<NodeId>,
    pace: Pace,
    /// Nodes that are new, or gone, since segments were published.
    seats: Vec<(NodeId, Option<DatapathId>)>,
    /// Messages for nodes' switches.
    pub outgoing: Vec<(NodeId, Message)>,
    /// What was learned of the fabric, to be stored: it takes effect when it comes back as a commit.
    pub learned: Vec<Learned>,
}

/// A host of a VLAN that is no endpoint has that MAC address, or (`None`) is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The network.
    pub network: NetworkId,
    /// The host's address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
}

impl Fabric {
    /// A network without anything.
    #[must_use]
    pub fn new(board: Board, pace: Pace) -> Self {
        Self {
            compiler: Compiler::default(),
            board,
            resolver: Resolver::new(pace.neighbour_refresh),
            timetable: Timetable::default(),
            tunnels: Tunnels::default(),
            probe_turn: 0,
            connected: BTreeSet::new(),
            pace,
            seats: Vec::new(),
            outgoing: Vec::new(),
            learned: Vec::new(),
        }
    }

    /// The intent has changed, up to that revision.
    pub fn handle_commit(&mut self, now: Instant, revision: u64, changes: &[Change]) {
        for change in changes {
            self.take(now, change);
        }
        self.publish(now, revision);
    }

    /// This is all that is intended: at the start, and when commits were missed.
    pub fn handle_snapshot(&mut self, now: Instant, revision: u64, records: &[Record]) {
        let is_first = self.compiler.is_empty();
        if !is_first {
            self.forget_others(records);
        }
        for record in records {
            self.take(now, &Change { before: None, after: Some(record.clone()) });
        }
        // No node has a seat yet that could be given half of what it should hold.
        while is_first && let Some(portion) = self.compiler.compile_portion(PORTION) {
            self.board.publish(revision, portion);
        }
        self.publish(now, revision);
    }

    /// Forgets what is not among these.
    fn forget_others(&mut self, records: &[Record]) {
        let keys: BTreeSet<Key> = records.iter().map(Record::key).collect();
        let endpoints: BTreeSet<EndpointId> = records
            .iter()
            .filter_map(|record| match record {
                Record::Container(container) => container.live().map(|endpoint| endpoint.id),
                _ => None,
            })
            .collect();
        let nodes = self.compiler.retain(|fact| match *fact {
            Fact::Node(id) => keys.contains(&Key::Node(id)),
            Fact::Network(id) => keys.contains(&Key::Network(id)),
            Fact::Block(network, prefix) => keys.contains(&Key::Block(network, prefix)),
            Fact::Neighbour(network, address) => keys.contains(&Key::Neighbour(network, address)),
            Fact::Endpoint(id) => endpoints.contains(&id),
        });
        self.seats.extend(nodes.into_iter().map(|node| (node, None)));
    }

    /// A switch's session is up.
    pub fn handle_up(&mut self, now: Instant, node: NodeId) {
        self.connected.insert(node);
        self.tunnels.connected(node);
        self.pin_gateways(now, node);
        self.expect_frames(now, now + MANY_CONNECT, node);
    }

    /// A switch's session has ended.
    pub fn handle_down(&mut self, node: NodeId) {
        self.connected.remove(&node);
    }

    /// A switch has taken in what was published; those endpoints are new to it.
    pub fn handle_applied(&mut self, now: Instant, node: NodeId, new_endpoints: &[EndpointId]) {
        self.pin_gateways(now, node);
        for endpoint in new_endpoints {
            self.expect_announcements(now, *endpoint);
        }
    }

    /// A switch shows a packet.
    pub fn handle_packet_in(&mut self, now: Instant, node: NodeId, packet: PacketIn) {
        let network = NetworkId(packet.metadata(register::NETWORK.field).to_u32());
        let Some((of, _)) = self.vlan(network) else { return };
        if !self.compiler.is_present(node, network) {
            // A switch speaks for the networks it has, and for no others.
            return;
        }
        match frame::read(&packet.data) {
            Some(Seen::Reply { address, mac }) => {
                let ours = self.compiler.is_taken(network, address) || self.compiler.is_nat_mac(mac);
                if !ours && let Some(action) = self.resolver.replied(now, network, address, mac) {
                    self.carry_out(action);
                }
            }
            Some(Seen::Packet { source, destination })
                if is_host(&of, destination)
                    && !self.compiler.is_taken(network, destination)
                    && !self.compiler.is_own_address(network, destination) =>
            {
                // From the fabric: to an address of this node's block, which another node has sent here. It is sent on
                // from here once; from then on the other node knows better.
                let origin = packet.metadata(register::ORIGIN.field).to_u32();
                let ours = origin == Origin::Endpoint as u32 || self.compiler.is_nat_mac(source);
                let held = ours.then_some((node, packet.data));
                if let Some(action) = self.resolver.wanted(now, network, destination, held) {
                    self.carry_out(action);
                }
            }
            _ => {}
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.resolver.poll_timeout(), self.timetable.next()].into_iter().flatten().min()
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for action in self.resolver.handle_timeout(now) {
            self.carry_out(action);
        }
        while let Some(due) = self.timetable.take_due(now) {
            match due {
                Due::Announcement(endpoint, _) => self.announce(endpoint),
                Due::Presence(node, network) => self.show_presence(now, node, network),
                Due::Tunnels => self.use_tunnels(now),
                Due::TunnelsAgain => {
                    self.tunnels.expect_all();
                    self.timetable.set(now + TUNNEL_REFRESH, Due::TunnelsAgain);
                    self.timetable.hasten(now, Due::Tunnels);
                }
            }
        }
    }

    /// Takes over one change of a record.
    fn take(&mut self, now: Instant, change: &Change) {
        // An endpoint that has another number now is gone under the old one.
        if let Some(Record::Container(container)) = &change.before {
            self.compiler.set_endpoint(container.endpoint.id, None);
        }
        match (&change.before, &change.after) {
            (_, Some(Record::Node(node))) => {
                self.seats.push((node.id, Some(node.datapath_id)));
                self.compiler.set_node(node.id, Some((node.pool, node.as_ref().into())));
            }
            (Some(Record::Node(node)), None) => {
                self.compiler.set_node(node.id, None);
                self.tunnels.forget(node.id);
                self.seats.push((node.id, None));
            }
            (_, Some(Record::Network(network))) => {
                self.compiler.set_network(network.id, Some(network.as_ref().into()));
            }
            (Some(Record::Network(network)), None) => {
                self.compiler.set_network(network.id, None);
                self.resolver.forget(network.id);
            }
            (_, Some(Record::Block(block))) => {
                self.compiler.set_block(block.network, block.prefix, Some(block.node));
            }
            (Some(Record::Block(block)), None) => self.compiler.set_block(block.network, block.prefix, None),
            (_, Some(Record::Container(container))) => {
                if let Some(endpoint) = container.live() {
                    self.compiler.set_endpoint(endpoint.id, Some((endpoint.node, endpoint.into())));
                }
            }
            (_, Some(Record::Neighbour(host))) => {
                self.compiler.set_neighbour(host.network, host.address, Some(host.mac));
                self.resolver.believe(now, host.network, host.address, host.mac);
            }
            (Some(Record::Neighbour(host)), None) => {
                self.compiler.set_neighbour(host.network, host.address, None);
            }
            (Some(Record::Retiring(retiring)), None) => self.let_go(now, &retiring.endpoint),
            _ => {}
        }
    }

    /// Nothing is left of an endpoint. If its address has moved: the node it was on may have been lost, and have answered
    /// for the address until just now.
    fn let_go(&mut self, now: Instant, Endpoint { network, address, .. }: &Endpoint) {
        if let Some(endpoint) = self.compiler.holder(*network, *address) {
            self.expect_announcements(now, endpoint);
        }
    }

    /// Plans to tell the VLAN that an endpoint is here; a tunnel's other end knows from its flows.
    fn expect_announcements(&mut self, now: Instant, endpoint: EndpointId) {
        let network = self.compiler.endpoint(endpoint).map(|(_, endpoint)| endpoint.network);
        if network.and_then(|network| self.vlan(network)).is_none() {
            return;
        }
        for (nth, after) in ANNOUNCEMENTS.into_iter().enumerate() {
            self.timetable.set(now + after, Due::Announcement(endpoint, nth));
        }
    }

    fn publish(&mut self, now: Instant, revision: u64) {
        let update = Update { seats: std::mem::take(&mut self.seats), ..self.compiler.compile() };
        let touched: Vec<NodeId> = update.subscriptions.keys().copied().collect();
        self.board.publish(revision, update);
        for node in touched {
            self.expect_frames(now, now, node);
        }
    }

    /// Plans the frames that the networks present on a node call for, those into tunnels for later.
    fn expect_frames(&mut self, now: Instant, later: Instant, node: NodeId) {
        if !self.connected.contains(&node) {
            return;
        }
        let networks: Vec<Network> = self.compiler.networks_on(node).copied().collect();
        for network in &networks {
            let due = Due::Presence(node, network.id);
            if matches!(network.driver, Driver::Vlan(_)) && !self.timetable.contains(&due) {
                self.timetable.set(now + self.pace.mac_refresh, due);
            }
        }
        if self.tunnels.expect(node, self.tunnelled(node).collect()) {
            self.timetable.hasten(later, Due::Tunnels);
            if !self.timetable.contains(&Due::TunnelsAgain) {
                self.timetable.set(now + TUNNEL_REFRESH, Due::TunnelsAgain);
            }
        }
    }

    /// Asks for the gateways of the networks on a node, and goes on asking.
    fn pin_gateways(&mut self, now: Instant, node: NodeId) {
        let gateways =
            self.compiler.networks_on(node).filter_map(|network| Some((network.id, network.gateway?)));
        for (network, gateway) in gateways.collect::<Vec<_>>() {
            self.resolver.pin(now, network, gateway);
        }
    }

    fn carry_out(&mut self, action: resolver::Action) {
        match action {
            resolver::Action::Probe { network, address } => self.probe(network, address),
            resolver::Action::Resolved { network, address, mac, held } => {
                self.learned.push(Learned { network, address, mac });
                if let Some(mac) = mac {
                    let released =
                        held.into_iter().map(|(node, packet)| (node, release(network, mac, packet)));
                    self.outgoing.extend(released);
                }
            }
            resolver::Action::Release { network, mac, packet, node } => {
                self.outgoing.push((node, release(network, mac, packet)));
            }
        }
    }

    /// Asks a VLAN who has an address, by one connected node on which the network is present: another each time, for
    /// the answer may not reach one of them.
    fn probe(&mut self, network: NetworkId, address: Ipv4Addr) {
        let Some((_, vid)) = self.vlan(network) else { return };
        let able = || self.compiler.nodes_with(network).filter(|node| self.connected.contains(&node.id));
        let turn = self.probe_turn.checked_rem(able().count());
        self.probe_turn = self.probe_turn.wrapping_add(1);
        if let Some(node) = turn.and_then(|turn| able().nth(turn)) {
            self.outgoing.push((node.id, by_uplink(frame::probe(node.nat_mac, address, vid))));
        }
    }

    fn announce(&mut self, endpoint: EndpointId) {
        let Some((node, endpoint)) = self.compiler.endpoint(endpoint) else { return };
        let (Some(node), Some((_, vid))) = (self.compiler.node(node), self.vlan(endpoint.network)) else {
            return;
        };
        let announcement = by_uplink(frame::announcement(node.nat_mac, endpoint.address, vid));
        self.outgoing.push((node.id, announcement));
    }

    fn show_presence(&mut self, now: Instant, id: NodeId, network: NetworkId) {
        let (Some((_, vid)), Some(node)) = (self.vlan(network), self.compiler.node(id)) else { return };
        let present = self.compiler.networks_on(id).any(|on| on.id == network);
        if present && self.connected.contains(&id) {
            self.outgoing.push((id, by_uplink(frame::presence(node.nat_mac, vid))));
            self.timetable.set(now + self.pace.mac_refresh, Due::Presence(id, network));
        }
    }

    /// Sends a frame into some of the tunnels that are to be used, and plans the others.
    fn use_tunnels(&mut self, now: Instant) {
        let mut left = TUNNELS_AT_ONCE;
        while left > 0 {
            let compiler = &self.compiler;
            let Some(turn) = self.tunnels.next(|network| compiler.nodes_with(network).map(|node| node.id))
            else {
                break;
            };
            let (from, peers) = match turn {
                Turn::All(from) => (from, self.tunnel_peers(from)),
                Turn::Fresh(from) => {
                    let shared = |to: &NodeId| self.tunnelled(from).any(|net| compiler.is_present(*to, net));
                    (from, self.tunnels.round().iter().copied().filter(shared).collect())
                }
            };
            self.use_tunnels_to(from, &peers);
            left = left.saturating_sub(peers.len());
        }
        if !self.tunnels.is_idle() {
            self.timetable.hasten(now + TUNNEL_PAUSE, Due::Tunnels);
        }
    }

    /// Sends a frame into a node's tunnels to some others.
    fn use_tunnels_to(&mut self, from: NodeId, peers: &BTreeSet<NodeId>) {
        let Some(node) = self.compiler.node(from).filter(|_| self.connected.contains(&from)) else { return };
        let peers: Vec<&Node> = peers.iter().filter_map(|peer| self.compiler.node(*peer)).collect();
        for some in peers.chunks(TUNNELS_A_MESSAGE) {
            let mut actions = vec![Action::set_field(field::TUNNEL_ID, WARM_UP_VNI)];
            for peer in some {
                actions.push(Action::set_field(field::TUN_IPV4_DST, peer.tunnel_address));
                actions.push(Action::output(port::TUNNEL));
            }
            let data = frame::warm_up(node.nat_mac);
            self.outgoing.push((from, packet_out(actions, data)));
        }
    }

    /// The nodes that share a network with this one by tunnels.
    fn tunnel_peers(&self, id: NodeId) -> BTreeSet<NodeId> {
        let nodes =
            self.tunnelled(id).flat_map(|network| self.compiler.nodes_with(network)).map(|node| node.id);
        nodes.filter(|peer| *peer != id).collect()
    }

    /// The networks of a node that reach other nodes by tunnels.
    fn tunnelled(&self, node: NodeId) -> impl Iterator<Item = NetworkId> {
        let networks = self.compiler.networks_on(node);
        networks.filter(|network| matches!(network.driver, Driver::Vxlan(_))).map(|network| network.id)
    }

    fn vlan(&self, network: NetworkId) -> Option<(Network, VlanVid)> {
        let network = self.compiler.network(network)?;
        match network.driver {
            Driver::Vlan(vid) => Some((*network, vid)),
            Driver::Vxlan(_) => None,
        }
    }
}

/// Whether a host of the network may have that address.
fn is_host(network: &Network, address: Ipv4Addr) -> bool {
    let subnet = network.subnet;
    let ends = [subnet.network(), subnet.broadcast()];
    subnet.contains(&address) && (subnet.prefix_len() >= 31 || !ends.contains(&address))
}

fn packet_out(actions: Vec<Action>, data: Vec<u8>) -> Message {
    Message::PacketOut(PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions, data })
}

/// A whole frame, out of the uplink.
fn by_uplink(data: Vec<u8>) -> Message {
    packet_out(vec![Action::output(port::UPLINK)], data)
}

/// A packet that waited for a neighbour, as `forward` would send it now.
fn release(network: NetworkId, mac: MacAddr, data: Vec<u8>) -> Message {
    let actions = vec![
        Action::load(register::NETWORK.field, network.0.into()),
        Action::set_field(field::ETH_DST, mac),
        Action::resubmit(Table::Egress.id()),
    ];
    packet_out(actions, data)
}
