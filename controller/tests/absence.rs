//! Nodes that are lost, come back, are cordoned and drained, with agents that speak the protocol.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::time::Duration;

use controller::openflow::SwitchEvent;
use controller::orchestrate::Timing;
use support::{Agent, PATIENCE, World, container, refused, register};
use tonic::Code;
use weir_api::v1::container_status::Phase;
use weir_api::v1::node::Scheduling;
use weir_api::v1::*;

/// A world in which a node is soon lost, and two nodes of which the second goes on saying that it is there.
async fn hasty() -> (World, Agent, Agent) {
    let timing = Timing { cool_down: Duration::from_secs(60), lease: Duration::from_secs(2) };
    let (world, one, two) = World::with(timing).await.furnish().await;
    two.keep_alive();
    (world, one, two)
}

/// Creates a container where the scheduler wants it, moves it to the first node if need be, and has it become ready.
async fn movable(world: &World, one: &mut Agent, two: &mut Agent, name: &str, service: &str) -> Container {
    world.schedule("n2", Scheduling::Cordoned).await.unwrap();
    let spec = Container { service: service.to_owned(), ..container(name) };
    let mut created = world.create(spec, false).await.unwrap();
    if created.node == "n2" {
        two.obey().await;
        let (pool, name) = ("p".to_owned(), name.to_owned());
        let to_other = MoveContainerRequest { pool, name, ..MoveContainerRequest::default() };
        created = world.containers().move_container(to_other).await.unwrap().into_inner();
        two.obey().await;
    }
    world.schedule("n2", Scheduling::Active).await.unwrap();
    one.obey().await;
    assert_eq!((created.node.as_str(), created.pinned), ("n1", false));
    world.until(name, Phase::Ready, "").await
}

fn subjects(status: &GetStatusResponse) -> Vec<(&str, &str)> {
    status.problems.iter().map(|problem| (problem.subject.as_str(), problem.reason.as_str())).collect()
}

#[tokio::test]
async fn a_lost_nodes_containers_run_elsewhere_and_the_node_is_told_when_it_comes_back() {
    let (world, mut one, mut two) = hasty().await;
    one.keep_alive();
    assert_eq!(one.registered.lease_ms, 2000);
    let a = movable(&world, &mut one, &mut two, "a", "a").await;
    let pinned = Container { node: "n1".to_owned(), ..container("pinned") };
    let pinned = world.create(pinned, false).await.unwrap();
    one.obey().await;
    world.until("pinned", Phase::Ready, "").await;
    one.switch(SwitchEvent::Disconnected { node: one.id }).await;
    drop(one);
    world.until_node("n1", |status| status.lost).await;
    two.obey().await;
    let moved = world.until("a", Phase::Ready, "").await;
    assert_eq!((moved.node.as_str(), &moved.address, &moved.mac), ("n2", &a.address, &a.mac));
    let stays = world.until("pinned", Phase::Degraded, "NodeLost").await;
    assert!(stays.pinned && stays.status.unwrap().message.contains("must run here (--node)"));
    let status = world.status().get_status(GetStatusRequest::default()).await.unwrap().into_inner();
    assert!(subjects(&status).contains(&("node/p/n1", "NodeLost")), "{status:?}");
    assert!(subjects(&status).contains(&("container/p/pinned", "NodeLost")), "{status:?}");

    let (say, mut hear) = support::attach(&world, register("p", "n1", 1)).await.unwrap();
    let complete = loop {
        let message = tokio::time::timeout(PATIENCE, hear.message()).await.unwrap().unwrap().unwrap();
        if let Some(controller_message::Message::Desired(desired)) = message.message {
            break desired;
        }
    };
    assert!(complete.complete);
    assert_eq!(complete.removed.iter().map(|r| r.endpoint_id).collect::<Vec<_>>(), [a.endpoint_id]);
    let wanted: Vec<_> = complete.endpoints.iter().map(|endpoint| endpoint.endpoint_id).collect();
    assert_eq!(wanted, [pinned.endpoint_id], "the old container cannot come up");
    world.until_node("n1", |status| !status.lost && status.agent_connected).await;
    drop(say);
    let reasons =
        |past: Vec<(String, String)>| past.into_iter().map(|(reason, _)| reason).collect::<Vec<_>>();
    let node = reasons(world.past("node/p/n1").await);
    let lost = node.iter().position(|word| word == "NodeLost").unwrap();
    assert!(node[lost..].contains(&"NodeBack".to_owned()), "{node:?}");
    let moves = world.past("container/p/a").await;
    assert!(moves.contains(&("Moved".to_owned(), "from n1 to n2, its node is lost".to_owned())), "{moves:?}");
}

