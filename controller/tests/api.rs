//! The API over a unix socket: creation, idempotence, and every refusal with its code and sentence.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use controller::intent::model::Neighbour as Found;
use flowlib::types::MacAddr;
use support::{Agent, World, attach, container, refused, register, vlan, vxlan};
use tonic::{Code, Request};
use weir_api::v1::*;

#[tokio::test]
async fn pools_are_created_once_listed_and_deleted() {
    let world = World::start().await;
    let pool = world.pool("p").await.unwrap();
    assert_eq!(pool.vlans, Some(Range { first: 100, last: 199 }));
    assert_eq!(world.pool("p").await.unwrap(), pool, "the same again is no error");
    let other = Pool { name: "p".to_owned(), default_image: "busybox".to_owned(), ..Pool::default() };
    let create = CreatePoolRequest { pool: Some(other) };
    refused(world.pools().create_pool(create).await, Code::AlreadyExists, "exists with VLANs 100-199");
    refused(world.pool("Bad Name").await, Code::InvalidArgument, "no name for a pool");
    let vlans = Some(Range { first: 4000, last: 4095 });
    let create = CreatePoolRequest { pool: Some(Pool { name: "q".to_owned(), vlans, ..Pool::default() }) };
    refused(world.pools().create_pool(create).await, Code::InvalidArgument, "from 1 to 4094");
    world.network(vlan("p", "net", "10.1.0.0/24", "")).await.unwrap();
    let delete = DeletePoolRequest { name: "p".to_owned() };
    refused(world.pools().delete_pool(delete.clone()).await, Code::FailedPrecondition, "1 networks");
    let network = DeleteNetworkRequest { pool: "p".to_owned(), name: "net".to_owned() };
    world.networks().delete_network(network).await.unwrap();
    world.pools().delete_pool(delete.clone()).await.unwrap();
    refused(world.pools().delete_pool(delete).await, Code::NotFound, "no pool `p`");
}

#[tokio::test]
async fn networks_take_the_next_vlan_and_vni_of_the_pools_range() {
    let world = World::start().await;
    world.pool("p").await.unwrap();
    let first = world.network(vlan("p", "a", "10.1.0.0/16", "10.1.0.1")).await.unwrap();
    assert_eq!((first.vlan, first.vni, first.mtu, first.block_prefix_len), (100, 0, 1500, 26));
    let again = world.network(vlan("p", "a", "10.1.0.0/16", "10.1.0.1")).await.unwrap();
    assert_eq!(again, first);
    let second = world.network(vlan("p", "b", "10.2.0.0/28", "")).await.unwrap();
    assert_eq!((second.vlan, second.block_prefix_len), (101, 28));
    let third = world.network(vxlan("p", "c", "10.3.0.0/16")).await.unwrap();
    assert_eq!((third.vlan, third.vni, third.mtu), (0, 10_000, 1450));
    world.network(vxlan("p", "d", "10.3.0.0/16")).await.expect("VXLAN networks may overlap each other");
    world.network(vxlan("p", "e", "10.1.0.0/24")).await.expect("and a VLAN");
}

