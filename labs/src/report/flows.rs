//! How many flows each node holds, by table, beside the most it may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use flowlib::pipeline::table::Table;
use flowlib::types::TableId;
use ipnet::Ipv4Net;
use serde::Serialize;
use weir_api::v1;

use crate::place::Place;
use crate::state::State;

/// A node's flow table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeFlows {
    pub(super) name: String,
    pub(super) flows: usize,
    /// The most it may hold: 40, 7 for each of its endpoints, 2 for each of its blocks, 1 for each other node, 1 for each block
    /// or exception of each network present.
    pub(super) most: usize,
    pub(super) by_table: BTreeMap<String, usize>,
}

/// Counts the flows of each node.
///
/// # Errors
/// If a node's switch does not answer.
pub(super) fn read(
    state: &State,
    nodes: &[v1::Node],
    containers: &[v1::Container],
    networks: &[v1::Network],
) -> anyhow::Result<Vec<NodeFlows>> {
    nodes
        .iter()
        .map(|node| {
            let dump = Place::machine(state, &node.name)?.run([
                "ovs-ofctl",
                "-O",
                "OpenFlow13",
                "dump-flows",
                "br-int",
            ])?;
            let by_table = by_table(&dump);
            Ok(NodeFlows {
                name: node.name.clone(),
                flows: by_table.values().sum(),
                most: most(node, nodes, containers, networks),
                by_table,
            })
        })
        .collect()
}

/// Shape of a line: `cookie=…, duration=…, table=N, …`.
fn by_table(dump: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in dump.lines() {
        let fields = line.split(',').map(str::trim);
        let Some(number) = fields.filter_map(|field| field.strip_prefix("table=")).next() else { continue };
        let table = number.parse().ok().and_then(|number| Table::from_id(TableId(number)));
        let name = table.map_or_else(|| number.to_owned(), |table| table.name().to_owned());
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn most(
    node: &v1::Node,
    nodes: &[v1::Node],
    containers: &[v1::Container],
    networks: &[v1::Network],
) -> usize {
    let in_pool = containers.iter().filter(|container| container.pool == node.pool);
    let local: Vec<_> = in_pool.clone().filter(|container| container.node == node.name).collect();
    let others = nodes.iter().filter(|other| other.pool == node.pool && other.name != node.name).count();
    let present: BTreeSet<&str> = local.iter().map(|container| container.network.as_str()).collect();
    let networks = networks.iter().filter(|n| n.pool == node.pool && present.contains(n.name.as_str()));
    let prefixes: usize = networks
        .map(|network| {
            let members = in_pool.clone().filter(|container| container.network == network.name);
            let own = network.blocks.iter().filter(|block| block.node == node.name).count();
            let exceptions = members.filter(|container| is_exception(container, network)).count();
            network.blocks.len() + 2 * own + exceptions
        })
        .sum();
    40 + 7 * local.len() + others + prefixes
}

/// Whether a container's address lies in no block of its node.
fn is_exception(container: &v1::Container, network: &v1::Network) -> bool {
    let address = container.address.split('/').next().and_then(|text| text.parse::<Ipv4Addr>().ok());
    let mut own = network.blocks.iter().filter(|block| block.node == container.node);
    !own.any(|block| {
        let prefix = block.prefix.parse::<Ipv4Net>().ok();
        prefix.zip(address).is_some_and(|(prefix, address)| prefix.contains(&address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_the_tables_names() {
        let dump = "NXST_FLOW reply:\n cookie=0x1, duration=1s, table=0, n_packets=0, actions=drop\n \
                    cookie=0x1, duration=1s, table=0, n_packets=0, actions=drop\n cookie=0x1, table=63, actions=drop\n";
        let expected = BTreeMap::from([("classify".to_owned(), 2), ("drop".to_owned(), 1)]);
        assert_eq!(by_table(dump), expected);
    }
}
