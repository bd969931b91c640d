//! Docker's daemons die, alone and with all others: its containers do not, and all is as it should be afterwards.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::process::Command;
use std::thread;
use std::time::Duration;

use docker::{
    assert_deletes, assert_one_each, processes, sleeper, until, until_docker_answers, until_offered,
};
use labs::Daemon;
use support::{System, reaches, vlan, vxlan};
use traffic::{Pairs, settled};
use weir_api::v1::container_status::Phase;

/// All daemons of a node that has Docker, but for containerd, and the controller.
const DOCKER_FIRST: [(&str, Daemon); 5] = [
    ("n1", Daemon::Dockerd),
    ("n1", Daemon::OvsdbServer),
    ("n1", Daemon::OvsVswitchd),
    ("controller", Daemon::WeirController),
    ("n1", Daemon::WeirAgent),
];
const DOCKER_LAST: [(&str, Daemon); 5] = [
    ("n1", Daemon::OvsdbServer),
    ("n1", Daemon::OvsVswitchd),
    ("n1", Daemon::WeirAgent),
    ("controller", Daemon::WeirController),
    ("n1", Daemon::Dockerd),
];

/// Docker containers on two nodes, and one network namespace, that talk to each other.
fn pairs(system: &System) -> Pairs {
    system.network(vlan("v"));
    system.network(vxlan("x", "10.209.164.0/22"));
    let docker = |name, network| system.create_as(sleeper(name, network));
    let pairs = Pairs {
        vlan: [docker("v1", "v/n1"), docker("v2", "v/n2")],
        vxlan: [system.create("x1", "x/n1"), docker("x2", "x/n2")],
    };
    pairs.wait_until_reached(system);
    settled(system);
    pairs
}

#[test]
fn dockers_daemons_are_not_missed_by_what_runs() {
    let Some(system) = System::up_docker("ddd") else { return };
    let pairs = pairs(&system);
    let before = ["n1", "n2"].map(|node| processes(&system.lab, node));
    for (what, victims) in [
        ("dockerd killed", &[Daemon::Dockerd][..]),
        ("dockerd and containerd killed", &[Daemon::Dockerd, Daemon::Containerd]),
    ] {
        let traffic = pairs.traffic();
        thread::scope(|scope| {
            for (node, victim) in
                ["n1", "n2"].into_iter().flat_map(|node| victims.iter().map(move |v| (node, v)))
            {
                let lab = &system.lab;
                scope.spawn(move || lab.kill(node, *victim).unwrap());
            }
        });
        ["n1", "n2"].iter().for_each(|node| until_docker_answers(&system.lab, node));
        settled(&system);
        traffic.go_on(200);
        traffic.assert_nothing_lost(what);
        assert_one_each(&system, what);
        assert_eq!(
            ["n1", "n2"].map(|node| processes(&system.lab, node)),
            before,
            "{what}: the same processes"
        );
        until_offered(&system, "n1", true);
        let later = system.create_as(sleeper("later", "v/n1"));
        assert!(reaches(&pairs.vlan[1].place, later.address), "{what}");
        assert_deletes(&system, "later");
    }
}

#[test]
fn everything_stopped_comes_back_whether_docker_is_first_or_last() {
    let Some(system) = System::up_docker("ddo") else { return };
    let pairs = pairs(&system);
    let before = processes(&system.lab, "n1");
    for (what, order) in [("dockerd first", DOCKER_FIRST), ("dockerd last", DOCKER_LAST)] {
        let traffic = pairs.traffic();
        for (machine, daemon) in order {
            system.lab.stop(machine, daemon).unwrap();
        }
        for (machine, daemon) in order {
            if what == "dockerd last" && daemon == Daemon::Dockerd {
                // What runs does not wait for it.
                traffic.go_on(100);
            }
            system.lab.start(machine, daemon).unwrap();
        }
        until_docker_answers(&system.lab, "n1");
        traffic.go_on(200);
        traffic.stop(&format!("everything stopped and started, {what}"));
        settled(&system);
        assert_one_each(&system, what);
        assert_eq!(processes(&system.lab, "n1"), before, "{what}: the same processes");
        until_offered(&system, "n1", true);
        let later = system.create_as(sleeper("later", "v/n1"));
        assert!(reaches(&pairs.vlan[1].place, later.address), "{what}");
        assert_deletes(&system, "later");
    }
}

#[test]
fn what_is_asked_for_while_docker_is_dead_is_done_when_it_is_back() {
    let Some(system) = System::up_docker("ddw") else { return };
    system.network(vlan("v"));
    for name in ["stays", "goes"] {
        system.create_as(sleeper(name, "v/n1"));
    }
    let process = processes(&system.lab, "n1").remove(&system.container("stays").endpoint_id).unwrap();
    let far = system.create("far", "v/n2");
    system.lab.stop("n1", Daemon::Dockerd).unwrap();
    // Until the agent has noticed, the node still counts as one that has Docker.
    let made = system.try_create_as(sleeper("comes", "v/n1"), false);
    system.begin_delete("goes");
    let deleting = until(&system, "goes", Phase::Deleting, "RuntimeUnreachable");
    assert!(deleting.message.contains("Docker"), "{}", deleting.message);
    match &made {
        Ok(_) => {
            let waiting = until(&system, "comes", Phase::Degraded, "RuntimeUnreachable");
            assert!(waiting.message.contains("Docker"), "{}", waiting.message);
        }
        Err(refused) => assert!(refused.message().contains("docker"), "{}", refused.message()),
    }
    // A node without Docker is given no container of Docker's, but namespaces.
    until_offered(&system, "n1", false);
    let refused = system.try_create_as(sleeper("never", "v/n1"), false).unwrap_err();
    assert!(
        refused.message().contains("n1") && refused.message().contains("docker"),
        "{}",
        refused.message()
    );
    let bare = system.create("bare", "v/n1");
    let stays = system.until_ready("stays");
    assert!(reaches(&far.place, stays.address) && reaches(&far.place, bare.address));
    // One that ends meanwhile is started again as its policy says.
    let killed = Command::new("kill").args(["-9", &process]).status().unwrap();
    assert!(killed.success());

    system.lab.start("n1", Daemon::Dockerd).unwrap();
    let gone = || Ok(system.containers().iter().all(|c| c.name != "goes").then_some(()));
    system.lab.wait_until(Duration::from_secs(30), "goes to be gone", gone).unwrap();
    let comes = match made {
        Ok(_) => system.until_ready("comes"),
        Err(_) => {
            until_offered(&system, "n1", true);
            system.create_as(sleeper("comes", "v/n1"))
        }
    };
    let again = || {
        let now = processes(&system.lab, "n1").remove(&stays.endpoint_id).unwrap();
        Ok((now != process && now != "0").then_some(()))
    };
    system.lab.wait_until(Duration::from_secs(30), "stays to be started again", again).unwrap();
    settled(&system);
    let stays = system.until_ready("stays");
    assert!(reaches(&far.place, stays.address) && reaches(&far.place, comes.address));
    assert_one_each(&system, "with dockerd back");
}
