//! Services by the API, with agents that do as they are told: scaled, rolled out, rolled back, and every bad request.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Agent, PATIENCE, World, refused, vlan};
use tonic::{Code, Request};
use weir_api::v1::service_status::Phase;
use weir_api::v1::*;

/// The image whose replicas never become ready.
const BAD: &str = "bad:1";

fn service(replicas: u32) -> Service {
    let template = Container { image: "busybox:latest".to_owned(), ..Container::default() };
    Service {
        pool: "p".to_owned(),
        name: "web".to_owned(),
        network: "net".to_owned(),
        replicas,
        template: Some(template),
        patience_s: 3,
        ..Service::default()
    }
}

async fn create(world: &World, service: Service) -> Result<Service, tonic::Status> {
    let request = CreateServiceRequest { service: Some(service) };
    world.services().create_service(request).await.map(tonic::Response::into_inner)
}

async fn get(world: &World) -> Service {
    let request = GetServiceRequest { pool: "p".to_owned(), name: "web".to_owned() };
    world.services().get_service(request).await.unwrap().into_inner()
}

async fn scale(world: &World, replicas: u32) -> Service {
    let request = ScaleServiceRequest { pool: "p".to_owned(), name: "web".to_owned(), replicas };
    world.services().scale_service(request).await.unwrap().into_inner()
}

async fn update(world: &World, image: &str) -> Result<Service, tonic::Status> {
    let (pool, name, image) = ("p".to_owned(), "web".to_owned(), image.to_owned());
    let request = UpdateServiceRequest { pool, name, image };
    world.services().update_service(request).await.map(tonic::Response::into_inner)
}

async fn replicas(world: &World) -> Vec<Container> {
    let request = ListContainersRequest { pool: "p".to_owned(), ..ListContainersRequest::default() };
    let all = world.containers().list_containers(request).await.unwrap().into_inner().containers;
    all.into_iter().filter(|replica| replica.replica_of == "web").collect()
}

/// Waits until the service is in a phase, with so many replicas; meanwhile it has never fewer that are ready than `least`.
async fn until(world: &World, phase: Phase, present: u32, least: u32) -> Service {
    let mut last = None;
    let wait = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            let service = get(world).await;
            let status = service.status.clone().unwrap();
            assert!(status.ready >= least, "{status:?}");
            if status.phase() == phase && status.present == present {
                return service;
            }
            last = Some(status);
            tick.tick().await;
        }
    };
    match tokio::time::timeout(4 * PATIENCE, wait).await {
        Ok(service) => service,
        Err(_) => panic!("the service did not become {phase:?}, it is {last:?}"),
    }
}

