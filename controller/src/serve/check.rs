//! A node looked at: its agent looks at its host, and the controller adds what only it knows.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flowlib::compile::model::{Driver, NodeId};
use tokio::sync::oneshot;
use tonic::Status;
use weir_api::v1::finding::Level;
use weir_api::v1::{CheckNodeRequest, CheckNodeResponse, CheckReport, Finding, NodeStatus};

use super::{Api, convert, refused, relay};
use crate::intent::model::{Network, Node};
use crate::intent::{Refusal, State};
use crate::orchestrate::outbox::CheckOrder;
use crate::orchestrate::{nodes, pools};

/// How long an agent may take to look: it waits for pings that do not come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// Other nodes whose way is tried, at most.
const PEERS: usize = 64;
/// What VXLAN puts around a packet of an endpoint: IPv4, UDP, VXLAN and Ethernet headers. Source: RFC 7348 §5.
const VXLAN_OVERHEAD: u32 = 50;
/// Clocks further apart than this make logs hard to read, ...
const CLOCK_WARN: Duration = Duration::from_secs(2);
/// ... and than this, certificates not yet or no longer good.
const CLOCK_FAIL: Duration = Duration::from_secs(60);

/// Reports that are waited for, by the ids of their orders.
#[derive(Debug, Default)]
pub(super) struct Checks {
    waiting: Mutex<HashMap<String, oneshot::Sender<CheckReport>>>,
}

impl Checks {
    /// Gives an agent's report to who waits for it; one that nobody waits for any more is forgotten.
    pub(super) fn take(&self, report: CheckReport) {
        if let Some(waiting) = self.forget(&report.id) {
            waiting.send(report).unwrap_or_else(|_| tracing::debug!("a report came too late"));
        }
    }

    fn wait(&self, id: &str) -> oneshot::Receiver<CheckReport> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), sender);
        receiver
    }

    fn forget(&self, id: &str) -> Option<oneshot::Sender<CheckReport>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

/// Gives a place among those that wait up, also when the client has cancelled.
struct Place<'a>(&'a Checks, String);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.forget(&self.1);
    }
}

impl Api {
    /// What is to be said of a node.
    pub(super) async fn check(&self, request: CheckNodeRequest) -> Result<CheckNodeResponse, Status> {
        let id = relay::random_id()?;
        let find = |state: &State| {
            let pool = pools::find(state, &request.pool)?;
            let node = nodes::find(state, pool, &request.name).map_err(|refusal| refusal.of("name"))?.clone();
            let order = order(state, &node, id);
            Ok((node, order))
        };
        let intent = self.orchestrator.intent();
        let (node, order) = intent.read(find).map_err(|refusal: Refusal| refused(refusal))?;
        let condition = self.orchestrator.node_condition(node.id).await.map_err(refused)?;
        let status = intent.read(|state| convert::node(state, &node, condition.as_ref())).status;
        let mut findings = vec![connections(&status.unwrap_or_default())];
        match self.look(node.id, order).await {
            Ok((report, asked)) => {
                findings.extend(clock(&report, asked));
                findings.extend(report.findings);
            }
            Err(why) => {
                let advice = "run `weir-agent check` on the node itself";
                findings.push(finding("agent", Level::Fail, why.message(), advice));
            }
        }
        Ok(CheckNodeResponse { findings })
    }

    /// Has the node's agent look, and says between which times it was asked and has answered.
    async fn look(
        &self,
        node: NodeId,
        order: CheckOrder,
    ) -> Result<(CheckReport, (SystemTime, SystemTime)), Status> {
        let outbox = self.outbox(node).await?;
        let place = Place(&self.checks, order.id.clone());
        let report = self.checks.wait(&place.1);
        let asked = SystemTime::now();
        if !outbox.check(order) {
            return Err(Status::unavailable("the node's agent is too busy"));
        }
        match tokio::time::timeout(PATIENCE, report).await {
            Ok(Ok(report)) => Ok((report, (asked, SystemTime::now()))),
            _ => Err(Status::unavailable("the node's agent did not answer")),
        }
    }
}

