//! Containers that somebody runs with Docker alone, in networks of Weir's: what they are given, what is refused, and what
//! is left of them after all deaths.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
#[path = "support/plain.rs"]
mod plain;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::fs;
use std::time::{Duration, Instant};

use docker::{IMAGE, docker, sleeper, until_docker_answers};
use labs::Daemon;
use labs::ping::Ping;
use plain::{Plain, make_network, pings, records, refusal, run, until_clean, until_record};
use support::{System, reaches, vlan, vxlan};
use traffic::settled;
use weir_api::v1::container_status::Phase;

const PATIENCE: Duration = Duration::from_secs(40);
/// What the agent keeps for each network unless it is told otherwise.
const RESERVE: usize = 2;

/// The lab with a VLAN `v` and a VXLAN `x`.
fn furnished(name: &str) -> Option<System> {
    let system = System::up_docker(name)?;
    system.network(vlan("v"));
    system.network(vxlan("x", "10.77.0.0/24"));
    Some(system)
}

#[test]
fn plain_containers_join_a_network_and_reach_weirs_on_all_nodes() {
    let Some(system) = furnished("dpj") else { return };
    let lab = &system.lab;
    let (far, own) = (system.create("far", "v/n2"), system.create_as(sleeper("own", "v/n1")));
    // Each host has a network of that name: both are the one of Weir's.
    ["n1", "n2"].iter().for_each(|node| make_network(lab, node, "net", &["-o", "network=v"]));
    let (web, other) = (run(lab, "n1", "web", &["--net", "net"]), run(lab, "n2", "other", &["--net", "net"]));
    for to in [far.address, own.address, other.address, [10, 209, 164, 1].into()] {
        assert!(pings(lab, "n1", "web", to), "web does not reach {to}");
    }
    for from in [&far, &own] {
        assert!(reaches(&from.place, web.address), "{} does not reach web", from.name);
    }
    // Its first instruction finds the network.
    let target = far.address.to_string();
    docker(lab, "n1", &["run", "--rm", "--net", "net", IMAGE, "ping", "-c", "1", "-W", "1", &target])
        .unwrap();

    // What Docker has is what the controller gave.
    let record = until_record(&system, "n1", web.address, Phase::Ready, "web (");
    assert_eq!((record.runtime.as_str(), &record.mac), ("docker-plain", &web.mac));
    let port = lab.node("n1").unwrap().vsctl(["get", "Interface", &format!("we{}", record.ofport), "ofport"]);
    assert_eq!(port.unwrap().trim(), record.ofport.to_string());
    // The gateway knows it by its node's one address.
    assert!(reaches(&system.place("gw"), web.address));
    let known = system.place("gw").run(["ip", "neigh", "show", &web.address.to_string()]).unwrap();
    let nat_mac = &system.nodes()[0].nat_mac;
    assert!(known.contains(nat_mac) && !known.contains(&web.mac), "{known}");

    make_network(lab, "n1", "xnet", &["-o", "network=x"]);
    let (tunnelled, _) = (run(lab, "n1", "tunnelled", &["--net", "xnet"]), system.create("xfar", "x/n3"));
    assert!(reaches(&system.until_ready("xfar").place, tunnelled.address));
    let link = docker(lab, "n1", &["exec", "tunnelled", "cat", "/sys/class/net/eth0/mtu"]).unwrap();
    assert_eq!(link, "1450");
    let routes = docker(lab, "n1", &["exec", "tunnelled", "ip", "route"]).unwrap();
    assert!(!routes.contains("default"), "that network has no gateway: {routes}");

    // Two networks at one container, and one less.
    docker(lab, "n1", &["network", "connect", "xnet", "web"]).unwrap();
    let xfar = system.until_ready("xfar");
    assert!(pings(lab, "n1", "web", xfar.address) && pings(lab, "n1", "web", far.address));
    docker(lab, "n1", &["network", "disconnect", "net", "web"]).unwrap();
    assert!(pings(lab, "n1", "web", xfar.address));
    assert!(!reaches(&far.place, web.address), "it has left");
    let refused = docker(lab, "n1", &["network", "rm", "xnet"]).unwrap_err().to_string();
    assert!(refused.contains("active endpoints"), "{refused}");

    docker(lab, "n1", &["rm", "--force", "web", "tunnelled"]).unwrap();
    docker(lab, "n2", &["rm", "--force", "other"]).unwrap();
    docker(lab, "n1", &["network", "rm", "net", "xnet"]).unwrap();
    docker(lab, "n2", &["network", "rm", "net"]).unwrap();
    until_clean(&system);
    assert!(reaches(&far.place, own.address));
}

