//! Volumes with real Docker: files outlive their containers and bind them to their node, folders of a node are had only
//! where its agent allows them, and what is deleted is gone from the node.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
#[path = "support/services.rs"]
mod services;
mod support;

use std::fs;
use std::time::Duration;

use docker::{docker, job, sleeper, until, until_offered};
use labs::Daemon;
use services::Service;
use support::{POOL, System, vlan};
use tonic::{Code, Status};
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::service_status;
use weir_api::v1::volumes_client::VolumesClient;

const PATIENCE: Duration = Duration::from_secs(40);

fn mount(volume: &str) -> v1::Mount {
    v1::Mount { volume: volume.to_owned(), path: "/data".to_owned(), ..v1::Mount::default() }
}

fn having(container: v1::Container, mount: v1::Mount) -> v1::Container {
    v1::Container { mounts: vec![mount], ..container }
}

/// A command in a container's shell.
fn shell(system: &System, name: &str, line: &str) -> anyhow::Result<String> {
    let container = system.container(name);
    let its = format!("{name}.{POOL}.{}", container.endpoint_id);
    docker(&system.lab, &container.node, &["exec", &its, "sh", "-c", line])
}

fn delete(system: &System, name: &str) -> Result<(), Status> {
    let request = v1::DeleteVolumeRequest { pool: POOL.to_owned(), name: name.to_owned() };
    system.runtime.block_on(VolumesClient::new(system.channel.clone()).delete_volume(request)).map(drop)
}

/// The volumes of Weir's that a node's Docker has.
fn in_docker(system: &System, node: &str) -> String {
    docker(&system.lab, node, &["volume", "ls", "--quiet", "--filter", "label=weir.volume"]).unwrap()
}

#[test]
fn a_file_outlives_its_container_and_a_folder_must_be_allowed() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("pages");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("page"), "of the host").unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    let allow = format!("--allow-bind={folder}");
    let lab = System::up_docker_with("vol", |topology| {
        let node = topology.nodes.iter_mut().find(|node| node.name.to_string() == "n2").unwrap();
        node.args.push(allow);
    });
    let Some(system) = lab else { return };
    system.network(vlan("v"));
    ["n1", "n2", "n3"].iter().for_each(|node| until_offered(&system, node, true));

    // Written, deleted, written anew under the same name: it is there, and on the same node.
    let web = system.create_as(having(sleeper("web", "v"), mount("data")));
    shell(&system, "web", "echo kept > /data/file").unwrap();
    assert_eq!(delete(&system, "data").unwrap_err().code(), Code::FailedPrecondition);
    system.delete("web");
    let name = in_docker(&system, &web.node);
    assert!(name.starts_with(&format!("data.{POOL}.")), "{name}");
    for again in ["web", "other"] {
        let found = system.create_as(having(sleeper(again, "v"), mount("data")));
        assert_eq!(found.node, web.node);
        assert_eq!(shell(&system, again, "cat /data/file").unwrap(), "kept");
    }
    // One that may not write sees it all the same.
    let readers = v1::Mount { read_only: true, ..mount("data") };
    system.create_as(having(sleeper("reader", "v"), readers));
    assert_eq!(shell(&system, "reader", "cat /data/file").unwrap(), "kept");
    assert!(shell(&system, "reader", "echo no > /data/file").is_err());
    // Without quotas in its file system Docker says so, and the container that.
    let sized = v1::Mount { size_bytes: 1 << 20, ..mount("sized") };
    system.try_create_as(having(sleeper("sized", "v"), sized), false).unwrap();
    let refused = until(&system, "sized", Phase::Degraded, "StartRefused");
    assert!(refused.message.contains("quota"), "{refused:?}");
    ["web", "other", "reader", "sized"].iter().for_each(|name| system.delete(name));
    // All replicas of a service share it, where it is.
    let service = Service(&system);
    service.create_of(having(sleeper("", ""), mount("data")), 2);
    service.until(service_status::Phase::Steady, 2);
    for replica in service.containers() {
        assert_eq!(replica.node, web.node);
        assert_eq!(shell(&system, &replica.name, "cat /data/file").unwrap(), "kept");
    }
    assert_eq!(delete(&system, "data").unwrap_err().code(), Code::FailedPrecondition);
    service.delete();
    let gone = || Ok(service.containers().is_empty().then_some(()));
    system.lab.wait_until(PATIENCE, "the replicas to be gone", gone).unwrap();
    delete(&system, "data").unwrap();
    assert_eq!(in_docker(&system, &web.node), "");
    assert_eq!(delete(&system, "data").unwrap_err().code(), Code::NotFound);

    // Folders: on the node that allows this one, and nothing else of the host.
    let folder_of = |path: &str| {
        let mount = v1::Mount { host_path: path.to_owned(), read_only: true, ..mount("") };
        having(job("page", "v", &["cat", "/data/page"]), mount)
    };
    let allowed = || Ok(system.try_create_as(folder_of(&folder), false).ok());
    let page = system.lab.wait_until(PATIENCE, "the controller to know of the folder", allowed).unwrap();
    assert_eq!(page.node, "n2");
    until(&system, "page", Phase::Ended, "Exited");
    let its = format!("page.{POOL}.{}", page.endpoint_id);
    assert_eq!(docker(&system.lab, "n2", &["logs", &its]).unwrap(), "of the host");
    for path in ["/etc", outside.path().to_str().unwrap(), &format!("{folder}/page")] {
        let mut asked = folder_of(path);
        asked.name = "spy".to_owned();
        let refused = system.try_create_as(asked, false).unwrap_err();
        assert!(refused.message().contains("--allow-bind"), "{path}: {refused}");
    }
}

#[test]
fn who_needs_a_volume_of_a_lost_node_waits_and_finds_it() {
    let lab = System::up_docker_with("vlo", |topology| {
        topology.controller.as_mut().unwrap().args.extend(["--node-lease".to_owned(), "3s".to_owned()]);
    });
    let Some(system) = lab else { return };
    system.network(vlan("v"));
    ["n1", "n2", "n3"].iter().for_each(|node| until_offered(&system, node, true));
    let web = system.create_as(having(sleeper("web", "v/n2"), mount("data")));
    shell(&system, "web", "echo kept > /data/file").unwrap();
    system.delete("web");
    let daemons = [Daemon::WeirAgent, Daemon::OvsVswitchd];
    daemons.iter().for_each(|daemon| system.lab.stop("n2", *daemon).unwrap());
    let lost = || {
        let nodes = system.nodes();
        let status = nodes.into_iter().find(|node| node.name == "n2").and_then(|node| node.status);
        Ok(status.is_some_and(|status| status.lost).then_some(()))
    };
    system.lab.wait_until(PATIENCE, "n2 to be lost", lost).unwrap();
    let waits = system.try_create_as(having(sleeper("waits", "v"), mount("data")), false).unwrap();
    assert_eq!(waits.node, web.node);
    let told = || {
        let status = system.container("waits").status.unwrap();
        Ok(status.message.contains("has a volume here").then_some(status))
    };
    let status = system.lab.wait_until(PATIENCE, "it to say what it waits for", told).unwrap();
    assert_eq!(status.reason, "NodeLost");
    assert_eq!(delete(&system, "data").unwrap_err().code(), Code::FailedPrecondition);
    daemons.iter().rev().for_each(|daemon| system.lab.start("n2", *daemon).unwrap());
    system.until_ready("waits");
    assert_eq!(shell(&system, "waits", "cat /data/file").unwrap(), "kept");
}
