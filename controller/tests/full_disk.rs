//! A full disk under the store of the real binary: what would change something is refused by name, the status says why,
//! switches are served, and all is well as soon as there is space again.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod binary;
mod peer;
mod support;

use binary::{World, is_served};
use flowlib::types::DatapathId;
use peer::Peer;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use weir_api::v1::pools_client::PoolsClient;
use weir_api::v1::*;

/// A file system of 2 MiB, in a mount namespace of its own, half of which is taken by something else.
const SMALL: &str = "mount -t tmpfs -o size=2m weir \"$DATA\" && head -c 1000k /dev/zero >\"$DATA/ballast\"";

async fn create(world: &World, name: &str) -> Result<Pool, Status> {
    let pool = Pool { name: name.to_owned(), default_image: "x".repeat(60_000), ..Pool::default() };
    let request = CreatePoolRequest { pool: Some(pool) };
    PoolsClient::new(world.channel.clone()).create_pool(request).await.map(tonic::Response::into_inner)
}

async fn pools(world: &World) -> Vec<String> {
    let answer =
        PoolsClient::new(world.channel.clone()).list_pools(ListPoolsRequest::default()).await.unwrap();
    answer.into_inner().pools.into_iter().map(|pool| pool.name).collect()
}

async fn health(world: &World) -> ServingStatus {
    let mut client = HealthClient::new(world.channel.clone());
    client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_changes_by_name_and_nothing_else() {
    let world = World::start(&["unshare", "--mount", "--map-root-user", "sh"], SMALL).await;
    let switch = || Peer::connect(world.openflow, DatapathId(0x1001), |_| true);
    let first = switch();
    world.until("the switch to be served", is_served).await;
    assert_eq!(health(&world).await, ServingStatus::Serving);
    let mut n = 0;
    let error = loop {
        match create(&world, &format!("big{n}")).await {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
        assert!(n < 100, "the disk does not fill");
    };
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    assert!(error.message().contains("nothing was changed: the disk of the store"), "{error}");
    assert_eq!(create(&world, "more").await.unwrap_err().code(), Code::ResourceExhausted, "it stays so");
    let there = pools(&world).await;
    assert_eq!(there.len(), n + 1, "{there:?}");

    let is_full = |problem: &Problem| problem.subject == "store" && problem.reason == "StoreFull";
    let status = world.status().await;
    let problem =
        status.problems.iter().find(|problem| is_full(problem)).unwrap_or_else(|| panic!("{status:?}"));
    assert!(problem.message.contains("intent.redb is full") && problem.since.is_some(), "{problem:?}");
    assert!(is_served(&status) && !first.has_ended());
    assert_eq!(health(&world).await, ServingStatus::NotServing);
    drop(first);
    world.until("the switch to be gone", |status| !is_served(status)).await;
    let _second = switch();
    let status = world.until("a switch to be served from what is stored", is_served).await;
    assert!(status.problems.iter().any(is_full));

    let root = format!("/proc/{}/root", world.controller.child.id());
    std::fs::remove_file(format!("{root}{}/ballast", world.data.display())).unwrap();
    world.until("the store to be well", |status| !status.problems.iter().any(is_full)).await;
    assert_eq!(health(&world).await, ServingStatus::Serving);
    create(&world, "more").await.unwrap();
    assert_eq!(pools(&world).await.len(), n + 2);
    let said = std::fs::read_to_string(&world.log).unwrap();
    assert!(said.contains("the store takes commits again"), "{said}");
}