#[tokio::test]
async fn bad_networks_are_refused_and_leave_nothing() {
    let world = World::start().await;
    world.pool("p").await.unwrap();
    world.pool("q").await.unwrap();
    let taken = Network { vlan: 150, ..vlan("p", "net", "10.1.0.0/24", "10.1.0.1") };
    world.network(taken.clone()).await.unwrap();
    let overlay = Network { vni: 7, ..vxlan("p", "overlay", "10.9.0.0/24") };
    world.network(overlay).await.unwrap();
    let before = world.revision();
    let base = || vlan("p", "x", "10.2.0.0/24", "");
    let cases = [
        (vlan("r", "x", "10.2.0.0/24", ""), Code::NotFound, "no pool `r`"),
        (vlan("", "x", "10.2.0.0/24", ""), Code::InvalidArgument, "no pool is named"),
        (vlan("p", "X", "10.2.0.0/24", ""), Code::InvalidArgument, "no name for a network"),
        (vlan("p", "x.y", "10.2.0.0/24", ""), Code::InvalidArgument, "has no dot"),
        (Network { driver: "vpc".to_owned(), ..base() }, Code::InvalidArgument, "there are: vlan, vxlan"),
        (vlan("p", "x", "", ""), Code::InvalidArgument, "no subnet"),
        (vlan("p", "x", "10.2.0.0/33", ""), Code::InvalidArgument, "should look like"),
        (vlan("p", "x", "10.2.0.7/24", ""), Code::InvalidArgument, "10.2.0.0/24 would be one"),
        (vlan("p", "x", "fd00::/64", ""), Code::InvalidArgument, "should look like"),
        (vlan("p", "x", "224.0.0.0/24", ""), Code::InvalidArgument, "no subnet for hosts"),
        (vlan("p", "x", "0.0.0.0/0", ""), Code::InvalidArgument, "no subnet for hosts"),
        (
            vlan("p", "x", "10.1.0.128/25", ""),
            Code::AlreadyExists,
            "overlaps 10.1.0.0/24 of the network `net`",
        ),
        (vlan("p", "x", "10.0.0.0/8", ""), Code::AlreadyExists, "both are on VLANs"),
        (vlan("p", "x", "10.2.0.0/24", "10.3.0.1"), Code::InvalidArgument, "not in the subnet"),
        (vlan("p", "x", "10.2.0.0/24", "10.2.0.255"), Code::InvalidArgument, "network or broadcast"),
        (
            Network { gateway: "10.2.0.1".to_owned(), ..vxlan("p", "x", "10.2.0.0/24") },
            Code::InvalidArgument,
            "has no gateway",
        ),
        (Network { vlan: 150, ..base() }, Code::AlreadyExists, "taken by the network `net` of the pool `p`"),
        (
            Network { pool: "q".to_owned(), vlan: 150, ..base() },
            Code::AlreadyExists,
            "taken by a network of another pool",
        ),
        (Network { vlan: 4095, ..base() }, Code::InvalidArgument, "1 to 4094"),
        (Network { vni: 5, ..base() }, Code::InvalidArgument, "has no VNI"),
        (
            Network { vni: 7, ..vxlan("p", "x", "10.2.0.0/24") },
            Code::AlreadyExists,
            "taken by the network `overlay`",
        ),
        (Network { vlan: 5, ..vxlan("p", "x", "10.2.0.0/24") }, Code::InvalidArgument, "has no VLAN"),
        (Network { mtu: 10, ..base() }, Code::InvalidArgument, "576 to 9216"),
        (Network { block_prefix_len: 20, ..base() }, Code::InvalidArgument, "24 to 32"),
        (Network { vlan: 151, ..taken }, Code::AlreadyExists, "exists with other content"),
    ];
    for (network, code, part) in cases {
        refused(world.network(network).await, code, part);
    }
    assert_eq!(world.revision(), before, "a refused request changes nothing");
}

#[tokio::test]
async fn a_pools_range_of_vlans_can_be_used_up() {
    let world = World::start().await;
    let vlans = Some(Range { first: 10, last: 10 });
    let pool = Pool { name: "p".to_owned(), vlans, ..Pool::default() };
    world.pools().create_pool(CreatePoolRequest { pool: Some(pool) }).await.unwrap();
    assert_eq!(world.network(vlan("p", "a", "10.1.0.0/24", "")).await.unwrap().vlan, 10);
    refused(
        world.network(vlan("p", "b", "10.2.0.0/24", "")).await,
        Code::ResourceExhausted,
        "10 to 10, are taken",
    );
}

