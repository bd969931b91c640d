//! Placement over the API: which node is chosen, what is refused with which code and sentence, and the preview of both.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use controller::intent::model;
use support::{Agent, World, container, refused, register, vlan};
use tonic::{Code, Status};
use weir_api::v1::*;

/// Three nodes of 1 CPU and 1 GiB each, in zones a, a and b.
async fn zones(placement: pool::Placement) -> (World, [Agent; 3]) {
    let world = World::start().await;
    let pool = Pool { name: "p".to_owned(), placement: placement.into(), ..Pool::default() };
    world.pools().create_pool(CreatePoolRequest { pool: Some(pool) }).await.unwrap();
    world.network(vlan("p", "net", "10.1.0.0/24", "10.1.0.1")).await.unwrap();
    let mut agents = Vec::new();
    for (number, zone) in [(1, "a"), (2, "a"), (3, "b")] {
        let labels = [("zone".to_owned(), zone.to_owned())].into();
        let capacity = Some(limits(1000, 1024));
        let register = Register { labels, capacity, ..register("p", &format!("n{number}"), number) };
        agents.push(Agent::join_as(&world, register).await);
    }
    (world, agents.try_into().ok().unwrap())
}

fn limits(cpu_millis: u32, mebibytes: u64) -> Resources {
    Resources { cpu_millis, memory_bytes: mebibytes << 20, pids: 0 }
}

