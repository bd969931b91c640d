//! Volumes by the API: made where they are first used, gone to by all who use them, waited for, and deleted by their node.

#![allow(clippy::unwrap_used)] // Clippy takes only functions that are marked as tests for tests.

mod support;

use std::time::Duration;

use support::{Agent, World, container, refused};
use tonic::{Code, Status};
use weir_api::v1::*;

fn mount(volume: &str, path: &str) -> Mount {
    Mount { volume: volume.to_owned(), path: path.to_owned(), ..Mount::default() }
}

/// A container that has volumes, each at `/NAME`.
fn with(name: &str, volumes: &[&str]) -> Container {
    let mounts = volumes.iter().map(|volume| mount(volume, &format!("/{volume}"))).collect();
    Container { image: "busybox:latest".to_owned(), mounts, ..container(name) }
}

fn on(node: &str, container: Container) -> Container {
    Container { node: node.to_owned(), ..container }
}

async fn volume(world: &World, name: &str) -> Result<Volume, Status> {
    let request = GetVolumeRequest { pool: "p".to_owned(), name: name.to_owned() };
    world.volumes().get_volume(request).await.map(tonic::Response::into_inner)
}

async fn delete(world: &World, name: &str) -> Result<DeleteVolumeResponse, Status> {
    let request = DeleteVolumeRequest { pool: "p".to_owned(), name: name.to_owned() };
    world.volumes().delete_volume(request).await.map(tonic::Response::into_inner)
}

/// Deletes a volume, of which the agent says that.
async fn delete_by(
    world: &World,
    agent: &mut Agent,
    name: &str,
    says: relay_volume_request::Request,
) -> (String, Result<DeleteVolumeResponse, Status>) {
    let relaying = async {
        let order = loop {
            if let controller_message::Message::Volume(order) = agent.next().await.unwrap().unwrap() {
                break order;
            }
        };
        let said = [relay_volume_request::Request::Id(order.id), says];
        let said = said.map(|request| RelayVolumeRequest { request: Some(request) });
        // The call stays open until the client has its answer.
        (order.name, world.agents().relay_volume(tokio_stream::iter(said)).await.unwrap())
    };
    let ((name, _call), answer) = tokio::join!(relaying, delete(world, name));
    (name, answer)
}

async fn until_gone(world: &World, name: &str) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while world.get(name).await.is_ok() {
        tick.tick().await;
    }
}

#[tokio::test]
async fn containers_go_where_their_volumes_are_and_a_volume_that_is_used_stays() {
    let (world, mut one, mut two) = World::furnished().await;
    world.create(on("n2", with("a", &["data"])), false).await.unwrap();
    let desired = two.obey().await;
    let told = &desired.endpoints[0].mounts[0];
    assert_eq!((told.volume.as_str(), told.path.as_str()), ("data.p.1", "/data"));
    let data = volume(&world, "data").await.unwrap();
    assert_eq!((data.node.as_str(), data.used_by.as_slice()), ("n2", &["a".to_owned()][..]));
    assert!(world.get("a").await.unwrap().pinned, "it is not moved by itself");
    for name in ["b", "c"] {
        let placed = world.create(with(name, &["data", "logs"]), false).await.unwrap();
        assert_eq!(placed.node, "n2");
        two.obey().await;
    }
    let wrong = world.create(on("n1", with("d", &["data"])), false).await;
    refused(wrong, Code::FailedPrecondition, "the volume `data` is on the node `n2`");
    let request = MoveContainerRequest { pool: "p".to_owned(), name: "a".to_owned(), ..Default::default() };
    let moved = world.containers().move_container(request).await;
    refused(moved, Code::FailedPrecondition, "the volume `data` is on the node `n2`");
    world.create(on("n1", with("e", &["other"])), false).await.unwrap();
    one.obey().await;
    let both = world.create(with("f", &["data", "other"]), false).await;
    refused(both, Code::FailedPrecondition, "volume (the volume");

    let list = ListVolumesRequest { pool: "p".to_owned(), page_size: 2, ..Default::default() };
    let page = world.volumes().list_volumes(list.clone()).await.unwrap().into_inner();
    let names: Vec<_> = page.volumes.iter().map(|v| (v.name.as_str(), v.used_by.len())).collect();
    assert_eq!(names, [("data", 3), ("logs", 2)]);
    let list = ListVolumesRequest { page_token: page.next_page_token, ..list };
    let page = world.volumes().list_volumes(list).await.unwrap().into_inner();
    assert_eq!((page.volumes[0].name.as_str(), page.next_page_token.as_str()), ("other", ""));

    refused(delete(&world, "data").await, Code::FailedPrecondition, "used by the container `a`");
    world.delete("e", false).await.unwrap();
    refused(delete(&world, "other").await, Code::FailedPrecondition, "used by the container `e`");
    one.obey().await;
    until_gone(&world, "e").await;
    let no = relay_volume_request::Request::Failed("Docker refuses: volume is in use".to_owned());
    let (name, answer) = delete_by(&world, &mut one, "other", no).await;
    assert_eq!(name, "other.p.1");
    refused(answer, Code::FailedPrecondition, "volume is in use");
    assert!(volume(&world, "other").await.is_ok(), "what is not removed is not forgotten");
    let yes = relay_volume_request::Request::Removed(VolumeRemoved {});
    delete_by(&world, &mut one, "other", yes).await.1.unwrap();
    refused(volume(&world, "other").await, Code::NotFound, "no volume `other`");
    refused(delete(&world, "other").await, Code::NotFound, "no volume `other`");
}

