//! Containers that talk to each other in every way there is, and pings between them that go on whatever happens.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::net::Ipv4Addr;
use std::time::Duration;

use labs::Place;
use labs::ping::{Ping, PingReport};
use weir_api::v1::GetStatusResponse;

use crate::support::{Attached, System, reaches, vlan, vxlan};

/// The gateway of [`vlan`].
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 209, 164, 1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Two containers of a VLAN with a gateway and two of a VXLAN, one of each on n1, the other on n2.
pub(crate) struct Pairs {
    pub(crate) vlan: [Attached; 2],
    pub(crate) vxlan: [Attached; 2],
}

impl Pairs {
    /// Creates networks `v` and `x` and their containers, and waits until they reach each other and the gateway.
    pub(crate) fn create(system: &System) -> Pairs {
        system.network(vlan("v"));
        system.network(vxlan("x", "10.209.164.0/22"));
        let pairs = Pairs {
            vlan: [system.create("v1", "v/n1"), system.create("v2", "v/n2")],
            vxlan: [system.create("x1", "x/n1"), system.create("x2", "x/n2")],
        };
        pairs.wait_until_reached(system);
        settled(system);
        pairs
    }

    /// Waits until all ways are open.
    pub(crate) fn wait_until_reached(&self, system: &System) {
        for (way, from, to) in self.ways() {
            let open = || Ok(reaches(from, to).then_some(()));
            system.lab.wait_until(PATIENCE, &format!("a reply over the {way}"), open).unwrap();
        }
    }

    /// Begins 100 pings a second on each way; returns when all of them are answered.
    pub(crate) fn traffic(&self) -> Traffic {
        let ways = self.ways();
        let traffic = Traffic(ways.map(|(way, from, to)| (way, Ping::start(from, &to.to_string()).unwrap())));
        traffic.go_on(50);
        traffic
    }

    fn ways(&self) -> [(&'static str, &Place, Ipv4Addr); 3] {
        let ([v1, v2], [x1, x2]) = (&self.vlan, &self.vxlan);
        [("VLAN", &v1.place, v2.address), ("gateway", &v1.place, GATEWAY), ("VXLAN", &x1.place, x2.address)]
    }
}

/// Pings on every way.
pub(crate) struct Traffic([(&'static str, Ping); 3]);

impl Traffic {
    /// Waits until each way has brought so many further replies.
    pub(crate) fn go_on(&self, n: usize) {
        for (way, ping) in &self.0 {
            ping.wait_for_replies(n, PATIENCE).unwrap_or_else(|e| panic!("{way}: {e:#}"));
        }
    }

    /// Ends all pings. Says how they went, for who runs the test with `--nocapture`.
    pub(crate) fn stop(self, while_what: &str) -> Vec<PingReport> {
        let ended = self.0.into_iter().map(|(way, ping)| (way, ping.stop().unwrap()));
        let shown = |(way, report): (&str, PingReport)| {
            let gap = report.longest_gap.as_secs_f64();
            eprintln!(
                "{while_what}, {way}: {} sent, {} lost, longest gap {gap:.3} s",
                report.sent,
                report.lost.len()
            );
            report
        };
        ended.map(shown).collect()
    }

    /// Ends all pings; none may have been lost.
    pub(crate) fn assert_nothing_lost(self, while_what: &str) {
        self.assert_lost_at_most(0, while_what);
    }

    /// Ends all pings; none may have been lost, but so many of the VXLAN's. While links come and go ovs-vswitchd's own
    /// tunnels lose one at times (docs/architecture.md, "Tunnels are used before there is traffic").
    pub(crate) fn assert_lost_at_most(self, in_tunnels: usize, while_what: &str) {
        for (report, (way, limit)) in
            self.stop(while_what).iter().zip([("VLAN", 0), ("gateway", 0), ("VXLAN", in_tunnels)])
        {
            assert!(report.lost.len() <= limit && report.sent >= 100, "{while_what}, {way}: {report:?}");
        }
    }
}

/// Waits until all nodes are connected and in sync, all containers ready and nothing is complained of.
pub(crate) fn settled(system: &System) -> GetStatusResponse {
    let is_settled = |status: &GetStatusResponse| {
        let nodes_are = status.nodes.iter().all(|node| {
            let status = node.status.clone().unwrap_or_default();
            status.agent_connected && status.switch_connected && status.in_sync && status.problems.is_empty()
        });
        nodes_are && status.containers == status.containers_ready && status.problems.is_empty()
    };
    let mut last = None;
    let settled = system.lab.wait_until(PATIENCE, "everything to be in sync", || {
        last = system.status();
        Ok(last.clone().filter(is_settled))
    });
    settled.unwrap_or_else(|e| panic!("{e:#}\nlast status: {last:#?}"))
}

/// Waits until a switch has begun a session since `counted`, how many there were before; then [`settled`].
///
/// A controller hears of the end of a switch only when packets reach it again.
pub(crate) fn settled_anew(system: &System, counted: u64) -> GetStatusResponse {
    let anew = || Ok((sessions(system) > counted).then_some(()));
    system.lab.wait_until(PATIENCE, "the switch to connect again", anew).unwrap();
    settled(system)
}

/// How many sessions with switches the controller has had.
pub(crate) fn sessions(system: &System) -> u64 {
    let status = system.status();
    status.and_then(|status| status.counters.get("openflow_sessions").copied()).unwrap_or(0)
}
