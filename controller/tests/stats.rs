//! What containers use, asked of agents that answer, that do not, and that are not there.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use support::{Agent, World, container, refused};
use tonic::{Code, Status, Streaming};
use weir_api::v1::*;

/// A container on a certain node.
async fn put(world: &World, name: &str, node: &str) -> Container {
    let wanted = Container { node: node.to_owned(), ..container(name) };
    world.create(wanted, false).await.unwrap()
}

async fn stat(
    world: &World,
    pool: &str,
    names: &[&str],
    node: &str,
) -> Result<Streaming<ContainerStats>, Status> {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let request = StatContainersRequest { pool: pool.to_owned(), names, node: node.to_owned() };
    world.containers().stat_containers(request).await.map(tonic::Response::into_inner)
}

/// All answers, by name.
async fn all(mut answers: Streaming<ContainerStats>) -> Vec<ContainerStats> {
    let mut all = Vec::new();
    while let Some(stats) = answers.message().await.unwrap() {
        all.push(stats);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The agent's next order.
async fn order(agent: &mut Agent) -> StatsRequest {
    loop {
        if let controller_message::Message::Stats(order) = agent.next().await.unwrap().unwrap() {
            return order;
        }
    }
}

/// Opens the agent's side of a call, and says what is to be said.
async fn answer(world: &World, id: &str, report: Option<HashMap<u32, Usage>>) -> Result<(), Status> {
    use relay_stats_request::Request;
    let report = report.map(|usages| Request::Report(StatsReport { usages }));
    let said = [Request::Id(id.to_owned())].into_iter().chain(report);
    let said: Vec<_> = said.map(|request| RelayStatsRequest { request: Some(request) }).collect();
    world.agents().relay_stats(tokio_stream::iter(said)).await.map(drop)
}

fn usage(cpu_us: u64) -> Usage {
    Usage { cpu_us: Some(cpu_us), ..Usage::default() }
}

#[tokio::test]
async fn a_node_that_is_silent_holds_up_no_other() {
    let (world, mut one, mut two) = World::furnished().await;
    put(&world, "a", "n1").await;
    let (b, c) = (put(&world, "b", "n2").await, put(&world, "c", "n2").await);
    let begun = Instant::now();
    let mut answers = stat(&world, "p", &[], "").await.unwrap();
    let mut asked = order(&mut two).await;
    asked.endpoint_ids.sort_unstable();
    assert_eq!(asked.endpoint_ids, [b.endpoint_id, c.endpoint_id], "each node is asked for its own");
    answer(&world, &asked.id, Some(HashMap::from([(b.endpoint_id, usage(7)), (99, usage(1))])))
        .await
        .unwrap();
    let mut said = [answers.message().await.unwrap().unwrap(), answers.message().await.unwrap().unwrap()];
    said.sort_by(|x, y| x.name.cmp(&y.name));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let [of_b, of_c] = said;
    assert_eq!((of_b.name.as_str(), of_b.node.as_str(), of_b.usage), ("b", "n2", Some(usage(7))));
    assert_eq!((of_b.pool.as_str(), of_b.problem.as_str()), ("p", ""));
    assert_eq!((of_c.name.as_str(), of_c.usage), ("c", None));
    assert!(of_c.problem.contains("does not have it yet"), "{}", of_c.problem);

    let late = order(&mut one).await;
    let rest = all(answers).await;
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!((rest.len(), rest[0].name.as_str(), rest[0].usage), (1, "a", None));
    assert!(rest[0].problem.contains("did not answer"), "{}", rest[0].problem);
    refused(answer(&world, &late.id, None).await, Code::NotFound, "nobody waits");
}

#[tokio::test]
async fn a_node_whose_agent_is_away_says_so_at_once() {
    let (world, mut one, two) = World::furnished().await;
    put(&world, "a", "n1").await;
    put(&world, "b", "n2").await;
    drop(two);
    world.until_node("n2", |status| !status.agent_connected).await;
    let away = all(stat(&world, "p", &[], "n2").await.unwrap()).await;
    assert_eq!((away.len(), away[0].name.as_str()), (1, "b"));
    assert!(away[0].problem.contains("is not connected"), "{}", away[0].problem);

    // One that opens its side, and ends without a word.
    let answers = stat(&world, "p", &[], "n1").await.unwrap();
    let asked = order(&mut one).await;
    answer(&world, &asked.id, None).await.unwrap();
    let gone = all(answers).await;
    assert_eq!((gone.len(), gone[0].name.as_str()), (1, "a"));
    assert!(gone[0].problem.contains("is gone"), "{}", gone[0].problem);
}

#[tokio::test]
async fn names_are_those_of_the_pool() {
    let (world, mut one, _two) = World::furnished().await;
    let a = put(&world, "a", "n1").await;
    put(&world, "b", "n1").await;
    world.pool("q").await.unwrap();
    world.network(support::vlan("q", "net", "10.2.0.0/24", "10.2.0.1")).await.unwrap();
    let mut other = Agent::join(&world, "q", "n1", 3).await;
    let theirs = Container { pool: "q".to_owned(), ..container("theirs") };
    let theirs = world.create(theirs, false).await.unwrap();

    refused(stat(&world, "p", &["a", "theirs"], "").await, Code::NotFound, "theirs");
    refused(stat(&world, "nowhere", &[], "").await, Code::NotFound, "nowhere");
    let answers = stat(&world, "p", &["a"], "").await.unwrap();
    let asked = order(&mut one).await;
    assert_eq!(asked.endpoint_ids, [a.endpoint_id]);
    answer(&world, &asked.id, Some(HashMap::from([(a.endpoint_id, usage(1))]))).await.unwrap();
    assert_eq!(all(answers).await.len(), 1);
    assert!(all(stat(&world, "p", &["a"], "n2").await.unwrap()).await.is_empty(), "it is on the other node");

    let answers = stat(&world, "q", &[], "").await.unwrap();
    let asked = order(&mut other).await;
    assert_eq!(asked.endpoint_ids, [theirs.endpoint_id]);
    answer(&world, &asked.id, Some(HashMap::from([(theirs.endpoint_id, usage(2))]))).await.unwrap();
    let said = all(answers).await;
    assert_eq!((said[0].pool.as_str(), said[0].name.as_str()), ("q", "theirs"));
}
