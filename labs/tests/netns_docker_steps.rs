//! The agent killed between any two steps of a create and of a delete: before each request to Docker, each change of the
//! switch's database, each call of the network driver and each answer to one.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;
#[path = "support/tap.rs"]
mod tap;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use labs::{Daemon, Lab};
use support::{POOL, System, reaches, vlan};
use tap::{Trigger, tap};
use weir_api::v1;

/// The node whose agent is killed.
const NODE: &str = "n1";
/// No create or delete takes so many steps.
const TOO_MANY: usize = 60;

#[test]
fn an_agent_killed_before_any_step_leaves_nothing_wrong() {
    let name = "steps";
    let lab_name = format!("{name}-{}", std::process::id());
    let trigger = Trigger::new(move || {
        Lab::open(Some(&lab_name)).unwrap().kill(NODE, Daemon::WeirAgent).unwrap();
    });
    let lab_name = format!("{name}-{}", std::process::id());
    let Some(system) = System::up_docker_in(name, |topology, dir| {
        topology.nodes.iter_mut().for_each(|node| node.docker = node.name.as_str() == NODE);
        let beside = |name: &str| dir.parent().unwrap().join(name);
        let database = dir.join(NODE).join("ovs/db.sock");
        tap(&beside("ovsdb.sock"), move || Some(database.clone()), &trigger, (transaction, nothing));
        let docker = move || Some(run_of(&Lab::open(Some(&lab_name)).ok()?)?.join("docker.sock"));
        tap(&beside("docker.sock"), docker, &trigger, (request, nothing));
        let node = topology.nodes.iter_mut().find(|node| node.name.as_str() == NODE).unwrap();
        for (option, socket) in [("docker", "docker.sock"), ("docker-plugin", "plugin.sock")] {
            node.args.push(format!("--{option}={}", beside(socket).display()));
        }
        node.args.push(format!("--ovsdb=unix:{}", beside("ovsdb.sock").display()));
    }) else {
        return;
    };
    tap_driver(&system, &trigger);
    system.network(vlan("v"));
    let observer = system.create("observer", "v/n2");
    let clean = remains(&system);
    let (mut creating, mut deleting) = (true, true);
    for step in 0..TOO_MANY {
        let name = format!("c{step}");
        if creating {
            trigger.arm(step);
        }
        create(&system, &name);
        let container = system.until_ready(&name);
        let killed = trigger.disarm();
        println!("create, killed before step {step}: {}", killed.as_deref().unwrap_or("none was left"));
        creating = killed.is_some();
        assert!(reaches(&observer.place, container.address), "{name}\n{}", system.lab.dump());
        settled(&system);
        let there = [
            format!("container {name}.{POOL}.{} running", container.endpoint_id),
            format!("link we{}", container.ofport),
            format!("namespace weir-{}", container.endpoint_id),
            format!("port we{}", container.ofport),
        ];
        assert_eq!(without(&remains(&system), &clean), there, "{name}, killed before {killed:?}");

        if deleting {
            trigger.arm(step);
        }
        system.delete(&name);
        let killed = trigger.disarm();
        println!("delete, killed before step {step}: {}", killed.as_deref().unwrap_or("none was left"));
        deleting = killed.is_some();
        settled(&system);
        assert_eq!(remains(&system), clean, "{name}, killed before {killed:?}");
        if !creating && !deleting {
            assert!(step > 10, "a create and a delete take more than {step} steps");
            return;
        }
    }
    panic!("after {TOO_MANY} steps no end was reached");
}

/// The node's /run, seen from here; nothing, before the node is there.
fn run_of(lab: &Lab) -> Option<PathBuf> {
    let holder = lab.state().machine(NODE).ok()?.holder?.pid;
    Some(Path::new("/proc").join(holder.to_string()).join("root/run"))
}

/// Taps the network driver that Docker calls.
fn tap_driver(system: &System, trigger: &Arc<Trigger>) {
    let plugins = run_of(&system.lab).unwrap().join("docker/plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    let driver = system.lab.state().dir.parent().unwrap().join("plugin.sock");
    tap(&plugins.join("weir.sock"), move || Some(driver.clone()), trigger, (request, answer));
}

fn create(system: &System, name: &str) {
    let container = v1::Container {
        pool: POOL.to_owned(),
        name: name.to_owned(),
        network: "v".to_owned(),
        node: NODE.to_owned(),
        image: "busybox".to_owned(),
        command: vec!["sleep".to_owned(), "1d".to_owned()],
        stop_timeout_s: Some(1),
        ..Default::default()
    };
    // The agent may have been killed a moment ago.
    let created = || Ok(system.try_create_as(container.clone(), false).ok());
    system.lab.wait_until(Duration::from_secs(20), "the container to be accepted", created).unwrap();
}

/// Waits until the agent is there and has nothing left to do.
fn settled(system: &System) {
    let is_settled = || {
        let nodes = system.nodes();
        let node = nodes.iter().find(|node| node.name == NODE).and_then(|node| node.status.clone());
        let status = node.unwrap_or_default();
        let is_well = status.agent_connected && status.switch_connected && status.in_sync;
        Ok((is_well && status.problems.is_empty() && status.runtimes.len() == 2).then_some(()))
    };
    system.lab.wait_until(Duration::from_secs(30), "the node to be settled", is_settled).unwrap();
}

/// All that there is of endpoints on the node, a line each, in order.
fn remains(system: &System) -> Vec<String> {
    let run = |words: &[&str]| system.lab.exec(NODE, words).unwrap();
    let docker =
        ["docker", "-H", "unix:///run/docker.sock", "ps", "--all", "--format", "{{.Names}} {{.State}}"];
    let ports = system.lab.node(NODE).unwrap().vsctl(["list-ports", "br-int"]).unwrap();
    let links = run(&["ls", "/sys/class/net"]);
    let is_ours = |name: &&str| name.starts_with("we") || name.starts_with("wc");
    let mut all: Vec<String> = run(&docker).lines().map(|line| format!("container {line}")).collect();
    all.extend(links.lines().filter(is_ours).map(|link| format!("link {link}")));
    all.extend(run(&["ls", "/run/netns"]).lines().map(|name| format!("namespace {name}")));
    all.extend(ports.lines().filter(is_ours).map(|port| format!("port {port}")));
    all.sort();
    all
}

fn without(all: &[String], these: &[String]) -> Vec<String> {
    all.iter().filter(|line| !these.contains(line)).cloned().collect()
}

/// A request of HTTP that changes or looks up a container; not one that only watches.
fn request(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let watches = ["_ping", "/events", "/version", "/images"];
    let is_request = ["GET ", "POST ", "DELETE "].iter().any(|method| line.starts_with(method));
    (is_request && !watches.iter().any(|word| line.contains(word))).then(|| shortened(&line))
}

/// An answer of HTTP.
fn answer(bytes: &[u8]) -> Option<String> {
    bytes.starts_with(b"HTTP/").then(|| "the driver's answer".to_owned())
}

/// A change of the switch's database.
fn transaction(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.contains("\"transact\"").then(|| "a transaction with the database".to_owned())
}

fn nothing(_: &[u8]) -> Option<String> {
    None
}

/// A request without the container's long id.
fn shortened(line: &str) -> String {
    let words = line.split('/').map(|word| if word.len() >= 64 { "ID" } else { word });
    words.collect::<Vec<_>>().join("/").chars().take(60).collect()
}
