//! Random histories of a whole system: after each, every switch holds exactly what it should, and everybody reaches whom
//! they should and nobody else.
//!
//! `HISTORIES=N` runs so many (3 otherwise), from `SEED=N` on (1 otherwise); what happened is printed. Needs root and
//! Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/history.rs"]
mod history;
#[path = "support/relay.rs"]
mod relay;
mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use history::{ByHand, NODES, Step, history};
use labs::{Daemon, report, wait_until};
use relay::{Cut, Relay};
use support::{POOL, System, vlan, vxlan};
use tonic::{Code, Status};
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::nodes_client::NodesClient;

/// How long all may take to be as intended: a node that was away for longer than its lease among it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a request is repeated that no controller answers, or that asks for nodes that are away.
const INSISTENCE: Duration = Duration::from_secs(2);
/// Containers at once.
const MANY: usize = 12;

#[test]
fn whatever_happens_all_is_as_intended_when_it_is_quiet() {
    let changed = ["--node-lease", "3s", "--audit-interval", "2s", "--address-cool-down", "1s"];
    let system = System::up_with("his", |topology| {
        let controller = topology.controller.as_mut().unwrap();
        controller.args.extend(changed.map(str::to_owned));
    });
    let Some(system) = system else { return };
    system.network(vlan("v"));
    system.network(vxlan("x", "10.77.0.0/24"));
    system.network(vxlan("y", "10.77.0.0/24"));
    let mut world = World::new(&system);
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |n| n.parse().expect("a number"));
    let (first, n) = (number("SEED", 1), number("HISTORIES", 3));
    for seed in first..first + n {
        let begun = Instant::now();
        world.live(seed);
        let quiet = world.verify(seed);
        eprintln!("SEED={seed}: quiet after {quiet:.1?}, {:.1?} in all", begun.elapsed());
        world.clear();
    }
    eprintln!("{n} histories from SEED={first} on: {:?}", world.happened);
}

/// A lab, and what it was told.
struct World<'a> {
    system: &'a System,
    relay: Relay,
    /// Whether a container must be there, or must not; nothing: nobody knows.
    promised: BTreeMap<String, Option<bool>>,
    /// The meters and groups of each node.
    fixtures: BTreeMap<&'static str, String>,
    /// A node that is away, and for how many steps more.
    away: Option<(&'static str, u32)>,
    happened: BTreeMap<&'static str, usize>,
}

