//! `weir status`: what is connected, in sync or degraded, and why.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment};
use serde::Serialize;
use weir_api::v1;

use super::failure::Failure;
use super::node::{self, NodeList, NodeView};
use super::output::{self, View, or_dash};
use super::session::Session;

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let mut client = weir_api::client::status(session.channel().await?);
    let request = session.request(v1::GetStatusRequest { pool: session.pool_or_all() });
    let status = session.patiently("asking", client.get_status(request)).await?;
    output::show(session.format(), &StatusView::from(status))
}

#[derive(Serialize)]
struct StatusView {
    version: String,
    started: Option<String>,
    revision: u64,
    nodes: NodeList,
    networks: u32,
    containers: u32,
    containers_ready: u32,
    problems: Vec<ProblemView>,
    /// Switches that no node has: they learn.
    learning_switches: Vec<LearningView>,
    counters: BTreeMap<String, u64>,
    #[serde(skip)]
    age: String,
}

#[derive(Serialize)]
struct LearningView {
    datapath_id: String,
    peer: String,
    since: Option<String>,
    addresses: u64,
    packet_ins: u64,
    flows_installed: u64,
    #[serde(skip)]
    age: String,
}

#[derive(Serialize)]
struct ProblemView {
    subject: String,
    reason: String,
    message: String,
    since: Option<String>,
    #[serde(skip)]
    age: String,
}

impl From<v1::GetStatusResponse> for StatusView {
    fn from(status: v1::GetStatusResponse) -> StatusView {
        StatusView {
            version: status.version,
            age: output::age(status.started.as_ref()),
            started: output::rfc3339(status.started.as_ref()),
            revision: status.revision,
            nodes: NodeList(status.nodes.into_iter().map(NodeView::from).collect()),
            networks: status.networks,
            containers: status.containers,
            containers_ready: status.containers_ready,
            problems: status.problems.into_iter().map(Into::into).collect(),
            learning_switches: status.learning_switches.into_iter().map(Into::into).collect(),
            counters: status.counters.into_iter().collect(),
        }
    }
}

impl From<v1::LearningSwitch> for LearningView {
    fn from(switch: v1::LearningSwitch) -> LearningView {
        LearningView {
            age: output::age(switch.since.as_ref()),
            since: output::rfc3339(switch.since.as_ref()),
            datapath_id: switch.datapath_id,
            peer: switch.peer,
            addresses: switch.addresses,
            packet_ins: switch.packet_ins,
            flows_installed: switch.flows_installed,
        }
    }
}

impl From<v1::Problem> for ProblemView {
    fn from(problem: v1::Problem) -> ProblemView {
        ProblemView {
            age: output::age(problem.since.as_ref()),
            since: output::rfc3339(problem.since.as_ref()),
            subject: problem.subject,
            reason: problem.reason,
            message: problem.message,
        }
    }
}

impl StatusView {
    /// What others have done to switches since the controller started, and what was put right; empty if nothing.
    fn repairs(&self) -> String {
        let count = |name| self.counters.get(name).copied().unwrap_or(0);
        let facts = [
            (count("flows_changed_by_others"), "flows changed by others"),
            (count("segments_repaired"), "segments repaired"),
            (count("sessions_deposed"), "sessions lost to a later controller"),
        ];
        let told: Vec<String> =
            facts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        told.join(", ")
    }
}

