//! Endpoints that nodes' agents ask for, for containers of their own Dockers.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use support::{Agent, World, container, refused};
use tonic::{Code, Status};
use weir_api::v1::container_status::Phase;
use weir_api::v1::endpoint_report::State;
use weir_api::v1::*;

async fn lease(world: &World, node: &str, network: &str, address: &str) -> Result<DesiredEndpoint, Status> {
    let (pool, node) = ("p".to_owned(), node.to_owned());
    let request =
        LeaseEndpointRequest { pool, node, network: network.to_owned(), address: address.to_owned() };
    Ok(world.agents().lease_endpoint(request).await?.into_inner().endpoint.unwrap())
}

async fn set_mac(world: &World, node: &str, endpoint_id: u32, mac: &str) -> Result<DesiredEndpoint, Status> {
    let (pool, node, mac) = ("p".to_owned(), node.to_owned(), mac.to_owned());
    let request = SetEndpointMacRequest { pool, node, endpoint_id, mac };
    Ok(world.agents().set_endpoint_mac(request).await?.into_inner().endpoint.unwrap())
}

async fn release(world: &World, node: &str, endpoint_id: u32) -> Result<(), Status> {
    let request = ReleaseEndpointRequest { pool: "p".to_owned(), node: node.to_owned(), endpoint_id };
    world.agents().release_endpoint(request).await.map(drop)
}

/// The one endpoint that the agent is told to make, or to remove, next.
async fn told(agent: &mut Agent) -> (Vec<DesiredEndpoint>, Vec<RemovedEndpoint>) {
    let Desired { endpoints, removed, .. } = agent.desired().await;
    (endpoints, removed)
}

#[tokio::test]
async fn a_node_is_given_an_endpoint_that_is_listed_and_goes_when_it_is_given_back() {
    let (world, mut one, _two) = World::furnished().await;
    let given = lease(&world, "n1", "net", "").await.unwrap();
    assert_eq!((given.runtime.as_str(), given.network.as_str()), ("docker-plain", "net"));
    assert!(given.address.starts_with("10.1.0.") && given.gateway == "10.1.0.1", "{given:?}");
    assert_eq!(told(&mut one).await.0, std::slice::from_ref(&given), "the agent is told the same");
    let name = format!("plain-{}", given.endpoint_id);
    one.applied(world.revision()).await;
    one.report(given.endpoint_id, State::Reserved, given.ofport).await;
    let listed = world.until(&name, Phase::Ended, "Reserved").await;
    assert_eq!((listed.node.as_str(), listed.runtime.as_str()), ("n1", "docker-plain"));
    one.report(given.endpoint_id, State::Up, given.ofport).await;
    world.until(&name, Phase::Ready, "").await;

    release(&world, "n1", given.endpoint_id).await.unwrap();
    release(&world, "n1", given.endpoint_id).await.unwrap();
    let removed = told(&mut one).await.1;
    assert_eq!(removed.iter().map(|one| one.endpoint_id).collect::<Vec<_>>(), [given.endpoint_id]);
    world.until(&name, Phase::Deleting, "PortPending").await;
    one.report(given.endpoint_id, State::Removed, given.ofport).await;
    one.applied(world.revision()).await;
    let gone = async { while world.get(&name).await.is_ok() {} };
    tokio::time::timeout(support::PATIENCE, gone).await.unwrap();
    release(&world, "n1", given.endpoint_id).await.unwrap();
    let words: Vec<String> =
        world.past(&format!("container/p/{name}")).await.into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["Created", "Reserved", "Ready", "Deleting", "Deleted"]);
}

