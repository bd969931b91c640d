//! A day of a container service, on three hosts with real Docker: two pools with the same subnet; a service that is scaled,
//! rolled to a new image and served on; a container that somebody runs with Docker alone; a node that dies; the upstream
//! registry that is gone; and series behind every panel.
//!
//! Run it by itself to read along: `cargo nextest run -p labs -E 'binary(netns_story)' --no-capture`.
//!
//! Needs root, Open vSwitch, Docker, docker-registry and Debian's prometheus; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
#[path = "support/plain.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod plain;
#[path = "support/prometheus.rs"]
mod prometheus;
#[path = "support/registries.rs"]
mod registries;
#[path = "support/services.rs"]
mod services;
mod support;

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use docker::{docker, sleeper, until_offered};
use labs::topology::{Name, Pool};
use prometheus::{Prometheus, panels};
use registries::{PROXY, push_page};
use services::{Service, answers, watched};
use support::{POOL, System, reaches, vlan};
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::networks_client::NetworksClient;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::service_status::Phase;

/// The other pool: its one node is n3.
const OTHER: &str = "pool3";
const PATIENCE: Duration = Duration::from_secs(90);

/// The lab, with its pools and networks.
fn furnished() -> Option<System> {
    if !registries::possible() || !prometheus::possible() {
        return None;
    }
    let system = System::up_docker_with("story", |topology| {
        let name = Name::new(OTHER).unwrap();
        topology.pools.push(Pool { name: name.clone(), vlans: None, vnis: Some([20_000, 20_099]) });
        topology.nodes.last_mut().unwrap().pool = name;
        let lease = ["--node-lease", "3s"].map(str::to_owned);
        topology.controller.as_mut().unwrap().args.extend(lease);
        prometheus::served(topology);
    })?;
    system.network(vlan("v"));
    // The same addresses, for somebody else.
    let twin = v1::Network { driver: "vxlan".to_owned(), vlan: 0, gateway: String::new(), ..vlan("v") };
    let request = v1::CreateNetworkRequest { network: Some(v1::Network { pool: OTHER.to_owned(), ..twin }) };
    let mut client = NetworksClient::new(system.channel.clone());
    system.runtime.block_on(client.create_network(request)).unwrap();
    Some(system)
}

/// Both pools' nodes pull Docker Hub's images through the proxy.
fn use_proxy(system: &System) {
    for pool in [POOL, OTHER] {
        let registry_proxies = HashMap::from([("docker.io".to_owned(), format!("http://{PROXY}"))]);
        let request = v1::UpdatePoolRequest {
            name: pool.to_owned(),
            registry_proxies,
            ..v1::UpdatePoolRequest::default()
        };
        let mut client = PoolsClient::new(system.channel.clone());
        system.runtime.block_on(client.update_pool(request)).unwrap();
    }
}

/// A ready container of the other pool, at an address that the first one uses too.
fn twin(system: &System, address: Ipv4Addr) -> v1::Container {
    let container = v1::Container {
        pool: OTHER.to_owned(),
        address: address.to_string(),
        image: "web:1".to_owned(),
        ..sleeper("twin", "v")
    };
    let mut request =
        tonic::Request::new(v1::CreateContainerRequest { container: Some(container), wait: true });
    request.set_timeout(PATIENCE);
    let mut client = ContainersClient::new(system.channel.clone());
    system.runtime.block_on(client.create_container(request)).unwrap().into_inner()
}

/// Names a chapter, with the time since the beginning.
struct Story(Instant);

impl Story {
    fn chapter(&self, what: &str) {
        println!("{:6.1} s  {what}", self.0.elapsed().as_secs_f64());
    }
}

