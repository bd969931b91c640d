//! Images through a registry proxy: each layer crosses the uplink once, what is cached is there without the upstream, and
//! what is wrong is refused, named, and heals.
//!
//! Needs root, Open vSwitch, Docker and docker-registry; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
#[path = "support/registries.rs"]
mod registries;
mod support;

use std::collections::HashMap;
use std::time::Duration;

use docker::{docker, sleeper, until};
use nix::sys::signal::Signal;
use registries::{Image, PROXY, SmallDisk, cached, original, push, sent, tamper, until_proxy_gone};
use support::{POOL, System, vlan};
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::pools_client::PoolsClient;

const PATIENCE: Duration = Duration::from_secs(60);

/// The lab with a VLAN `v`; nothing, if it cannot be.
fn furnished(name: &str) -> Option<System> {
    if !registries::possible() {
        return None;
    }
    let system = System::up_docker(name)?;
    system.network(vlan("v"));
    Some(system)
}

/// The pool's nodes pull Docker Hub's images through the proxy from now on.
fn use_proxy(system: &System) {
    let registry_proxies = HashMap::from([("docker.io".to_owned(), format!("http://{PROXY}"))]);
    let request =
        v1::UpdatePoolRequest { name: POOL.to_owned(), registry_proxies, ..v1::UpdatePoolRequest::default() };
    let mut client = PoolsClient::new(system.channel.clone());
    system.runtime.block_on(client.update_pool(request)).unwrap();
}

/// Asks for a container of an image on a node, and does not wait for it.
fn begin(system: &System, name: &str, node: &str, image: &str) {
    let container = v1::Container { image: image.to_owned(), ..sleeper(name, &format!("v/{node}")) };
    system.try_create_as(container, false).unwrap();
}

/// Waits until a container's image is said to be missing for that reason.
fn until_missing(system: &System, name: &str, says: &str) {
    let mut last = None;
    let missing = || {
        let status = system.container(name).status.unwrap();
        let is_it = status.reason == "ImageMissing" && status.message.contains(says);
        last = Some(status);
        Ok(is_it.then_some(()))
    };
    let there = system.lab.wait_until(PATIENCE, &format!("{name} to miss its image: {says}"), missing);
    there.unwrap_or_else(|e| panic!("last: {last:?}\n{e:#}"));
}

/// Waits until a container runs: what failed is tried again after a minute at the latest.
fn until_runs(system: &System, name: &str) {
    let mut last = None;
    let runs = || {
        last = system.container(name).status;
        Ok(last.as_ref().is_some_and(|status| status.phase() == Phase::Ready).then_some(()))
    };
    let there = system.lab.wait_until(PATIENCE * 2, &format!("{name} to run"), runs);
    there.unwrap_or_else(|e| panic!("last: {last:?}\n{e:#}"));
}

#[test]
fn each_layer_crosses_the_uplink_once_and_is_there_without_the_upstream() {
    let Some(system) = furnished("rgo") else { return };
    let lab = &system.lab;
    let upstream = registries::upstream(lab);
    let [app, both] = ["library/app:1", "me/both:1"].map(|name| push(lab, name, 8 << 20));
    let _other = push(lab, "library/other:1", 1024);
    let _proxy = registries::proxy(lab);

    begin(&system, "first", "n1", "app:1");
    until_missing(&system, "first", "no registry proxy for docker.io");
    use_proxy(&system);
    until_runs(&system, "first");
    // Two nodes that pull at the same time, and one that has half of it.
    begin(&system, "left", "n1", "me/both:1");
    begin(&system, "right", "n2", "me/both:1");
    begin(&system, "second", "n2", "app:1");
    ["left", "right", "second"].iter().for_each(|name| until_runs(&system, name));
    let crossed = sent(&upstream);
    for (digest, size) in app.layers.iter().chain(&both.layers) {
        assert_eq!(crossed.get(digest), Some(&(*size, 1)), "{digest}: {crossed:?}");
    }
    // The user's name is the only one that is left.
    let names = docker(lab, "n2", &["images", "--format", "{{.Repository}}:{{.Tag}}"]).unwrap();
    assert!(
        names.contains("me/both:1") && names.contains("app:1") && !names.contains("127.0.0.1"),
        "{names}"
    );

    upstream.kill();
    begin(&system, "third", "n3", "app:1");
    until_runs(&system, "third");
    let by_digest = format!("me/both@{}", both.digest);
    begin(&system, "exact", "n3", &by_digest);
    until_runs(&system, "exact");
    begin(&system, "absent", "n3", "other:1");
    until_missing(&system, "absent", "nothing comes from http://127.0.0.1:5001");
    let _upstream = registries::upstream(lab);
    until_runs(&system, "absent");
    // The scheduler knows where an image is, by either name.
    for image in ["other:1", &by_digest] {
        let container = v1::Container { image: image.to_owned(), ..sleeper("free", "v") };
        let request = v1::PreviewContainerRequest {
            container: Some(v1::Container { pool: POOL.to_owned(), ..container }),
        };
        let mut client = v1::containers_client::ContainersClient::new(system.channel.clone());
        let preview = system.runtime.block_on(client.preview_container(request)).unwrap().into_inner();
        let score = |node: &str| {
            preview.candidates.iter().find(|candidate| candidate.node == node).unwrap().image_score
        };
        assert_eq!((score("n3"), score("n1") > 0), (50, false), "{image}: {preview:?}");
    }
}

