//! A container's life, with agents that speak the protocol and switch events as the OpenFlow side sends them.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::time::Duration;

use controller::openflow::{Rejection, Subject, SwitchEvent};
use flowlib::compile::model::EndpointId;
use support::{Agent, PATIENCE, World, container, refused, register};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use weir_api::v1::container_status::Phase;
use weir_api::v1::endpoint_report::State;
use weir_api::v1::*;

fn on(node: &str, name: &str) -> Container {
    Container { node: node.to_owned(), ..container(name) }
}

fn removed(desired: &Desired) -> Vec<u32> {
    desired.removed.iter().map(|removed| removed.endpoint_id).collect()
}

/// Creates a container on an agent's node and has it become ready.
async fn ready(world: &World, agent: &mut Agent, node: &str, name: &str) -> Container {
    let created = world.create(on(node, name), false).await.unwrap();
    agent.obey().await;
    world.until(name, Phase::Ready, "").await;
    created
}

#[tokio::test]
async fn create_with_wait_returns_a_ready_container() {
    let (world, mut one, _two) = World::furnished().await;
    let creating = world.create(on("n1", "a"), true);
    let (created, desired) = tokio::join!(creating, one.obey());
    let created = created.unwrap();
    assert_eq!(created.status.as_ref().unwrap().phase(), Phase::Ready);
    let endpoint = &desired.endpoints[0];
    assert!(!desired.complete && desired.endpoints.len() == 1);
    assert_eq!((endpoint.endpoint_id, endpoint.ofport), (created.endpoint_id, created.ofport));
    assert_eq!((endpoint.address.as_str(), endpoint.gateway.as_str()), ("10.1.0.3/24", "10.1.0.1"));
    assert_eq!(
        (endpoint.mtu, endpoint.tunnelled, endpoint.mac.as_str()),
        (1500, false, created.mac.as_str())
    );
    let status = world.status().get_status(GetStatusRequest::default()).await.unwrap().into_inner();
    assert_eq!((status.containers_ready, status.problems.len()), (1, 0));
    assert!(status.nodes.iter().all(|node| node.status.as_ref().unwrap().in_sync));
}

