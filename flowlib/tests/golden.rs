//! What is compiled from small topologies, as text: `golden/CASE/input.toml` gives `golden/CASE/flows.txt`.
//!
//! `BLESS=1` writes the flows anew; the difference is for a reviewer to read. The installed `ovs-ofctl` must accept
//! them; without one, that part says so and passes.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowlib::compile;
use flowlib::compile::model::{Endpoint, Neighbour, Network, Node, Placement};
use flowlib::openflow::Flow;
use flowlib::pipeline::table::Table;
use flowlib::segment::id::{Owner, SegmentId};
use flowlib::segment::{Segment, Step, ledger};
use flowlib::text::format_flow;
use flowlib::types::{NetworkId, NodeId, PoolId};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Whose flows.
    node: NodeId,
    nodes: Vec<Node>,
    networks: Vec<Network>,
    placements: Vec<Placement>,
    neighbours: Vec<NeighbourOf>,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct NeighbourOf {
    network: NetworkId,
    #[serde(flatten)]
    neighbour: Neighbour,
}

impl Input {
    fn network(&self, id: NetworkId) -> &Network {
        self.networks.iter().find(|network| network.id == id).expect("a network of the input")
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes.iter().find(|node| node.id == id).expect("a node of the input")
    }

    /// The segments that the node's switch holds.
    fn segments(&self) -> Vec<Segment> {
        let mut segments = vec![self.pool()];
        segments.extend(self.networks.iter().map(|network| self.shared(network)));
        segments.push(self.own());
        segments
    }

    fn pool(&self) -> Segment {
        let nodes = self.nodes.iter().map(|node| (Owner::Node(node.id), compile::pool_node(node)));
        filled(SegmentId::Pool(PoolId(1)), nodes.chain([(Owner::Segment, compile::fixed())]))
    }

    fn shared(&self, network: &Network) -> Segment {
        let placements = self.placements.iter().filter(|p| p.network == network.id).map(|placement| {
            let owner = Owner::Placement {
                offset: compile::offset(network, placement.prefix.network()),
                exception: placement.prefix.prefix_len() == 32,
            };
            (owner, compile::placement(network, placement, self.node(placement.node)))
        });
        let neighbours = self.neighbours.iter().filter(|n| n.network == network.id).map(|of| {
            let owner = Owner::Neighbour { offset: compile::offset(network, of.neighbour.address) };
            (owner, compile::neighbour(network, &of.neighbour))
        });
        let all = placements.chain(neighbours).chain([(Owner::Segment, compile::network(network))]);
        filled(SegmentId::Network(network.id), all)
    }

    fn own(&self) -> Segment {
        let node = self.node(self.node);
        let own = |network: NetworkId, exception: bool| -> Vec<Placement> {
            let is_own = |p: &&Placement| {
                p.network == network && p.node == node.id && exception == (p.prefix.prefix_len() == 32)
            };
            self.placements.iter().filter(is_own).copied().collect()
        };
        let networks = self.networks.iter().map(|network| {
            let own = own(network.id, false);
            let mut addresses: Vec<_> =
                own.iter().filter_map(|block| network.own_address(block.prefix)).collect();
            let is_its =
                |endpoint: &Endpoint, address| (endpoint.network, endpoint.address) == (network.id, address);
            addresses.retain(|address| !self.endpoints.iter().any(|endpoint| is_its(endpoint, *address)));
            (Owner::Network(network.id), compile::node_network(node, network, &own, &addresses))
        });
        let endpoints = self.endpoints.iter().map(|endpoint| {
            let exception = own(endpoint.network, true).iter().any(|p| p.prefix.contains(&endpoint.address));
            let flows = compile::endpoint(node, self.network(endpoint.network), endpoint, exception);
            (Owner::Endpoint(endpoint.id), flows)
        });
        let all = networks.chain(endpoints).chain([(Owner::Segment, compile::node(node))]);
        filled(SegmentId::Node(node.id), all)
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn input(case: &Path) -> Input {
    toml::from_str(&fs::read_to_string(case.join("input.toml")).unwrap()).unwrap()
}

/// A segment with those flows, of which no two are the same.
fn filled(id: SegmentId, owners: impl Iterator<Item = (Owner, Vec<Flow>)>) -> Segment {
    let mut segment = Segment::new(id, 0);
    let conflicts =
        segment.replace(owners.map(|(owner, flows)| (owner, Step::add_all(id, owner, flows))).collect());
    assert!(conflicts.is_empty(), "{conflicts:?}");
    segment
}

/// The node's flows under the names of their tables and segments, its ledger included.
fn render(input: &Input) -> String {
    let mut lines: BTreeMap<(u8, String, u16, String), String> = BTreeMap::new();
    for segment in input.segments() {
        let row = ledger::row(segment.id(), segment.digest());
        for flow in segment.steps().map(|step| step.flow()).chain([row]) {
            let text = format_flow(&flow);
            let key = (flow.table.0, segment.id().to_string(), u16::MAX - flow.priority.0, text.clone());
            lines.insert(key, text);
        }
    }
    let mut out = String::new();
    let mut heading = String::new();
    for ((table, segment, ..), text) in lines {
        let name = Table::from_id(flowlib::types::TableId(table)).map_or("", Table::name);
        let next = format!("# {name} ({segment})");
        if heading != next {
            out.push_str(&next);
            out.push('\n');
            heading = next;
        }
        out.push_str(&text);
        out.push('\n');
    }
    out
}

#[test]
fn compiled_flows_are_the_golden_ones() {
    for case in cases() {
        let (found, file) = (render(&input(&case)), case.join("flows.txt"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &found).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(golden, found, "{}: BLESS=1 writes it anew", file.display());
    }
}

#[test]
fn ovs_ofctl_accepts_the_golden_flows() {
    for case in cases() {
        let file = case.join("flows.txt");
        let parsed = Command::new("ovs-ofctl").args(["-O", "OpenFlow13", "parse-flows"]).arg(&file).output();
        let Ok(parsed) = parsed else {
            eprintln!("no ovs-ofctl here: not compared");
            return;
        };
        assert!(parsed.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&parsed.stderr));
        let flows = render(&input(&case)).lines().filter(|line| !line.starts_with('#')).count();
        let accepted =
            String::from_utf8_lossy(&parsed.stdout).lines().filter(|l| l.contains("FLOW_MOD")).count();
        assert_eq!(accepted, flows, "{}", file.display());
    }
}

#[test]
fn a_node_has_no_more_flows_than_promised() {
    for case in cases() {
        let input = input(&case);
        let flows: usize = input.segments().iter().map(|segment| segment.n_flows() + 1).sum();
        // External neighbours are exceptions like any other: addresses off every block.
        let exceptions = input.placements.len() + input.neighbours.len();
        // Of each block of its own the node delivers, and on a VLAN it answers for an address of its own.
        let is_own = |p: &&Placement| p.node == input.node && p.prefix.prefix_len() < 32;
        let own = 2 * input.placements.iter().filter(is_own).count();
        let promised = 40 + 7 * input.endpoints.len() + (input.nodes.len() - 1) + exceptions + own;
        assert!(flows <= promised, "{}: {flows} flows, {promised} promised", case.display());
    }
}

#[test]
fn no_two_segments_want_the_same_flow() {
    for case in cases() {
        let mut seen: BTreeMap<String, SegmentId> = BTreeMap::new();
        for segment in input(&case).segments() {
            for step in segment.steps() {
                let before = seen.insert(format!("{:?}", step.key()), segment.id());
                assert_eq!(before, None, "{}: {step:?}", case.display());
            }
        }
    }
}