#[tokio::test]
async fn bad_containers_are_refused_and_leave_nothing() {
    let (world, _one, _two) = World::furnished().await;
    let web = Container { address: "10.1.0.9".to_owned(), ..container("web") };
    world.create(web.clone(), false).await.unwrap();
    let network = network_id(&world).await;
    let host = Found { network, address: Ipv4Addr::new(10, 1, 0, 99), mac: MacAddr([2; 6]), revision: 0 };
    let found = world.intent.transact(move |tx| {
        tx.put(host);
        Ok(())
    });
    found.await.unwrap();
    let before = world.revision();
    let at = |address: &str| Container { address: address.to_owned(), ..container("x") };
    let base = || container("x");
    let cases = [
        (Container { pool: "q".to_owned(), ..base() }, Code::NotFound, "no pool `q`"),
        (Container { network: "other".to_owned(), ..base() }, Code::NotFound, "no network `other`"),
        (Container { network: String::new(), ..base() }, Code::InvalidArgument, "no network is named"),
        (Container { node: "n9".to_owned(), ..base() }, Code::NotFound, "no node `n9`"),
        (container("Bad/Name"), Code::InvalidArgument, "no name for a container"),
        (Container { service: "-".to_owned(), ..base() }, Code::InvalidArgument, "no name for a service"),
        (Container { runtime: "docker".to_owned(), ..base() }, Code::InvalidArgument, "needs an image"),
        (Container { runtime: "vm".to_owned(), ..base() }, Code::InvalidArgument, "there are: docker, netns"),
        (
            Container { constraints: vec![format!("{}==a", "k".repeat(64))], ..base() },
            Code::InvalidArgument,
            "a key has 1 to 63 bytes",
        ),
        (
            Container { affinities: vec![format!("app!={}", "v".repeat(256))], ..base() },
            Code::InvalidArgument,
            "a value at most 255",
        ),
        (at("ten"), Code::InvalidArgument, "should look like"),
        (at("10.2.0.1"), Code::InvalidArgument, "not in the subnet 10.1.0.0/24"),
        (at("10.1.0.0"), Code::InvalidArgument, "is the network address"),
        (at("10.1.0.255"), Code::InvalidArgument, "is the broadcast address"),
        (at("10.1.0.1"), Code::InvalidArgument, "is the gateway's"),
        (at("10.1.0.9"), Code::AlreadyExists, "taken by the container `web`"),
        (at("10.1.0.99"), Code::AlreadyExists, "host on the VLAN"),
        (
            Container { address: "10.1.0.10".to_owned(), ..web.clone() },
            Code::AlreadyExists,
            "its address is `10.1.0.9`",
        ),
        (Container { service: "s".to_owned(), ..web.clone() }, Code::AlreadyExists, "its service is `web`"),
        (
            Container { labels: [(String::new(), String::new())].into(), ..base() },
            Code::InvalidArgument,
            "label",
        ),
    ];
    for (container, code, part) in cases {
        refused(world.create(container, false).await, code, part);
    }
    let none = CreateContainerRequest { container: None, wait: false };
    refused(world.containers().create_container(none).await, Code::InvalidArgument, "no container is given");
    refused(world.get("nobody").await, Code::NotFound, "no container `nobody`");
    refused(world.delete("nobody", false).await, Code::NotFound, "no container `nobody`");
    assert_eq!(world.revision(), before, "a refused request changes nothing");
    let again = world.create(web, false).await.unwrap();
    assert_eq!((again.address.as_str(), again.service.as_str()), ("10.1.0.9", "web"));
    assert_eq!(world.revision(), before, "the same again changes nothing");
}

async fn network_id(world: &World) -> flowlib::compile::model::NetworkId {
    let request = GetNetworkRequest { pool: "p".to_owned(), name: "net".to_owned() };
    let network = world.networks().get_network(request).await.unwrap().into_inner();
    flowlib::compile::model::NetworkId(network.id)
}

