//! How nodes are shown: one, and a list.

use std::collections::BTreeMap;

use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::node::Scheduling;

use super::super::output::{self, Health, ResourcesView, View, or_dash, verdict};

#[derive(Serialize)]
pub(in super::super) struct NodeView {
    pub(in super::super) pool: String,
    pub(in super::super) name: String,
    id: u32,
    /// 16 hex digits, as OVS writes it: JSON numbers do not hold 64 bits.
    datapath_id: String,
    nat_mac: String,
    tunnel_address: String,
    labels: BTreeMap<String, String>,
    revision: u64,
    scheduling: &'static str,
    admission: Option<&'static str>,
    capacity: ResourcesView,
    status: NodeStatusView,
}

#[derive(Serialize)]
struct NodeStatusView {
    agent_connected: bool,
    switch_connected: bool,
    in_sync: bool,
    endpoints: u32,
    problems: Vec<String>,
    since: Option<String>,
    lost: bool,
    allocated: ResourcesView,
    runtimes: Vec<String>,
    #[serde(skip)]
    age: String,
}

#[derive(Serialize)]
#[serde(transparent)]
pub(in super::super) struct NodeList(pub(in super::super) Vec<NodeView>);

impl From<v1::Node> for NodeView {
    fn from(node: v1::Node) -> NodeView {
        let scheduling = scheduling_text(node.scheduling());
        let admission = match node.admission() {
            v1::node::Admission::Unspecified => None,
            v1::node::Admission::Admitted => Some("admitted"),
            v1::node::Admission::Revoked => Some("revoked"),
        };
        let status = node.status.unwrap_or_default();
        NodeView {
            pool: node.pool,
            name: node.name,
            id: node.id,
            datapath_id: format!("{:016x}", node.datapath_id),
            nat_mac: node.nat_mac,
            tunnel_address: node.tunnel_address,
            labels: node.labels.into_iter().collect(),
            revision: node.revision,
            scheduling,
            admission,
            capacity: node.capacity.unwrap_or_default().into(),
            status: NodeStatusView {
                agent_connected: status.agent_connected,
                switch_connected: status.switch_connected,
                in_sync: status.in_sync,
                endpoints: status.endpoints,
                age: output::age(status.since.as_ref()),
                since: output::rfc3339(status.since.as_ref()),
                problems: status.problems,
                lost: status.lost,
                allocated: status.allocated.unwrap_or_default().into(),
                runtimes: status.runtimes,
            },
        }
    }
}

impl NodeView {
    /// How the node is, in a word.
    fn state(&self) -> (&'static str, Health) {
        let status = &self.status;
        match (status.agent_connected, status.switch_connected, status.in_sync) {
            _ if self.admission == Some("revoked") => ("revoked", Health::Bad),
            _ if self.id == 0 => ("not seen yet", Health::Pending),
            _ if status.lost => ("lost", Health::Bad),
            (false, false, _) => ("unreachable", Health::Bad),
            (false, true, _) => ("no agent", Health::Bad),
            (true, false, _) => ("no switch", Health::Bad),
            (true, true, false) => ("syncing", Health::Pending),
            (true, true, true) if !status.problems.is_empty() => ("degraded", Health::Bad),
            (true, true, true) => ("in sync", Health::Good),
        }
    }

    /// Whether there is nothing to be said of it.
    pub(in super::super) fn is_well(&self) -> bool {
        matches!(self.state().1, Health::Good)
    }

    fn scheduling_health(&self) -> Health {
        if self.scheduling == ACTIVE { Health::Good } else { Health::Pending }
    }
}

impl View for NodeView {
    fn to_text(&self) -> String {
        let up = |up: bool| if up { "connected" } else { "not connected" }.to_owned();
        let status = &self.status;
        let since = if status.age.is_empty() { String::new() } else { format!(", for {}", status.age) };
        let mut text = output::facts([
            ("Node", format!("{}/{}", self.pool, self.name)),
            ("State", format!("{}{since}", self.state().0)),
            ("Scheduling", self.scheduling.to_owned()),
            ("Certificate", self.admission.unwrap_or_default().to_owned()),
            ("Agent", up(status.agent_connected)),
            ("Switch", up(status.switch_connected)),
            ("Datapath id", self.datapath_id.clone()),
            ("NAT MAC", self.nat_mac.clone()),
            ("Tunnel address", self.tunnel_address.clone()),
            ("Endpoints", status.endpoints.to_string()),
            ("Runtimes", status.runtimes.join(", ")),
            ("Capacity", self.capacity.to_text()),
            ("Allocated", status.allocated.to_text()),
            ("Labels", output::labels(&self.labels)),
        ]);
        for problem in &status.problems {
            text.push_str(&format!("Problem: {problem}\n"));
        }
        text
    }
}

impl View for NodeList {
    fn to_text(&self) -> String {
        table(self.0.iter())
    }
}

/// A row a node.
pub(in super::super) fn table<'a>(nodes: impl Iterator<Item = &'a NodeView>) -> String {
    output::rows(
        &["POOL", "NAME", "STATE", "FOR", "SCHEDULING", "ENDPOINTS", "NAT MAC", "TUNNEL ADDRESS"],
        nodes.map(|node| {
            let (state, health) = node.state();
            vec![
                Cell::new(&node.pool),
                Cell::new(&node.name),
                verdict(state, health),
                Cell::new(or_dash(node.status.age.as_str())),
                verdict(node.scheduling, node.scheduling_health()),
                Cell::new(node.status.endpoints),
                Cell::new(or_dash(node.nat_mac.as_str())),
                Cell::new(or_dash(node.tunnel_address.as_str())),
            ]
        }),
    )
}

fn scheduling_text(scheduling: Scheduling) -> &'static str {
    match scheduling {
        Scheduling::Unspecified | Scheduling::Active => ACTIVE,
        Scheduling::Cordoned => "cordoned",
        Scheduling::Draining => "draining",
    }
}

const ACTIVE: &str = "active";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_lost_when_the_controller_says_so_and_not_before() {
        let state = |lost| {
            let status = Some(v1::NodeStatus { lost, ..v1::NodeStatus::default() });
            NodeView::from(v1::Node { id: 1, status, ..v1::Node::default() }).state().0
        };
        assert_eq!((state(false), state(true)), ("unreachable", "lost"));
    }

    #[test]
    fn a_node_that_has_only_joined_is_not_seen_yet() {
        assert_eq!(NodeView::from(v1::Node::default()).state().0, "not seen yet");
    }
}