#[test]
fn what_is_tampered_with_is_refused_and_fetched_anew() {
    let Some(system) = furnished("rgt") else { return };
    let lab = &system.lab;
    let upstream = registries::upstream(lab);
    let Image { layers, .. } = push(lab, "library/app:1", 1 << 20);
    let _proxy = registries::proxy(lab);
    use_proxy(&system);
    begin(&system, "first", "n1", "app:1");
    until_runs(&system, "first");
    upstream.kill();

    let (own, _) = &layers[1];
    tamper(&cached(lab, own));
    begin(&system, "second", "n2", "app:1");
    until_missing(&system, "second", "verification failed");
    let there = || Ok((!cached(lab, own).exists()).then_some(()));
    lab.wait_until(PATIENCE, "the wrong blob to be removed", there).unwrap();
    let images = docker(lab, "n2", &["images", "--format", "{{.Repository}}"]).unwrap();
    assert!(!images.contains("app"), "{images}");
    let upstream = registries::upstream(lab);
    until_runs(&system, "second");

    let nothing = format!("app@sha256:{}", "0".repeat(64));
    begin(&system, "nothing", "n1", &nothing);
    until_missing(&system, "nothing", "answers 404 Not Found");
    system.delete("nothing");

    // One whose layer is wrong at the upstream itself is not kept either.
    let wrong = push(lab, "library/wrong:1", 1 << 20);
    let (own, _) = &wrong.layers[1];
    tamper(&original(lab, own));
    begin(&system, "wrong", "n1", "wrong:1");
    until_missing(&system, "wrong", "verification failed");
    tamper(&original(lab, own));
    until_runs(&system, "wrong");

    // One that takes the question and says nothing.
    push(lab, "library/late:1", 1024);
    upstream.signal(Signal::SIGSTOP);
    begin(&system, "late", "n1", "late:1");
    until_missing(&system, "late", "no answer within 10 s");
    upstream.signal(Signal::SIGCONT);
    until_runs(&system, "late");
}

#[test]
fn on_a_full_disk_the_oldest_makes_way_and_that_there_is_none_is_said() {
    let Some(system) = furnished("rgd") else { return };
    let lab = &system.lab;
    let upstream = registries::upstream(lab);
    let names = ["a", "b", "c", "d", "late"];
    let images = names.map(|name| push(lab, &format!("library/{name}:1"), 12 << 20));
    // Each needs twice its size for a while, and 16 MiB stay free.
    let disk = SmallDisk::under_the_proxy(lab, 74);
    let proxy = registries::proxy(lab);
    use_proxy(&system);
    for name in &names[..4] {
        begin(&system, name, "n1", &format!("{name}:1"));
        until_runs(&system, name);
    }
    let is_cached = |image: &Image| cached(lab, &image.layers[1].0).exists();
    assert_eq!((is_cached(&images[0]), is_cached(&images[3])), (false, true));

    disk.fill();
    begin(&system, "late", "n2", "late:1");
    until_missing(&system, "late", "the disk of the registry proxy is full");
    disk.relieve();
    until_runs(&system, "late");
    upstream.kill();
    // Any other may have made way by now. This node has BusyBox, so that it asks for what came last alone.
    begin(&system, "again", "n1", "late:1");
    until_runs(&system, "again");
    proxy.kill();
    until_proxy_gone(lab);
}

#[test]
fn a_proxy_that_is_gone_is_named_until_it_is_back() {
    let Some(system) = furnished("rgp") else { return };
    let lab = &system.lab;
    let _upstream = registries::upstream(lab);
    push(lab, "library/app:1", 1 << 20);
    let proxy = registries::proxy(lab);
    use_proxy(&system);
    proxy.kill();
    // The registry ends with whom started it, so that its port is free.
    until_proxy_gone(lab);
    begin(&system, "app", "n1", "app:1");
    until_missing(&system, "app", "is not reached");
    let degraded = until(&system, "app", Phase::Degraded, "ImageMissing");
    assert!(degraded.message.contains(PROXY), "{}", degraded.message);
    let proxy = registries::proxy(lab);
    until_runs(&system, "app");

    // Its registry dies, and is there again.
    let registry = lab.exec("controller", ["pgrep", "--parent", &proxy.id().to_string()]).unwrap();
    lab.exec("controller", ["kill", "-9", registry.trim()]).unwrap();
    let again = || Ok(proxy.said().contains("the registry is started again").then_some(()));
    lab.wait_until(PATIENCE, "the registry to be started again", again).unwrap();
    begin(&system, "other", "n2", "app:1");
    until_runs(&system, "other");
    proxy.signal(Signal::SIGTERM);
    until_proxy_gone(lab);
}