#[tokio::test]
async fn containers_spread_and_take_addresses_of_their_nodes_blocks() {
    let (world, _one, _two) = World::furnished().await;
    let mut seen = Vec::new();
    for n in 0..4 {
        let c = world.create(container(&format!("c-{n}")), false).await.unwrap();
        let mac = c.address.parse::<Ipv4Addr>().unwrap().octets();
        assert_eq!(c.mac, format!("02:42:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3]));
        seen.push((c.node, c.address, c.ofport));
    }
    let expected = [
        ("n1", "10.1.0.3", 1024),
        ("n2", "10.1.0.65", 1024),
        ("n1", "10.1.0.4", 1025),
        ("n2", "10.1.0.66", 1025),
    ];
    assert_eq!(seen, expected.map(|(n, a, p)| (n.to_owned(), a.to_owned(), p)));
    let request = GetNetworkRequest { pool: "p".to_owned(), name: "net".to_owned() };
    let blocks = world.networks().get_network(request).await.unwrap().into_inner().blocks;
    let blocks: Vec<_> = blocks.iter().map(|b| (b.prefix.as_str(), b.node.as_str(), b.used)).collect();
    assert_eq!(blocks, [("10.1.0.0/26", "n1", 2), ("10.1.0.64/26", "n2", 2)]);
    let nameless = world.create(container(""), false).await.unwrap();
    assert!(!nameless.name.is_empty() && nameless.service == nameless.name);
    let list = ListContainersRequest { pool: "p".to_owned(), node: "n2".to_owned(), ..Default::default() };
    let list = world.containers().list_containers(list).await.unwrap().into_inner();
    assert_eq!(list.containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c-1", "c-3"]);
}

#[tokio::test]
async fn a_full_subnet_and_unconnected_nodes_are_refused() {
    let world = World::start().await;
    world.pool("p").await.unwrap();
    world.network(vlan("p", "net", "10.1.0.0/30", "10.1.0.1")).await.unwrap();
    refused(world.create(container("a"), false).await, Code::Unavailable, "has no nodes");
    let agent = Agent::join(&world, "p", "n1", 1).await;
    let first = world.create(container("a"), false).await.unwrap();
    assert_eq!(first.address, "10.1.0.2");
    refused(world.create(container("b"), false).await, Code::ResourceExhausted, "is full");
    let gone = controller::openflow::SwitchEvent::Disconnected { node: agent.id };
    agent.switch(gone).await;
    world.until("a", container_status::Phase::Degraded, "NodeUnreachable").await;
    refused(world.create(container("c"), false).await, Code::Unavailable, "none of the 1 nodes");
    let named = Container { node: "n1".to_owned(), ..container("c") };
    refused(
        world.create(named, false).await,
        Code::Unavailable,
        "the switch of the node `n1` is not connected",
    );
}

#[tokio::test]
async fn nodes_register_with_a_mac_that_stays_theirs() {
    let (world, one, two) = World::furnished().await;
    let mac: MacAddr = one.registered.nat_mac.parse().unwrap();
    let other: MacAddr = two.registered.nat_mac.parse().unwrap();
    assert_eq!((mac.0[0], &mac.0[3..]), (0x0e, [0, 0, 1].as_slice()));
    assert_eq!((&mac.0[..3], &other.0[3..]), (&other.0[..3], [0, 0, 2].as_slice()));
    assert_eq!(one.registered.openflow_targets, ["tcp:127.0.0.1:6653"]);
    refused(attach(&world, register("q", "n1", 1)).await, Code::NotFound, "no pool `q`");
    refused(attach(&world, register("p", "n3", 1)).await, Code::AlreadyExists, "is that of the node `n1`");
    let address = Register { tunnel_address: "172.31.0.1".to_owned(), ..register("p", "n3", 3) };
    refused(attach(&world, address).await, Code::AlreadyExists, "tunnel address 172.31.0.1");
    let address = Register { tunnel_address: "172.31.0".to_owned(), ..register("p", "n3", 3) };
    refused(attach(&world, address).await, Code::InvalidArgument, "tunnel address");
    let again = Agent::attach(&world, register("p", "n1", 1)).await;
    assert_eq!(again.registered, one.registered);
    let mut one = one;
    let ended = loop {
        match one.next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    refused(ended, Code::Aborted, "has opened another");
}

#[tokio::test]
async fn nodes_are_forgotten_when_nothing_is_left_on_them() {
    let (world, one, _two) = World::furnished().await;
    let delete = || DeleteNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    refused(
        world.nodes().delete_node(delete()).await,
        Code::FailedPrecondition,
        "is connected: stop it first",
    );
    let on_one = Container { node: "n1".to_owned(), ..container("a") };
    world.create(on_one, false).await.unwrap();
    refused(world.nodes().delete_node(delete()).await, Code::FailedPrecondition, "1 containers");
    drop(one);
    world.until("a", container_status::Phase::Degraded, "NodeUnreachable").await;
    world.delete("a", false).await.unwrap();
    world.until("a", container_status::Phase::Deleting, "NodeUnreachable").await;
    world.nodes().delete_node(delete()).await.unwrap();
    refused(world.get("a").await, Code::NotFound, "no container `a`");
    let next =
        world.create(Container { address: "10.1.0.3".to_owned(), ..container("b") }, false).await.unwrap();
    assert_eq!(next.node, "n2");
}

#[tokio::test]
async fn waiting_ends_with_the_deadline_and_says_why() {
    let (world, one, _two) = World::furnished().await;
    let c = Container { node: "n1".to_owned(), ..container("a") };
    let mut request = Request::new(CreateContainerRequest { container: Some(c), wait: true });
    request.set_timeout(Duration::from_millis(400));
    let result = world.containers().create_container(request).await;
    refused(result, Code::DeadlineExceeded, "committed, but not ready yet: FlowsPending");
    assert_eq!(world.get("a").await.unwrap().node, "n1", "it stays");
    drop(one);
}

#[tokio::test]
async fn status_counts_and_names_problems() {
    let (world, one, _two) = World::furnished().await;
    world.create(Container { node: "n1".to_owned(), ..container("a") }, false).await.unwrap();
    drop(one);
    world.until("a", container_status::Phase::Degraded, "NodeUnreachable").await;
    let status = world.status().get_status(GetStatusRequest::default()).await.unwrap().into_inner();
    assert_eq!(
        (status.networks, status.containers, status.containers_ready, status.nodes.len()),
        (1, 1, 0, 2)
    );
    let subjects: Vec<_> = status.problems.iter().map(|p| (p.subject.as_str(), p.reason.as_str())).collect();
    assert_eq!(subjects, [("node/p/n1", "NodeUnreachable"), ("container/p/a", "NodeUnreachable")]);
    let unknown = GetStatusRequest { pool: "q".to_owned() };
    refused(world.status().get_status(unknown).await, Code::NotFound, "no pool `q`");
}