#[tokio::test]
async fn a_ready_container_says_where_the_time_of_its_creation_went() {
    use controller::measure::Milestone::{Barrier, Confirmed, Sent, Woken};
    let (world, mut one, _two) = World::furnished().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let what = CreateContainerRequest { container: Some(on("n1", "a")), wait: true };
    let mut request = tonic::Request::new(what);
    let parent = format!("00-{trace}-00f067aa0ba902b7-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    let mut client = world.containers();
    let sessions = async {
        // What network and session tell, which this world is without.
        let desired = one.desired().await;
        let now = std::time::Instant::now();
        world.journal.published(desired.revision, now);
        let all = [Woken, Sent, Barrier, Confirmed].map(|milestone| (milestone, now));
        let node = world.intent.read(|state| state.nodes().find(|node| node.name == "n1").unwrap().id);
        world.journal.session(node, desired.revision, &all);
        one.act(&desired).await;
    };
    let (created, ()) = tokio::join!(client.create_container(request), sessions);
    let journey = created.unwrap().into_inner().creation.unwrap();
    assert_eq!(journey.trace_id, trace);
    let names: Vec<&str> = journey.milestones.iter().map(|milestone| milestone.name.as_str()).collect();
    let (request, flows) = (["decoded", "scheduled", "committed"], ["published", "woken", "sent", "barrier"]);
    let rest = ["confirmed", "told", "port_up", "ready"];
    assert_eq!(names, [&request[..], &flows, &rest].concat());
    let at = |name: &str| journey.milestones.iter().find(|milestone| milestone.name == name).unwrap().at_us;
    assert!(at("decoded") <= at("scheduled") && at("scheduled") <= at("committed"), "{journey:?}");
    assert!(at("told") <= at("port_up") && at("port_up") <= at("ready"), "{journey:?}");
    assert_eq!(world.get("a").await.unwrap().creation, Some(journey), "it is remembered");
    assert_eq!(world.journal.under_way(), 0);
}

#[tokio::test]
async fn ready_needs_both_the_port_and_the_flows() {
    let (world, mut one, _two) = World::furnished().await;
    let a = world.create(on("n1", "a"), false).await.unwrap();
    one.desired().await;
    world.until("a", Phase::Starting, "FlowsPending").await;
    one.applied(a.revision - 1).await;
    one.report(a.endpoint_id, State::Up, a.ofport).await;
    world.until("a", Phase::Starting, "FlowsPending").await;
    one.applied(a.revision).await;
    world.until("a", Phase::Ready, "").await;
    let b = world.create(on("n1", "b"), false).await.unwrap();
    one.applied(b.revision).await;
    world.until("b", Phase::Starting, "PortPending").await;
    one.report(b.endpoint_id, State::Up, b.ofport + 1).await;
    one.report(b.endpoint_id, State::Failed, b.ofport).await;
    let failed = world.until("b", Phase::Degraded, "PortRefused").await;
    assert_eq!(failed.status.unwrap().message, "no such device");
    one.report(b.endpoint_id, State::Up, b.ofport).await;
    world.until("b", Phase::Ready, "").await;
}

#[tokio::test]
async fn a_rejected_flow_degrades_its_container_until_it_is_accepted() {
    let (world, mut one, _two) = World::furnished().await;
    let a = ready(&world, &mut one, "n1", "a").await;
    let b = ready(&world, &mut one, "n1", "b").await;
    let message = "OFPFMFC_TABLE_FULL: table=6,ip,nw_dst=10.1.0.2".to_owned();
    let rejected =
        vec![Rejection { subject: Subject::Endpoint(EndpointId(a.endpoint_id)), message: message.clone() }];
    one.switch(SwitchEvent::Applied { node: one.id, revision: b.revision, rejected }).await;
    let degraded = world.until("a", Phase::Degraded, "FlowRejected").await;
    assert_eq!(degraded.status.unwrap().message, message);
    assert_eq!(world.get("b").await.unwrap().status.unwrap().phase(), Phase::Ready);
    let status = world.status().get_status(GetStatusRequest::default()).await.unwrap().into_inner();
    assert_eq!(status.problems[0].subject, "container/p/a");
    let network =
        world.intent.read(|state| state.networks().find(|n| n.name == "net").map(|n| n.id)).unwrap();
    let rejected = vec![Rejection { subject: Subject::Network(network), message: message.clone() }];
    one.switch(SwitchEvent::Applied { node: one.id, revision: b.revision, rejected }).await;
    world.until("b", Phase::Degraded, "FlowRejected").await;
    one.applied(b.revision).await;
    world.until("a", Phase::Ready, "").await;
}

#[tokio::test]
async fn a_taken_port_number_is_replaced_by_another() {
    let (world, mut one, _two) = World::furnished().await;
    let a = world.create(on("n1", "a"), false).await.unwrap();
    one.desired().await;
    one.report(a.endpoint_id, State::OfportTaken, a.ofport).await;
    let desired = one.obey().await;
    assert_eq!(desired.endpoints[0].endpoint_id, a.endpoint_id);
    assert_ne!(desired.endpoints[0].ofport, a.ofport);
    let now = world.until("a", Phase::Ready, "").await;
    assert_eq!(now.ofport, desired.endpoints[0].ofport);
    let foreign = NodeReport {
        foreign_ofports: vec![now.ofport + 1],
        problems: vec!["no NIC".to_owned()],
        ..support::node_report()
    };
    one.send(agent_message::Message::Node(foreign)).await;
    let request = || GetNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while world.nodes().get_node(request()).await.unwrap().into_inner().status.unwrap().problems.is_empty() {
        tick.tick().await;
    }
    let b = world.create(on("n1", "b"), false).await.unwrap();
    assert_eq!(b.ofport, now.ofport + 2, "a foreign port's number is left out");
}

#[tokio::test]
async fn a_deleted_container_is_gone_when_port_and_flows_are() {
    let (world, mut one, _two) = World::furnished().await;
    let a = ready(&world, &mut one, "n1", "a").await;
    let deleting = world.delete("a", false).await.unwrap();
    assert_eq!(deleting.status.unwrap().phase(), Phase::Deleting);
    let desired = one.desired().await;
    assert_eq!((desired.endpoints.len(), removed(&desired)), (0, vec![a.endpoint_id]));
    refused(world.create(on("n1", "a"), false).await, Code::AlreadyExists, "is being deleted");
    let same = Container { address: a.address.clone(), ..container("b") };
    refused(world.create(same.clone(), false).await, Code::AlreadyExists, "`a`, which is being removed");
    one.report(a.endpoint_id, State::Removed, 0).await;
    world.until("a", Phase::Deleting, "FlowsPending").await;
    one.applied(deleting.revision).await;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while world.get("a").await.is_ok() {
        tick.tick().await;
    }
    refused(world.get("a").await, Code::NotFound, "no container `a`");
    ready(&world, &mut one, "n1", "waited-for").await;
    let (gone, _) = tokio::join!(world.delete("waited-for", true), one.obey());
    assert_eq!(gone.unwrap().name, "waited-for");
    refused(world.get("waited-for").await, Code::NotFound, "no container");
    let next = world.create(on("n1", "c"), false).await.unwrap();
    assert_ne!(next.address, a.address, "it cools down");
    assert_ne!(next.ofport, a.ofport, "it rests");
    assert_eq!(world.create(same, false).await.unwrap().address, a.address, "who names it may have it");
}

#[tokio::test]
async fn an_inventory_without_the_port_ends_its_retirement() {
    let (world, mut one, _two) = World::furnished().await;
    let a = ready(&world, &mut one, "n1", "a").await;
    let two = ready(&world, &mut one, "n1", "b").await;
    drop(one);
    world.until("a", Phase::Degraded, "NodeUnreachable").await;
    let deleting = world.delete("a", false).await.unwrap();
    world.until("a", Phase::Deleting, "NodeUnreachable").await;
    let (say, hear) = support::attach(&world, register("p", "n1", 1)).await.unwrap();
    let mut hear = hear;
    let desired = loop {
        match hear.message().await.unwrap().unwrap().message.unwrap() {
            controller_message::Message::Desired(desired) => break desired,
            controller_message::Message::Registered(_) | controller_message::Message::Images(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(desired.complete && desired.revision >= deleting.revision);
    assert_eq!(removed(&desired), [a.endpoint_id]);
    assert_eq!(desired.endpoints.iter().map(|e| e.endpoint_id).collect::<Vec<_>>(), [two.endpoint_id]);
    let up = EndpointReport {
        endpoint_id: two.endpoint_id,
        state: State::Up.into(),
        ofport: two.ofport,
        ..EndpointReport::default()
    };
    let inventory = Inventory { revision: desired.revision, endpoints: vec![up] };
    let message = agent_message::Message::Inventory(inventory);
    say.send(AgentMessage { message: Some(message) }).await.unwrap();
    world.until("a", Phase::Deleting, "PortPending").await;
    let node = flowlib::compile::model::NodeId(1);
    let applied = SwitchEvent::Applied { node, revision: desired.revision, rejected: Vec::new() };
    world.switches.send(applied).await.unwrap();
    world.delete("a", true).await.map(drop).unwrap_or_else(|error| assert_eq!(error.code(), Code::NotFound));
    world.until("b", Phase::Ready, "").await;
}

#[tokio::test]
async fn a_moved_container_keeps_name_address_and_mac() {
    let (world, mut one, mut two) = World::furnished().await;
    let a = ready(&world, &mut one, "n1", "a").await;
    let to = |node: &str, wait| MoveContainerRequest {
        pool: "p".to_owned(),
        name: "a".to_owned(),
        node: node.to_owned(),
        wait,
    };
    refused(world.containers().move_container(to("n9", false)).await, Code::NotFound, "no node `n9`");
    let mut client = world.containers();
    let (moved, desired) = tokio::join!(client.move_container(to("n2", true)), two.obey());
    let moved = moved.unwrap().into_inner();
    assert_eq!((&moved.address, &moved.mac, moved.node.as_str()), (&a.address, &a.mac, "n2"));
    assert_ne!(moved.endpoint_id, a.endpoint_id);
    assert_eq!(desired.endpoints[0].endpoint_id, moved.endpoint_id);
    assert_eq!(removed(&one.obey().await), [a.endpoint_id]);
    let same = world.containers().move_container(to("n2", false)).await.unwrap().into_inner();
    assert_eq!(same.endpoint_id, moved.endpoint_id, "it is there already");
    let taken = Container { address: a.address.clone(), ..container("b") };
    refused(world.create(taken, false).await, Code::AlreadyExists, "taken by the container `a`");
}

#[tokio::test]
async fn a_settled_table_is_worth_keeping_once_it_rests() {
    let (world, mut one, _two) = World::furnished().await;
    let a = ready(&world, &mut one, "n1", "a").await;
    settled(&mut one).await;
    let refusal =
        Rejection { subject: Subject::Endpoint(EndpointId(a.endpoint_id)), message: "table full".to_owned() };
    let strange = Rejection { subject: Subject::Node, message: "table full".to_owned() };
    for rejected in [vec![refusal], vec![strange]] {
        one.switch(SwitchEvent::Applied { node: one.id, revision: a.revision, rejected }).await;
        settled(&mut one).await;
    }
}

/// Waits until the agent is told that its switch's table rests.
async fn settled(agent: &mut Agent) {
    let settled = async {
        loop {
            match agent.next().await.unwrap().unwrap() {
                controller_message::Message::TableSettled(_) => return,
                controller_message::Message::Desired(desired) => {
                    assert!(desired.removed.is_empty(), "nothing changes here");
                }
                controller_message::Message::FlowsConfirmed(_) | controller_message::Message::Images(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("settled in time");
}

#[tokio::test]
async fn a_watch_shows_what_is_there_and_then_what_happens() {
    let (world, mut one, _two) = World::furnished().await;
    ready(&world, &mut one, "n1", "a").await;
    let watch = WatchContainersRequest { pool: "p".to_owned() };
    let mut events = world.containers().watch_containers(watch).await.unwrap().into_inner();
    let mut next = async || {
        let event =
            tokio::time::timeout(PATIENCE, events.message()).await.expect("an event").unwrap().unwrap();
        let phase = event.container.as_ref().map(|c| c.status.as_ref().unwrap().phase());
        (event.kind(), event.container.map(|c| c.name).unwrap_or_default(), phase)
    };
    use container_event::Kind;
    assert_eq!(next().await, (Kind::Added, "a".to_owned(), Some(Phase::Ready)));
    assert_eq!(next().await, (Kind::Synced, String::new(), None));
    ready(&world, &mut one, "n1", "b").await;
    assert_eq!(next().await, (Kind::Added, "b".to_owned(), Some(Phase::Starting)));
    while next().await != (Kind::Modified, "b".to_owned(), Some(Phase::Ready)) {}
    world.delete("b", false).await.unwrap();
    one.obey().await;
    assert_eq!(next().await, (Kind::Modified, "b".to_owned(), Some(Phase::Deleting)));
    while next().await.0 != Kind::Deleted {}
}

#[tokio::test]
async fn commands_are_relayed_to_the_agent_and_back() {
    let (world, mut one, _two) = World::furnished().await;
    let a = ready(&world, &mut one, "n1", "a").await;
    let (input, requests) = mpsc::channel(4);
    let terminal = Some(TerminalSize { rows: 24, columns: 80 });
    let (pool, name) = ("p".to_owned(), "a".to_owned());
    let start = ExecStart { pool, name, command: vec!["cat".to_owned()], terminal };
    let request = |request| ExecContainerRequest { request: Some(request) };
    input.send(request(exec_container_request::Request::Start(start.clone()))).await.unwrap();
    input.send(request(exec_container_request::Request::Stdin(b"hello".to_vec()))).await.unwrap();
    input.send(request(exec_container_request::Request::StdinClosed(true))).await.unwrap();
    let size = exec_container_request::Request::Resize(TerminalSize { rows: 50, columns: 132 });
    input.send(request(size.clone())).await.unwrap();
    let mut client = world.containers();
    let exec = client.exec_container(ReceiverStream::new(requests));
    let agent = async {
        let order = loop {
            if let controller_message::Message::Exec(order) = one.next().await.unwrap().unwrap() {
                break order;
            }
        };
        assert_eq!(
            (order.endpoint_id, order.command.as_slice()),
            (a.endpoint_id, ["cat".to_owned()].as_slice())
        );
        assert_eq!(order.terminal, terminal);
        let (output, messages) = mpsc::channel(4);
        let relay = |request| RelayExecRequest { request: Some(request) };
        output.send(relay(relay_exec_request::Request::Id(order.id))).await.unwrap();
        let inputs = world.agents().relay_exec(ReceiverStream::new(messages)).await.unwrap();
        let mut inputs = inputs.into_inner();
        let first = inputs.message().await.unwrap().unwrap().request.unwrap();
        assert_eq!(first, exec_container_request::Request::Start(start.clone()));
        let second = inputs.message().await.unwrap().unwrap().request.unwrap();
        let exec_container_request::Request::Stdin(bytes) = second else { panic!("{second:?}") };
        let third = inputs.message().await.unwrap().unwrap().request.unwrap();
        assert_eq!(third, exec_container_request::Request::StdinClosed(true));
        let fourth = inputs.message().await.unwrap().unwrap().request.unwrap();
        assert_eq!(fourth, size, "the terminal may change its size after the last input");
        for response in
            [exec_container_response::Response::Stdout(bytes), exec_container_response::Response::ExitCode(3)]
        {
            let response = ExecContainerResponse { response: Some(response) };
            output.send(relay(relay_exec_request::Request::Output(response))).await.unwrap();
        }
        drop(output);
        assert_eq!(inputs.message().await.unwrap(), None, "the command is done");
    };
    let client = async {
        let mut responses = exec.await.unwrap().into_inner();
        let mut seen = Vec::new();
        while let Some(message) = responses.message().await.unwrap() {
            seen.push(message.response.unwrap());
        }
        seen
    };
    let (seen, ()) = tokio::join!(client, agent);
    drop(input);
    use exec_container_response::Response;
    assert_eq!(seen, [Response::Stdout(b"hello".to_vec()), Response::ExitCode(3)]);
    let unknown = RelayExecRequest { request: Some(relay_exec_request::Request::Id("x".to_owned())) };
    let relayed = world.agents().relay_exec(tokio_stream::iter([unknown])).await;
    refused(relayed, Code::NotFound, "nobody waits");
}

#[tokio::test]
async fn nonsense_from_an_agent_ends_its_stream_only() {
    let (world, one, _two) = World::furnished().await;
    let bad = EndpointReport { endpoint_id: 1, state: 99, ..EndpointReport::default() };
    one.send(agent_message::Message::Endpoint(bad)).await;
    one.say.closed().await;
    let (say, messages) = mpsc::channel(1);
    say.send(AgentMessage { message: None }).await.unwrap();
    let attached = world.agents().attach(ReceiverStream::new(messages)).await;
    refused(attached, Code::InvalidArgument, "must be `register`");
    world.pool("still-here").await.unwrap();
}