/// Waits until a word has been told of the service so many times.
async fn told(world: &World, word: &str, times: usize) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let wait = async {
        while world.past("service/p/web").await.iter().filter(|(told, _)| told == word).count() < times {
            tick.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{word} is not told {times} times");
}

/// Has an agent do what it is told, but for containers of the bad image, and count them.
fn play(mut agent: Agent) -> Arc<AtomicUsize> {
    let n_bad = Arc::new(AtomicUsize::new(0));
    let counter = n_bad.clone();
    tokio::spawn(async move {
        loop {
            let mut desired = agent.desired().await;
            counter.fetch_add(desired.endpoints.iter().filter(|e| e.image == BAD).count(), Ordering::Relaxed);
            // Who is healthy says so, and need not be waited for.
            let process = ProcessStatus {
                running: true,
                started: Some(prost_types::Timestamp::default()),
                health: process_status::Health::Healthy.into(),
                ..ProcessStatus::default()
            };
            for endpoint in std::mem::take(&mut desired.endpoints).into_iter().filter(|e| e.image != BAD) {
                let report = EndpointReport {
                    endpoint_id: endpoint.endpoint_id,
                    state: endpoint_report::State::Up.into(),
                    ofport: endpoint.ofport,
                    starts: endpoint.starts,
                    process: Some(process),
                    ..EndpointReport::default()
                };
                agent.send(agent_message::Message::Endpoint(report)).await;
            }
            agent.act(&desired).await;
        }
    });
    n_bad
}

#[tokio::test]
async fn a_service_is_made_scaled_rolled_out_stopped_and_rolled_back() {
    let (world, one, two) = World::furnished().await;
    one.offers_docker(&world, "n1").await;
    two.offers_docker(&world, "n2").await;
    let bad = [play(one), play(two)];
    let made = create(&world, service(4)).await.unwrap();
    assert_eq!((made.version, made.previous_version, made.replicas), (1, 0, 4));
    until(&world, Phase::Steady, 4, 0).await;
    let first = replicas(&world).await;
    assert!(first.iter().all(|r| r.service == "web" && r.service_version == 1), "{first:?}");
    let on = |node: &str| first.iter().filter(|replica| replica.node == node).count();
    assert_eq!((on("n1"), on("n2")), (2, 2));
    assert!(
        first.iter().all(|r| r.restart.unwrap().mode() == restart_policy::Mode::Always),
        "a service's processes are started again"
    );

    scale(&world, 6).await;
    until(&world, Phase::Steady, 6, 4).await;
    world.delete("web-3", false).await.unwrap();
    until(&world, Phase::Steady, 6, 5).await;

    let updated = update(&world, "busybox:2").await.unwrap();
    assert_eq!((updated.version, updated.previous_version), (2, 1));
    assert_eq!(updated.previous_image, "busybox:latest");
    until(&world, Phase::Steady, 6, 5).await;
    told(&world, "RolledOut", 1).await;
    let ready = |r: &&Container| r.status.as_ref().unwrap().phase() == container_status::Phase::Ready;
    let images: Vec<String> = replicas(&world).await.iter().filter(ready).map(|r| r.image.clone()).collect();
    assert_eq!(images, ["busybox:2"; 6]);

    update(&world, BAD).await.unwrap();
    let stopped = until(&world, Phase::Stopped, 7, 6).await.status.unwrap();
    assert!(stopped.message.contains("version 3") && stopped.message.contains("PortPending"), "{stopped:?}");
    assert_eq!(bad.iter().map(|n| n.load(Ordering::Relaxed)).sum::<usize>(), 1, "one was tried");
    let status = world.status().get_status(GetStatusRequest::default()).await.unwrap().into_inner();
    let problem = status.problems.iter().find(|problem| problem.subject == "service/p/web").unwrap();
    assert_eq!((problem.reason.as_str(), &problem.message), ("ServiceStopped", &stopped.message));
    let request = RollbackServiceRequest { pool: "p".to_owned(), name: "web".to_owned() };
    let back = world.services().rollback_service(request).await.unwrap().into_inner();
    assert_eq!((back.version, back.previous_version), (2, 3));
    until(&world, Phase::Steady, 6, 6).await;
    told(&world, "RolledOut", 2).await;

    scale(&world, 2).await;
    until(&world, Phase::Steady, 2, 2).await;
    let words: Vec<String> = world.past("service/p/web").await.into_iter().map(|(word, _)| word).collect();
    let expected = [
        "Created",
        "Scaled",
        "Updated",
        "RolledOut",
        "Updated",
        "RolloutStopped",
        "RolledBack",
        "RolledOut",
        "Scaled",
    ];
    assert_eq!(words, expected);

    let request = DeleteNetworkRequest { pool: "p".to_owned(), name: "net".to_owned() };
    assert_eq!(world.networks().delete_network(request).await.unwrap_err().code(), Code::FailedPrecondition);
    let request = DeleteServiceRequest { pool: "p".to_owned(), name: "web".to_owned() };
    world.services().delete_service(request.clone()).await.unwrap();
    refused(world.services().delete_service(request).await, Code::NotFound, "no service `web`");
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let gone = async {
        while !replicas(&world).await.is_empty() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("its replicas go");
}

#[tokio::test]
async fn a_controller_that_starts_anew_goes_on_with_a_rollout() {
    let (world, one, two) = World::furnished().await;
    let _bad = [play(one), play(two)];
    create(&world, service(3)).await.unwrap();
    until(&world, Phase::Steady, 3, 0).await;
    update(&world, BAD).await.unwrap();
    until(&world, Phase::Stopped, 4, 3).await;

    // The store as a controller finds it that starts again.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(world.dir.path().join("intent.redb"), copy.path().join("intent.redb")).unwrap();
    let again = World::over(copy).await;
    let before = get(&again).await;
    assert_eq!((before.version, before.previous_version), (2, 1));
    assert_eq!(before.status.unwrap().present, 4, "what is not reached is not given up");
    // These nodes have lost all they had.
    let (one, two) = (Agent::join(&again, "p", "n1", 1).await, Agent::join(&again, "p", "n2", 2).await);
    let _bad = [play(one), play(two)];
    let next = update(&again, "busybox:3").await.unwrap();
    assert_eq!((next.version, next.previous_version), (3, 2));
    until(&again, Phase::Steady, 3, 0).await;
}

#[tokio::test]
async fn what_cannot_be_placed_is_told_and_made_when_it_can() {
    let (world, one, two) = World::furnished().await;
    let (_one, _two) = (play(one), play(two));
    for node in ["n1", "n2"] {
        world.schedule(node, node::Scheduling::Cordoned).await.unwrap();
    }
    create(&world, service(2)).await.unwrap();
    let status = until(&world, Phase::Stopped, 0, 0).await.status.unwrap();
    assert!(status.message.contains("cannot be placed"), "{status:?}");
    world.schedule("n1", node::Scheduling::Active).await.unwrap();
    until(&world, Phase::Steady, 2, 0).await;
}

#[tokio::test]
async fn bad_requests_name_the_field_and_change_nothing() {
    let (world, _one, _two) = World::furnished().await;
    world.pool("q").await.unwrap();
    world.network(vlan("q", "other", "10.8.0.0/24", "10.8.0.1")).await.unwrap();
    let before = world.revision();
    let with = |change: fn(&mut Service)| {
        let mut asked = service(1);
        change(&mut asked);
        asked
    };
    let check = |command: &str, http: &str| HealthCheck {
        command: command.to_owned(),
        http: http.to_owned(),
        ..HealthCheck::default()
    };
    let of = |change: &dyn Fn(&mut Container)| {
        let mut asked = service(1);
        change(asked.template.as_mut().unwrap());
        asked
    };
    let cases = [
        (with(|s| s.pool.clear()), Code::InvalidArgument, "no pool is named"),
        (with(|s| s.pool = "none".to_owned()), Code::NotFound, "no pool `none`"),
        (with(|s| s.network = "other".to_owned()), Code::NotFound, "other"),
        (with(|s| s.name = "Web".to_owned()), Code::InvalidArgument, "no name for a service"),
        (with(|s| s.name = "w".repeat(58)), Code::InvalidArgument, "at most 57"),
        (with(|s| s.replicas = 1001), Code::InvalidArgument, "1001 replicas are too many"),
        (with(|s| s.patience_s = 3601), Code::InvalidArgument, "3601 s is too long"),
        (of(&|c| c.name = "x".to_owned()), Code::InvalidArgument, "template has no name"),
        (of(&|c| c.address = "10.1.0.9".to_owned()), Code::InvalidArgument, "template has no address"),
        (of(&|c| c.node = "n1".to_owned()), Code::InvalidArgument, "template has no node"),
        (of(&|c| c.runtime = "vm".to_owned()), Code::InvalidArgument, "no runtime `vm`"),
        (of(&|c| c.health = Some(check("", ""))), Code::InvalidArgument, "either a command"),
        (of(&|c| c.health = Some(check("true", "80/"))), Code::InvalidArgument, "either a command"),
        (of(&|c| c.health = Some(check("", "x/"))), Code::InvalidArgument, "PORT/PATH"),
        (of(&|c| c.health = Some(check("", "0/"))), Code::InvalidArgument, "needs a port"),
        (of(&|c| c.health = Some(check("", "80/'; rm"))), Code::InvalidArgument, "path begins"),
        (
            of(&|c| c.health = Some(HealthCheck { interval_s: 3601, ..check("true", "") })),
            Code::InvalidArgument,
            "3601 s is no interval",
        ),
    ];
    for (asked, code, why) in cases {
        refused(create(&world, asked).await, code, why);
    }
    let none = world.services().create_service(CreateServiceRequest::default()).await;
    refused(none, Code::InvalidArgument, "no service is given");
    assert_eq!(world.revision(), before);

    // Replays: the same is the same, other content is refused, and a key is for one thing.
    let keyed = |service: Service| {
        let mut request = Request::new(CreateServiceRequest { service: Some(service) });
        request.metadata_mut().insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let made = world.services().create_service(keyed(service(0))).await.unwrap().into_inner();
    let again = world.services().create_service(keyed(service(0))).await.unwrap().into_inner();
    assert_eq!((made.revision, again.revision), (made.revision, made.revision));
    refused(create(&world, service(1)).await, Code::AlreadyExists, "see its replicas");
    let other = Service { name: "other".to_owned(), ..service(0) };
    refused(
        world.services().create_service(keyed(other)).await,
        Code::AlreadyExists,
        "this key was used before",
    );

    // Stale revisions, other pools' services, nothing to go back to.
    let before = world.revision();
    let mut stale =
        Request::new(ScaleServiceRequest { pool: "p".to_owned(), name: "web".to_owned(), replicas: 3 });
    stale.metadata_mut().insert("if-match", format!("\"{}\"", made.revision - 1).parse().unwrap());
    refused(world.services().scale_service(stale).await, Code::Aborted, "it has been changed");
    let foreign = GetServiceRequest { pool: "q".to_owned(), name: "web".to_owned() };
    refused(world.services().get_service(foreign).await, Code::NotFound, "no service `web` in the pool `q`");
    let foreign = DeleteServiceRequest { pool: "q".to_owned(), name: "web".to_owned() };
    refused(world.services().delete_service(foreign).await, Code::NotFound, "in the pool `q`");
    refused(update(&world, "").await, Code::InvalidArgument, "no image is named");
    let back = RollbackServiceRequest { pool: "p".to_owned(), name: "web".to_owned() };
    refused(world.services().rollback_service(back).await, Code::FailedPrecondition, "one version only");
    let many = ScaleServiceRequest { pool: "p".to_owned(), name: "web".to_owned(), replicas: u32::MAX };
    refused(world.services().scale_service(many).await, Code::InvalidArgument, "too many");
    assert_eq!(world.revision(), before);
}