impl View for StatusView {
    fn to_text(&self) -> String {
        let nodes = &self.nodes.0;
        let mut text = output::facts([
            ("Controller", format!("{}, up {}, revision {}", self.version, self.age, self.revision)),
            (
                "Nodes",
                format!("{}, {} in sync", nodes.len(), nodes.iter().filter(|node| node.is_well()).count()),
            ),
            ("Networks", self.networks.to_string()),
            ("Containers", format!("{}, {} ready", self.containers, self.containers_ready)),
            ("Repairs", self.repairs()),
        ]);
        text.push('\n');
        if nodes.is_empty() {
            text.push_str("No node has registered.\n");
        } else {
            // Of a large fleet only those that need somebody's eye.
            let is_shown = |node: &&NodeView| nodes.len() <= MOST_ROWS || !node.is_well();
            let shown: Vec<&NodeView> = nodes.iter().filter(is_shown).take(MOST_ROWS).collect();
            let n_shown = shown.len();
            if n_shown > 0 {
                text.push_str(&node::table(shown.into_iter()));
            }
            if n_shown < nodes.len() {
                text.push_str(&format!("{} more nodes: weir node list\n", nodes.len() - n_shown));
            }
        }
        if !self.learning_switches.is_empty() {
            text.push('\n');
            text.push_str(&learning(&self.learning_switches));
        }
        text.push('\n');
        if self.problems.is_empty() {
            text.push_str("Everything is as intended.\n");
        } else {
            let rows = self.problems.iter().take(MOST_ROWS).map(|problem| {
                vec![
                    Cell::new(&problem.subject),
                    Cell::new(&problem.reason),
                    Cell::new(or_dash(problem.age.as_str())),
                    Cell::new(&problem.message),
                ]
            });
            text.push_str(&output::rows(&["PROBLEM", "REASON", "FOR", "MESSAGE"], rows));
            if self.problems.len() > MOST_ROWS {
                let more = self.problems.len() - MOST_ROWS;
                text.push_str(&format!("{more} more problems: weir status --output json\n"));
            }
        }
        text
    }
}

/// The switches of no node.
fn learning(switches: &[LearningView]) -> String {
    let rows = switches.iter().take(MOST_ROWS).map(|switch| {
        let number = |n: u64| Cell::new(n).set_alignment(CellAlignment::Right);
        vec![
            Cell::new(&switch.datapath_id),
            Cell::new("learning"),
            Cell::new(or_dash(switch.age.as_str())),
            number(switch.addresses),
            number(switch.packet_ins),
            number(switch.flows_installed),
            Cell::new(&switch.peer),
        ]
    });
    let mut text =
        output::rows(&["SWITCH", "STATUS", "FOR", "ADDRESSES", "PACKET-INS", "FLOWS", "PEER"], rows);
    if switches.len() > MOST_ROWS {
        let more = switches.len() - MOST_ROWS;
        text.push_str(&format!("{more} more learning switches: weir status --output json\n"));
    }
    text
}

/// Rows of a table at the most: what a person reads.
const MOST_ROWS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize, well: bool) -> v1::Node {
        let status = v1::NodeStatus {
            agent_connected: well,
            switch_connected: true,
            in_sync: true,
            ..v1::NodeStatus::default()
        };
        v1::Node { id: 1, name: format!("n{number}"), status: Some(status), ..v1::Node::default() }
    }

    #[test]
    fn of_a_large_fleet_only_what_needs_an_eye_is_listed() {
        let view = |n: usize, bad: usize| {
            let nodes = (0..n).map(|number| node(number, number >= bad)).collect();
            let problem =
                |number| v1::Problem { subject: format!("node/p/n{number}"), ..v1::Problem::default() };
            let problems = (0..bad).map(problem).collect();
            StatusView::from(v1::GetStatusResponse { nodes, problems, ..v1::GetStatusResponse::default() })
                .to_text()
        };
        let small = view(3, 1);
        assert!(small.contains("3, 2 in sync") && small.contains("n2") && !small.contains("more"), "{small}");
        let large = view(10_000, 2);
        assert!(large.contains("10000, 9998 in sync") && large.contains("9998 more nodes"), "{large}");
        assert!(large.lines().count() < 20, "{large}");
        let sick = view(10_000, 10_000);
        assert!(sick.contains("9960 more nodes") && sick.contains("9960 more problems"), "{sick}");
        assert!(sick.lines().count() < 2 * MOST_ROWS + 20, "{sick}");
    }

    #[test]
    fn repairs_are_told_only_if_there_were_any() {
        let with = |counters: &[(&str, u64)]| {
            let counters = counters.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            StatusView::from(v1::GetStatusResponse { counters, ..Default::default() }).to_text()
        };
        assert!(!with(&[("segments_repaired", 0), ("bundles_committed", 7)]).contains("Repairs"));
        let text = with(&[("flows_changed_by_others", 12), ("segments_repaired", 3)]);
        assert!(text.contains("12 flows changed by others, 3 segments repaired"), "{text}");
    }
}
