//! A service of real Docker containers: six replicas that answer HTTP, scaled, rolled to another image while at least five
//! answer at every moment, stopped by an image that is not healthy, and rolled back.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
#[path = "support/services.rs"]
mod services;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use docker::{IMAGE, docker, until_offered};
use services::{Service, answers, watched};
use support::{POOL, System, vlan};
use weir_api::v1;
use weir_api::v1::container_status::Phase as ContainerPhase;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::service_status::Phase;

const PATIENCE: Duration = Duration::from_secs(120);
const NEW: &str = "busybox:new";
/// One whose replicas never become healthy: there is nothing to serve.
const BAD: &str = "busybox:bad";

/// Makes an image on a node whose page says which it is; without a page if `version` is none.
fn make_image(system: &System, node: &str, image: &str, version: Option<&str>) {
    let page = version.map_or_else(String::new, |version| format!(" && echo {version} > /www/version"));
    let script = format!("mkdir -p /www{page}");
    let id = docker(&system.lab, node, &["create", "--network", "none", IMAGE, "sh", "-c", &script]).unwrap();
    docker(&system.lab, node, &["start", "--attach", &id]).unwrap();
    docker(&system.lab, node, &["commit", &id, image]).unwrap();
    docker(&system.lab, node, &["rm", &id]).unwrap();
}

/// Waits until the controller knows that all nodes have an image.
fn until_images(system: &System, image: &str) {
    let container = v1::Container {
        pool: POOL.to_owned(),
        network: "v".to_owned(),
        image: image.to_owned(),
        ..v1::Container::default()
    };
    let known = || {
        let request = v1::PreviewContainerRequest { container: Some(container.clone()) };
        let mut client = ContainersClient::new(system.channel.clone());
        let placement = system.runtime.block_on(client.preview_container(request))?.into_inner();
        Ok(placement.candidates.iter().all(|candidate| candidate.image_score > 0).then_some(()))
    };
    system.lab.wait_until(PATIENCE, &format!("{image} to be on all nodes"), known).unwrap();
}

#[test]
fn a_service_is_scaled_and_rolled_to_a_new_image_while_all_but_one_answer() {
    let Some(system) = System::up_docker("svc") else { return };
    system.network(vlan("v"));
    for node in ["n1", "n2", "n3"] {
        until_offered(&system, node, true);
        let old = format!("{IMAGE}:old");
        for (image, version) in [(old.as_str(), Some("old")), (NEW, Some("new")), (BAD, None)] {
            make_image(&system, node, image, version);
        }
    }
    until_images(&system, BAD);
    let service = Service(&system);
    service.create(&format!("{IMAGE}:old"), 3);
    service.until(Phase::Steady, 3);
    let nodes: BTreeSet<String> = service.containers().into_iter().map(|replica| replica.node).collect();
    assert_eq!(nodes.len(), 3, "one on each node");
    service.scale(6);
    service.until(Phase::Steady, 6);
    let from = system.place("gw");
    assert_eq!(answers(&from, &service.addresses()), ["old"; 6]);

    let (fewest, versions) = watched(&system, &service, || {
        service.update(NEW);
        service.until(Phase::Steady, 6);
    });
    assert!(fewest >= 5, "only {fewest} of six answered\n{}", system.lab.dump());
    assert_eq!(versions, BTreeSet::from(["old".to_owned(), "new".to_owned()]));

    let (fewest, versions) = watched(&system, &service, || {
        service.update(BAD);
        let stopped = service.until(Phase::Stopped, 7).status.unwrap();
        assert!(stopped.message.contains("is not healthy"), "{stopped:?}");
        service.roll_back();
        service.until(Phase::Steady, 6);
    });
    assert!(fewest >= 6, "only {fewest} of six answered\n{}", system.lab.dump());
    assert_eq!(versions, BTreeSet::from(["new".to_owned()]));

    // What is deleted, and what is unhealthy, is told as it is.
    system.delete(&service.ready().name);
    service.until(Phase::Steady, 6);
    let one = service.ready();
    let name = format!("{}.{POOL}.{}", one.name, one.endpoint_id);
    docker(&system.lab, &one.node, &["exec", &name, "rm", "/www/version"]).unwrap();
    let unhealthy = || {
        let status = system.container(&one.name).status.unwrap();
        Ok((status.phase() == ContainerPhase::Degraded && status.reason == "Unhealthy").then_some(()))
    };
    system.lab.wait_until(PATIENCE, "the replica to be unhealthy", unhealthy).unwrap();

    service.scale(2);
    service.until(Phase::Steady, 2);
    service.delete();
    let gone = || Ok(service.containers().is_empty().then_some(()));
    system.lab.wait_until(PATIENCE, "the replicas to go", gone).unwrap();
}
