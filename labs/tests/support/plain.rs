//! Containers that somebody runs with Docker alone, and what the controller has of them.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use labs::Lab;
use weir_api::v1;
use weir_api::v1::container_status::Phase;

use crate::docker::{IMAGE, docker};
use crate::support::System;

const PATIENCE: Duration = Duration::from_secs(60);

/// A container as Docker shows it.
pub(crate) struct Plain {
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: String,
    pid: String,
}

impl Plain {
    /// One that runs, and is in one network.
    pub(crate) fn of(lab: &Lab, node: &str, name: &str) -> Plain {
        let format =
            "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}}";
        let shown = docker(lab, node, &["inspect", "--format", format, name]).unwrap();
        let words: Vec<&str> = shown.split(' ').collect();
        let [pid, address, mac] = words[..] else { panic!("{name}: {shown}") };
        Plain { address: address.parse().unwrap(), mac: mac.to_owned(), pid: pid.to_owned() }
    }
}

/// Makes a network of Docker's.
pub(crate) fn make_network(lab: &Lab, node: &str, name: &str, options: &[&str]) {
    let create = ["network", "create", "-d", "weir", "--ipam-driver", "weir"];
    let made = docker(lab, node, &[&create[..], options, &[name]].concat());
    assert!(made.is_ok(), "{name}: {made:?}\n{}", lab.dump());
}

/// Runs a container that sleeps.
pub(crate) fn run(lab: &Lab, node: &str, name: &str, options: &[&str]) -> Plain {
    let words = [&["run", "--detach", "--name", name], options, &[IMAGE, "sleep", "1d"]].concat();
    docker(lab, node, &words).unwrap_or_else(|e| panic!("{name}: {e:#}\n{}", lab.dump()));
    Plain::of(lab, node, name)
}

/// Runs a container that sleeps, with a MAC address of its own; else what Docker says. Docker's newer clients do not ask an
/// older daemon for that.
pub(crate) fn run_as(lab: &Lab, node: &str, name: &str, mac: &str) -> anyhow::Result<Plain> {
    let root = format!("/proc/{}/root", lab.state().machine(node)?.holder.unwrap().pid);
    let body = format!(
        r#"{{"Image":"{IMAGE}","Cmd":["sleep","1d"],"MacAddress":"{mac}","HostConfig":{{"NetworkMode":"net"}}}}"#
    );
    let mut socket = UnixStream::connect(format!("{root}/run/docker.sock"))?;
    let head = format!("POST /v1.41/containers/create?name={name} HTTP/1.0\r\nHost: docker");
    write!(
        socket,
        "{head}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    assert!(answer.contains(" 201 "), "{answer}");
    docker(lab, node, &["start", name])?;
    Ok(Plain::of(lab, node, name))
}

/// What Docker says to a container that cannot be run.
pub(crate) fn refusal(lab: &Lab, node: &str, options: &[&str]) -> String {
    let words = [&["run", "--rm"], options, &[IMAGE, "true"]].concat();
    docker(lab, node, &words).unwrap_err().to_string()
}

/// Whether a container gets an answer to the one packet it sends.
pub(crate) fn pings(lab: &Lab, node: &str, name: &str, to: Ipv4Addr) -> bool {
    docker(lab, node, &["exec", name, "ping", "-c", "1", "-W", "2", &to.to_string()]).is_ok()
}

/// Kills a container's process behind Docker's back.
pub(crate) fn kill(plain: &Plain) {
    assert!(Command::new("kill").args(["-9", &plain.pid]).status().unwrap().success());
}

/// What the controller has of a node's own Docker.
pub(crate) fn records(system: &System, node: &str) -> Vec<v1::Container> {
    let is_its = |c: &v1::Container| c.node == node && c.runtime == "docker-plain";
    system.containers().into_iter().filter(is_its).collect()
}

/// Waits until the controller has an endpoint at that address on a node, in that phase, of which it says so much.
pub(crate) fn until_record(
    system: &System,
    node: &str,
    address: Ipv4Addr,
    phase: Phase,
    says: &str,
) -> v1::Container {
    let mut last = Vec::new();
    let there = system.lab.wait_until(PATIENCE, &format!("{address} to be {phase:?}, {says}"), || {
        last = records(system, node);
        let is_it = |record: &&v1::Container| {
            let status = record.status.clone().unwrap_or_default();
            record.address == address.to_string() && status.phase() == phase && status.message.contains(says)
        };
        Ok(last.iter().find(is_it).cloned())
    });
    there.unwrap_or_else(|e| panic!("last: {last:?}\n{e:#}"))
}

/// Waits until nothing is left of any node's own Docker: no record, no address, no port.
pub(crate) fn until_clean(system: &System) {
    let is_clean = || {
        let containers = system.containers();
        if containers.iter().any(|container| container.runtime == "docker-plain") {
            return Ok(None);
        }
        for node in system.nodes() {
            let n_here = containers.iter().filter(|container| container.node == node.name).count();
            let ports = system.lab.node(&node.name)?.vsctl(["list-ports", "br-int"])?;
            let links = system.lab.exec(&node.name, ["ip", "-o", "link"])?;
            let n_links = links.lines().filter(|line| line.contains("weir endpoint")).count();
            if ports.lines().filter(|port| port.starts_with("we")).count() != n_here || n_links > n_here {
                return Ok(None);
            }
        }
        Ok(Some(()))
    };
    let clean = system.lab.wait_until(PATIENCE, "nothing to be left of Docker's own containers", is_clean);
    clean.unwrap_or_else(|e| panic!("{:?}\n{e:#}", system.containers()));
    let used: u32 =
        ["v", "x"].iter().flat_map(|name| system.network_now(name).blocks).map(|block| block.used).sum();
    assert_eq!(used as usize, system.containers().len(), "addresses in use");
}