#[test]
fn what_a_user_may_ask_for_is_had_or_refused_with_the_reason() {
    let Some(system) = furnished("dpo") else { return };
    let lab = &system.lab;
    let far = system.create("far", "v/n2");
    let weir = ["-d", "weir", "--ipam-driver", "weir", "-o", "network=v"];
    let plus = |more: &[&'static str]| [&weir[..], more].concat();
    for (options, why) in [
        (vec!["-d", "weir", "--ipam-driver", "weir"], "add `-o network=NAME`"),
        (vec!["-d", "weir", "-o", "network=v"], "add `--ipam-driver weir`"),
        (vec!["-d", "weir", "--ipam-driver", "weir", "-o", "network=nowhere"], "nowhere"),
        (plus(&["-o", "mtu=9000"]), "no option `mtu`"),
        (plus(&["--ipam-opt", "network=v"]), "no option `network`"),
        (plus(&["--internal"]), "--internal"),
        (plus(&["--subnet", "10.9.0.0/16"]), "give 10.209.164.0/22"),
        (plus(&["--subnet", "10.209.164.0/22", "--gateway", "10.209.164.2"]), "10.209.164.1"),
        (plus(&["--subnet", "10.209.164.0/22", "--ip-range", "10.209.165.0/24"]), "--ip-range"),
        (plus(&["--subnet", "10.209.164.0/22", "--aux-address", "a=10.209.164.9"]), "--aux-address"),
        (plus(&["--ipv6", "--subnet", "fd00::/64"]), "no IPv6"),
    ] {
        let refused = docker(lab, "n1", &[&["network", "create"], &options[..], &["bad"]].concat());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(why), "{options:?}: {refused}");
    }
    until_clean(&system);

    let subnet = ["-o", "network=v", "--subnet", "10.209.164.0/22", "--gateway", "10.209.164.1"];
    make_network(lab, "n1", "net", &subnet);
    let fixed = run(lab, "n1", "fixed", &["--net", "net", "--ip", "10.209.166.77"]);
    assert_eq!(fixed.address.to_string(), "10.209.166.77");
    assert!(reaches(&far.place, fixed.address));
    let known = plain::run_as(lab, "n1", "known", "02:11:22:33:44:55").unwrap();
    assert_eq!(known.mac, "02:11:22:33:44:55");
    assert!(reaches(&far.place, known.address), "it answers with the address it asked for");
    until_record(&system, "n1", known.address, Phase::Ready, "known (");
    let nat_mac = system.nodes()[1].nat_mac.clone();
    let taken = far.address.to_string();
    for (options, why) in [
        (vec!["--ip", "10.209.166.77"], "in use by Docker's container fixed"),
        (vec!["--ip", &taken], "by the container `far`"),
        (vec!["--ip", "10.209.164.1"], "gateway"),
        (vec!["--publish", "80:80"], "leave -p out"),
        (vec!["--entrypoint", "/nosuch"], "nosuch"),
    ] {
        let refused = refusal(lab, "n1", &[&["--net", "net"], &options[..]].concat());
        assert!(refused.contains(why), "{options:?}: {refused}");
    }
    for (mac, why) in [("02:00:00:00:00:fe", "cannot be had"), (&nat_mac, "the node `n2` shows it")] {
        let refused = plain::run_as(lab, "n1", "refused", mac).map(drop).unwrap_err().to_string();
        assert!(refused.contains(why), "{mac}: {refused}");
        docker(lab, "n1", &["rm", "refused"]).unwrap();
    }
    // What was asked for stays with the container over a restart.
    docker(lab, "n1", &["restart", "--time", "0", "fixed"]).unwrap();
    assert!(reaches(&far.place, fixed.address));
    docker(lab, "n1", &["stop", "--time", "0", "fixed"]).unwrap();
    docker(lab, "n1", &["start", "fixed"]).unwrap();
    assert!(reaches(&far.place, fixed.address));

    // Several at once, more than there are in reserve.
    let names: Vec<String> = (0..6).map(|n| format!("many{n}")).collect();
    let many: Vec<Plain> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            names.iter().map(|name| scope.spawn(|| run(lab, "n1", name, &["--net", "net"]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(many.iter().all(|one| reaches(&far.place, one.address)));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    docker(lab, "n1", &[&["rm", "--force", "fixed", "known"], &names[..]].concat()).unwrap();
    docker(lab, "n1", &["network", "rm", "net"]).unwrap();
    until_clean(&system);
}

#[test]
fn with_the_controller_down_containers_start_from_the_reserve_and_others_are_told_at_once() {
    let Some(system) = furnished("dpc") else { return };
    let lab = &system.lab;
    let far = system.create("far", "v/n2");
    make_network(lab, "n1", "net", &["-o", "network=v"]);
    lab.wait_until(PATIENCE, "the reserve", || Ok((records(&system, "n1").len() == RESERVE).then_some(())))
        .unwrap();
    settled(&system);
    lab.stop("controller", Daemon::WeirController).unwrap();
    let (one, two) = (run(lab, "n1", "one", &["--net", "net"]), run(lab, "n1", "two", &["--net", "net"]));
    assert!(pings(lab, "n1", "one", far.address) && pings(lab, "n1", "two", far.address));
    let before = Instant::now();
    let refused = refusal(lab, "n1", &["--net", "net"]);
    assert!(refused.contains("the controller is not reached"), "{refused}");
    assert!(before.elapsed() < Duration::from_secs(3), "{:?}", before.elapsed());
    // A stop and a start need nobody; nor does an agent that starts anew.
    docker(lab, "n1", &["stop", "--time", "0", "one"]).unwrap();
    lab.kill("n1", Daemon::WeirAgent).unwrap();
    docker(lab, "n1", &["start", "one"]).unwrap();
    let again = Plain::of(lab, "n1", "one");
    assert_eq!((again.address, &again.mac), (one.address, &one.mac), "there was no other");
    assert!(reaches(&far.place, one.address) && reaches(&far.place, two.address));

    lab.start("controller", Daemon::WeirController).unwrap();
    settled(&system);
    let three = run(lab, "n1", "three", &["--net", "net"]);
    assert!(reaches(&far.place, three.address));
    docker(lab, "n1", &["rm", "--force", "one", "two", "three"]).unwrap();
    docker(lab, "n1", &["network", "rm", "net"]).unwrap();
    until_clean(&system);
}

#[test]
fn all_orders_of_death_and_return_leave_what_runs_and_nothing_else() {
    let Some(system) = furnished("dpd") else { return };
    let lab = &system.lab;
    let far = system.create("far", "v/n2");
    make_network(lab, "n1", "net", &["-o", "network=v"]);
    let web = run(lab, "n1", "web", &["--net", "net"]);
    until_record(&system, "n1", web.address, Phase::Ready, "web (");
    let (d, a, c) =
        (("n1", Daemon::Dockerd), ("n1", Daemon::WeirAgent), ("controller", Daemon::WeirController));
    for (number, order) in
        [[d, a, c], [d, c, a], [a, d, c], [a, c, d], [c, a, d], [c, d, a]].iter().enumerate()
    {
        let traffic = Ping::start(&far.place, &web.address.to_string()).unwrap();
        traffic.wait_for_replies(20, PATIENCE).unwrap();
        if number % 2 == 0 {
            order.iter().for_each(|(machine, daemon)| lab.kill(machine, *daemon).unwrap());
        } else {
            order.iter().for_each(|(machine, daemon)| lab.stop(machine, *daemon).unwrap());
            order.iter().for_each(|(machine, daemon)| lab.start(machine, *daemon).unwrap());
        }
        until_docker_answers(lab, "n1");
        traffic.wait_for_replies(100, PATIENCE).unwrap();
        let report = traffic.stop().unwrap();
        assert!(report.lost.is_empty(), "{order:?}: {report:?}");
        let now = Plain::of(lab, "n1", "web");
        assert_eq!((now.address, &now.mac), (web.address, &web.mac), "{order:?}");
        let later = run(lab, "n1", "later", &["--net", "net"]);
        assert!(reaches(&far.place, later.address), "{order:?}");
        docker(lab, "n1", &["rm", "--force", "later"]).unwrap();
        settled(&system);
        until_record(&system, "n1", web.address, Phase::Ready, "web (");
    }

    // The socket, and its folder, removed under it.
    lab.exec("n1", ["rm", "-r", "/run/docker/plugins"]).unwrap();
    let healed = run(lab, "n1", "healed", &["--net", "net"]);
    assert!(reaches(&far.place, healed.address));

    // What Docker forgets while the agent is away is found.
    lab.stop("n1", Daemon::WeirAgent).unwrap();
    lab.stop("n1", Daemon::Dockerd).unwrap();
    plain::kill(&healed);
    lab.start("n1", Daemon::Dockerd).unwrap();
    until_docker_answers(lab, "n1");
    docker(lab, "n1", &["rm", "--force", "healed"]).unwrap();
    lab.start("n1", Daemon::WeirAgent).unwrap();
    let is_left = || {
        let containers = system.containers();
        let record = containers.iter().find(|c| c.node == "n1" && c.address == healed.address.to_string());
        let phase = record.and_then(|record| record.status.as_ref()).map(|status| status.phase());
        Ok((phase != Some(Phase::Ready)).then_some(()))
    };
    lab.wait_until(Duration::from_secs(90), "the leak to be found", is_left).unwrap();

    // An agent that has lost all it knew takes up what runs.
    lab.stop("n1", Daemon::WeirAgent).unwrap();
    let state = lab.state().machine_dir("n1").join("agent");
    for name in ["docker-networks.json", "docker-endpoints.json"] {
        fs::remove_file(state.join(name)).unwrap();
    }
    lab.start("n1", Daemon::WeirAgent).unwrap();
    until_record(&system, "n1", web.address, Phase::Ready, "web (");
    assert!(reaches(&far.place, web.address));
    let last = run(lab, "n1", "last", &["--net", "net"]);
    assert!(reaches(&far.place, last.address) && last.address != web.address);

    docker(lab, "n1", &["rm", "--force", "web", "last"]).unwrap();
    docker(lab, "n1", &["network", "rm", "net"]).unwrap();
    until_clean(&system);
}