impl<'a> World<'a> {
    fn new(system: &'a System) -> World<'a> {
        let relay = Relay::start(system, &[6653, 7400]);
        let fixtures = NODES.map(|node| (node, fixtures(system, node))).into();
        let (promised, happened) = (BTreeMap::new(), BTreeMap::new());
        World { system, relay, promised, fixtures, away: None, happened }
    }

    fn live(&mut self, seed: u64) {
        for (n, step) in history(seed).into_iter().enumerate() {
            eprintln!("SEED={seed}, step {n}: {step:?}");
            let kind = step.kind();
            *self.happened.entry(kind).or_default() += self.take(n, step);
            if let Some((node, left)) = self.away.take() {
                match left.checked_sub(1) {
                    Some(left) => self.away = Some((node, left)),
                    None => self.bring_back(node),
                }
            }
        }
        if let Some((node, _)) = self.away.take() {
            self.bring_back(node);
        }
        *self.happened.entry("connections cut").or_default() += self.relay.calm();
    }

    /// How many things have happened by it that are counted at once.
    fn take(&mut self, n: usize, step: Step) -> usize {
        match step {
            Step::Create { network, node } if self.there().len() < MANY => {
                usize::from(self.create(format!("c{n}"), network, node))
            }
            Step::Create { .. } => 0,
            Step::Delete { nth } => self.nth(nth).map_or(0, |name| usize::from(self.delete(name))),
            Step::Move { nth, node } => self.nth(nth).map_or(0, |name| usize::from(self.move_to(name, node))),
            Step::Kill(victims) => self.kill(&victims),
            Step::Outage { node, until_lost } => {
                self.system.stop_node(node);
                self.away = Some((node, 2));
                if until_lost {
                    let lost = || Ok(self.is_lost(node).then_some(()));
                    self.system.lab.wait_until(PATIENCE, "the node to be taken for lost", lost).unwrap();
                }
                1
            }
            Step::Cut { node, port, to_controller, after } => {
                let peer = self.system.lab.state().topology.nodes.iter().find(|n| n.name.as_str() == node);
                let peer = peer.unwrap().address.address().into();
                self.relay.cut(Cut { peer, port, to_controller, after });
                0
            }
            Step::Rest => {
                if let Some((node, _)) = self.away.take() {
                    self.bring_back(node);
                }
                let settled = || Ok(self.unsettled().is_empty().then_some(()));
                let waited = wait_until(PATIENCE, "all to be called in sync", settled);
                waited.unwrap_or_else(|e| panic!("{e:#}: {:#?}", self.unsettled()));
                1
            }
            Step::ByHand { node, change } => usize::from(self.change(node, change).is_some()),
        }
    }

    /// The containers that should be there, as far as is known.
    fn there(&self) -> Vec<&String> {
        self.promised.iter().filter(|(_, there)| **there == Some(true)).map(|(name, _)| name).collect()
    }

    fn nth(&self, nth: usize) -> Option<String> {
        let there = self.there();
        there.get(nth % there.len().max(1)).map(|name| (*name).clone())
    }

    fn create(&mut self, name: String, network: &str, node: Option<&str>) -> bool {
        let place = format!("{network}/{}", node.unwrap_or_default());
        let place = place.trim_end_matches('/');
        let done = insist(|| match self.system.try_create(&name, place, None, false) {
            // The one before was carried out, and its answer lost.
            Err(e) if e.code() == Code::AlreadyExists => Ok(()),
            other => other.map(drop),
        });
        self.promised.insert(name, done.then_some(true));
        done
    }

    fn delete(&mut self, name: String) -> bool {
        let done = insist(|| {
            let request =
                v1::DeleteContainerRequest { pool: POOL.to_owned(), name: name.clone(), wait: false };
            match self.system.runtime.block_on(self.client().delete_container(request)) {
                Err(e) if e.code() == Code::NotFound => Ok(()),
                other => other.map(drop),
            }
        });
        self.promised.insert(name, done.then_some(false));
        done
    }

    fn move_to(&self, name: String, node: &str) -> bool {
        insist(|| {
            let (pool, name, node) = (POOL.to_owned(), name.clone(), node.to_owned());
            let request = v1::MoveContainerRequest { pool, name, node, wait: false };
            self.system.runtime.block_on(self.client().move_container(request)).map(drop)
        })
    }

    fn kill(&self, victims: &[(&'static str, Daemon)]) -> usize {
        thread::scope(|scope| {
            // Those that are dead already cannot be killed.
            let kill = |(machine, daemon): &(&'static str, Daemon)| {
                let (machine, daemon) = (*machine, *daemon);
                scope.spawn(move || self.system.lab.kill(machine, daemon).is_ok())
            };
            let kills: Vec<_> = victims.iter().map(kill).collect();
            kills.into_iter().map(|killed| usize::from(killed.join().unwrap())).sum()
        })
    }

    fn bring_back(&self, node: &str) {
        self.system.start_daemons(node, &[Daemon::OvsdbServer, Daemon::OvsVswitchd, Daemon::WeirAgent]);
    }

    fn is_lost(&self, node: &str) -> bool {
        let nodes = self.system.status().map(|status| status.nodes).unwrap_or_default();
        nodes.into_iter().any(|n| n.name == node && n.status.is_some_and(|status| status.lost))
    }

    /// Changes flows of a node's switch, if it runs and there is something to change.
    fn change(&self, node: &str, change: ByHand) -> Option<()> {
        let ovs = self.system.lab.node(node).unwrap();
        let dump = || ovs.ofctl("dump-flows", "br-int", ["--no-names", "--no-stats"]).ok();
        let nth = |nth: usize| {
            let dump = dump()?;
            let flows: Vec<&str> = dump.lines().collect();
            flows.get(nth % flows.len().max(1)).map(|flow| flow.trim().to_owned())
        };
        // What it matches, without its cookie.
        let matched = |flow: &str| Some(flow.split_once("table=")?.1.split_once(" actions=")?.0.to_owned());
        let drop = |table: u64| format!("table={table},priority=65000,ip,actions=drop");
        let (command, words) = match change {
            ByHand::DeleteOne(n) => {
                ("del-flows", vec!["--strict".to_owned(), format!("table={}", matched(&nth(n)?)?)])
            }
            ByHand::Rewrite(n) => {
                let matched = matched(&nth(n)?)?;
                ("mod-flows", vec!["--strict".to_owned(), format!("table={matched},actions=drop")])
            }
            ByHand::Replace(n) => {
                ("add-flow", vec![format!("cookie=0xdead,table={},actions=drop", matched(&nth(n)?)?)])
            }
            ByHand::DeleteTable(table) => ("del-flows", vec![format!("table={table}")]),
            ByHand::DeleteAll => ("del-flows", vec![]),
            ByHand::Add(table) => ("add-flow", vec![drop(table)]),
            ByHand::AddUnder(n, table) => {
                let flow = nth(n)?;
                let cookie = flow.strip_prefix("cookie=")?.split(',').next()?;
                ("add-flow", vec![format!("cookie={cookie},{}", drop(table))])
            }
            ByHand::DeleteMeters => ("del-meters", vec![]),
        };
        ovs.ofctl(command, "br-int", words).ok().map(|_| ())
    }

    /// Waits until all is as intended; how long that took.
    fn verify(&self, seed: u64) -> Duration {
        let begun = Instant::now();
        let mut wrong = Vec::new();
        let is_right = || {
            wrong = self.wrong();
            Ok(wrong.is_empty().then_some(()))
        };
        if let Err(e) = wait_until(PATIENCE, "all to be as intended", is_right) {
            let status = self.system.status();
            let wrong = wrong.join("\n");
            panic!("SEED={seed}: {e:#}\n{wrong}\n{status:#?}\n{}", self.system.lab.dump());
        }
        begun.elapsed()
    }

    /// What is not as it should be; each only if what comes before is right.
    fn wrong(&self) -> Vec<String> {
        let checks: [&dyn Fn() -> Vec<String>; 4] =
            [&|| self.unsettled(), &|| self.broken_promises(), &|| self.strange_switches(), &|| {
                self.unreached()
            }];
        checks.iter().map(|check| check()).find(|wrong| !wrong.is_empty()).unwrap_or_default()
    }

    fn unsettled(&self) -> Vec<String> {
        let Some(status) = self.system.status() else { return vec!["no controller".to_owned()] };
        let is_well = |node: &v1::Node| {
            let status = node.status.clone().unwrap_or_default();
            status.agent_connected && status.switch_connected && status.in_sync
        };
        let nodes = status
            .nodes
            .iter()
            .filter(|node| !is_well(node))
            .map(|node| format!("{} is not well", node.name));
        let problems = status.problems.iter().map(|p| format!("{}: {} {}", p.subject, p.reason, p.message));
        let unready =
            (status.containers != status.containers_ready).then(|| "containers are not ready".to_owned());
        nodes.chain(problems).chain(unready).collect()
    }

    /// Whether all containers are there that were promised, and none that must not be.
    fn broken_promises(&self) -> Vec<String> {
        let there: Vec<String> = self.system.containers().into_iter().map(|c| c.name).collect();
        let is_broken =
            |(name, promise): &(&String, &Option<bool>)| promise.is_some_and(|p| p != there.contains(name));
        self.promised
            .iter()
            .filter(is_broken)
            .map(|(name, promise)| format!("{name}: promised {promise:?}"))
            .collect()
    }

    /// Whether each switch holds the flows, meters, groups and ports that it should.
    fn strange_switches(&self) -> Vec<String> {
        let containers = self.system.containers();
        let mut wrong = Vec::new();
        for node in NODES {
            wrong.extend(self.difference(node));
            let now = fixtures(self.system, node);
            if now != self.fixtures[node] {
                wrong.push(format!("{node} has other meters or groups: {now}"));
            }
            let ports =
                self.system.lab.node(node).unwrap().vsctl(["list-ports", "br-int"]).unwrap_or_default();
            let mut ports: Vec<String> =
                ports.lines().filter(|p| p.starts_with("we")).map(str::to_owned).collect();
            let on_node = containers.iter().filter(|c| c.node == node);
            let mut expected: Vec<String> = on_node.map(|c| format!("we{}", c.ofport)).collect();
            ports.sort_unstable();
            expected.sort_unstable();
            if ports != expected {
                wrong.push(format!("{node} has the ports {ports:?} instead of {expected:?}"));
            }
        }
        wrong
    }

    /// What `ovs-ofctl diff-flows` tells between a switch and what was compiled for it.
    fn difference(&self, node: &str) -> Option<String> {
        let mut wanted = String::new();
        let read = async {
            let request = v1::ListNodeFlowsRequest { pool: POOL.to_owned(), name: node.to_owned() };
            let mut answer =
                NodesClient::new(self.system.channel.clone()).list_node_flows(request).await?.into_inner();
            while let Some(message) = answer.message().await? {
                wanted.extend(message.flows.into_iter().map(|flow| flow + "\n"));
            }
            Ok::<_, Status>(())
        };
        if let Err(e) = self.system.runtime.block_on(read) {
            return Some(format!("{node}: {e}"));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), wanted).unwrap();
        let bridge = self.system.lab.node(node).unwrap().rundir().join("br-int.mgmt");
        let mut command = Command::new("ovs-ofctl");
        command
            .args(["-O", "OpenFlow13", "--timeout=20", "diff-flows"])
            .arg(format!("unix:{}", bridge.display()));
        let output = command.arg(file.path()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (!output.status.success() || !said.is_empty()).then(|| format!("{node} differs:\n{said}"))
    }

    fn unreached(&self) -> Vec<String> {
        let matrix = self.system.runtime.block_on(report::matrix(&self.system.lab));
        matrix.map_or_else(|e| vec![format!("{e:#}")], |matrix| matrix.wrong)
    }

    /// Deletes all containers, so that the next history begins where the first did.
    fn clear(&mut self) {
        for container in self.system.containers() {
            self.system.begin_delete(&container.name);
        }
        let gone = || Ok(self.system.containers().is_empty().then_some(()));
        self.system.lab.wait_until(PATIENCE, "all containers to go", gone).unwrap();
        self.promised.clear();
    }

    fn client(&self) -> ContainersClient<tonic::transport::Channel> {
        ContainersClient::new(self.system.channel.clone())
    }
}

/// Repeats a request for a while as long as there is nobody who could do it.
fn insist(mut request: impl FnMut() -> Result<(), Status>) -> bool {
    let done = || match request() {
        Ok(()) => Ok(Some(true)),
        // A controller that is killed hangs up, or says that it stops.
        Err(e)
            if matches!(e.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled) =>
        {
            Ok(None)
        }
        // A node that is away is given nothing.
        Err(e) if e.code() == Code::FailedPrecondition => Ok(Some(false)),
        Err(e) => panic!("{e}"),
    };
    wait_until(INSISTENCE, "a controller", done).unwrap_or(false)
}

/// The meters and groups of a node, sorted.
fn fixtures(system: &System, node: &str) -> String {
    let ovs = system.lab.node(node).unwrap();
    let dump = |command| ovs.ofctl(command, "br-int", [""; 0]).unwrap_or_default();
    let [meters, groups] = ["dump-meters", "dump-groups"].map(dump);
    let mut lines: Vec<&str> = meters.lines().chain(groups.lines()).collect();
    lines.sort_unstable();
    lines.join("\n")
}
