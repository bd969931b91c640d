//! What the controller says on the fabric, and when: [`Fabric`] in virtual time.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use controller::intent::model::{
    Block, Change, Container, Endpoint, Neighbour, Network, Node, Record, Resources, RestartPolicy, Retiring,
    Scheduling,
};
use controller::network::fabric::{Fabric, Learned, Pace};
use controller::openflow::board::Board;
use flowlib::compile::model::Driver;
use flowlib::openflow::action::PacketInReason;
use flowlib::openflow::oxm::field;
use flowlib::openflow::{Action, Match, Message, PacketIn};
use flowlib::pipeline::register::{NETWORK, ORIGIN, Origin};
use flowlib::types::*;

const MINUTE: Duration = Duration::from_secs(60);
const VLAN: NetworkId = NetworkId(1);
const VXLAN: NetworkId = NetworkId(2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 99);
const HOST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 99]);

struct World {
    fabric: Fabric,
    now: Instant,
    revision: u64,
}

/// A frame on the fabric: from which node, what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Announcement(u32, Ipv4Addr),
    Probe(u32, Ipv4Addr),
    Presence(u32),
    Tunnels(u32, Vec<Ipv4Addr>),
    Released(u32, MacAddr),
}

fn said(node: NodeId, message: Message) -> Said {
    let Message::PacketOut(packet) = message else { panic!("{message:?}") };
    let sets = |wanted| {
        packet.actions.iter().filter_map(move |action| match action {
            Action::SetField { field, value, .. } if *field == wanted => Some(*value),
            _ => None,
        })
    };
    let vteps: Vec<_> = sets(field::TUN_IPV4_DST).map(|value| Ipv4Addr::from(value.to_u32())).collect();
    if !vteps.is_empty() {
        return Said::Tunnels(node.0, vteps);
    }
    if let Some(mac) = sets(field::ETH_DST).next() {
        return Said::Released(node.0, mac.to_mac());
    }
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet.data[at..at + 4]).unwrap());
    let (operation, sender, target) = (packet.data[25], address(32), address(42));
    match operation {
        3 => Said::Presence(node.0),
        1 if sender == target => Said::Announcement(node.0, sender),
        1 if sender.is_unspecified() => Said::Probe(node.0, target),
        _ => panic!("{:?}", packet.data),
    }
}

impl World {
    /// Two nodes, each with a block of a VLAN and of a VXLAN network; both switches are connected.
    fn new() -> Self {
        let pace = Pace { mac_refresh: MINUTE, neighbour_refresh: Duration::from_secs(30) };
        let fabric = Fabric::new(Board::default(), pace);
        let mut world = Self { fabric, now: Instant::now(), revision: 0 };
        for id in [1, 2] {
            world.commit(Record::Node(Arc::new(node(id))));
        }
        world.commit(Record::Network(Arc::new(network(VLAN, Driver::Vlan(VlanVid::new(100).unwrap())))));
        world.commit(Record::Network(Arc::new(network(VXLAN, Driver::Vxlan(Vni::new(200).unwrap())))));
        for (network, third) in [(VLAN, 1), (VXLAN, 2)] {
            for id in [1, 2] {
                let prefix = format!("10.{third}.0.{}/26", (id - 1) * 64).parse().unwrap();
                world.commit(Record::Block(Arc::new(Block {
                    network,
                    prefix,
                    node: NodeId(id),
                    revision: 0,
                })));
            }
        }
        for id in [1, 2] {
            world.fabric.handle_up(world.now, NodeId(id));
        }
        world
    }

    fn commit(&mut self, record: Record) {
        self.revision += 1;
        let change = Change { before: None, after: Some(record) };
        self.fabric.handle_commit(self.now, self.revision, &[change]);
    }

    /// Lets time pass, and hears what is said meanwhile.
    fn pass(&mut self, time: Duration) -> Vec<Said> {
        let end = self.now + time;
        while let Some(due) = self.fabric.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.fabric.handle_timeout(self.now);
        }
        self.now = end;
        let mut all: Vec<_> =
            self.fabric.outgoing.drain(..).map(|(node, message)| said(node, message)).collect();
        all.sort();
        all
    }

    fn packet_in(&mut self, from: u32, origin: Origin, data: Vec<u8>) {
        let flow_match = Match::new().with(NETWORK.field, VLAN.0).with(ORIGIN.field, origin as u32);
        let packet = PacketIn {
            buffer_id: None,
            total_len: data.len() as u16,
            reason: PacketInReason(1),
            table: TableId(5),
            cookie: Cookie(0),
            flow_match,
            data,
        };
        self.fabric.handle_packet_in(self.now, NodeId(from), packet);
    }
}

fn node(id: u32) -> Node {
    Node {
        id: NodeId(id),
        pool: PoolId(1),
        name: format!("n{id}"),
        datapath_id: DatapathId(id.into()),
        nat_mac: MacAddr([0x0e, 0, 0, 0, 0, id as u8]),
        tunnel_address: Ipv4Addr::new(172, 31, 0, id as u8),
        labels: BTreeMap::new(),
        capacity: Resources::default(),
        metrics: None,
        scheduling: Scheduling::Active,
        revision: 0,
    }
}

