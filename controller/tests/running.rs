//! Processes of containers: started, stopped, ended, refused, and what they put out; and the events of it.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::time::{Duration, SystemTime};

use support::{Agent, PATIENCE, World, container, refused};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use weir_api::v1::container_status::Phase;
use weir_api::v1::endpoint_report::State;
use weir_api::v1::*;

/// A world with a node that runs Docker containers.
async fn docker() -> (World, Agent, Agent) {
    let (world, one, two) = World::furnished().await;
    one.offers_docker(&world, "n1").await;
    (world, one, two)
}

fn job(name: &str) -> Container {
    Container { image: "busybox:latest".to_owned(), node: "n1".to_owned(), ..container(name) }
}

/// A process that was started so many seconds ago, and ended if a code is given.
fn process(started: u64, exit_code: Option<i32>) -> ProcessStatus {
    let ago = |seconds| Some((SystemTime::now() - Duration::from_secs(seconds)).into());
    ProcessStatus {
        running: exit_code.is_none(),
        started: ago(started),
        finished: exit_code.and_then(|_| ago(0)),
        exit_code: exit_code.unwrap_or_default(),
        ..ProcessStatus::default()
    }
}

/// Reports a container's endpoint; its process answers that request for a start.
async fn report(
    agent: &Agent,
    (c, starts): (&Container, u32),
    state: State,
    process: Option<ProcessStatus>,
    reason: &str,
) {
    let (endpoint_id, ofport, state) = (c.endpoint_id, c.ofport, state.into());
    let (message, reason) = ("there is no such image".to_owned(), reason.to_owned());
    let report = EndpointReport { endpoint_id, ofport, state, message, reason, process, starts };
    agent.send(agent_message::Message::Endpoint(report)).await;
}

async fn start(world: &World, name: &str, wait: bool) -> Result<Container, Status> {
    let request = StartContainerRequest { pool: "p".to_owned(), name: name.to_owned(), wait };
    world.containers().start_container(request).await.map(tonic::Response::into_inner)
}

