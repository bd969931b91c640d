//! A node that is lost as a whole, and comes back: its containers are served from elsewhere, and only from there.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/load.rs"]
mod load;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::time::{Duration, Instant};

use labs::Daemon;
use load::Load;
use support::{Attached, System, reaches, vlan};
use traffic::settled;
use weir_api::v1::container_status::Phase;

const LEASE: Duration = Duration::from_secs(3);
/// How long after its node's lease a container may take to be back.
const BACK: Duration = Duration::from_secs(10);
/// How long its clients may miss it while its old node comes back.
const RETURN_GAP: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const SWITCH: [Daemon; 2] = [Daemon::OvsdbServer, Daemon::OvsVswitchd];
const DOCKER: [Daemon; 2] = [Daemon::Containerd, Daemon::Dockerd];

/// A page served on n1, a container that must run there, and clients on the two other nodes and on the VLAN.
struct Site {
    web: Attached,
    pinned: Attached,
    page: String,
    // Before the system, so that no client outlives the lab.
    clients: Vec<Load>,
    system: System,
}

/// A page that is served elsewhere.
struct Moved {
    web: Attached,
    page: String,
}

impl Site {
    fn up(name: &str) -> Option<Site> {
        let short = |topology: &mut labs::Topology| {
            let lease = humantime::format_duration(LEASE).to_string();
            topology.controller.as_mut().unwrap().args.extend(["--node-lease".to_owned(), lease]);
        };
        let system = System::up_docker_with(name, short)?;
        system.network(vlan("lan"));
        let web = system.with_only("n1", || system.serve_page("web", "lan", ""));
        assert!(web.node == "n1" && !system.container("web").pinned);
        let pinned = system.create("pinned", "lan/n1");
        let places = ["n2", "n3"]
            .map(|node| (node, system.create(&format!("client-{node}"), &format!("lan/{node}")).place));
        let places = places.into_iter().chain([("gw", system.place("gw"))]);
        let clients: Vec<Load> = places.map(|(who, from)| Load::start(who, &from, &[web.address])).collect();
        settled(&system);
        let page = clients[0].page();
        Some(Site { web, pinned, page, clients, system })
    }

    /// Waits until all clients are served from another node than n1, which was last heard of before `gone`, and checks
    /// that it is the same container and in time.
    fn expect_moved(&self, what: &str, gone: Instant) -> Moved {
        // The agent has spoken in the last third of a lease before; this is the earliest end there can be.
        let over = gone + LEASE - LEASE / 3;
        for client in &self.clients {
            let back = client.first(gone, PATIENCE, |page| page != self.page).ended;
            client.tell(what, &client.between(gone, back));
            println!(
                "{what}, {}: back {:.3} s after the lease, {:.3} s after the loss",
                client.who(),
                (back - over).as_secs_f64(),
                (back - gone).as_secs_f64()
            );
            assert!(back <= over + BACK, "{what}: not back within {BACK:?} of the lease's end");
        }
        let web = self.system.until_ready("web");
        assert_eq!((web.address, web.mac), (self.web.address, self.web.mac));
        assert!(web.node != "n1" && web.endpoint_id != self.web.endpoint_id, "{} on {}", web.name, web.node);
        let lost = self.system.until_told("node/n1", "NodeLost");
        let moved = self.system.until_told("container/web", "Moved");
        println!("{what}: NodeLost: {lost}; Moved: {moved}");
        assert!(moved.contains("from n1") && moved.contains("lost"), "{moved}");
        assert!(self.system.node("n1").status.unwrap().lost);
        self.expect_pinned_to_stay(what);
        Moved { page: self.clients[0].page(), web }
    }

    fn expect_pinned_to_stay(&self, what: &str) {
        let pinned = self.system.container("pinned");
        let status = pinned.status.unwrap();
        println!("{what}: pinned: {}: {}", status.reason, status.message);
        assert_eq!((pinned.node.as_str(), pinned.endpoint_id), ("n1", self.pinned.endpoint_id));
        assert_eq!((status.phase(), status.reason.as_str()), (Phase::Degraded, "NodeLost"));
        assert!(status.message.contains("--node"), "{}", status.message);
    }

    /// Waits until n1, which began to come back at `since`, has nothing left of the old endpoint; nobody may have missed
    /// the page, or go on to get it from there.
    fn expect_fenced(&self, what: &str, since: Instant, moved: &Moved) {
        let fenced =
            || Ok(self.system.traces("n1", &self.web).is_ok_and(|left| left.is_empty()).then_some(()));
        self.system.lab.wait_until(PATIENCE, "nothing of the old container on n1", fenced).unwrap();
        println!(
            "{what}: the old container is gone {:.3} s after the return began",
            since.elapsed().as_secs_f64()
        );
        settled(&self.system);
        // The switches may have had it from n1 until the address was announced anew, which is before they are in sync.
        let calm = Instant::now();
        self.clients.iter().for_each(|client| client.go_on(100));
        for client in &self.clients {
            let tally = client.since(since);
            client.tell(&format!("{what}, return"), &tally);
            assert!(tally.longest_gap <= RETURN_GAP, "{what}: {tally:?}");
            let now: Vec<String> = client.since(calm).pages.into_iter().collect();
            assert_eq!(now, [moved.page.as_str()], "{what}: {}", client.who());
            if client.who() != "gw" {
                assert_eq!(
                    tally.pages.len(),
                    1,
                    "{what}: endpoints never ask for each other's addresses: {tally:?}"
                );
            }
        }
        self.expect_served_by(&moved.web);
        self.system.until_told("node/n1", "NodeBack");
        assert!(reaches(&self.system.place("gw"), self.system.until_ready("pinned").address));
    }