#[test]
fn a_day_of_a_container_service() {
    let story = Story(Instant::now());
    let Some(system) = furnished() else { return };
    let (lab, service) = (&system.lab, Service(&system));
    story.chapter("three hosts, two pools, one subnet");
    let upstream = registries::upstream(lab);
    for version in ["1", "2", "3"] {
        push_page(lab, &format!("library/web:{version}"), version);
    }
    let _proxy = registries::proxy(lab);
    use_proxy(&system);
    ["n1", "n2"].iter().for_each(|node| until_offered(&system, node, true));

    story.chapter("a service of six replicas, its image pulled through the pool's proxy");
    service.create("web:1", 6);
    service.until(Phase::Steady, 6);
    let gateway = system.place("gw");
    assert_eq!(answers(&gateway, &service.addresses()), ["1"; 6]);
    let nodes: BTreeSet<String> = service.containers().into_iter().map(|replica| replica.node).collect();
    assert_eq!(nodes, BTreeSet::from(["n1".to_owned(), "n2".to_owned()]), "the pool's own nodes only");

    story.chapter("the other pool has one of its addresses, and neither notices");
    let first = service.addresses()[0];
    let twin = twin(&system, first);
    assert_eq!((twin.node.as_str(), twin.address.as_str()), ("n3", first.to_string().as_str()));
    let inside = format!("{}.{OTHER}.{}", twin.name, twin.endpoint_id);
    let ping = |to: &str| docker(lab, "n3", &["exec", &inside, "ping", "-c", "1", "-W", "1", to]);
    assert!(ping(&twin.address).is_ok(), "it has its address");
    assert!(ping("10.209.164.1").is_err(), "it reaches the first pool's gateway");
    assert_eq!(answers(&gateway, &service.addresses()), ["1"; 6]);

    story.chapter("scaled down to four and up to six");
    service.scale(4);
    service.until(Phase::Steady, 4);
    service.scale(6);
    service.until(Phase::Steady, 6);

    story.chapter("rolled to a new image");
    let (fewest, versions) = watched(&system, &service, || {
        service.update("web:2");
        service.until(Phase::Steady, 6);
    });
    assert!(fewest >= 5, "only {fewest} of six answered\n{}", lab.dump());
    assert_eq!(versions, BTreeSet::from(["1".to_owned(), "2".to_owned()]));

    system.create_as(prometheus::worker("v/n1"));
    story.chapter("docker run, by somebody who knows Docker alone");
    plain::make_network(lab, "n1", "net", &["-o", "network=v"]);
    let own = plain::run(lab, "n1", "own", &["--net", "net"]);
    assert!(reaches(&gateway, own.address));
    assert!(service.addresses().iter().all(|replica| plain::pings(lab, "n1", "own", *replica)));

    story.chapter("the upstream registry is gone, and a node starts what only another has had");
    system.create_as(v1::Container { image: "web:3".to_owned(), ..sleeper("early", "v/n1") });
    upstream.kill();
    let late = v1::Container { image: "web:3".to_owned(), ..sleeper("late", "v/n2") };
    system.try_create_as(late, false).unwrap();
    let late = system.until_ready("late");
    assert!(reaches(&gateway, late.address));

    story.chapter("a node dies: its replicas are back on the other");
    system.stop_node("n2");
    let moved = || {
        let all = service.containers();
        Ok((all.len() == 6 && all.iter().all(|replica| replica.node == "n1")).then_some(()))
    };
    lab.wait_until(PATIENCE, "all replicas to be on n1", moved).unwrap();
    service.until(Phase::Steady, 6);
    assert_eq!(answers(&gateway, &service.addresses()), ["2"; 6]);

    story.chapter("what it looked like");
    let prometheus = Prometheus::start(&system);
    let mut left = panels();
    let all_show = || {
        // What is shown as a rate is to happen.
        system.create("passing", "v/n1");
        system.delete("passing");
        left.retain(|(_, query)| !prometheus.shows(query));
        Ok(left.is_empty().then_some(()))
    };
    if let Err(error) = lab.wait_until(PATIENCE, "all panels to show something", all_show) {
        panic!("these show nothing: {left:#?}\n{error:#}");
    }
    story.chapter("the end");
}
