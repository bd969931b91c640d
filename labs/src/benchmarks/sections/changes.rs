//! What the start of one endpoint changes in the flow tables of all nodes.

use std::collections::BTreeSet;

use weir_api::v1;

use crate::Lab;
use crate::benchmarks::section::{Bound, Section, Table, Target};
use crate::benchmarks::world::{World, block_on, container};

/// Endpoints that are there already.
const ENDPOINTS: usize = 100;
const STARTS: usize = 20;

pub(super) fn measure() -> anyhow::Result<Section> {
    block_on(run())
}

async fn run() -> anyhow::Result<Section> {
    let mut world = World::up("vlan").await?;
    world.fill(ENDPOINTS).await?;
    let mut client = weir_api::client::containers(world.channel.clone());
    let (mut rows, mut most_nodes, mut most_mods) = (Vec::new(), 0, 0);
    for number in 0..STARTS {
        let name = format!("start-{number}");
        let before = (tables(&world.lab, &world.nodes)?, world.counted("flow_mods_sent").await?);
        let start = v1::Container { name: name.clone(), ..container() };
        let request = v1::CreateContainerRequest { container: Some(start), wait: true };
        let started = client.create_container(request).await?.into_inner();
        let (after, mods) =
            (tables(&world.lab, &world.nodes)?, world.counted("flow_mods_sent").await? - before.1);
        let lines =
            before.0.iter().zip(&after).map(|(before, after)| before.symmetric_difference(after).count());
        let nodes = lines.clone().filter(|n| *n > 0).count();
        let lines: usize = lines.sum();
        rows.push([started.node, nodes.to_string(), mods.to_string(), lines.to_string()].to_vec());
        (most_nodes, most_mods) = (most_nodes.max(nodes), most_mods.max(mods));
        let request = v1::DeleteContainerRequest { pool: started.pool, name, wait: true };
        client.delete_container(request).await?;
    }
    Ok(Section {
        title: "What a start changes".to_owned(),
        text: format!(
            "Beside {ENDPOINTS} endpoints on four nodes, {STARTS} are started and deleted one after another. Nodes and flows \
             by comparing the dumps of all switches before and after, the ledger's row among them; flow mods by the \
             controller's counter, the row's among them."
        ),
        targets: vec![
            Target::new("nodes changed, at most", Bound::AtMost(1.0), most_nodes as f64, ""),
            Target::new("flow mods, at most", Bound::AtMost(8.0), most_mods as f64, ""),
        ],
        tables: vec![Table::new(
            "By start",
            ["node", "nodes changed", "flow mods", "flows that differ"],
            rows,
        )],
        charts: Vec::new(),
        machine: None,
    })
}

/// The flows of each node, without their counters.
pub(super) fn tables(lab: &Lab, nodes: &[String]) -> anyhow::Result<Vec<BTreeSet<String>>> {
    let table = |node: &String| {
        let dump = lab.node(node)?.ofctl("dump-flows", "br-int", ["--no-stats"])?;
        Ok(dump
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| line.starts_with("cookie="))
            .collect())
    };
    nodes.iter().map(table).collect()
}