async fn stop(world: &World, name: &str, wait: bool) -> Result<Container, Status> {
    let request = StopContainerRequest { pool: "p".to_owned(), name: name.to_owned(), wait };
    world.containers().stop_container(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_container_stops_and_starts_and_keeps_its_place() {
    let (world, mut one, _two) = docker().await;
    let created = world.create(job("a"), false).await.unwrap();
    one.desired().await;
    one.applied(created.revision).await;
    report(&one, (&created, 0), State::Up, Some(process(10, None)), "").await;
    let ready = world.until("a", Phase::Ready, "").await;
    assert!(ready.status.unwrap().process.unwrap().running);
    let revision = world.revision();
    start(&world, "a", true).await.unwrap();
    assert_eq!(world.revision(), revision, "one that runs is left alone");

    let (stopped, ()) = tokio::join!(stop(&world, "a", true), async {
        let desired = one.desired().await;
        assert!(desired.endpoints[0].stopped);
        world.until("a", Phase::Starting, "StopPending").await;
        report(&one, (&created, 0), State::Ended, Some(process(10, Some(143))), "").await;
    });
    let stopped = stopped.unwrap();
    let status = stopped.status.clone().unwrap();
    assert_eq!((status.phase(), status.reason.as_str()), (Phase::Ended, "Stopped"));
    assert_eq!(status.process.unwrap().exit_code, 143);
    assert_eq!((stopped.endpoint_id, &stopped.address), (created.endpoint_id, &created.address));
    let revision = world.revision();
    stop(&world, "a", true).await.unwrap();
    assert_eq!(world.revision(), revision, "it is stopped already");

    let (started, ()) = tokio::join!(start(&world, "a", true), async {
        let desired = one.desired().await;
        assert_eq!((desired.endpoints[0].stopped, desired.endpoints[0].starts), (false, 1));
        one.applied(desired.revision).await;
        report(&one, (&created, 0), State::Ended, Some(process(10, Some(143))), "").await;
        report(&one, (&created, 1), State::Up, Some(process(0, None)), "").await;
    });
    assert_eq!(started.unwrap().status.unwrap().phase(), Phase::Ready);
    let words: Vec<_> = world.past("container/p/a").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(words, ["Created", "Started", "Ready", "Stopped", "Started", "Ready"]);
}

#[tokio::test]
async fn a_short_job_is_waited_for_until_it_has_ended_and_can_be_started_again() {
    let (world, mut one, _two) = docker().await;
    let (created, ()) = tokio::join!(world.create(job("a"), true), async {
        let desired = one.desired().await;
        let created = world.get("a").await.unwrap();
        one.applied(desired.revision).await;
        report(&one, (&created, 0), State::Ended, Some(process(2, Some(3))), "").await;
    });
    let status = created.unwrap().status.unwrap();
    assert_eq!((status.phase(), status.reason.as_str()), (Phase::Ended, "Exited"));
    assert_eq!(status.message, "its process ended with exit code 3");
    let again = start(&world, "a", false).await.unwrap();
    assert_eq!(again.status.unwrap().phase(), Phase::Starting, "what was said of the first run is past");
    assert_eq!(one.desired().await.endpoints[0].starts, 1);
}

#[tokio::test]
async fn waiting_ends_when_it_would_not_help() {
    let (world, mut one, _two) = docker().await;
    let (created, ()) = tokio::join!(world.create(job("a"), true), async {
        let desired = one.desired().await;
        let created = world.get("a").await.unwrap();
        one.applied(desired.revision).await;
        report(&one, (&created, 0), State::Failed, None, "Restarting").await;
        world.until("a", Phase::Degraded, "Restarting").await;
        report(&one, (&created, 0), State::Failed, None, "ImageMissing").await;
    });
    let expected = "`a` is committed, but does not start: ImageMissing: there is no such image";
    refused(created, Code::FailedPrecondition, expected);
    assert_eq!(world.get("a").await.unwrap().name, "a", "it stays, and is tried again");
    let expected = "`a` is to stop, but has not started: ImageMissing: there is no such image";
    refused(stop(&world, "a", true).await, Code::FailedPrecondition, expected);
}

#[tokio::test]
async fn names_of_the_environment_count_as_its_values_do() {
    let (world, _one, _two) = docker().await;
    let half = 64 * 1024;
    for (name, value) in [(2 * half, 1), (1, 2 * half), (half, half + 1)] {
        let environment = [("N".repeat(name), "v".repeat(value))].into();
        let too_long = world.create(Container { environment, ..job("a") }, false).await;
        refused(too_long, Code::InvalidArgument, "at most 131072 bytes together");
    }
    let environment = [("N".repeat(half), "v".repeat(half))].into();
    world.create(Container { environment, ..job("a") }, false).await.unwrap();
}

#[tokio::test]
async fn what_has_no_processes_has_none_to_start_stop_or_read_from() {
    let (world, mut one, _two) = docker().await;
    let netns = Container { node: "n1".to_owned(), ..container("bare") };
    world.create(netns, false).await.unwrap();
    let revision = world.revision();
    refused(start(&world, "bare", false).await, Code::FailedPrecondition, "has no processes");
    refused(stop(&world, "bare", true).await, Code::FailedPrecondition, "has no processes");
    let log = LogContainerRequest { pool: "p".to_owned(), name: "bare".to_owned(), ..Default::default() };
    refused(world.containers().log_container(log.clone()).await, Code::FailedPrecondition, "keeps no log");
    refused(start(&world, "nobody", false).await, Code::NotFound, "no container `nobody`");
    assert_eq!(world.revision(), revision, "a refused request changes nothing");
    one.obey().await;
    world.create(job("a"), false).await.unwrap();
    world.delete("a", false).await.unwrap();
    refused(start(&world, "a", false).await, Code::FailedPrecondition, "is being deleted");
    let log = LogContainerRequest { name: "a".to_owned(), ..log };
    refused(world.containers().log_container(log).await, Code::FailedPrecondition, "is being deleted");
}

/// The agent's next order of a log.
async fn log_order(agent: &mut Agent) -> LogRequest {
    loop {
        if let controller_message::Message::Log(order) = agent.next().await.unwrap().unwrap() {
            return order;
        }
    }
}

/// Opens the agent's side of a log: what it says, and the call's answers.
async fn relay(
    world: &World,
    order: LogRequest,
) -> (mpsc::Sender<RelayLogRequest>, tonic::Streaming<RelayLogResponse>) {
    let (say, messages) = mpsc::channel(4);
    let id = RelayLogRequest { request: Some(relay_log_request::Request::Id(order.id)) };
    say.send(id).await.unwrap();
    let answers = world.agents().relay_log(ReceiverStream::new(messages)).await.unwrap().into_inner();
    (say, answers)
}

fn line(text: &str) -> RelayLogRequest {
    let output = log_container_response::Output::Stdout(text.as_bytes().to_vec());
    let output = LogContainerResponse { output: Some(output) };
    RelayLogRequest { request: Some(relay_log_request::Request::Output(output)) }
}

#[tokio::test]
async fn logs_are_relayed_and_the_agents_call_ends_with_the_reader() {
    let (world, mut one, _two) = docker().await;
    let a = world.create(job("a"), false).await.unwrap();
    let request = LogContainerRequest {
        pool: "p".to_owned(),
        name: "a".to_owned(),
        follow: true,
        tail: Some(5),
        timestamps: true,
        since: Some(prost_types::Timestamp { seconds: 1_000_000, nanos: 5 }),
    };
    let mut client = world.containers();
    let (log, (say, mut answers)) = tokio::join!(client.log_container(request.clone()), async {
        let order = log_order(&mut one).await;
        assert_eq!((order.endpoint_id, order.follow, order.tail), (a.endpoint_id, true, Some(5)));
        assert_eq!((order.timestamps, order.since), (true, request.since));
        relay(&world, order).await
    });
    let mut log = log.unwrap().into_inner();
    say.send(line("one\n")).await.unwrap();
    let output = log.message().await.unwrap().unwrap().output.unwrap();
    assert_eq!(output, log_container_response::Output::Stdout(b"one\n".to_vec()));
    drop(log);
    let ended = tokio::time::timeout(PATIENCE, answers.message()).await.expect("the call ends in time");
    assert_eq!(ended.unwrap(), None);

    let (log, (say, _answers)) = tokio::join!(client.log_container(request.clone()), async {
        let order = log_order(&mut one).await;
        relay(&world, order).await
    });
    say.send(line("two\n")).await.unwrap();
    drop(say);
    let mut log = log.unwrap().into_inner();
    assert!(log.message().await.unwrap().is_some());
    assert_eq!(log.message().await.unwrap(), None, "the process has ended");

    let (log, (say, _answers)) = tokio::join!(client.log_container(request), async {
        let order = log_order(&mut one).await;
        relay(&world, order).await
    });
    let failed = relay_log_request::Request::Failed("there is no container yet".to_owned());
    say.send(RelayLogRequest { request: Some(failed) }).await.unwrap();
    let failed = log.unwrap().into_inner().message().await;
    refused(failed, Code::FailedPrecondition, "there is no container yet");
}

#[tokio::test]
async fn events_are_remembered_then_told_and_can_be_asked_for_by_container() {
    let (world, mut one, _two) = docker().await;
    world.create(job("a"), false).await.unwrap();
    let unknown = WatchEventsRequest { pool: "q".to_owned(), ..WatchEventsRequest::default() };
    refused(world.containers().watch_events(unknown).await, Code::NotFound, "no pool `q`");
    let watch = WatchEventsRequest { pool: "p".to_owned(), container: "b".to_owned(), past_only: false };
    let mut events = world.containers().watch_events(watch).await.unwrap().into_inner();
    let created = world.create(job("b"), false).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, events.message()).await.unwrap().unwrap().unwrap();
    assert_eq!((event.subject.as_str(), event.reason.as_str()), ("container/p/b", "Created"));
    assert_eq!(event.message, format!("on the node n1, with the address {}", created.address));
    assert!(event.time.is_some());
    world.delete("b", false).await.unwrap();
    while one.obey().await.removed.is_empty() {}
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "Deleted") {
        let event = tokio::time::timeout(PATIENCE, events.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(event.subject, "container/p/b");
        words.push(event.reason);
    }
    assert!(words.contains(&"Deleting".to_owned()), "{words:?}");
}
