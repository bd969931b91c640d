//! Nodes that are emptied while their containers are asked for pages, and nodes that are given nothing more.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/load.rs"]
mod load;
mod support;
#[path = "support/watch.rs"]
mod watch;

use std::time::{Duration, Instant};

use load::Load;
use support::{System, vlan};
use watch::Watch;
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::node::Scheduling::{Active, Cordoned, Draining};

const PATIENCE: Duration = Duration::from_secs(40);
const SERVICE: [&str; 2] = ["web1", "web2"];

#[test]
fn draining_a_service_of_two_fails_no_request_there_and_back() {
    let Some(system) = System::up_docker("drain") else { return };
    system.network(vlan("myvlan"));
    let addresses =
        system.with_only("n1", || SERVICE.map(|name| system.serve_page(name, "myvlan", "web").address));
    let client = system.create("client", "myvlan/n3");
    let loads = [("client", client.place.clone()), ("gw", system.place("gw"))]
        .map(|(who, from)| Load::start(who, &from, &addresses));

    for (what, from) in [("n1 drained", &["n1"][..]), ("n2 and n3 drained", &["n2", "n3"])] {
        let (watch, since) = (Watch::start(&system), Instant::now());
        loads.iter().for_each(|load| load.go_on(50));
        let begun = Instant::now();
        from.iter().for_each(|node| system.schedule(node, Draining));
        until_elsewhere(&system, from);
        println!("{what}: empty after {:.3} s", begun.elapsed().as_secs_f64());
        from.iter().for_each(|node| drop(system.until_told(&format!("node/{node}"), "Drained")));
        let (least, arrivals) = watch.readiness(&SERVICE);
        assert_eq!((least, arrivals), (1, 2), "{what}: one ready at any time, and each once anew");
        loads.iter().for_each(|load| load.go_on(100));
        for load in &loads {
            let tally = load.since(since);
            load.tell(what, &tally);
            assert!(tally.failed.is_empty(), "{what}: {tally:?}");
            assert_eq!(tally.pages.len(), 4, "{what}: each of the service before and after: {tally:?}");
        }
        assert_eq!(SERVICE.map(|name| system.until_ready(name).address), addresses);
        // The client was told to be on n3.
        assert_eq!(
            (system.container("client").node.as_str(), phase(&system, "client")),
            ("n3", Phase::Ready)
        );
        if from.contains(&"n3") {
            let problems = system.node("n3").status.unwrap().problems;
            println!("{what}: {problems:?}");
            assert!(problems.iter().any(|p| p.contains("`client`") && p.contains("--node")), "{problems:?}");
        }
        from.iter().for_each(|node| system.schedule(node, Active));
    }
    assert_eq!(SERVICE.map(|name| system.container(name).node), ["n1", "n1"]);
    assert_eq!(system.node("n3").status.unwrap().problems, [] as [String; 0]);
}

#[test]
fn a_cordoned_node_keeps_what_it_has_and_is_given_nothing() {
    let Some(system) = System::up("cordon") else { return };
    system.network(vlan("myvlan"));
    let kept = system.with_only("n1", || system.create("kept", "myvlan"));
    assert_eq!(kept.node, "n1");
    // The scheduler spreads: without the cordon some of these would be there.
    system.schedule("n1", Cordoned);
    let nodes = |from: u32| {
        (from..from + 6).map(|n| system.create(&format!("c{n}"), "myvlan").node).collect::<Vec<_>>()
    };
    let given = nodes(0);
    assert!(!given.contains(&"n1".to_owned()), "{given:?}");
    assert_eq!((system.container("kept").node.as_str(), phase(&system, "kept")), ("n1", Phase::Ready));
    system.schedule("n1", Active);
    let given = nodes(6);
    assert!(given.contains(&"n1".to_owned()), "{given:?}");
}

/// Waits until the service is ready elsewhere.
fn until_elsewhere(system: &System, from: &[&str]) {
    let is_elsewhere = |container: &v1::Container| {
        let ready = container.status.as_ref().is_some_and(|status| status.phase() == Phase::Ready);
        ready && !from.contains(&container.node.as_str())
    };
    let all = || {
        let service = system.containers().into_iter().filter(|container| container.service == "web");
        Ok((service.filter(is_elsewhere).count() == SERVICE.len()).then_some(()))
    };
    system.lab.wait_until(PATIENCE, "the service to be ready elsewhere", all).unwrap();
}

fn phase(system: &System, name: &str) -> Phase {
    system.container(name).status.unwrap().phase()
}