fn network(id: NetworkId, driver: Driver) -> Network {
    Network {
        id,
        pool: PoolId(1),
        name: format!("net{id}"),
        driver,
        subnet: format!("10.{id}.0.0/22").parse().unwrap(),
        gateway: matches!(driver, Driver::Vlan(_)).then_some(GATEWAY),
        mtu: 1500,
        block_prefix_len: 26,
        request_key: String::new(),
        revision: 0,
    }
}

fn container() -> Record {
    let address = Ipv4Addr::new(10, 1, 0, 70);
    let mac = MacAddr([2, 0x42, 10, 1, 0, 70]);
    let endpoint =
        Endpoint { id: EndpointId(7), network: VLAN, address, mac, node: NodeId(2), ofport: PortNo(1024) };
    Record::Container(Arc::new(Container {
        pool: PoolId(1),
        name: "web".to_owned(),
        image: String::new(),
        runtime: "netns".to_owned(),
        command: Vec::new(),
        environment: BTreeMap::new(),
        resources: Resources::default(),
        restart: RestartPolicy::No,
        stop_timeout_s: 10,
        constraints: Vec::new(),
        affinities: Vec::new(),
        pinned: false,
        stopped: false,
        starts: 0,
        health: None,
        mounts: Vec::new(),
        replica_of: None,
        service: "web".to_owned(),
        labels: BTreeMap::new(),
        endpoint,
        deleting: false,
        request_key: String::new(),
        revision: 0,
    }))
}

/// An IPv4 packet to `HOST`, as an endpoint sends it.
fn packet() -> Vec<u8> {
    let mut packet = vec![0; 34];
    packet[12] = 0x08;
    packet[14] = 0x45;
    packet[17] = 20;
    packet[30..34].copy_from_slice(&HOST.octets());
    packet
}