/// What the agent needs to know of the other nodes and of the networks.
fn order(state: &State, node: &Node, id: String) -> CheckOrder {
    let members = state.members(node.pool);
    let others = members.nodes.iter().filter(|id| **id != node.id).filter_map(|id| state.node(*id));
    let peers: Vec<Ipv4Addr> = others.map(|node| node.tunnel_address).take(PEERS).collect();
    let networks = || state.networks().filter(|network| network.pool == node.pool);
    let packet = networks().map(|network| packet(network)).max().unwrap_or(0);
    let mut vlans: Vec<u32> = networks().filter_map(|network| vlan(network)).collect();
    vlans.sort_unstable();
    CheckOrder { id, peers, packet, vlans }
}

/// Bytes of the IP packets that a network's largest ones need between nodes.
fn packet(network: &Network) -> u32 {
    match network.driver {
        Driver::Vlan(_) => network.mtu,
        Driver::Vxlan(_) => network.mtu.saturating_add(VXLAN_OVERHEAD),
    }
}

fn vlan(network: &Network) -> Option<u32> {
    match network.driver {
        Driver::Vlan(vlan) => Some(vlan.get().into()),
        Driver::Vxlan(_) => None,
    }
}

fn finding(check: &str, level: Level, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check: check.to_owned(), level: level.into(), found: found.into(), advice: advice.into() }
}

/// How the controller sees the node.
fn connections(status: &NodeStatus) -> Finding {
    let missing = match (status.agent_connected, status.switch_connected, status.in_sync) {
        (false, _, _) => Some(("its agent is not connected", "on the node: systemctl status weir-agent")),
        (_, false, _) => Some((
            "its switch is not connected",
            "on the node: `ovs-vsctl list Controller` says why; is OpenFlow's port open?",
        )),
        (_, _, false) => {
            Some(("its switch does not hold what it should yet", "if that stays: weir node show"))
        }
        _ => None,
    };
    match missing {
        Some((found, advice)) => finding("controller", Level::Fail, found, advice),
        None if status.problems.is_empty() => {
            finding("controller", Level::Ok, "agent and switch are connected, in sync", "")
        }
        None => finding("controller", Level::Warn, status.problems.join("; "), "see those sentences"),
    }
}

/// How far the node's clock is from this one. It was read at some moment between being asked and answering.
fn clock(report: &CheckReport, (asked, answered): (SystemTime, SystemTime)) -> Option<Finding> {
    let theirs = SystemTime::try_from(report.time?).ok()?;
    let behind = asked.duration_since(theirs).unwrap_or_default();
    let ahead = theirs.duration_since(answered).unwrap_or_default();
    let (off, which) = if behind > ahead { (behind, "behind") } else { (ahead, "ahead of") };
    let level = match off {
        off if off >= CLOCK_FAIL => Level::Fail,
        off if off >= CLOCK_WARN => Level::Warn,
        _ => return Some(finding("clock", Level::Ok, "as the controller's", "")),
    };
    let found = format!("{:.1} s {which} the controller's", off.as_secs_f64());
    Some(finding("clock", level, found, "have both set by NTP: apt install systemd-timesyncd"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_what_waiting_does_not_explain() {
        let at = |s: f64| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1000.0 + s);
        let report = |s| CheckReport { time: Some(at(s).into()), ..CheckReport::default() };
        for (theirs, level) in [
            (0.0, Level::Ok),
            (5.0, Level::Ok),
            (6.5, Level::Ok),
            (-2.5, Level::Warn),
            (7.5, Level::Warn),
            (-70.0, Level::Fail),
            (70.0, Level::Fail),
        ] {
            let finding = clock(&report(theirs), (at(0.0), at(5.0))).unwrap();
            assert_eq!(finding.level(), level, "{theirs}: {finding:?}");
        }
        assert_eq!(clock(&CheckReport::default(), (at(0.0), at(0.0))), None);
    }

    #[test]
    fn what_is_missing_is_said_before_what_depends_on_it() {
        let mut status = NodeStatus::default();
        assert!(connections(&status).found.contains("agent"));
        status.agent_connected = true;
        assert!(connections(&status).found.contains("switch is not"));
        (status.switch_connected, status.in_sync) = (true, true);
        assert_eq!(connections(&status).level(), Level::Ok);
        status.problems.push("no Docker".to_owned());
        assert_eq!(connections(&status).level(), Level::Warn);
    }
}