#[tokio::test]
async fn a_silent_agent_is_shut_out_and_its_node_is_not_lost_while_its_switch_is_connected() {
    let (world, mut one, mut two) = hasty().await;
    let a = movable(&world, &mut one, &mut two, "a", "a").await;
    let ended = loop {
        match one.next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    refused(ended, Code::Aborted, "was silent for a lease");
    let node = world.until_node("n1", |status| !status.agent_connected).await;
    let status = node.status.unwrap();
    assert!(status.switch_connected && !status.lost);
    let there = world.until("a", Phase::Degraded, "NodeUnreachable").await;
    assert_eq!(there.endpoint_id, a.endpoint_id);
    let again = Agent::attach(&world, register("p", "n1", 1)).await;
    again.keep_alive();
    world.until_node("n1", |status| status.agent_connected).await;
}

#[tokio::test]
async fn a_drained_node_gives_up_one_of_a_service_at_a_time() {
    let (world, mut one, mut two) = World::furnished().await;
    for name in ["a", "b"] {
        movable(&world, &mut one, &mut two, name, "web").await;
    }
    let drained = world.schedule("n1", Scheduling::Draining).await.unwrap();
    assert_eq!(drained.scheduling(), Scheduling::Draining);
    let first = two.desired().await;
    assert_eq!(first.endpoints.len(), 1);
    world.until_node("n1", |status| status.endpoints == 1).await;
    let endpoint = &first.endpoints[0];
    two.report(endpoint.endpoint_id, endpoint_report::State::Up, endpoint.ofport).await;
    assert_eq!(world.get("b").await.unwrap().node, "n1", "its flows are not confirmed: the next one waits");
    two.applied(first.revision).await;
    two.obey().await;
    world.until_node("n1", |status| status.endpoints == 0).await;
    for name in ["a", "b"] {
        assert_eq!(world.until(name, Phase::Ready, "").await.node, "n2");
    }
    let drained = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !world.past("node/p/n1").await.iter().any(|(reason, _)| reason == "Drained") {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, drained).await.expect("drained in time");
}

#[tokio::test]
async fn how_a_node_is_scheduled_stays_and_asking_again_changes_nothing() {
    let (world, one, _two) = World::furnished().await;
    refused(world.schedule("n9", Scheduling::Cordoned).await, Code::NotFound, "no node `n9`");
    let strange = SetNodeSchedulingRequest { pool: "p".to_owned(), name: "n1".to_owned(), scheduling: 9 };
    refused(world.nodes().set_node_scheduling(strange).await, Code::InvalidArgument, "9 is no scheduling");
    let cordoned = world.schedule("n1", Scheduling::Cordoned).await.unwrap();
    assert_eq!(cordoned.scheduling(), Scheduling::Cordoned);
    let revision = world.revision();
    world.schedule("n1", Scheduling::Cordoned).await.unwrap();
    assert_eq!(world.revision(), revision);
    let again = Agent::attach(&world, register("p", "n1", 1)).await;
    assert_eq!(again.registered, one.registered);
    let node = world.until_node("n1", |status| status.agent_connected).await;
    assert_eq!(node.scheduling(), Scheduling::Cordoned, "registering keeps it");
    let active = world.schedule("n1", Scheduling::Unspecified).await.unwrap();
    assert_eq!(active.scheduling(), Scheduling::Active);
    let words: Vec<_> = world.past("node/p/n1").await.into_iter().map(|(reason, _)| reason).collect();
    assert!(
        words.contains(&"Cordoned".to_owned()) && words.last() == Some(&"Active".to_owned()),
        "{words:?}"
    );
}