/// An untagged ARP reply of `HOST`.
fn reply() -> Vec<u8> {
    let mut reply = vec![0; 42];
    reply[12..14].copy_from_slice(&[0x08, 0x06]);
    reply[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
    reply[22..28].copy_from_slice(&HOST_MAC.0);
    reply[28..32].copy_from_slice(&HOST.octets());
    reply
}

#[test]
fn a_started_endpoint_is_announced_three_times_from_its_node() {
    let mut world = World::new();
    world.pass(Duration::ZERO);
    world.commit(container());
    world.fabric.handle_applied(world.now, NodeId(2), &[EndpointId(7)]);
    let address = Ipv4Addr::new(10, 1, 0, 70);
    let announced = world.pass(MINUTE / 2).into_iter().filter(|said| matches!(said, Said::Announcement(..)));
    assert_eq!(
        announced.collect::<Vec<_>>(),
        vec![Said::Announcement(2, address), Said::Announcement(2, address), Said::Announcement(2, address)]
    );
}

#[test]
fn an_address_that_has_moved_is_announced_again_when_the_node_it_left_lets_go_of_it() {
    let mut world = World::new();
    world.commit(container());
    let Record::Container(moved) = container() else { panic!("a container") };
    let left = |n: u32, address| Retiring {
        endpoint: Endpoint { id: EndpointId(n), node: NodeId(1), address, ..moved.endpoint.clone() },
        pool: PoolId(1),
        container: "web".to_owned(),
        runtime: "netns".to_owned(),
        resources: Resources::default(),
        revision: 0,
    };
    let mut end = |retiring: Retiring| {
        let record = Record::Retiring(Arc::new(retiring));
        world.commit(record.clone());
        world.pass(MINUTE);
        world.revision += 1;
        let change = Change { before: Some(record), after: None };
        world.fabric.handle_commit(world.now, world.revision, &[change]);
        let all = world.pass(MINUTE / 2).into_iter();
        all.filter(|said| matches!(said, Said::Announcement(..))).collect::<Vec<_>>()
    };
    let address = moved.endpoint.address;
    assert_eq!(end(left(5, address)), vec![Said::Announcement(2, address); 3]);
    assert_eq!(end(left(6, Ipv4Addr::new(10, 1, 0, 71))), [], "nobody has that one");
}

#[test]
fn what_is_applied_again_is_not_announced_again() {
    let mut world = World::new();
    world.commit(container());
    world.fabric.handle_applied(world.now, NodeId(2), &[]);
    let all = world.pass(MINUTE / 2);
    assert!(all.iter().all(|said| !matches!(said, Said::Announcement(..))), "{all:?}");
}

#[test]
fn each_nat_mac_shows_itself_once_a_minute() {
    let mut world = World::new();
    let presence =
        |all: Vec<Said>| all.into_iter().filter(|s| matches!(s, Said::Presence(_))).collect::<Vec<_>>();
    assert_eq!(presence(world.pass(MINUTE)), vec![Said::Presence(1), Said::Presence(2)]);
    world.fabric.handle_down(NodeId(1));
    assert_eq!(presence(world.pass(MINUTE)), vec![Said::Presence(2)]);
}

#[test]
fn cold_tunnels_are_warmed_both_ways_and_kept_warm() {
    let mut world = World::new();
    let vtep = |n| Ipv4Addr::new(172, 31, 0, n);
    let tunnels =
        |all: Vec<Said>| all.into_iter().filter(|s| matches!(s, Said::Tunnels(..))).collect::<Vec<_>>();
    let both = || vec![Said::Tunnels(1, vec![vtep(2)]), Said::Tunnels(2, vec![vtep(1)])];
    assert_eq!(tunnels(world.pass(MINUTE)), both());
    assert_eq!(tunnels(world.pass(5 * MINUTE)), both());
}

#[test]
fn the_gateway_is_asked_for_as_soon_as_a_switch_is_connected_and_by_one_node() {
    let mut world = World::new();
    let asked = world.pass(Duration::ZERO).into_iter().filter(|said| matches!(said, Said::Probe(_, GATEWAY)));
    assert_eq!(asked.count(), 1);
}

#[test]
fn nodes_take_turns_in_asking() {
    let mut world = World::new();
    let all = world.pass(Duration::from_secs(1));
    let probes: Vec<_> = all.into_iter().filter(|said| matches!(said, Said::Probe(..))).collect();
    assert_eq!(probes, vec![Said::Probe(1, GATEWAY), Said::Probe(2, GATEWAY)]);
}

#[test]
fn a_switch_does_not_speak_for_networks_it_does_not_have() {
    let mut world = World::new();
    world.commit(Record::Node(Arc::new(node(3))));
    world.fabric.handle_up(world.now, NodeId(3));
    world.packet_in(1, Origin::Endpoint, packet());
    world.packet_in(3, Origin::Uplink, reply());
    assert_eq!(world.fabric.learned, []);
    world.packet_in(2, Origin::Uplink, reply());
    assert_eq!(world.fabric.learned.len(), 1);
}

#[test]
fn a_packet_waits_for_a_bare_host_to_be_found() {
    let mut world = World::new();
    world.pass(Duration::ZERO);
    world.packet_in(2, Origin::Endpoint, packet());
    assert!(matches!(world.pass(Duration::ZERO)[..], [Said::Probe(_, HOST)]));
    world.packet_in(1, Origin::Uplink, reply());
    assert_eq!(world.pass(Duration::ZERO), vec![Said::Released(2, HOST_MAC)]);
    assert_eq!(world.fabric.learned, [Learned { network: VLAN, address: HOST, mac: Some(HOST_MAC) }]);
}

#[test]
fn a_packet_to_a_bare_host_in_a_block_waits_on_the_blocks_node() {
    let mut world = World::new();
    world.pass(Duration::ZERO);
    let mut by_stranger = packet();
    by_stranger[6..12].copy_from_slice(&HOST_MAC.0);
    let mut by_other_node = packet();
    by_other_node[6..12].copy_from_slice(&node(1).nat_mac.0);
    world.packet_in(2, Origin::Uplink, by_stranger);
    world.packet_in(2, Origin::Uplink, by_other_node.clone());
    assert!(matches!(world.pass(Duration::ZERO)[..], [Said::Probe(_, HOST)]));
    world.packet_in(1, Origin::Uplink, reply());
    assert_eq!(world.pass(Duration::ZERO), vec![Said::Released(2, HOST_MAC)]);
    // The answer is not in the other node's switch yet.
    world.packet_in(2, Origin::Uplink, by_other_node);
    assert_eq!(world.pass(Duration::ZERO), vec![Said::Released(2, HOST_MAC)]);
}

#[test]
fn a_known_neighbour_is_asked_again_in_time_and_not_before() {
    let mut world = World::new();
    world.pass(Duration::ZERO);
    world.commit(Record::Neighbour(Arc::new(Neighbour {
        network: VLAN,
        address: HOST,
        mac: HOST_MAC,
        revision: 0,
    })));
    let probes = |all: Vec<Said>| all.into_iter().filter(|said| matches!(said, Said::Probe(_, HOST))).count();
    assert_eq!(probes(world.pass(Duration::from_secs(29))), 0);
    assert_eq!(probes(world.pass(Duration::from_secs(1))), 1);
}

#[test]
fn an_endpoints_address_is_not_taken_for_a_neighbours() {
    let mut world = World::new();
    world.commit(container());
    world.pass(Duration::ZERO);
    let mut forged = reply();
    forged[28..32].copy_from_slice(&[10, 1, 0, 70]);
    world.packet_in(1, Origin::Uplink, forged);
    assert_eq!(world.fabric.learned, []);
    assert_eq!(world.pass(Duration::ZERO), vec![]);
}

#[test]
fn nonsense_from_a_guest_is_no_harm() {
    let mut world = World::new();
    for data in [packet(), reply()] {
        for end in 0..data.len() {
            world.packet_in(1, Origin::Endpoint, data[..end].to_vec());
        }
    }
}