#[tokio::test]
async fn a_volume_whose_node_is_away_is_waited_for() {
    let (world, _one, mut two) = World::furnished().await;
    world.create(on("n2", with("a", &["data"])), false).await.unwrap();
    two.obey().await;
    world.delete("a", false).await.unwrap();
    two.obey().await;
    until_gone(&world, "a").await;
    drop(two);
    world.until_node("n2", |status| !status.agent_connected).await;
    let waits = world.create(with("b", &["data"]), false).await.unwrap();
    assert_eq!(waits.node, "n2");
    world.until("b", container_status::Phase::Degraded, "NodeUnreachable").await;
    refused(delete(&world, "data").await, Code::FailedPrecondition, "used by the container `b`");
    let mut again = Agent::join(&world, "p", "n2", 2).await;
    // It had been told with all else.
    again.offers_docker(&world, "n2").await;
    let b = world.get("b").await.unwrap();
    again.report(b.endpoint_id, endpoint_report::State::Up, b.ofport).await;
    again.applied(world.revision()).await;
    world.until("b", container_status::Phase::Ready, "").await;
    world.delete("b", false).await.unwrap();
    again.obey().await;
    until_gone(&world, "b").await;
    drop(again);
    world.until_node("n2", |status| !status.agent_connected).await;
    refused(delete(&world, "data").await, Code::Unavailable, "not connected");
    // With its node it is forgotten.
    let request = DeleteNodeRequest { pool: "p".to_owned(), name: "n2".to_owned() };
    world.nodes().delete_node(request).await.unwrap();
    refused(volume(&world, "data").await, Code::NotFound, "no volume `data`");
}

#[tokio::test]
async fn a_folder_is_had_only_where_the_agent_lets_containers_have_it() {
    let (world, _one, two) = World::furnished().await;
    let asked = || {
        let folder = Mount { host_path: "/srv".to_owned(), path: "/in".to_owned(), ..Mount::default() };
        Container { mounts: vec![folder], ..with("a", &[]) }
    };
    let why = "n1, n2: volume (its agent does not let containers have `/srv`: --allow-bind /srv)";
    refused(world.create(asked(), false).await, Code::FailedPrecondition, why);
    let folders = vec!["/srv".to_owned()];
    let report = NodeReport { folders, problems: vec!["heard".to_owned()], ..support::node_report() };
    two.send(agent_message::Message::Node(report)).await;
    world.until_node("n2", |status| !status.problems.is_empty()).await;
    assert_eq!(world.create(asked(), false).await.unwrap().node, "n2");
    let inside = Mount { host_path: "/srv/inner".to_owned(), path: "/in".to_owned(), ..Mount::default() };
    let inside = Container { mounts: vec![inside], ..with("b", &[]) };
    refused(world.create(inside, false).await, Code::FailedPrecondition, "`/srv/inner`");
}

#[tokio::test]
async fn bad_mounts_name_the_field_and_change_nothing() {
    let (world, _one, _two) = World::furnished().await;
    let sized = Mount { size_bytes: 4096, ..mount("sized", "/data") };
    let made = Container { mounts: vec![sized.clone()], ..with("a", &[]) };
    world.create(made.clone(), false).await.unwrap();
    assert_eq!(volume(&world, "sized").await.unwrap().size_bytes, 4096);
    let before = world.revision();
    let folder = |host_path: &str| Mount { host_path: host_path.to_owned(), ..mount("", "/in") };
    let cases = [
        (vec![mount("", "/a")], "either a volume or a host_path"),
        (vec![Mount { volume: "v".to_owned(), ..folder("/srv") }], "either a volume or a host_path"),
        (vec![Mount { size_bytes: 1, ..folder("/srv") }], "only volumes take one"),
        (vec![mount("V", "/a")], "no name for a volume"),
        (vec![mount("v", "a")], "no path for a mount"),
        (vec![mount("v", "/")], "no path for a mount"),
        (vec![mount("v", "/a/../b")], "no path for a mount"),
        (vec![mount("v", "/a\0")], "no path for a mount"),
        (vec![folder("/srv/")], "no path for a mount"),
        (vec![mount("v", &format!("/{}", "a".repeat(4096)))], "no path for a mount"),
        (vec![mount("v", "/a"), mount("w", "/a")], "two mounts have the path `/a`"),
        ((0..33).map(|n| mount("v", &format!("/{n}"))).collect(), "33 mounts are too many"),
    ];
    for (mounts, why) in cases {
        let asked = Container { mounts, ..with("b", &[]) };
        refused(world.create(asked, false).await, Code::InvalidArgument, why);
    }
    let bare = Container { image: String::new(), ..with("b", &["v"]) };
    refused(world.create(bare, false).await, Code::InvalidArgument, "a mount needs an image");
    let other = Container { mounts: vec![Mount { size_bytes: 8192, ..sized }], ..with("b", &[]) };
    refused(world.create(other, false).await, Code::AlreadyExists, "takes 4096 bytes");
    let differs = Container { mounts: vec![mount("other", "/data")], ..made };
    refused(world.create(differs, false).await, Code::AlreadyExists, "its mounts is `sized:/data`");
    world.pool("q").await.unwrap();
    let foreign = GetVolumeRequest { pool: "q".to_owned(), name: "sized".to_owned() };
    refused(world.volumes().get_volume(foreign).await, Code::NotFound, "in the pool `q`");
    assert_eq!(world.revision(), before + 1, "the pool alone was made");
    assert!(volume(&world, "v").await.is_err());
}