fn docker(name: &str, resources: Resources) -> Container {
    Container { image: "busybox".to_owned(), resources: Some(resources), ..container(name) }
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

fn app(name: &str, app: &str, affinities: &[&str]) -> Container {
    Container {
        labels: [("app".to_owned(), app.to_owned())].into(),
        affinities: affinities.iter().map(|rule| (*rule).to_owned()).collect(),
        ..container(name)
    }
}

async fn preview(world: &World, container: Container) -> Result<Placement, Status> {
    let request = PreviewContainerRequest { container: Some(container) };
    world.containers().preview_container(request).await.map(tonic::Response::into_inner)
}

/// Checks that a request is refused, and that the preview says the same; gives back the preview's candidates.
async fn refused_as_previewed(world: &World, container: Container, code: Code, part: &str) -> Vec<Candidate> {
    let previewed = preview(world, container.clone()).await.unwrap();
    assert_eq!((previewed.node.as_str(), previewed.address.as_str()), ("", ""));
    let before = world.revision();
    refused(world.create(container, false).await, code, part);
    assert_eq!(world.revision(), before);
    assert!(previewed.refusal.contains(part), "{}", previewed.refusal);
    previewed.candidates
}

async fn schedule(world: &World, agent: &Agent, scheduling: model::Scheduling) {
    let id = agent.id;
    let change = world.intent.transact(move |tx| {
        let node = model::Node::clone(tx.state().node(id).unwrap());
        tx.put(model::Node { scheduling, ..node });
        Ok(())
    });
    change.await.unwrap();
}

#[tokio::test]
async fn constraints_choose_by_label_and_name() {
    let (world, _agents) = zones(pool::Placement::Spread).await;
    let with = |name: &str, constraints| Container { constraints, ..container(name) };
    let node = |container| async { world.create(container, false).await.unwrap().node };
    assert_eq!(node(with("a", strings(["zone==b"]))).await, "n3");
    assert_eq!(node(with("b", strings(["zone!=a"]))).await, "n3");
    assert_eq!(node(with("c", strings(["node!=n1", "zone==a"]))).await, "n2");
    assert_eq!(node(with("d", strings(["disk!=slow"]))).await, "n1", "who has no label is unequal");
    let nowhere = with("e", strings(["zone==c"]));
    let part = "no node of the pool `p` can take the container: n1, n2, n3: constraint (zone==c)";
    let candidates = refused_as_previewed(&world, nowhere, Code::FailedPrecondition, part).await;
    let expected = ["n1", "n2", "n3"].map(|node| Candidate {
        node: node.to_owned(),
        filter: "constraint".to_owned(),
        message: "zone==c".to_owned(),
        ..Candidate::default()
    });
    assert_eq!(candidates, expected);
    let named = Container { node: "n3".to_owned(), ..with("e", strings(["zone==a"])) };
    let part = "the node `n3` cannot take the container: constraint (zone==a)";
    refused_as_previewed(&world, named, Code::FailedPrecondition, part).await;
}

#[tokio::test]
async fn affinities_hold_in_both_directions_and_when_a_container_moves() {
    let (world, _agents) = zones(pool::Placement::Spread).await;
    let node = |container| async { world.create(container, false).await.unwrap().node };
    let lonely = app("x", "web", &["app==db"]);
    let part = "affinity (app==db: no such container is there)";
    refused_as_previewed(&world, lonely, Code::FailedPrecondition, part).await;
    assert_eq!(node(app("db", "db", &["app!=batch"])).await, "n1");
    assert_eq!(node(app("near", "web", &["app==db"])).await, "n1");
    assert_eq!(node(app("by-name", "web", &["container==db"])).await, "n1");
    assert_eq!(node(app("far", "web", &["app!=db"])).await, "n2");
    let batch = Container { node: "n1".to_owned(), ..app("batch", "batch", &[]) };
    let part = "affinity (a container there is to be with none that has app==batch)";
    refused_as_previewed(&world, batch, Code::FailedPrecondition, part).await;
    let to = |name: &str, node: &str| MoveContainerRequest {
        pool: "p".to_owned(),
        name: name.to_owned(),
        node: node.to_owned(),
        wait: false,
    };
    let mut client = world.containers();
    let part = "the node `n2` cannot take the container: affinity (a container there is to be with none that";
    refused(client.move_container(to("db", "n2")).await, Code::FailedPrecondition, part);
    let moved = client.move_container(to("db", "")).await.unwrap().into_inner();
    assert_eq!((moved.node.as_str(), moved.pinned), ("n3", false));
    refused(
        client.move_container(to("far", "n3")).await,
        Code::FailedPrecondition,
        "affinity (app!=db: such a container is there)",
    );
    let alone = app("alone", "alone", &["app!=alone"]);
    let there = world.create(alone, false).await.unwrap();
    let moved = client.move_container(to("alone", "")).await.unwrap().into_inner();
    assert_ne!(moved.node, there.node, "it does not stand in its own way");
}

#[tokio::test]
async fn limits_add_up_and_capacity_is_not_exceeded() {
    let (world, agents) = zones(pool::Placement::Spread).await;
    for n in 0..3 {
        let c = world.create(docker(&format!("c{n}"), limits(400, 600)), false).await.unwrap();
        assert_eq!(c.node, format!("n{}", n + 1));
    }
    let part = "n1, n2, n3: resources (0.7 CPUs asked, 0.6 left, 512 MiB of memory asked, 424 MiB left)";
    refused_as_previewed(&world, docker("d", limits(700, 512)), Code::ResourceExhausted, part).await;
    schedule(&world, &agents[1], model::Scheduling::Cordoned).await;
    let constrained = Container { constraints: strings(["zone==a"]), ..docker("d", limits(0, 512)) };
    let part = "n2: cordon (the node is cordoned); n3: constraint (zone==a); \
                n1: resources (512 MiB of memory asked, 424 MiB left)";
    refused_as_previewed(&world, constrained, Code::ResourceExhausted, part).await;
    let request = GetNodeRequest { pool: "p".to_owned(), name: "n1".to_owned() };
    let status = world.nodes().get_node(request).await.unwrap().into_inner().status.unwrap();
    assert_eq!(status.allocated, Some(limits(400, 600)));
    assert_eq!(status.runtimes, ["docker", "netns"]);
    world.delete("c0", false).await.unwrap();
    let part = "resources (512 MiB of memory asked, 424 MiB left)";
    let named = Container { node: "n1".to_owned(), ..docker("d", limits(0, 512)) };
    refused_as_previewed(&world, named, Code::ResourceExhausted, part).await;
    world
        .create(Container { node: "n1".to_owned(), ..container("e") }, false)
        .await
        .expect("it asks for nothing");
}

#[tokio::test]
async fn a_cordon_turns_away_all_but_who_names_the_node() {
    let (world, agents) = zones(pool::Placement::Spread).await;
    schedule(&world, &agents[0], model::Scheduling::Cordoned).await;
    schedule(&world, &agents[1], model::Scheduling::Draining).await;
    schedule(&world, &agents[2], model::Scheduling::Draining).await;
    let part = "n1: cordon (the node is cordoned)";
    refused_as_previewed(&world, container("a"), Code::FailedPrecondition, part).await;
    let part = "n2, n3: cordon (the node is being drained)";
    refused_as_previewed(&world, container("a"), Code::FailedPrecondition, part).await;
    let named = world.create(Container { node: "n2".to_owned(), ..container("a") }, false).await.unwrap();
    assert!(named.node == "n2" && named.pinned);
}

#[tokio::test]
async fn a_runtime_must_work_on_the_node_and_the_image_counts() {
    let (world, agents) = zones(pool::Placement::Spread).await;
    let report = |runtimes: Vec<String>| NodeReport { runtimes, ..NodeReport::default() };
    for (agent, runtimes) in [(&agents[0], vec![]), (&agents[1], strings(["netns"]))] {
        agent.send(agent_message::Message::Node(report(runtimes))).await;
    }
    let seen = |placement: &Placement, node: &str| {
        placement.candidates.iter().find(|c| c.node == node).map(|c| c.message.clone()).unwrap()
    };
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
    let on_three = || Container { constraints: strings(["node!=n3"]), ..docker("a", limits(0, 0)) };
    loop {
        let previewed = preview(&world, on_three()).await.unwrap();
        if ["n1", "n2"].map(|node| seen(&previewed, node)) == ["docker does not work there"; 2] {
            break;
        }
        tick.tick().await;
    }
    let part = "n1, n2: runtime (docker does not work there)";
    refused_as_previewed(&world, on_three(), Code::FailedPrecondition, part).await;
    let previewed = preview(&world, docker("a", limits(0, 0))).await.unwrap();
    let best = Candidate {
        node: "n3".to_owned(),
        load_score: 990,
        image_score: 1000,
        block_score: 1,
        ..Candidate::default()
    };
    assert_eq!((previewed.node.as_str(), previewed.address.as_str()), ("n3", "10.1.0.3"));
    assert_eq!(previewed.candidates.first(), Some(&best));
    assert_eq!(world.create(docker("a", limits(0, 0)), false).await.unwrap().address, "10.1.0.3");
    let named = Container { node: "n1".to_owned(), ..container("b") };
    refused(
        world.create(named, false).await,
        Code::FailedPrecondition,
        "runtime (netns does not work there)",
    );
}

#[tokio::test]
async fn a_full_node_that_has_the_image_wins_over_an_empty_one_that_has_not() {
    let (world, agents) = zones(pool::Placement::Spread).await;
    let without =
        NodeReport { images: Vec::new(), problems: strings(["no images"]), ..support::node_report() };
    for (agent, name) in [(&agents[0], "n1"), (&agents[2], "n3")] {
        agent.send(agent_message::Message::Node(without.clone())).await;
        world.until_node(name, |status| status.problems == without.problems).await;
    }
    let full = docker("full", limits(990, 1000));
    assert_eq!(world.create(full, false).await.unwrap().node, "n2");
    assert_eq!(world.create(docker("a", limits(0, 0)), false).await.unwrap().node, "n2");
    let elsewhere = Container { constraints: strings(["zone==b"]), ..docker("b", limits(0, 0)) };
    assert_eq!(
        world.create(elsewhere, false).await.unwrap().node,
        "n3",
        "it is told when it is missing there"
    );
}

#[tokio::test]
async fn an_agent_that_has_not_reported_yet_can_do_what_all_can() {
    let (world, _agents) = zones(pool::Placement::Spread).await;
    let (say, mut hear) = support::attach(&world, register("p", "n4", 4)).await.unwrap();
    let Some(controller_message::Message::Registered(registered)) =
        hear.message().await.unwrap().unwrap().message
    else {
        panic!("not registered")
    };
    let node = flowlib::compile::model::NodeId(registered.node_id);
    world.switches.send(controller::openflow::SwitchEvent::Connected { node }).await.unwrap();
    let named = |container| Container { node: "n4".to_owned(), ..container };
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
    while preview(&world, named(container("a"))).await.unwrap().refusal.contains("is not connected") {
        tick.tick().await;
    }
    let part =
        "the node `n4` cannot take the container: runtime (whether docker works there is not known yet)";
    refused_as_previewed(&world, named(docker("a", limits(0, 0))), Code::FailedPrecondition, part).await;
    assert_eq!(world.create(named(container("a")), false).await.unwrap().node, "n4");
    drop(say);
}

#[tokio::test]
async fn binpack_fills_one_node_before_the_next() {
    let (world, _agents) = zones(pool::Placement::Binpack).await;
    let mut nodes = Vec::new();
    for n in 0..5 {
        nodes.push(world.create(docker(&format!("c{n}"), limits(0, 500)), false).await.unwrap().node);
    }
    assert_eq!(nodes, ["n1", "n1", "n2", "n2", "n3"]);
}

#[tokio::test]
async fn a_preview_refuses_what_makes_no_sense_and_knows_what_is_there() {
    let (world, _agents) = zones(pool::Placement::Spread).await;
    let none = PreviewContainerRequest { container: None };
    refused(world.containers().preview_container(none).await, Code::InvalidArgument, "no container is given");
    let unknown = Container { network: "other".to_owned(), ..container("a") };
    refused(preview(&world, unknown).await, Code::NotFound, "no network `other`");
    let outside = Container { address: "10.2.0.1".to_owned(), ..container("a") };
    refused(preview(&world, outside).await, Code::InvalidArgument, "not in the subnet");
    let there = world.create(container("a"), false).await.unwrap();
    let previewed = preview(&world, container("a")).await.unwrap();
    assert_eq!((previewed.node, previewed.address), (there.node, there.address.clone()));
    let other = Container { labels: [("k".to_owned(), "v".to_owned())].into(), ..container("a") };
    refused(preview(&world, other).await, Code::AlreadyExists, "exists with other content");
    let taken = Container { address: there.address, ..container("b") };
    refused(preview(&world, taken).await, Code::AlreadyExists, "taken by the container `a`");
}
