//! Docker hangs, loses its socket, or is killed amid its work: what does not need it waits for nothing, and nothing is
//! made twice or left behind.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::time::{Duration, Instant};
use std::{fs, iter};

use docker::{assert_deletes, assert_one_each, sleeper, until, until_docker_answers, until_offered};
use labs::protocol::Phase as Daemons;
use labs::{Daemon, Lab};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{System, reaches, vlan};
use traffic::settled;
use weir_api::v1::container_status::Phase;

/// Docker's requests wait ten seconds and more for an answer: what takes less has not waited for one.
const UNDELAYED: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(60);

/// A lab of one node with Docker, and a network.
fn one_node(name: &str) -> Option<System> {
    let system = System::up_docker_with(name, |topology| topology.nodes.truncate(1))?;
    system.network(vlan("v"));
    Some(system)
}

/// Sends a signal to n1's dockerd.
fn signal(lab: &Lab, signal: Signal) {
    let daemons = lab.status().unwrap().daemons;
    let dockerd = daemons.into_iter().find(|d| d.machine == "n1" && d.daemon == Daemon::Dockerd).unwrap();
    let Daemons::Running(pid) = dockerd.phase else { panic!("dockerd is {:?}", dockerd.phase) };
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// How many containers Docker has written down on n1, whether it runs or not.
fn written(lab: &Lab) -> usize {
    fs::read_dir(lab.state().machine_dir("n1").join("docker/containers")).map_or(0, iter::Iterator::count)
}

fn until_gone(system: &System, names: &[String]) {
    let gone = || Ok(system.containers().iter().all(|c| !names.contains(&c.name)).then_some(()));
    system.lab.wait_until(PATIENCE, "all that was deleted to be gone", gone).unwrap();
}

#[test]
fn a_docker_that_hangs_holds_up_its_own_containers_only() {
    let Some(system) = one_node("dha") else { return };
    system.create_as(sleeper("goes", "v"));
    let stays = system.create_as(sleeper("stays", "v"));
    let bare = system.create("bare", "v");
    signal(&system.lab, Signal::SIGSTOP);
    // As many as there are jobs at a time, and more.
    let names: Vec<String> = (0..10).map(|n| format!("comes{n}")).collect();
    system.begin_delete("goes");
    for name in &names {
        system.try_create_as(sleeper(name, "v"), false).unwrap();
    }
    for n in 0..3 {
        let name = format!("quick{n}");
        let begun = Instant::now();
        let quick = system.create(&name, "v");
        assert!(reaches(&bare.place, quick.address) && reaches(&bare.place, stays.address));
        system.delete(&name);
        let took = begun.elapsed();
        eprintln!("a namespace was made and deleted beside a Docker that hangs in {took:.1?}");
        assert!(took < UNDELAYED, "{took:?}");
    }
    let silent = until(&system, "comes0", Phase::Degraded, "RuntimeUnreachable");
    assert!(silent.message.contains("not answered"), "{}", silent.message);
    let silent = until(&system, "goes", Phase::Deleting, "RuntimeUnreachable");
    assert!(silent.message.contains("not answered"), "{}", silent.message);
    system.until_ready("stays");
    signal(&system.lab, Signal::SIGCONT);
    for name in &names {
        until(&system, name, Phase::Ready, "");
    }
    until_gone(&system, &["goes".to_owned()]);
    settled(&system);
    assert_one_each(&system, "after dockerd hung");
}

#[test]
fn a_socket_that_is_removed_is_missed_until_dockerd_is_started_again() {
    let Some(system) = one_node("dso") else { return };
    system.create_as(sleeper("goes", "v"));
    system.create_as(sleeper("stays", "v"));
    system.lab.exec("n1", ["rm", "/run/docker.sock"]).unwrap();
    system.try_create_as(sleeper("comes", "v"), false).unwrap();
    let missing = until(&system, "comes", Phase::Degraded, "RuntimeUnreachable");
    assert!(missing.message.contains("/run/docker.sock"), "{}", missing.message);
    system.until_ready("stays");
    system.lab.kill("n1", Daemon::Dockerd).unwrap();
    until_docker_answers(&system.lab, "n1");
    until(&system, "comes", Phase::Ready, "");
    settled(&system);
    assert_one_each(&system, "with a new socket");
    ["comes", "goes", "stays"].iter().for_each(|name| assert_deletes(&system, name));
}

#[test]
fn a_docker_that_is_killed_amid_creates_and_deletes_ends_with_what_was_asked_for() {
    let Some(system) = one_node("dmi") else { return };
    for quota in [1, 4, 8] {
        let names: Vec<String> = (0..8).map(|n| format!("c{quota}-{n}")).collect();
        until_offered(&system, "n1", true);
        // A Docker that was killed leaves folders of containers that it does not know any more.
        let stale = written(&system.lab);
        for name in &names {
            system.try_create_as(sleeper(name, "v"), false).unwrap();
        }
        let enough = || Ok((written(&system.lab) >= stale + quota).then_some(()));
        system.lab.wait_until(PATIENCE, "some to be made", enough).unwrap();
        system.lab.kill("n1", Daemon::Dockerd).unwrap();
        for name in &names {
            until(&system, name, Phase::Ready, "");
        }
        settled(&system);
        assert_one_each(&system, &format!("after a kill when {quota} of 8 were made"));
        let there = written(&system.lab);
        names.iter().for_each(|name| system.begin_delete(name));
        let enough = || Ok((written(&system.lab) <= there - quota).then_some(()));
        system.lab.wait_until(PATIENCE, "some to be removed", enough).unwrap();
        system.lab.kill("n1", Daemon::Dockerd).unwrap();
        until_docker_answers(&system.lab, "n1");
        until_gone(&system, &names);
        assert_one_each(&system, &format!("after a kill when {quota} of 8 were removed"));
        let used: u32 = system.network_now("v").blocks.iter().map(|block| block.used).sum();
        assert_eq!(used, 0);
    }
}
