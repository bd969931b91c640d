//! The nodes' Dockers, and what of a container is there: in Docker, in Open vSwitch, in the controller.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use labs::Lab;
use weir_api::v1;
use weir_api::v1::container_status::Phase;

use crate::support::System;

/// The image that every node has.
pub(crate) const IMAGE: &str = "busybox";
const PATIENCE: Duration = Duration::from_secs(40);

/// `docker WORDS…` on a node.
pub(crate) fn docker(lab: &Lab, node: &str, words: &[&str]) -> anyhow::Result<String> {
    let client = ["docker", "--host", "unix:///run/docker.sock"];
    lab.exec(node, [&client[..], words].concat()).map(|said| said.trim().to_owned())
}

/// Waits until a node's Docker answers.
pub(crate) fn until_docker_answers(lab: &Lab, node: &str) {
    let answers = || Ok(docker(lab, node, &["version"]).ok());
    lab.wait_until(PATIENCE, &format!("the Docker of {node} to answer"), answers).unwrap();
}

/// Waits until the controller knows that Docker works on a node, or that it does not.
pub(crate) fn until_offered(system: &System, node: &str, works: bool) {
    let known = || {
        let nodes = system.nodes();
        let status = nodes.iter().find(|n| n.name == node).and_then(|n| n.status.as_ref()).unwrap();
        Ok((status.runtimes.iter().any(|runtime| runtime == "docker") == works).then_some(()))
    };
    system.lab.wait_until(PATIENCE, &format!("the controller to know of {node}'s Docker"), known).unwrap();
}

/// A container of the Docker runtime that sleeps and is started again whatever happens, in `NETWORK/NODE` or `NETWORK`.
pub(crate) fn sleeper(name: &str, network: &str) -> v1::Container {
    let restart = v1::RestartPolicy { mode: v1::restart_policy::Mode::Always.into(), max_retries: 0 };
    v1::Container { restart: Some(restart), ..job(name, network, &["sleep", "1d"]) }
}

/// A container of the Docker runtime that runs a command once.
pub(crate) fn job(name: &str, network: &str, command: &[&str]) -> v1::Container {
    let (network, node) = network.split_once('/').unwrap_or((network, ""));
    v1::Container {
        name: name.to_owned(),
        image: IMAGE.to_owned(),
        network: network.to_owned(),
        node: node.to_owned(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        // BusyBox's sleep hears of no polite request otherwise.
        stop_timeout_s: Some(1),
        ..v1::Container::default()
    }
}

/// Docker's ids and processes of a node's endpoints, by the endpoints' numbers; all that bear the label are there.
pub(crate) fn made(lab: &Lab, node: &str) -> BTreeMap<u32, Vec<String>> {
    let format = "{{.Label \"weir.endpoint\"}} {{.ID}}";
    let listed =
        docker(lab, node, &["ps", "--all", "--filter", "label=weir.endpoint", "--format", format]).unwrap();
    let mut made: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in listed.lines() {
        let (endpoint, id) = line.split_once(' ').unwrap();
        made.entry(endpoint.parse().unwrap()).or_default().push(id.to_owned());
    }
    made
}

/// The process of each Docker container of ours on a node, by the endpoint's number.
pub(crate) fn processes(lab: &Lab, node: &str) -> BTreeMap<u32, String> {
    let pid = |id: &str| docker(lab, node, &["inspect", "--format", "{{.State.Pid}}", id]).unwrap();
    made(lab, node).into_iter().map(|(endpoint, ids)| (endpoint, pid(&ids[0]))).collect()
}

/// Asserts that every container has exactly one port on its node, and one Docker container if Docker is its runtime, and
/// that there are no others.
pub(crate) fn assert_one_each(system: &System, when: &str) {
    let containers = system.containers();
    for node in system.nodes() {
        let here = || containers.iter().filter(|container| container.node == node.name);
        let ports = system.lab.node(&node.name).unwrap().vsctl(["list-ports", "br-int"]).unwrap();
        let mut ports: Vec<&str> = ports.lines().filter(|port| port.starts_with("we")).collect();
        let mut expected: Vec<String> = here().map(|c| format!("we{}", c.ofport)).collect();
        ports.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ports, expected, "ports on {} {when}", node.name);
        let ids: BTreeMap<u32, usize> =
            made(&system.lab, &node.name).into_iter().map(|(endpoint, ids)| (endpoint, ids.len())).collect();
        let expected: BTreeMap<u32, usize> =
            here().filter(|c| c.runtime == "docker").map(|c| (c.endpoint_id, 1)).collect();
        assert_eq!(ids, expected, "Docker containers on {} {when}", node.name);
    }
}

/// Waits until a container is in that phase for that reason, and gives back how it is.
pub(crate) fn until(system: &System, name: &str, phase: Phase, reason: &str) -> v1::ContainerStatus {
    let mut last = None;
    let there = system.lab.wait_until(PATIENCE, &format!("{name} to be {phase:?} {reason}"), || {
        let status = system.container(name).status.unwrap();
        last = Some(status.clone());
        Ok((status.phase() == phase && status.reason == reason).then_some(status))
    });
    there.unwrap_or_else(|e| panic!("last: {last:?}\n{e:#}"))
}

/// Deletes a container and asserts that nothing of it is left: neither in Docker nor in Open vSwitch nor its address.
pub(crate) fn assert_deletes(system: &System, name: &str) {
    let container = system.container(name);
    let used = |system: &System| -> u32 {
        system.network_now(&container.network).blocks.iter().map(|block| block.used).sum()
    };
    let before = used(system);
    system.delete(name);
    assert!(system.containers().iter().all(|c| c.name != name), "{name} is still listed");
    assert_eq!(used(system), before - 1, "the address of {name} is given back");
    let left = made(&system.lab, &container.node);
    assert!(!left.contains_key(&container.endpoint_id), "{name} is still in Docker: {left:?}");
    let ovs = system.lab.node(&container.node).unwrap();
    let ports = ovs.vsctl(["list-ports", "br-int"]).unwrap();
    let port = format!("we{}", container.ofport);
    assert!(!ports.lines().any(|line| line == port), "{name} still has its port: {ports}");
    let flows = ovs.dump_flows("br-int").unwrap();
    assert!(!flows.contains(&container.mac), "{name} still has flows:\n{flows}");
}
