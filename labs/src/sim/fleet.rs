//! All nodes of a scenario and the tasks that keep them running.

use std::collections::BTreeMap;
use std::sync::Arc;

use flowlib::pipeline::table::Table;
use flowlib::switch::{Bodies, Counts};
use tokio::task::JoinSet;

use super::agent;
use super::node::{Fault, Handicap, Node};
use super::scenario::Scenario;

/// A fleet; its tasks end with it.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) nodes: Vec<Arc<Node>>,
    /// Flows, each kept once for all switches.
    bodies: Arc<Bodies>,
    tasks: JoinSet<()>,
    server: String,
}

/// How many flows the tables of a full switch take.
const FULL: u32 = 4;

impl Fleet {
    /// Starts every node of a scenario.
    pub(super) fn start(scenario: &Scenario, server: String) -> Self {
        let bodies = Arc::new(Bodies::new());
        let mut fleet = Self { nodes: Vec::new(), bodies, tasks: JoinSet::new(), server };
        let faults = &scenario.faults;
        for pool in &scenario.pools {
            for n in 0..pool.nodes {
                let mut handicap = Handicap::default();
                if n < faults.slow_switches {
                    handicap.slow_by = faults.slow_by;
                } else if n < faults.slow_switches + faults.full_switches {
                    handicap.limits = BTreeMap::from([(Table::Local.id(), FULL)]);
                }
                fleet.add(&pool.name, format!("n{n}"), handicap);
            }
        }
        fleet
    }

    /// Starts one more node.
    pub(super) fn add(&mut self, pool: &str, name: String, handicap: Handicap) -> Arc<Node> {
        let datapath_id = self.nodes.len() as u64 + 1;
        let node = Arc::new(Node::new(pool, name, datapath_id, handicap, &self.bodies));
        self.tasks.spawn(agent::serve(node.clone(), self.server.clone()));
        self.nodes.push(node.clone());
        node
    }

    /// What all switches were asked for.
    pub(super) fn counts(&self) -> Counts {
        self.nodes.iter().map(|node| node.counts()).fold(Counts::default(), |sum, counts| Counts {
            flow_mods: sum.flow_mods + counts.flow_mods,
            bundles: sum.bundles + counts.bundles,
            packet_outs: sum.packet_outs + counts.packet_outs,
            errors: sum.errors + counts.errors,
        })
    }

    /// How many flows the switches hold, the least first.
    pub(super) fn n_flows(&self) -> Vec<usize> {
        let mut flows: Vec<usize> = self.nodes.iter().map(|node| node.n_flows()).collect();
        flows.sort_unstable();
        flows
    }

    /// All switches lose what they hold.
    pub(super) fn restart_switches(&self) {
        self.nodes.iter().for_each(|node| node.suffer(Fault::Restart));
    }

    /// The last things that went wrong, a few of them.
    pub(super) fn complaints(&self) -> String {
        let complaints =
            self.nodes.iter().filter_map(|node| Some(format!("{}: {}", node.name, node.complaint()?)));
        complaints.take(5).collect::<Vec<_>>().join("\n")
    }
}