#[tokio::test]
async fn addresses_and_mac_addresses_that_cannot_be_had_are_refused_with_the_reason() {
    let (world, _one, _two) = World::furnished().await;
    world.create(container("other"), false).await.unwrap();
    let taken = world.get("other").await.unwrap().address;
    refused(lease(&world, "n1", "net", &taken).await, Code::AlreadyExists, "by the container `other`");
    refused(lease(&world, "n1", "net", "10.2.0.9").await, Code::InvalidArgument, "not in the subnet");
    refused(lease(&world, "n1", "net", "10.1.0.1").await, Code::InvalidArgument, "gateway");
    refused(lease(&world, "n1", "nets", "").await, Code::NotFound, "nets");
    refused(lease(&world, "n9", "net", "").await, Code::NotFound, "n9");
    let given = lease(&world, "n1", "net", "10.1.0.77").await.unwrap();
    assert_eq!(given.address, "10.1.0.77/24");
    let id = given.endpoint_id;
    let nat_mac = world.until_node("n2", |status| status.agent_connected).await.nat_mac;
    for (mac, why) in [
        ("02:00:00:00:00:fe", "know each other by it"),
        ("01:00:5e:00:00:01", "no interface's"),
        ("00:00:00:00:00:00", "no interface's"),
        (nat_mac.as_str(), "the node `n2` shows it"),
        ("x", "it should look like"),
    ] {
        refused(set_mac(&world, "n1", id, mac).await, Code::InvalidArgument, why);
    }
    refused(set_mac(&world, "n2", id, "02:42:00:00:00:07").await, Code::NotFound, "n2");
    let changed = set_mac(&world, "n1", id, "02:42:00:00:00:07").await.unwrap();
    assert_eq!((changed.mac.as_str(), changed.address), ("02:42:00:00:00:07", given.address));
    release(&world, "n2", id).await.unwrap();
    assert_eq!(world.get(&format!("plain-{id}")).await.unwrap().mac, "02:42:00:00:00:07", "it is n1's");
}

#[tokio::test]
async fn what_a_node_has_for_its_docker_counts_in_its_pools_quota_in_reserve_or_not() {
    let (world, one, _two) = World::furnished().await;
    let limit = |addresses, memory| UpdatePoolRequest {
        name: "p".to_owned(),
        max_addresses: Some(addresses),
        max_memory_bytes: Some(memory),
        ..UpdatePoolRequest::default()
    };
    world.pools().update_pool(limit(2, 0)).await.unwrap();
    let reserved = lease(&world, "n1", "net", "").await.unwrap();
    one.report(reserved.endpoint_id, State::Reserved, reserved.ofport).await;
    lease(&world, "n2", "net", "").await.unwrap();
    let says = "a quota of 2 addresses: 2 are used, and 1 more is asked for";
    refused(lease(&world, "n1", "net", "").await, Code::ResourceExhausted, says);
    refused(world.create(container("mine"), false).await, Code::ResourceExhausted, says);
    let pool = world.pools().get_pool(GetPoolRequest { name: "p".to_owned() }).await.unwrap().into_inner();
    assert_eq!(pool.used, Some(Quota { containers: 2, addresses: 2, ..Quota::default() }));
    // What Docker gives its containers to use nobody else knows.
    world.pools().update_pool(limit(3, 1000)).await.unwrap();
    lease(&world, "n1", "net", "").await.unwrap();
}

#[tokio::test]
async fn what_a_nodes_own_docker_runs_is_neither_started_nor_stopped_nor_moved() {
    let (world, one, _two) = World::furnished().await;
    let given = lease(&world, "n1", "net", "").await.unwrap();
    let (pool, name) = ("p".to_owned(), format!("plain-{}", given.endpoint_id));
    one.applied(world.revision()).await;
    one.report(given.endpoint_id, State::Up, given.ofport).await;
    let before = world.revision();
    let mut containers = world.containers();
    let start = StartContainerRequest { pool: pool.clone(), name: name.clone(), wait: false };
    refused(containers.start_container(start).await, Code::FailedPrecondition, "own Docker");
    let stop = StopContainerRequest { pool: pool.clone(), name: name.clone(), wait: false };
    refused(containers.stop_container(stop).await, Code::FailedPrecondition, "own Docker");
    let node = "n2".to_owned();
    let to = MoveContainerRequest { pool: pool.clone(), name: name.clone(), node, wait: false };
    refused(containers.move_container(to).await, Code::FailedPrecondition, "own Docker");
    let log = LogContainerRequest { pool, name: name.clone(), ..LogContainerRequest::default() };
    refused(containers.log_container(log).await.map(drop), Code::FailedPrecondition, "own Docker");
    let asked = Container { runtime: "docker-plain".to_owned(), ..container("mine") };
    refused(world.create(asked, false).await, Code::InvalidArgument, "no runtime `docker-plain`");
    assert_eq!(world.revision(), before);

    world.schedule("n1", node::Scheduling::Draining).await.unwrap();
    let stays = format!("the container `{name}` is of the node's own Docker");
    world.until_node("n1", |status| status.problems.iter().any(|problem| problem.starts_with(&stays))).await;
    assert_eq!(world.get(&name).await.unwrap().node, "n1");
    world.delete(&name, false).await.unwrap();
}