    /// Whose page it is shows in the switches too.
    fn expect_served_by(&self, web: &Attached) {
        assert_eq!(self.system.traces("n1", &self.web).unwrap(), [] as [String; 0]);
        let before = self.system.deliveries(&web.node, web).unwrap().expect("a flow of delivery");
        let grows = || Ok(self.system.deliveries(&web.node, web)?.filter(|now| *now > before));
        self.system.lab.wait_until(PATIENCE, "packets delivered on the new node", grows).unwrap();
        let there = self.system.traces(&web.node, web).unwrap();
        assert_eq!(there.len(), 4, "container, namespace, port and flow: {there:?}");
    }
}

#[test]
fn a_node_whose_cable_is_cut_is_served_from_elsewhere_and_fenced_when_it_is_back() {
    let Some(site) = Site::up("cut") else { return };
    let cable = |state| site.system.lab.exec("switch", ["ip", "link", "set", "up-n1", state]).unwrap();
    let gone = Instant::now();
    cable("down");
    let moved = site.expect_moved("cable cut", gone);
    let old = site.system.traces("n1", &site.web).unwrap();
    assert_eq!(old.len(), 4, "the old container runs all the while: {old:?}");
    let since = Instant::now();
    cable("up");
    site.expect_fenced("cable cut", since, &moved);
}

#[test]
fn a_node_that_stops_is_served_from_elsewhere_and_fenced_when_it_is_back() {
    let Some(site) = Site::up("off") else { return };
    let gone = Instant::now();
    site.system.stop_node("n1");
    let moved = site.expect_moved("node stopped", gone);
    let since = Instant::now();
    site.system.start_daemons("n1", &[&SWITCH[..], &DOCKER, &[Daemon::WeirAgent]].concat());
    site.expect_fenced("node stopped", since, &moved);
}

#[test]
fn a_container_that_docker_starts_before_the_agent_gets_no_port() {
    let Some(site) = Site::up("boot") else { return };
    let (system, id) = (&site.system, site.web.endpoint_id);
    let name = system.docker("n1", &["ps", "--format", "{{.Names}}"]).unwrap();
    let pid = system.docker("n1", &["inspect", "--format", "{{.State.Pid}}", &name]).unwrap();
    // Connections that it leaves behind would keep its namespace for two minutes.
    site.web.place.run(["sysctl", "-qw", "net.ipv4.tcp_orphan_retries=1"]).unwrap();
    let gone = Instant::now();
    system.stop_node("n1");
    // As a reboot: neither process nor namespace is left.
    system.lab.exec("n1", ["kill", "-KILL", &pid]).unwrap();
    system.lab.exec("n1", ["ip", "netns", "del", &format!("weir-{id}")]).unwrap();
    let moved = site.expect_moved("reboot", gone);
    let since = Instant::now();
    system.start_daemons("n1", &[SWITCH, DOCKER].concat());
    let inspect = ["inspect", "--format", "{{.State.Status}} {{.RestartCount}}: {{.State.Error}}", &name];
    let tried = || Ok(system.docker("n1", &inspect).ok().filter(|said| said.contains("weir")));
    let said = system.lab.wait_until(PATIENCE, "Docker to have tried to start it", tried).unwrap();
    println!("reboot: Docker says of the old container after {:.3} s: {said}", since.elapsed().as_secs_f64());
    assert!(!said.starts_with("running"), "{said}");
    assert_eq!(system.docker("n1", &["ps", "--quiet"]).unwrap(), "");
    // The kernel takes its time to remove the links of a namespace that is gone.
    let has_no_port = || {
        let links = system.lab.exec("n1", ["ip", "-brief", "link"])?;
        Ok((!links.contains(&format!("we{}@", site.web.ofport))).then_some(()))
    };
    system.lab.wait_until(PATIENCE, "the old container to have no port", has_no_port).unwrap();
    system.start_daemons("n1", &[Daemon::WeirAgent]);
    site.expect_fenced("reboot", since, &moved);
}

#[test]
fn an_agent_alone_that_stays_away_moves_nothing() {
    let Some(site) = Site::up("alone") else { return };
    let (system, since) = (&site.system, Instant::now());
    system.lab.stop("n1", Daemon::WeirAgent).unwrap();
    // The load cannot run faster: this is more than two leases.
    site.clients.iter().for_each(|client| client.go_on(400));
    assert!(since.elapsed() > LEASE * 2);
    let status = system.node("n1").status.unwrap();
    assert!(!status.agent_connected && status.switch_connected && !status.lost, "{status:?}");
    system.start_daemons("n1", &[Daemon::WeirAgent]);
    settled(system);
    site.clients.iter().for_each(|client| client.go_on(50));
    for client in &site.clients {
        let tally = client.since(since);
        client.tell("agent away", &tally);
        assert!(tally.failed.is_empty() && tally.longest_gap < Duration::from_secs(1), "{tally:?}");
        assert_eq!(tally.pages.into_iter().collect::<Vec<_>>(), [site.page.as_str()]);
    }
    let web = system.container("web");
    assert_eq!((web.node.as_str(), web.endpoint_id), ("n1", site.web.endpoint_id));
    let told = |subject: &str| system.told(subject).into_iter().map(|(reason, _)| reason).collect::<Vec<_>>();
    assert!(
        !told("node/n1").contains(&"NodeLost".to_owned())
            && !told("container/web").contains(&"Moved".to_owned())
    );
}
